"""What readers are shown of a file: all that the pixels need, and nothing else."""

import io
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tests.transforms.picture_files import FILES, RGB, png_chunk, save
from transforms.bare_file import bare_file, count_scans, exif_orientation
from transforms.reasons import PhotoError, RejectReason

LOSSLESS = ("png", "png-rgba", "gif", "tiff", "tiff-lzw")


def exif(value: int, order: str = "<", kind: int = 3) -> bytes:
    magic = b"II*\0" if order == "<" else b"MM\0*"
    field = struct.pack(order + {1: "B3x", 3: "H2x", 4: "I"}[kind], value)
    return magic + struct.pack(order + "IHHHI", 8, 1, 274, kind, 1) + field + bytes(4)


def pixels(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)))


@pytest.mark.parametrize("name", [name for name in FILES if name != "heic"])
def test_the_picture_stays_the_same(name):
    bare = bare_file(FILES[name], name.split("-")[0])
    np.testing.assert_array_equal(pixels(bare.content), pixels(FILES[name]))
    assert bare.orientation == 1


@pytest.mark.parametrize("image_format", ["JPEG", "PNG"])
def test_metadata_goes_and_profile_and_orientation_stay(image_format):
    profile = b"a profile"
    info = {"exif": b"Exif\0\0" + exif(6), "icc_profile": profile, "comment": "secret", "xmp": b"<x:xmpmeta>secret"}
    content = save(Image.fromarray(RGB), image_format, **info)
    bare = bare_file(content, image_format.lower())
    assert bare.orientation == 6
    assert b"secret" not in bare.content and b"II*\0" not in bare.content
    assert Image.open(io.BytesIO(bare.content)).info["icc_profile"] == profile


def test_an_animation_becomes_its_first_picture():
    second = Image.new("RGB", (64, 48), "red")
    content = save(Image.fromarray(RGB), "PNG", save_all=True, append_images=[second])
    bare = bare_file(content, "png").content
    assert b"fdAT" in content and b"fdAT" not in bare and b"acTL" not in bare
    np.testing.assert_array_equal(pixels(bare), RGB)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", [1, 3, 4])
@pytest.mark.parametrize("value", range(10))
def test_orientation_of_every_type(value, kind, order):
    assert exif_orientation(exif(value, order, kind)) == (value if 1 <= value <= 8 else 1)
    assert exif_orientation(b"Exif\0\0" + exif(value, order, kind)) == (value if 1 <= value <= 8 else 1)


@given(st.binary(max_size=80), st.integers(0, 40), st.binary(max_size=8))
def test_orientation_is_always_one_of_eight(block, at, damage):
    sound = exif(6)
    assert exif_orientation(b"II*\0" + block) in range(1, 9)
    assert exif_orientation(sound[:at] + damage + sound[at + len(damage) :]) in range(1, 9)


def test_rubbish_between_jpeg_segments_is_left_out():
    content = FILES["jpeg"]
    bare = bare_file(content[:2] + b"rubbish\xff\xff\xff" + content[2:], "jpeg").content
    np.testing.assert_array_equal(pixels(bare), pixels(content))


@pytest.mark.parametrize(
    ("image_format", "piece"),
    [("jpeg", b"\xff\xfe\0\2"), ("png", png_chunk(b"tEXt", b"")), ("gif", b"!\xfe\1a\0")],
)
def test_what_has_too_many_parts_is_corrupt(image_format, piece):
    content = FILES[image_format]
    at = {"jpeg": 2, "png": 33, "gif": 13 + 3 * (2 << (content[10] & 7))}[image_format]
    np.testing.assert_array_equal(
        pixels(bare_file(content[:at] + piece * 1_000 + content[at:], image_format).content), pixels(content)
    )
    with pytest.raises(PhotoError, match="more than") as caught:
        bare_file(content[:at] + piece * 40_000 + content[at:], image_format)
    assert caught.value.reason == RejectReason.CORRUPT


def test_scans_are_counted_to_the_end_of_the_image():
    baseline, progressive = FILES["jpeg"], FILES["jpeg-progressive"]
    start = baseline.index(b"\xff\xda")
    assert count_scans(baseline, start, 20) == 1
    assert count_scans(baseline + b"\xff\xda\0\2" * 50, start, 20) == 1  # a film behind the picture
    start = progressive.index(b"\xff\xda")
    scans = count_scans(progressive, start, 20)
    assert scans == progressive.count(b"\xff\xda") > 5
    last = progressive[progressive.rindex(b"\xff\xda") : -2]
    hidden = progressive[:-2] + b"\xff\xfe\0\4\xff\xd9" + last * 50 + b"\xff\xd9"  # the end's marker in a comment
    assert count_scans(hidden, start, 20) == 21


@pytest.mark.parametrize("name", FILES)
@given(cut=st.floats(0, 1), byte=st.integers(0, 255), where=st.floats(0, 1))
def test_damage_raises_nothing_unexpected(name, cut, byte, where):
    content = bytearray(FILES[name])
    content[int(where * (len(content) - 1))] = byte
    try:
        bare = bare_file(bytes(content[: int(cut * len(content))]), name.split("-")[0])
    except (PhotoError, struct.error, IndexError):
        return
    assert len(bare.content) <= len(content) + 1
    assert 1 <= bare.orientation <= 8
