"""Quantiles of pixels, at a small part of the fixed cost of NumPy's: a photo takes a dozen of them."""

from __future__ import annotations

import numpy as np


def quantile(values: np.ndarray, share: float) -> float:
    """Returns the value that a share of all values lies below, linearly between the two nearest, as ``np.quantile``.

    Args:
      values: of any shape, at least one, none of them NaN.
      share: 0..1.
    """
    position = share * (values.size - 1)
    low = int(position)
    ordered = np.partition(values, low, axis=None)
    below = float(ordered[low])
    if position == low:
        return below
    return below + (position - low) * (float(ordered[low + 1 :].min()) - below)


def median(values: np.ndarray) -> float:
    """Returns the median of at least one value."""
    return quantile(values, 0.5)
