"""What a classifier makes of generated pictures: the Inception-type score and agreement with what was asked for."""

from __future__ import annotations

import numpy as np


def inception_type_score(probabilities: np.ndarray, *, splits: int = 1) -> tuple[float, float]:
    """exp of the mean divergence of single predictions from their mean (Salimans et al., NeurIPS 2016).

    It is the Inception Score only of Inception's probabilities. High where each picture is of one sure class and all
    classes occur; it says nothing of variety within a class, and real pictures do not get the highest value.

    Args:
      probabilities: float (n, classes), rows that sum to 1.
      splits: equal parts to score each alone.

    Returns:
      Mean and standard deviation over the parts, 1 .. classes.

    Raises:
      ValueError: rows do not sum to 1, or there are fewer than parts.
    """
    probabilities = np.asarray(probabilities, np.float64)
    if probabilities.ndim != 2 or len(probabilities) < splits:
        raise ValueError(
            f"probabilities have the shape {probabilities.shape}; they must be (n, classes), n at least {splits}"
        )
    if (probabilities < 0).any() or np.abs(probabilities.sum(axis=1) - 1).max() > 1e-3:
        raise ValueError("probabilities must be at least 0 and sum to 1 in each row; give those after softmax")
    scores = []
    for part in np.array_split(probabilities, splits):
        mean = part.mean(axis=0)
        divergence = part * (np.log(np.maximum(part, 1e-16)) - np.log(np.maximum(mean, 1e-16)))
        scores.append(np.exp(divergence.sum(axis=1).mean()))
    return float(np.mean(scores)), float(np.std(scores))


def agreement(probabilities: np.ndarray, wanted: np.ndarray) -> float:
    """Share of pictures whose likeliest class is the one that was asked for.

    Args:
      probabilities: float (n, classes).
      wanted: int (n,).

    Returns:
      0..1.

    Raises:
      ValueError: there are no pictures, or not as many wishes.
    """
    if len(probabilities) != len(wanted) or not len(wanted):
        raise ValueError(f"{len(probabilities)} pictures and {len(wanted)} wanted classes; both must be alike, above 0")
    return float((np.argmax(probabilities, axis=1) == np.asarray(wanted)).mean())


def balanced_accuracy(probabilities: np.ndarray, truth: np.ndarray) -> float:
    """Mean over the classes that occur of the share of their pictures that are told right.

    Args:
      probabilities: float (n, classes).
      truth: int (n,), n at least 1.

    Returns:
      0..1.
    """
    right = np.argmax(probabilities, axis=1) == np.asarray(truth)
    return float(np.mean([right[truth == name].mean() for name in np.unique(truth)]))
