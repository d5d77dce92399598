"""How well a presence score parts photos with a product from photos without one, threshold by threshold."""

from __future__ import annotations

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class ThresholdOutcome:
    """What one threshold does.

    Attributes:
      threshold: photos with a presence below it are flagged.
      flagged_empty: share of the photos without a product that are flagged, 0..1; the higher the better.
      flagged_product: share of the photos with a product that are flagged, 0..1; the lower the better.
    """

    threshold: float
    flagged_empty: float
    flagged_product: float


def threshold_outcomes(
    with_product: np.ndarray, without_product: np.ndarray, thresholds: np.ndarray
) -> list[ThresholdOutcome]:
    """Says what thresholds would flag.

    Args:
      with_product: presences 0..1 of photos that show a product, (n,).
      without_product: presences 0..1 of photos that show none, (m,).
      thresholds: (k,), in any order.

    Returns:
      An outcome a threshold, in the order given; shares are NaN of a set that is empty.
    """
    shown, empty = np.asarray(with_product, float), np.asarray(without_product, float)
    return [
        ThresholdOutcome(
            float(threshold),
            float(np.mean(empty < threshold)) if len(empty) else float("nan"),
            float(np.mean(shown < threshold)) if len(shown) else float("nan"),
        )
        for threshold in thresholds
    ]


def least_threshold(without_product: np.ndarray, share: float) -> float:
    """Returns the lowest threshold that flags at least this share of the photos without a product.

    Args:
      without_product: presences 0..1, (m,), m at least 1.
      share: above 0 to 1.

    Returns:
      Just above one of the presences; above 1 where only that would do.
    """
    ordered = np.sort(np.asarray(without_product, float))
    if not len(ordered):
        raise ValueError("a threshold was asked of 0 photos without a product; it needs at least 1")
    return float(np.nextafter(ordered[int(np.ceil(share * len(ordered))) - 1], np.inf))


def area_under_curve(with_product: np.ndarray, without_product: np.ndarray) -> float:
    """Area under the ROC curve: how often a photo with a product has the higher presence (Hanley and McNeil 1982).

    Args:
      with_product: presences of photos that show a product, (n,).
      without_product: presences of photos that show none, (m,).

    Returns:
      0..1, ties counted half; NaN where a set is empty.
    """
    shown, empty = np.asarray(with_product, float), np.sort(np.asarray(without_product, float))
    if not len(shown) or not len(empty):
        return float("nan")
    below = np.searchsorted(empty, shown, "left")
    upto = np.searchsorted(empty, shown, "right")
    return float((below + upto).mean() / (2 * len(empty)))
