"""Files of arrays: packshot, mask and cut-out, always the same bytes for the same pixels.

Every file is built from pixels alone, so nothing of the photo's metadata can be in it. Beside them it holds that
its colours are sRGB, and an XMP packet that says where it comes from. JPEG and PNG are written by OpenCV, which embeds
neither, but lets other threads work meanwhile and is ten times as fast as Pillow at PNG; WebP by Pillow.
"""

from __future__ import annotations

import functools
import io
import math
import struct
import zlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np
from PIL import Image, ImageCms

from transforms.metadata_blocks import XMP_APP1
from transforms.profile import Profile
from transforms.reasons import ReviewReason
from transforms.resample import STEPS, resample
from transforms.source_type import SourceType, product_type, source_type_packet, strongest
from transforms.stage import PhotoStage

OUTPUTS = ("packshot", "mask", "cutout")
CUTOUT_FORMATS = ("png", "webp")
PICTURE_FORMATS = ("png", "jpeg")
# Chosen by measurement. Masks are runs of 0 and of 255: run-length matching alone, unfiltered, takes .5 ms and 7.6 KB
# at 400 x 550, where zlib's full search takes .6 ms and 9.5 KB at level 3, and 2 ms and 8.6 KB at 6. Cut-outs of
# 800 x 1066 take 45 ms and 473 KB with Paeth; OpenCV's defaults take 75 ms and 480 KB.
_MASK_PNG = (
    *(cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_NONE),
    *(cv2.IMWRITE_PNG_COMPRESSION, 3),
    *(cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE),
)
_COLOUR_PNG = (
    *(cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_PAETH),
    *(cv2.IMWRITE_PNG_COMPRESSION, 1),
    *(cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE),
)
_SAMPLING = {
    "4:4:4": cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
    "4:2:0": cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420,
}
_PNG_HEADER_END = 33  # signature and IHDR
_ICC_DATE = slice(24, 36)


class EncodedPackshot(NamedTuple):
    """A packshot's file.

    Attributes:
      content: the bytes.
      quality: the JPEG quality that was used, None for a PNG.
      meets_limits: whether its size is within the profile's byte limits.
    """

    content: bytes
    quality: int | None
    meets_limits: bool


def encode_packshot(image: np.ndarray, profile: Profile, xmp: bytes = b"") -> EncodedPackshot:
    """Encodes a composed canvas in the profile's format, within its byte limits if any quality does that.

    The profile's quality is tried first, and is enough nearly always. Only a file outside of the limits is worth
    Huffman tables of its own: 8 % fewer bytes for the same pixels, for twice the time (8 ms at 1000 x 1000). If it
    is still too large it gets the highest quality below that fits, if too small the lowest above that does, found by
    bisection in at most seven encodes more. Where none fits, the one that comes nearest to the violated limit is
    returned.

    Args:
      image: uint8 (H, W, 3), RGB.
      profile: gives format, quality, chroma and limits.
      xmp: a packet to embed, empty for none; it counts towards the limits.
    """
    if profile.format == "png":
        content = _png(cv2.cvtColor(image, cv2.COLOR_RGB2BGR), _COLOUR_PNG, srgb=profile.embed_srgb, xmp=xmp)
        return EncodedPackshot(content, None, _within(content, profile))
    pixels = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    encode = functools.partial(_jpeg, pixels, chroma=profile.chroma, srgb=profile.embed_srgb, xmp=xmp)
    content = encode(profile.quality)
    if _within(content, profile):
        return EncodedPackshot(content, profile.quality, meets_limits=True)
    encode = functools.partial(encode, optimised=True)
    best = _Attempt(profile.quality, encode(profile.quality))
    least, most = _limits(profile)
    if len(best.content) > most:
        best = _search(encode, profile.min_quality, best, lambda size: size <= most)
    elif len(best.content) < least:
        best = _search(encode, 100, best, lambda size: size >= least)
    return EncodedPackshot(best.content, best.quality, _within(best.content, profile))


def encode_mask(alpha: np.ndarray, xmp: bytes = b"") -> bytes:
    """Encodes a matte as an 8-bit grey PNG.

    Args:
      alpha: uint8 (h, w), 0 ground to 255 product.
      xmp: a packet to embed, empty for none.
    """
    return _png(alpha, _MASK_PNG, srgb=False, xmp=xmp)


def encode_cutout(foreground: np.ndarray, alpha: np.ndarray, format: str = "png", xmp: bytes = b"") -> bytes:
    """Encodes a cut-out with straight (not premultiplied) alpha, losslessly wherever alpha is not 0.

    Colours under alpha 0 are set to white: the file is smaller for it and holds nothing of the old ground,
    and a viewer that ignores alpha, or scales without weighing by it, shows a white ground and no dark edge.

    Args:
      foreground: product colours, uint8 (h, w, 3), RGB.
      alpha: uint8 (h, w).
      format: ``png`` or ``webp`` (lossless).
      xmp: a packet to embed, empty for none.

    Raises:
      ValueError: an unknown format.
    """
    if format not in CUTOUT_FORMATS:
        raise ValueError(f"cut-out format {format!r} is unknown; it has to be one of {', '.join(CUTOUT_FORMATS)}")
    hidden = (alpha == 0).astype(np.uint8) * 255
    red, green, blue = (np.bitwise_or(foreground[..., channel], hidden) for channel in range(3))
    if format == "png":
        return _png(cv2.merge([blue, green, red, alpha]), _COLOUR_PNG, srgb=True, xmp=xmp)
    stream = io.BytesIO()
    pixels = Image.fromarray(cv2.merge([red, green, blue, alpha]))
    # the lowest effort: 24 ms at 750 x 1000 where the usual one takes 280 ms to save 40 %
    pixels.save(stream, "WEBP", lossless=True, quality=0, method=0, exact=True, icc_profile=srgb_icc(), xmp=xmp)
    return stream.getvalue()


def encode_picture(image: np.ndarray, format: str, xmp: bytes = b"", *, quality: int = 95) -> bytes:
    """Encodes a picture that is no packshot, such as a training sample.

    Args:
      image: uint8 (h, w, 3), RGB.
      format: ``png``, or ``jpeg``, in full chroma.
      xmp: a packet to embed, empty for none.
      quality: of a JPEG.

    Raises:
      ValueError: an unknown format.
    """
    if format not in PICTURE_FORMATS:
        raise ValueError(f"picture format {format!r} is unknown; it has to be one of {', '.join(PICTURE_FORMATS)}")
    pixels = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    if format == "png":
        return _png(pixels, _COLOUR_PNG, srgb=True, xmp=xmp)
    return _jpeg(pixels, quality, chroma="4:4:4", srgb=True, xmp=xmp)


@functools.cache
def srgb_icc() -> bytes:
    """Returns a small sRGB ICC profile (588 bytes); the date in it is fixed, so that equal pixels give equal files."""
    icc = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    icc[_ICC_DATE] = struct.pack(">6H", 2000, 1, 1, 0, 0, 0)
    return bytes(icc)


class _Attempt(NamedTuple):
    quality: int
    content: bytes


def _search(encode: Callable[[int], bytes], end: int, start: _Attempt, fits: Callable[[int], bool]) -> _Attempt:
    """Returns the attempt nearest to ``start.quality`` whose size fits, or the one at ``end`` where none does."""
    misses, hit = start.quality, _Attempt(end, encode(end)) if end != start.quality else start
    if not fits(len(hit.content)):
        return hit
    while abs(hit.quality - misses) > 1:
        middle = (hit.quality + misses) // 2
        content = encode(middle)
        if fits(len(content)):
            hit = _Attempt(middle, content)
        else:
            misses = middle
    return hit


def _limits(profile: Profile) -> tuple[float, float]:
    return profile.min_bytes or 0, math.inf if profile.max_bytes is None else profile.max_bytes


def _within(content: bytes, profile: Profile) -> bool:
    least, most = _limits(profile)
    return least <= len(content) <= most


def _jpeg(pixels: np.ndarray, quality: int, *, chroma: str, srgb: bool, xmp: bytes, optimised: bool = False) -> bytes:
    options = (
        *(cv2.IMWRITE_JPEG_QUALITY, quality),
        *(cv2.IMWRITE_JPEG_OPTIMIZE, int(optimised)),
        *(cv2.IMWRITE_JPEG_SAMPLING_FACTOR, _SAMPLING[chroma]),
    )
    done, encoded = cv2.imencode(".jpg", pixels, options)
    if not done:
        raise ValueError(f"OpenCV could not write a JPEG of {pixels.dtype} {pixels.shape!r}")
    content = encoded.tobytes()
    header_end = 4 + int.from_bytes(content[4:6], "big")  # start of image and JFIF segment, which has to be the first
    segments = _jpeg_segment(0xE1, XMP_APP1 + xmp) if xmp else b""
    if srgb:
        segments += _jpeg_segment(0xE2, b"ICC_PROFILE\0\1\1" + srgb_icc())  # part 1 of 1
    return content[:header_end] + segments + content[header_end:]


def _jpeg_segment(marker: int, data: bytes) -> bytes:
    """Returns an application segment; the length counts its own two bytes."""
    return struct.pack(">BBH", 0xFF, marker, 2 + len(data)) + data


def _png(pixels: np.ndarray, options: tuple[int, ...], *, srgb: bool, xmp: bytes) -> bytes:
    done, encoded = cv2.imencode(".png", pixels, options)
    if not done:
        raise ValueError(f"OpenCV could not write a PNG of {pixels.dtype} {pixels.shape!r}")
    content = encoded.tobytes()
    chunks = _png_chunk(b"sRGB", b"\x00") if srgb else b""  # rendering intent: perceptual
    if xmp:  # not compressed, without language or translated keyword: as the XMP specification asks, part 3, 1.1.5
        chunks += _png_chunk(b"iTXt", b"XML:com.adobe.xmp" + bytes(5) + xmp)
    return content[:_PNG_HEADER_END] + chunks + content[_PNG_HEADER_END:]


def _png_chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def encode_photo(
    photo: Any,
    outputs: Sequence[str],
    profile: Profile,
    cutout_format: str,
    encoded_type: Callable[..., Any],
    ground_type: SourceType | None = None,
) -> Any:
    """Returns the photo record with ``encoded`` filled in the order of ``OUTPUTS``, and without its packshot pixels.

    Every file says what it is: the packshot what product and ground make together, mask and cut-out what the
    product alone is.
    """
    encoded, reasons = [], []
    product = product_type(photo.source_type)
    composed = strongest(product, ground_type) or product
    xmp = source_type_packet(product)

    def add(kind: str, content: bytes, width: int, height: int, media_type: str, extension: str):
        encoded.append(
            encoded_type(
                kind=kind,
                content=content,
                width=width,
                height=height,
                media_type=media_type,
                extension=extension,
                source_type=str(composed if kind == "packshot" else product),
            )
        )

    if "packshot" in outputs:
        packshot = encode_packshot(photo.packshot, profile, source_type_packet(composed))
        if not packshot.meets_limits:
            reasons.append(ReviewReason.BYTE_LIMIT)
        add("packshot", packshot.content, profile.width, profile.height, profile.media_type, profile.extension)
    foreground, alpha = photo.foreground, photo.alpha
    if alpha.shape != (photo.height, photo.width):
        if "cutout" in outputs:
            foreground, alpha = _enlarged_cutout(foreground, alpha, photo.width, photo.height)
        elif "mask" in outputs:
            alpha = cv2.resize(alpha, (photo.width, photo.height), interpolation=cv2.INTER_CUBIC)
    if "mask" in outputs:
        add("mask", encode_mask(alpha, xmp), photo.width, photo.height, "image/png", "png")
    if "cutout" in outputs:
        content = encode_cutout(foreground, alpha, cutout_format, xmp)
        add("cutout", content, photo.width, photo.height, f"image/{cutout_format}", cutout_format)
    return photo.replace(encoded=tuple(encoded), packshot=None, digital_source_type=str(composed)).flagged(*reasons)


def _enlarged_cutout(
    foreground: np.ndarray, alpha: np.ndarray, width: int, height: int
) -> tuple[np.ndarray, np.ndarray]:
    """Brings a cut-out of a reduced decode back to the source frame's size, with straight colours."""
    *premultiplied, opacity = resample(foreground, alpha, width, height)
    visible = np.maximum(opacity, STEPS)
    colour = cv2.merge([cv2.divide(plane, visible, scale=255, dtype=cv2.CV_8U) for plane in premultiplied])
    return colour, cv2.convertScaleAbs(opacity, alpha=1 / STEPS)


class EncodeAssets(PhotoStage):
    """Encodes what the run stores; photos in, photos with ``encoded`` out.

    Args:
      outputs: what is wanted, of ``OUTPUTS``; the order of the assets is that of ``OUTPUTS`` whatever this
        one is.
      profile: format and limits of the packshot.
      cutout_format: ``png`` or ``webp``.
      encoded_type: called with kind, content, width, height, media_type, extension, source_type; makes one asset's
        record.
      ground_type: what the profile's ground makes of a packshot, or None where it adds nothing.

    Raises:
      ValueError: an unknown output or format.
    """

    def __init__(
        self,
        outputs: Sequence[str],
        profile: Profile,
        cutout_format: str,
        encoded_type: Callable[..., Any],
        ground_type: SourceType | None = None,
    ):
        for output in outputs:
            if output not in OUTPUTS:
                raise ValueError(f"output {output!r} is unknown; outputs are {', '.join(OUTPUTS)}")
        if cutout_format not in CUTOUT_FORMATS:
            raise ValueError(
                f"cut-out format {cutout_format!r} is unknown; it has to be one of {', '.join(CUTOUT_FORMATS)}"
            )
        super().__init__(
            "encode",
            functools.partial(
                encode_photo,
                outputs=tuple(outputs),
                profile=profile,
                cutout_format=cutout_format,
                encoded_type=encoded_type,
                ground_type=ground_type,
            ),
        )
