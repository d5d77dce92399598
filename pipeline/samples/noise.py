"""Random fields: the raw material of cloth, wood, carpet and uneven light.

All fields are float32 with mean near 0 and standard deviation near 1 unless said otherwise, and are
drawn from the given generator alone, so that a seed fixes them.
"""

from __future__ import annotations

import cv2
import numpy as np


def smooth(rng: np.random.Generator, shape: tuple[int, int], scale: float | tuple[float, float]) -> np.ndarray:
    """Returns isotropic or axis-aligned smooth noise.

    A blurred lattice of normal draws is enlarged with cubic interpolation: unlike plain value noise it
    shows no lattice in its gradient, which is what shading makes visible.

    Args:
      rng: source of randomness.
      shape: height and width in pixels.
      scale: size of a feature in pixels, or (x, y) sizes.
    """
    height, width = shape
    sx, sy = scale if isinstance(scale, tuple) else (scale, scale)
    # Two lattice points a feature; never finer than the pixel grid itself.
    step_x, step_y = max(1.0, sx / 2), max(1.0, sy / 2)
    rows, columns = int(np.ceil(height / step_y)) + 6, int(np.ceil(width / step_x)) + 6
    grid = rng.standard_normal((rows, columns), dtype=np.float32)
    grid[:] = cv2.GaussianBlur(grid, (5, 5), 0.85, borderType=cv2.BORDER_WRAP if min(rows, columns) < 3 else 4)
    grid *= 1 / max(1e-6, float(grid.std()))
    x, y = rng.uniform(1.5, 2.5), rng.uniform(1.5, 2.5)
    transform = np.array([[1 / step_x, 0, x], [0, 1 / step_y, y]], np.float32)
    return cv2.warpAffine(
        grid, transform, (width, height), flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REFLECT
    )


def fractal(
    rng: np.random.Generator,
    shape: tuple[int, int],
    scale: float | tuple[float, float],
    octaves: int = 4,
    gain: float = 0.5,
) -> np.ndarray:
    """Returns a sum of octaves of ``smooth`` noise, each of half the size and ``gain`` times the amplitude."""
    sx, sy = scale if isinstance(scale, tuple) else (scale, scale)
    total = np.zeros(shape, np.float32)
    amplitude, power = 1.0, 0.0
    for octave in range(octaves):
        ox, oy = sx / 2**octave, sy / 2**octave
        total += amplitude * smooth(rng, shape, (max(ox, 1.0), max(oy, 1.0)))
        power += amplitude**2
        amplitude *= gain
        if max(ox, oy) <= 1.5:
            break
    return total / np.float32(np.sqrt(power))


def directed(rng: np.random.Generator, shape: tuple[int, int], angle: float, along: float, across: float) -> np.ndarray:
    """Returns noise drawn out along a direction.

    Args:
      rng: source of randomness.
      shape: height and width in pixels.
      angle: direction of the streaks in radians, from x towards y.
      along: length of a streak in pixels.
      across: width of a streak in pixels.
    """
    height, width = shape
    side = int(np.hypot(height, width)) + 4
    field = smooth(rng, (side, side), (along, across))
    rotation = cv2.getRotationMatrix2D((side / 2, side / 2), -np.degrees(angle), 1.0)
    rotation[0, 2] += width / 2 - side / 2
    rotation[1, 2] += height / 2 - side / 2
    return cv2.warpAffine(field, rotation, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)


def displaced(field: np.ndarray, dx: np.ndarray, dy: np.ndarray) -> np.ndarray:
    """Returns a field or image read at (x + dx, y + dy), offsets in pixels."""
    height, width = dx.shape
    x = np.arange(width, dtype=np.float32)[None, :] + dx.astype(np.float32)
    y = np.arange(height, dtype=np.float32)[:, None] + dy.astype(np.float32)
    return cv2.remap(field, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)


def blur(field: np.ndarray, sigma: float) -> np.ndarray:
    """Returns a Gaussian blur; wide ones are taken at a reduced size, which nobody can see and is fast."""
    if sigma < 0.3:
        return field
    reduction = int(sigma // 4)
    if reduction < 2 or min(field.shape[:2]) < 4 * reduction:
        return cv2.GaussianBlur(field, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
    height, width = field.shape[:2]
    small = cv2.resize(field, (max(2, width // reduction), max(2, height // reduction)), interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), sigma / reduction, borderType=cv2.BORDER_REPLICATE)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)


def smoothstep(low: float, high: float, value: np.ndarray | float) -> np.ndarray:
    """Returns the cubic ramp from 0 at ``low`` to 1 at ``high``."""
    t = np.clip((value - low) / (high - low), 0.0, 1.0)
    return t * t * (3 - 2 * t)
