"""Pictures with everything in their metadata that must not get out, in every container that is read."""

import io
import struct
import zlib

from PIL import Image, PngImagePlugin, TiffImagePlugin

SECRETS = {
    "gps": b"51.4778N-SECRETPLACE",
    "serial": b"SERIAL-7788-SECRET",
    "owner": b"OWNER-SECRET-NAME",
    "maker": b"MAKERNOTE-SECRET",
    "xmp": b"XMP-SECRET-CREATOR",
    "iptc": b"IPTC-SECRET-CAPTION",
    "comment": b"COMMENT-SECRET-TEXT",
    "trailer": b"TRAILER-SECRET-DATA",
    "thumbnail": b"THUMBNAIL-SECRET",
    "icc": b"ICC-SECRET-VENDOR",
}
ANY = b"SECRET"
LABEL = b'<r:d Iptc4xmpExt:DigitalSourceType="http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"/>'


def xmp(label: bool) -> bytes:
    return b"<x:xmpmeta>" + SECRETS["xmp"] + (LABEL if label else b"") + b"</x:xmpmeta>"


def exif() -> bytes:
    """EXIF with a place, serial numbers, a maker note, and a thumbnail in its second directory."""
    tags = Image.Exif()
    tags[0x010E] = SECRETS["comment"].decode()  # ImageDescription
    tags[0x013B] = SECRETS["owner"].decode()  # Artist
    detail = tags.get_ifd(0x8769)
    detail[0xA431] = SECRETS["serial"].decode()  # BodySerialNumber
    detail[0xA430] = SECRETS["owner"].decode()  # CameraOwnerName
    detail[0x927C] = SECRETS["maker"]
    detail[0x9286] = b"ASCII\0\0\0" + SECRETS["comment"]  # UserComment
    place = tags.get_ifd(0x8825)
    place[1], place[2] = "N", (51.0, 28.0, 40.12)
    place[0x1B] = b"ASCII\0\0\0" + SECRETS["gps"]  # GPSProcessingMethod
    return tags.tobytes() + SECRETS["thumbnail"]


def iptc() -> bytes:
    """A Photoshop resource block with an IPTC-IIM caption and a thumbnail resource."""
    caption = b"\x1c\x02\x78" + struct.pack(">H", len(SECRETS["iptc"])) + SECRETS["iptc"]
    resources = b""
    for number, data in ((0x0404, caption), (0x040C, SECRETS["thumbnail"])):
        resources += b"8BIM" + struct.pack(">HHI", number, 0, len(data)) + data + b"\0" * (len(data) % 2)
    return b"Photoshop 3.0\0" + resources


def icc() -> bytes:
    """A profile that cannot be applied, with a text in it."""
    return struct.pack(">I", 200) + b"SECR" + bytes(120) + SECRETS["icc"] + bytes(60)


def _segment(marker: int, data: bytes) -> bytes:
    return b"\xff" + bytes([marker]) + struct.pack(">H", len(data) + 2) + data


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def planted(image: Image.Image, container: str, *, label: bool = False) -> bytes:
    """Returns the picture in a container, with everything planted that the container can hold.

    Args:
      image: mode RGB.
      container: jpeg, png, webp, tiff, gif or bmp.
      label: whether its XMP says that it is ``trainedAlgorithmicMedia``.
    """
    stream = io.BytesIO()
    if container == "jpeg":
        image.save(stream, "JPEG", quality=95)
        plain = stream.getvalue()
        guid = b"http://ns.adobe.com/xmp/extension/\0" + b"0" * 32 + struct.pack(">II", 60, 0)
        segments = [
            (0xE1, b"Exif\0\0" + exif()),
            (0xE1, b"http://ns.adobe.com/xap/1.0/\0" + xmp(label)),
            (0xE1, guid + SECRETS["xmp"]),
            (0xE2, b"ICC_PROFILE\0\1\1" + icc()),
            (0xE2, b"MPF\0" + SECRETS["thumbnail"]),
            (0xED, iptc()),
            (0xEF, SECRETS["maker"]),
            (0xFE, SECRETS["comment"]),
        ]
        return plain[:2] + b"".join(_segment(*s) for s in segments) + plain[2:] + SECRETS["trailer"]
    if container == "png":
        info = PngImagePlugin.PngInfo()
        info.add_text("Comment", SECRETS["comment"].decode())
        info.add_text("Author", SECRETS["owner"].decode(), zip=True)
        info.add_itxt("Location", SECRETS["gps"].decode())
        info.add_text("Raw profile type iptc", SECRETS["iptc"].hex())
        image.save(stream, "PNG", pnginfo=info, exif=exif())
        plain = stream.getvalue()
        extra = _chunk(b"iTXt", b"XML:com.adobe.xmp" + bytes(5) + xmp(label))
        extra += _chunk(b"iCCP", b"SECRET\0\0" + zlib.compress(icc())) + _chunk(b"prVt", SECRETS["serial"])
        return plain[:33] + extra + plain[33:] + SECRETS["trailer"]
    if container == "webp":
        image.save(stream, "WEBP", lossless=True, exif=exif(), xmp=xmp(label), icc_profile=icc())
        content = stream.getvalue()
        data = SECRETS["comment"] + b"\0" * (len(SECRETS["comment"]) % 2)
        content += b"SECR" + struct.pack("<I", len(data)) + data
        return content[:4] + struct.pack("<I", len(content) - 8) + content[8:] + SECRETS["trailer"]
    if container == "tiff":
        tags = TiffImagePlugin.ImageFileDirectory_v2()
        tags[270], tags[315] = SECRETS["comment"].decode(), SECRETS["owner"].decode()
        tags[700], tags[33723], tags[34377] = xmp(label), SECRETS["iptc"], iptc()
        tags.tagtype[700] = tags.tagtype[33723] = tags.tagtype[34377] = 7
        tags[0xC62F] = SECRETS["serial"].decode()  # CameraSerialNumber
        image.save(stream, "TIFF", tiffinfo=tags)
        return stream.getvalue() + SECRETS["trailer"]
    if container == "gif":
        image.save(stream, "GIF", comment=SECRETS["comment"])
        content = stream.getvalue()
        at = content.rindex(b";")
        magic = bytes([1, *range(255, -1, -1), 0])
        return content[:at] + b"\x21\xff\x0bXMP DataXMP" + xmp(label) + magic + content[at:]
    if container == "bmp":
        image.save(stream, "BMP")
        return stream.getvalue() + SECRETS["trailer"]
    raise ValueError(f"container {container!r} is unknown")


CONTAINERS = ("jpeg", "png", "webp", "tiff", "gif", "bmp")
WITH_XMP = CONTAINERS[:-1]
