import dataclasses
import io

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from pipeline.profiles import load_profile, profile_names
from pipeline.records import Encoded, Photo
from transforms.compliance import REASONS, Check, check_file, check_photo, ground_errors
from transforms.compose import compose
from transforms.encode import encode_packshot
from transforms.profile import Profile
from transforms.quality import Measurements
from transforms.reasons import ReviewReason

SQUARE = Profile("square", 200, 200)
ALWAYS = (Check.FORMAT, Check.SIZE, Check.BYTES, Check.COLOUR, Check.GROUND, Check.FILL)


def product(seed=0, frame=(300, 240)):
    """A textured ellipse with a soft edge, and its matte."""
    alpha = np.zeros(frame, np.uint8)
    cv2.ellipse(alpha, (frame[1] // 2, frame[0] // 2), (70, 110), 20, 0, 360, 255, -1, cv2.LINE_AA)
    alpha = cv2.GaussianBlur(alpha, (0, 0), 1.2)
    texture = cv2.GaussianBlur(np.random.default_rng(seed).integers(0, 256, (*frame, 3), np.uint8), (0, 0), 2)
    return texture, alpha


def packshot(profile, seed=0):
    composition = compose(*product(seed), profile)
    return composition, encode_packshot(composition.image, profile).content


def jpeg(image, **options):
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "JPEG", **{"quality": 95, "subsampling": 0, **options})
    return stream.getvalue()


@pytest.mark.parametrize("name", profile_names())
def test_what_the_job_makes_passes(name):
    profile = load_profile(name)
    profile = dataclasses.replace(profile, min_bytes=None)  # a plain ellipse has no 38 KB in it
    composition, content = packshot(profile)
    findings = check_file(content, profile, composition.alpha, products=1, cut=False)
    assert findings.failed == ()
    assert all(findings.passed[check] for check in Check)
    assert findings.ground_error == 0
    assert findings.fill == pytest.approx(profile.fill, abs=0.01)


@settings(deadline=None, max_examples=40)
@given(
    background=st.tuples(*[st.integers(0, 255)] * 3),
    grey=st.booleans(),
    quality=st.integers(76, 100),
    chroma=st.sampled_from(["4:4:4", "4:2:0"]),
    form=st.sampled_from(["jpeg", "png"]),
    side=st.integers(90, 260),
    seed=st.integers(0, 9),
)
def test_ground_is_exact_where_the_docstring_says_so(background, grey, quality, chroma, form, side, seed):
    background = background[:1] * 3 if grey else background
    profile = Profile(
        "any", side, side + 30, background=background, quality=quality, min_quality=74, chroma=chroma, format=form
    )
    composition, content = packshot(profile, seed)
    findings = check_file(content, profile, composition.alpha)
    exact = form == "png" or len(set(background)) == 1
    assert findings.ground_error <= (0 if exact else 1)
    assert findings.passed[Check.FILL]


@settings(deadline=None, max_examples=40)
@given(row=st.integers(0, 199), column=st.integers(0, 199), off=st.integers(1, 255))
def test_one_wrong_ground_pixel_is_found(row, column, off):
    composition, _ = packshot(SQUARE)
    image, alpha = composition.image.copy(), composition.alpha
    image[row, column] = 255 - off
    away, near = ground_errors(image, alpha, (255, 255, 255), 1)
    assert (away, near) == ((off, 0) if alpha[row, column] == 0 else (0, 0))
    away, near = ground_errors(image, alpha, (255, 255, 255), 8)
    square = alpha[row // 8 * 8 :, column // 8 * 8 :][:8, :8]
    expected = (0, 0) if alpha[row, column] else (0, off) if square.any() else (off, 0)
    assert (away, near) == expected


@settings(deadline=None, max_examples=30)
@given(height=st.integers(1, 50), width=st.integers(1, 50), block=st.sampled_from([1, 8, 16]), seed=st.integers(0, 999))
def test_ground_errors_are_those_of_every_square_looked_at_by_itself(height, width, block, seed):
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    alpha = np.zeros((height, width), np.uint8)
    alpha[rng.integers(height), rng.integers(width)] = 1
    background = (200, 100, 0)
    away = near = 0
    for row, column in np.argwhere(alpha == 0):
        off = int(np.abs(image[row, column].astype(int) - background).max())
        reach = 1 if block == 16 else 0
        shared = False
        for i in range(max(0, row - reach), min(height, row + reach + 1)):
            for j in range(max(0, column - reach), min(width, column + reach + 1)):
                top, left = i // block * block, j // block * block
                shared |= bool(alpha[top : top + block, left : left + block].any())
        if shared:
            near = max(near, off)
        else:
            away = max(away, off)
    assert ground_errors(image, alpha, background, block) == (away, near)


def broken(check):
    """A file that breaks one rule, with its matte."""
    composition, content = packshot(SQUARE)
    image, alpha = composition.image, composition.alpha
    if check == Check.FORMAT:
        return cv2.imencode(".webp", image)[1].tobytes(), alpha
    if check == Check.SIZE:
        return encode_packshot(np.ascontiguousarray(image[1:]), SQUARE).content, alpha[1:]
    if check == Check.BYTES:
        return content + bytes(60_000), alpha
    if check == Check.COLOUR:
        return jpeg(image), alpha
    if check == Check.GROUND:
        image = image.copy()
        image[:20, :20] = 254
        return encode_packshot(image, SQUARE).content, alpha
    smaller = dataclasses.replace(SQUARE, fill=0.8)
    composition, content = packshot(smaller)
    return content, composition.alpha


@pytest.mark.parametrize("check", ALWAYS)
def test_every_broken_rule_is_found_alone_and_has_its_reason(check):
    content, alpha = broken(check)
    profile = dataclasses.replace(SQUARE, max_bytes=60_000)
    failed = set(check_file(content, profile, alpha, products=1, cut=False).failed)
    # a WebP cannot say that it is sRGB and keep the ground exact
    assert failed - {Check.COLOUR, Check.GROUND} == {check} - {Check.COLOUR, Check.GROUND}
    assert check in failed
    photo = Photo(
        id="a", source_uri="a", encoded=(Encoded("packshot", content, 200, 200, "image/jpeg", "jpg"),),
        packshot_alpha=alpha, measurements=Measurements(blur=0.5),
    )  # fmt: skip
    checked = check_photo(photo, profile)
    assert REASONS[check] in checked.review_reasons
    assert checked.packshot_alpha is None
    assert checked.measurements.blur == 0.5


def test_fill_has_two_per_cent_of_play():
    for side, passes in ((170, True), (167, True), (166, False), (173, True), (174, False)):
        alpha = np.zeros((200, 200), np.uint8)
        alpha[10 : 10 + side, 40:140] = 255
        content = encode_packshot(np.where(alpha[..., None] > 0, 90, 255).astype(np.uint8).repeat(3, 2), SQUARE).content
        assert check_file(content, SQUARE, alpha).passed[Check.FILL] == passes, side


def test_a_cut_product_and_none_are_not_measured_for_fill():
    composition, content = packshot(SQUARE)
    for known in ({"cut": True, "products": 1}, {"cut": False, "products": 0}):
        findings = check_file(content, SQUARE, composition.alpha, **known)
        assert findings.passed[Check.FILL] is None
        assert findings.failed == ((Check.NOT_CUT,) if known["cut"] else (Check.ONE_PRODUCT,))


def test_a_ground_that_was_asked_for_is_not_checked():
    profile = dataclasses.replace(SQUARE, shadow="drop")
    composition, content = packshot(profile)
    findings = check_file(content, profile, composition.alpha)
    assert findings.passed[Check.GROUND] is None
    assert findings.failed == ()


def test_a_file_must_say_that_it_is_srgb():
    composition, _ = packshot(SQUARE)
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    swapped = srgb.replace(b"rXYZ", b"tmp ").replace(b"bXYZ", b"rXYZ").replace(b"tmp ", b"bXYZ")  # red is blue there
    no_rgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("XYZ")).tobytes()
    for profile, passes in ((srgb, True), (swapped, False), (no_rgb, False), (b"broken", False)):
        file = jpeg(composition.image, icc_profile=profile)
        assert check_file(file, SQUARE, composition.alpha).passed[Check.COLOUR] == passes
    grey = jpeg(composition.image[..., 0])
    assert not check_file(grey, SQUARE, composition.alpha).passed[Check.COLOUR]
    untagged = dataclasses.replace(SQUARE, embed_srgb=False)
    assert check_file(jpeg(composition.image), untagged, composition.alpha).passed[Check.COLOUR]


@pytest.mark.parametrize("content", [b"", b"no picture", b"\xff\xd8\xff\xe0" + bytes(40)])
def test_what_is_no_picture_fails_the_format(content):
    findings = check_file(content, SQUARE, np.zeros((200, 200), np.uint8))
    assert findings.failed == (Check.FORMAT,)
    assert findings.passed[Check.GROUND] is None


def test_a_photo_without_a_packshot_is_let_through():
    photo = Photo(id="a", source_uri="a", packshot_alpha=np.zeros((4, 4), np.uint8))
    assert check_photo(photo, SQUARE) == Photo(id="a", source_uri="a")


def test_reasons_found_before_count():
    composition, content = packshot(SQUARE)
    photo = Photo(
        id="a", source_uri="a", encoded=(Encoded("packshot", content, 200, 200, "image/jpeg", "jpg"),),
        packshot_alpha=composition.alpha, review_reasons=(ReviewReason.SEVERAL_PRODUCTS,),
    )  # fmt: skip
    checked = check_photo(photo, SQUARE)
    assert checked.review_reasons == (ReviewReason.SEVERAL_PRODUCTS,)
    assert checked.measurements.ground_error == 0
