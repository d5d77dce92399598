"""Shadows under a packshot's product: drawn ones, and the photo's own.

A shadow is a map of how much light it takes, 0 none to 1 all; the ground is multiplied by what is left.
"""

from __future__ import annotations

import cv2
import numpy as np

_DRAWN_SIDE = 250  # a blur of several pixels needs no more
_FAINT = 0.01  # a shadow that takes less is none, so that the ground around it stays exactly itself
_FIT_SIDE = 160


def contact_shadow(alpha: np.ndarray) -> np.ndarray:
    """Draws the narrow shadow where a product rests: none at its top, growing towards its foot.

    Args:
      alpha: the product's matte on the canvas, uint8 (H, W).

    Returns:
      float32 (H, W), 0..1.
    """
    small, side = _small(alpha)
    rows = np.flatnonzero((small > 0.5).any(axis=1))
    if not len(rows):
        return np.zeros(alpha.shape, np.float32)
    ramp = np.clip((np.arange(small.shape[0]) - rows[0]) / max(1, rows[-1] - rows[0]), 0, 1) ** 2
    shadow = _blurred(_moved(small, 0, 0.008 * side), 0.010 * side) * (0.5 * ramp[:, None])
    return _large(shadow, alpha.shape)


def drop_shadow(alpha: np.ndarray) -> np.ndarray:
    """Draws the soft shadow of a product that lies flat, lit from the upper left.

    Args and returns: as ``contact_shadow``.
    """
    small, side = _small(alpha)
    return _large(0.32 * _blurred(_moved(small, 0.010 * side, 0.018 * side), 0.020 * side), alpha.shape)


def photographed_shadow(image: np.ndarray, alpha: np.ndarray) -> np.ndarray | None:
    """Takes the product's own shadow from the photo: how much darker the ground is there than its light would be.

    The light on the ground is a quadratic surface, fitted to the ground's luminance with the darker pixels left out
    again and again.

    Args:
      image: uint8 (h, w, 3), sRGB.
      alpha: the matte, uint8 (h, w).

    Returns:
      float32 (h, w), 0..1; 0 far from the product. None where the ground is no plain one, so that its pattern would be
      taken for shadow.
    """
    scale = min(1.0, _FIT_SIDE / max(alpha.shape))
    size = (max(1, round(alpha.shape[1] * scale)), max(1, round(alpha.shape[0] * scale)))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    luminance = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY) ** 2.2
    product = cv2.dilate((cv2.resize(alpha, size, interpolation=cv2.INTER_AREA) > 8).astype(np.uint8), np.ones((3, 3)))
    ground = product == 0
    if ground.mean() < 0.1:
        return None
    ys, xs = np.mgrid[: size[1], : size[0]] / max(size)
    terms = np.stack([np.ones_like(xs), xs, ys, xs * xs, xs * ys, ys * ys], axis=-1)
    lit = ground.copy()
    for _ in range(4):
        surface = terms @ np.linalg.lstsq(terms[lit], luminance[lit], rcond=None)[0]
        ratio = luminance / np.maximum(surface, 1e-3)
        lit = ground & (ratio > 0.94)
        if lit.sum() < 0.25 * ground.sum():
            return None
    distance = cv2.distanceTransform(ground.astype(np.uint8), cv2.DIST_L2, 3) / max(size)
    far = ground & (distance > 0.12)  # where a product's shadow does not reach, the light has to be the surface's
    if surface[ground].min() < 0.05 or np.std(ratio[lit]) > 0.04 or (far.any() and np.mean(~lit[far]) > 0.1):
        return None
    shadow = np.where(ground, np.clip(1 - ratio - 0.03, 0, 0.85), 0).astype(np.float32)
    # a floor's joints are no shadow
    shadow = np.asarray(cv2.morphologyEx(shadow, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)), np.float32)
    shadow = _smooth_over_ground(shadow, ground) * _reached(shadow, product)
    near = np.clip((0.24 - distance) / 0.21, 0, 1)
    fade = (near * near * (3 - 2 * near)).astype(np.float32)  # without the kink that the eye sees as an edge
    return cv2.resize(shadow * fade, alpha.shape[1::-1], interpolation=cv2.INTER_CUBIC).clip(0, 0.85)


def _smooth_over_ground(shadow: np.ndarray, ground: np.ndarray) -> np.ndarray:
    """Smooths a shadow and carries it on under the product's edge, by the mean of the ground around each pixel."""
    weight = ground.astype(np.float32)
    mean = cv2.GaussianBlur(shadow * weight, (0, 0), 1.5) / np.maximum(cv2.GaussianBlur(weight, (0, 0), 1.5), 1e-2)
    return np.asarray(mean, np.float32)


def _reached(shadow: np.ndarray, product: np.ndarray) -> np.ndarray:
    """Returns 1 where darkness hangs together with the product, running out to 0 where it is another thing's."""
    _, parts = cv2.connectedComponents(((shadow > 0.03) | (product > 0)).astype(np.uint8))
    own = np.isin(parts, np.unique(parts[product > 0])) & (parts > 0)
    _, grounds = cv2.connectedComponents((product == 0).astype(np.uint8))
    rim = np.concatenate([grounds[0], grounds[-1], grounds[:, 0], grounds[:, -1]])
    own &= np.isin(grounds, rim)  # in a gap of the matte, darkness is a piece of the product as often as shadow
    return cv2.GaussianBlur(cv2.dilate(own.astype(np.float32), np.ones((3, 3))), (0, 0), 1.0)


def _small(alpha: np.ndarray) -> tuple[np.ndarray, float]:
    scale = min(1.0, _DRAWN_SIDE / max(alpha.shape))
    size = (max(1, round(alpha.shape[1] * scale)), max(1, round(alpha.shape[0] * scale)))
    small = cv2.resize(alpha, size, interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    return small, float(max(small.shape))


def _moved(plane: np.ndarray, right: float, down: float) -> np.ndarray:
    return cv2.warpAffine(plane, np.array([[1, 0, right], [0, 1, down]]), plane.shape[::-1])


def _blurred(plane: np.ndarray, sigma: float) -> np.ndarray:
    return cv2.GaussianBlur(plane, (0, 0), max(0.3, sigma), borderType=cv2.BORDER_CONSTANT)


def _large(shadow: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    large = cv2.resize(shadow.astype(np.float32), (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR)
    large[large < _FAINT] = 0
    return large
