"""Small files of every format, and pieces to put broken ones together from."""

import io
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

try:
    import pillow_heif
except ImportError:
    pillow_heif = None

needs_heif = pytest.mark.skipif(pillow_heif is None, reason="the extra heif is not installed")
WIDTH, HEIGHT = 64, 48


def picture() -> np.ndarray:
    """A smooth picture of many colours, no two sides alike."""
    rng = np.random.default_rng(1)
    coarse = rng.integers(40, 216, (4, 5, 3)).astype(np.uint8)
    return cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)


RGB = picture()
ALPHA = np.tile(np.arange(WIDTH, dtype=np.uint8) * 4, (HEIGHT, 1))


def rgba() -> Image.Image:
    image = Image.fromarray(RGB)
    image.putalpha(Image.fromarray(ALPHA))
    return image


def save(image: Image.Image, image_format: str, **options) -> bytes:
    stream = io.BytesIO()
    image.save(stream, image_format, **options)
    return stream.getvalue()


def heic(image: Image.Image, **options) -> bytes:
    """Returns an image as HEIC; needs the extra ``heif``."""
    stream = io.BytesIO()
    pillow_heif.from_pillow(image).save(stream, quality=95, chroma=444, **options)
    return stream.getvalue()


def files() -> dict[str, bytes]:
    image = Image.fromarray(RGB)
    return {
        "jpeg": save(image, "JPEG", quality=95, subsampling=0),
        "jpeg-progressive": save(image, "JPEG", quality=95, subsampling=0, progressive=True),
        "jpeg-restarts": save(image, "JPEG", quality=95, subsampling=0, restart_marker_blocks=4),
        "jpeg-cmyk": save(image.convert("CMYK"), "JPEG", quality=95, subsampling=0),
        "png": save(image, "PNG"),
        "png-rgba": save(rgba(), "PNG"),
        "webp": save(image, "WEBP", lossless=True),
        "webp-lossy": save(image, "WEBP", quality=95),
        "tiff": save(image, "TIFF"),
        "tiff-lzw": save(image, "TIFF", compression="tiff_lzw"),
        "bmp": save(image, "BMP"),
        "gif": save(image, "GIF"),
        "avif": save(image, "AVIF", quality=100, subsampling="4:4:4", speed=10),
        **({"heic": heic(image)} if pillow_heif else {}),
    }


FILES = files()


def difference(a: np.ndarray, b: np.ndarray) -> int:
    assert a.shape == b.shape
    return int(np.abs(a.astype(int) - b.astype(int)).max())


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def with_tiff_tags(content: bytes, values: dict[int, int]) -> bytes:
    content = bytearray(content)
    start = struct.unpack_from("<I", content, 4)[0]
    for entry in range(start + 2, start + 2 + 12 * struct.unpack_from("<H", content, start)[0], 12):
        tag = struct.unpack_from("<H", content, entry)[0]
        if tag in values:
            struct.pack_into("<HII", content, entry + 2, 4, 1, values[tag])
    return bytes(content)
