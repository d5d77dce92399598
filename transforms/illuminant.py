"""The colour of the light: classical estimates from pixel statistics, and how a colour departs from neutral.

All estimates are members of one family (van de Weijer, Gevers and Gijsenij, "Edge-Based Color Constancy", IEEE
Transactions on Image Processing 2007): the Minkowski norm of the colours, or of their derivatives, over the picture.
"""

from __future__ import annotations

import cv2
import numpy as np

from transforms.colour import LUMINANCE

_DARKEST = 1e-4  # linear light; darker is noise, and has no logarithm


def minkowski_illuminant(
    linear: np.ndarray, power: float, *, order: int = 0, sigma: float = 0.0, valid: np.ndarray | None = None
) -> np.ndarray:
    """Estimates the light's colour by a Minkowski norm.

    ``power`` 1 is grey world, 6 shades of grey (Finlayson and Trezzi 2004); infinity is white patch; ``order`` 1 is
    grey edge.

    Args:
      linear: float (h, w, 3), linear sRGB, 0..1.
      power: of the norm, 1 or more.
      order: 0 for the colours themselves, 1 for the length of their gradients.
      sigma: deviation in pixels of the Gaussian that the picture is smoothed with first; 0 for none.
      valid: bool (h, w), pixels to heed, those that are not clipped; by default all.

    Returns:
      Linear R, G, B of the light at luminance 1, float64 (3,); (1, 1, 1) where there is nothing to go by.
    """
    field: np.ndarray = linear.astype(np.float32, copy=False)
    if sigma:
        field = cv2.GaussianBlur(field, (0, 0), sigma)
    if order:
        across = cv2.Sobel(field, cv2.CV_32F, 1, 0, scale=1 / 8)
        down = cv2.Sobel(field, cv2.CV_32F, 0, 1, scale=1 / 8)
        field = cv2.magnitude(across, down).reshape(field.shape)
    pixels = field.reshape(-1, 3) if valid is None else field[valid]
    if not len(pixels):
        return np.ones(3)
    light: np.ndarray
    if np.isinf(power):
        light = pixels.max(axis=0).astype(np.float64)
    else:
        light = np.asarray(np.power(np.power(pixels.astype(np.float64), power).mean(axis=0), 1 / power))
    if light.min() < _DARKEST:
        return np.ones(3)
    return light / (light @ LUMINANCE)


def tint(linear: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Says how colours depart from neutral, whatever their luminance.

    Args:
      linear: float (..., 3), linear sRGB.

    Returns:
      Warmth, ln R/B, about the axis from shade to tungsten; and greenness, ln G over the geometric mean of R and B.
      Each has shape (...).
    """
    red, green, blue = np.moveaxis(np.log(np.maximum(linear, _DARKEST)), -1, 0)
    return red - blue, green - (red + blue) / 2


def angle_between(one: np.ndarray, other: np.ndarray) -> float:
    """Returns the angle between two colours as vectors, in degrees; both float (3,)."""
    cosine = float(np.dot(one, other) / (np.linalg.norm(one) * np.linalg.norm(other)))
    return float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))


def recovery_error(light: np.ndarray, estimate: np.ndarray) -> float:
    """Returns the angular error of an estimated light, in degrees."""
    return angle_between(np.asarray(light, float), np.asarray(estimate, float))


def reproduction_error(light: np.ndarray, gains: np.ndarray) -> float:
    """Returns how far a white surface is from neutral after correction, in degrees.

    Source: Finlayson, Zakizadeh and Gijsenij, "The Reproduction Angular Error for Evaluating the Performance of
    Illuminant Estimation Algorithms" (IEEE Transactions on Pattern Analysis and Machine Intelligence 2017).

    Args:
      light: true linear R, G, B of a white surface in the photo, (3,).
      gains: what the correction multiplies the channels by, (3,); (1, 1, 1) for an abstention.
    """
    return angle_between(np.asarray(light, float) * np.asarray(gains, float), np.ones(3))
