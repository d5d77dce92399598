"""Files of a few bytes that want seconds or gigabytes of whoever opens them without care."""

from __future__ import annotations

import struct
import zlib

import numpy as np
from PIL import Image, features

from tests.hostile.pictures import Hostile, behind_soi, jpeg_segment, png_chunk, product, save
from transforms.reasons import RejectReason as Reason

_SIDE = 5_000  # of flat pictures: few bytes, 25 million pixels


def _ifd_of_one_block(entries: int, size: int) -> bytes:
    """Returns a TIFF or EXIF block whose entries all claim the same bytes: read one by one, they fill the memory."""
    start = 8 + 2 + 12 * entries + 4
    table = b"".join(struct.pack("<HHII", 40_000 + i, 7, size, start) for i in range(entries))
    return b"II*\0\x08\0\0\0" + struct.pack("<H", entries) + table + bytes(4) + bytes(size)


def _with_tiff_tags(content: bytes, values: dict[int, int]) -> bytes:
    changed = bytearray(content)
    (start,) = struct.unpack_from("<I", content, 4)
    (entries,) = struct.unpack_from("<H", content, start)
    for entry in range(start + 2, start + 2 + 12 * entries, 12):
        (tag,) = struct.unpack_from("<H", content, entry)
        if tag in values:
            struct.pack_into("<HII", changed, entry + 2, 4, 1, values[tag])
    return bytes(changed)


def _zeros(megabytes: int) -> bytes:
    """Returns a zlib stream of zeros that took no memory to make: one deflated megabyte, repeated."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    length = megabytes << 20
    checksum = ((length % 65521) << 16) | 1
    return b"\x78\xda" + block * megabytes + packer.flush() + struct.pack(">I", checksum)


def _png(width: int, height: int, data: bytes, *chunks: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = (png_chunk(b"IHDR", header), *chunks, png_chunk(b"IDAT", data), png_chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def announced() -> list[Hostile]:
    """Returns files whose header announces more pixels than are allowed."""
    image = product(7)
    gif, jpeg, tiff, bmp = save(image, "GIF"), save(image, "JPEG"), save(image, "TIFF"), save(image, "BMP")
    webp, lossless = save(image, "WEBP"), save(image, "WEBP", lossless=True)
    extended = save(image.convert("RGBA"), "WEBP", exif=b"II*\0\0\0\0\0")
    frame = gif.index(b",", 13 + 3 * (2 << (gif[10] & 7)))
    sof = jpeg.index(b"\xff\xc0")
    files = {
        "screen.gif": gif[:6] + struct.pack("<HH", 65535, 65535) + gif[10:],
        "frame.gif": gif[: frame + 5] + struct.pack("<HH", 65535, 65535) + gif[frame + 9 :],
        "frame.jpg": jpeg[: sof + 5] + struct.pack(">HH", 65000, 65000) + jpeg[sof + 9 :],
        "tags.tiff": _with_tiff_tags(tiff, {256: 60_000, 257: 60_000}),
        "lossy.webp": webp[:26] + struct.pack("<HH", 16383, 16383) + webp[30:],
        "lossless.webp": lossless[:21] + struct.pack("<I", 16383 | 16383 << 14) + lossless[25:],
        "canvas.webp": extended[:24] + b"\xff\x3f\0\xff\x3f\0" + extended[30:],
        "header.bmp": bmp[:18] + struct.pack("<ii", 60_000, 60_000) + bmp[26:],
        "header.png": _png(60_000, 60_000, _zeros(8)),
    }
    return [Hostile(f"bomb-announced-{name}", content, Reason.TOO_LARGE) for name, content in files.items()]


def flat() -> list[Hostile]:
    """Returns sound files of an allowed size that unpack a hundred or a million times."""
    large = Image.new("RGB", (_SIDE, _SIDE))
    files = {
        "100-megapixels.png": _png(9_999, 9_999, _zeros(286)),
        "flat.gif": save(Image.new("P", (_SIDE, _SIDE)), "GIF"),
        "flat.webp": save(large, "WEBP", lossless=True, method=0),
        "flat.jpg": save(large, "JPEG", progressive=True),
        "flat.tiff": save(large, "TIFF", compression="tiff_adobe_deflate"),
    }
    if features.check("avif"):
        files["flat.avif"] = save(large, "AVIF", speed=10)
    return [Hostile(f"bomb-{name}", content, Reason.TOO_LARGE) for name, content in files.items()]


def deep() -> list[Hostile]:
    """Returns files that go over few pixels again and again."""
    progressive = save(product(8), "JPEG", progressive=True)
    scan = progressive.rindex(b"\xff\xda")
    scans = progressive[:scan] + progressive[scan:-2] * 1_000 + b"\xff\xd9"
    # the marker of the image's end within a comment hides the scans behind it from a plain search
    hidden = progressive[:-2] + jpeg_segment(0xFE, b"\xff\xd9") + progressive[scan:-2] * 1_000 + b"\xff\xd9"
    large = save(Image.new("RGB", (4_000, 3_000), "grey"), "JPEG", progressive=True)
    scan = large.rindex(b"\xff\xda")
    return [
        Hostile("bomb-1000-scans.jpg", scans, Reason.CORRUPT),
        Hostile("bomb-1000-hidden-scans.jpg", hidden, Reason.CORRUPT),
        Hostile("bomb-80-scans-of-12-megapixels.jpg", large[:scan] + large[scan:-2] * 80 + b"\xff\xd9", Reason.CORRUPT),
    ]


def metadata() -> list[Hostile]:
    """Returns small pictures that carry what takes long to read and is not needed."""
    image = product(9)
    png, gif, jpeg = save(image, "PNG"), save(image, "GIF"), save(image, "JPEG")
    palette = 13 + 3 * (2 << (gif[10] & 7))
    text = png_chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(1_000_000), 9))
    exif = jpeg_segment(0xE1, b"Exif\0\0" + _ifd_of_one_block(2_000, 40_000))
    profile = png_chunk(b"iCCP", b"p\0\0" + _zeros(100))
    directory = _ifd_of_one_block(1_000, 500_000)
    pixels = np.asarray(image)
    pairs = b"".join(bytes((1, int(v))) for v in pixels[:, :, 0].ravel()) + b"\0\1"
    deltas = b"\0\2\0\0" * 500_000 + pairs
    info = struct.pack("<IiiHHIIiiII", 40, image.width, image.height, 1, 8, 1, len(deltas), 0, 0, 256, 0)
    start = 14 + 40 + 1024
    bmp = b"BM" + struct.pack("<IHHI", start + len(deltas), 0, 0, start) + info + bytes(range(256)) * 4 + deltas
    return [
        Hostile("bomb-texts.png", png[:33] + text * 60 + png[33:]),
        Hostile("bomb-profile.png", png[:33] + profile + png[33:]),
        Hostile("bomb-exif.png", png[:33] + png_chunk(b"eXIf", directory) + png[33:]),
        Hostile("bomb-exif.jpg", behind_soi(jpeg, exif)),
        Hostile("bomb-exif.webp", save(image, "WEBP", exif=directory)),
        Hostile("bomb-tags.tiff", directory, Reason.CORRUPT),
        Hostile(
            "bomb-comment.gif", gif[:palette] + b"\x21\xfe" + (b"\xff" + b"a" * 255) * 8_000 + b"\0" + gif[palette:]
        ),
        Hostile("bomb-extensions.gif", gif[:palette] + b"\x21\xfe\x01a\0" * 100_000 + gif[palette:], Reason.CORRUPT),
        Hostile("bomb-segments.jpg", behind_soi(jpeg, jpeg_segment(0xFE, b"") * 250_000), Reason.CORRUPT),
        Hostile("bomb-chunks.png", png[:33] + png_chunk(b"IDAT", b"") * 150_000 + png[33:], Reason.CORRUPT),
        Hostile("bomb-run-lengths.bmp", bmp),
        Hostile("bomb-strips.tiff", _many_strips(), Reason.CORRUPT),
        Hostile("bomb-tile.tiff", _large_tile(), Reason.TOO_LARGE),
    ]


def _many_strips() -> bytes:
    """Returns a TIFF of 64 x 48 pixels with 200,000 strips, all of them at the same place."""
    count = 200_000
    fields = [(256, 3, 1, 64), (257, 3, 1, 48), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1), (277, 3, 1, 1)]
    start = 8 + 2 + 12 * (len(fields) + 3) + 4
    fields += [(273, 4, count, start), (278, 3, 1, 1), (279, 4, count, start)]
    table = b"".join(struct.pack("<HHII", *field) for field in sorted(fields))
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(fields)) + table + bytes(4) + struct.pack("<I", 64) * count


def _large_tile() -> bytes:
    """Returns a TIFF of 64 x 48 pixels in a tile of 60,000 x 60,000."""
    fields = [(256, 3, 1, 64), (257, 3, 1, 48), (258, 3, 1, 8), (259, 3, 1, 8), (262, 3, 1, 1), (277, 3, 1, 1)]
    data = zlib.compress(bytes(64 * 48))
    start = 8 + 2 + 12 * (len(fields) + 4) + 4
    fields += [(322, 4, 1, 60_000), (323, 4, 1, 60_000), (324, 4, 1, start), (325, 4, 1, len(data))]
    table = b"".join(struct.pack("<HHII", *field) for field in fields)
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(fields)) + table + bytes(4) + data


def all_bombs() -> list[Hostile]:
    """Returns every file of this module."""
    return [*announced(), *flat(), *deep(), *metadata()]
