"""Raw Snappy and LZ4, beside Arrow's codecs."""

import io

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.sources import block_formats
from pipeline.sources.block_formats import BlockError, unpack_lz4, unpack_snappy

FORMATS = {"snappy": unpack_snappy, "lz4_raw": unpack_lz4}
RNG = np.random.default_rng(5)
NOISE = RNG.bytes(300_000)
CONTENTS = {
    "nothing": b"",
    "one byte": b"x",
    "noise": NOISE,
    "zeros": bytes(1_000_000),
    "a pattern of three": b"abc" * 100_000,
    "the same again, far away": NOISE[:50_000] + bytes(40_000) + NOISE[:50_000],
    "small numbers": RNG.integers(0, 3, 50_000, np.uint8).tobytes(),
    "text": b" ".join(str(number).encode() for number in range(20_000)),
}
quick = settings(deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), max_examples=150)


def unpacked(name: str, packed: bytes, size: int) -> bytes:
    file = io.BytesIO()
    FORMATS[name](io.BytesIO(packed), size, file)
    return file.getvalue()


@pytest.mark.parametrize("content", CONTENTS.values(), ids=CONTENTS)
@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("piece", [16, 4_099, 1 << 18])
def test_what_arrow_packs(monkeypatch, name, content, piece):
    monkeypatch.setattr(block_formats, "_PIECE", piece)
    packed = pa.Codec(name).compress(content, asbytes=True)
    assert unpacked(name, packed, len(content)) == content


def varint(number: int) -> bytes:
    return bytes([number & 0x7F | 0x80]) + varint(number >> 7) if number > 0x7F else bytes([number])


def snappy_literal(content: bytes) -> bytes:
    return bytes([62 << 2]) + (len(content) - 1).to_bytes(3, "little") + content


@st.composite
def snappy_blocks(draw):
    """Blocks with every kind of element, copies from anywhere; and what they unpack to."""
    packed, content = b"", b""
    for _ in range(draw(st.integers(1, 12))):
        kind = draw(st.sampled_from(("literal", "short", "middle", "far")))
        if kind == "literal" or not content:
            start, size = draw(st.integers(0, 1_000)), draw(st.integers(1, 60) | st.integers(60, 90_000))
            piece = NOISE[start : start + size]
            content += piece
            packed += bytes([(size - 1) << 2]) + piece if size <= 60 else snappy_literal(piece)
            continue
        limit, longest = {"short": (2_047, 11), "middle": (65_535, 64), "far": (len(content), 64)}[kind]
        distance = draw(st.integers(1, min(limit, len(content))))
        length = draw(st.integers(4 if kind == "short" else 1, longest))
        if kind == "short":
            element = bytes([distance >> 8 << 5 | (length - 4) << 2 | 1, distance & 0xFF])
        else:
            size = 2 if kind == "middle" else 4
            element = bytes([(length - 1) << 2 | size // 2 + 1]) + distance.to_bytes(size, "little")
        times = draw(st.sampled_from((1, 1, 2, 300)))
        packed += element * times
        for _ in range(times * length):
            content += content[-distance : -distance + 1 or None]
    return varint(len(content)) + packed, content


@quick
@given(snappy_blocks())
def test_any_block_of_snappy(block):
    packed, content = block
    assert pa.Codec("snappy").decompress(packed, len(content), asbytes=True) == content
    assert unpacked("snappy", packed, len(content)) == content


@quick
@given(st.sampled_from(sorted(FORMATS)), st.sampled_from(sorted(CONTENTS)), st.data())
def test_damaged_blocks_are_refused_or_unpack_as_arrow_does(name, content, data):
    content = CONTENTS[content][:2_000]
    packed = bytearray(pa.Codec(name).compress(content, asbytes=True))
    for _ in range(data.draw(st.integers(1, 3))):
        packed[data.draw(st.integers(0, len(packed) - 1))] = data.draw(st.integers(0, 255))
    packed = bytes(packed[: data.draw(st.integers(len(packed) // 2, len(packed)))])
    try:
        found = unpacked(name, packed, len(content))
    except BlockError:
        return
    assert len(found) == len(content)
    try:
        arrows = pa.Codec(name).decompress(packed, len(content), asbytes=True)
    except OSError:
        return  # Arrow minds how a block ends
    assert found == arrows


@pytest.mark.parametrize(
    ("name", "packed", "size"),
    [
        ("snappy", b"", 5),
        ("snappy", b"\xff" * 20, 5),
        ("snappy", b"\x05\x10hell", 5),
        ("snappy", b"\x05\x10hello", 4),
        ("snappy", b"\x05\x0chell", 5),
        ("snappy", b"\x05\x10hello\x00!", 5),
        ("snappy", b"\x08\x0chell\x0d\x05", 8),
        ("snappy", b"\x08\x0chell\x0d\x00", 8),
        ("snappy", b"\x05\xfc\xff\xff\xff\xffhello", 5),
        ("lz4_raw", b"\x50hell", 5),
        ("lz4_raw", b"\x10h\x00\x00", 5),
        ("lz4_raw", b"\x10h\x02\x00", 5),
        ("lz4_raw", b"\xf0" + b"\xff" * 100, 5),
        ("lz4_raw", b"\x1fh\x01\x00" + b"\xff" * 100 + b"\0", 100),
    ],
)
def test_blocks_that_lie(name, packed, size):
    with pytest.raises(BlockError):
        unpacked(name, packed, size)


@pytest.mark.parametrize("name", FORMATS)
def test_little_is_in_memory_at_a_time(name):
    """However much one element of a block unpacks to."""
    pieces = []

    class File(io.BytesIO):
        def write(self, piece):
            pieces.append(len(piece))
            return len(piece)

    size = 50_000_000
    FORMATS[name](io.BytesIO(pa.Codec(name).compress(bytes(size), asbytes=True)), size, File())
    assert sum(pieces) == size and max(pieces) < 2_000_000


def test_a_block_of_small_elements_is_left_to_others(monkeypatch):
    monkeypatch.setattr(block_formats, "_FREE_STEPS", 100)
    content = RNG.integers(0, 3, 2_000_000, np.uint8).tobytes()
    with pytest.raises(BlockError, match="so finely"):
        unpacked("snappy", pa.Codec("snappy").compress(content, asbytes=True), len(content))
