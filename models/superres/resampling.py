"""Halving and doubling by fixed kernels: what "agrees with the input" means, and what the network starts from.

Both are cubic convolution (Keys, IEEE Trans. ASSP 1981) at a factor of exactly two, where every output pixel lies a
quarter or three quarters of a pixel from the inputs around it, so that eight taps say it all.
"""

from __future__ import annotations

import cv2
import numpy as np

TAPS = 8
_HALVING_SHARPNESS = -0.5  # Pillow's and MATLAB's, with which super-resolution is measured
_DOUBLING_SHARPNESS = -0.75  # OpenCV's, with which the job enlarges; nearer to the truth than -0.5, too


def halving_kernel() -> np.ndarray:
    """Returns the antialiased halving's taps, float32 (8,), of sum 1, for the pixels 2i - 3 to 2i + 4."""
    taps = _cubic(_HALVING_SHARPNESS)
    return (taps / taps.sum()).astype(np.float32)


def doubling_kernel() -> np.ndarray:
    """Returns what a pixel i gives to the pixels 2i - 3 to 2i + 4 of the doubled row, float32 (8,), of sum 2."""
    return _cubic(_DOUBLING_SHARPNESS).astype(np.float32)


def _cubic(a: float) -> np.ndarray:
    x = np.abs(np.arange(-1.75, 2, 0.5))
    near = (a + 2) * x**3 - (a + 3) * x**2 + 1
    far = a * (x**3 - 5 * x**2 + 8 * x - 4)
    return np.where(x < 1, near, far)


def halve(image: np.ndarray) -> np.ndarray:
    """Halves a picture, antialiased.

    Args:
      image: uint8 or float32 (2 h, 2 w) or (2 h, 2 w, c).

    Returns:
      The same type, (h, w) or (h, w, c); uint8 is rounded. The frame's edge is continued by its mirror image.

    Raises:
      ValueError: a side is odd.
    """
    if image.shape[0] % 2 or image.shape[1] % 2:
        raise ValueError(f"a picture of {image.shape[1]} x {image.shape[0]} cannot be halved; its sides must be even")
    kernel = halving_kernel()
    # an even kernel's anchor: output pixel 2i is to begin at 2i - 3
    filtered = cv2.sepFilter2D(image, cv2.CV_32F, kernel, kernel, anchor=(3, 3), borderType=cv2.BORDER_REFLECT)
    half = filtered[::2, ::2]
    return np.clip(np.round(half), 0, 255).astype(np.uint8) if image.dtype == np.uint8 else half


def double(image: np.ndarray) -> np.ndarray:
    """Doubles a picture bicubically, as the job enlarges without super-resolution.

    Args:
      image: uint8 or float32 (h, w) or (h, w, c).

    Returns:
      The same type, (2 h, 2 w) or (2 h, 2 w, c).
    """
    return cv2.resize(image, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)


def enlarge(luma: np.ndarray, detail: np.ndarray, projections: int = 1) -> np.ndarray:
    """Doubles a picture, adds detail and brings it back to what the small picture says.

    The part of the network's function that is not learnt, as ``network.build_network`` has it, but for the frame: there
    the picture goes on as its mirror image or its last pixels, not as black.

    Args:
      luma: uint8 (h, w).
      detail: float32 (h, w, 4), in units of 255: what ``network.detail_branch`` gives.
      projections: steps of back-projection.

    Returns:
      float32 (2 h, 2 w), may lie a little beyond 0..255.
    """
    height, width = luma.shape
    shuffled = detail.reshape(height, width, 2, 2).transpose(0, 2, 1, 3).reshape(2 * height, 2 * width)
    small = luma.astype(np.float32)
    result = cv2.scaleAdd(shuffled, 255.0, double(small))
    for _ in range(projections):
        result = cv2.add(result, double(cv2.subtract(small, halve(result))))
    return np.asarray(result)
