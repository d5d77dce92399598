import base64
import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from pipeline.report.thumbnails import encode_thumbnail, read_thumbnail

RED = (200, 30, 40)


def save(image, form, **options):
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def test_large_photo_is_shrunk_and_keeps_its_shape():
    image = read_thumbnail(save(Image.new("RGB", (1600, 800), RED), "JPEG"), 100)
    assert image.size == (100, 50)
    np.testing.assert_allclose(np.asarray(image)[25, 50], RED, atol=3)


def test_small_photo_is_not_enlarged():
    assert read_thumbnail(save(Image.new("RGB", (30, 20), RED), "PNG"), 100).size == (30, 20)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_photo_stands_upright(form, orientation):
    upright = Image.new("RGB", (64, 32), (255, 255, 255))
    upright.paste((0, 0, 0), (0, 0, 16, 8))  # the upper left corner is dark
    stored = upright.rotate({1: 0, 3: 180, 6: 90, 8: 270}[orientation], expand=True)
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = read_thumbnail(save(stored, form, exif=exif))
    assert image.size == (64, 32)
    pixels = np.asarray(image.convert("L"))
    assert pixels[2, 4] < 40
    assert pixels[28, 60] > 215


@pytest.mark.parametrize(
    ("mode", "form"),
    [("1", "PNG"), ("L", "JPEG"), ("P", "GIF"), ("LA", "PNG"), ("RGBA", "WEBP"), ("CMYK", "JPEG"), ("I;16", "PNG"),
     ("F", "TIFF"), ("LAB", "TIFF"), ("YCbCr", "JPEG")],
)  # fmt: skip
def test_every_mode_becomes_one_that_browsers_show(mode, form):
    image = Image.new(mode, (40, 20))
    small = read_thumbnail(save(image, form), 20)
    assert small.size == (20, 10)
    assert small.mode == ("RGBA" if "A" in mode and mode != "LAB" else small.mode)
    assert small.mode in ("L", "RGB", "RGBA")
    assert encode_thumbnail(small, 20, 50).uri.startswith("data:image/webp;base64,")


@pytest.mark.parametrize(("kind", "top"), [(np.uint16, 65535), (np.float32, 1.0), (np.float32, 255.0)])
def test_deep_grey_keeps_its_brightness(kind, top):
    values = np.linspace(0, top, 64).astype(kind)[None].repeat(16, axis=0)
    small = read_thumbnail(save(Image.fromarray(values), "TIFF"))
    np.testing.assert_allclose(np.asarray(small)[8], np.linspace(0, 255, 64), atol=1.5)


def test_transparent_palette_keeps_its_alpha():
    image = Image.new("P", (16, 16), 1)
    image.putpalette([0, 0, 0, *RED])
    image.paste(0, (0, 0, 8, 16))
    small = read_thumbnail(save(image, "PNG", transparency=0))
    assert small.mode == "RGBA"
    assert np.asarray(small)[8, [2, 12], 3].tolist() == [0, 255]


def test_colour_under_transparent_ground_does_not_leak_in():
    pixels = np.zeros((64, 64, 4), np.uint8)
    pixels[..., 1] = 255  # green, and unseen on the left
    pixels[:, 31:] = (*RED, 255)
    small = np.asarray(read_thumbnail(save(Image.fromarray(pixels), "PNG"), 16)).astype(int)
    seen = small[..., 3] > 20
    np.testing.assert_allclose(small[seen][:, :3], np.broadcast_to(RED, (seen.sum(), 3)), atol=12)


def test_profile_is_applied_and_a_broken_one_ignored():
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    swapped = srgb.replace(b"rXYZ", b"----").replace(b"gXYZ", b"rXYZ").replace(b"----", b"gXYZ")
    image = Image.new("RGB", (8, 8), (60, 120, 180))
    assert np.asarray(read_thumbnail(save(image, "PNG", icc_profile=b"not a profile")))[0, 0].tolist() == [60, 120, 180]
    np.testing.assert_allclose(
        np.asarray(read_thumbnail(save(image, "PNG", icc_profile=swapped)))[0, 0], (120, 60, 180), atol=1
    )


@settings(deadline=None, max_examples=50)
@given(cut=st.integers(0, 2000), change=st.integers(0, 2000), value=st.integers(0, 255))
def test_damage_is_told_as_one_kind_of_error(cut, change, value):
    draw = np.random.default_rng(0)
    content = bytearray(save(Image.fromarray(draw.integers(0, 256, (24, 24, 3), np.uint8)), "JPEG"))
    content[change % len(content)] = value
    try:
        image = read_thumbnail(bytes(content[: max(0, len(content) - cut)]), 16)
    except ValueError:
        return
    assert max(image.size) <= 16


def test_decompression_bomb_is_refused():
    bomb = save(Image.new("1", (12_000, 12_000)), "PNG")
    with pytest.raises(ValueError, match="12000 x 12000 = 144000000 pixels"):
        read_thumbnail(bomb)


def test_lower_levels_are_smaller():
    draw = np.random.default_rng(0)
    image = Image.fromarray(draw.integers(0, 256, (200, 100, 3), np.uint8))
    large, small = encode_thumbnail(image, 448, 76), encode_thumbnail(image, 96, 25)
    assert (large.width, large.height, small.width, small.height) == (100, 200, 48, 96)
    assert len(small.uri) < len(large.uri) / 4
    decoded = Image.open(io.BytesIO(base64.b64decode(small.uri.partition(",")[2])))
    assert decoded.size == (48, 96)
