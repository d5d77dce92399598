"""Labelled photos for training, in memory, and who is kept out of training to choose by.

Everything is held at one working size, squashed to a square as the network will see it, in uint8.
"""

from __future__ import annotations

import dataclasses
import hashlib

import cv2
import numpy as np

WORKING_SIZE = 320
LARGE_GROUP = 40  # holding out a seller of more photos would cost training more than it tells


@dataclasses.dataclass
class Examples:
    """A set of labelled photos.

    Attributes:
      ids: (n,) names for messages and caches.
      groups: (n,) what never crosses a split: the seller or the source.
      images: uint8 (n, size, size, 3), RGB.
      labels: uint8 (n, size, size), 0 ground to 255 product.
      weights: uint8 (n, size, size), 0 to be ignored by the loss to 255 trusted.
      reviewed: bool (n,), whether a person judged the label: it is then never replaced. None for nowhere.
    """

    ids: np.ndarray
    groups: np.ndarray
    images: np.ndarray
    labels: np.ndarray
    weights: np.ndarray
    reviewed: np.ndarray = None  # type: ignore[assignment]

    def __post_init__(self):
        if self.reviewed is None:
            self.reviewed = np.zeros(len(self.ids), bool)

    def __len__(self) -> int:
        return len(self.ids)

    @classmethod
    def empty(cls, size: int = WORKING_SIZE) -> Examples:
        """Returns a set of nothing."""
        plane = np.zeros((0, size, size), np.uint8)
        return cls(np.zeros(0, str), np.zeros(0, str), np.zeros((0, size, size, 3), np.uint8), plane, plane.copy())

    @property
    def trusted(self) -> np.ndarray:
        """bool (n,): whether any pixel of the label counts."""
        return np.asarray(self.weights.any(axis=(1, 2)))

    def take(self, chosen: np.ndarray) -> Examples:
        """Returns the examples at these indices, or where this mask is true."""
        return Examples(*(getattr(self, field.name)[chosen] for field in dataclasses.fields(self)))

    def joined(self, other: Examples) -> Examples:
        """Returns these examples and then the others."""
        names = [field.name for field in dataclasses.fields(self)]
        return Examples(*(np.concatenate([getattr(self, name), getattr(other, name)]) for name in names))


def held_out(group: str, percent: int) -> bool:
    """Tells whether a seller or source belongs to the development split, the same on every machine."""
    return int(hashlib.sha256(group.encode()).hexdigest()[:8], 16) % 100 < percent


def square(picture: np.ndarray, size: int = WORKING_SIZE) -> np.ndarray:
    """Squashes a picture or mask to ``size`` x ``size``, averaging where it shrinks."""
    shrinks = min(picture.shape[:2]) >= size
    return cv2.resize(picture, (size, size), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
