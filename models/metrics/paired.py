"""Intervals of a difference between two methods, each trained several times and tried on the same photos."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import stats


def t_interval(differences: np.ndarray, *, level: float = 0.95) -> tuple[float, float]:
    """Student's interval of the mean of differences, one a repetition: how it would move with other seeds.

    Args:
      differences: float (n,), n at least 2.
      level: coverage of the interval, 0..1.

    Returns:
      Lower and upper bound.

    Raises:
      ValueError: there is only one difference.
    """
    differences = np.asarray(differences, float)
    if len(differences) < 2:
        raise ValueError(f"an interval was asked of {len(differences)} repetitions; it needs at least 2")
    reach = stats.t.ppf((1 + level) / 2, len(differences) - 1) * differences.std(ddof=1) / np.sqrt(len(differences))
    return float(differences.mean() - reach), float(differences.mean() + reach)


def two_way_interval(
    differences: np.ndarray, groups: Sequence, *, draws: int = 2000, level: float = 0.95, seed: int = 0
) -> tuple[float, float]:
    """Bootstrap interval over repetitions and groups at once: how the mean would move with other seeds and sellers.

    Both are drawn with replacement, independently (Owen, "The pigeonhole bootstrap", 2007), which errs to the wide
    side.

    Args:
      differences: float (repetitions, photos), at least one of each.
      groups: (photos,), what was drawn together.
      draws: resamples.
      level: coverage of the interval, 0..1.
      seed: of the resampling.

    Returns:
      Lower and upper bound.
    """
    differences = np.asarray(differences, float)
    _, member = np.unique(np.asarray(groups), return_inverse=True)
    count, repetitions = int(member.max()) + 1, len(differences)
    sums = np.stack([np.bincount(member, row, count) for row in differences])  # (repetitions, groups)
    sizes = np.bincount(member, minlength=count)
    draw = np.random.default_rng(seed)
    of_groups = draw.multinomial(count, np.full(count, 1 / count), draws)
    of_repetitions = draw.multinomial(repetitions, np.full(repetitions, 1 / repetitions), draws)
    totals = np.einsum("dr,rg,dg->d", of_repetitions, sums, of_groups) / repetitions
    low, high = np.quantile(totals / (of_groups @ sizes), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
