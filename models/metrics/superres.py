"""How near an enlarged picture is to the true one, and how well it agrees with the small one it was made of."""

from __future__ import annotations

import cv2
import numpy as np

_SSIM_SIDE, _SSIM_SIGMA = 11, 1.5


def psnr(image: np.ndarray, truth: np.ndarray, border: int = 0) -> float:
    """Peak signal-to-noise ratio in dB.

    Args:
      image, truth: of 0..255 and one shape, (h, w) or (h, w, c).
      border: pixels left out along the frame.

    Returns:
      At most 68.1, which an error of a tenth of a code value has: rounded pictures cannot be told apart above.
    """
    error = _inner(image, border).astype(np.float64) - _inner(truth, border)
    return float(10 * np.log10(255**2 / max(float(np.mean(error**2)), 0.01)))


def ssim(image: np.ndarray, truth: np.ndarray, border: int = 0) -> float:
    """Mean structural similarity: Wang, Bovik, Sheikh and Simoncelli (IEEE Trans. Image Processing 2004).

    Args:
      image, truth: of 0..255 and one shape (h, w), at least 11 pixels each way without the border.
      border: pixels left out along the frame.

    Returns:
      -1..1, with a Gaussian window of 11 pixels and sigma 1.5, over windows that lie inside.
    """
    a, b = (_inner(plane, border).astype(np.float32) for plane in (image, truth))
    if min(a.shape) < _SSIM_SIDE:
        raise ValueError(f"structural similarity needs {_SSIM_SIDE} pixels each way; the picture has {a.shape}")
    mean_a, mean_b = _windowed(a), _windowed(b)
    variance_a = _windowed(a * a) - mean_a**2
    variance_b = _windowed(b * b) - mean_b**2
    covariance = _windowed(a * b) - mean_a * mean_b
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    likeness = (2 * mean_a * mean_b + c1) * (2 * covariance + c2)
    return float(np.mean(likeness / ((mean_a**2 + mean_b**2 + c1) * (variance_a + variance_b + c2))))


def _windowed(plane: np.ndarray) -> np.ndarray:
    blurred = cv2.GaussianBlur(plane, (_SSIM_SIDE, _SSIM_SIDE), _SSIM_SIGMA)
    return _inner(blurred, _SSIM_SIDE // 2)


def _inner(image: np.ndarray, border: int) -> np.ndarray:
    return image[border : image.shape[0] - border, border : image.shape[1] - border]
