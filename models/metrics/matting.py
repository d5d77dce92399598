"""Quality of soft mattes against a true alpha, and of the colours that are kept at their edge.

The four matte errors are those of Rhemann, Rother, Wang, Gelautz, Kohli, Rott: "A Perceptually Motivated Online
Benchmark for Image Matting" (CVPR 2009), taken over the whole frame. The benchmark's sums grow with the picture;
here every sum is divided by the frame's megapixels and by 1000, so that photos of all sizes count alike: a figure of
5 is 5,000 pixels' worth of error in a frame of 1000 x 1000.
"""

from __future__ import annotations

import cv2
import numpy as np

_SIGMA = 1.4  # of the derivative's Gaussian, pixels
_STEP = 0.1  # between the levels at which connectivity is looked at
_LEAST_GAP = 0.15  # a pixel less disconnected than this counts as connected
EDGE = (0.02, 0.98)  # true alpha between these is edge


def _checked(predicted: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if predicted.shape != truth.shape or truth.ndim != 2:
        raise ValueError(
            f"the mattes have the shapes {predicted.shape!r} and {truth.shape!r}; both must be (h, w) and alike"
        )
    return np.asarray(predicted, np.float64), np.asarray(truth, np.float64)


def sum_of_absolute_differences(predicted: np.ndarray, truth: np.ndarray) -> float:
    """SAD: sum of |predicted - truth|, in thousands of pixels for each megapixel of the frame.

    Args:
      predicted, truth: float 0..1, shape (h, w).

    Returns:
      0..1000.

    Raises:
      ValueError: the shapes differ.
    """
    predicted, truth = _checked(predicted, truth)
    return 1000 * float(np.mean(np.abs(predicted - truth)))


def mean_squared_error(predicted: np.ndarray, truth: np.ndarray) -> float:
    """MSE: mean of (predicted - truth)^2 over the frame, times 1000.

    Args:
      predicted, truth: float 0..1, shape (h, w).

    Returns:
      0..1000.

    Raises:
      ValueError: the shapes differ.
    """
    predicted, truth = _checked(predicted, truth)
    return 1000 * float(np.mean((predicted - truth) ** 2))


def gradient_error(predicted: np.ndarray, truth: np.ndarray) -> float:
    """Gradient error: sum of squared differences of the gradient magnitudes, in thousands for each megapixel.

    Gradients are those of the matte under a Gaussian of deviation 1.4 pixels: what makes an edge look sharp in one
    place and blurred in another.

    Args:
      predicted, truth: float 0..1, shape (h, w).

    Returns:
      At least 0.

    Raises:
      ValueError: the shapes differ.
    """
    predicted, truth = _checked(predicted, truth)
    return 1000 * float(np.mean((_gradient(predicted) - _gradient(truth)) ** 2))


def _gradient(alpha: np.ndarray) -> np.ndarray:
    reach = int(np.ceil(4 * _SIGMA))
    x = np.arange(-reach, reach + 1, dtype=float)
    smooth = np.exp(-(x**2) / (2 * _SIGMA**2))
    smooth /= smooth.sum()
    slope = x * smooth
    slope /= (x * slope).sum()  # a ramp of one a pixel has gradient one
    across = cv2.sepFilter2D(alpha, cv2.CV_64F, slope, smooth, borderType=cv2.BORDER_REPLICATE)
    down = cv2.sepFilter2D(alpha, cv2.CV_64F, smooth, slope, borderType=cv2.BORDER_REPLICATE)
    return np.hypot(across, down)


def connectivity_error(predicted: np.ndarray, truth: np.ndarray) -> float:
    """Connectivity error: how differently pixels hang together with the product, in thousands for each megapixel.

    The source region is the largest one that is opaque in both mattes. A pixel's level is the highest threshold, in
    steps of 0.1, at which it is still 4-connected to that region through pixels of at least as much alpha in both; it
    is disconnected by what its alpha exceeds its level, where that is 0.15 or more. The error is the sum of absolute
    differences of the two mattes' degrees of connectedness, 1 - disconnection. As the levels are those of both, alpha
    that only one of them has is disconnected in that one: a matte of the whole frame is not "well connected".

    Args:
      predicted, truth: float 0..1, shape (h, w).

    Returns:
      0..1000. Floating specks and holes torn into straps cost most.

    Raises:
      ValueError: the shapes differ.
    """
    predicted, truth = _checked(predicted, truth)
    shared = np.minimum(predicted, truth)
    level = _connected_level(shared, _largest_region(shared >= 1 - 1e-6))
    return 1000 * float(np.mean(np.abs(_disconnection(predicted - level) - _disconnection(truth - level))))


def _largest_region(mask: np.ndarray) -> np.ndarray:
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=4)
    if count < 2:
        return np.zeros(mask.shape, bool)
    return labels == 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))


def _connected_level(alpha: np.ndarray, source: np.ndarray) -> np.ndarray:
    level = np.zeros(alpha.shape)
    if source.any():
        for threshold in np.arange(_STEP, 1 + _STEP / 2, _STEP):
            _, labels = cv2.connectedComponents((alpha >= threshold - 1e-6).astype(np.uint8), connectivity=4)
            level[labels == labels[source][0]] = threshold
    return level


def _disconnection(gap: np.ndarray) -> np.ndarray:
    return np.where(gap >= _LEAST_GAP, gap, 0)


def edge_colour_error(
    foreground: np.ndarray,
    alpha: np.ndarray,
    true_foreground: np.ndarray,
    true_alpha: np.ndarray,
    ground: tuple[int, int, int],
) -> float:
    """Mean absolute colour difference at the edge, once the cut-out is set on another ground.

    With the true alpha given as ``alpha`` it measures the estimated colours alone; with an estimated one, what
    somebody sees.

    Args:
      foreground: estimated straight colours, uint8 (h, w, 3).
      alpha: float 0..1, shape (h, w).
      true_foreground: uint8 (h, w, 3).
      true_alpha: float 0..1, shape (h, w).
      ground: colour of the new ground, 0..255.

    Returns:
      0..255, mean over the channels of the pixels whose true alpha lies in ``EDGE``; NaN where there are none.

    Raises:
      ValueError: the shapes differ.
    """
    alpha, true_alpha = _checked(alpha, true_alpha)
    if foreground.shape != true_foreground.shape or foreground.shape[:2] != alpha.shape:
        raise ValueError(
            f"colours of shape {foreground.shape!r} and {true_foreground.shape!r} do not belong to mattes of shape "
            f"{alpha.shape!r}; they must be (h, w, 3) of the same h and w"
        )
    edge = (true_alpha >= EDGE[0]) & (true_alpha <= EDGE[1])
    if not edge.any():
        return float("nan")
    a, t = alpha[edge][:, None], true_alpha[edge][:, None]
    colour = np.asarray(ground, float)
    ours = a * foreground[edge] + (1 - a) * colour
    wanted = t * true_foreground[edge] + (1 - t) * colour
    return float(np.mean(np.abs(ours - wanted)))
