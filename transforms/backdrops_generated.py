"""Plain generated grounds for real products: a sweep of one colour, lit from above.

The product's own pixels stay as they are; the ground gets a contact shadow.
"""

from __future__ import annotations

import cv2
import numpy as np

from transforms.shadow import contact_shadow

KINDS = ("plain", "gradient")


def generate_backdrop(kind: str, seed: int, height: int, width: int) -> np.ndarray:
    """Draws a ground.

    Args:
      kind: one of ``KINDS``.
      seed: the same seed gives the same pixels.
      height, width: of the ground, in pixels.

    Returns:
      uint8 (height, width, 3), RGB.

    Raises:
      ValueError: an unknown kind.
    """
    if kind not in KINDS:
        raise ValueError(f"backdrop kind {kind!r} is unknown; it has to be one of {', '.join(KINDS)}")
    draw = np.random.default_rng(seed)
    colour = 255 * (1 - draw.uniform(0.03, 0.25) * draw.uniform(0.4, 1, 3))
    light = np.ones((height, 1)) if kind == "plain" else np.linspace(1, draw.uniform(0.8, 0.95), height)[:, None]
    return np.broadcast_to(np.rint(light[..., None] * colour), (height, width, 3)).astype(np.uint8)


def compose_on_backdrop(foreground: np.ndarray, alpha: np.ndarray, backdrop: np.ndarray) -> np.ndarray:
    """Puts a product on a ground, with a contact shadow; its pixels are unchanged where alpha is 255.

    Args:
      foreground: product colours, uint8 (h, w, 3), RGB.
      alpha: uint8 (h, w).
      backdrop: uint8 (h, w, 3).

    Returns:
      uint8 (h, w, 3).
    """
    light = 1 - contact_shadow(alpha)[..., None]
    share = cv2.merge([alpha] * 3).astype(np.float32) / 255
    return np.rint(share * foreground + (1 - share) * (backdrop * light)).astype(np.uint8)
