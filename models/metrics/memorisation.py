"""Whether generated pictures are copies of what was trained on.

The measure is the pictures that were held out: as they cannot have been copied, they say how near to a training
picture a picture of the same kind comes by itself.
"""

from __future__ import annotations

import dataclasses

import imagehash
import numpy as np
from PIL import Image

from models.metrics.neighbours import nearest

PERCENTILE = 1.0  # of the held-out pictures are nearer than the threshold
_SIDE = 16  # of the pictures whose pixels are compared
_HASH_SIDE = 8


@dataclasses.dataclass(frozen=True)
class Memorisation:
    """How near generated pictures come to those trained on.

    Attributes:
      share: of generated pictures nearer to a training picture than ``threshold``, 0..1; held-out ones have .01.
      threshold: the first percentile of the held-out pictures' distances.
      median_ratio: median distance of generated pictures over that of held-out ones.
      distances: float64 (n,), of each generated picture from its nearest training picture.
      positions: int64 (n,), that picture.
    """

    share: float
    threshold: float
    median_ratio: float
    distances: np.ndarray
    positions: np.ndarray


def memorisation(train: np.ndarray, held_out: np.ndarray, generated: np.ndarray) -> Memorisation:
    """Compares distances from the training pictures.

    Args:
      train: float (n, d), features or pixels of what was trained on: all of it, or copies of the rest are missed.
      held_out: float (m, d), of pictures that nothing was trained on, of other sellers.
      generated: float (k, d).

    Raises:
      ValueError: a set is empty.
    """
    for name, features in (("train", train), ("held_out", held_out), ("generated", generated)):
        if not len(features):
            raise ValueError(f"memorisation was asked of 0 pictures of {name}; it needs at least 1")
    threshold, median = np.percentile(nearest(held_out, train)[0][:, 0], [PERCENTILE, 50])
    distances, positions = (found[:, 0] for found in nearest(generated, train))
    ratio = float(np.median(distances) / median) if median > 0 else float("nan")
    return Memorisation(float((distances < threshold).mean()), float(threshold), ratio, distances, positions)


def small_pixels(images: np.ndarray) -> np.ndarray:
    """Shrinks pictures to 16x16, antialiased: what two pictures share by eye, whatever a classifier makes of them.

    A classifier knows its training pictures; pixels do not care what was trained on.

    Args:
      images: uint8 (n, h, w, 3).

    Returns:
      float32 (n, 768), 0..1.
    """
    small = [np.asarray(Image.fromarray(image).resize((_SIDE, _SIDE), Image.Resampling.BOX)) for image in images]
    return np.asarray(small, np.float32).reshape(len(images), _SIDE * _SIDE * 3) / 255


def hash_distances(train: np.ndarray, queries: np.ndarray) -> np.ndarray:
    """Fewest differing bits of perceptual hashes: "phash" of ImageHash, 64 bits of the low frequencies.

    Args:
      train: uint8 (n, h, w, 3).
      queries: uint8 (m, h, w, 3).

    Returns:
      int (m,), 0..64. Clear shapes on a plain ground have few bits to differ by: compare with held-out pictures.
    """
    known, asked = _hashes(train), _hashes(queries)
    return np.array([int(np.bitwise_count(known ^ one).min()) for one in asked], int)


def _hashes(images: np.ndarray) -> np.ndarray:
    bits = [imagehash.phash(Image.fromarray(image), _HASH_SIDE).hash.ravel() for image in images]
    return np.packbits(np.asarray(bits, bool), axis=1).view(np.uint64)[:, 0]
