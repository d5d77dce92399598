"""Files that no catalogue is without: cut short, empty, an error page, a bomb; each with the reason it deserves."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable

import numpy as np

from pipeline.samples import lettering
from transforms.reasons import RejectReason


def truncated(rng: np.random.Generator, photo: Callable[[], bytes]) -> bytes:
    """Returns the first part of a photo, as an upload that broke off leaves it; ``photo`` gives the whole."""
    content = photo()
    return content[: int(len(content) * rng.uniform(0.3, 0.7))]


def empty(rng: np.random.Generator, photo: Callable[[], bytes]) -> bytes:
    """Returns no bytes at all."""
    return b""


def error_page(rng: np.random.Generator, photo: Callable[[], bytes]) -> bytes:
    """Returns the page of a server that answered with status 200 and an apology."""
    return (
        "<!DOCTYPE html>\n<html><head><title>404 Not Found</title></head>\n"
        f"<body><h1>Not Found</h1><p>No picture of {lettering.word(rng)}.</p></body></html>\n"
    ).encode()


def note(rng: np.random.Generator, photo: Callable[[], bytes]) -> bytes:
    """Returns plain text: someone's reminder saved under a picture's name."""
    return (" ".join(lettering.word(rng) for _ in range(40)) + "\n").encode()


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def bomb(rng: np.random.Generator, photo: Callable[[], bytes]) -> bytes:
    """Returns a PNG of a few hundred bytes whose header announces 2.5 thousand million pixels."""
    header = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    data = zlib.compress(bytes(200_000), 9)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")


def layered(rng: np.random.Generator, photo: Callable[[], bytes]) -> bytes:
    """Returns the start of a Photoshop document: an image, of a format that is not read."""
    return b"8BPS" + struct.pack(">H6xHIIHH", 1, 3, 600, 800, 8, 3) + bytes(64)


def speck(rng: np.random.Generator, photo: Callable[[], bytes]) -> bytes:
    """Returns a valid PNG of 2 x 2 pixels, such as trackers and placeholders are."""
    header = struct.pack(">IIBBBBB", 2, 2, 8, 2, 0, 0, 0)
    data = zlib.compress(b"\x00" + bytes(6) + b"\x00" + bytes(6))
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")


# In the order in which they are dealt out. (maker, file extension, expected reason)
KINDS: tuple[tuple[Callable[[np.random.Generator, Callable[[], bytes]], bytes], str, RejectReason], ...] = (
    (truncated, "jpg", RejectReason.TRUNCATED),
    (empty, "jpg", RejectReason.EMPTY),
    (error_page, "jpg", RejectReason.NOT_AN_IMAGE),
    (bomb, "png", RejectReason.TOO_LARGE),
    (note, "png", RejectReason.NOT_AN_IMAGE),
    (layered, "jpg", RejectReason.UNSUPPORTED_FORMAT),
    (speck, "png", RejectReason.TOO_SMALL),
)
