"""``packshot evaluate gan``: how good, how varied and how new generated pictures are, beside the same of real ones."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np

from models.articles import DEVELOPMENT, TEST, TRAIN, Articles
from models.classifier.classifier import Classifier
from models.metrics.generation import Extractor, FeatureSet, GenerationScores, compare, extract
from models.metrics.manifold import ManifoldScores, manifold_scores
from models.metrics.memorisation import PERCENTILE, Memorisation, hash_distances, memorisation, small_pixels
from models.metrics.recognition import agreement
from models.metrics.spectrum import spectral_distances
from pipeline.evaluation.classification_score import ClassificationScore, classification_score
from pipeline.evaluation.generation_sheets import write_interpolations, write_neighbours, write_samples
from pipeline.evaluation.generation_tables import CategoryScores, describe
from pipeline.evaluation.generators import (
    Generated,
    Generator,
    images_per_second,
    load_generator,
    read_pictures,
    sample_like,
)
from pipeline.evaluation.real_articles import RealArticles
from pipeline.evaluation.spoilt import spoilt_scores

SAME_HASH = 2  # differing bits of 64 up to which two pictures count as one; 6 let clear shapes on plain grounds agree


@dataclasses.dataclass(frozen=True, kw_only=True)
class GenerationConfig(RealArticles):
    """What to measure on what: the real articles, at the size of the generated pictures, and

    Attributes:
      generator: file of a generator. This or ``samples``.
      samples: folder or ``.npz`` of pictures.
      output: folder for the dataset of the articles and for classifiers.
      classifier: name or file of the extractor.
      inception_weights: a file of Inception-v3, for FID, KID and IS as others report them. Empty for none.
      count: real pictures in the reference, and generated ones: as many, mixed alike.
      k: neighbour that gives a picture's reach.
      spoilt: whether to measure real pictures too that were spoilt in known ways, to see that the figures notice.
      classification_steps: steps of the classifiers of the classification accuracy score; 0 for no score.
      seed: of the reference, of the generated pictures and of the classifiers.
      sheet: path of contact sheets, or None; "-samples", "-neighbours" and "-interpolations" are added to the name.
      json: path for all figures, or None.
    """

    generator: str = ""
    samples: str = ""
    output: str = "build/evaluation"
    classifier: str = "article-classifier"
    inception_weights: str = ""
    count: int = 2000
    k: int = 5
    spoilt: bool = False
    classification_steps: int = 0
    seed: int = 0
    sheet: str | None = None
    json: str | None = None

    def __post_init__(self):
        if bool(self.generator) == bool(self.samples):
            raise ValueError("give either generator, a file, or samples, a folder or .npz of pictures")
        for name, least in (("count", 2 * self.k + 2), ("k", 1), ("classification_steps", 0), ("seed", 0)):
            if getattr(self, name) < least:
                raise ValueError(f"{name}={getattr(self, name)!r} must be at least {least}")


@dataclasses.dataclass(frozen=True)
class GenerationReport:
    """All figures.

    Attributes:
      name, sha256: of what was measured.
      scores: by the set that was measured against the reference; generated first, then the floor of real ones.
      spoilt: by what was done to real pictures; empty if that was not asked for.
      inception: likewise with Inception's features; empty without its weights.
      spectra: by set, as for ``scores``: spectral distances, from coarse to fine.
      categories: by name.
      agreement: share of generated pictures that the classifier takes for what was asked for; NaN where nothing was.
      real_agreement: share of test pictures that it tells right.
      memorised: by what is compared: features, pixels.
      same_hash: share of generated and of test pictures that share a perceptual hash with a training picture.
      classification: the classification accuracy score, or None.
      speed: generated pictures a second at 64 a batch, or None.
    """

    name: str
    sha256: str
    scores: dict[str, GenerationScores]
    spoilt: dict[str, GenerationScores]
    inception: dict[str, GenerationScores]
    spectra: dict[str, tuple[float, ...]]
    categories: dict[str, CategoryScores]
    agreement: float
    real_agreement: float
    memorised: dict[str, Memorisation]
    same_hash: tuple[float, float]
    classification: ClassificationScore | None
    speed: float | None


def evaluate_generation(config: GenerationConfig) -> str:
    """Measures generated pictures.

    Args:
      config: what to measure on what.

    Returns:
      Tables in Markdown.

    Raises:
      ValueError, FileNotFoundError: data that is not as described; one sentence.
    """
    classifier = Classifier.load(config.classifier)
    inception = _inception(config.inception_weights)
    generator = load_generator(config.generator) if config.generator else None
    sets, generated, reference = _pictures(config, generator)
    report = measure(config, classifier, inception, generator, sets, generated, reference)
    if config.json:
        Path(config.json).write_text(json.dumps(as_json(report), indent=1), encoding="utf-8")
    if config.sheet:
        _write_sheets(Path(config.sheet), config, generator, sets[TRAIN], generated, report)
    return describe(report)


def _inception(path: str) -> Extractor | None:
    if not path:
        return None
    from models.metrics.inception import Inception

    return Inception.load(path)


def _pictures(
    config: GenerationConfig, generator: Generator | None
) -> tuple[dict[str, Articles], Generated, np.ndarray]:
    """Returns the real articles by split, the generated pictures, and which training articles are the reference."""
    from models.datasets.articles import load_articles

    size = generator.size if generator else _size_of(config.samples)
    sets = load_articles(config.source(size), config.output)
    if not len(sets[TEST]):
        raise ValueError(f"no photos of {config.catalogue!r} are kept out of training; look at group_column")
    train = sets[TRAIN]
    draw = np.random.default_rng(config.seed)
    reference = np.sort(draw.permutation(len(train))[: config.count])
    if generator:
        generated = sample_like(generator, train.take(reference), seed=config.seed)
    else:
        generated = read_pictures(config.samples, train.category_names)
        if len(generated) > config.count:
            generated = _chosen(generated, np.sort(draw.permutation(len(generated))[: config.count]))
    return sets, generated, reference


def _size_of(samples: str) -> int:
    return read_pictures(samples).images.shape[1]


def _chosen(generated: Generated, chosen: np.ndarray) -> Generated:
    arrays = {name: getattr(generated, name)[chosen] for name in ("images", "categories", "colours")}
    return dataclasses.replace(generated, **arrays)


def measure(
    config: GenerationConfig,
    classifier: Classifier,
    inception: Extractor | None,
    generator: Generator | None,
    sets: dict[str, Articles],
    generated: Generated,
    reference: np.ndarray,
) -> GenerationReport:
    """Measures pictures that are in memory.

    Args:
      config: how.
      classifier: the extractor, and what tells categories.
      inception: a second extractor, or None.
      generator: what made the pictures, or None.
      sets: real articles by split.
      generated: the pictures.
      reference: int (n,), the training articles to compare with.
    """
    train, test = sets[TRAIN], sets[TEST]
    real = {split: extract(sets[split].images, classifier) for split in sets if len(sets[split])}
    found = extract(generated.images, classifier)
    wanted = _wanted(classifier, train.category_names) if generated.categories.min() >= 0 else None
    classification = None
    if config.classification_steps:
        classification = classification_score(
            train, generated.as_articles(train.category_names), test, steps=config.classification_steps,
            seed=config.seed, output=Path(config.output),
        )  # fmt: skip
    hashes = [float((hash_distances(train.images, i) <= SAME_HASH).mean()) for i in (generated.images, test.images)]
    return GenerationReport(
        name=generated.name,
        sha256=generated.sha256,
        scores=_scores(real, found, reference, config),
        spoilt=spoilt_scores(train, classifier, k=config.k, seed=config.seed) if config.spoilt else {},
        inception=_inception_scores(inception, sets, generated, reference, config),
        spectra=_spectra(sets, generated, reference, config),
        categories=_category_scores(sets, real, found, generated, reference, wanted, config),
        agreement=_agreement(found, wanted, generated.categories),
        real_agreement=_agreement(real[TEST], wanted, test.categories),
        memorised={
            "features": memorisation(real[TRAIN].features, real[TEST].features, found.features),
            "pixels": memorisation(*(small_pixels(images) for images in (train.images, test.images, generated.images))),
        },
        same_hash=(hashes[0], hashes[1]),
        classification=classification,
        speed=images_per_second(generator) if generator else None,
    )


def _wanted(classifier: Classifier, category_names: tuple[str, ...]) -> np.ndarray | None:
    """Returns the classifier's position of each category, or None if it does not know all of them."""
    if not set(category_names) <= set(classifier.category_names):
        return None
    return np.array([classifier.category_names.index(name) for name in category_names])


def _agreement(features: FeatureSet, wanted: np.ndarray | None, categories: np.ndarray) -> float:
    return float("nan") if wanted is None else agreement(features.probabilities, wanted[categories])


def _scores(
    real: dict[str, FeatureSet], found: FeatureSet, reference: np.ndarray, config: GenerationConfig
) -> dict[str, GenerationScores]:
    """Compares the generated pictures, and real ones of other sellers and of the same, with the reference."""
    draw = np.random.default_rng(config.seed + 1)
    train = real[TRAIN].take(reference)
    measured = {"generated": found}
    if len(real[TEST]) < len(found):
        few = np.sort(draw.permutation(len(found))[: len(real[TEST])])
        measured["generated, as many as test"] = found.take(few)
    measured["test (other sellers)"] = real[TEST]
    if DEVELOPMENT in real:
        measured["development (other sellers)"] = real[DEVELOPMENT]
    scores = {
        name: compare(train, features, k=config.k, seed=config.seed)
        for name, features in measured.items()
        if len(features) > config.k
    }
    order = draw.permutation(len(real[TRAIN]))
    halves = [real[TRAIN].take(part) for part in np.array_split(order, 2)]
    scores["half of train, against the other half"] = compare(*halves, k=config.k, seed=config.seed)
    return scores


def _inception_scores(
    inception: Extractor | None,
    sets: dict[str, Articles],
    generated: Generated,
    reference: np.ndarray,
    config: GenerationConfig,
) -> dict[str, GenerationScores]:
    if inception is None:
        return {}
    # whole training images are not needed here: the reference is enough, and Inception is slow
    train = extract(sets[TRAIN].images[reference], inception)
    measured = {"generated": generated.images, "test (other sellers)": sets[TEST].images}
    return {
        name: compare(train, extract(images, inception), k=config.k, seed=config.seed)
        for name, images in measured.items()
    }


def _spectra(
    sets: dict[str, Articles], generated: Generated, reference: np.ndarray, config: GenerationConfig
) -> dict[str, tuple[float, ...]]:
    train = sets[TRAIN].images
    order = np.random.default_rng(config.seed + 1).permutation(len(train))
    halves = [train[part] for part in np.array_split(order, 2)]
    return {
        "generated": spectral_distances(train[reference], generated.images),
        "test (other sellers)": spectral_distances(train[reference], sets[TEST].images),
        "half of train, against the other half": spectral_distances(*halves),
    }


def _category_scores(
    sets: dict[str, Articles],
    real: dict[str, FeatureSet],
    found: FeatureSet,
    generated: Generated,
    reference: np.ndarray,
    wanted: np.ndarray | None,
    config: GenerationConfig,
) -> dict[str, CategoryScores]:
    """Compares within each category: one vague shape may lie near shirts and shoes, but not as both of them."""
    train, test, k = sets[TRAIN].take(reference), sets[TEST], config.k
    order = np.random.default_rng(config.seed + 2).permutation(len(reference))
    features, scores = real[TRAIN].features[reference], {}
    for number, name in enumerate(train.category_names):
        ours, theirs, unseen = (
            np.flatnonzero(categories == number)
            for categories in (generated.categories, train.categories, test.categories)
        )
        half, other = np.array_split(order[np.isin(order, theirs)], 2)
        shares = [
            float((looked_at.probabilities[part].argmax(axis=1) == wanted[number]).mean())
            if wanted is not None and len(part) else float("nan")
            for looked_at, part in ((found, ours), (real[TEST], unseen))
        ]  # fmt: skip
        scores[name] = CategoryScores(
            len(theirs), len(ours), shares[0], shares[1],
            _manifold(features[theirs], found.features[ours], k), _manifold(features[half], features[other], k),
        )  # fmt: skip
    return scores


def _manifold(real: np.ndarray, generated: np.ndarray, k: int) -> ManifoldScores | None:
    return manifold_scores(real, generated, k=k) if min(len(real), len(generated)) > k else None


def _write_sheets(
    path: Path,
    config: GenerationConfig,
    generator: Generator | None,
    train: Articles,
    generated: Generated,
    report: GenerationReport,
) -> None:
    def named(what: str) -> Path:
        return path.with_name(f"{path.stem}-{what}{path.suffix}")

    write_samples(named("samples"), generated, train.category_names)
    write_neighbours(named("neighbours"), generated, train, report.memorised)
    if generator:
        write_interpolations(named("interpolations"), generator, seed=config.seed)


def as_json(report: GenerationReport) -> dict[str, Any]:
    """Returns all figures as JSON has them; of the distances of single pictures only how they lie."""
    plain = dataclasses.asdict(report)
    for one in plain["memorised"].values():
        one["percentiles"] = np.percentile(one.pop("distances"), [0, 1, 5, 25, 50, 75]).tolist()
        del one["positions"]
    plain["memorised"]["percentile"] = PERCENTILE
    return plain
