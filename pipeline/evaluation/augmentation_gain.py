"""``packshot evaluate augmentation``: whether generated pictures help a classifier that has few real ones.

For each number of real pictures a category and each seed, two classifiers are trained from scratch that differ in one
thing: one sees generated pictures as well. They have the same real pictures, initial weights, number of steps and
variations. The difference is measured photo by photo on sellers that neither saw.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from models.articles import COLOUR_NAMES, DEVELOPMENT, TEST, TRAIN, Articles
from models.classifier.settings import DEFAULT_RECIPE, Recipe, read_recipe
from models.classifier.training import draw_shares, fit_classifier, joined
from models.metrics.generation import resized
from pipeline.evaluation.classification_score import with_size
from pipeline.evaluation.gain_tables import decision, describe
from pipeline.evaluation.generators import Generator, load_generator, positions
from pipeline.evaluation.real_articles import RealArticles

WITHOUT, WITH = "without", "with"


@dataclasses.dataclass(frozen=True, kw_only=True)
class GainConfig(RealArticles):
    """What to train on what: the real articles, and

    Attributes:
      generator: file of a generator.
      output: folder for the dataset, for ``trainings.jsonl`` with a line a finished training, and for
        ``enabled.yaml``; trainings that are there are not done again.
      sizes: real pictures a category, at most.
      seeds: trainings of each kind for each size.
      generated: pictures made for each category.
      share: of the drawn pictures that are generated, 0..1.
      steps: of each training.
      recipe: YAML file or name of how to train; its steps do not count.
      decide_at: which size decides about categories.
      json: path for all figures, or None.
    """

    generator: str
    output: str = "build/gain"
    sizes: tuple[int, ...] = (10, 25, 50, 100)
    seeds: int = 5
    generated: int = 200
    share: float = 0.5
    steps: int = 400
    recipe: str = DEFAULT_RECIPE
    decide_at: int = 25
    json: str | None = None

    def __post_init__(self):
        if not self.sizes or min(self.sizes) < 1:
            raise ValueError(f"sizes={self.sizes!r} must name at least one number above 0")
        if self.decide_at not in self.sizes:
            raise ValueError(f"decide_at={self.decide_at!r} must be one of sizes={self.sizes!r}")
        for name, least in (("seeds", 2), ("generated", 1), ("steps", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"{name}={getattr(self, name)!r} must be at least {least}")
        if not 0 < self.share < 1:
            raise ValueError(f"share={self.share!r} must be above 0 and below 1")


@dataclasses.dataclass(frozen=True)
class Training:
    """One finished training.

    Attributes:
      setting: fingerprint of all that both arms share; lines of other settings are passed over.
      size: real pictures a category.
      seed: of the subset, the weights and the draws.
      arm: ``with`` or ``without`` generated pictures.
      right: by held-out split, a text of 0 and 1: which photos are told right, in the dataset's order.
    """

    setting: str
    size: int
    seed: int
    arm: str
    right: dict[str, str]

    @property
    def key(self) -> tuple[str, int, int, str]:
        """What tells it from others."""
        return self.setting, self.size, self.seed, self.arm


def real_subset(categories: np.ndarray, size: int, seed: int) -> np.ndarray:
    """Chooses real pictures: at most so many of each category; a larger size holds the smaller ones of its seed.

    Args:
      categories: int (n,).
      size: at least 1.
      seed: of the choice.

    Returns:
      int64 positions, ascending.
    """
    order = np.random.default_rng((seed, 1)).permutation(len(categories))
    parts = [order[categories[order] == number][:size] for number in np.unique(categories)]
    return np.sort(np.concatenate(parts))


def generated_articles(generator: Generator, articles: Articles, count: int, seed: int) -> Articles:
    """Makes pictures of every category that the generator knows and the subset has.

    The colours are drawn from those of the real pictures of the category that are in the subset: nothing is known of
    others.

    Args:
      generator: what is asked.
      articles: the real subset.
      count: pictures of each category.
      seed: of colours and pictures.
    """
    draw = np.random.default_rng((seed, 2))
    names = articles.category_names
    known = [number for number in np.unique(articles.categories) if names[number] in generator.category_names]
    if not known:
        raise ValueError(f"{generator.name} knows none of the categories {', '.join(names)}")
    categories = np.repeat(np.array(known, np.int32), count)
    colours = np.concatenate(
        [draw.choice(articles.colours[articles.categories == number], count) for number in known]
    ).astype(np.int32)
    seeds = (np.uint64(seed) << np.uint64(32)) + np.arange(len(categories), dtype=np.uint64)
    asked = (
        seeds,
        positions(tuple(names[c] for c in categories), generator.category_names, "category"),
        positions(tuple(COLOUR_NAMES[c] for c in colours), generator.colour_names, "colour"),
    )
    images = [generator.sample(*(a[start : start + 64] for a in asked)) for start in range(0, len(seeds), 64)]
    ids = np.array([f"generated-{seed}-{i}" for i in range(len(seeds))])
    return Articles(ids, ids, categories, colours, np.concatenate(images), names)


def mixed_shares(real: Articles, generated: Articles, share: float, balance: float) -> np.ndarray:
    """Says how often each picture is drawn when both kinds are joined, real ones first; sums to 1."""
    kinds = ((real, 1 - share), (generated, share))
    return np.concatenate([part * draw_shares(articles.categories, balance) for articles, part in kinds])


def evaluate_gain(config: GainConfig) -> str:
    """Trains what is not trained yet, and says what generated pictures bring.

    Args:
      config: what to train on what.

    Returns:
      Tables in Markdown. ``enabled.yaml`` in the output folder is what an augmentation plan reads.

    Raises:
      ValueError, FileNotFoundError: data that is not as described; one sentence.
    """
    from models.datasets.articles import load_articles

    recipe = dataclasses.replace(read_recipe(config.recipe), steps=config.steps)
    generator = load_generator(config.generator)
    sets = load_articles(config.source(generator.size), config.output)
    sets = {split: with_size(articles, recipe.network.size) for split, articles in sets.items()}
    for split in (DEVELOPMENT, TEST):
        if not len(sets[split]):
            raise ValueError(f"no photos of {config.catalogue!r} are in split {split}; look at group_column")
    output = Path(config.output)
    output.mkdir(parents=True, exist_ok=True)
    found = run_trainings(config, recipe, generator, sets, output / "trainings.jsonl")
    figures, enabled = decision(found, sets, decide_at=config.decide_at)
    (output / "enabled.yaml").write_text(enabled, encoding="utf-8")
    if config.json:
        content = [dataclasses.asdict(figure) for figure in figures]
        Path(config.json).write_text(json.dumps(content, indent=1), encoding="utf-8")
    return describe(figures, generator=f"{generator.name} ({generator.sha256[:12]})", decide_at=config.decide_at)


def run_trainings(
    config: GainConfig, recipe: Recipe, generator: Generator, sets: dict[str, Articles], lines: Path
) -> list[Training]:
    """Does the trainings that have no line yet, adding a line each; returns all of these settings.

    Args:
      config: which ones.
      recipe: how to train.
      generator: what makes the pictures.
      sets: real articles by split, at the network's size.
      lines: the file of finished trainings.
    """
    setting = _setting(config, recipe, generator, sets)
    done = {training.key: training for training in read_trainings(lines)}
    wanted = [
        (setting, size, seed, arm)
        for seed in range(config.seeds)  # a stopped run has something of all sizes
        for size in config.sizes
        for arm in (WITHOUT, WITH)
    ]
    for number, key in enumerate(wanted, 1):
        if key in done:
            continue
        training = _train(*key, config, recipe, generator, sets)
        with lines.open("a", encoding="utf-8") as file:
            file.write(json.dumps(dataclasses.asdict(training)) + "\n")
        done[key] = training
        shares = {split: f"{text.count('1') / len(text):.3f}" for split, text in training.right.items()}
        print(f"{number} of {len(wanted)}: {key[1]} a category, seed {key[2]}, {key[3]}: {shares}", flush=True)
    return [done[key] for key in wanted]


def read_trainings(lines: Path) -> Iterator[Training]:
    """Yields finished trainings; a last line that was cut off is passed over."""
    if not lines.exists():
        return
    for line in lines.read_text(encoding="utf-8").splitlines():
        try:
            yield Training(**json.loads(line))
        except json.JSONDecodeError:
            continue


def _setting(config: GainConfig, recipe: Recipe, generator: Generator, sets: dict[str, Articles]) -> str:
    decisive: dict[str, Any] = {
        "recipe": dataclasses.asdict(recipe),
        "generator": generator.sha256,
        "generated": config.generated,
        "share": config.share,
    }
    digest = hashlib.sha256(json.dumps(decisive, sort_keys=True).encode())
    for split in (TRAIN, DEVELOPMENT, TEST):
        digest.update(sets[split].images.tobytes() + sets[split].categories.tobytes())
    return digest.hexdigest()[:12]


def _train(
    setting: str, size: int, seed: int, arm: str, config: GainConfig, recipe: Recipe, generator: Generator,
    sets: dict[str, Articles],
) -> Training:  # fmt: skip
    real = sets[TRAIN].take(real_subset(sets[TRAIN].categories, size, seed))
    if arm == WITH:
        made = generated_articles(generator, real, config.generated, seed)
        made = dataclasses.replace(made, images=resized(made.images, recipe.network.size))
        learnt, shares = joined(real, made), mixed_shares(real, made, config.share, recipe.balance)
    else:
        learnt, shares = real, draw_shares(real.categories, recipe.balance)
    network = fit_classifier(learnt, recipe, seed=seed, shares=shares)
    right = {}
    for split in (DEVELOPMENT, TEST):
        logits = network.predict(sets[split].images.astype(np.float32), batch_size=128, verbose=0)["category"]
        right[split] = "".join("01"[hit] for hit in (logits.argmax(axis=1) == sets[split].categories).astype(int))
    return Training(setting, size, seed, arm, right)
