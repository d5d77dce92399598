"""Quality of masks against masks drawn by hand, as salient-object detection measures it."""

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


def s_measure(predicted: np.ndarray, truth: np.ndarray, *, object_share: float = 0.5) -> float:
    """Structure measure (Fan, Cheng, Liu, Li, Borji: "Structure-measure", ICCV 2017).

    How alike the two are as objects (even inside, distinct from the ground) and, in four regions around the truth's
    centroid, in structure. Unlike benchmarks that stretch every map to 0..1 first, the map is taken as it is.

    Args:
      predicted: uint8 0..255 or float 0..1, shape (h, w).
      truth: bool, shape (h, w).
      object_share: weight of the object part against the region part, 0..1.

    Returns:
      0..1; where the truth is empty one minus the mean of the prediction, where it fills the frame the mean.
    """
    soft = predicted / 255.0 if predicted.dtype == np.uint8 else np.asarray(predicted, float)
    share = float(truth.mean())
    if share == 0:
        return 1.0 - float(soft.mean())
    if share == 1:
        return float(soft.mean())
    alike = share * _object_similarity(soft[truth]) + (1 - share) * _object_similarity(1 - soft[~truth])
    return max(0.0, object_share * alike + (1 - object_share) * _region_similarity(soft, truth))


def _object_similarity(values: np.ndarray) -> float:
    """Formula 5 of the paper with its lambda of 0.5: high and even values are an object well found."""
    mean = float(values.mean())
    deviation = float(values.std(ddof=1)) if values.size > 1 else 0.0
    return 2 * mean / (mean * mean + 1 + deviation)


def _region_similarity(soft: np.ndarray, truth: np.ndarray) -> float:
    rows, columns = np.nonzero(truth)
    # the centroid's own row and column belong to the upper left region
    row, column = (round(float(axis.mean())) + 1 for axis in (rows, columns))
    similarity = 0.0
    for part in (np.s_[:row, :column], np.s_[:row, column:], np.s_[row:, :column], np.s_[row:, column:]):
        if truth[part].size:
            similarity += truth[part].size / truth.size * _structural_similarity(soft[part], truth[part].astype(float))
    return similarity


def _structural_similarity(a: np.ndarray, b: np.ndarray) -> float:
    """SSIM of two whole patches, without the constants that steady small windows."""
    if a.size < 2:
        return float(a.mean() == b.mean())
    mean_a, mean_b = float(a.mean()), float(b.mean())
    variance_a, variance_b = float(a.var(ddof=1)), float(b.var(ddof=1))
    covariance = float(((a - mean_a) * (b - mean_b)).sum()) / (a.size - 1)
    above = 4 * mean_a * mean_b * covariance
    below = (mean_a**2 + mean_b**2) * (variance_a + variance_b)
    if above != 0:
        return above / (below + 1e-12)
    return 1.0 if below == 0 else 0.0
