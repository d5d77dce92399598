"""Nearest neighbours by exact search, a block of rows at a time, so that ten thousand against ten thousand fit."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

_ROWS = 1024  # of a distance matrix held at once


def distance_blocks(queries: np.ndarray, points: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """Yields Euclidean distances of some queries from all points.

    Args:
      queries: float (n, d).
      points: float (m, d).

    Yields:
      Which queries, and float64 (block, m).
    """
    centre = np.asarray(points, np.float64).mean(axis=0)  # less is lost in the subtraction below
    queries, points = np.asarray(queries, np.float64) - centre, np.asarray(points, np.float64) - centre
    lengths = (points**2).sum(axis=1)
    for start in range(0, len(queries), _ROWS):
        part = slice(start, start + _ROWS)
        squares = (queries[part] ** 2).sum(axis=1)[:, None] + lengths - 2 * queries[part] @ points.T
        yield part, np.sqrt(np.clip(squares, 0, None))


def nearest(queries: np.ndarray, points: np.ndarray, count: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Finds the nearest points.

    Args:
      queries: float (n, d).
      points: float (m, d), m at least ``count``.
      count: neighbours of each query.

    Returns:
      Distances float64 (n, count), ascending, and positions int64 (n, count).

    Raises:
      ValueError: there are fewer points than neighbours wanted.
    """
    if len(points) < count:
        raise ValueError(f"{count} neighbours were asked for of {len(points)} points")
    distances, positions = np.empty((len(queries), count)), np.empty((len(queries), count), np.int64)
    for part, block in distance_blocks(queries, points):
        found = np.argpartition(block, count - 1, axis=1)[:, :count]
        order = np.argsort(np.take_along_axis(block, found, axis=1), axis=1, kind="stable")
        positions[part] = np.take_along_axis(found, order, axis=1)
        distances[part] = np.take_along_axis(block, positions[part], axis=1)
    return distances, positions


def radii(features: np.ndarray, k: int) -> np.ndarray:
    """Distance of each row from its k-th nearest other row.

    Args:
      features: float (n, d), n above k.
      k: at least 1.

    Returns:
      float64 (n,).

    Raises:
      ValueError: there are too few rows.
    """
    if k < 1 or len(features) <= k:
        raise ValueError(f"k={k!r} must be at least 1 and below the number of pictures, {len(features)}")
    # every row is its own nearest
    return nearest(features, features, k + 1)[0][:, k]
