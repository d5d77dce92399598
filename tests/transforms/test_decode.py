"""Decoding: formats, colours, orientation, limits, and what damaged files do."""

import struct
import zlib

import apache_beam as beam
import cv2
import numpy as np
import pytest
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.testing.util import assert_that
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile

from pipeline.records import Photo, Rejection
from tests.transforms.picture_files import (
    ALPHA,
    FILES,
    HEIGHT,
    RGB,
    WIDTH,
    difference,
    heic,
    needs_heif,
    png_chunk,
    rgba,
    save,
    with_tiff_tags,
)
from transforms.decode import _PLUGINS, Decoded, DecodeLimits, DecodePhotos, decode
from transforms.reasons import PhotoError, RejectReason

SLACK = {
    "avif": 20,
    "heic": 30,
    "jpeg-progressive": 9,
    "jpeg-restarts": 9,
    "jpeg": 9,
    "jpeg-cmyk": 12,
    "webp-lossy": 30,
    "gif": 60,
}


def reason_of(content: bytes, **options) -> RejectReason:
    with pytest.raises(PhotoError) as caught:
        decode(content, **options)
    return caught.value.reason


# --- formats and depths ---


@pytest.mark.parametrize("name", FILES)
def test_every_format_gives_the_picture(name):
    decoded = decode(FILES[name])
    assert decoded.format == name.split("-")[0]
    assert (decoded.width, decoded.height) == (WIDTH, HEIGHT)
    assert decoded.image.dtype == np.uint8
    assert decoded.image.flags.c_contiguous and decoded.image.flags.writeable
    assert difference(decoded.image, RGB) <= SLACK.get(name, 0)
    assert (decoded.alpha is not None) == (name == "png-rgba")


def test_avif_with_alpha():
    decoded = decode(save(rgba(), "AVIF", quality=100, subsampling="4:4:4"))
    assert difference(decoded.alpha, ALPHA) <= 2
    assert difference(decoded.image[:, 8:], RGB[:, 8:]) <= 12  # next to nothing is kept of what does not show


@needs_heif
def test_heic_with_alpha():
    decoded = decode(heic(rgba()))
    assert difference(decoded.alpha, ALPHA) <= 8


def test_heic_without_the_extra_is_refused_by_its_name(monkeypatch):
    monkeypatch.delitem(_PLUGINS, "heic", raising=False)
    with pytest.raises(PhotoError, match=r"packshot\[heif\]") as caught:
        decode(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
    assert caught.value.reason == RejectReason.UNSUPPORTED_FORMAT


@pytest.mark.parametrize("image_format", ["PNG", "WEBP", "TIFF"])
def test_alpha_comes_apart_and_leaves_the_colour_below_it(image_format):
    options = {"lossless": True, "exact": True} if image_format == "WEBP" else {}
    decoded = decode(save(rgba(), image_format, **options))
    np.testing.assert_array_equal(decoded.alpha, ALPHA)
    np.testing.assert_array_equal(decoded.image, RGB)


def test_grey_with_alpha():
    grey = Image.fromarray(RGB).convert("L")
    image = grey.copy()
    image.putalpha(Image.fromarray(ALPHA))
    decoded = decode(save(image, "PNG"))
    np.testing.assert_array_equal(decoded.alpha, ALPHA)
    np.testing.assert_array_equal(decoded.image[:, :, 1], np.asarray(grey))


def test_opaque_alpha_is_no_alpha():
    assert decode(save(Image.fromarray(RGB).convert("RGBA"), "PNG")).alpha is None


def test_premultiplied_tiff_alpha_is_divided_out():
    stored = Image.frombytes("RGBA", (WIDTH, HEIGHT), rgba().convert("RGBa").tobytes())
    decoded = decode(with_tiff_tags(save(stored, "TIFF"), {338: 1}))
    solid = ALPHA > 128
    np.testing.assert_array_equal(decoded.alpha, ALPHA)
    assert difference(decoded.image[solid], RGB[solid]) <= 2


def test_unused_fourth_bytes_of_a_bmp_are_no_alpha():
    pixels = np.dstack([RGB[::-1, :, ::-1], np.zeros((HEIGHT, WIDTH), np.uint8)])
    header = struct.pack(
        "<IiiHHIIiiIIIIII", 56, WIDTH, HEIGHT, 1, 32, 3, pixels.nbytes, 0, 0, 0, 0, 0xFF0000, 0xFF00, 0xFF, 0xFF000000
    )
    start = 14 + len(header)
    content = b"BM" + struct.pack("<IHHI", start + pixels.nbytes, 0, 0, start) + header + pixels.tobytes()
    decoded = decode(content)
    assert decoded.alpha is None
    np.testing.assert_array_equal(decoded.image, RGB)


@pytest.mark.parametrize("image_format", ["PNG", "GIF"])
def test_palette_with_transparency(image_format):
    image = Image.fromarray(RGB).quantize(32)
    index = np.asarray(image)
    decoded = decode(save(image, image_format, transparency=5))
    np.testing.assert_array_equal(decoded.alpha == 0, index == 5)
    np.testing.assert_array_equal(decoded.image, np.asarray(image.convert("RGB")))


def test_transparent_colour_of_a_png():
    key = tuple(int(v) for v in RGB[7, 9])
    decoded = decode(save(Image.fromarray(RGB), "PNG", transparency=key))
    np.testing.assert_array_equal(decoded.alpha == 0, (key == RGB).all(axis=2))


@pytest.mark.parametrize("extension", [".png", ".tiff"])
def test_sixteen_bits_a_channel(extension):
    deep = RGB[:, :, ::-1].astype(np.uint16) * 257 + 3
    decoded = decode(cv2.imencode(extension, deep)[1].tobytes())
    assert difference(decoded.image, RGB) <= 1


@pytest.mark.parametrize("image_format", ["PNG", "TIFF"])
def test_sixteen_bit_grey(image_format):
    deep = RGB[:, :, 1].astype(np.uint16) * 257
    decoded = decode(save(Image.fromarray(deep), image_format))
    np.testing.assert_array_equal(decoded.image, np.dstack([RGB[:, :, 1]] * 3))


@pytest.mark.parametrize("top", [1.0, 255.0, 65535.0])
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_floating_point_tiff(top, kind):
    values = RGB.astype(kind) / 255 * top
    values[0, 0] = top
    decoded = decode(cv2.imencode(".tiff", values[:, :, ::-1])[1].tobytes())
    assert difference(decoded.image[1:], RGB[1:]) <= 1


def test_floating_point_grey_tiff_with_holes():
    values = RGB[:, :, 1].astype(np.float32) / 255
    values[0, 0], values[0, 1] = np.nan, np.inf
    decoded = decode(save(Image.fromarray(values), "TIFF"))
    assert difference(decoded.image[1:, :, 1], RGB[1:, :, 1]) <= 1
    assert decoded.image[0, 0].tolist() == [0, 0, 0]


def test_one_bit():
    image = Image.fromarray(RGB).convert("1")
    for content in (save(image, "PNG"), save(image, "TIFF", compression="group4"), save(image, "BMP")):
        np.testing.assert_array_equal(decode(content).image[:, :, 0], np.asarray(image) * np.uint8(255))


def test_first_frame_of_an_animation():
    second = Image.new("RGB", (WIDTH, HEIGHT), "red")
    for image_format in ("GIF", "WEBP", "PNG", "TIFF"):
        options = {"lossless": True} if image_format == "WEBP" else {}
        content = save(Image.fromarray(RGB), image_format, save_all=True, append_images=[second], **options)
        assert difference(decode(content).image, RGB) <= (60 if image_format == "GIF" else 0)


def test_a_film_or_picture_behind_a_jpeg_is_passed_over():
    tail = np.random.default_rng(0).bytes(50_000)
    np.testing.assert_array_equal(decode(FILES["jpeg"] + tail).image, decode(FILES["jpeg"]).image)


# --- orientation ---


def oriented(value: int) -> np.ndarray:
    """The picture turned as CIPA DC-008 words it: where row 0 and column 0 of the stored pixels belong."""
    top_left = RGB
    return {
        1: top_left,
        2: top_left[:, ::-1],
        3: top_left[::-1, ::-1],
        4: top_left[::-1],
        5: top_left.transpose(1, 0, 2),
        6: top_left.transpose(1, 0, 2)[:, ::-1],
        7: top_left.transpose(1, 0, 2)[::-1, ::-1],
        8: top_left.transpose(1, 0, 2)[::-1],
    }.get(value, top_left)


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("value", [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 65535])
def test_exif_orientation(image_format, value):
    exif = Image.Exif()
    exif[274] = value
    options = {"JPEG": {"quality": 95, "subsampling": 0}, "WEBP": {"lossless": True}}.get(image_format, {})
    decoded = decode(save(Image.fromarray(RGB), image_format, exif=exif, **options))
    expected = oriented(value)
    assert (decoded.height, decoded.width) == expected.shape[:2]
    assert difference(decoded.image, expected) <= (9 if image_format == "JPEG" else 0)


@pytest.mark.parametrize("value", [1, 2, 3, 4, 5, 6, 7, 8])
@pytest.mark.parametrize("image_format", ["AVIF", pytest.param("HEIC", marks=needs_heif)])
def test_containers_that_turn_pictures_themselves_turn_them_once(image_format, value):
    exif = Image.Exif()
    exif[274] = value
    image = Image.fromarray(RGB)
    if image_format == "HEIC":
        content = heic(image, exif=exif.tobytes())
    else:
        content = save(image, "AVIF", quality=100, subsampling="4:4:4", exif=exif)
    decoded = decode(content)
    expected = oriented(value)
    assert (decoded.height, decoded.width) == expected.shape[:2]
    assert difference(decoded.image, expected) <= 30


def test_alpha_is_turned_with_the_picture():
    exif = Image.Exif()
    exif[274] = 6
    decoded = decode(save(rgba(), "PNG", exif=exif))
    np.testing.assert_array_equal(decoded.alpha, ALPHA.T[:, ::-1])


@pytest.mark.parametrize("exif", [b"Exif\0\0", b"Exif\0\0garbage", b"Exif\0\0MM\0*\0\0\xff\xff", b"\xff" * 40])
def test_broken_exif_does_not_cost_the_picture(exif):
    assert decode(save(Image.fromarray(RGB), "JPEG", exif=exif)).width == WIDTH


# --- scaled decoding ---


@pytest.mark.parametrize(
    ("wanted", "factor"), [(None, 1), (801, 1), (401, 1), (400, 2), (201, 2), (200, 4), (100, 8), (1, 8)]
)
@pytest.mark.parametrize("image_format", ["JPEG", "PNG"])
def test_no_more_is_decoded_than_wanted(wanted, factor, image_format):
    rng = np.random.default_rng(0)
    pixels = cv2.resize(rng.integers(0, 256, (9, 12, 3)).astype(np.uint8), (799, 601), interpolation=cv2.INTER_CUBIC)
    exif = Image.Exif()
    exif[274] = 6
    decoded = decode(save(Image.fromarray(pixels), image_format, exif=exif), wanted=wanted)
    assert (decoded.width, decoded.height) == (601, 799)
    assert decoded.image.shape == (-(-799 // factor), -(-601 // factor), 3)
    size = decoded.image.shape[0], decoded.image.shape[1]
    small = cv2.rotate(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), cv2.ROTATE_90_CLOCKWISE)
    assert np.abs(decoded.image.astype(int) - small).mean() < (
        6 if factor == 8 else 3
    )  # JPEG scales by its blocks, not by areas


def test_pictures_with_alpha_keep_their_size():
    decoded = decode(save(rgba(), "PNG"), wanted=8)
    np.testing.assert_array_equal(decoded.image, RGB)


# --- limits ---


def bombs() -> dict[str, bytes]:
    png = b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0))
    png += png_chunk(b"IDAT", zlib.compress(bytes(10**7))) + png_chunk(b"IEND", b"")
    gif, jpeg, webp, extended = FILES["gif"], FILES["jpeg"], FILES["webp-lossy"], save(rgba(), "WEBP")
    frame = gif.index(b",", 13 + 3 * (2 << (gif[10] & 7)))
    sof = jpeg.index(b"\xff\xc0")
    return {
        "png": png,
        "gif screen": gif[:6] + struct.pack("<HH", 65535, 65535) + gif[10:],
        "gif frame": gif[: frame + 5] + struct.pack("<HH", 65535, 65535) + gif[frame + 9 :],
        "jpeg": jpeg[: sof + 5] + struct.pack(">HH", 65000, 65000) + jpeg[sof + 9 :],
        "tiff": with_tiff_tags(FILES["tiff"], {256: 60000, 257: 60000}),
        "tiff lzw": with_tiff_tags(FILES["tiff-lzw"], {256: 60000, 257: 60000}),
        "webp": webp[:26] + struct.pack("<HH", 16383, 16383) + webp[30:],
        "webp lossless": FILES["webp"][:21] + struct.pack("<I", 16383 | 16383 << 14) + FILES["webp"][25:],
        "webp extended": extended[:24] + b"\xff\x3f\0\xff\x3f\0" + extended[30:],
        "bmp": FILES["bmp"][:18] + struct.pack("<ii", 60000, 60000) + FILES["bmp"][26:],
    }


@pytest.mark.parametrize("name", bombs())
def test_bombs_are_refused_by_their_header(name):
    assert reason_of(bombs()[name]) == RejectReason.TOO_LARGE


def test_limits_are_named():
    with pytest.raises(PhotoError, match=r"64 x 48 = 3072 pixels; the limit is 3000 pixels"):
        decode(FILES["png"], limits=DecodeLimits(max_pixels=3000))
    with pytest.raises(PhotoError, match=rf"{len(FILES['png'])} bytes; the limit is 100 bytes"):
        decode(FILES["png"], limits=DecodeLimits(max_bytes=100))
    assert decode(FILES["png"], limits=DecodeLimits(max_pixels=3072)).width == WIDTH


def test_too_small():
    assert reason_of(save(Image.new("RGB", (7, 100)), "PNG")) == RejectReason.TOO_SMALL
    assert decode(save(Image.new("RGB", (8, 8)), "PNG")).width == 8


@pytest.mark.parametrize("field", ["max_pixels", "max_bytes", "min_side", "max_profile_bytes"])
def test_nonsensical_limits(field):
    with pytest.raises(ValueError, match=f"{field} is 0"):
        DecodeLimits(**{field: 0})


@pytest.mark.parametrize("image_format", ["PNG", "GIF", "TIFF", "WEBP", "JPEG", "AVIF"])
def test_what_unpacks_too_much_is_refused_and_small_flat_pictures_are_not(image_format):
    options = {"TIFF": {"compression": "tiff_adobe_deflate"}, "WEBP": {"lossless": True, "method": 0}}
    options |= {"JPEG": {"optimize": True}, "AVIF": {"speed": 10}}
    large, small = Image.new("L", (4_100, 4_100)), Image.new("L", (1_000, 1_000))
    assert reason_of(save(large, image_format, **options.get(image_format, {}))) == RejectReason.TOO_LARGE
    assert decode(save(small, image_format, **options.get(image_format, {}))).width == 1_000


def test_a_jpeg_of_thousands_of_scans():
    content = FILES["jpeg-progressive"]
    scan = content.rindex(b"\xff\xda")
    assert reason_of(content[:scan] + content[scan:-2] * 500 + content[-2:]) == RejectReason.CORRUPT


# --- damage ---


@pytest.mark.parametrize("name", FILES)
def test_a_cut_file_never_gives_half_a_picture(name):
    content, whole = FILES[name], decode(FILES[name])
    for length in sorted({*range(3, 40), *range(40, len(content), 37), *range(len(content) - 12, len(content))}):
        try:
            decoded = decode(content[:length])
        except PhotoError as error:
            expected = {RejectReason.TRUNCATED, RejectReason.NOT_AN_IMAGE} if length < 40 else {RejectReason.TRUNCATED}
            assert error.reason in expected, (length, error)
        else:
            np.testing.assert_array_equal(decoded.image, whole.image)


@pytest.mark.parametrize("wanted", [None, 32])
@pytest.mark.parametrize("name", ["jpeg", "jpeg-restarts", "jpeg-cmyk"])
@pytest.mark.parametrize("fraction", [0.4, 0.6, 0.8])
def test_a_cut_jpeg_that_was_closed_again_is_truncated(name, fraction, wanted):
    content = FILES[name][: int(len(FILES[name]) * fraction)]
    assert reason_of(content + b"\xff\xd9", wanted=wanted) == RejectReason.TRUNCATED
    assert reason_of(content + bytes(100_000), wanted=wanted) == RejectReason.TRUNCATED


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_blocks": 2}])
def test_a_photo_on_mid_grey_is_no_cut_file(options):
    grey = Image.new("RGB", (WIDTH, HEIGHT), (128, 128, 128))
    assert difference(decode(save(grey, "JPEG", **options)).image, np.asarray(grey)) == 0


def test_damage_within_a_png():
    content = bytearray(FILES["png"])
    middle = content.index(b"IDAT") + 40
    content[middle : middle + 4] = b"\0\0\0\0"
    assert reason_of(bytes(content)) == RejectReason.CORRUPT


def test_a_bad_text_chunk_does_not_cost_the_picture():
    content = FILES["png"]
    broken = png_chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(10**7)))
    decoded = decode(content[:33] + broken + content[33:])
    np.testing.assert_array_equal(decoded.image, RGB)


def test_pillows_globals_are_left_alone():
    before = Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES
    for content in FILES.values():
        decode(content)
    assert before == (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES)


@pytest.mark.filterwarnings("ignore")
@settings(deadline=None, max_examples=50)
@given(
    name=st.sampled_from(sorted(FILES)),
    edits=st.lists(
        st.tuples(
            st.sampled_from(["set", "cut", "insert", "delete"]), st.floats(0, 1), st.binary(min_size=1, max_size=6)
        ),
        min_size=1,
        max_size=8,
    ),
    wanted=st.sampled_from([None, 16]),
)
def test_nothing_but_photo_errors_comes_of_damaged_files(name, edits, wanted):
    content = FILES[name]
    for kind, where, data in edits:
        at = int(where**2 * len(content))  # headers are where the trouble is
        if kind == "set":
            content = content[:at] + data + content[at + len(data) :]
        elif kind == "cut":
            content = content[: max(at, 1)] if at > len(content) // 2 else content
        elif kind == "insert":
            content = content[:at] + data + content[at:]
        else:
            content = content[:at] + content[at + len(data) :]
    try:
        decoded = decode(content, limits=DecodeLimits(max_pixels=1_000_000), wanted=wanted)
    except PhotoError as error:
        assert error.detail
    else:
        assert decoded.image.dtype == np.uint8
        assert decoded.image.shape[2] == 3
        assert decoded.alpha is None or decoded.alpha.shape == decoded.image.shape[:2]


# --- stage ---


def test_the_stage_decodes_and_parts_rejections():
    photos = [
        Photo("good", "a", content=FILES["png-rgba"], source_sha256="0" * 64),
        Photo("cut", "b", content=FILES["png"][:200], source_sha256="1" * 64),
        Photo("null", "c"),
    ]

    def check_photos(found):
        (photo,) = found
        assert photo.content is None
        np.testing.assert_array_equal(photo.image, RGB)
        np.testing.assert_array_equal(photo.source_alpha, ALPHA)
        assert (photo.width, photo.height) == (WIDTH, HEIGHT)
        assert photo.milliseconds["decode"] > 0

    def check_rejections(found):
        assert all(isinstance(rejection, Rejection) for rejection in found)
        assert sorted((r.id, r.stage, r.reason, r.source_sha256) for r in found) == [
            ("cut", "decode", "truncated", "1" * 64),
            ("null", "decode", "empty", None),
        ]

    with beam.Pipeline(runner=FnApiRunner()) as pipeline:
        decoded, rejected = pipeline | beam.Create(photos) | DecodePhotos()
        assert_that(decoded, check_photos, label="photos")
        assert_that(rejected, check_rejections, label="rejections")


def test_decoding_is_repeatable():
    for content in FILES.values():
        first, second = decode(content, wanted=32), decode(content, wanted=32)
        assert isinstance(first, Decoded)
        np.testing.assert_array_equal(first.image, second.image)
