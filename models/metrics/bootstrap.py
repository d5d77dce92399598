"""How far figures would move with other photos: bootstrap intervals of means and of worst shares."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def tail_mean(scores: np.ndarray, share: float = 0.1) -> float:
    """Mean of the lowest share of the scores.

    Args:
      scores: float (n,), n at least 1.
      share: above 0 to 1. Where it is not a whole number of scores the last one counts in part; at least one
        score counts.

    Returns:
      The mean.
    """
    return float(_tail_means(np.asarray(scores, float), np.ones((1, len(scores))), share)[0])


def _tail_means(scores: np.ndarray, weights: np.ndarray, share: float) -> np.ndarray:
    order = np.argsort(scores, kind="stable")
    scores, weights = scores[order], weights[:, order]
    wanted = np.maximum(share * weights.sum(axis=1, keepdims=True), 1)
    taken = np.clip(wanted - (weights.cumsum(axis=1) - weights), 0, weights)
    return taken @ scores / taken.sum(axis=1)


def bootstrap_interval(
    scores: np.ndarray,
    *,
    groups: Sequence | None = None,
    tail: float | None = None,
    draws: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> tuple[float, float]:
    """Percentile bootstrap interval (Efron 1979) of a mean, or of the mean of the lowest share.

    Args:
      scores: float (n,), n at least 1.
      groups: (n,) what was drawn together: photos of one seller share floor, light and camera, so whole sellers are
        drawn (the cluster bootstrap). By default every score is its own group.
      tail: share of the lowest scores to take the mean of, or None for all.
      draws: resamples.
      level: coverage of the interval, 0..1.
      seed: of the resampling.

    Returns:
      Lower and upper bound.

    Raises:
      ValueError: there are no scores, or not as many groups as scores.
    """
    scores = np.asarray(scores, float)
    if not len(scores):
        raise ValueError("a bootstrap interval was asked of 0 scores; it needs at least 1")
    if groups is not None and len(groups) != len(scores):
        raise ValueError(f"{len(groups)} groups were given for {len(scores)} scores; each score needs its own")
    _, member = np.unique(np.arange(len(scores)) if groups is None else np.asarray(groups), return_inverse=True)
    count = int(member.max()) + 1
    drawn = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), draws)
    weights = drawn[:, member].astype(float)
    means = weights @ scores / weights.sum(axis=1) if tail is None else _tail_means(scores, weights, tail)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
