"""From measures to a score: what an autoencoder remembers, and how its measures are weighed on spoilt photos.

How much each measure counts is learnt on photos that the memory does not hold and on development photos, clean and with
faults put in on purpose (outlier exposure with faults of our own: Hendrycks et al., ICLR 2019). So figures on such
faults, also on other sellers' photos, say how well known faults are found; ``packshot evaluate vae`` also leaves
each kind out in turn.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

import cv2
import numpy as np
from scipy import optimize, special

from models.articles import Articles, ArticleSource
from models.datasets import fitting, parquet
from models.datasets.article_plan import plan_articles
from models.vae.anomaly import GENERAL, Codec, Judge, Memory, Scorer
from models.vae.faults import FAULTS, Picture
from models.vae.looks import looks
from models.vae.probe import choose_probe

CLEAN, WRONG_CATEGORY = "clean", "wrong category"
FALSE_ALARMS = 0.01  # of clean development photos, for each of the two thresholds

_RIDGE = 1e-2


def remember(codec: Codec, train: Articles, development: Articles, most: int, seed: int = 0) -> Memory:
    """Builds an autoencoder's memory.

    Args:
      codec: the autoencoder.
      train: what it was trained on.
      development: to choose the probe's penalty by.
      most: latents to keep. Rare categories are kept whole first, for a few neighbours are needed in each.
      seed: decides which of the frequent ones.
    """
    latents, _ = codec.reconstruct(train.images)
    known, _ = codec.reconstruct(development.images)
    names = train.category_names
    probe, _ = choose_probe(latents, train.categories, len(names), (known, development.categories))
    kept = spread_evenly(train.categories, most, seed)
    return Memory(latents[kept].astype(np.float16), train.categories[kept].astype(np.int16), names, probe)


def spread_evenly(categories: np.ndarray, most: int, seed: int) -> np.ndarray:
    """Returns sorted indices of at most so many items: of each category as many, as far as they go."""
    order = np.random.default_rng(seed).permutation(len(categories))
    rank = np.empty(len(categories), int)
    for category in np.unique(categories):
        members = order[categories[order] == category]
        rank[members] = np.arange(len(members))
    return np.sort(order[np.argsort(rank[order], kind="stable")][:most])


def unremembered(train: Articles, most: int, memory: int, seed: int = 0) -> Articles:
    """Returns at most so many training articles that ``remember`` does not keep: these would find themselves there.

    Args:
      train: what was trained on.
      most: how many.
      memory, seed: as of ``remember``.
    """
    others = np.setdiff1d(np.arange(len(train)), spread_evenly(train.categories, memory, seed))
    return train.take(np.sort(np.random.default_rng(seed).permutation(others)[:most]))


def pictures_of(source: ArticleSource, articles: Articles) -> Iterator[Picture]:
    """Yields articles' pictures at full size, in the articles' order: cut-outs, or photos with a matte of the whole.

    Args:
      source: where the articles come from.
      articles: of ``load_articles`` with the same source.

    Raises:
      ValueError: a cut-out cannot be decoded.
    """
    plan = plan_articles(source)
    if source.fit == "product":
        for id in articles.ids:
            cutout = cv2.imdecode(
                np.frombuffer(parquet.read_file(plan.cutouts[str(id)]), np.uint8), cv2.IMREAD_UNCHANGED
            )
            if cutout is None or cutout.ndim != 3 or cutout.shape[2] != 4:
                raise ValueError(f"the cut-out {plan.cutouts[str(id)]!r} has no alpha or cannot be decoded")
            yield cv2.cvtColor(cutout[..., :3], cv2.COLOR_BGR2RGB), np.ascontiguousarray(cutout[..., 3])
        return
    wanted = {str(id): index for index, id in enumerate(articles.ids)}
    found: dict[int, Picture] = {}
    for group in plan.groups_of_rows:
        for row in parquet.read_rows(group, plan.columns):
            if (index := wanted.get(str(row[source.id_column]))) is not None:
                content = np.frombuffer(parquet.picture_bytes(row[source.image_column], group.uri), np.uint8)
                photo = np.asarray(cv2.imdecode(content, cv2.IMREAD_COLOR_RGB))
                found[index] = photo, np.full(photo.shape[:2], 255, np.uint8)
    yield from (found[index] for index in range(len(articles)))


def fitted(picture: Picture, source: ArticleSource) -> np.ndarray | None:
    """Fits a picture as the articles were: uint8 (size, size, 3), or None where nothing of the product is left."""
    if source.fit != "product":
        return fitting.fit_frame(picture[0], source.size)
    try:
        return fitting.fit_product(np.dstack(picture), source.size)[0]
    except ValueError:
        return None


@dataclasses.dataclass(frozen=True, eq=False)
class Spoilt:
    """Articles with one fault.

    Attributes:
      images: uint8 (n, size, size, 3).
      categories: int (n,), as they are listed.
      articles: int (n,), which article each was.
    """

    images: np.ndarray
    categories: np.ndarray
    articles: np.ndarray


def spoil(source: ArticleSource, articles: Articles, seed: int = 0) -> dict[str, Spoilt]:
    """Puts every fault into every article.

    Args:
      source, articles: see ``pictures_of``.
      seed: of places, texts and colours.

    Returns:
      By fault; ``WRONG_CATEGORY``, drawn evenly among the others, is the last.
    """
    rng = np.random.default_rng(seed)
    found: dict[str, list[tuple[np.ndarray, int]]] = {name: [] for name in FAULTS}
    other: Picture | None = None
    for index, picture in enumerate(pictures_of(source, articles)):
        for name, fault in FAULTS.items():
            image = fitted(fault(picture, other or picture, rng), source)
            if image is not None:
                found[name].append((image, index))
        other = picture
    spoilt = {name: _gathered(pairs, articles) for name, pairs in found.items()}
    count = len(articles.category_names)
    wrong = (articles.categories + rng.integers(1, count, len(articles))) % count if count > 1 else articles.categories
    return spoilt | {WRONG_CATEGORY: Spoilt(articles.images, wrong, np.arange(len(articles)))}


def _gathered(pairs: list[tuple[np.ndarray, int]], articles: Articles) -> Spoilt:
    index = np.array([i for _, i in pairs], int)
    images = np.stack([image for image, _ in pairs]) if pairs else articles.images[:0]
    return Spoilt(images, articles.categories[index], index)


Measured = tuple[np.ndarray, np.ndarray]  # measures and latents, as of ``Judge.measure``


def measure_all(judge: Judge, articles: Articles, spoilt: Mapping[str, Spoilt]) -> dict[str, Measured]:
    """Measures clean articles, under the name ``CLEAN``, and those of every fault."""
    latents, made = judge.codec.reconstruct(articles.images)
    seen = looks(articles.images, made)
    measured = {CLEAN: (judge.measure_latents(latents, seen, articles.categories), latents)}
    for name, wrong in spoilt.items():
        if wrong.images is articles.images:  # only the category is another
            measured[name] = judge.measure_latents(latents, seen, wrong.categories), latents
        else:
            measured[name] = judge.measure(wrong.images, wrong.categories)
    return measured


def calibrated(memory: Memory, learnt: Sequence[Mapping[str, Measured]], chosen: Mapping[str, Measured]) -> Memory:
    """Returns a memory that scores and judges.

    Args:
      memory: of ``remember``.
      learnt: of ``measure_all``: what the detectors learn from.
      chosen: of ``measure_all`` on development articles: decides what is usual, and the thresholds.
    """
    return dataclasses.replace(memory, general=fit_scorer(*by_looks(learnt, chosen)), full=fit_scorer(learnt, chosen))


def by_looks(
    learnt: Sequence[Mapping[str, Measured]], chosen: Mapping[str, Measured]
) -> tuple[list[dict[str, Measured]], dict[str, Measured]]:
    """Returns the same measures without those of the category, and without the fault that only it shows."""
    cut = [
        {name: (found[0][:, : len(GENERAL)], found[1]) for name, found in part.items() if name != WRONG_CATEGORY}
        for part in (*learnt, chosen)
    ]
    return cut[:-1], cut[-1]


def fit_scorer(learnt: Sequence[Mapping[str, Measured]], chosen: Mapping[str, Measured]) -> Scorer:
    """Learns a detector for each kind of fault, and what is usual.

    Args:
      learnt: measures and latents by fault, of clean pictures under ``CLEAN``. Rows with NaN are left out.
      chosen: the same of clean pictures that decide what is usual, and the threshold, which ``FALSE_ALARMS`` pass.
    """
    clean = _joined(learnt, CLEAN)
    faults = [name for name in learnt[0] if name != CLEAN and len(_joined(learnt, name)[0])]
    middle, spread = np.median(clean[0], axis=0), clean[0].std(axis=0) + 1e-6
    centre, width = clean[1].mean(axis=0), clean[1].std(axis=0) + 1e-6
    middle, spread, centre, width = (array.astype(np.float32) for array in (middle, spread, centre, width))
    nothing = np.zeros(len(faults), np.float32)
    scorer = Scorer(middle, spread, centre, width, np.zeros((0, len(faults))), nothing, nothing + 1, threshold=0.0)
    usual_terms = scorer.terms(*_joined([chosen], CLEAN))
    negatives = scorer.terms(*clean)
    weights = np.stack([_detector(negatives, scorer.terms(*_joined(learnt, name))) for name in faults], axis=1)
    answers = usual_terms @ weights
    usual = np.median(answers, axis=0)
    beyond = np.maximum(np.quantile(answers, 0.95, axis=0) - usual, 1e-6)
    scorer = dataclasses.replace(
        scorer,
        weights=weights.astype(np.float32),
        usual=usual.astype(np.float32),
        beyond=beyond.astype(np.float32),
    )
    scores = scorer.score(*_joined([chosen], CLEAN))
    return dataclasses.replace(scorer, threshold=float(np.quantile(scores, 1 - FALSE_ALARMS, method="higher")))


def _joined(parts: Sequence[Mapping[str, Measured]], name: str) -> Measured:
    measures, latents = (np.concatenate([part[name][index] for part in parts]) for index in (0, 1))
    known = ~np.isnan(measures).any(axis=1)
    return measures[known], latents[known]


def _detector(clean: np.ndarray, faulty: np.ndarray) -> np.ndarray:
    """Returns the weights of a logistic regression, both sides counting alike, with a ridge: float (terms,)."""
    inputs = np.concatenate([clean, faulty])
    wanted = np.repeat([0.0, 1.0], [len(clean), len(faulty)])
    counts = np.repeat([0.5 / len(clean), 0.5 / len(faulty)], [len(clean), len(faulty)])

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        logits = inputs @ flat[:-1] + flat[-1]
        value = (counts * (np.logaddexp(0, logits) - wanted * logits)).sum() + _RIDGE * (flat[:-1] ** 2).sum()
        slope = counts * (special.expit(logits) - wanted)
        return value, np.append(inputs.T @ slope + 2 * _RIDGE * flat[:-1], slope.sum())

    start = np.zeros(inputs.shape[1] + 1)
    return optimize.minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 500}).x[:-1]
