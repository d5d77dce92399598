"""How far apart two sets of pictures are as distributions of features: Fréchet distance and kernel distance.

What is called FID and KID elsewhere is these two of the features of Inception-v3. They are only comparable between
figures with the same extractor, resolution and number of pictures: see ``models.metrics.generation``.
"""

from __future__ import annotations

import dataclasses

import numpy as np

_ROWS = 2048  # of a kernel matrix held at once


@dataclasses.dataclass(frozen=True)
class Gaussian:
    """Mean and covariance of features.

    Attributes:
      mean: float64 (d,).
      covariance: float64 (d, d), with n - 1 below, as numpy's ``cov`` and clean-fid have it.
    """

    mean: np.ndarray
    covariance: np.ndarray


def fitted_gaussian(features: np.ndarray) -> Gaussian:
    """Fits a Gaussian.

    Args:
      features: float (n, d), n at least 2.

    Raises:
      ValueError: there are too few, or some are not finite.
    """
    features = checked_features(features)
    mean = features.mean(axis=0)
    centred = features - mean
    return Gaussian(mean, centred.T @ centred / (len(features) - 1))


def checked_features(features: np.ndarray, *, least: int = 2) -> np.ndarray:
    """Returns features as float64, or says what is wrong with them.

    Args:
      features: float (n, d).
      least: the least number of rows.

    Raises:
      ValueError: the shape is another, there are too few, or some are not finite.
    """
    features = np.asarray(features, np.float64)
    if features.ndim != 2 or len(features) < least:
        raise ValueError(f"features have the shape {features.shape}; they must be (n, d) with n at least {least}")
    if not np.isfinite(features).all():
        raise ValueError("some features are not finite; look at the extractor's weights and its input")
    return features


def _checked_pair(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    first, second = checked_features(first), checked_features(second)
    if first.shape[1] != second.shape[1]:
        raise ValueError(f"features of {first.shape[1]} and of {second.shape[1]} numbers cannot be compared")
    return first, second


def gaussian_distance(first: Gaussian, second: Gaussian) -> float:
    """Squared Fréchet (2-Wasserstein) distance of two Gaussians (Dowson and Landau 1982).

    |m1 - m2|² + trace(C1 + C2 - 2 (C1 C2)^½), the last term by way of the symmetric C1^½ C2 C1^½, which has the same
    eigenvalues and needs no square root of an unsymmetric matrix: it stays real where a covariance is singular.

    Returns:
      At least 0.
    """
    values, vectors = np.linalg.eigh(first.covariance)
    root = (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T
    shared = np.linalg.eigvalsh(root @ second.covariance @ root)
    means = float(((first.mean - second.mean) ** 2).sum())
    spread = np.trace(first.covariance) + np.trace(second.covariance)
    return max(0.0, means + float(spread - 2 * np.sqrt(np.clip(shared, 0, None)).sum()))


def frechet_distance(first: np.ndarray, second: np.ndarray) -> float:
    """Fréchet distance of two sets of features, taken as Gaussians (Heusel et al., NeurIPS 2017).

    It is biased upwards, the more so the fewer pictures there are: compare figures of equal numbers only.

    Args:
      first, second: float (n, d) and (m, d), at least 2 each.

    Returns:
      At least 0; 0 for the same set.

    Raises:
      ValueError: the features are not as described.
    """
    first, second = _checked_pair(first, second)
    return gaussian_distance(fitted_gaussian(first), fitted_gaussian(second))


def polynomial_mmd(first: np.ndarray, second: np.ndarray) -> float:
    """Squared maximum mean discrepancy with the kernel (x·y / d + 1)³ (Bińkowski et al., ICLR 2018), unbiased.

    Args:
      first, second: float (n, d) and (m, d), at least 2 each.

    Returns:
      Around 0 for two draws of one distribution, and then as often negative.

    Raises:
      ValueError: the features are not as described.
    """
    first, second = _checked_pair(first, second)
    within = sum(
        (_kernel_sum(part, part) - float((_norms(part) ** 3).sum())) / (len(part) * (len(part) - 1))
        for part in (first, second)
    )
    return within - 2 * _kernel_sum(first, second) / (len(first) * len(second))


def _norms(features: np.ndarray) -> np.ndarray:
    return (features**2).sum(axis=1) / features.shape[1] + 1


def _kernel_sum(first: np.ndarray, second: np.ndarray) -> float:
    total = 0.0
    for start in range(0, len(first), _ROWS):
        base = first[start : start + _ROWS] @ second.T / first.shape[1] + 1
        total += float(np.vdot(base * base, base))  # numpy's own cube takes ten times as long
    return total


@dataclasses.dataclass(frozen=True)
class KernelDistance:
    """The kernel distance over random subsets.

    Attributes:
      value: mean over the subsets.
      deviation: standard deviation between subsets. That of the mean is smaller, but not by the root of their number,
        as subsets overlap.
      subsets: how many; 1 where the sets are no larger than a subset.
      size: pictures of each set in a subset.
    """

    value: float
    deviation: float
    subsets: int
    size: int


def kernel_distance(
    first: np.ndarray, second: np.ndarray, *, subsets: int = 100, size: int = 1000, seed: int = 0
) -> KernelDistance:
    """Kernel distance (KID): the mean of ``polynomial_mmd`` over random subsets of both sets.

    Args:
      first, second: float (n, d) and (m, d), at least 2 each.
      subsets: how many to draw, where the sets are larger than one.
      size: of a subset; smaller where a set has fewer.
      seed: of the draws.

    Raises:
      ValueError: the features are not as described.
    """
    first, second = _checked_pair(first, second)
    size = min(size, len(first), len(second))
    if size == len(first) == len(second):  # every subset is the whole
        subsets = 1
    draw = np.random.default_rng(seed)
    values = [
        polynomial_mmd(*(part[draw.choice(len(part), size, replace=False)] for part in (first, second)))
        for _ in range(subsets)
    ]
    return KernelDistance(float(np.mean(values)), float(np.std(values)), subsets, size)
