"""How well a score tells two kinds of things apart."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def auroc(clean: np.ndarray, faulty: np.ndarray) -> float:
    """Area under the ROC curve: how often a faulty one scores above a clean one, ties counting half.

    Args:
      clean, faulty: float (n,) and (m,), scores; both at least one.

    Returns:
      0..1; one half for a score that says nothing.
    """
    return float(_wins(clean, faulty).mean())


def _wins(clean: np.ndarray, faulty: np.ndarray) -> np.ndarray:
    """Returns, for every pair of a clean and a faulty one, whether the faulty one scores higher: (n, m), 0, .5 or 1."""
    clean, faulty = np.asarray(clean, float), np.asarray(faulty, float)
    if not len(clean) or not len(faulty):
        raise ValueError(f"{len(clean)} clean and {len(faulty)} faulty scores were given; it needs one of each")
    difference = faulty[None, :] - clean[:, None]
    return ((np.sign(difference) + 1) / 2).astype(np.float32)


def auroc_draws(
    clean: np.ndarray,
    faulty: np.ndarray,
    groups: tuple[Sequence | np.ndarray, Sequence | np.ndarray],
    *,
    draws: int = 1000,
    seed: int = 0,
) -> np.ndarray:
    """Areas under the ROC curve with whole groups drawn anew (the cluster bootstrap).

    Args:
      clean, faulty: as for ``auroc``.
      groups: of the clean and of the faulty ones: what was drawn together, such as a seller. Both come from the same
        groups, which are drawn alike.
      draws: resamples.
      seed: of the resampling; with the same groups it draws the same, so that areas may be averaged draw by draw.

    Returns:
      float (draws,); draws without a clean or a faulty one are NaN.
    """
    names = np.unique(np.concatenate([np.asarray(part, str) for part in groups]))
    members = [np.searchsorted(names, np.asarray(part, str)) for part in groups]
    drawn = np.random.default_rng(seed).multinomial(len(names), np.full(len(names), 1 / len(names)), draws)
    first, second = (drawn[:, member].astype(np.float32) for member in members)
    won = ((first @ _wins(clean, faulty)) * second).sum(axis=1)
    pairs = first.sum(axis=1) * second.sum(axis=1)
    return np.where(pairs > 0, won / np.maximum(pairs, 1), np.nan)
