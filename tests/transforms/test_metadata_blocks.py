import io
import struct
import time
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.transforms.planting import CONTAINERS, SECRETS, WITH_XMP, planted, xmp
from transforms.metadata_blocks import Kind, is_c2pa, joined, metadata_blocks

PICTURE = Image.fromarray(np.random.default_rng(0).integers(0, 255, (24, 32, 3), np.uint8))


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


@pytest.mark.parametrize("container", WITH_XMP)
def test_xmp_is_found_in_every_container(container):
    assert joined(metadata_blocks(planted(PICTURE, container)), Kind.XMP) == xmp(label=False)


@pytest.mark.parametrize("container", ["jpeg", "png", "webp"])
def test_everything_beside_the_pixels_is_listed(container):
    data = b"".join(block.data for block in metadata_blocks(planted(PICTURE, container)))
    hidden = {"trailer", "icc", "iptc", "owner"} if container == "png" else {"trailer"}  # in PNG these are packed
    if container == "webp":
        hidden |= {"iptc"}  # has no place for it
    for name, secret in SECRETS.items():
        assert secret in data or name in hidden | ({"thumbnail"} - {container}) or container == "webp", name


def test_plain_files_hold_nothing():
    assert metadata_blocks(b"") == metadata_blocks(b"BM" + bytes(60)) == metadata_blocks(b"%PDF-1.4") == []
    for container in ("PNG", "WEBP", "TIFF", "GIF"):
        stream = io.BytesIO()
        PICTURE.save(stream, container)
        assert metadata_blocks(stream.getvalue()) == [], container


def test_packed_xmp_of_a_png_is_unpacked_to_a_limit():
    def png(*texts):
        packed = (b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(text) for text in texts)
        return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(b"iTXt", data) for data in packed) + chunk(b"IEND", b"")

    assert joined(metadata_blocks(png(b"<x>packed</x>")), Kind.XMP) == b"<x>packed</x>"
    assert len(joined(metadata_blocks(png(*[bytes(2**21)] * 20)), Kind.XMP)) <= 16 * 2**20
    damaged = b"\x89PNG\r\n\x1a\n" + chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0not packed at all")
    assert joined(metadata_blocks(damaged), Kind.XMP) == b""


def test_parts_of_a_long_packet_come_in_order():
    def part(data):
        body = b"http://ns.adobe.com/xmp/extension/\0" + b"0" * 40 + data
        return b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body

    content = b"\xff\xd8" + part(b"Digital") + part(b"SourceType") + b"\xff\xda"
    assert joined(metadata_blocks(content), Kind.XMP_EXTENSION) == b"DigitalSourceType"


def test_manifests_are_put_together_from_their_segments():
    box = struct.pack(">I4s", 100, b"jumb") + struct.pack(">I4s", 30, b"jumd") + b"c2pa\0\x11\0\x10"

    def part(number, data):
        body = b"JP\0\1" + struct.pack(">I", number) + data
        return b"\xff\xeb" + struct.pack(">H", len(body) + 2) + body

    content = b"\xff\xd8" + part(1, box + b"first,") + part(2, box[:8] + b"second") + b"\xff\xda"
    store = joined(metadata_blocks(content), Kind.C2PA)
    assert store == box + b"first,second" and is_c2pa(store)
    assert not is_c2pa(b"") and not is_c2pa(struct.pack(">I4s", 40, b"jumb") + b"jumd another standard")


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("big", [False, True])
def test_tiff_of_either_order_and_size(order, big):
    data = b"<x>XMP of a TIFF</x>"
    if big:
        head = struct.pack(order + "2sHHHQ", b"II" if order == "<" else b"MM", 43, 8, 0, 16)
        entry = struct.pack(order + "QHHQQQ", 1, 700, 7, len(data), 16 + 36, 0)
    else:
        head = struct.pack(order + "2sHI", b"II" if order == "<" else b"MM", 42, 8)
        entry = struct.pack(order + "HHHIII", 1, 700, 1, len(data), 8 + 18, 0)
    assert joined(metadata_blocks(head + entry + data), Kind.XMP) == data


def test_what_stands_before_the_damage_counts():
    data = b"<x>XMP of a TIFF</x>"
    head = struct.pack("<2sHI", b"II", 42, 8)
    entries = struct.pack("<HHHII", 2, 700, 1, len(data), 8 + 14) + data  # the second entry is not there
    assert joined(metadata_blocks(head + entries), Kind.XMP) == data


def test_c2pa_of_a_gif():
    content = b"GIF89a" + bytes(7) + b"\x21\xff\x0bC2PA_GIF\x01\0\0" + b"\3abc\2de\0" + b";"
    assert joined(metadata_blocks(content), Kind.C2PA) == b"abcde"


@pytest.mark.parametrize("container", CONTAINERS)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_damaged_files_are_walked_without_an_error(container, data):
    content = bytearray(planted(PICTURE, container, label=True))
    for _ in range(data.draw(st.integers(0, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    metadata_blocks(bytes(content[: data.draw(st.integers(0, len(content)))]))


MAGIC = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF\0\0\0\0WEBP", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+", b"GIF8")


@pytest.mark.parametrize("magic", MAGIC)
@settings(max_examples=60, deadline=None)
@given(data=st.binary(max_size=300))
def test_any_bytes_can_be_walked(magic, data):
    metadata_blocks(magic + data)


@pytest.mark.parametrize(
    "content",
    [
        b"\xff\xd8" + b"\xff\xef\0\2" * 10**6,
        b"\xff\xd8" + b"\xff" * 10**7,
        b"\x89PNG\r\n\x1a\n" + chunk(b"teXt", b"") * 10**6,
        b"RIFF\0\0\0\0WEBP" + b"ABCD\0\0\0\0" * 10**6,
        b"GIF89a" + b"\x21\xff\x0bXMP DataXMP" * 10**6,
        # every entry of every directory points to the whole file
        struct.pack("<2sHI", b"II", 42, 8) + struct.pack("<H", 1000) + struct.pack("<HHII", 700, 7, 2**31, 0) * 1000
        + struct.pack("<I", 8) + bytes(10**7),
    ],
    ids=["segments", "fill", "chunks", "riff", "gif", "tiff"],
)  # fmt: skip
def test_hostile_structures_take_bounded_time(content):
    started = time.process_time()
    blocks = metadata_blocks(content)
    assert time.process_time() - started < 1.0
    assert len(blocks) <= 50_000 and sum(len(block.data) for block in blocks) <= max(len(content), 20 * 2**20)
