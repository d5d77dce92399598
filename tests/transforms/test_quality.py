import dataclasses

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.records import Photo
from transforms.quality import (
    Measurements,
    QualityThresholds,
    judge,
    judge_photo,
    measure_blur,
    measure_exposure,
    measure_parts,
)
from transforms.reasons import ReviewReason


def garment(size=(400, 300), colour=(40, 60, 140), ground=(200, 198, 195), noise=1.5, seed=0):
    """A textured ellipse on a plain ground, and its matte."""
    draw = np.random.default_rng(seed)
    alpha = np.zeros(size, np.uint8)
    cv2.ellipse(alpha, (size[1] // 2, size[0] // 2), (size[1] // 3, size[0] // 3), 0, 0, 360, 255, -1, cv2.LINE_AA)
    image = np.where(alpha[..., None] > 127, np.array(colour, float), np.array(ground, float))
    checks = (np.indices(size) // 23).sum(axis=0) % 2 * 25
    image = image + np.where(alpha > 127, checks, 0)[..., None] + draw.normal(0, noise, (*size, 3))
    return np.clip(image, 0, 255).astype(np.uint8), alpha


def photo(image, alpha, **changes):
    return Photo(id="a", source_uri="a", image=image, alpha=alpha, **changes)


@pytest.mark.parametrize("sigma", [1.5, 2.0, 3.0])
def test_blur_is_measured_in_pixels(sigma):
    image, alpha = garment()
    assert measure_blur(image, alpha) < 0.8
    assert measure_blur(cv2.GaussianBlur(image, (0, 0), sigma), alpha) == pytest.approx(sigma, rel=0.2)


def test_a_shaken_camera_blurs_one_direction():
    image, alpha = garment()
    for kernel in (np.full((1, 9), 1 / 9, np.float32), np.full((9, 1), 1 / 9, np.float32)):
        assert measure_blur(cv2.filter2D(image, -1, kernel), alpha) > QualityThresholds.blur


def test_noise_does_not_hide_blur():
    image, alpha = garment()
    soft = cv2.GaussianBlur(image, (0, 0), 2.5)
    noisy = np.clip(soft + np.random.default_rng(1).normal(0, 5, soft.shape), 0, 255).astype(np.uint8)
    assert measure_blur(noisy, alpha) > QualityThresholds.blur


def test_a_large_photo_may_be_softer_by_as_much_as_it_is_larger():
    image, alpha = garment()
    soft, wide = cv2.GaussianBlur(image, (0, 0), 3), (1200, 1600)
    large = cv2.resize(soft, wide, interpolation=cv2.INTER_CUBIC)
    small = cv2.resize(image, wide, interpolation=cv2.INTER_CUBIC)
    large_alpha = cv2.resize(alpha, wide)
    assert measure_blur(large, large_alpha) > QualityThresholds.blur > measure_blur(small, large_alpha)


def test_blur_of_nothing_and_of_a_plain_patch_is_unknown():
    image = np.full((100, 100, 3), 128, np.uint8)
    assert measure_blur(image, np.zeros((100, 100), np.uint8)) is None
    assert measure_blur(image, np.full((100, 100), 255, np.uint8)) is None


@settings(deadline=None, max_examples=25)
@given(
    height=st.integers(8, 90),
    width=st.integers(8, 90),
    seed=st.integers(0, 99),
    level=st.sampled_from([0, 127, 128, 255]),
)
def test_any_picture_can_be_measured(height, width, seed, level):
    draw = np.random.default_rng(seed)
    image = draw.integers(0, 256, (height, width, 3), np.uint8)
    alpha = np.where(draw.random((height, width)) < 0.5, np.uint8(level), np.uint8(0))
    judged = judge_photo(photo(image, alpha))
    measured = dataclasses.asdict(judged.measurements)
    assert all(value is None or np.isfinite(value) for value in measured.values())
    for share in ("clipped", "burnt", "crushed", "luminance", "highlight", "white_ground"):
        assert measured[share] is None or 0 <= measured[share] <= 1
    assert (measured["parts"] == 0) == (level < 128 or not alpha.any())


def test_exposure_is_measured_in_linear_light():
    image, alpha = garment(colour=(0, 0, 0), ground=(188, 188, 188), noise=0)
    image[alpha > 127] = 188
    measured = measure_exposure(image, alpha)
    assert measured.luminance == pytest.approx(0.503, abs=0.002)  # sRGB 188 is half the light
    assert measured.highlight == pytest.approx(0.503, abs=0.002)
    assert measured.burnt == measured.crushed == 0


def test_burnt_and_crushed_products_are_told():
    image, alpha = garment()
    upper = (alpha > 127) & (np.arange(alpha.shape[0]) < alpha.shape[0] // 2)[:, None]
    burnt, crushed = image.copy(), image.copy()
    burnt[upper], crushed[upper] = 255, 0
    assert measure_exposure(burnt, alpha).burnt == pytest.approx(0.5, abs=0.05)
    red = image.copy()
    red[upper, 0] = 255
    assert measure_exposure(red, alpha).burnt == 0
    assert measure_exposure(red, alpha).clipped == pytest.approx(0.5, abs=0.05)
    assert measure_exposure(crushed, alpha).crushed == pytest.approx(0.5, abs=0.05)
    assert judge_photo(photo(burnt, alpha)).review_reasons == (ReviewReason.OVER_EXPOSED,)
    assert judge_photo(photo(crushed, alpha)).review_reasons == ()


def test_a_product_on_a_white_studio_ground_is_not_called_burnt():
    image, alpha = garment(ground=(255, 255, 255), noise=0)
    image[150:220, 100:200] = 255  # a white label, or ground seen through a sleeve
    judged = judge_photo(photo(image, alpha))
    assert judged.measurements.burnt > QualityThresholds.burnt
    assert judged.measurements.white_ground == 1
    assert judged.review_reasons == ()


def test_a_dark_photo_is_told_from_a_dark_product():
    black, alpha = garment(colour=(12, 12, 12))
    dark = (garment()[0] * 0.35).astype(np.uint8)
    assert judge_photo(photo(black, alpha)).review_reasons == ()
    assert judge_photo(photo(dark, alpha)).review_reasons == (ReviewReason.UNDER_EXPOSED,)
    # a cut-out file shows nothing but the product: how bright the scene was cannot be told
    cut_out = judge_photo(photo(dark, alpha, source_alpha=alpha))
    assert cut_out.review_reasons == ()
    assert cut_out.measurements.highlight is None


def discs(colours, radius=40):
    image = np.full((120, 110 * len(colours), 3), 210, np.uint8)
    alpha = np.zeros(image.shape[:2], np.uint8)
    for number, colour in enumerate(colours):
        centre = (55 + 110 * number, 60)
        cv2.circle(image, centre, radius, colour, -1)
        cv2.circle(alpha, centre, radius, 255, -1)
    return image, alpha


@pytest.mark.parametrize(
    ("colours", "several"),
    [
        ([(120, 30, 30)], False),
        ([(120, 30, 30), (126, 33, 30)], False),
        ([(120, 30, 30), (30, 40, 120)], True),
        ([(120, 30, 30)] * 3, True),
    ],
    ids=["one", "a pair", "two that differ", "three"],
)
def test_a_pair_is_one_product(colours, several):
    image, alpha = discs(colours)
    judged = judge_photo(photo(image, alpha))
    assert judged.measurements.parts == len(colours)
    assert (ReviewReason.SEVERAL_PRODUCTS in judged.review_reasons) == several


def test_small_parts_do_not_count():
    image, alpha = discs([(120, 30, 30), (30, 40, 120)])
    cv2.rectangle(alpha, (110, 0), (220, 120), 0, -1)
    cv2.circle(alpha, (165, 60), 15, 255, -1)  # a button beside the garment
    assert measure_parts(image, alpha) == (1, 0.0)


def test_what_was_not_measured_is_no_reason():
    assert judge(Measurements()) == ()


def test_an_empty_photo_is_flagged_for_nothing_more():
    image = np.zeros((60, 60, 3), np.uint8)
    empty = photo(image, np.zeros((60, 60), np.uint8), review_reasons=(ReviewReason.NO_PRODUCT,))
    judged = judge_photo(empty)
    assert judged.review_reasons == (ReviewReason.NO_PRODUCT,)
    assert judged.measurements.blur is None


def test_other_thresholds_flag_otherwise():
    image, alpha = garment()
    strict = QualityThresholds(blur=0.01)
    assert judge_photo(photo(image, alpha), strict).review_reasons == (ReviewReason.TOO_BLURRED,)
    with pytest.raises(ValueError, match=r"blur=-1 has to be above 0"):
        QualityThresholds(blur=-1)
