"""What a reconstruction leaves over, in a few numbers a picture."""

from __future__ import annotations

import cv2
import numpy as np

from models.datasets.fitting import GROUND

RESIDUALS = ("error", "worst", "structure", "grain", "colour_grain", "fineness", "skewness")

_WORST = 0.05  # share of the pixels
_WINDOW = (7, 7)
_C1, _C2 = 6.5025, 58.5225  # (0.01 · 255)², (0.03 · 255)²
_PLAIN = 6  # levels around the ground that are ground
_FEW = 30  # pixels of the product: with fewer the whole picture is looked at
_FLOOR = 0.3  # levels of 255: less is rounding


def residual_measures(images: np.ndarray, made: np.ndarray) -> np.ndarray:
    """Measures what reconstructions leave over.

    Args:
      images: uint8 (n, size, size, 3), RGB.
      made: their reconstructions, of the same shape.

    Returns:
      float32 (n, 7), in the order of ``RESIDUALS``. Over the whole picture: logarithm of the mean error; that
      of the mean error of the worst twentieth of the pixels, smoothed (something small that should not be there); one
      minus the structural similarity; logarithm of the error's finest detail. On the product: logarithm of that detail
      in colour (noise has it, cloth hardly), how strong it is beside detail twice as coarse, and its skewness (thin
      bright lines: text).
    """
    pairs = [_measures(*pair) for pair in zip(images, made, strict=True)]
    return np.array(pairs, np.float32).reshape(-1, len(RESIDUALS))


def _measures(image: np.ndarray, made: np.ndarray) -> tuple[float, ...]:
    first, second = image.astype(np.float32), made.astype(np.float32)
    residual = first - second
    size = np.abs(residual).mean(axis=-1)
    smooth = cv2.blur(size, (3, 3)).ravel()
    worst = np.partition(smooth, -max(1, int(_WORST * smooth.size)))[-max(1, int(_WORST * smooth.size)) :]
    detail = residual - cv2.blur(residual, (3, 3))
    product = product_of(image)
    colour = np.abs(detail[..., [0, 2]] - detail[..., 1:2])[product].mean()
    grey = residual.mean(axis=-1)
    fine = (grey - cv2.blur(grey, (3, 3)))[product]
    coarse = (cv2.blur(grey, (3, 3)) - cv2.blur(grey, (7, 7)))[product]
    return (
        _log(size.mean()),
        _log(worst.mean()),
        1 - _similarity(first, second),
        _log(np.abs(detail).mean()),
        _log(colour),
        _log(np.abs(fine).mean()) - _log(np.abs(coarse).mean()),
        float((fine**3).mean() / (fine.std() + _FLOOR) ** 3),
    )


def _log(level: float) -> float:
    return float(np.log(level + _FLOOR))


def product_of(image: np.ndarray, *, inside: bool = True) -> np.ndarray:
    """Returns where a picture, uint8 (size, size, 3), is not the plain ground: bool (size, size).

    Args:
      image: the picture.
      inside: whether the outline is left out.

    Returns:
      True everywhere where there is next to nothing but ground.
    """
    unlike = (np.abs(image.astype(np.int16) - GROUND).max(axis=-1) > _PLAIN).astype(np.uint8)
    product = cv2.erode(unlike, np.ones((3, 3), np.uint8)) > 0 if inside else unlike > 0
    return product if product.sum() >= _FEW else np.ones_like(product)


def _similarity(first: np.ndarray, second: np.ndarray) -> float:
    mean_first, mean_second = cv2.blur(first, _WINDOW), cv2.blur(second, _WINDOW)
    spread_first = cv2.blur(first * first, _WINDOW) - mean_first**2
    spread_second = cv2.blur(second * second, _WINDOW) - mean_second**2
    shared = cv2.blur(first * second, _WINDOW) - mean_first * mean_second
    similarity = (2 * mean_first * mean_second + _C1) * (2 * shared + _C2)
    return float((similarity / ((mean_first**2 + mean_second**2 + _C1) * (spread_first + spread_second + _C2))).mean())
