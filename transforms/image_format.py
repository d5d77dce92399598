"""What kind of file some bytes are, told by the bytes alone, and whether the file was cut short."""

from __future__ import annotations

import struct

from transforms.reasons import PhotoError, RejectReason
from transforms.tiff_directory import tiff_entries

READABLE_FORMATS = ("jpeg", "png", "webp", "avif", "heic", "tiff", "bmp", "gif")

_READABLE = (
    (b"\xff\xd8\xff", "jpeg"),
    (b"\x89PNG", "png"),
    (b"GIF8", "gif"),
    (b"II*\0", "tiff"),
    (b"MM\0*", "tiff"),
    (b"II+\0", "tiff"),
    (b"MM\0+", "tiff"),
)
_UNREADABLE = (
    (b"8BPS", "Photoshop (PSD)"),
    (b"\0\0\0\x0cjP  ", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"\0\0\0\x0cJXL ", "JPEG XL"),
    (b"\xff\x0a", "JPEG XL"),
    (b"\0\0\1\0", "Windows icon (ICO)"),
    (b"v/1\1", "OpenEXR"),
    (b"#?RADIANCE", "Radiance HDR"),
    (b"DDS ", "DirectDraw Surface (DDS)"),
    (b"qoif", "QOI"),
    (b"gimp xcf", "GIMP (XCF)"),
    (b"FUJIFILMCCD-RAW", "Fujifilm raw (RAF)"),
    (b"IIRO", "Olympus raw (ORF)"),
    (b"IIRS", "Olympus raw (ORF)"),
    (b"IIU\0", "Panasonic raw (RW2)"),
    (b"\xd7\xcd\xc6\x9a", "Windows metafile (WMF)"),
    (b"AT&TFORM", "DjVu"),
)
_NO_IMAGE = (
    (b"%PDF", "a PDF document"),
    (b"%!PS", "a PostScript document"),
    (b"PK\3\4", "a ZIP archive or Office document"),
    (b"\x1f\x8b", "gzip-compressed data"),
    (b"PAR1", "a Parquet file"),
    (b"\x1a\x45\xdf\xa3", "a Matroska or WebM video"),
    (b"RIFF", "a RIFF file that is not WebP"),
    (b"version https://git-lfs", "a Git LFS pointer, not the file itself"),
)
_HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"}
# Header sizes of the variants of BMP: "BM" alone also starts many a text.
_BMP_HEADERS = {12, 16, 40, 52, 56, 64, 108, 124}
# Camera raw files are TIFF by structure, and their first picture is but a thumbnail.
_DNG_VERSION_TAG = 50706
_CFA_PATTERN_TAGS = (33421, 33422)
_NEW_SUBFILE_TAG, _MAKE_TAG, _SUB_IFDS_TAG = 254, 271, 330
_MOST_STRIPS = 1 << 16
_MOST_BOXES = 1_000
_RAW_MAKERS = ("NIKON", "SONY", "PENTAX", "HASSELBLAD", "SAMSUNG", "EPSON")


def sniff_format(content: bytes) -> str:
    """Names the format of an image file by its first bytes; names and media types often lie.

    Args:
      content: a whole file, at least one byte.

    Returns:
      One of ``READABLE_FORMATS``.

    Raises:
      PhotoError: ``unsupported_format`` for an image format that is not read here, which the detail names;
        ``not_an_image`` for anything else.
    """
    for magic, name in _READABLE:
        if content.startswith(magic):
            if name == "tiff":
                _refuse_raw(content)
            return name
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "webp"
    if content[:2] == b"BM" and len(content) >= 18 and _u32(content, 14) in _BMP_HEADERS:
        return "bmp"
    for magic, name in _UNREADABLE:
        if content.startswith(magic):
            raise _unsupported(name)
    if content[4:8] == b"ftyp":
        return _iso_media_format(content)
    if content[:1] == b"P" and content[1:2] in b"1234567fF" and content[2:3].isspace():
        raise _unsupported("PNM or PFM")
    raise PhotoError(RejectReason.NOT_AN_IMAGE, f"the file is {_what_else(content)}, not an image")


def webp_frame_size(content: bytes) -> tuple[int, int]:
    """Returns width and height in pixels from a WebP file's header, before any memory is set aside.

    See the WebP container specification and RFC 6386, section 9.1.

    Raises:
      ValueError, struct.error, IndexError: the header is damaged or too short.
    """
    kind = content[12:16]
    if kind == b"VP8X":
        return _u24(content, 24) + 1, _u24(content, 27) + 1
    if kind == b"VP8 ":
        if content[23:26] != b"\x9d\x01\x2a":
            raise ValueError("the start code of the WebP frame is missing")
        width, height = struct.unpack_from("<HH", content, 26)
        return width & 0x3FFF, height & 0x3FFF
    if kind == b"VP8L":
        bits = _u32(content, 21)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    raise ValueError(f"the WebP file starts with a chunk {kind!r}")


def ends_early(content: bytes, image_format: str) -> bool:
    """Whether a file that could not be decoded is shorter than its own structure says.

    Args:
      content: the whole file.
      image_format: one of ``READABLE_FORMATS``.
    """
    try:
        return _ENDS_EARLY[image_format](content)
    except (struct.error, IndexError):  # the header itself is cut
        return True
    except Exception:  # a damaged TIFF directory raises in many ways
        return False


def jpeg_scan_data(content: bytes) -> tuple[int, int]:
    """Finds the compressed pixels of a JPEG file (ITU-T T.81, annex B).

    Thumbnails lie before them, in the metadata; further pictures or a film may follow.

    Returns:
      Where the first scan starts and where the marker of the end of the image stands; -1 for what is missing.
    """
    at = 2
    while content[at : at + 1] == b"\xff":
        marker = content[at + 1 : at + 2]
        if marker == b"\xda":
            return at, content.find(b"\xff\xd9", at)
        if marker == b"\xff":  # a fill byte
            at += 1
        else:
            at += 2 + int.from_bytes(content[at + 2 : at + 4], "big")
    start = content.find(b"\xff\xda", at)  # damage between the segments; decoders search on as well
    return start, content.find(b"\xff\xd9", start) if start >= 0 else -1


def _tiff_ends_early(content: bytes) -> bool:
    entries = {entry.tag: entry for entry in tiff_entries(content)}
    if max((e.start + e.size for e in entries.values()), default=0) > len(content):
        return True
    for offsets, counts in ((273, 279), (324, 325)):
        if offsets in entries and counts in entries:
            starts, sizes = (entries[tag].integers(content, _MOST_STRIPS) for tag in (offsets, counts))
            if any(start + size > len(content) for start, size in zip(starts, sizes, strict=False)):
                return True
    return False


def _iso_media_ends_early(content: bytes) -> bool:
    """Whether a top-level box goes on beyond the end, or the one of the pixels is missing (ISO 14496-12, 4.2)."""
    at, kinds = 0, set()
    for _ in range(_MOST_BOXES):
        if at >= len(content):
            break
        size, kind = struct.unpack_from(">I4s", content, at)
        kinds.add(kind)
        if size == 1:
            (size,) = struct.unpack_from(">Q", content, at + 8)
        if size < 8:  # 0: to the end of the file; else damage
            return False
        at += size
    return at > len(content) or b"mdat" not in kinds


_ENDS_EARLY = {
    "jpeg": lambda content: jpeg_scan_data(content)[1] < 0,
    "png": lambda content: b"IEND\xaeB`\x82" not in content,  # the last chunk, which is always the same
    "tiff": _tiff_ends_early,
    "webp": lambda content: _u32(content, 4) + 8 > len(content),
    "bmp": lambda content: max(_u32(content, 2), _u32(content, 10)) > len(content),
    "gif": lambda content: not content.rstrip(b"\0").endswith(b";"),
    "avif": _iso_media_ends_early,
    "heic": _iso_media_ends_early,
}


def _refuse_raw(content: bytes) -> None:
    if content[8:10] == b"CR":
        raise _unsupported("Canon raw (CR2)")
    try:
        entries = {entry.tag: entry for entry in tiff_entries(content)}
        if _DNG_VERSION_TAG in entries:
            raise _unsupported("raw (DNG)")
        maker = ""
        if make := entries.get(_MAKE_TAG):
            maker = content[make.start : make.start + min(make.size, 80)].rstrip(b"\0").decode("latin-1").upper()
        subfile = entries[_NEW_SUBFILE_TAG].integers(content, 1) if _NEW_SUBFILE_TAG in entries else ()
        raw = subfile == (1,) and _SUB_IFDS_TAG in entries and maker.startswith(_RAW_MAKERS)
        if raw or any(tag in entries for tag in _CFA_PATTERN_TAGS):
            raise _unsupported(f"raw (of a {maker.strip() or 'digital'} camera)")
    except struct.error:  # a damaged directory: the decoder will say so
        return


def _iso_media_format(content: bytes) -> str:
    """Tells the formats of ISO base media files by their brands (ISO 14496-12, 4.3)."""
    end = min(max(_u32_big(content, 0), 12), 256)
    brands = {content[i : i + 4] for i in (8, *range(16, end, 4))}
    if brands & {b"avif", b"avis"}:
        return "avif"
    if brands & _HEIF_BRANDS:
        return "heic"
    if b"crx " in brands:
        raise _unsupported("Canon raw (CR3)")
    raise PhotoError(RejectReason.NOT_AN_IMAGE, "the file is an MP4 or QuickTime film, not an image")


def _unsupported(name: str) -> PhotoError:
    readable = ", ".join(READABLE_FORMATS[:-1]) + " and " + READABLE_FORMATS[-1]
    detail = f"the file is an image of the format {name}, which is not read; {readable} are"
    return PhotoError(RejectReason.UNSUPPORTED_FORMAT, detail)


def _what_else(content: bytes) -> str:
    """Describes a file that is no image, without quoting it: details end up in tables that others read."""
    for magic, description in _NO_IMAGE:
        if content.startswith(magic):
            return description
    head = content[:2048].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if head.startswith((b"<svg", b"<!doctype svg")) or (head.startswith(b"<?xml") and b"<svg" in head):
        return "an SVG drawing (vector graphics)"
    if head.startswith((b"<!doctype html", b"<html", b"<head", b"<body", b"<script")) or b"<html" in head:
        return "an HTML page"
    if head.startswith(b"<?xml"):
        return "an XML document"
    if not content.strip(b"\0"):
        return "nothing but zero bytes"
    try:
        text = content[:512].decode("utf-8")
    except UnicodeDecodeError as error:
        text = content[: error.start].decode("utf-8") if error.start > 508 else "\0"
    if all(c.isprintable() or c.isspace() for c in text):
        return "JSON" if head.startswith((b"{", b"[")) else "plain text"
    return f"of an unknown kind ({len(content)} bytes)"


def _u24(content: bytes, at: int) -> int:
    if len(content) < at + 3:
        raise IndexError(f"the file ends before byte {at + 3}")
    return int.from_bytes(content[at : at + 3], "little")


def _u32(content: bytes, at: int) -> int:
    return struct.unpack_from("<I", content, at)[0]


def _u32_big(content: bytes, at: int) -> int:
    return struct.unpack_from(">I", content, at)[0]
