"""What a reconstruction leaves over, in a few numbers a picture."""

from __future__ import annotations

import cv2
import numpy as np

RESIDUALS = ("error", "worst", "structure", "grain")

_WORST = 0.05  # share of the pixels
_WINDOW = (7, 7)
_C1, _C2 = 6.5025, 58.5225  # (0.01 · 255)², (0.03 · 255)²


def residual_measures(images: np.ndarray, made: np.ndarray) -> np.ndarray:
    """Measures what reconstructions leave over.

    Args:
      images: uint8 (n, size, size, 3), RGB.
      made: their reconstructions, of the same shape.

    Returns:
      float32 (n, 4), in the order of ``RESIDUALS``: the mean error, the mean error of the worst twentieth of the
      pixels after smoothing over 3 x 3 (something small that should not be there), one minus the structural similarity,
      and the error's finest detail (noise, which no decoder makes).
    """
    return np.array([_measures(*pair) for pair in zip(images, made, strict=True)], np.float32).reshape(-1, 4)


def _measures(image: np.ndarray, made: np.ndarray) -> tuple[float, float, float, float]:
    first, second = image.astype(np.float32), made.astype(np.float32)
    residual = first - second
    size = np.abs(residual).mean(axis=-1)
    smooth = cv2.blur(size, (3, 3)).ravel()
    worst = np.partition(smooth, -max(1, int(_WORST * smooth.size)))[-max(1, int(_WORST * smooth.size)) :]
    grain = np.abs(residual - cv2.blur(residual, (3, 3))).mean()
    return float(size.mean()), float(worst.mean()), 1 - _similarity(first, second), float(grain)


def _similarity(first: np.ndarray, second: np.ndarray) -> float:
    mean_first, mean_second = cv2.blur(first, _WINDOW), cv2.blur(second, _WINDOW)
    spread_first = cv2.blur(first * first, _WINDOW) - mean_first**2
    spread_second = cv2.blur(second * second, _WINDOW) - mean_second**2
    shared = cv2.blur(first * second, _WINDOW) - mean_first * mean_second
    similarity = (2 * mean_first * mean_second + _C1) * (2 * shared + _C2)
    return float((similarity / ((mean_first**2 + mean_second**2 + _C1) * (spread_first + spread_second + _C2))).mean())
