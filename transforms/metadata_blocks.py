"""What lies in an image file beside its pixels: a walk over markers and chunks that decodes nothing.

Files come from anyone. Every walk takes a bounded number of steps, follows offsets only forwards or within a
bounded directory, and ends quietly where the structure does. A label that hides behind ten thousand empty
segments is not found; nothing honest writes such files.
"""

from __future__ import annotations

import contextlib
import enum
import struct
import zlib
from collections.abc import Callable, Iterator
from typing import NamedTuple

_MOST_BLOCKS = 10_000  # a PNG of 64 MB, the largest that is read, has 8,000 chunks
_MOST_BYTES = 2**20  # of a block that is unpacked, or that an offset points to, so that it may come again and again
_MOST_SUCH = 16
_MOST_DIRECTORIES = 8
_MOST_ENTRIES = 1_000

XMP_APP1 = b"http://ns.adobe.com/xap/1.0/\0"
_XMP_EXTENSION = b"http://ns.adobe.com/xmp/extension/\0"
_XMP_EXTENSION_HEADER = len(_XMP_EXTENSION) + 40  # a GUID of 32 digits, the full length and this part's offset
_XMP_KEYWORD = b"XML:com.adobe.xmp"
_JUMBF_C2PA = b"c2pa"
_GIF_XMP = b"\x21\xff\x0bXMP DataXMP"
_GIF_C2PA = b"\x21\xff\x0bC2PA_GIF\x01\0\0"
_TIFF_TAGS = {700: "xmp", 33723: "iptc", 34377: "photoshop", 34665: "exif", 34853: "gps", 52545: "c2pa"}
_TIFF_TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 6: 1, 7: 1, 13: 4, 16: 8, 18: 8}


class Kind(enum.StrEnum):
    """What a block is for."""

    XMP = "xmp"
    XMP_EXTENSION = "xmp_extension"  # a part of a packet that is too long for one JPEG segment
    C2PA = "c2pa"
    EXIF = "exif"
    ICC = "icc"
    SRGB = "srgb"  # PNG's mark
    JFIF = "jfif"  # JPEG's density and version
    LAYOUT = "layout"  # WebP's frame size and flags
    OTHER = "other"  # comments, texts, IPTC, thumbnails, maker notes: whatever else there is


class Block(NamedTuple):
    """A piece of metadata.

    Attributes:
      kind: what it is for.
      name: as its container calls it: ``APP13``, ``COM``, ``tEXt``, ``ICCP``.
      data: its payload, for XMP and C2PA without the container's own header.
    """

    kind: Kind
    name: str
    data: bytes


def metadata_blocks(content: bytes) -> list[Block]:
    """Lists what a file holds beside its pixels.

    Args:
      content: a whole file: JPEG, PNG, WebP, TIFF or GIF; of anything else nothing is known.

    Returns:
      The blocks in the file's order. Of TIFF the directory's tags for XMP, C2PA, IPTC, EXIF and GPS, of GIF only
      XMP and C2PA; of the others every block that is not the picture itself.
    """
    blocks: list[Block] = []
    for magic, walk in _WALKS:
        if content.startswith(magic):
            with contextlib.suppress(struct.error, IndexError):  # the file ends where its structure does not
                for block in walk(content):
                    blocks.append(block)  # one by one: those before the end count
            break
    return blocks


def joined(blocks: list[Block], *kinds: Kind) -> bytes:
    """Returns the data of all blocks of some kinds, in the file's order."""
    return b"".join(block.data for block in blocks if block.kind in kinds)


def _jpeg(content: bytes) -> Iterator[Block]:
    """Walks the segments before the first scan (ITU-T T.81, annex B)."""
    at = 2
    for _ in range(_MOST_BLOCKS):
        if content[at : at + 1] != b"\xff":
            return
        marker = content[at + 1 : at + 2]
        if marker in (b"", b"\xda", b"\xd9"):
            return
        if marker == b"\xff":  # a fill byte
            at += 1
            continue
        size = int.from_bytes(content[at + 2 : at + 4], "big")
        if size < 2:
            return
        data = content[at + 4 : at + 2 + size]
        number = marker[0]
        if 0xE0 <= number <= 0xEF:
            yield _jpeg_application(number - 0xE0, data)
        elif number == 0xFE:
            yield Block(Kind.OTHER, "COM", data)
        at += 2 + size


def _jpeg_application(number: int, data: bytes) -> Block:
    name = f"APP{number}"
    if number == 0 and data.startswith(b"JFIF\0") and data[12:14] == b"\0\0":  # without a thumbnail
        return Block(Kind.JFIF, name, data)
    if number == 1 and data.startswith(XMP_APP1):
        return Block(Kind.XMP, name, data[len(XMP_APP1) :])
    if number == 1 and data.startswith(_XMP_EXTENSION):
        return Block(Kind.XMP_EXTENSION, name, data[_XMP_EXTENSION_HEADER:])
    if number == 1 and data.startswith(b"Exif\0"):
        return Block(Kind.EXIF, name, data[6:])
    if number == 2 and data.startswith(b"ICC_PROFILE\0"):
        return Block(Kind.ICC, name, data[14:])
    if number == 11 and data.startswith(b"JP"):
        # ISO 19566-5, annex D: identifier, instance, sequence number; later parts repeat the box's header
        first = int.from_bytes(data[4:8], "big") <= 1
        return Block(Kind.C2PA, name, data[8 if first else 16 :])
    return Block(Kind.OTHER, name, data)


def _png(content: bytes) -> Iterator[Block]:
    kinds = {b"caBX": Kind.C2PA, b"eXIf": Kind.EXIF, b"iCCP": Kind.ICC, b"sRGB": Kind.SRGB}
    at, packed = 8, 0
    for _ in range(_MOST_BLOCKS):
        size = int.from_bytes(content[at : at + 4], "big")
        name = content[at + 4 : at + 8]
        if len(name) < 4 or name == b"IEND":
            return
        if name not in (b"IHDR", b"PLTE", b"tRNS", b"IDAT"):
            data, kind = content[at + 8 : at + 8 + size], kinds.get(name, Kind.OTHER)
            if name == b"iTXt" and data.startswith(_XMP_KEYWORD):
                kind, (is_packed, data) = Kind.XMP, _png_xmp(data)
                packed += is_packed
                if is_packed:
                    data = _unpacked(data) if packed <= _MOST_SUCH else b""
            yield Block(kind, name.decode("latin-1"), data)
        at += 12 + size


def _png_xmp(text: bytes) -> tuple[bool, bytes]:
    """Parts the header from an ``iTXt`` chunk (PNG, section 11.3.3.4): whether the text is packed, and the text."""
    header = len(_XMP_KEYWORD) + 1
    return text[header : header + 1] == b"\1", text[header + 2 :].split(b"\0", 2)[-1]


def _unpacked(data: bytes) -> bytes:
    try:
        return zlib.decompressobj().decompress(data, _MOST_BYTES)
    except zlib.error:
        return b""


def _webp(content: bytes) -> Iterator[Block]:
    if content[8:12] != b"WEBP":
        return
    kinds = {b"XMP ": Kind.XMP, b"C2PA": Kind.C2PA, b"EXIF": Kind.EXIF, b"ICCP": Kind.ICC, b"VP8X": Kind.LAYOUT}
    at = 12
    for _ in range(_MOST_BLOCKS):
        name = content[at : at + 4]
        if len(name) < 4:
            return
        size = int.from_bytes(content[at + 4 : at + 8], "little")
        if name not in (b"VP8 ", b"VP8L", b"ALPH", b"ANIM", b"ANMF"):
            yield Block(kinds.get(name, Kind.OTHER), name.decode("latin-1"), content[at + 8 : at + 8 + size])
        at += 8 + size + size % 2


def _tiff(content: bytes) -> Iterator[Block]:
    """Walks the chain of directories of a TIFF file or an EXIF block (TIFF 6.0, section 2; BigTIFF)."""
    order = "<" if content[:2] == b"II" else ">"
    big = struct.unpack_from(order + "H", content, 2)[0] == 43
    counter, entry, pointer, inline = (order + "Q", order + "HHQQ", order + "Q", 8) if big else (
        order + "H", order + "HHII", order + "I", 4)  # fmt: skip
    (at,) = struct.unpack_from(pointer, content, 8 if big else 4)
    found = 0
    for _ in range(_MOST_DIRECTORIES):
        if not 0 < at < len(content):
            return
        (count,) = struct.unpack_from(counter, content, at)
        at += struct.calcsize(counter)
        size = struct.calcsize(entry)
        for number in range(min(count, _MOST_ENTRIES)):
            place = at + number * size
            tag, kind, values, value = struct.unpack_from(entry, content, place)
            if tag not in _TIFF_TAGS:
                continue
            found += 1
            if found > _MOST_SUCH:
                return
            length = min(values * _TIFF_TYPE_BYTES.get(kind, 0), _MOST_BYTES)
            start = place + size - inline if length <= inline else value
            yield Block(_TIFF_KINDS.get(tag, Kind.OTHER), _TIFF_TAGS[tag], content[start : start + length])
        if count > _MOST_ENTRIES:
            return
        (at,) = struct.unpack_from(pointer, content, at + count * size)


_TIFF_KINDS = {700: Kind.XMP, 34665: Kind.EXIF, 34853: Kind.EXIF, 52545: Kind.C2PA}


def _gif(content: bytes) -> Iterator[Block]:
    """Finds the two application extensions by their names; the pixels between them come in 255-byte pieces."""
    at = content.find(_GIF_XMP)
    if at >= 0:  # the packet stands there whole and ends with 1 and the bytes from 255 down to 0
        start = at + len(_GIF_XMP)
        end = content.find(b"\x01\xff\xfe\xfd\xfc", start)
        yield Block(Kind.XMP, "XMP DataXMP", content[start : end if end >= 0 else start + _MOST_BYTES])
    at = content.find(_GIF_C2PA)
    if at >= 0:
        yield Block(Kind.C2PA, "C2PA_GIF", b"".join(_gif_pieces(content, at + len(_GIF_C2PA))))


def _gif_pieces(content: bytes, at: int) -> Iterator[bytes]:
    for _ in range(_MOST_BLOCKS):
        size = content[at]
        if not size:
            return
        yield content[at + 1 : at + 1 + size]
        at += 1 + size


def is_c2pa(manifests: bytes) -> bool:
    """Whether JUMBF boxes are a C2PA manifest store; other standards use JUMBF in JPEG as well."""
    return b"jumb" in manifests[:16] and _JUMBF_C2PA in manifests[:64]


_WALKS: tuple[tuple[bytes, Callable[[bytes], Iterator[Block]]], ...] = (
    (b"\xff\xd8\xff", _jpeg),
    (b"\x89PNG\r\n\x1a\n", _png),
    (b"RIFF", _webp),
    (b"II*\0", _tiff),
    (b"MM\0*", _tiff),
    (b"II+\0", _tiff),
    (b"MM\0+", _tiff),
    (b"GIF8", _gif),
)
