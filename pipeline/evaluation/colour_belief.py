"""Fits when a tinted backdrop is believed: the weights of ``transforms.backdrop``.

Two logistic models, for cool and for warm backdrops, of whether undoing the tint leaves the product no worse.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
from scipy.optimize import minimize

from pipeline.evaluation.colour_cases import ColourCase
from pipeline.evaluation.tables import markdown_table
from transforms.backdrop import measure_backdrop
from transforms.illuminant import reproduction_error

_WORSE_BY = 1.7  # degrees; 1 degree is about .59 CIEDE2000
_RIDGE = 5.0
_SLIGHT = 0.05  # tints below are undone whatever made them: they teach nothing
_RANGE = {"warm": 0.75, "green": 0.12}  # beyond, no light is believed
_BOUNDS = (1, 99)  # percentiles of what was seen


def fit_belief(cases: Iterable[ColourCase], cut_out: Callable[[np.ndarray], np.ndarray]) -> str:
    """Fits the weights on photos under known lights.

    Args:
      cases: of sellers that nothing is reported on.
      cut_out: says where the product is, as alpha.

    Returns:
      The table of bounds and weights, and the two biases, in Markdown.

    Raises:
      ValueError: too few photos have a backdrop whose tint a light may have made.
    """
    evidence: list[list[float]] = []
    names: list[str] = []
    good, weights, warm = [], [], []
    for case in cases:
        found = measure_backdrop(case.image, cut_out(case.image))
        if found.colour is None or found.tint < _SLIGHT:
            continue
        if abs(found.warmth) > _RANGE["warm"] or abs(found.greenness) > _RANGE["green"]:
            continue
        before = reproduction_error(case.light, np.ones(3))
        change = reproduction_error(case.light, 1 / found.colour) - before
        names = list(found.evidence)
        evidence.append([found.evidence[name] for name in names])
        good.append(change <= _WORSE_BY)
        weights.append(float(np.clip(abs(change) / 3, 0.3, 2)))
        warm.append(found.warmth >= 0)
    rows = {}
    features = np.array(evidence)
    if len(features):
        low, high = np.percentile(features, _BOUNDS, axis=0)
        features = np.clip(features, low, high)
    for side in ("cool", "warm"):
        chosen = np.array(warm, bool) == (side == "warm")
        told = np.array(good)[chosen]
        if len(set(told)) < 2:
            raise ValueError(f"{len(told)} {side} backdrops are too few, or all alike: belief cannot be fitted on them")
        rows[side] = fit_logistic(features[chosen], told, np.array(weights)[chosen])
    table = [
        [name, f"{low[i]:.3f}", f"{high[i]:.3f}", *(f"{rows[side][1][i]:.2f}" for side in rows)]
        for i, name in enumerate(names)
    ]
    bias = ", ".join(f"{side} {rows[side][0]:.3f}" for side in rows)
    return f"{markdown_table(['evidence', 'low', 'high', *rows], table)}\n\nBias: {bias}; {len(features)} photos."


def fit_logistic(features: np.ndarray, good: np.ndarray, weights: np.ndarray) -> tuple[float, np.ndarray]:
    """Fits a ridge logistic regression.

    Args:
      features: float (n, k).
      good: bool (n,).
      weights: float (n,), of the photos.

    Returns:
      The bias, and the weights of the features as they are, (k,).
    """
    mean, deviation = features.mean(axis=0), features.std(axis=0) + 1e-6
    design = np.column_stack([np.ones(len(features)), (features - mean) / deviation])
    ridge = _RIDGE * np.r_[0, np.ones(features.shape[1])]

    def loss(beta: np.ndarray) -> tuple[float, np.ndarray]:
        odds = design @ beta
        chance = 1 / (1 + np.exp(-odds))
        value = (weights * (np.logaddexp(0, odds) - good * odds)).sum() + (ridge * beta * beta).sum() / 2
        return float(value), design.T @ (weights * (chance - good)) + ridge * beta

    beta = minimize(loss, np.zeros(design.shape[1]), jac=True, method="L-BFGS-B").x
    slopes = beta[1:] / deviation
    return float(beta[0] - slopes @ mean), slopes
