"""Training of the catalogue classifier, from articles to a file with weights and names."""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import json
import time
from pathlib import Path

import keras
import numpy as np

from models.articles import COLOUR_NAMES, DEVELOPMENT, TRAIN, Articles
from models.averaging import AveragingAdamW
from models.classifier.augment import BatchMaker
from models.classifier.classifier import Classifier, save_classifier
from models.classifier.network import build_network
from models.classifier.settings import ClassifierConfig, Recipe
from models.extras import imported_for_training
from models.metrics.recognition import agreement, balanced_accuracy
from models.segmentation.progress import Checkpoints

_SETTLING_STEPS = 30  # of batch statistics, to the averaged weights


def draw_shares(categories: np.ndarray, balance: float) -> np.ndarray:
    """Says how often each picture is drawn.

    Args:
      categories: int (n,).
      balance: 0 draws all pictures alike, 1 all categories alike.

    Returns:
      float64 (n,), summing to 1.
    """
    shares = np.bincount(categories).astype(float)[categories] ** -balance
    return shares / shares.sum()


def joined(first: Articles, second: Articles) -> Articles:
    """Returns the articles of both.

    Raises:
      ValueError: their categories are not the same.
    """
    if first.category_names != second.category_names:
        raise ValueError(
            f"the categories {', '.join(first.category_names)} and {', '.join(second.category_names)} are not the same"
        )
    arrays = ("ids", "groups", "categories", "colours", "images")
    merged = {name: np.concatenate([getattr(part, name) for part in (first, second)]) for name in arrays}
    return Articles(**merged, category_names=first.category_names)


def fit_classifier(
    articles: Articles,
    recipe: Recipe,
    *,
    seed: int,
    shares: np.ndarray | None = None,
    output: Path | None = None,
) -> keras.Model:
    """Trains a classifier from scratch.

    Args:
      articles: what to learn from, at the network's size.
      recipe: how.
      seed: of initial weights, draws and variations.
      shares: float (n,), how often each article is drawn; by ``recipe.balance`` if not given.
      output: folder of the curves, and of checkpoints that a stopped training goes on from; None to keep neither.

    Returns:
      The network, as ``build_network`` makes it, with the averaged weights.

    Raises:
      ValueError: there is nothing to learn from, or the pictures are of another size.
    """
    size = recipe.network.size
    if not len(articles) or articles.images.shape[1:] != (size, size, 3):
        raise ValueError(f"pictures of shape {articles.images.shape} were given; they must be (n, {size}, {size}, 3)")
    keras.utils.set_random_seed(seed)
    network = build_network(len(articles.category_names), len(COLOUR_NAMES), recipe.network)
    model = _compiled(network, recipe)
    shares = draw_shares(articles.categories, recipe.balance) if shares is None else shares
    make = BatchMaker(articles, shares, recipe.augmentation, recipe.batch_size, seed)
    progress = None
    if output is not None:
        progress = _Progress(model, output, training_fingerprint(articles, recipe, seed, shares))
    losses = []
    for step in range(progress.restore() if progress else 0, recipe.steps):
        losses.append(float(model.train_on_batch(*make(step), return_dict=True)["loss"]))
        if progress and (step + 1) % recipe.steps_per_epoch == 0:
            progress.note(step + 1, float(np.mean(losses[-recipe.steps_per_epoch :])))
    model.optimizer.finalize_variable_values(model.trainable_variables)
    settle = dataclasses.replace(make, seed=seed + 1)
    for step in range(min(_SETTLING_STEPS, recipe.steps)):
        network(settle(step)[0], training=True)
    if progress:
        progress.clear()
    return network


def _compiled(network: keras.Model, recipe: Recipe) -> keras.Model:
    model = keras.Model(network.input, {name: network.output[name] for name in ("category", "colour")})
    warm_up = min(100, recipe.steps // 10)
    rate = keras.optimizers.schedules.CosineDecay(
        recipe.rate / 20, recipe.steps - warm_up, alpha=0.01, warmup_target=recipe.rate, warmup_steps=warm_up
    )
    optimizer = AveragingAdamW(
        rate, weight_decay=recipe.weight_decay, clipnorm=1.0, use_ema=True, ema_momentum=recipe.averaging
    )
    optimizer.exclude_from_weight_decay(var_names=["gamma", "beta", "bias"])
    losses = {
        name: keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=recipe.smoothing)
        for name in ("category", "colour")
    }
    model.compile(optimizer=optimizer, loss=losses, loss_weights={"category": 1.0, "colour": recipe.colour_weight})
    return model


def training_fingerprint(articles: Articles, recipe: Recipe, seed: int, shares: np.ndarray | None = None) -> str:
    """Returns 12 hexadecimal digits that change with whatever decides the weights; arguments as ``fit_classifier``."""
    shares = draw_shares(articles.categories, recipe.balance) if shares is None else shares
    digest = hashlib.sha256(json.dumps([dataclasses.asdict(recipe), seed], sort_keys=True).encode())
    for array in (articles.images, articles.categories, articles.colours, shares):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:12]


class _Progress:
    """Checkpoints and a line of ``curves.csv`` now and then."""

    def __init__(self, model: keras.Model, output: Path, fingerprint: str):
        output.mkdir(parents=True, exist_ok=True)
        self._name, self._model = f"classifier-{fingerprint}", model
        self._curves = output / "curves.csv"
        self._checkpoints = Checkpoints(output / self._name)
        self._checkpoints.set_model(model)
        self._started = time.monotonic()

    def restore(self) -> int:
        """Goes on where a training with the same settings and data stopped; returns the steps done."""
        done = self._checkpoints.restore(self._model)
        if done:
            print(f"goes on after step {done:,}", flush=True)
        return done

    def note(self, step: int, loss: float) -> None:
        self._checkpoints.on_epoch_end(step - 1)
        line = {
            "training": self._name,
            "step": step,
            "seconds": round(time.monotonic() - self._started),
            "loss": f"{loss:.4f}",
        }
        new = not self._curves.exists()
        with self._curves.open("a", newline="") as file:
            writer = csv.DictWriter(file, list(line))
            if new:
                writer.writeheader()
            writer.writerow(line)
        print(", ".join(f"{name} {value}" for name, value in line.items()), flush=True)

    def clear(self) -> None:
        self._checkpoints.clear()


def train_classifier(config: ClassifierConfig) -> Path:
    """Trains a classifier on the photos of a catalogue; a training that was stopped goes on where it was.

    Args:
      config: all that decides the weights.

    Returns:
      Path of the ``.keras`` file.

    Raises:
      FileNotFoundError, ValueError: the data or settings are not as they should be; nothing was trained.
    """
    with imported_for_training():
        from models.datasets.articles import load_articles
    sets = [load_articles(source, config.output) for source in config.sources]
    train = sets[0][TRAIN]
    for other in sets[1:]:
        train = joined(train, other[TRAIN])
    output = Path(config.output)
    network = fit_classifier(train, config.recipe, seed=config.seed, output=output)
    path = output / f"{config.name}.keras"
    save_classifier(network, path, train.category_names)
    classifier = Classifier.load(path)
    for fit, found in zip(config.fits, sets, strict=True):
        if len(found[DEVELOPMENT]):
            print(f"development, {fit}: {describe_accuracy(classifier, found[DEVELOPMENT])}", flush=True)
    return path


def describe_accuracy(classifier: Classifier, articles: Articles) -> str:
    """Says in a line how many articles are told right."""
    output = classifier.outputs(articles.images)
    return (
        f"accuracy {agreement(output.probabilities, articles.categories):.3f}, "
        f"mean of the categories {balanced_accuracy(output.probabilities, articles.categories):.3f}, "
        f"main colour {agreement(output.colours, articles.colours):.3f} of {len(articles):,} photos"
    )
