"""Names by their hashes: eight bytes a name, so that millions can be told apart in memory.

The hashes are Python's own, which are fast but differ between processes: they are compared within one only.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable

import numpy as np


def hashes(names: Iterable[Hashable]) -> np.ndarray:
    """Returns one int64 a name."""
    return np.fromiter(map(hash, names), np.int64)


def among(wanted: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Says of each hash whether it is among the known ones.

    Args:
      wanted: int64 (n,).
      known: int64 (m,), sorted.

    Returns:
      bool (n,).
    """
    if not len(known):
        return np.zeros(len(wanted), bool)
    return known[np.minimum(np.searchsorted(known, wanted), len(known) - 1)] == wanted
