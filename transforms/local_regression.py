"""Regression of a plane on colour, for every pixel from a weighted window around it.

The colour model of He, Sun and Tang, "Guided Image Filtering" (TPAMI 2013), with weights: box means give
the moments of every window, and the 3x3 systems are solved in closed form, all in float32.
"""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np

_CHANNEL_PAIRS = ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))

Pixels = tuple[np.ndarray, ...]  # rows and columns, as np.nonzero gives them


def box_mean(plane: np.ndarray, radius: int) -> np.ndarray:
    """Mean over a window of ``2 * radius + 1`` pixels a side; the frame's border is mirrored."""
    size = 2 * radius + 1
    return cv2.boxFilter(plane, -1, (size, size), borderType=cv2.BORDER_REFLECT)


def colour_planes(image: np.ndarray) -> list[np.ndarray]:
    """Splits uint8 (h, w, 3) into three float32 planes, -0.5..0.5.

    Centred on 0, which keeps the differences of float32 moments exact enough.
    """
    return [plane.astype(np.float32) * (1 / 255) - 0.5 for plane in cv2.split(image)]


def solve_symmetric(matrix: list[np.ndarray], x: list[np.ndarray], epsilon: float) -> list[np.ndarray]:
    """Solves symmetric 3x3 systems, one an element, by adjugate and determinant.

    Args:
      matrix: the six upper elements, row by row, each of shape (n,).
      x: the three right-hand sides, each (n,).
      epsilon: added to the diagonal.

    Returns:
      The three solutions, each (n,).
    """
    a, b, c, d, e, f = matrix
    a, d, f = a + epsilon, d + epsilon, f + epsilon
    aa, ab, ac = d * f - e * e, c * e - b * f, b * e - c * d
    bb, bc, cc = a * f - c * c, b * c - a * e, a * d - b * b
    inverse = 1 / (a * aa + b * ab + c * ac)
    return [
        (aa * x[0] + ab * x[1] + ac * x[2]) * inverse,
        (ab * x[0] + bb * x[1] + bc * x[2]) * inverse,
        (ac * x[0] + bc * x[1] + cc * x[2]) * inverse,
    ]


@dataclasses.dataclass(frozen=True)
class Moments:
    """Weighted moments of the colours in windows around n pixels.

    Attributes:
      weight: mean weight, (n,).
      means: of the three channels, each (n,).
      covariances: the six upper elements of the matrix, row by row, each (n,).
    """

    weight: np.ndarray
    means: list[np.ndarray]
    covariances: list[np.ndarray]


def colour_moments(colours: list[np.ndarray], weight: np.ndarray, radius: int, where: Pixels) -> Moments:
    """Takes the moments of the colours in a window around the pixels ``where``.

    Args:
      colours: three float32 planes (h, w).
      weight: of each pixel, float32 (h, w), at least 0.
      radius: of the window.
      where: n pixels.
    """
    total = box_mean(weight, radius)[where] + 1e-5
    weighted = [c * weight for c in colours]
    means = [box_mean(c, radius)[where] / total for c in weighted]
    covariances = [
        box_mean(weighted[i] * colours[j], radius)[where] / total - means[i] * means[j] for i, j in _CHANNEL_PAIRS
    ]
    return Moments(total, means, covariances)


def regress_on_colour(
    colours: list[np.ndarray],
    target: np.ndarray,
    weight: np.ndarray,
    radius: int,
    epsilon: float,
    where: Pixels,
) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
    """Fits ``target ~ slopes . colour + offset`` in a window around each of the pixels ``where``.

    Args:
      colours: three float32 planes (h, w), -0.5..0.5.
      target: float32 (h, w).
      weight: of each pixel, float32 (h, w), at least 0.
      radius: of the window.
      epsilon: variance of colour below which slopes are held down.
      where: n pixels.

    Returns:
      The three slopes, each (n,); the offset, (n,); the share of the target's variance that colour
      explains, (n,), 0..1.
    """
    moments = colour_moments(colours, weight, radius, where)
    weighted = target * weight
    mean = box_mean(weighted, radius)[where] / moments.weight
    variance = box_mean(weighted * target, radius)[where] / moments.weight - mean * mean
    covariance = [
        box_mean(weighted * c, radius)[where] / moments.weight - m * mean
        for c, m in zip(colours, moments.means, strict=True)
    ]
    slopes = solve_symmetric(moments.covariances, covariance, epsilon)
    offset = mean - dot(slopes, moments.means)
    explained = dot(slopes, covariance) / (variance + 1e-3)
    return slopes, offset, np.clip(explained, 0, 1)


def dot(left: list[np.ndarray], right: list[np.ndarray]) -> np.ndarray:
    """Inner products of vectors given as lists of their components."""
    return left[0] * right[0] + left[1] * right[1] + left[2] * right[2]
