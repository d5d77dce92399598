"""Fitting photos and cut-outs to the square that a generative model learns."""

from __future__ import annotations

import cv2
import numpy as np

GROUND = 243  # the plain light ground, of 255: white goods stay visible on it
_MARGIN = 0.05  # of the square, on each side of the longer dimension
_SOLID = 24  # of 255: fainter alpha does not stretch the frame
_STRAY = 0.03  # of the largest part: smaller ones are pieces of backdrop


def fit_product(cutout: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Sets a cut-out in the middle of a plain light square.

    Args:
      cutout: uint8 (h, w, 4), RGB and straight alpha.
      size: side of the square.

    Returns:
      uint8 (size, size, 3), RGB, and its alpha, uint8 (size, size).

    Raises:
      ValueError: there is no product in it.
    """
    alpha = _without_strays(cutout[..., 3])
    rows, columns = (np.flatnonzero((alpha > _SOLID).any(axis=axis)) for axis in (1, 0))
    if len(rows) < 4 or len(columns) < 4:
        raise ValueError("its cut-out shows no product")
    box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    rgb, opaque = cutout[box][..., :3].astype(np.float32), alpha[box].astype(np.float32)[..., None] / 255
    height, width = opaque.shape[:2]
    side = round(max(height, width) / (1 - 2 * _MARGIN))
    top, left = (side - height) // 2, (side - width) // 2
    square = np.full((side, side, 3), GROUND, np.float32)
    square[top : top + height, left : left + width] = rgb * opaque + GROUND * (1 - opaque)
    plane = np.zeros((side, side), np.float32)
    plane[top : top + height, left : left + width] = opaque[..., 0] * 255
    return _resized(square, size), _resized(plane, size)


def fit_frame(image: np.ndarray, size: int) -> np.ndarray:
    """Squashes a whole photo to a square: uint8 (h, w, 3) to uint8 (size, size, 3)."""
    return _resized(image, size)


def fit_crop(image: np.ndarray, size: int) -> np.ndarray:
    """Takes the middle of a photo, shrunk only where its shorter side is over twice the size.

    Raises:
      ValueError: a side of the photo is shorter than ``size``.
    """
    shorter = min(image.shape[:2])
    if shorter < size:
        raise ValueError(f"its shorter side of {shorter} pixels is below {size}")
    if shorter > 2 * size:
        scale = 2 * size / shorter
        image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    top, left = ((length - size) // 2 for length in image.shape[:2])
    return np.ascontiguousarray(image[top : top + size, left : left + size])


def _without_strays(alpha: np.ndarray) -> np.ndarray:
    count, labels, stats, _ = cv2.connectedComponentsWithStats((alpha > _SOLID).astype(np.uint8), connectivity=8)
    areas = stats[:, cv2.CC_STAT_AREA].copy()
    areas[0] = 0
    kept = areas >= max(1, areas.max() * _STRAY) if count > 1 else areas > 0
    kept[0] = True  # the faint rim of what is kept
    return np.where(kept[labels], alpha, 0)


def _resized(picture: np.ndarray, size: int) -> np.ndarray:
    shrinks = min(picture.shape[:2]) >= size
    resized = cv2.resize(picture, (size, size), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
    return np.clip(np.rint(resized), 0, 255).astype(np.uint8)
