"""What of a file its reader is shown: pixels, palette and colour profile, and nothing that strangers hide beside them.

Image readers parse metadata that nobody asked for, and pay whatever it costs: a directory of EXIF whose thousand
entries all point at one block is read a thousand times, 4 MB of GIF comment take seconds, a million empty segments
are a million calls. So the containers are walked here, in a bounded number of steps, and only what the pixels need
goes on. The one thing wanted of the metadata, the orientation, is read here as well.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from typing import NamedTuple

from transforms.reasons import PhotoError, RejectReason
from transforms.tiff_directory import tiff_entries

# Real files stay far below: a JPEG of 64 MB whose XMP fills it has 1,024 segments, a PNG of 64 MB in chunks of 8 KB
# has 8,192. Walking so many takes some milliseconds.
_MOST_SEGMENTS = 4_096
_MOST_CHUNKS = 16_384
_MOST_STRIPS_A_PIXEL_ROW = 16
_LEAST_TILE_LIMIT = 1 << 20  # pixels
_ORIENTATION_TAG = 0x0112
_DIRECTORY_TAGS = (330, 34665, 34853, 40965)  # SubIFDs, EXIF, GPS, interoperability: directories of their own
# A marker that matters: neither a stuffed or fill byte nor a restart. (ITU-T T.81, table B.1)
_JPEG_MARKER = re.compile(rb"\xff[^\x00\x01\xd0-\xd7\xff]")
_SCAN = b"\xff\xda"
_JPEG_APPLICATIONS = {0xE0: b"JFIF\0", 0xE2: b"ICC_PROFILE\0", 0xEE: b"Adobe"}
_PNG_NEEDED = frozenset((b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"))
_SIZE_TAGS = (256, 257, 322, 323)  # width and height of the picture and of a tile


class Bare(NamedTuple):
    """A file without what its pixels do not need.

    Attributes:
      content: the same picture in the same format.
      orientation: as EXIF has it, 1 to 8; 1 where there is none or nonsense.
    """

    content: bytes
    orientation: int = 1


def bare_file(content: bytes, image_format: str) -> Bare:
    """Returns a file as its reader should see it.

    Args:
      content: the whole file; damaged or hostile as it may be.
      image_format: its format, as of ``sniff_format``. Formats whose readers were found to take no harm come back
        as they are, and with orientation 1.

    Raises:
      PhotoError: ``corrupt``, where the structure has so many parts that only walking them would take long.
      struct.error, IndexError: the file ends within its structure.
    """
    strip = _STRIP.get(image_format)
    return Bare(content) if strip is None else strip(content)


def exif_orientation(block: bytes) -> int:
    """Returns the orientation, 1 to 8, that an EXIF block's first directory names (CIPA DC-008, tag 274).

    Args:
      block: EXIF with or without its ``Exif`` header; of anything broken or nonsensical the answer is 1.
    """
    block = block.removeprefix(b"Exif\0\0")
    if block[:4] not in (b"II*\0", b"MM\0*"):
        return 1
    try:
        values = next((e.integers(block, 2) for e in tiff_entries(block) if e.tag == _ORIENTATION_TAG), (1,))
    except (struct.error, PhotoError):
        return 1
    return values[0] if len(values) == 1 and 1 <= values[0] <= 8 else 1


def count_scans(content: bytes, start: int, most: int) -> int:
    """Returns the scans of a JPEG file from its first one at ``start`` on, counted no further than ``most`` + 1.

    Films and further pictures behind the end of the image hold such markers too, by chance or by right.
    """
    if content.count(b"\xff\xda", start) <= most:
        return content.count(b"\xff\xda", start)
    scans, at = 0, start
    for _ in range(_MOST_SEGMENTS):
        found = _JPEG_MARKER.search(content, at)
        if found is None or found[0] == b"\xff\xd9":
            return scans
        scans += found[0] == _SCAN
        if scans > most:
            return scans
        at = _jpeg_segment_end(content, found.start())
    return most + 1


def _too_many(what: str, most: int) -> PhotoError:
    return PhotoError(RejectReason.CORRUPT, f"the file has more than {most} {what}; pictures have far fewer")


def _joined(content: bytes, ranges: list[list[int]]) -> bytes:
    if len(ranges) == 1 and ranges[0] == [0, len(content)]:
        return content
    view = memoryview(content)
    return b"".join(view[start:end] for start, end in ranges)


def _keep(ranges: list[list[int]], start: int, end: int) -> None:
    if ranges and ranges[-1][1] == start:
        ranges[-1][1] = end
    else:
        ranges.append([start, end])


def _bare_jpeg(content: bytes) -> Bare:
    """Keeps tables, frame and scans, and of the application segments JFIF, ICC and Adobe (ITU-T T.81, annex B)."""
    ranges, orientation, at = [[0, 2]], 1, 2
    exif_seen = False
    for _ in range(_MOST_SEGMENTS):
        found = _JPEG_MARKER.search(content, at)  # rubbish between the segments is passed over, as decoders do
        if found is None or found[0] == _SCAN:
            _keep(ranges, found.start() if found else len(content), len(content))
            return Bare(_joined(content, ranges), orientation)
        at, marker = found.start(), found[0][1]
        end = _jpeg_segment_end(content, at)
        head = content[at + 4 : at + 18]
        if marker == 0xE1 and not exif_seen and head.startswith(b"Exif\0\0"):
            exif_seen, orientation = True, exif_orientation(content[at + 4 : end])
        if marker in _JPEG_APPLICATIONS:
            kept = head.startswith(_JPEG_APPLICATIONS[marker])
        else:
            kept = not (0xE0 <= marker <= 0xEF or marker in (0xFE, 0xD8, 0xD9))
        if kept:
            _keep(ranges, at, min(end, len(content)))
        at = end
    raise _too_many("segments", _MOST_SEGMENTS)


def _jpeg_segment_end(content: bytes, at: int) -> int:
    """Returns where the segment ends whose marker stands at ``at``; SOI and EOI have no length."""
    if content[at + 1] in (0xD8, 0xD9):
        return at + 2
    return at + 2 + max(int.from_bytes(content[at + 2 : at + 4], "big"), 2)


def _bare_png(content: bytes) -> Bare:
    """Keeps the chunks of the first picture and its colour profile (PNG, section 5)."""
    ranges, orientation, at, profiles = [[0, 8]], 1, 8, 0
    for _ in range(_MOST_CHUNKS):
        if at >= len(content):
            break
        end = min(at + 12 + int.from_bytes(content[at : at + 4], "big"), len(content))
        name = content[at + 4 : at + 8]
        if name == b"eXIf":
            orientation = exif_orientation(content[at + 8 : end - 4])
        profiles += name == b"iCCP"
        if name in _PNG_NEEDED or (name == b"iCCP" and profiles == 1):
            _keep(ranges, at, end)
        at = end
        if name == b"IEND":
            break
    else:
        raise _too_many("chunks", _MOST_CHUNKS)
    return Bare(_joined(content, ranges), orientation)


def png_without_profile(content: bytes) -> bytes:
    """Returns a PNG without its colour profile: a broken one must not cost the picture."""
    at = content.find(b"iCCP", 8, 4096)
    if at < 4:
        return content
    end = at + 8 + int.from_bytes(content[at - 4 : at], "big")
    return content[: at - 4] + content[end:]


def _bare_gif(content: bytes) -> Bare:
    """Keeps the screen, its palette, and all from the first picture on; of what comes before, only its control."""
    at = 13 + (3 * (2 << (content[10] & 7)) if content[10] & 0x80 else 0)
    ranges = [[0, at]]
    steps = 0
    while steps < _MOST_CHUNKS:
        steps += 1
        if content[at : at + 1] != b"!":  # a picture, the end, or damage, which the reader will find
            _keep(ranges, at, len(content))
            return Bare(_joined(content, ranges))
        start, is_control = at, content[at + 1] == 0xF9
        at += 2
        while (size := content[at]) and steps < _MOST_CHUNKS:
            at += 1 + size
            steps += 1
        at += 1
        if is_control:
            ranges[1:] = [[start, at]]  # the last one holds
    raise _too_many("blocks before its first picture", _MOST_CHUNKS)


def _bare_tiff(content: bytes) -> Bare:
    """Hides directories within the directory, and refuses one whose values cannot all be there.

    Orientation stays 1: the reader turns its pictures itself.
    """
    entries = list(tiff_entries(content))
    size = sum(entry.size for entry in entries)
    if size > 2 * len(content) + 4096:
        detail = f"the tags of the TIFF have {size} bytes of values, but the whole file has {len(content)}"
        cut = any(entry.start + entry.size > len(content) for entry in entries)
        raise PhotoError(RejectReason.TRUNCATED if cut else RejectReason.CORRUPT, detail)
    numbers = {entry.tag: sum(entry.integers(content, 1)) for entry in entries if entry.tag in _SIZE_TAGS}
    width, height, tile_width, tile_height = (numbers.get(tag, 0) for tag in _SIZE_TAGS)
    strips = max((entry.values for entry in entries if entry.tag in (273, 324)), default=0)
    if strips > _MOST_STRIPS_A_PIXEL_ROW * (height + width * height // 256 + 1):
        raise PhotoError(RejectReason.CORRUPT, f"the TIFF of {width} x {height} pixels has {strips} strips or tiles")
    if tile_width * tile_height > max(_LEAST_TILE_LIMIT, 4 * width * height):
        detail = f"a tile of the {width} x {height} picture has {tile_width} x {tile_height} pixels"
        raise PhotoError(RejectReason.TOO_LARGE, detail)
    directories = [entry.at for entry in entries if entry.tag in _DIRECTORY_TAGS]
    if not directories:
        return Bare(content)
    hidden = bytearray(content)
    for at in directories:
        hidden[at : at + 2] = b"\xff\xff"
    return Bare(bytes(hidden))


def _bare_iso_media(content: bytes) -> Bare:
    """Hides the EXIF item of a HEIF or AVIF file, whose orientation its own properties give (ISO 23008-12, 6.5.10)."""
    at, steps = 0, 0
    while at + 8 <= len(content) and steps < _MOST_SEGMENTS:
        size, name = struct.unpack_from(">I4s", content, at)
        if size == 1:
            (size,) = struct.unpack_from(">Q", content, at + 8)
        end = at + size if size >= 8 else len(content)
        if name == b"meta":
            return Bare(content[:at] + content[at:end].replace(b"Exif", b"skip") + content[end:])
        at, steps = end, steps + 1
    return Bare(content)


_STRIP: dict[str, Callable[[bytes], Bare]] = {
    "jpeg": _bare_jpeg,
    "png": _bare_png,
    "gif": _bare_gif,
    "tiff": _bare_tiff,
    "avif": _bare_iso_media,
    "heic": _bare_iso_media,
}
