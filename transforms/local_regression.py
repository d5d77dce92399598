"""Regression of a plane on colour, for chosen pixels, each from a weighted window around it.

The colour model of He, Sun and Tang, "Guided Image Filtering" (TPAMI 2013), with weights: box means give
the moments of every window, and the 3x3 systems are solved in closed form, all in float32. Planes travel
by fours, as box means of four channels at once are the fastest, and pixels by their place in the flattened
picture, as reading them so is.
"""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np


def box_mean(plane: np.ndarray, radius: int) -> np.ndarray:
    """Mean over a window of ``2 * radius + 1`` pixels a side, float32; the frame's border is mirrored."""
    size = 2 * radius + 1
    return cv2.boxFilter(plane, cv2.CV_32F, (size, size), borderType=cv2.BORDER_REFLECT)


def take(planes: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Reads pixels by their place in the flattened picture: (n,) of a plane, (channels, n) of several."""
    if planes.ndim == 2:
        return planes.reshape(-1).take(where)
    return np.ascontiguousarray(planes.reshape(-1, planes.shape[2]).take(where, axis=0).T)


@dataclasses.dataclass(frozen=True)
class Colours:
    """A picture's colours and their products, ready for box means.

    Attributes:
      linear: 1 and the channels R, G, B, -0.5..0.5; float32 (h, w, 4). Centred on 0, which keeps the
        differences of float32 moments exact enough.
      squares: RR, RG, RB, GG; float32 (h, w, 4).
      rest: GB, BB; float32 (h, w, 2).
    """

    linear: np.ndarray
    squares: np.ndarray
    rest: np.ndarray

    @classmethod
    def of(cls, image: np.ndarray) -> Colours:
        """Takes them of a picture, uint8 (h, w, 3), RGB."""
        red, green, blue = (cv2.addWeighted(p, 1 / 255, p, 0, -0.5, dtype=cv2.CV_32F) for p in cv2.split(image))
        return cls(
            cv2.merge([np.ones_like(red), red, green, blue]),
            cv2.merge([red * red, red * green, red * blue, green * green]),
            cv2.merge([green * blue, blue * blue]),
        )


def solve_symmetric(matrix: np.ndarray, x: np.ndarray, epsilon: float) -> np.ndarray:
    """Solves symmetric 3x3 systems by adjugate and determinant.

    Args:
      matrix: the six upper elements of n matrices, row by row, (6, n).
      x: the right-hand sides, (3, n).
      epsilon: added to the diagonal.

    Returns:
      The solutions, (3, n).
    """
    a, b, c, d, e, f = matrix
    a, d, f = a + epsilon, d + epsilon, f + epsilon
    aa, ab, ac = d * f - e * e, c * e - b * f, b * e - c * d
    bb, bc, cc = a * f - c * c, b * c - a * e, a * d - b * b
    inverse = 1 / (a * aa + b * ab + c * ac)
    solution = np.stack([
        aa * x[0] + ab * x[1] + ac * x[2],
        ab * x[0] + bb * x[1] + bc * x[2],
        ac * x[0] + bc * x[1] + cc * x[2],
    ])  # fmt: skip
    return solution * inverse


@dataclasses.dataclass(frozen=True)
class Moments:
    """Weighted moments of the colours in windows around n pixels.

    Attributes:
      weight: mean weight, (n,).
      means: of the three channels, (3, n).
      covariances: the six upper elements of the matrix, row by row, (6, n).
    """

    weight: np.ndarray
    means: np.ndarray
    covariances: np.ndarray


def _weighted(planes: np.ndarray, weight: np.ndarray | None) -> np.ndarray:
    return planes if weight is None else cv2.multiply(planes, cv2.merge([weight] * planes.shape[2]))


def colour_moments(colours: Colours, weight: np.ndarray | None, radius: int, where: np.ndarray) -> Moments:
    """Takes the moments of the colours in a window around the pixels ``where``.

    Args:
      colours: of the picture.
      weight: of each pixel, float32 (h, w), at least 0; None for 1 everywhere.
      radius: of the window.
      where: (n,) pixels, as ``np.flatnonzero`` gives them.
    """
    first, squares, rest = (
        take(box_mean(_weighted(planes, weight), radius), where)
        for planes in (colours.linear, colours.squares, colours.rest)
    )
    total = first[0] + 1e-5
    inverse = 1 / total
    red, green, blue = means = first[1:] * inverse
    products = np.concatenate([squares, rest]) * inverse
    products -= np.stack([red * red, red * green, red * blue, green * green, green * blue, blue * blue])
    return Moments(total, means, products)


def regress_on_colour(
    colours: Colours,
    target: np.ndarray,
    weight: np.ndarray | None,
    radius: int,
    epsilon: float,
    where: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Fits ``target ~ slopes . colour + offset`` in a window around each of the pixels ``where``.

    Args:
      colours: of the picture.
      target: float32 (h, w).
      weight: of each pixel, float32 (h, w), at least 0; None for 1 everywhere.
      radius: of the window.
      epsilon: variance of colour below which slopes are held down.
      where: (n,) pixels, as ``np.flatnonzero`` gives them.

    Returns:
      The offset and the three slopes, (4, n); the share of the target's variance that colour explains,
      (n,), 0..1.
    """
    moments = colour_moments(colours, weight, radius, where)
    weighted = target if weight is None else target * weight
    inverse = 1 / moments.weight
    mean, *cross = take(box_mean(_weighted(colours.linear, weighted), radius), where) * inverse
    covariance = np.stack(cross) - moments.means * mean
    slopes = solve_symmetric(moments.covariances, covariance, epsilon)
    variance = take(box_mean(weighted * target, radius), where) * inverse - mean * mean
    explained = dot(slopes, covariance) / (variance + 1e-3)
    return np.concatenate([(mean - dot(slopes, moments.means))[None], slopes]), np.clip(explained, 0, 1)


def dot(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Inner products of vectors given by their components, (3, n) each."""
    return left[0] * right[0] + left[1] * right[1] + left[2] * right[2]
