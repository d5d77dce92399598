"""Small pictures for the report, from files of any kind, within a budget of bytes."""

from __future__ import annotations

import base64
import dataclasses
import io

import cv2
import numpy as np
from PIL import Image

from transforms.decode import DecodeLimits, decode
from transforms.reasons import PhotoError

LARGEST_SIDE = 448  # pixels; a tile is shown at about half of that and enlarges to all of it
MOST_PIXELS = 120_000_000  # of a picture that is decoded for a thumbnail
# Longest side and WebP quality, from what is wanted to what always fits.
LEVELS = ((448, 76), (384, 70), (320, 62), (256, 54), (192, 46), (128, 38), (96, 25))

_MEDIA_TYPE = "image/webp"


@dataclasses.dataclass(frozen=True)
class Thumbnail:
    """An encoded thumbnail.

    Attributes:
      uri: ``data:`` URI.
      width, height: pixels.
    """

    uri: str
    width: int
    height: int


def read_thumbnail(content: bytes, side: int = LARGEST_SIDE) -> Image.Image:
    """Decodes a picture small: upright, in sRGB, with its alpha if it has one.

    The report shows rejected photos too, bombs among them, so they are decoded as carefully as in the job.

    Args:
      content: a file of any format that is read.
      side: longest side of the result in pixels.

    Returns:
      An ``RGB``, ``RGBA`` or ``L`` image, 8 bits a channel, not enlarged.

    Raises:
      ValueError: the bytes are no picture, a damaged one, or one of more than ``MOST_PIXELS``.
    """
    limits = DecodeLimits(max_pixels=MOST_PIXELS, min_side=1)
    try:
        decoded = decode(content, limits=limits, wanted=side)
    except PhotoError as error:
        raise ValueError(f"not readable as a picture: {error.detail}") from error
    if decoded.alpha is not None:
        image = Image.fromarray(decoded.image)
        image.putalpha(Image.fromarray(decoded.alpha))
        image.thumbnail((side, side), Image.Resampling.BICUBIC, reducing_gap=2.0)  # weighs colours by alpha
        return image
    pixels = _shrunk(decoded.image, side)
    return Image.fromarray(pixels[..., 0] if _is_grey(pixels) else pixels)


def _is_grey(pixels: np.ndarray) -> bool:
    return all(bool((part == part[..., :1]).all()) for part in (pixels[::16, ::16], pixels))  # a few settle most


def _shrunk(pixels: np.ndarray, side: int) -> np.ndarray:
    height, width = pixels.shape[:2]
    scale = side / max(height, width)
    if scale >= 1:
        return pixels
    # a fifth of the time of Pillow's filters, which let the report wait for them
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)


def encode_thumbnail(image: Image.Image, side: int, quality: int) -> Thumbnail:
    """Encodes a decoded thumbnail as a WebP ``data:`` URI.

    Args:
      image: from ``read_thumbnail``.
      side: longest side in pixels; smaller images stay as they are.
      quality: WebP quality, 0 to 100.
    """
    if max(image.size) > side:
        image = image.copy()
        image.thumbnail((side, side), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=quality, method=2)
    text = base64.b64encode(buffer.getvalue()).decode("ascii")
    return Thumbnail(f"data:{_MEDIA_TYPE};base64,{text}", *image.size)
