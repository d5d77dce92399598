"""Fidelity and variety told apart: precision, recall, density and coverage by nearest neighbours.

Precision and recall after Kynkäänniemi et al. ("Improved Precision and Recall Metric for Assessing Generative Models",
NeurIPS 2019), density and coverage after Naeem et al. ("Reliable Fidelity and Diversity Metrics for Generative
Models", ICML 2020), with the strict "nearer than" of the latter's ``prdc``.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from models.metrics.distribution import checked_features
from models.metrics.neighbours import distance_blocks, radii


@dataclasses.dataclass(frozen=True)
class ManifoldScores:
    """How two sets of pictures cover each other.

    Attributes:
      precision: share of generated pictures that lie within reach of a real one, 0..1: do they look real?
      recall: share of real pictures within reach of a generated one, 0..1: is all there? One outlier among the
        generated reaches far, so it flatters.
      density: mean number of real pictures whose reach a generated one lies in, over k; 1 for real pictures, above
        where generated ones crowd at typical places.
      coverage: share of real pictures with a generated one within their own reach, 0..1. For two draws of one
        distribution of equal size about 1 - 2^-k: .97 at k = 5.
      k: the reach of a picture is the distance from its k-th nearest of its own set.
    """

    precision: float
    recall: float
    density: float
    coverage: float
    k: int


def manifold_scores(real: np.ndarray, generated: np.ndarray, *, k: int = 5) -> ManifoldScores:
    """Measures precision, recall, density and coverage.

    Args:
      real: float (n, d), n above k.
      generated: float (m, d), m above k.
      k: which neighbour gives the reach.

    Raises:
      ValueError: the features are not as described, or there are too few.
    """
    real, generated = checked_features(real), checked_features(generated)
    real_reach, generated_reach = radii(real, k), radii(generated, k)
    hits = np.zeros(len(generated))  # real pictures that reach each generated one
    recalled, covered = np.zeros(len(real), bool), np.zeros(len(real), bool)
    for part, distances in distance_blocks(real, generated):
        within = distances < real_reach[part, None]
        hits += within.sum(axis=0)
        covered[part] = within.any(axis=1)
        recalled[part] = (distances < generated_reach).any(axis=1)
    return ManifoldScores(
        precision=float((hits > 0).mean()),
        recall=float(recalled.mean()),
        density=float(hits.mean() / k),
        coverage=float(covered.mean()),
        k=k,
    )
