"""Colour profiles: from the colours that a file's ICC profile describes to sRGB."""

from __future__ import annotations

import functools
import io

import numpy as np
from PIL import Image, ImageCms

# Relative colorimetric with black point compensation is what print and photo software does by default: colours
# inside sRGB stay exact and shadows keep their detail. The finer grid keeps the 8-bit result within 1 of exact.
_INTENT = ImageCms.Intent.RELATIVE_COLORIMETRIC
_FLAGS = ImageCms.Flags.BLACKPOINTCOMPENSATION | ImageCms.Flags.HIGHRESPRECALC
_COLOUR_SPACES = {"L": "GRAY", "RGB": "RGB", "CMYK": "CMYK"}


def picture_to_srgb(picture: Image.Image, profile: bytes | None) -> Image.Image:
    """Converts a picture to sRGB.

    Args:
      picture: of mode L, RGB, CMYK or LAB, 8 bits a channel.
      profile: the ICC profile of its colours. A broken profile, or one for another kind of colours than the
        picture has, is ignored; without one, L and RGB are sRGB already and CMYK is converted by arithmetic.

    Returns:
      A picture of mode RGB.
    """
    if picture.mode == "LAB":
        return _lab_to_srgb().apply(picture)
    if profile:
        if picture.mode == "L" and _colour_space(profile) == "RGB":
            picture = picture.convert("RGB")
        transform = _transform(profile, picture.mode)
        if transform is not None:
            return transform.apply(picture)
    return picture.convert("RGB")


def changes_colours(profile: bytes | None, mode: str) -> bool:
    """Whether a profile moves any colour of a picture of this mode by more than 1 of 255.

    Most files carry a profile that says sRGB, in one of its dozens of versions; those need no conversion.
    """
    if not profile:
        return False
    if mode == "L" and _colour_space(profile) == "RGB":
        mode = "RGB"
    return _transform(profile, mode) is not None


@functools.lru_cache(maxsize=16)
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """Returns the way to sRGB, or None where there is none or none is needed."""
    if _colour_space(profile) != _COLOUR_SPACES[mode]:
        return None
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        transform = ImageCms.ImageCmsTransform(source, _srgb(), mode, "RGB", _INTENT, flags=_FLAGS)
        probe = _probe(mode)
        after = np.asarray(transform.apply(probe), np.int16)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None
    if mode != "CMYK" and np.abs(after - np.asarray(probe.convert("RGB"), np.int16)).max() <= 1:
        return None
    return transform


def _probe(mode: str) -> Image.Image:
    """Returns a small picture of colours from all over the cube; black and white are among them."""
    levels = np.linspace(0, 255, 13).round().astype(np.uint8)
    if mode == "L":
        return Image.fromarray(np.arange(256, dtype=np.uint8)[None])
    cube = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), axis=-1).reshape(1, -1, 3)
    picture = Image.fromarray(np.ascontiguousarray(cube))
    return picture.convert(mode)


@functools.lru_cache(maxsize=16)
def _colour_space(profile: bytes) -> str | None:
    """Returns the colour space that a profile is for, as in its header, or None for a broken one."""
    try:
        return ImageCms.ImageCmsProfile(io.BytesIO(profile)).profile.xcolor_space.strip()
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError, AttributeError):
        return None


@functools.cache
def _srgb() -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


@functools.cache
def _lab_to_srgb() -> ImageCms.ImageCmsTransform:
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))
    return ImageCms.ImageCmsTransform(lab, _srgb(), "LAB", "RGB", _INTENT, flags=_FLAGS)
