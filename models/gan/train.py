"""Training of a generator and a discriminator, from articles to a weight file."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import keras
import numpy as np

from models.articles import COLOUR_NAMES, TRAIN, Articles
from models.averaging import averaged_weights
from models.extras import imported_for_training
from models.gan.adversary import Adversaries
from models.gan.feeding import ArticleBatches
from models.gan.network import build_discriminator, build_generator
from models.gan.progress import Watch
from models.gan.sampling import Sampler, discriminator_path, write_labels
from models.gan.settings import GanConfig
from models.gan.two_rates import TwoRateAdam
from models.precision import computing_in
from models.saving import COARSE, save_compactly
from models.segmentation.progress import Checkpoints

_PLAIN, _MIDDLE = 243 / 127.5 - 1, 0.0  # what comes into the frame: the plain ground of cut-outs, or grey


def load_articles(config: GanConfig) -> Articles:
    """Builds the dataset of a training, or finds it built, and returns its training split.

    Raises:
      FileNotFoundError, ValueError: the data are not as the configuration says, or a package is missing.
    """
    with imported_for_training():
        from models.datasets.articles import load_articles as load
    articles = load(config.articles, config.output)[TRAIN]
    if config.limit and len(articles) > config.limit:
        order = np.argsort([hashlib.sha256(id.encode()).hexdigest() for id in articles.ids])
        articles = articles.take(np.sort(order[: config.limit]))
    return articles


def build(config: GanConfig, categories: int) -> Adversaries:
    """Builds both networks, compiled for training."""
    keras.utils.set_random_seed(config.seed)
    with computing_in(config.precision):
        generator = build_generator(config.network, categories, len(COLOUR_NAMES))
        discriminator = build_discriminator(config.network, categories, len(COLOUR_NAMES))
    ground = _PLAIN if config.articles.fit == "product" else _MIDDLE
    model = Adversaries(generator, discriminator, config.loss, ground=ground, seed=config.seed)
    settings = config.optimiser
    rate = keras.optimizers.schedules.CosineDecay(settings.rate, config.steps, alpha=settings.final)
    optimizer = TwoRateAdam(
        rate,
        ratio=settings.ratio,
        discriminator=discriminator.trainable_variables,
        beta_1=settings.beta_1,
        beta_2=settings.beta_2,
        clipnorm=settings.clip or None,
        use_ema=True,
        ema_momentum=settings.averaging,
    )
    model.compile(optimizer=optimizer, jit_compile=False)
    return model


def train(config: GanConfig, articles: Articles | None = None) -> Path:
    """Trains both networks; a run that was stopped goes on where it was.

    Args:
      config: all that decides the weights.
      articles: what to learn from, if it is at hand; else it is loaded.

    Returns:
      Path of the generator, with averaged weights, a ``.keras`` file; the discriminator lies beside it.

    Raises:
      FileNotFoundError, ValueError: the data or settings are not as they should be; nothing was trained.
      TrainingStopped: the gradients are no numbers any more.
    """
    articles = load_articles(config) if articles is None else articles
    output = Path(config.output)
    output.mkdir(parents=True, exist_ok=True)
    model = build(config, len(articles.category_names))
    epochs = max(1, config.steps // config.steps_per_epoch)
    steps = config.steps // epochs
    feed = ArticleBatches(
        articles, config.batch_size, config.seed, 0, steps, mirrored=config.mirrored, balance=config.balance
    )
    model(feed[0][0])  # builds it, which restoring a checkpoint asks for
    name = f"gan-{config.fingerprint(_digest(articles))}"
    checkpoints = Checkpoints(output / name)
    done = checkpoints.restore(model)
    if done:
        print(f"goes on after epoch {done} of {epochs}", flush=True)
    print(
        f"{len(articles):,} articles, {epochs:,} epochs of {steps:,} steps of {config.batch_size} pictures; generator "
        f"{model.generator.count_params():,} weights, discriminator {model.discriminator.count_params():,}",
        flush=True,
    )

    def sampler() -> Sampler:
        return Sampler(model.generator, articles.category_names, COLOUR_NAMES, config.output)

    last = min(epochs, config.stop_after or epochs)
    watch = Watch(output, articles, done, epochs, steps * config.batch_size, sampler)
    if done < last:
        stream = ArticleBatches(
            articles, config.batch_size, config.seed, done * steps, (last - done) * steps,
            mirrored=config.mirrored, balance=config.balance,
        )  # fmt: skip
        model.fit(
            stream, epochs=last, initial_epoch=done, steps_per_epoch=steps, shuffle=False,
            verbose=int(sys.stdout.isatty()), callbacks=[watch, checkpoints],
        )  # fmt: skip
    return _export(model, articles, config)


def _digest(articles: Articles) -> str:
    digest = hashlib.sha256()
    for array in (articles.images, articles.categories, articles.colours):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:16]


def _export(model: Adversaries, articles: Articles, config: GanConfig) -> Path:
    path = Path(config.output) / "generator.keras"
    with averaged_weights(model):
        save_compactly(model.generator, path, mantissa=COARSE)
        save_compactly(model.discriminator, discriminator_path(path), mantissa=COARSE)
    write_labels(path, articles.category_names, COLOUR_NAMES)
    return path
