"""The main colour of a product, by the basic colour terms of a language.

The eleven terms of Berlin and Kay ("Basic Color Terms", 1969), and beige, which clothes are full of. A pixel takes the
term one of whose focal colours is nearest in CIELAB, with lightness counting half: light falls unevenly on cloth.
"""

from __future__ import annotations

import cv2
import numpy as np

_FOCAL = {
    "black": [(22, 22, 24)],
    "white": [(238, 238, 236)],
    "grey": [(150, 150, 152), (92, 92, 94)],
    "red": [(190, 28, 40), (216, 40, 70)],
    "orange": [(226, 120, 40), (214, 140, 60)],
    "yellow": [(232, 200, 60), (214, 206, 90)],
    "green": [(52, 110, 62), (70, 190, 120), (150, 220, 40), (92, 94, 52), (60, 150, 150)],
    "blue": [(44, 78, 150), (34, 42, 76), (104, 122, 152), (60, 150, 220), (160, 185, 215)],
    "purple": [(106, 60, 126), (150, 130, 190)],
    "pink": [(226, 130, 158), (214, 60, 130), (236, 190, 200)],
    "brown": [(98, 66, 46), (74, 34, 36), (140, 96, 66)],
    "beige": [(206, 182, 148), (222, 206, 184)],
}
COLOUR_NAMES = tuple(_FOCAL)

_RGB = np.array([rgb for focal in _FOCAL.values() for rgb in focal], np.uint8)
_NAMES = np.repeat(np.arange(len(_FOCAL)), [len(focal) for focal in _FOCAL.values()])
_LIGHTNESS = 0.5
_SIDE = 48  # pixels: a vote needs no more


def _lab(rgb: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(rgb.reshape(1, -1, 3).astype(np.float32) / 255, cv2.COLOR_RGB2LAB)[0] * (_LIGHTNESS, 1, 1)


def main_colour(image: np.ndarray, alpha: np.ndarray | None = None) -> int:
    """Names the colour that most of a product has.

    Args:
      image: uint8 (h, w, 3), RGB.
      alpha: uint8 (h, w), 255 on the product; without it, the middle of the picture is looked at.

    Returns:
      Position in ``COLOUR_NAMES``.
    """
    height, width = image.shape[:2]
    small = cv2.resize(image, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA if min(height, width) > _SIDE else 0)
    if alpha is None:
        product = np.zeros((_SIDE, _SIDE), bool)
        product[_SIDE // 4 : -_SIDE // 4, _SIDE // 4 : -_SIDE // 4] = True
    else:
        product = cv2.resize(alpha, (_SIDE, _SIDE), interpolation=cv2.INTER_NEAREST) > 200
        if not product.any():
            product[:] = True
    distances = np.square(_lab(small[product])[:, None] - _lab(_RGB)[None]).sum(axis=-1)
    return int(np.bincount(_NAMES[distances.argmin(axis=1)], minlength=len(COLOUR_NAMES)).argmax())
