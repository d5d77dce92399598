"""Linear classifiers on latents: what can be read off them without another network."""

from __future__ import annotations

import dataclasses

import numpy as np
from scipy import special


@dataclasses.dataclass(frozen=True, eq=False)
class Probe:
    """A multinomial logistic regression.

    Attributes:
      weights: float32 (features, classes).
      bias: float32 (classes,).
    """

    weights: np.ndarray
    bias: np.ndarray

    def log_probabilities(self, features: np.ndarray) -> np.ndarray:
        """From float32 (n, features) to float64 (n, classes)."""
        return special.log_softmax(features.astype(np.float64) @ self.weights + self.bias, axis=1)

    def accuracy(self, features: np.ndarray, classes: np.ndarray) -> float:
        """Share of the features whose likeliest class is the right one, 0..1."""
        return float((self.log_probabilities(features).argmax(axis=1) == classes).mean())


def fit_probe(features: np.ndarray, classes: np.ndarray, count: int, penalty: float) -> Probe:
    """Fits a logistic regression, by L-BFGS on standardised features.

    Args:
      features: float32 (n, d).
      classes: int (n,), 0 to ``count`` - 1.
      count: number of classes.
      penalty: of the squared weights, in shares of a sample.

    Returns:
      The probe, for features as they are.
    """
    from scipy import optimize  # half a second that every run would wait for, and only this needs it

    middle, spread = features.mean(axis=0), features.std(axis=0) + 1e-6
    standard = ((features - middle) / spread).astype(np.float64)
    wanted = np.eye(count)[classes]
    dimensions = standard.shape[1]

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        weights, bias = flat[: dimensions * count].reshape(dimensions, count), flat[dimensions * count :]
        logs = special.log_softmax(standard @ weights + bias, axis=1)
        slope = (np.exp(logs) - wanted) / len(standard)
        value = -(wanted * logs).sum() / len(standard) + penalty / 2 * (weights**2).sum()
        return value, np.concatenate([(standard.T @ slope + penalty * weights).ravel(), slope.sum(axis=0)])

    start = np.zeros(dimensions * count + count)
    found = optimize.minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 500}).x
    weights = found[: dimensions * count].reshape(dimensions, count) / spread[:, None]
    bias = found[dimensions * count :] - middle @ weights
    return Probe(weights.astype(np.float32), bias.astype(np.float32))


PENALTIES = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2)


def choose_probe(
    features: np.ndarray, classes: np.ndarray, count: int, chosen_by: tuple[np.ndarray, np.ndarray]
) -> tuple[Probe, float]:
    """Fits probes with several penalties and keeps the one that is best on other data.

    Args:
      features, classes, count: as for ``fit_probe``.
      chosen_by: features and classes to choose the penalty by; with none of them the middle one is taken.

    Returns:
      The probe and its penalty.
    """
    if not len(chosen_by[1]):
        penalty = PENALTIES[len(PENALTIES) // 2]
        return fit_probe(features, classes, count, penalty), penalty
    probes = [(fit_probe(features, classes, count, penalty), penalty) for penalty in PENALTIES]
    return max(
        probes,
        key=lambda found: found[0].log_probabilities(chosen_by[0])[range(len(chosen_by[1])), chosen_by[1]].mean(),
    )
