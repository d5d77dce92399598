"""Quality of masks against masks drawn by hand."""

from __future__ import annotations

import cv2
import numpy as np


def intersection_over_union(predicted: np.ndarray, truth: np.ndarray) -> float:
    """Intersection over union of two masks.

    Args:
      predicted, truth: bool, shape (h, w).

    Returns:
      0..1; 1 where both are empty.
    """
    union = np.count_nonzero(predicted | truth)
    return np.count_nonzero(predicted & truth) / union if union else 1.0


def boundary_iou(predicted: np.ndarray, truth: np.ndarray, *, width: float = 0.02) -> float:
    """Boundary IoU (Cheng et al., CVPR 2021): IoU of the two masks' inner edge bands.

    Args:
      predicted, truth: bool, shape (h, w).
      width: of the band, as a fraction of the picture's diagonal.

    Returns:
      0..1; 1 where both bands are empty.
    """
    radius = max(1, round(width * float(np.hypot(*truth.shape))))
    return intersection_over_union(_inner_band(predicted, radius), _inner_band(truth, radius))


def _inner_band(mask: np.ndarray, radius: int) -> np.ndarray:
    padded = cv2.copyMakeBorder(mask.astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    inner = cv2.erode(padded, np.ones((3, 3), np.uint8), iterations=radius)[1:-1, 1:-1]
    return mask & (inner == 0)


def mean_absolute_error(predicted: np.ndarray, truth: np.ndarray) -> float:
    """Mean absolute difference of two soft masks, 0..1.

    Args:
      predicted, truth: float, 0..1, shape (h, w).
    """
    return float(np.mean(np.abs(predicted - truth)))


def max_f_measure(predicted: np.ndarray, truth: np.ndarray, *, beta_squared: float = 0.3) -> float:
    """Largest F-measure over 255 thresholds (Achanta et al., CVPR 2009).

    Args:
      predicted: uint8, 0..255, shape (h, w).
      truth: bool, shape (h, w).
      beta_squared: weight of precision against recall.

    Returns:
      0..1; 0 where the truth is empty.
    """
    hits = np.bincount(predicted[truth], minlength=256)[::-1].cumsum()[:-1]
    calls = np.bincount(predicted.ravel(), minlength=256)[::-1].cumsum()[:-1]
    wanted = np.count_nonzero(truth)
    if not wanted:
        return 0.0
    precision, recall = hits / np.maximum(calls, 1), hits / wanted
    below = beta_squared * precision + recall
    return float(np.max(np.where(below > 0, (1 + beta_squared) * precision * recall / np.maximum(below, 1e-12), 0)))


def bootstrap_interval(
    scores: np.ndarray, *, draws: int = 2000, level: float = 0.95, seed: int = 0
) -> tuple[float, float]:
    """Percentile bootstrap interval of a mean (Efron 1979).

    Args:
      scores: float (n,), n at least 1.
      draws: resamples.
      level: coverage of the interval, 0..1.
      seed: of the resampling.

    Returns:
      Lower and upper bound.
    """
    scores = np.asarray(scores, float)
    means = np.random.default_rng(seed).choice(scores, (draws, len(scores))).mean(axis=1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
