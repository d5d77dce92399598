"""Outlines: splines through a few points, made uneven by hand, and their masks.

Points are (x, y), y downwards. An outline is a list of knots; a knot is (x, y) on a smooth stretch or
(x, y, True) for a corner.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

Knot = tuple[float, ...]
_SHIFT = 4  # fractional bits of OpenCV's drawing coordinates


def spline(knots: Sequence[Knot], closed: bool = True, samples: int = 14) -> np.ndarray:
    """Returns a polyline through the knots, smooth except at corners.

    Centripetal-like Catmull-Rom tangents; a corner ends one stretch and begins the next, so that a hem
    meets a side seam at an angle.

    Args:
      knots: two or more knots.
      closed: whether the last knot joins the first.
      samples: points for each stretch between two knots.

    Returns:
      float32 (n, 2).
    """
    points = np.array([knot[:2] for knot in knots], np.float64)
    corner = [len(knot) > 2 and bool(knot[2]) for knot in knots]
    count = len(points)
    t = (np.arange(samples) / samples)[:, None]
    pieces = []
    for i in range(count if closed else count - 1):
        a, b = points[i], points[(i + 1) % count]
        chord = np.linalg.norm(b - a)

        def tangent(k: int, other: np.ndarray, sign: float, chord: float = float(chord)) -> np.ndarray:
            here = points[k % count]
            if corner[k % count] or (not closed and k in (0, count - 1)):
                return sign * (other - here)
            direction = points[(k + 1) % count] - points[(k - 1) % count]
            return direction / max(1e-9, np.linalg.norm(direction)) * chord

        m0, m1 = tangent(i, b, 1.0), tangent(i + 1, a, -1.0)
        t2, t3 = t * t, t * t * t
        pieces.append((2 * t3 - 3 * t2 + 1) * a + (t3 - 2 * t2 + t) * m0 + (3 * t2 - 2 * t3) * b + (t3 - t2) * m1)
    if not closed:
        pieces.append(points[-1:])
    return np.concatenate(pieces).astype(np.float32)


def mirrored(half: Sequence[Knot]) -> list[Knot]:
    """Returns a closed outline from its right half, given from the top centre to the bottom centre.

    Knots on the axis (x = 0) are not doubled.
    """
    left = [(-knot[0], *knot[1:]) for knot in reversed(half) if abs(knot[0]) > 1e-9]
    return [*half, *left]


def uneven(rng: np.random.Generator, line: np.ndarray, size: float, amount: float) -> np.ndarray:
    """Returns a closed outline pushed in and out along its normal, as cloth never lies on its pattern.

    Args:
      rng: source of randomness.
      line: float (n, 2).
      size: length of one wave, in the units of ``line``.
      amount: standard deviation of the push, in the units of ``line``.
    """
    step = np.linalg.norm(np.diff(line, axis=0, append=line[:1]), axis=1)
    position = np.cumsum(step) - step
    length = float(step.sum())
    push = np.zeros(len(line))
    for octave in range(3):
        waves = max(3, round(length / size * 2**octave))
        values = rng.normal(size=waves)
        where = position / length * waves
        low = np.floor(where).astype(int)
        t = where - low
        t = t * t * (3 - 2 * t)
        push += (values[low % waves] * (1 - t) + values[(low + 1) % waves] * t) * 0.55**octave
    along = np.roll(line, -1, 0) - np.roll(line, 1, 0)
    normal = np.stack([along[:, 1], -along[:, 0]], 1) / np.maximum(1e-6, np.linalg.norm(along, axis=1))[:, None]
    return (line + amount * push[:, None] * normal).astype(np.float32)


def fill(shape: tuple[int, int], *lines: np.ndarray) -> np.ndarray:
    """Returns the antialiased mask of one or more outlines (even-odd where they overlap), float32 0..1."""
    mask = np.zeros(shape, np.uint8)
    cv2.fillPoly(mask, [_fixed(line) for line in lines], 255, lineType=cv2.LINE_AA, shift=_SHIFT)
    return mask.astype(np.float32) * (1 / 255)


def stroke(shape: tuple[int, int], line: np.ndarray, width: float, closed: bool = False) -> np.ndarray:
    """Returns the antialiased mask of a line of a width in pixels, float32 0..1."""
    mask = np.zeros(shape, np.uint8)
    thick = max(1, round(width))
    cv2.polylines(mask, [_fixed(line)], closed, 255, thickness=thick, lineType=cv2.LINE_AA, shift=_SHIFT)
    return mask.astype(np.float32) * (min(1.0, width / thick) / 255)


def stitches(shape: tuple[int, int], line: np.ndarray, length: float, width: float) -> np.ndarray:
    """Returns the mask of a dashed line: stitches of ``length`` pixels with gaps of a third of it."""
    step = np.linalg.norm(np.diff(line, axis=0), axis=1)
    position = np.concatenate([[0.0], np.cumsum(step)])
    mask = np.zeros(shape, np.uint8)
    starts = np.arange(0.0, position[-1], length * 4 / 3)
    x0, y0 = (np.interp(starts, position, line[:, k]) for k in (0, 1))
    x1, y1 = (np.interp(starts + length, position, line[:, k]) for k in (0, 1))
    dashes = [_fixed(np.array([[a, b], [c, d]])) for a, b, c, d in zip(x0, y0, x1, y1, strict=True)]
    cv2.polylines(mask, dashes, False, 255, thickness=max(1, round(width)), lineType=cv2.LINE_AA, shift=_SHIFT)
    return mask.astype(np.float32) * (min(1.0, width) / 255)


def ribbon(line: np.ndarray, width: float | np.ndarray) -> np.ndarray:
    """Returns the outline of a band along an open line, of a width (or widths, per point)."""
    along = np.gradient(line, axis=0)
    normal = np.stack([along[:, 1], -along[:, 0]], 1) / np.maximum(1e-6, np.linalg.norm(along, axis=1))[:, None]
    half = np.broadcast_to(np.asarray(width, np.float32) / 2, (len(line),))[:, None]
    return np.concatenate([line + normal * half, (line - normal * half)[::-1]]).astype(np.float32)


def _fixed(line: np.ndarray) -> np.ndarray:
    return np.round(np.asarray(line, np.float64) * (1 << _SHIFT)).astype(np.int32)
