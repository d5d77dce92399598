import dataclasses
import io
import itertools

import apache_beam as beam
import cv2
import numpy as np
import pytest
from apache_beam.testing.test_pipeline import TestPipeline
from apache_beam.testing.util import assert_that
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image, ImageCms

from pipeline.records import Encoded, Photo
from transforms.encode import EncodeAssets, encode_cutout, encode_mask, encode_packshot, encode_photo, srgb_icc
from transforms.profile import LOWEST_QUALITY, Profile
from transforms.reasons import ReviewReason
from transforms.source_type import SourceType, source_type_packet

SQUARE = Profile("square", 240, 240)


def decode(content):
    return np.asarray(Image.open(io.BytesIO(content)))


def disc(colour=(200, 10, 30), background=(255, 255, 255), side=240, texture=0):
    """A disc on plain ground, and where it is."""
    y, x = np.mgrid[:side, :side]
    alpha = np.clip(side * 0.4 + 0.5 - np.hypot(x - side / 2, y - side / 2), 0, 1)[..., None]
    product = np.array(colour) + texture * np.random.default_rng(0).standard_normal((side, side, 1))
    image = np.rint(np.clip(product, 0, 255) * alpha + np.array(background) * (1 - alpha)).astype(np.uint8)
    return image, alpha[..., 0] > 0


@pytest.mark.parametrize("chroma", ["4:4:4", "4:2:0"])
@pytest.mark.parametrize("colour", [(200, 10, 30), (20, 20, 160), (10, 10, 10), (250, 250, 245)])
def test_white_ground_decodes_to_white(chroma, colour):
    image, product = disc(colour)
    content = encode_packshot(image, dataclasses.replace(SQUARE, chroma=chroma)).content
    decoded = decode(content)
    block = 8 if chroma == "4:4:4" else 16
    blocks = product.reshape(240 // block, block, 240 // block, block).any(axis=(1, 3))
    untouched = ~blocks.repeat(block, 0).repeat(block, 1)
    assert untouched.mean() > 0.25
    if chroma == "4:2:0":  # chroma is interpolated over the border of a block when it is decoded
        untouched = cv2.erode(untouched.astype(np.uint8), np.ones((5, 5))).astype(bool)
    assert (decoded[untouched] == 255).all()
    if chroma == "4:4:4":
        assert decoded[~product].min() >= 235, "in the blocks of the product's edge the ground stays near white"
    assert (cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)[untouched] == 255).all()


def test_neutral_grounds_are_exact_at_every_quality():
    for value, quality in itertools.product((255, 254, 245, 240, 128, 1, 0), range(LOWEST_QUALITY, 101)):
        profile = dataclasses.replace(SQUARE, width=16, height=16, quality=quality, min_quality=LOWEST_QUALITY)
        flat = np.full((16, 16, 3), value, np.uint8)
        assert (decode(encode_packshot(flat, profile).content) == value).all(), (value, quality)


def test_444_bleeds_less_than_420():
    image, product = disc()
    errors = {
        chroma: np.abs(
            decode(encode_packshot(image, dataclasses.replace(SQUARE, chroma=chroma)).content)[~product].astype(int)
            - 255
        ).mean()
        for chroma in ("4:4:4", "4:2:0")
    }
    assert errors["4:4:4"] < 0.6 * errors["4:2:0"]


def test_first_quality_is_kept_within_the_limits():
    image, _ = disc()
    assert encode_packshot(image, SQUARE).quality == 95
    assert encode_packshot(image, dataclasses.replace(SQUARE, min_bytes=100, max_bytes=10**6)).quality == 95


@pytest.mark.parametrize("max_bytes", [20_000, 25_000, 30_000])
def test_highest_quality_under_a_limit_is_found(max_bytes):
    image, _ = disc(texture=20)
    profile = dataclasses.replace(SQUARE, max_bytes=max_bytes, min_quality=LOWEST_QUALITY)
    packshot = encode_packshot(image, profile)
    assert packshot.meets_limits
    assert len(packshot.content) <= max_bytes
    better = dataclasses.replace(SQUARE, quality=packshot.quality + 1)
    assert len(encode_packshot(image, better).content) > max_bytes


def optimised(image):
    """The packshot with Huffman tables of its own, which only a limit brings forth."""
    plain = encode_packshot(image, SQUARE).content
    return encode_packshot(image, dataclasses.replace(SQUARE, max_bytes=len(plain) - 1))


def test_tables_of_its_own_are_tried_before_a_lower_quality():
    image, _ = disc(texture=20)
    plain = encode_packshot(image, SQUARE)
    limited = optimised(image)
    assert limited.quality == plain.quality and limited.meets_limits
    assert len(limited.content) < 0.97 * len(plain.content)
    assert (decode(limited.content) == decode(plain.content)).all()


def test_lowest_quality_over_a_limit_is_found():
    image, _ = disc(texture=20)
    smallest = len(encode_packshot(image, SQUARE).content)
    packshot = encode_packshot(image, dataclasses.replace(SQUARE, min_bytes=smallest + 1500, max_bytes=10 * smallest))
    assert packshot.meets_limits
    assert 95 < packshot.quality < 100
    assert len(packshot.content) >= smallest + 1500


@pytest.mark.parametrize(
    "limits", [{"max_bytes": 900}, {"min_bytes": 10**6}, {"min_bytes": 36_000, "max_bytes": 36_001}]
)
def test_limits_that_cannot_be_met_are_said(limits):
    image, _ = disc(texture=20)
    packshot = encode_packshot(image, dataclasses.replace(SQUARE, **limits))
    assert not packshot.meets_limits
    assert decode(packshot.content).shape == (240, 240, 3)
    png = encode_packshot(image, dataclasses.replace(SQUARE, format="png", **limits))
    assert not png.meets_limits
    assert png.quality is None


@pytest.mark.parametrize("format", ["jpeg", "png"])
def test_colour_space_marker(format):
    image, _ = disc()
    marked = Image.open(io.BytesIO(encode_packshot(image, dataclasses.replace(SQUARE, format=format)).content))
    plain = dataclasses.replace(SQUARE, format=format, embed_srgb=False)
    unmarked = Image.open(io.BytesIO(encode_packshot(image, plain).content))
    marker = "icc_profile" if format == "jpeg" else "srgb"
    assert marker in marked.info
    assert marker not in unmarked.info
    if format == "png":
        assert (np.asarray(marked) == image).all()


def test_icc_profile_is_small_srgb_and_constant():
    icc = srgb_icc()
    assert len(icc) < 1024
    assert "sRGB" in ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(icc)))
    srgb_icc.cache_clear()
    assert srgb_icc() == icc


@settings(deadline=None, max_examples=30)
@given(alpha=hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, max_side=40)))
def test_mask_round_trip(alpha):
    opened = Image.open(io.BytesIO(encode_mask(alpha)))
    assert opened.mode == "L"
    assert (np.asarray(opened) == alpha).all()


@pytest.mark.parametrize("format", ["png", "webp"])
@settings(deadline=None, max_examples=25)
@given(data=st.data())
def test_cutout_round_trip(format, data):
    height, width = data.draw(st.tuples(st.integers(1, 40), st.integers(1, 40)))
    rgba = data.draw(hnp.arrays(np.uint8, (height, width, 4)))
    foreground, alpha = rgba[..., :3], rgba[..., 3]
    opened = Image.open(io.BytesIO(encode_cutout(foreground, alpha, format)))
    assert opened.format.lower() == format
    decoded = np.asarray(opened.convert("RGBA"))
    assert (decoded[..., 3] == alpha).all()
    assert (decoded[alpha > 0][:, :3] == foreground[alpha > 0]).all()
    assert (decoded[alpha == 0][:, :3] == 255).all(), "nothing of the old ground"


def test_cutout_keeps_alpha_where_all_of_it_is_opaque():
    foreground = np.full((9, 9, 3), 7, np.uint8)
    assert decode(encode_cutout(foreground, np.full((9, 9), 255, np.uint8), "png")).shape == (9, 9, 4)


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match="cut-out format 'gif' is unknown; it has to be one of png, webp"):
        encode_cutout(np.zeros((2, 2, 3), np.uint8), np.zeros((2, 2), np.uint8), "gif")
    with pytest.raises(ValueError, match="cut-out format 'gif' is unknown"):
        EncodeAssets(("mask",), SQUARE, "gif", Encoded)
    with pytest.raises(ValueError, match="output 'thumb' is unknown; outputs are packshot, mask, cutout"):
        EncodeAssets(("thumb",), SQUARE, "png", Encoded)


def photo(width=60, height=80, scale=1):
    alpha = np.zeros((height, width), np.uint8)
    cv2.circle(alpha, (width // 2, height // 2), 20, 255, -1, cv2.LINE_AA)
    alpha = cv2.resize(alpha, (width // scale, height // scale), interpolation=cv2.INTER_AREA)
    foreground = np.full((*alpha.shape, 3), (10, 120, 240), np.uint8)
    foreground[alpha == 0] = 99
    return Photo(
        "a", "a.jpg", width=width, height=height, foreground=foreground, alpha=alpha, packshot=disc(texture=20)[0]
    )


def encoded(record, outputs, cutout_format="png", profile=SQUARE):
    done = encode_photo(record, outputs, profile, cutout_format, Encoded)
    return done, {asset.kind: asset for asset in done.encoded}


def test_assets_come_in_a_fixed_order():
    done, assets = encoded(photo(), ("cutout", "mask", "packshot"))
    assert list(assets) == ["packshot", "mask", "cutout"]
    assert done.packshot is None
    assert [(a.width, a.height) for a in assets.values()] == [(240, 240), (60, 80), (60, 80)]
    assert [a.media_type for a in assets.values()] == ["image/jpeg", "image/png", "image/png"]
    assert [a.extension for a in assets.values()] == ["jpg", "png", "png"]
    for asset in assets.values():
        assert decode(asset.content).shape[:2] == (asset.height, asset.width)


def test_only_what_is_wanted_is_encoded():
    assert list(encoded(photo(), ("mask",))[1]) == ["mask"]
    assert encoded(photo().replace(packshot=None), ())[0].encoded == ()


@pytest.mark.parametrize("outputs", [("mask",), ("mask", "cutout")])
def test_reduced_decode_is_enlarged_to_the_source_frame(outputs):
    _, assets = encoded(photo(scale=2), outputs, "webp")
    mask = decode(assets["mask"].content)
    assert mask.shape == (80, 60)
    assert np.abs(mask.astype(int) - photo().alpha).mean() < 4
    if "cutout" in outputs:
        rgba = np.asarray(Image.open(io.BytesIO(assets["cutout"].content)).convert("RGBA")).astype(int)
        assert (rgba[..., 3] == mask).all()
        assert (np.abs(rgba[mask > 8][:, :3] - (10, 120, 240)) <= 1).all(), "no fringe of the old ground"


def test_missed_byte_limit_is_flagged():
    done, _ = encoded(photo(), ("packshot",), profile=dataclasses.replace(SQUARE, max_bytes=500))
    assert done.review_reasons == (ReviewReason.BYTE_LIMIT,)


def test_label_counts_towards_the_byte_limits():
    image, _ = disc(texture=20)
    packet = source_type_packet(SourceType.ALGORITHMICALLY_ENHANCED)
    profile = dataclasses.replace(SQUARE, max_bytes=len(optimised(image).content))
    labelled = encode_packshot(image, profile, packet)
    assert labelled.meets_limits and labelled.quality < SQUARE.quality
    assert packet in labelled.content


@pytest.mark.parametrize("format", ["jpeg", "png"])
@pytest.mark.parametrize("cutout_format", ["png", "webp"])
def test_labels_change_no_pixel(format, cutout_format):
    image, product = disc()
    alpha, profile = product.astype(np.uint8) * 255, dataclasses.replace(SQUARE, format=format)
    packet = source_type_packet(SourceType.TRAINED_ALGORITHMIC_MEDIA)
    for encode in (
        lambda xmp: encode_packshot(image, profile, xmp).content,
        lambda xmp: encode_mask(alpha, xmp),
        lambda xmp: encode_cutout(image, alpha, cutout_format, xmp),
    ):
        plain, labelled = encode(b""), encode(packet)
        assert 0 < len(labelled) - len(plain) < 600 and packet in labelled and packet not in plain
        assert (decode(plain) == decode(labelled)).all()


@pytest.mark.parametrize("cutout_format", ["png", "webp"])
def test_repeated_encoding_gives_the_same_bytes(cutout_format):
    outputs = ("packshot", "mask", "cutout")
    first, second = (encoded(photo(), outputs, cutout_format)[0].encoded for _ in range(2))
    assert first == second


def test_transform_encodes_photos():
    def check(photos):
        assert [[asset.kind for asset in p.encoded] for p in photos] == [["packshot", "mask"]]
        assert "encode" in photos[0].milliseconds

    with TestPipeline("FnApiRunner") as pipeline:
        done, _ = pipeline | beam.Create([photo()]) | EncodeAssets(("packshot", "mask"), SQUARE, "png", Encoded)
        assert_that(done, check)
