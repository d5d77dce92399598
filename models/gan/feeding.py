"""Batches of real articles, each fixed by the seed and its step."""

from __future__ import annotations

import keras
import numpy as np

from models.articles import Articles


def category_shares(categories: np.ndarray, balance: float) -> np.ndarray:
    """Returns each article's chance of being drawn.

    Args:
      categories: int (n,).
      balance: 0 for articles as they come, 1 for all categories alike; between, each category's share to the power
        of 1 - balance.

    Returns:
      float64 (n,), summing to 1.
    """
    counts = np.bincount(categories).astype(np.float64)
    weights = np.power(counts, -balance, where=counts > 0, out=np.zeros_like(counts))[categories]
    return weights / weights.sum()


class ArticleBatches(keras.utils.PyDataset):
    """The batches of some steps, in the form that ``fit`` takes.

    A batch is a dict of ``picture`` uint8 (batch, size, size, 3) and int32 (batch,) ``category`` and ``colour``.

    Args:
      articles: real ones.
      batch_size: pictures a step.
      seed: of the whole stream.
      first: the first step.
      count: number of steps.
      mirrored: whether pictures are mirrored at random.
      balance: as for ``category_shares``.
    """

    def __init__(
        self, articles: Articles, batch_size: int, seed: int, first: int, count: int, *, mirrored: bool, balance: float
    ):
        super().__init__()
        self._articles, self._batch, self._seed = articles, batch_size, seed
        self._first, self._count, self._mirrored = first, count, mirrored
        self._shares = category_shares(articles.categories, balance)

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int):
        rng = np.random.default_rng((self._seed, self._first + index))
        chosen = rng.choice(len(self._articles), self._batch, p=self._shares)
        pictures = self._articles.images[chosen]
        if self._mirrored:
            turned = rng.random(self._batch) < 0.5
            pictures[turned] = pictures[turned, :, ::-1]
        return (
            {
                "picture": pictures,
                "category": self._articles.categories[chosen],
                "colour": self._articles.colours[chosen],
            },
        )
