"""Reading TIFF directories that nobody vouches for."""

import struct

import pytest
from PIL import Image

from tests.transforms.picture_files import FILES, HEIGHT, RGB, WIDTH, save
from transforms.reasons import PhotoError
from transforms.tiff_directory import MOST_ENTRIES, tiff_entries


def numbers(content: bytes) -> dict[int, tuple[int, ...]]:
    return {entry.tag: entry.integers(content, 8) for entry in tiff_entries(content)}


@pytest.mark.parametrize("big", [False, True])
def test_width_and_height_are_found(big):
    content = save(Image.fromarray(RGB), "TIFF", big_tiff=big)
    found = numbers(content)
    assert (found[256], found[257], found[258]) == ((WIDTH,), (HEIGHT,), (8, 8, 8))


def test_big_endian_shorts_stand_at_the_left():
    content = b"MM\0*" + struct.pack(">IHHHIHHI", 8, 1, 256, 3, 1, 640, 0, 0)
    assert numbers(content) == {256: (640,)}


def test_values_beyond_the_end_are_none():
    content = b"II*\0" + struct.pack("<IHHHIII", 8, 1, 273, 4, 1_000_000, 10**9, 0)
    (entry,) = tiff_entries(content)
    assert entry.size == 4_000_000 and entry.integers(content, 8) == ()


def test_cut_and_endless_directories():
    content = FILES["tiff"]
    with pytest.raises(struct.error):
        list(tiff_entries(content[: struct.unpack_from("<I", content, 4)[0] + 20]))
    with pytest.raises(PhotoError, match="entries"):
        list(tiff_entries(b"II*\0" + struct.pack("<IH", 8, MOST_ENTRIES + 1) + bytes(60_000)))
