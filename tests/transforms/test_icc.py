"""Colour profiles: what a file's numbers mean, and what broken profiles do."""

import struct

import numpy as np
import pytest
from PIL import Image

from tests.transforms.picture_files import FILES, HEIGHT, RGB, WIDTH, difference, heic, needs_heif, save
from transforms.decode import DecodeLimits, decode
from transforms.reasons import PhotoError, RejectReason

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


def test_a_cut_jpeg_with_a_profile_is_truncated():
    content = save(Image.fromarray(RGB), "JPEG", quality=95, icc_profile=P3)
    with pytest.raises(PhotoError) as caught:
        decode(content[:-200] + b"\xff\xd9")
    assert caught.value.reason == RejectReason.TRUNCATED


@needs_heif
def test_wide_gamut_heic():
    image = Image.new("RGB", (WIDTH, HEIGHT), (190, 90, 60))
    image.info["icc_profile"] = P3
    expected = expected_srgb(np.array([[[190, 90, 60]]]), _P3_XY, srgb_decode)
    assert np.abs(decode(heic(image)).image - expected).max() <= 8


def test_wide_gamut_avif():
    content = save(Image.new("RGB", (WIDTH, HEIGHT), (190, 90, 60)), "AVIF", quality=100, icc_profile=P3)
    expected = expected_srgb(np.array([[[190, 90, 60]]]), _P3_XY, srgb_decode)
    assert np.abs(decode(content).image - expected).max() <= 5
