"""Relief of cloth: height fields in pixels, whose gradients the light turns into folds and wrinkles."""

from __future__ import annotations

import cv2
import numpy as np

from pipeline.samples import noise


def creases(
    rng: np.random.Generator, shape: tuple[int, int], size: float, sharpness: float = 0.5, octaves: int = 3
) -> np.ndarray:
    """Returns the relief of cloth thrown down: long ridges that branch, with soft hollows between them.

    Noise bent by noise, folded at its zero crossings; each octave keeps its own direction of pull.

    Args:
      rng: source of randomness.
      shape: height and width in pixels.
      size: distance between large folds in pixels.
      sharpness: 0 for a heavy blanket, 1 for starched linen.
      octaves: of folds, each about half the size.

    Returns:
      float32, standard deviation near 1.
    """
    # Relief needs no full resolution above its finest fold.
    reduction = max(1.0, size / 2 ** (octaves - 1) / 10)
    small = (max(8, round(shape[0] / reduction)), max(8, round(shape[1] / reduction)))
    size = size / reduction
    total = np.zeros(small, np.float32)
    amplitude = 1.0
    soft = 0.55 - 0.5 * sharpness
    pull = rng.uniform(0, np.pi)
    for _ in range(octaves):
        pull += rng.normal(0, 0.6)
        field = noise.directed(rng, small, pull, size * rng.uniform(1.6, 3.2), size)
        bend = 0.45 * size
        field = noise.displaced(
            field, bend * noise.smooth(rng, small, 2.2 * size), bend * noise.smooth(rng, small, 2.2 * size)
        )
        total -= amplitude * np.sqrt(field * field + soft * soft)
        total += 0.35 * amplitude * field
        amplitude *= 0.42
        size = max(2.0, size * 0.47)
    total -= total.mean()
    total *= 1 / max(1e-6, float(total.std()))
    return cv2.resize(total, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC)


def add_fold(
    relief: np.ndarray, x: float, y: float, angle: float, length: float, width: float, height: float, bend: float
) -> None:
    """Adds one fold to a relief, in place: steep on one side, soft on the other, fading at both ends.

    Args:
      relief: float32 (h, w).
      x, y: where it begins, in pixels; it is strongest at about a third of its length.
      angle: direction in radians.
      length, width, height: in pixels.
      bend: sideways drift at the end, as a fraction of the length.
    """
    reach = length + 4 * width
    x0, x1 = max(0, int(x - reach)), min(relief.shape[1], int(x + reach) + 1)
    y0, y1 = max(0, int(y - reach)), min(relief.shape[0], int(y + reach) + 1)
    c, s = np.cos(angle), np.sin(angle)
    ends = np.array([[0, 0], [length * c, length * s]]) + (x, y)
    margin = 3 * width + abs(bend) * length
    x0, x1 = max(x0, int(ends[:, 0].min() - margin)), min(x1, int(ends[:, 0].max() + margin) + 1)
    y0, y1 = max(y0, int(ends[:, 1].min() - margin)), min(y1, int(ends[:, 1].max() + margin) + 1)
    if x1 - x0 < 3 or y1 - y0 < 3:
        return
    gx = np.arange(x0, x1, dtype=np.float32)[None, :] - np.float32(x)
    gy = np.arange(y0, y1, dtype=np.float32)[:, None] - np.float32(y)
    u = (gx * np.float32(c) + gy * np.float32(s)) * np.float32(1 / length)
    v = gy * np.float32(c) - gx * np.float32(s) - np.float32(bend * length) * u * u
    spread = np.float32(width) * (0.55 + 0.75 * np.clip(u, 0, 1))
    v /= np.where(v > 0, spread, spread * np.float32(0.55))
    inside = np.clip(u, 0, 1)
    window = np.where((u > 0) & (u < 1), (inside * (1 - inside) ** 1.6) * np.float32(3.9), 0)
    relief[y0:y1, x0:x1] += np.float32(height) * window * np.exp(-v * v)


def fan(
    rng: np.random.Generator,
    relief: np.ndarray,
    centre: np.ndarray | tuple[float, float],
    angle: float,
    spread: float,
    count: int,
    length: float,
    height: float,
) -> None:
    """Adds folds that radiate from a point of strain (armpit, crotch, waist), in place.

    Args:
      rng: source of randomness.
      relief: float32 (h, w), pixels.
      centre: x, y of the point in pixels.
      angle, spread: mean direction and standard deviation, radians.
      count: folds.
      length, height: typical size of one in pixels.
    """
    for _ in range(count):
        this = length * rng.uniform(0.45, 1.25)
        add_fold(
            relief,
            centre[0] + rng.normal(0, 0.07) * length,
            centre[1] + rng.normal(0, 0.07) * length,
            angle + rng.normal(0, spread),
            this,
            this * rng.uniform(0.05, 0.11),
            height * rng.uniform(0.4, 1.2) * (1 if rng.random() < 0.75 else -0.7),
            rng.normal(0, 0.12),
        )


def pleats(rng: np.random.Generator, shape: tuple[int, int], count: int, flare: float, height: float) -> np.ndarray:
    """Returns the relief of cloth that falls from a gathered waist: rows of folds that widen downwards.

    Args:
      rng: source of randomness.
      shape: height and width in pixels; the waist is the top edge.
      count: folds across the hem.
      flare: width of the top as a fraction of the bottom's.
      height: of a fold at the hem, in pixels.
    """
    rows, columns = shape
    y = (np.arange(rows, dtype=np.float32) / max(1, rows))[:, None]
    x = (np.arange(columns, dtype=np.float32) / max(1, columns) - 0.5)[None, :]
    across = x / (flare + (1 - flare) * y) * count
    across = across + 0.35 * noise.smooth(rng, shape, (columns / 3, rows * 0.8))
    line = rng.normal(size=count * 4 + 64).astype(np.float32)
    position = across + len(line) / 2
    low = np.clip(np.floor(position).astype(np.int32), 0, len(line) - 2)
    t = position - low
    t = t * t * (3 - 2 * t)
    wave = line[low] * (1 - t) + line[low + 1] * t
    return height * wave * (0.15 + 0.85 * y**0.8)
