"""Decoding: formats, colours, orientation, limits, and what damaged files do."""

import io
import struct
import time
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
from transforms.decode import Decoded, DecodeLimits, DecodePhotos, decode
from transforms.reasons import PhotoError, RejectReason

WIDTH, HEIGHT = 64, 48


def picture() -> np.ndarray:
    """A smooth picture of many colours, no two sides alike."""
    rng = np.random.default_rng(1)
    coarse = rng.integers(40, 216, (4, 5, 3)).astype(np.uint8)
    return cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)


RGB = picture()
ALPHA = np.tile(np.arange(WIDTH, dtype=np.uint8) * 4, (HEIGHT, 1))


def rgba() -> Image.Image:
    image = Image.fromarray(RGB)
    image.putalpha(Image.fromarray(ALPHA))
    return image


def save(image: Image.Image, image_format: str, **options) -> bytes:
    stream = io.BytesIO()
    image.save(stream, image_format, **options)
    return stream.getvalue()


def files() -> dict[str, bytes]:
    image = Image.fromarray(RGB)
    return {
        "jpeg": save(image, "JPEG", quality=95, subsampling=0),
        "jpeg-progressive": save(image, "JPEG", quality=95, subsampling=0, progressive=True),
        "jpeg-restarts": save(image, "JPEG", quality=95, subsampling=0, restart_marker_blocks=4),
        "jpeg-cmyk": save(image.convert("CMYK"), "JPEG", quality=95, subsampling=0),
        "png": save(image, "PNG"),
        "png-rgba": save(rgba(), "PNG"),
        "webp": save(image, "WEBP", lossless=True),
        "webp-lossy": save(image, "WEBP", quality=95),
        "tiff": save(image, "TIFF"),
        "tiff-lzw": save(image, "TIFF", compression="tiff_lzw"),
        "bmp": save(image, "BMP"),
        "gif": save(image, "GIF"),
    }


FILES = files()
SLACK = {"jpeg-progressive": 9, "jpeg-restarts": 9, "jpeg": 9, "jpeg-cmyk": 12, "webp-lossy": 30, "gif": 60}


def reason_of(content: bytes, **options) -> RejectReason:
    with pytest.raises(PhotoError) as caught:
        decode(content, **options)
    return caught.value.reason


def difference(a: np.ndarray, b: np.ndarray) -> int:
    assert a.shape == b.shape
    return int(np.abs(a.astype(int) - b.astype(int)).max())


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


def test_alpha_is_turned_with_the_picture():
    exif = Image.Exif()
    exif[274] = 6
    decoded = decode(save(rgba(), "PNG", exif=exif))
    np.testing.assert_array_equal(decoded.alpha, ALPHA.T[:, ::-1])


@pytest.mark.parametrize("exif", [b"Exif\0\0", b"Exif\0\0garbage", b"Exif\0\0MM\0*\0\0\xff\xff", b"\xff" * 40])
def test_broken_exif_does_not_cost_the_picture(exif):
    assert decode(save(Image.fromarray(RGB), "JPEG", exif=exif)).width == WIDTH


# --- colour ---

_D50 = np.array([0.9642, 1.0, 0.8249])
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
_SRGB_XY = ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06))
_P3_XY = ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060))
_ADOBE_XY = ((0.64, 0.33), (0.21, 0.71), (0.15, 0.06))
_ADOBE_GAMMA = 563 / 256


def to_xyz_d50(primaries) -> np.ndarray:
    """The matrix from linear RGB with a D65 white to XYZ adapted to D50."""
    columns = np.array([[x / y, 1, (1 - x - y) / y] for x, y in primaries]).T
    white = np.array([0.3127 / 0.3290, 1, (1 - 0.3127 - 0.3290) / 0.3290])
    adapt = np.linalg.inv(_BRADFORD) @ np.diag((_BRADFORD @ _D50) / (_BRADFORD @ white)) @ _BRADFORD
    return adapt @ columns * np.linalg.solve(columns, white)


def srgb_decode(value):
    value = np.asarray(value, float)
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def srgb_encode(value):
    value = np.clip(value, 0, 1)
    return np.where(value <= 0.0031308, value * 12.92, 1.055 * value ** (1 / 2.4) - 0.055)


def icc_profile(space: bytes, tags: dict[bytes, bytes], pcs: bytes = b"XYZ ", kind: bytes = b"mntr") -> bytes:
    """Puts together a version 2 profile (ICC.1:2001-04, sections 6.1 and 6.2)."""
    tags = {b"desc": b"desc\0\0\0\0" + struct.pack(">I", 5) + b"test\0" + bytes(78), b"wtpt": xyz_tag(_D50), **tags}
    table, body = struct.pack(">I", len(tags)), b""
    start = 128 + 4 + 12 * len(tags)
    for name, data in tags.items():
        table += name + struct.pack(">II", start + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    header = bytearray(128)
    struct.pack_into(">I4sI4s4s4s", header, 0, start + len(body), b"test", 0x02400000, kind, space, pcs)
    header[36:40] = b"acsp"
    struct.pack_into(">III", header, 68, *(round(v * 65536) for v in _D50))
    return bytes(header) + table + body


def xyz_tag(values) -> bytes:
    return b"XYZ \0\0\0\0" + struct.pack(">iii", *(round(v * 65536) for v in values))


def gamma_tag(gamma: float) -> bytes:
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)) + b"\0\0"


def srgb_curve_tag() -> bytes:
    table = np.round(srgb_decode(np.linspace(0, 1, 1024)) * 65535).astype(">u2")
    return b"curv\0\0\0\0" + struct.pack(">I", 1024) + table.tobytes()


def rgb_profile(primaries, curve: bytes) -> bytes:
    matrix = to_xyz_d50(primaries)
    tags = {name + b"XYZ": xyz_tag(matrix[:, i]) for i, name in enumerate((b"r", b"g", b"b"))}
    return icc_profile(b"RGB ", tags | {name + b"TRC": curve for name in (b"r", b"g", b"b")})


P3 = rgb_profile(_P3_XY, srgb_curve_tag())
ADOBE = rgb_profile(_ADOBE_XY, gamma_tag(_ADOBE_GAMMA))
SRGB = rgb_profile(_SRGB_XY, srgb_curve_tag())
LINEAR_GREY = icc_profile(b"GRAY", {b"kTRC": gamma_tag(1.0)})

# Lab of paper and inks of an imaginary press; overprints are black enough for the test.
_INKS = {
    (1, 0, 0, 0): (55, -37, -50),
    (0, 1, 0, 0): (48, 74, -3),
    (0, 0, 1, 0): (89, -5, 93),
    (0, 0, 0, 0): (100, 0, 0),
}


def cmyk_profile() -> bytes:
    """A profile of a press by a table of 2 x 2 x 2 x 2 colours (ICC.1:2001-04, lut8Type)."""
    nodes = []
    for node in np.ndindex(2, 2, 2, 2):
        lightness, a, b = _INKS.get(node, (0, 0, 0))
        nodes += [round(lightness * 2.55), a + 128, b + 128]
    identity = bytes(range(256))
    matrix = struct.pack(">9i", *(65536 if i % 4 == 0 else 0 for i in range(9)))
    lut = b"mft1\0\0\0\0" + bytes((4, 3, 2, 0)) + matrix + identity * 4 + bytes(nodes) + identity * 3
    return icc_profile(b"CMYK", {b"A2B0": lut}, pcs=b"Lab ", kind=b"prtr")


def lab_to_srgb(lab) -> np.ndarray:
    y = (lab[0] + 16) / 116
    f = np.array([y + lab[1] / 500, y, y - lab[2] / 200])
    xyz = np.where(f > 6 / 29, f**3, 3 * (6 / 29) ** 2 * (f - 4 / 29)) * _D50
    return srgb_encode(np.linalg.solve(to_xyz_d50(_SRGB_XY), xyz)) * 255


def expected_srgb(values: np.ndarray, primaries, to_linear) -> np.ndarray:
    linear = to_linear(values / 255.0) @ (np.linalg.inv(to_xyz_d50(_SRGB_XY)) @ to_xyz_d50(primaries)).T
    return srgb_encode(linear) * 255


@pytest.mark.parametrize("image_format", ["PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize(
    ("profile", "primaries", "to_linear"),
    [(P3, _P3_XY, srgb_decode), (ADOBE, _ADOBE_XY, lambda v: v**_ADOBE_GAMMA)],
    ids=["display-p3", "adobe-rgb"],
)
def test_wide_gamut_profiles(image_format, profile, primaries, to_linear):
    options = {"lossless": True} if image_format == "WEBP" else {}
    decoded = decode(save(Image.fromarray(RGB), image_format, icc_profile=profile, **options))
    expected = expected_srgb(RGB, primaries, to_linear)
    inside = ((expected > 8) & (expected < 247)).all(axis=2)  # the rest lies outside sRGB, or near its rim
    assert inside.mean() > 0.8
    assert np.abs(decoded.image[inside] - expected[inside]).max() <= 2
    assert np.abs(expected[inside] - RGB[inside]).mean() > 2  # it does matter


@pytest.mark.parametrize("wanted", [None, 32, 16])
def test_wide_gamut_jpeg(wanted):
    image = Image.new("RGB", (WIDTH, HEIGHT), (190, 90, 60))
    decoded = decode(save(image, "JPEG", quality=95, icc_profile=P3), wanted=wanted)
    expected = expected_srgb(np.array([[[190, 90, 60]]]), _P3_XY, srgb_decode)
    assert np.abs(decoded.image - expected).max() <= 3
    assert max(decoded.image.shape) == (wanted or WIDTH)


def test_white_and_black_stay_themselves():
    for profile in (P3, ADOBE):
        pixels = np.zeros((16, 16, 3), np.uint8)
        pixels[8:] = 255
        np.testing.assert_array_equal(decode(save(Image.fromarray(pixels), "PNG", icc_profile=profile)).image, pixels)


def test_an_srgb_profile_changes_nothing():
    plain, tagged = FILES["jpeg"], save(Image.fromarray(RGB), "JPEG", quality=95, subsampling=0, icc_profile=SRGB)
    np.testing.assert_array_equal(decode(plain).image, decode(tagged).image)


def test_grey_profile():
    ramp = np.tile(np.linspace(0, 255, WIDTH).astype(np.uint8), (HEIGHT, 1))
    for image_format in ("PNG", "JPEG", "TIFF"):
        decoded = decode(save(Image.fromarray(ramp), image_format, icc_profile=LINEAR_GREY))
        expected = srgb_encode(ramp / 255) * 255
        bright = ramp > 20  # linear light has few steps in the dark
        assert np.abs(decoded.image[:, :, 1] - expected)[bright].max() <= (6 if image_format == "JPEG" else 2)


def test_a_grey_picture_with_an_rgb_profile():
    grey = Image.fromarray(RGB).convert("L")
    decoded = decode(save(grey, "PNG", icc_profile=ADOBE))
    expected = srgb_encode((np.asarray(grey) / 255.0) ** _ADOBE_GAMMA) * 255
    assert np.abs(decoded.image[:, :, 1] - expected).max() <= 2


@pytest.mark.parametrize("image_format", ["JPEG", "TIFF"])
def test_cmyk_with_profile(image_format):
    for ink, lab in _INKS.items():
        image = Image.new("CMYK", (WIDTH, HEIGHT), tuple(255 * v for v in ink))
        decoded = decode(save(image, image_format, icc_profile=cmyk_profile()))
        assert np.abs(decoded.image[8, 8] - lab_to_srgb(lab)).max() <= 4, ink


def test_cmyk_without_profile():
    image = Image.new("CMYK", (WIDTH, HEIGHT), (0, 255, 255, 0))
    assert np.abs(decode(save(image, "JPEG")).image[8, 8] - np.array([255, 0, 0])).max() <= 3


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("profile", [b"rubbish", P3[:200], LINEAR_GREY, bytes(400), P3 + bytes(5_000_000)])
def test_unusable_profiles_are_ignored(image_format, profile):
    options = {"JPEG": {"quality": 95, "subsampling": 0}, "WEBP": {"lossless": True}}.get(image_format, {})
    if image_format == "JPEG" and len(profile) > 4_000_000:
        profile = profile[:4_000_000]
    content = save(Image.fromarray(RGB), image_format, icc_profile=profile, **options)
    limits = DecodeLimits(max_profile_bytes=3_000_000)
    assert difference(decode(content, limits=limits).image, RGB) <= (9 if image_format == "JPEG" else 0)


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


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def with_tiff_tags(content: bytes, values: dict[int, int]) -> bytes:
    content = bytearray(content)
    start = struct.unpack_from("<I", content, 4)[0]
    for entry in range(start + 2, start + 2 + 12 * struct.unpack_from("<H", content, start)[0], 12):
        tag = struct.unpack_from("<H", content, entry)[0]
        if tag in values:
            struct.pack_into("<HII", content, entry + 2, 4, 1, values[tag])
    return bytes(content)


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
    content = bombs()[name]
    started = time.process_time()
    assert reason_of(content) == RejectReason.TOO_LARGE
    assert time.process_time() - started < 0.05


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


def test_a_jpeg_of_thousands_of_scans():
    content = FILES["jpeg-progressive"]
    scan = content.rindex(b"\xff\xda")
    assert reason_of(content[:scan] + content[scan:-2] * 500 + content[-2:]) == RejectReason.CORRUPT


# --- files that are no pictures ---


@pytest.mark.parametrize(
    ("content", "reason", "named"),
    [
        (b"", "empty", "0 bytes"),
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
        decode(content)
    assert caught.value.reason == reason
    assert named in caught.value.detail


def test_digital_negatives_are_more_than_their_thumbnail():
    exif = Image.Exif()
    exif[50706] = b"\1\4\0\0"
    assert reason_of(save(Image.fromarray(RGB), "TIFF", tiffinfo=exif)) == RejectReason.UNSUPPORTED_FORMAT


def test_details_do_not_quote_the_file():
    with pytest.raises(PhotoError) as caught:
        decode(b"password=hunter2\n")
    assert "hunter2" not in caught.value.detail


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


def test_a_cut_jpeg_with_a_profile_is_truncated():
    content = save(Image.fromarray(RGB), "JPEG", quality=95, icc_profile=P3)
    assert reason_of(content[:-200] + b"\xff\xd9") == RejectReason.TRUNCATED


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
