"""Small pictures for the report, from files of any kind, within a budget of bytes."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import functools
import io
import warnings

from PIL import Image, ImageCms, ImageOps

from transforms.encode import srgb_icc

LARGEST_SIDE = 448  # pixels; a tile is shown at about half of that and enlarges to all of it
MOST_PIXELS = 120_000_000  # of a picture that is decoded for a thumbnail
# Longest side and WebP quality, from what is wanted to what always fits.
LEVELS = ((448, 76), (384, 70), (320, 62), (256, 54), (192, 46), (128, 38), (96, 25))

_MEDIA_TYPE = "image/webp"
_ORIENTATION = 0x0112  # EXIF tag


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

    Args:
      content: a file of any format that Pillow reads.
      side: longest side of the result in pixels.

    Returns:
      An ``RGB``, ``RGBA`` or ``L`` image, 8 bits a channel, not enlarged.

    Raises:
      ValueError: the bytes are no picture, a damaged one, or one of more than ``MOST_PIXELS``.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd metadata and large sizes; the size is checked below
            with Image.open(io.BytesIO(content)) as image:
                if image.width * image.height > MOST_PIXELS:
                    raise ValueError(f"{image.width} x {image.height} pixels are too many for a thumbnail")
                image.draft(None, (side, side))  # JPEG alone: decoded at a fraction of its size, never below this
                profile = image.info.get("icc_profile")
                small = _eight_bits(image)
                small.thumbnail((side, side), Image.Resampling.BICUBIC, reducing_gap=2.0)
                small = small.copy()  # no longer tied to the file
                small.getexif()[_ORIENTATION] = image.getexif().get(_ORIENTATION, 1)
                ImageOps.exif_transpose(small, in_place=True)
                return _srgb(small, profile)
    except Exception as error:  # Pillow's readers raise all kinds on damaged files, struct.error and SyntaxError too
        raise ValueError(f"not readable as a picture: {type(error).__name__}: {error}") from error


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


def _eight_bits(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I") or image.mode == "F":
        values = image.convert("F")
        extrema: tuple[float, float] = values.getextrema()  # type: ignore[assignment]  # of one channel
        top = next((top for top in (1.0, 255.0) if image.mode == "F" and extrema[1] <= top), 65535.0)
        return values.point(lambda value: value * (255.0 / top)).convert("L")
    if image.mode == "P" or (image.mode in ("L", "RGB") and "transparency" in image.info):
        return image.convert("RGBA") if "transparency" in image.info else image.convert("RGB")
    if image.mode in ("LA", "PA", "La", "RGBa"):
        return image.convert("RGBA")
    if image.mode == "1":
        return image.convert("L")
    return image  # L, RGB, RGBA; CMYK, LAB, YCbCr and HSV become RGB with their profile


@functools.lru_cache(maxsize=16)  # most pictures of a run share one profile, and a transform takes milliseconds to make
def _to_srgb(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform:
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    return ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, "RGB")


def _srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    alpha = image.getchannel("A") if image.mode == "RGBA" else None
    colours = image.convert("RGB") if alpha is not None else image
    if profile and profile != srgb_icc():  # the profile of our own assets
        # of a wrong or broken profile: the numbers as they are
        with contextlib.suppress(ImageCms.PyCMSError, OSError, ValueError):
            colours = ImageCms.applyTransform(colours, _to_srgb(profile, colours.mode)) or colours
    if colours.mode not in ("RGB", "L"):
        colours = colours.convert("RGB")
    if alpha is not None:
        colours.putalpha(alpha)
    colours.info.clear()
    return colours
