"""Pictures of articles with their category and main colour, in memory: what the generative models learn from."""

from __future__ import annotations

import dataclasses
from typing import Literal

import numpy as np

from models.main_colour import COLOUR_NAMES

__all__ = ["COLOUR_NAMES", "DEVELOPMENT", "SPLITS", "TEST", "TRAIN", "ArticleSource", "Articles"]

Fit = Literal["product", "frame", "crop"]

TRAIN, DEVELOPMENT, TEST = SPLITS = ("train", "development", "test")


@dataclasses.dataclass(frozen=True)
class ArticleSource:
    """Where articles come from, and how they are fitted to a square.

    Attributes:
      path: Parquet file of the catalogue, or folder or glob of them; local, ``gs://`` or ``s3://``.
      cutouts: output folder of a ``packshot run --outputs cutout`` over the same catalogue, for ``fit`` product.
      id_column: column of unique ids.
      image_column: column of encoded bytes, of ``struct<bytes, path>`` or of URIs.
      group_column: column of the seller, studio or shoot: its photos are all in one split.
      category_column: column of categories.
      split_column: column that says which photos may be trained on. None for the column ``split`` where there is
        one, else all may.
      split: value in that column of photos that may be trained on. Other photos of groups that are trained on are
        left out, and groups without a photo to train on belong to the test split.
      size: side of the square in pixels.
      fit: ``product`` sets the cut-out in the middle of a plain light ground, ``frame`` squashes the whole photo,
        ``crop`` takes the middle of the photo as it is, shrunk only where its shorter side is over twice the size.
      test_percent, development_percent: shares of the groups that are kept out of training, to report on and to
        choose by.
      large_group: groups of more photos than this are trained on, whatever the shares.
      left_out_reasons: photos that a run sent to review for one of these are not used, for ``fit`` product.
    """

    path: str
    cutouts: str = ""
    id_column: str = "id"
    image_column: str = "image"
    group_column: str = "seller"
    category_column: str = "category"
    split_column: str | None = None
    split: str = "train"
    size: int = 64
    fit: Fit = "product"
    test_percent: int = 25
    development_percent: int = 12
    large_group: int = 120
    left_out_reasons: tuple[str, ...] = ("uncertain_mask", "low_presence", "several_products")

    def __post_init__(self):
        if self.size < 8:
            raise ValueError(f"size={self.size!r} must be at least 8")
        if self.fit == "product" and not self.cutouts:
            raise ValueError(
                "cutouts is empty; name the output folder of packshot run --outputs cutout, or take fit: frame"
            )
        for name in ("test_percent", "development_percent"):
            if not 0 <= getattr(self, name) <= 100:
                raise ValueError(f"{name}={getattr(self, name)!r} must be from 0 to 100")
        if self.test_percent + self.development_percent >= 100:
            raise ValueError(
                f"test_percent={self.test_percent!r} and development_percent={self.development_percent!r} leave "
                "nothing to train on"
            )


@dataclasses.dataclass
class Articles:
    """A set of articles.

    Attributes:
      ids: str (n,).
      groups: str (n,), what never crosses a split.
      categories: int32 (n,), positions in ``category_names``.
      colours: int32 (n,), positions in ``COLOUR_NAMES``.
      images: uint8 (n, size, size, 3), RGB.
      category_names: the same for all splits, in alphabetical order.
    """

    ids: np.ndarray
    groups: np.ndarray
    categories: np.ndarray
    colours: np.ndarray
    images: np.ndarray
    category_names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, chosen: np.ndarray) -> Articles:
        """Returns the articles at these indices, or where this mask is true."""
        return Articles(
            self.ids[chosen],
            self.groups[chosen],
            self.categories[chosen],
            self.colours[chosen],
            self.images[chosen],
            self.category_names,
        )
