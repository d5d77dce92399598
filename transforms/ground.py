"""The ground under a packshot: one colour, a gradient of two, or a picture."""

from __future__ import annotations

import functools

import cv2
import numpy as np

from transforms.profile import Profile


@functools.lru_cache(maxsize=2)  # a job has one profile; every photo stands on the same ground
def paint_ground(profile: Profile) -> np.ndarray:
    """Paints the canvas of a profile, without a product.

    A gradient runs from ``background`` at the top to ``gradient`` at the bottom, evenly in code values. A picture
    fills the canvas: it is scaled as little as that allows and what is too much is cut off evenly on both sides.

    Returns:
      uint8 (height, width, 3), sRGB, RGB; not to be written to.

    Raises:
      ValueError: the picture cannot be decoded.
    """
    size = (profile.width, profile.height)
    top = np.asarray(profile.background, np.float64)
    if profile.backdrop is not None:
        ground = _cover(decode_backdrop(profile.backdrop), size)
    elif profile.gradient is not None:
        down = np.linspace(0, 1, profile.height)[:, None]
        column = np.round(top + (np.asarray(profile.gradient, np.float64) - top) * down)
        ground = np.repeat(column.astype(np.uint8)[:, None], profile.width, axis=1)
    else:
        row = np.tile(np.asarray(profile.background, np.uint8), profile.width)
        ground = np.tile(row, (profile.height, 1)).reshape(profile.height, profile.width, 3)
    ground.flags.writeable = False
    return ground


def decode_backdrop(content: bytes) -> np.ndarray:
    """Decodes a ground's picture, turned as its EXIF orientation says; uint8 (h, w, 3), RGB.

    Raises:
      ValueError: it cannot be decoded.
    """
    picture = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR_RGB) if content else None
    if picture is None:
        raise ValueError(f"the backdrop of {len(content)} bytes is no picture that can be decoded")
    return np.asarray(picture)


def _cover(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    width, height = size
    factor = max(width / picture.shape[1], height / picture.shape[0])
    scaled = (max(width, round(picture.shape[1] * factor)), max(height, round(picture.shape[0] * factor)))
    picture = cv2.resize(picture, scaled, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC)
    left, top = (scaled[0] - width) // 2, (scaled[1] - height) // 2
    return np.ascontiguousarray(picture[top : top + height, left : left + width])
