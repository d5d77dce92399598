"""Telling formats by bytes alone, and what is no picture at all."""

import pytest
from PIL import Image

from tests.transforms.picture_files import FILES, RGB, save
from transforms.image_format import ends_early, sniff_format
from transforms.reasons import PhotoError, RejectReason


@pytest.mark.parametrize(
    ("content", "reason", "named"),
    [
        (b"<!DOCTYPE html><html><body>404</body></html>", "not_an_image", "HTML"),
        (b"\n<html>", "not_an_image", "HTML"),
        (b'<?xml version="1.0"?><svg xmlns="x"/>', "not_an_image", "SVG"),
        (b'<svg width="8">', "not_an_image", "SVG"),
        (b"%PDF-1.7 ...", "not_an_image", "PDF"),
        (b"hello, world", "not_an_image", "plain text"),
        (b"BMW is a text that starts like a BMP", "not_an_image", "plain text"),
        (b'{"error": "no such image"}', "not_an_image", "JSON"),
        (bytes(500), "not_an_image", "zero bytes"),
        (b"\x93\xfe\x01" * 30, "not_an_image", "unknown kind"),
        (b"\0\0\0\x18ftypisom\0\0\0\0isommp42", "not_an_image", "film"),
        (b"8BPS\0\1" + bytes(20), "unsupported_format", "PSD"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "unsupported_format", "JPEG 2000"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "unsupported_format", "JPEG XL"),
        (b"P6 8 8 255\n" + bytes(192), "unsupported_format", "PNM"),
        (b"II*\0\x10\0\0\0CR\2\0" + bytes(40), "unsupported_format", "CR2"),
    ],
)
def test_what_is_no_picture(content, reason, named):
    with pytest.raises(PhotoError) as caught:
        sniff_format(content)
    assert caught.value.reason == reason
    assert named in caught.value.detail


def test_digital_negatives_are_more_than_their_thumbnail():
    exif = Image.Exif()
    exif[50706] = b"\1\4\0\0"
    with pytest.raises(PhotoError, match="DNG") as caught:
        sniff_format(save(Image.fromarray(RGB), "TIFF", tiffinfo=exif))
    assert caught.value.reason == RejectReason.UNSUPPORTED_FORMAT


def test_details_do_not_quote_the_file():
    with pytest.raises(PhotoError) as caught:
        sniff_format(b"password=hunter2\n")
    assert "hunter2" not in caught.value.detail


@pytest.mark.parametrize("name", FILES)
def test_formats_are_told_by_their_bytes(name):
    assert sniff_format(FILES[name]) == name.split("-")[0]


@pytest.mark.parametrize(
    ("brands", "image_format"),
    [(b"heic\0\0\0\0mif1heic", "heic"), (b"mif1\0\0\0\0mif1avif", "avif"), (b"avif\0\0\0\0avifmif1", "avif")],
)
def test_brands_tell_heic_from_avif(brands, image_format):
    assert sniff_format(b"\0\0\0\x18ftyp" + brands) == image_format


@pytest.mark.parametrize("name", FILES)
def test_whole_files_do_not_end_early_and_half_ones_do(name):
    image_format, content = name.split("-")[0], FILES[name]
    assert not ends_early(content, image_format)
    assert ends_early(content[: len(content) // 2], image_format)
