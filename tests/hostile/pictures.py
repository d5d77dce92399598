"""Odd and broken picture files, made by code: what catalogue feeds hold, and what someone might put there."""

from __future__ import annotations

import dataclasses
import functools
import io
import struct
import zlib

import numpy as np
from PIL import Image, features

from transforms.reasons import RejectReason as Reason

try:
    import pillow_heif
except ImportError:
    pillow_heif = None

WIDTH, HEIGHT = 240, 180


@dataclasses.dataclass(frozen=True)
class Hostile:
    """A file and what must become of it.

    Attributes:
      name: file name, also the photo's id.
      content: its bytes.
      reason: of its rejection in the stage ``decode``, or None where a picture must come of it.
    """

    name: str
    content: bytes
    reason: Reason | None = None


def product(seed: int = 0, width: int = WIDTH, height: int = HEIGHT) -> Image.Image:
    """Returns a plain product photo: a coloured ellipse on a light ground, with some grain."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    inside = ((x / width - 0.5) / 0.28) ** 2 + ((y / height - 0.5) / 0.36) ** 2 < 1
    pixels = np.where(inside[..., None], rng.integers(30, 200, 3), rng.integers(225, 250)) + rng.normal(
        0, 3, (height, width, 1)
    )
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def save(image: Image.Image, image_format: str, **options) -> bytes:
    """Returns an image as a file."""
    stream = io.BytesIO()
    image.save(stream, image_format, **options)
    return stream.getvalue()


def png_chunk(kind: bytes, data: bytes) -> bytes:
    """Returns a chunk of a PNG file."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def jpeg_segment(marker: int, data: bytes) -> bytes:
    """Returns a segment of a JPEG file."""
    return struct.pack(">BBH", 0xFF, marker, len(data) + 2) + data


def behind_soi(jpeg: bytes, *segments: bytes) -> bytes:
    """Returns a JPEG file with segments at its very start."""
    return jpeg[:2] + b"".join(segments) + jpeg[2:]


def heic(image: Image.Image, **options) -> bytes:
    """Returns an image as HEIC; needs the extra ``heif``."""
    stream = io.BytesIO()
    pillow_heif.from_pillow(image).save(stream, quality=60, **options)
    return stream.getvalue()


@functools.cache
def containers() -> dict[str, bytes]:
    """Returns a sound product photo in every format that is read, by file suffix."""
    image = product()
    files = {
        "jpg": save(image, "JPEG", quality=90),
        "png": save(image, "PNG"),
        "webp": save(image, "WEBP", quality=85),
        "gif": save(image, "GIF"),
        "tiff": save(image, "TIFF", compression="tiff_lzw"),
        "bmp": save(image, "BMP"),
    }
    if features.check("avif"):
        files["avif"] = save(image, "AVIF", quality=70, speed=10)
    if pillow_heif:
        files["heic"] = heic(image)
    return files


def cut_files() -> list[Hostile]:
    """Returns files cut at every tenth, as uploads that broke off leave them."""
    whole = containers()
    found = []
    for suffix, content in whole.items():
        tenths = range(1, 10) if suffix in ("jpg", "png", "webp") else (5, 9)
        for tenth in tenths:
            cut = content[: len(content) * tenth // 10]
            found.append(Hostile(f"cut-{tenth}-tenths.{suffix}", cut, Reason.TRUNCATED))
    jpeg = whole["jpg"]
    found.append(Hostile("cut-and-closed.jpg", jpeg[: len(jpeg) // 2] + b"\xff\xd9", Reason.TRUNCATED))
    found.append(Hostile("cut-and-zeros.jpg", jpeg[: len(jpeg) // 2] + bytes(5000), Reason.TRUNCATED))
    found.append(Hostile("head-missing.jpg", jpeg[len(jpeg) // 2 :], Reason.NOT_AN_IMAGE))
    return found


def strangers() -> list[Hostile]:
    """Returns files that are no pictures, or of formats that are not read."""
    external = (
        b'<?xml version="1.0"?><!DOCTYPE svg [<!ENTITY x SYSTEM "file:///etc/passwd">]><svg><text>&x;</text></svg>'
    )
    laughs = b"".join(b'<!ENTITY l%d "%s">' % (i, b"&l%d;" % (i - 1) * 10) for i in range(1, 10))
    page = b"<!DOCTYPE html><html><body>404 Not Found</body></html>"
    jpeg = containers()["jpg"]
    none = Reason.NOT_AN_IMAGE
    return [
        Hostile("empty.jpg", b"", Reason.EMPTY),
        Hostile("one-byte.jpg", b"\xff", none),
        Hostile("magic-alone.jpg", b"\xff\xd8\xff", Reason.TRUNCATED),
        Hostile("zeros.jpg", bytes(4096), none),
        Hostile("noise.jpg", np.random.default_rng(5).bytes(4096), none),
        Hostile("error-page.jpg", page, none),
        Hostile("json-error.png", b'{"error": "token expired"}', none),
        Hostile("drawing.svg", b'<svg xmlns="http://www.w3.org/2000/svg"/>', none),
        Hostile("external-entity.svg", external, none),
        Hostile(
            "billion-laughs.svg",
            b"<?xml version='1.0'?><!DOCTYPE x [<!ENTITY l0 'ha'>" + laughs + b"]><svg>&l9;</svg>",
            none,
        ),
        Hostile("document.jpg", b"%PDF-1.7\n%\xe2\xe3", none),
        Hostile("postscript.eps", b"%!PS-Adobe-3.0 EPSF-3.0\n(/etc/passwd) (r) file", none),
        Hostile("archive.jpg", b"PK\3\4" + bytes(60), none),
        Hostile("film.jpg", b"\0\0\0\x18ftypisom\0\0\2\0isommp42" + bytes(64), none),
        Hostile("program.png", b"\x7fELF\2\1\1" + bytes(57), none),
        Hostile("lfs-pointer.jpg", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", none),
        Hostile("table.png", b"PAR1" + bytes(30) + b"PAR1", none),
        Hostile("layers.psd", b"8BPS\0\1" + bytes(100), Reason.UNSUPPORTED_FORMAT),
        Hostile("wavelets.jp2", b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(50), Reason.UNSUPPORTED_FORMAT),
        Hostile("extra-long.jxl", b"\xff\x0a" + bytes(50), Reason.UNSUPPORTED_FORMAT),
        Hostile("camera.cr2", b"II*\0\x10\0\0\0CR\2\0" + bytes(40), Reason.UNSUPPORTED_FORMAT),
        Hostile("html-behind-jpeg.jpg", jpeg + page),  # a polyglot: a sound photo first
        Hostile("zip-behind-jpeg.jpg", jpeg + b"PK\3\4" + bytes(500)),
        Hostile("script-in-comment.jpg", behind_soi(jpeg, jpeg_segment(0xFE, b"<?php system($_GET['c']); ?>"))),
        *(Hostile(f"really-{suffix}.jpg", content) for suffix, content in containers().items() if suffix != "jpg"),
        Hostile("really-jpeg.png", jpeg),
    ]


def shapes() -> list[Hostile]:
    """Returns pictures of sizes that hardly any photo has."""
    return [
        Hostile("1x1.png", save(Image.new("RGB", (1, 1)), "PNG"), Reason.TOO_SMALL),
        Hostile("1x1.gif", save(Image.new("P", (1, 1)), "GIF"), Reason.TOO_SMALL),
        Hostile("1x30000.png", save(Image.new("RGB", (1, 30_000)), "PNG"), Reason.TOO_SMALL),
        Hostile("30000x1.jpg", save(Image.new("RGB", (30_000, 1)), "JPEG"), Reason.TOO_SMALL),
        Hostile("8x30000.png", save(product(1, 8, 30_000), "PNG")),
        Hostile("20000x16.jpg", save(product(1, 20_000, 16), "JPEG")),
        Hostile("8x8.png", save(product(1, 8, 8), "PNG")),
    ]


def depths() -> list[Hostile]:
    """Returns pictures of other depths, colours and numbers of frames than plain photos."""
    image = product(2)
    grey = np.asarray(image.convert("L"))
    clear = image.convert("RGBA")
    clear.putalpha(0)
    half = image.convert("RGBA")
    half.putalpha(Image.fromarray(np.tile(np.linspace(0, 255, WIDTH).astype(np.uint8), (HEIGHT, 1))))
    second = product(3)
    tags = {"compression": None}
    return [
        Hostile("grey-16-bit.png", save(Image.fromarray(grey.astype(np.uint16) * 257), "PNG")),
        Hostile("grey-16-bit.tiff", save(Image.fromarray(grey.astype(np.uint16) * 257), "TIFF", **tags)),
        Hostile("float.tiff", save(Image.fromarray(grey.astype(np.float32) / 255), "TIFF")),
        Hostile("float-nan.tiff", save(Image.fromarray(np.where(grey > 128, np.nan, grey).astype(np.float32)), "TIFF")),
        Hostile("one-bit.png", save(image.convert("1"), "PNG")),
        Hostile("fax.tiff", save(image.convert("1"), "TIFF", compression="group4")),
        Hostile("grey.jpg", save(image.convert("L"), "JPEG")),
        Hostile("palette.png", save(image.quantize(16), "PNG")),
        Hostile("palette-with-alpha.png", save(image.quantize(16), "PNG", transparency=bytes(range(0, 256, 16)))),
        Hostile("half-clear.png", save(half, "PNG")),
        Hostile("all-clear.png", save(clear, "PNG")),
        Hostile("half-clear.webp", save(half, "WEBP")),
        Hostile("animated.gif", save(image, "GIF", save_all=True, append_images=[second] * 3)),
        Hostile("animated.webp", save(image, "WEBP", save_all=True, append_images=[second] * 3)),
        Hostile("animated.png", save(image, "PNG", save_all=True, append_images=[second] * 3)),
        Hostile("pages.tiff", save(image, "TIFF", save_all=True, append_images=[second] * 3)),
        Hostile("plain-white.jpg", save(Image.new("RGB", (WIDTH, HEIGHT), "white"), "JPEG")),
        Hostile("plain-black.png", save(Image.new("RGB", (WIDTH, HEIGHT)), "PNG")),
    ]


def colours() -> list[Hostile]:
    """Returns CMYK files, and files whose colour profile is broken, huge or for other colours."""
    image, cmyk = product(4), product(4).convert("CMYK")
    with_marker = save(cmyk, "JPEG", quality=90)  # Pillow writes Adobe's marker, and the inks upside down
    start = with_marker.index(b"\xff\xee")
    without = with_marker[:start] + with_marker[start + 16 :]
    profile = np.random.default_rng(6).bytes(300)
    oversized = struct.pack(">I", 5_000_000) + profile
    return [
        Hostile("cmyk-adobe.jpg", with_marker),
        Hostile("cmyk-no-marker.jpg", without),
        Hostile("cmyk-bad-profile.jpg", save(cmyk, "JPEG", icc_profile=profile)),
        Hostile("cmyk.tiff", save(cmyk, "TIFF")),
        Hostile("profile-rubbish.jpg", save(image, "JPEG", icc_profile=profile)),
        Hostile("profile-rubbish.png", save(image, "PNG", icc_profile=profile)),
        Hostile("profile-lies-of-size.webp", save(image, "WEBP", icc_profile=oversized)),
        Hostile("profile-huge.jpg", save(image, "JPEG", icc_profile=bytes(4_000_000))),
        Hostile("profile-huge.png", save(image, "PNG", icc_profile=bytes(30_000_000))),
    ]


def orientations() -> list[Hostile]:
    """Returns photos of every orientation, and of some that there are not."""
    image, found = product(5), []
    for value in (*range(10), 65535):
        exif = Image.Exif()
        exif[274] = value
        found.append(Hostile(f"orientation-{value}.jpg", save(image, "JPEG", exif=exif)))
    as_text = b"MM\0*\0\0\0\x08\0\1\x01\x12\0\2\0\0\0\4six\0\0\0\0\0"
    for name, block in {
        "text": as_text,
        "cut": as_text[:14],
        "far": b"II*\0\xff\xff\xff\x7f",
        "rubbish": b"not exif at all",
        "loop": b"II*\0\x08\0\0\0\1\0\x69\x87\4\0\1\0\0\0\x08\0\0\0\x08\0\0\0",
    }.items():
        found.append(Hostile(f"exif-{name}.jpg", save(image, "JPEG", exif=b"Exif\0\0" + block)))
        found.append(Hostile(f"exif-{name}.webp", save(image, "WEBP", exif=block)))
    return found


def damaged() -> list[Hostile]:
    """Returns files with a few bytes wrong."""
    whole = containers()
    png = whole["png"]
    middle = png.index(b"IDAT") + 100
    checksum = png.index(b"PLTE") if b"PLTE" in png else png.index(b"IHDR")
    return [
        Hostile("broken-pixels.png", png[:middle] + b"\0\0\0\0\0\0" + png[middle + 6 :], Reason.CORRUPT),
        Hostile("broken-header.png", png[: checksum + 18] + b"\0\0\0\0" + png[checksum + 22 :], Reason.CORRUPT),
        Hostile("bad-text.png", png[:33] + png_chunk(b"zTXt", b"Comment\0\0not zlib") + png[33:]),
        Hostile("size-zero.png", png[:16] + bytes(8) + png[24:], Reason.CORRUPT),
    ]


def all_pictures() -> list[Hostile]:
    """Returns every file of this module."""
    makers = (cut_files, strangers, shapes, depths, colours, orientations, damaged)
    return [file for make in makers for file in make()]
