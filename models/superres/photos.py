"""Photos at their own scale, parted by seller as the articles are."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection

import cv2
import numpy as np

from models.articles import ArticleSource


@dataclasses.dataclass(frozen=True)
class Photos:
    """Middles of photos.

    Attributes:
      ids: of each photo.
      groups: the seller of each.
      images: uint8 (n, size, size, 3), RGB.
    """

    ids: tuple[str, ...]
    groups: tuple[str, ...]
    images: np.ndarray

    def __len__(self) -> int:
        return len(self.ids)

    def spread(self, count: int) -> Photos:
        """Returns so many of the photos, evenly from the first to the last, or all where there are not so many."""
        chosen = np.unique(np.linspace(0, len(self) - 1, min(count, len(self))).round().astype(int))
        return Photos(tuple(self.ids[i] for i in chosen), tuple(self.groups[i] for i in chosen), self.images[chosen])


def read_photos(source: ArticleSource, splits: Collection[str]) -> dict[str, Photos]:
    """Reads the middles of photos, straight from their Parquet files.

    Nothing is kept on disk as a dataset: they are read once, in less time than it takes to write them.

    Args:
      source: where they are, how they are parted and how large a middle is taken; ``fit`` is crop.
      splits: which of ``models.articles.SPLITS`` to read.

    Returns:
      The photos of each split; photos too small or broken are left out, and counted in a line.

    Raises:
      FileNotFoundError, ValueError: the data are not as the source says.
    """
    from models.datasets import parquet
    from models.datasets.article_plan import plan_articles, train_rows
    from models.datasets.fitting import fit_crop

    plan = plan_articles(source)
    found: dict[str, list[tuple[str, str, np.ndarray]]] = {split: [] for split in splits}
    left_out = 0
    for group in plan.groups_of_rows:
        for split, row in train_rows(plan, parquet.read_rows(group, plan.columns)):
            if split not in found:
                continue
            try:
                photo = _decoded(parquet.picture_bytes(row[source.image_column], group.uri))
                middle = fit_crop(photo, source.size)
            except (ValueError, OSError, cv2.error):
                left_out += 1
                continue
            found[split].append((str(row[source.id_column]), str(row[source.group_column]), middle))
    if left_out:
        print(f"{left_out:,} photos are broken or smaller than {source.size} pixels and are left out", flush=True)
    return {split: _gathered(photos, source.size) for split, photos in found.items()}


def _decoded(content: bytes) -> np.ndarray:
    picture = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR_RGB) if content else None
    if picture is None:
        raise ValueError("a photo cannot be decoded")
    return np.asarray(picture)


def _gathered(photos: list[tuple[str, str, np.ndarray]], size: int) -> Photos:
    ids, groups, images = zip(*photos, strict=True) if photos else ((), (), ())
    return Photos(ids, groups, np.stack(images) if images else np.zeros((0, size, size, 3), np.uint8))
