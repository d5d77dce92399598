"""Regression of a plane on colour, for chosen pixels, each from a window around it.

The colour model of He, Sun and Tang, "Guided Image Filtering" (TPAMI 2013), with weights: box means give
the moments of every window, and the 3x3 systems are solved in closed form, all in float32. Planes travel
by fours, as box means of four channels at once are the fastest, and pixels by their place in the flattened
picture, as reading them so is.
"""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np

_THIRDS = np.full(3, 1 / 3, np.float32)
_LEFT, _RIGHT = [0, 0, 0, 1, 1, 2], [0, 1, 2, 1, 2, 2]  # channels of the six elements of a symmetric matrix


def box_mean(plane: np.ndarray, radius: int) -> np.ndarray:
    """Mean over a window of ``2 * radius + 1`` pixels a side, float32; the frame's border is mirrored."""
    size = 2 * radius + 1
    if radius == 1:  # three taps are faster than a running sum
        return cv2.sepFilter2D(plane, cv2.CV_32F, _THIRDS, _THIRDS, borderType=cv2.BORDER_REFLECT)
    return cv2.boxFilter(plane, cv2.CV_32F, (size, size), borderType=cv2.BORDER_REFLECT)


def take(planes: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Reads pixels by their place in the flattened picture: (n,) of a plane, (channels, n) of several."""
    if planes.ndim == 2:
        return planes.reshape(-1).take(where)
    return np.ascontiguousarray(planes.reshape(-1, planes.shape[2]).take(where, axis=0).T)


def _centred(image: np.ndarray) -> list[np.ndarray]:
    """Returns the channels of a picture, uint8 (h, w, 3), as float32 (h, w) each, -0.5..0.5.

    Centred on 0, they keep the differences of float32 moments exact enough.
    """
    return [cv2.addWeighted(plane, 1 / 255, plane, 0, -0.5, dtype=cv2.CV_32F) for plane in cv2.split(image)]


def apply_models(models: np.ndarray, pixels: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Applies small linear models of colour to chosen pixels, interpolating between the models.

    Args:
      models: float32 (h, w, 4): factors for R, G, B and an offset, for colours of 0..1.
      pixels: uint8 (a, b, 4): R, G, B and 255, which the offset is multiplied by.
      x, y: where to read the models, in their pixels, float32 (a, b), b at most 32,766: ``cv2.remap`` takes no more.

    Returns:
      float32 (a, b): 255 times what the models give.
    """
    found = cv2.remap(models, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    terms = cv2.multiply(found, pixels, dtype=cv2.CV_32F)
    return (terms[..., 0] + terms[..., 1]) + (terms[..., 2] + terms[..., 3])


def take_pixels(pixels: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Reads pixels, uint8 (h, w, 4), by their place in the flattened picture: uint8 (*where.shape, 4)."""
    return pixels.view(np.uint32).reshape(-1).take(where)[..., None].view(np.uint8)


@dataclasses.dataclass(frozen=True)
class Colours:
    """A picture's colours and their products, ready for box means.

    Attributes:
      linear: 1 and the channels R, G, B, -0.5..0.5; float32 (h, w, 4).
      squares: RR, RG, RB, GG; float32 (h, w, 4).
      rest: GB, BB; float32 (h, w, 2).
    """

    linear: np.ndarray
    squares: np.ndarray
    rest: np.ndarray

    @classmethod
    def of(cls, image: np.ndarray) -> Colours:
        """Takes them of a picture, uint8 (h, w, 3), RGB."""
        red, green, blue = _centred(image)
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


def _weighted(planes: np.ndarray, weight: np.ndarray) -> np.ndarray:
    return cv2.multiply(planes, cv2.merge([weight] * planes.shape[2]))


def colour_moments(colours: Colours, weight: np.ndarray | None, radius: int, where: np.ndarray) -> Moments:
    """Takes the moments of the colours in a window around the pixels ``where``.

    Args:
      colours: of the picture.
      weight: of each pixel, float32 (h, w), at least 0; without it all count alike.
      radius: of the window.
      where: (n,) places in the flattened picture.
    """
    first, squares, rest = (
        take(box_mean(planes if weight is None else _weighted(planes, weight), radius), where)
        for planes in (colours.linear, colours.squares, colours.rest)
    )
    total = first[0] + 1e-5
    inverse = 1 / total
    means = first[1:] * inverse
    covariances = np.concatenate([squares, rest])
    covariances *= inverse
    covariances -= means[_LEFT] * means[_RIGHT]
    return Moments(total, means, covariances)


def regress_on_colour(
    colours: Colours,
    target: np.ndarray,
    weight: np.ndarray,
    radius: int,
    epsilon: float,
    where: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Fits ``target ~ slopes . colour + offset`` in a window around each of the pixels ``where``.

    Args:
      colours: of the picture.
      target: float32 (h, w).
      weight: of each pixel, float32 (h, w), at least 0.
      radius: of the window.
      epsilon: variance of colour below which slopes are held down.
      where: (n,) places in the flattened picture.

    Returns:
      The offset and the three slopes, (4, n); the share of the target's variance that colour explains,
      (n,), 0..1.
    """
    moments = colour_moments(colours, weight, radius, where)
    weighted = target * weight
    mean, model, covariance = _fit(colours, moments, weighted, radius, epsilon, where)
    variance = take(box_mean(weighted * target, radius), where) / moments.weight - mean * mean
    explained = dot(model[1:], covariance) / (variance + 1e-3)
    return model, np.clip(explained, 0, 1)


def fit_colour(colours: Colours, target: np.ndarray, radius: int, epsilon: float, where: np.ndarray) -> np.ndarray:
    """Fits as ``regress_on_colour`` does where all pixels count alike, and says nothing of how well: (4, n)."""
    moments = colour_moments(colours, None, radius, where)
    return _fit(colours, moments, target, radius, epsilon, where)[1]


def _fit(
    colours: Colours, moments: Moments, weighted: np.ndarray, radius: int, epsilon: float, where: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """From a target times its weights: its mean, (n,), the model, (4, n), and covariance with colour, (3, n)."""
    cross = take(box_mean(_weighted(colours.linear, weighted), radius), where)
    cross *= 1 / moments.weight
    mean, covariance = cross[0], cross[1:]
    covariance -= moments.means * mean
    model = np.empty_like(cross)
    model[1:] = solve_symmetric(moments.covariances, covariance, epsilon)
    model[0] = mean - dot(model[1:], moments.means)
    return mean, model, covariance


def dot(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Inner products of vectors given by their components, (3, n) each."""
    return left[0] * right[0] + left[1] * right[1] + left[2] * right[2]
