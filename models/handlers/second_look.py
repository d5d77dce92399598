"""A second look at pictures whose mask is in doubt: mirrored, from farther away, and both.

What a network is sure of it sees in any view. Where it is not, views err in different places, and their mean is nearer
to the truth than any of them: averaging over views at test time, as in Krizhevsky et al. (NeurIPS 2012).
"""

from __future__ import annotations

import cv2
import numpy as np

DOUBTFUL = 0.2  # on 70 hand-drawn garments a half-trained network's mattes had IoU .96 below it and .78 above
VIEWS = 3  # beside the first
_OUTLINE = 0.03  # grey up to this share of the longest side in width is an edge, beyond it is doubt
_MARGIN = 0.12  # of a side, by which the farther view shows more, mirrored on at the frame


def measure_doubt(mask: np.ndarray) -> float:
    """Area of soft pixels as a share of the product's, 0..1; a crisp outline has nearly none.

    Args:
      mask: uint8 (h, w), 0 ground to 255 product.

    Returns:
      The share; 0 where nothing is rather product than ground.
    """
    solid = cv2.inRange(mask, 128, 255)
    if not cv2.countNonZero(solid):
        return 0.0
    # opening leaves areas of grey and drops outlines, whose softness is as it should be
    soft = cv2.inRange(mask, 26, 229)
    outline = max(3, round(_OUTLINE * max(mask.shape)))
    soft = cv2.morphologyEx(soft, cv2.MORPH_OPEN, np.ones((outline, outline), np.uint8))
    return cv2.countNonZero(soft) / cv2.countNonZero(cv2.max(soft, solid))


def other_views(image: np.ndarray) -> list[np.ndarray]:
    """Returns the ``VIEWS`` other views of a square picture, of its size and type.

    Args:
      image: uint8 (s, s, 3).
    """
    size, margin = len(image), _margin(len(image))
    wider = cv2.copyMakeBorder(image, margin, margin, margin, margin, cv2.BORDER_REFLECT_101)
    farther = cv2.resize(wider, (size, size), interpolation=cv2.INTER_AREA)
    return [cv2.flip(image, 1), farther, cv2.flip(farther, 1)]


def merge_masks(first: np.ndarray, others: list[np.ndarray]) -> np.ndarray:
    """Averages a picture's mask with those of its other views.

    Args:
      first: uint8 (s, s), of the picture.
      others: uint8 (s, s) each, as ``other_views`` shows it.

    Returns:
      uint8 (s, s), of the picture.
    """
    mirrored, farther, both = others
    total = np.add(first, cv2.flip(mirrored, 1), dtype=np.uint16)
    for mask in (farther, cv2.flip(both, 1)):
        total += _nearer(mask)
    return ((total + 2) // 4).astype(np.uint8)


def _nearer(mask: np.ndarray) -> np.ndarray:
    """Returns what a mask of the farther view shows of the picture itself."""
    size, margin = len(mask), _margin(len(mask))
    wider = cv2.resize(mask, (size + 2 * margin, size + 2 * margin), interpolation=cv2.INTER_LINEAR)
    return wider[margin : margin + size, margin : margin + size]


def _margin(size: int) -> int:
    return round(_MARGIN * size)
