"""Whether the figures notice: real pictures spoilt in known ways, measured as if they had been generated."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np

from models.articles import Articles
from models.metrics.generation import Extractor, GenerationScores, compare, extract

BLURS = (0.5, 1.0, 2.0)  # sigma of the Gaussian, pixels at 64
NOISES = (4.0, 8.0, 16.0)  # deviation, levels of 255
KEPT = (0.5, 0.25)  # of the pictures' categories


def spoilt(articles: Articles, *, seed: int = 0) -> Iterator[tuple[str, np.ndarray]]:
    """Yields a name and uint8 pictures for each way and strength, as they are first.

    Args:
      articles: real ones.
      seed: of noise and copies.
    """
    images, draw = articles.images, np.random.default_rng(seed)
    yield "as they are", images
    for sigma in BLURS:
        scale = images.shape[1] / 64
        yield f"blurred, sigma {sigma:g}", np.stack([cv2.GaussianBlur(i, (0, 0), sigma * scale) for i in images])
    for deviation in NOISES:
        noise = draw.normal(0, deviation, images.shape)
        yield f"noise, deviation {deviation:g}", np.clip(images + noise, 0, 255).round().astype(np.uint8)
    by_size = np.argsort(-np.bincount(articles.categories, minlength=len(articles.category_names)), kind="stable")
    for share in KEPT:
        kept = by_size[: max(1, round(share * len(by_size)))]
        chosen = draw.choice(np.flatnonzero(np.isin(articles.categories, kept)), len(images))
        yield f"of {len(kept)} of {len(by_size)} categories", images[chosen]
    few = draw.choice(len(images), max(2, len(images) // 10), replace=False)
    yield f"{len(few):,} pictures, each many times", images[draw.choice(few, len(images))]


def spoilt_scores(train: Articles, extractor: Extractor, *, k: int, seed: int = 0) -> dict[str, GenerationScores]:
    """Measures one half of the training pictures, spoilt, against the other half.

    Args:
      train: real articles.
      extractor: whose features count.
      k: neighbour that gives a picture's reach.
      seed: of the halves and of what is spoilt.
    """
    order = np.random.default_rng(seed).permutation(len(train))
    first, second = (train.take(part) for part in np.array_split(order, 2))
    reference = extract(first.images, extractor)
    return {
        name: compare(reference, extract(images, extractor), k=k, seed=seed)
        for name, images in spoilt(second, seed=seed)
    }
