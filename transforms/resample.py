"""Scales cut-outs, so that an edge gets neither a line nor anything of what lies under alpha 0.

Scaling is linear, and so is compositing on one colour: a cut-out that is composited first and then scaled is what the
scaled one composited is, and takes no pass over the larger picture. Scaled on black, colours are premultiplied.
"""

from __future__ import annotations

import cv2
import numpy as np

# So many steps to an 8-bit level, so that a cubic kernel may swing over by as much again, both ways.
STEPS = 64
OPAQUE = 255 * STEPS
_BLACK = (0, 0, 0)


def resample(
    foreground: np.ndarray, alpha: np.ndarray, width: int, height: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Scales a cut-out, weighing its colours with alpha so that nothing of the old ground bleeds into the edge.

    Args:
      foreground: uint8 (h, w, 3), RGB.
      alpha: uint8 (h, w).
      width, height: the new size in pixels.

    Returns:
      Premultiplied R, G and B, and alpha, uint16 (height, width) each in steps of ``1 / STEPS`` of an 8-bit level, with
      0 <= colour <= alpha <= ``OPAQUE``.
    """
    colours, opacity = resample_on(_BLACK, foreground, alpha, width, height)
    red, green, blue = (np.clip(plane, 0, opacity).view(np.uint16) for plane in cv2.split(colours))
    return red, green, blue, opacity.view(np.uint16)


def resample_on(
    ground: tuple[int, int, int], foreground: np.ndarray, alpha: np.ndarray, width: int, height: int
) -> tuple[np.ndarray, np.ndarray]:
    """Scales a cut-out that lies on a ground of one colour.

    Shrinks by pixel area, enlarges bicubically. Where the cubic kernel swings over in alpha, the colour is scaled
    along, so an edge gets neither a dark nor a light line.

    Args:
      ground: R, G, B, 0..255 each.
      foreground: uint8 (h, w, 3), RGB.
      alpha: uint8 (h, w).
      width, height: the new size in pixels.

    Returns:
      The composite, int16 (height, width, 3), and alpha, int16 (height, width), in steps of ``1 / STEPS`` of an 8-bit
      level; exactly the ground where nothing of the product is near. Colours may lie as far beyond 0..``OPAQUE`` as
      the kernel swung, alpha does not.
    """
    shrinks = width <= alpha.shape[1] and height <= alpha.shape[0]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    weight = np.multiply(alpha, STEPS, dtype=np.int16)
    row = np.tile(np.array(ground, np.uint8), alpha.shape[1]).reshape(1, -1, 3)
    product = np.subtract(foreground, row, dtype=np.int16)
    composite = cv2.multiply(product, cv2.merge([weight] * 3), product, scale=1 / 255)
    if any(ground):
        composite += np.multiply(row, STEPS, dtype=np.int16)
    colours, opacity = (cv2.resize(plane, (width, height), interpolation=method) for plane in (composite, weight))
    _scale_back(colours, opacity, ground)
    cv2.min(opacity, OPAQUE, opacity)  # type: ignore[call-overload]
    return colours, cv2.threshold(opacity, 0, 0, cv2.THRESH_TOZERO, opacity)[1]


def _scale_back(colours: np.ndarray, opacity: np.ndarray, ground: tuple[int, int, int]) -> None:
    """Undoes, in place, that a kernel swung over opaque: more than opaque would push the ground away."""
    over = np.flatnonzero(opacity > OPAQUE)
    pixels = colours.reshape(-1, 3)
    share = np.float32(OPAQUE) / opacity.reshape(-1).take(over)
    base = np.array(ground, np.float32) * STEPS
    pixels[over] = (pixels.take(over, axis=0) - base) * share[:, None] + (base + np.float32(0.5))
