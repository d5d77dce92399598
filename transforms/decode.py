"""Decoding: from the bytes of a photo file to upright sRGB pixels.

Whatever can be wrong with a file ends as a ``PhotoError`` with a stable reason. Sizes are read from the header
before a pixel is decoded, because a file of 100 KB can unpack to gigabytes.
"""

from __future__ import annotations

import dataclasses
import functools
import io

import apache_beam as beam
import cv2
import numpy as np
from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from transforms import icc
from transforms.bare_file import bare_file, count_scans, exif_orientation, png_without_profile
from transforms.image_format import ends_early, jpeg_scan_data, sniff_format, webp_frame_size
from transforms.reasons import PhotoError, RejectReason
from transforms.stage import PhotoStage
from transforms.tiff_directory import tiff_entries

# The plugins are called directly: Image.open() would guess the format a second time and guard the size of the
# picture with a limit of its own, which is a global of the process.
_PLUGINS = {
    "jpeg": JpegImagePlugin.JpegImageFile,
    "png": PngImagePlugin.PngImageFile,
    "webp": WebPImagePlugin.WebPImageFile,
    "avif": AvifImagePlugin.AvifImageFile,
    "tiff": TiffImagePlugin.TiffImageFile,
    "bmp": BmpImagePlugin.BmpImageFile,
    "gif": GifImagePlugin.GifImageFile,
}
try:
    from pillow_heif.as_plugin import HeifImageFile

    _PLUGINS["heic"] = HeifImageFile
except ImportError:  # the extra "heif" is not installed: such photos are refused by name
    pass
_CV2_REDUCED = {
    1: cv2.IMREAD_COLOR,
    2: cv2.IMREAD_REDUCED_COLOR_2,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    8: cv2.IMREAD_REDUCED_COLOR_8,
}
_DEEP_MODES = {"I", "F", "I;16", "I;16L", "I;16B", "I;16N"}
# A progressive JPEG goes over its pixels once a scan; photographs have about ten scans, bombs thousands.
_MAX_JPEG_SCANS = 100
_FEW_JPEG_SCANS = 20
_MAX_SCANNED_PIXELS = 64_000_000
# What unpacks to more than a phone's photo ought to hold something of one. Flat pictures pack 1,000 times in PNG, 500
# times in JPEG, without limit in WebP and AVIF; photos 3 to 100 times, on plain white and in the newer formats more.
_ORDINARY_PIXELS = 16_000_000
_MAX_PACKING = {"webp": 1_000, "avif": 2_000, "heic": 2_000}
_MAX_PACKING_ELSE = 300


@dataclasses.dataclass(frozen=True)
class DecodeLimits:
    """How large or small a photo may be.

    Attributes:
      max_pixels: width x height of the frame, at most.
      max_bytes: size of the file, at most.
      min_side: width and height in pixels, at least.
      max_profile_bytes: a larger ICC profile is ignored; real ones have up to about 3 MB (CMYK).
    """

    max_pixels: int = 100_000_000
    max_bytes: int = 64 * 2**20
    min_side: int = 8
    max_profile_bytes: int = 4 * 2**20

    def __post_init__(self):
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"{field.name} is {value!r}; it must be a whole number of at least 1")


@dataclasses.dataclass(frozen=True)
class Decoded:
    """A decoded photo.

    Attributes:
      image: uint8 (h, w, 3), RGB, sRGB, upright. Colour under transparent pixels is the file's own.
      alpha: uint8 (h, w), straight, or None where the file has none or is opaque everywhere.
      width, height: pixels of the full frame, upright; h and w are these, or these divided by 2, 4 or 8, rounded up.
      format: one of ``image_format.READABLE_FORMATS``.
    """

    image: np.ndarray
    alpha: np.ndarray | None
    width: int
    height: int
    format: str


def decode(content: bytes, *, limits: DecodeLimits | None = None, wanted: int | None = None) -> Decoded:
    """Decodes a photo file: the first frame or page, upright, in sRGB.

    Args:
      content: the whole file: JPEG, PNG, WebP, AVIF, TIFF, BMP, GIF, or HEIC with the extra ``heif`` installed,
        recognised by its bytes.
      limits: what is too large or too small; ``DecodeLimits()`` if None.
      wanted: longest side in pixels that is needed at least; a larger picture may come at 1/2, 1/4 or 1/8 of its
        size. None for full size. Pictures with alpha always come at full size, lest hidden colours bleed.

    Returns:
      The pixels. Channels of more than 8 bits are cut to 8; floating-point TIFFs are taken to hold 0..1, or 0..255
      or 0..65535 where they have larger values, encoded as sRGB unless a profile says otherwise.

    Raises:
      PhotoError: with reason ``empty``, ``too_large``, ``too_small``, ``not_an_image``, ``unsupported_format``,
        ``truncated`` or ``corrupt``. Nothing else is raised, whatever the bytes are.
    """
    limits = limits or DecodeLimits()
    if not content:
        raise PhotoError(RejectReason.EMPTY, "the file has 0 bytes")
    if len(content) > limits.max_bytes:
        detail = f"the file has {len(content)} bytes; the limit is {limits.max_bytes} bytes"
        raise PhotoError(RejectReason.TOO_LARGE, detail)
    image_format = sniff_format(content)
    if image_format not in _PLUGINS:
        detail = "the file is an image of the format HEIC/HEIF, which is read only with the extra heif: packshot[heif]"
        raise PhotoError(RejectReason.UNSUPPORTED_FORMAT, detail)
    try:
        return _decode(content, image_format, limits, wanted)
    except PhotoError:
        raise
    except Image.DecompressionBombError as error:
        raise PhotoError(RejectReason.TOO_LARGE, f"{error} (limit of the {image_format} reader)") from error
    except Exception as error:  # the codecs raise some twenty kinds of exception on damaged files
        if "truncated" in str(error).lower() or ends_early(content, image_format):
            detail = f"the {image_format} file ends after {len(content)} bytes, before its pixels do"
            raise PhotoError(RejectReason.TRUNCATED, detail) from error
        detail = f"the {image_format} file is damaged: {type(error).__name__}: {error}"
        raise PhotoError(RejectReason.CORRUPT, detail) from error


def _decode(content: bytes, image_format: str, limits: DecodeLimits, wanted: int | None) -> Decoded:
    if image_format == "webp":  # its reader sets memory aside for the whole canvas on opening
        _check_size(*webp_frame_size(content), len(content), image_format, limits)
    content, orientation = bare_file(content, image_format)
    try:
        frame = _PLUGINS[image_format](io.BytesIO(content))
    except (SyntaxError, ValueError, OSError, Image.DecompressionBombError) as error:
        if image_format == "png" and (plain := png_without_profile(content)) != content:
            return _decode(plain, image_format, limits, wanted)
        if image_format == "tiff":
            return _decode_tiff_with_cv2(content, limits, wanted, error)
        raise
    width, height = frame.size
    _check_size(width, height, len(content), image_format, limits)
    profile = frame.info.get("icc_profile")
    if not isinstance(profile, bytes) or len(profile) > limits.max_profile_bytes:
        profile = None

    alpha = None
    factor = _reduction(max(width, height), wanted)
    if image_format == "jpeg":
        image = _decode_jpeg(content, frame, profile, factor)
    elif image_format == "bmp" and frame.tile and frame.tile[0].codec_name == "bmp_rle":
        image = _read_with_cv2(content, cv2.IMREAD_COLOR)  # Pillow unpacks run lengths byte by byte in Python
        if image.shape[:2] != (height, width):
            raise ValueError("the decoder found another size than the header gives")
    else:
        frame.load()
        width, height = frame.size
        picture, alpha = _split_alpha(frame)
        image = np.asarray(icc.picture_to_srgb(picture, profile))
        if image_format == "bmp" and alpha is not None and not alpha.any():
            alpha = None  # four bytes a pixel, of which the writer left the fourth unused
    if image_format in ("webp", "avif"):  # of AVIF, Pillow words the container's own turns as EXIF; HEIC comes upright
        orientation = exif_orientation(frame.info.get("exif") or b"")
    return _finish(image, alpha, width, height, image_format, orientation, factor)


def _finish(
    image: np.ndarray,
    alpha: np.ndarray | None,
    width: int,
    height: int,
    image_format: str,
    orientation: int,
    factor: int,
) -> Decoded:
    if alpha is not None and (alpha == 255).all():
        alpha = None
    if alpha is None and factor > 1 and image.shape[:2] == (height, width):
        size = -(-width // factor), -(-height // factor)
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    if orientation >= 5:
        width, height = height, width
    alpha = None if alpha is None else _upright(alpha, orientation)
    return Decoded(_upright(image, orientation), alpha, width, height, image_format)


def _check_size(width: int, height: int, size: int, image_format: str, limits: DecodeLimits) -> None:
    if width < 1 or height < 1:
        raise PhotoError(RejectReason.CORRUPT, f"the header gives the picture {width} x {height} pixels")
    if width * height > limits.max_pixels:
        detail = (
            f"the picture has {width} x {height} = {width * height} pixels; the limit is {limits.max_pixels} pixels"
        )
        raise PhotoError(RejectReason.TOO_LARGE, detail)
    if min(width, height) < limits.min_side:
        detail = f"the picture has {width} x {height} pixels; each side must have at least {limits.min_side}"
        raise PhotoError(RejectReason.TOO_SMALL, detail)
    most = _MAX_PACKING.get(image_format, _MAX_PACKING_ELSE)
    if width * height > _ORDINARY_PIXELS and 3 * width * height > most * size:
        detail = f"{size} bytes unpack to {width} x {height} pixels, more than {most} times as much; photos do not"
        raise PhotoError(RejectReason.TOO_LARGE, detail)


def _reduction(longest: int, wanted: int | None) -> int:
    """Returns the largest of 1, 2, 4 and 8 that leaves the longest side at least ``wanted`` pixels."""
    if wanted is None:
        return 1
    return next((factor for factor in (8, 4, 2) if -(-longest // factor) >= wanted), 1)


def _upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Turns and mirrors pixels as EXIF orientation 1 to 8 asks (CIPA DC-008, tag 274)."""
    if orientation in (5, 7):
        pixels = cv2.transpose(pixels)
    flip = {2: 1, 3: -1, 4: 0, 7: -1}.get(orientation)
    if flip is not None:
        pixels = cv2.flip(pixels, flip)
    if orientation == 6:
        pixels = cv2.rotate(pixels, cv2.ROTATE_90_CLOCKWISE)
    if orientation == 8:
        pixels = cv2.rotate(pixels, cv2.ROTATE_90_COUNTERCLOCKWISE)
    return np.require(pixels, requirements=["C", "W"])


def _decode_jpeg(content: bytes, frame: Image.Image, profile: bytes | None, factor: int) -> np.ndarray:
    """Decodes a JPEG at 1/factor of its size: by OpenCV where its colours are sRGB already, else by Pillow.

    OpenCV was measured to take 0.55 to 0.95 of Pillow's time at every factor.
    """
    start, end = jpeg_scan_data(content)
    if end < 0:  # where a stopped download left zeros for the rest, the decoders see no error
        raise OSError("the end of the image is missing")
    scans = count_scans(content, start, _FEW_JPEG_SCANS)
    if scans > _FEW_JPEG_SCANS:
        most = max(min(_MAX_JPEG_SCANS, _MAX_SCANNED_PIXELS // (frame.width * frame.height)), _FEW_JPEG_SCANS)
        scans = count_scans(content, start, most)
        if scans > most:
            detail = f"the JPEG has more than {most} scans of {frame.width} x {frame.height} pixels; photos have fewer"
            raise PhotoError(RejectReason.CORRUPT, detail)
    managed = frame.mode == "CMYK" or icc.changes_colours(profile, frame.mode)
    read = _read_jpeg_with_pillow if managed else _read_jpeg_with_cv2
    pixels = read(content, factor)
    if _is_filler(pixels) and not np.array_equal(pixels, read(_with_noise(content, end), factor)):
        raise PhotoError(RejectReason.TRUNCATED, "the jpeg file has an end, but not the data for all of its pixels")
    if not managed:
        return pixels
    return np.asarray(icc.picture_to_srgb(Image.fromarray(pixels, frame.mode), profile))


def _read_jpeg_with_cv2(content: bytes, factor: int) -> np.ndarray:
    return _read_with_cv2(content, _CV2_REDUCED[factor])


def _read_with_cv2(content: bytes, flags: int) -> np.ndarray:
    pixels = cv2.imdecode(np.frombuffer(content, np.uint8), flags | cv2.IMREAD_IGNORE_ORIENTATION)
    if pixels is None:
        raise OSError("the decoder gave up")
    return cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)


def _read_jpeg_with_pillow(content: bytes, factor: int) -> np.ndarray:
    frame = JpegImagePlugin.JpegImageFile(io.BytesIO(content))
    if factor > 1:
        width, height = frame.size
        frame.draft(None, (width // factor, height // factor))
    return np.asarray(frame)


def _is_filler(pixels: np.ndarray) -> bool:
    """Whether the last corner is of the flat mid-grey that libjpeg puts where it has run out of data."""
    return bool(np.isin(pixels[-2:, -2:], (127, 128)).all())


def _with_noise(content: bytes, end: int) -> bytes:
    """Returns a JPEG with noise before its end marker: a picture that had all its data decodes as before.

    A file that was cut and then closed properly decodes without an error; only this tells its grey from a photo's.
    """
    noise = np.random.Generator(np.random.PCG64(0)).integers(0, 255, 4096, dtype=np.uint8).tobytes()
    restarts = b"".join(b"\0" + noise + bytes((0xFF, 0xD0 + i)) for i in range(8))
    return content[:end] + restarts + content[end:]


def _split_alpha(frame: Image.Image) -> tuple[Image.Image, np.ndarray | None]:
    """Returns a loaded picture as mode L, RGB, CMYK or LAB, and its alpha."""
    transparency = frame.info.get("transparency")
    if frame.mode in _DEEP_MODES:
        values = np.asarray(frame)
        alpha = None
        if isinstance(transparency, int):
            alpha = np.where(values == transparency, 0, 255).astype(np.uint8)
        return Image.fromarray(_to_8_bits(values)), alpha
    if frame.mode in ("LA", "La"):
        picture = frame.convert("LA")
        return picture.getchannel("L"), np.asarray(picture.getchannel("A"))
    if frame.mode in ("RGBA", "RGBa", "PA") or transparency is not None:
        picture = frame.convert("RGBA")
        return picture.convert("RGB"), np.asarray(picture.getchannel("A"))
    if frame.mode in ("L", "RGB", "CMYK", "LAB"):
        return frame, None
    return frame.convert("L" if frame.mode == "1" else "RGB"), None


def _to_8_bits(values: np.ndarray) -> np.ndarray:
    """Maps deep pixels to uint8 by the smallest usual range that holds them all."""
    if values.dtype == np.uint8:
        return values
    if values.dtype == np.uint16:
        return (values >> 8).astype(np.uint8)
    floating = values.dtype.kind == "f"
    values = np.nan_to_num(values.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    ranges = (1.0, 255.0, 65535.0, 2.0**32 - 1) if floating else (255.0, 65535.0, 2.0**32 - 1)
    top = next((r for r in ranges if values.max() <= r), ranges[-1])
    return np.clip(values * (255.0 / top) + 0.5, 0, 255).astype(np.uint8)


def _decode_tiff_with_cv2(content: bytes, limits: DecodeLimits, wanted: int | None, error: Exception) -> Decoded:
    """Decodes the TIFFs that Pillow has no mode for, such as floating-point RGB."""
    entries = {entry.tag: entry.integers(content, 1) for entry in tiff_entries(content)}
    width, height, orientation = (sum(entries.get(tag, ())) for tag in (256, 257, 274))
    if not width or not height:
        raise error
    _check_size(width, height, len(content), "tiff", limits)
    values = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    if values is None or values.shape[:2] != (height, width):
        raise error
    pixels = _to_8_bits(values)
    alpha = None
    if pixels.ndim == 3 and pixels.shape[2] == 4:
        pixels, alpha = pixels[:, :, :3], pixels[:, :, 3].copy()
    image = cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB if pixels.ndim == 3 else cv2.COLOR_GRAY2RGB)
    orientation = orientation if orientation in range(1, 9) else 1
    return _finish(image, alpha, width, height, "tiff", orientation, _reduction(max(width, height), wanted))


def decode_photo(photo, *, limits: DecodeLimits, wanted: int | None):
    """Returns a photo with its pixels instead of its bytes; see ``decode``.

    Raises:
      PhotoError: the photo cannot be decoded.
    """
    decoded = decode(photo.content or b"", limits=limits, wanted=wanted)
    return photo.replace(
        content=None,
        image=decoded.image,
        source_alpha=decoded.alpha,
        width=decoded.width,
        height=decoded.height,
    )


class DecodePhotos(beam.PTransform):
    """Decodes every photo's ``content`` into ``image``, ``source_alpha``, ``width`` and ``height``.

    Args:
      limits: what is too large or too small.
      wanted: longest side in pixels that is needed at least, None for full size.

    Returns (of ``expand``):
      Two PCollections, of photos without ``content`` and of rejections.
    """

    def __init__(self, limits: DecodeLimits | None = None, wanted: int | None = None):
        super().__init__()
        self._limits = limits or DecodeLimits()
        self._wanted = wanted

    def expand(self, photos):
        function = functools.partial(decode_photo, limits=self._limits, wanted=self._wanted)
        return photos | PhotoStage("decode", function)
