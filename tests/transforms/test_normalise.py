"""Tests of transforms/normalise.py, on generated pictures under known light."""

import pickle

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.records import Photo
from transforms import normalise
from transforms.colour import LUMINANCE, decode_srgb8, linear_to_srgb
from transforms.normalise import Abstention, Method, NormaliseLimits

TOLD = NormaliseLimits.for_neutral_paint()


def take_photo(light=(1, 1, 1), ground=(190, 190, 190), product=(60, 90, 150), shadow=True, seed=0):
    """A product on a sheet: image and alpha; light multiplies in linear light."""
    rng = np.random.default_rng(seed)
    alpha = np.zeros((300, 240), np.uint8)
    cv2.ellipse(alpha, (120, 160), (60, 80), 0, 0, 360, 255, -1)
    image = np.where(alpha[..., None] > 0, product, ground).astype(np.uint8)
    linear = decode_srgb8(image)
    if shadow:
        cast = np.roll(cv2.GaussianBlur(alpha, (0, 0), 8), 12, 1)[..., None] / 255 * (alpha == 0)[..., None]
        linear = linear * (1 - cast * np.array([0.6, 0.5, 0.4]))
    noisy = linear_to_srgb(linear * np.array(light)) * 255 + rng.normal(0, 2, image.shape)
    return np.clip(np.round(noisy), 0, 255).astype(np.uint8), alpha


def reproduction_error(light, gains):
    white = np.array(light) * np.array(gains)
    return np.degrees(np.arccos(min(1.0, white.sum() / np.sqrt(3) / np.linalg.norm(white))))


@settings(deadline=None, max_examples=30)
@given(st.floats(-0.22, 0.22), st.floats(-0.03, 0.03), st.integers(0, 99))
def test_a_cast_on_a_grey_backdrop_is_found(warmth, greenness, seed):
    light = np.exp([warmth / 2 - greenness / 3, 2 * greenness / 3, -warmth / 2 - greenness / 3])
    image, alpha = take_photo(light / light.max(), seed=seed)
    found = normalise.estimate_gains(image, alpha, TOLD)
    assert found.method is Method.BACKDROP
    assert found.abstention is None
    assert reproduction_error(light, found.gains) < 0.5


def test_a_blue_cast_on_all_of_the_frame_is_believed_without_being_told():
    image, alpha = take_photo((0.85, 1, 1.12), product=(150, 150, 152))
    found = normalise.estimate_gains(image, alpha)
    assert found.method is Method.BACKDROP
    assert reproduction_error((0.85, 1, 1.12), found.gains) < 0.5


def test_a_tint_that_paint_may_have_made_is_left_alone_until_told():
    image, alpha = take_photo((1.08, 1, 0.9), product=(40, 60, 190))
    assert normalise.estimate_gains(image, alpha).abstention is Abstention.DOUBTFUL_BACKDROP
    assert normalise.estimate_gains(image, alpha, TOLD).method is Method.BACKDROP


def test_a_slight_tint_is_undone_whatever_made_it_and_moves_the_product_by_less_than_1():
    image, alpha = take_photo((1.02, 1, 0.98), product=(40, 60, 190))
    found = normalise.estimate_gains(image, alpha)
    assert found.method is Method.BACKDROP
    assert normalise.mean_colour_shift(image, normalise.apply_gains(image, found.gains), alpha) < 1


def test_gains_keep_the_backdrops_luminance():
    image, alpha = take_photo((1, 0.93, 0.86))
    found = normalise.estimate_gains(image, alpha, TOLD)
    before = np.array(found.backdrop)
    assert found.exposure == 1
    assert before @ LUMINANCE == pytest.approx((before * found.gains) @ LUMINANCE, rel=1e-3)


def test_the_product_comes_nearer_to_the_truth():
    truth, alpha = take_photo()
    image, _ = take_photo((1, 0.92, 0.84))
    found = normalise.estimate_gains(image, alpha, TOLD)
    corrected = normalise.apply_gains(image, found.gains)
    before = normalise.mean_colour_shift(truth, image, alpha)
    assert normalise.mean_colour_shift(truth, corrected, alpha) < 0.6 * before


@pytest.mark.parametrize(
    "sheet",
    [
        (200, 40, 40),
        (210, 60, 170),
        (40, 70, 160),
        (60, 140, 80),
        (170, 120, 70),
        (200, 170, 120),
        (225, 190, 205),
    ],
)
@pytest.mark.parametrize("warmth", [-0.2, 0.0, 0.2])
def test_a_coloured_sheet_never_recolours(sheet, warmth):
    image, alpha = take_photo((np.exp(warmth / 2) * 0.9, 0.9, np.exp(-warmth / 2) * 0.9), ground=sheet)
    found = normalise.estimate_gains(image, alpha)
    assert found.method is Method.NONE
    assert found.gains == (1, 1, 1)
    assert found.abstention in (Abstention.COLOURED_BACKDROP, Abstention.DARK_BACKDROP)


def test_a_white_garment_betrays_a_cream_sheet():
    image, alpha = take_photo(ground=(222, 210, 200), product=(235, 235, 235))
    assert normalise.estimate_gains(image, alpha).abstention is Abstention.DOUBTFUL_BACKDROP


def test_a_pattern_is_no_backdrop():
    image, alpha = take_photo()
    stripes = (np.arange(300) // 10 % 2 == 0)[:, None] & (alpha == 0)
    image[stripes] = (230, 90, 60)
    found = normalise.estimate_gains(image, alpha)
    assert found.abstention in (Abstention.UNEVEN_BACKDROP, Abstention.COLOURED_BACKDROP)


def test_dark_and_missing_backdrops_and_products_are_named():
    image, alpha = take_photo(ground=(60, 60, 60))
    assert normalise.estimate_gains(image, alpha).abstention is Abstention.DARK_BACKDROP
    assert normalise.estimate_gains(image, np.zeros_like(alpha)).abstention is Abstention.NO_PRODUCT
    assert normalise.estimate_gains(image, np.full_like(alpha, 255)).abstention is Abstention.LITTLE_BACKDROP
    burnt, alpha = take_photo(ground=(255, 255, 255), shadow=False)
    burnt[alpha == 0] = 255
    assert normalise.estimate_gains(burnt, alpha).abstention is Abstention.LITTLE_BACKDROP


def test_a_white_garment_does_not_clip():
    image, alpha = take_photo((1, 0.95, 0.9), ground=(215, 215, 215), product=(252, 252, 252))
    found = normalise.estimate_gains(image, alpha, TOLD)
    corrected = normalise.apply_gains(image, found.gains)
    burnt = (corrected[alpha == 255].max(axis=-1) >= 254).mean()
    assert burnt <= (image[alpha == 255].max(axis=-1) >= 254).mean() + 0.01


def test_a_dim_photo_is_lifted_within_bounds():
    image, alpha = take_photo((0.5, 0.48, 0.46))
    found = normalise.estimate_gains(image, alpha, TOLD)
    assert 1 < found.exposure <= normalise.NormaliseLimits().most_lift
    assert max(found.gains) <= normalise.NormaliseLimits().gain_high


def test_gains_of_one_leave_the_image_alone():
    image, _ = take_photo()
    assert normalise.apply_gains(image, (1.0, 1.0, 1.0)) is image


@settings(deadline=None, max_examples=30)
@given(st.floats(0.7, 1.4), st.floats(0.7, 1.4), st.floats(0.7, 1.4))
def test_gains_multiply_linear_light(red, green, blue):
    image = np.random.default_rng(0).integers(0, 256, (9, 7, 3), dtype=np.uint8)
    gained = normalise.apply_gains(image, (red, green, blue))
    wanted = linear_to_srgb(decode_srgb8(image) * np.array([red, green, blue])) * 255
    assert np.abs(gained - wanted).max() <= 0.5 + 1e-6


def test_the_shift_is_weighted_by_alpha():
    before = np.full((10, 10, 3), 128, np.uint8)
    after = before.copy()
    after[:, 5:] = (140, 128, 120)
    alpha = np.zeros((10, 10), np.uint8)
    assert normalise.mean_colour_shift(before, after, alpha) == 0
    alpha[:, :5] = 255
    assert normalise.mean_colour_shift(before, after, alpha) == 0
    alpha[:, 5:] = 255
    half = normalise.mean_colour_shift(before, after, alpha)
    alpha[:, :5] = 0
    assert half == pytest.approx(normalise.mean_colour_shift(before, after, alpha) / 2)


def test_the_photo_records_what_was_done():
    image, alpha = take_photo((1, 0.93, 0.86))
    photo = Photo(id="a", source_uri="a.jpg", width=240, height=300, image=image, foreground=image, alpha=alpha)
    done = normalise.normalise_photo(photo, TOLD)
    assert done.background_gain == normalise.estimate_gains(image, alpha, TOLD).gains
    assert (done.colour_method, done.colour_abstention) == ("backdrop", None)
    assert done.background_gain[2] > 1 > done.background_gain[0]
    assert 0.5 < done.colour_shift < 10
    assert (done.foreground != image).any()

    red, alpha = take_photo(ground=(200, 40, 40))
    left = normalise.normalise_photo(photo.replace(image=red, foreground=red, alpha=alpha))
    assert left.background_gain == (1.0, 1.0, 1.0)
    assert (left.colour_method, left.colour_abstention) == ("none", "coloured_backdrop")
    assert left.colour_shift == 0
    assert left.foreground is red


def test_what_lies_under_the_files_own_alpha_is_no_backdrop():
    image, alpha = take_photo((1, 0.93, 0.86))
    photo = Photo(id="a", source_uri="a.png", image=image, foreground=image, alpha=alpha, source_alpha=alpha)
    left = normalise.normalise_photo(photo)
    assert left.background_gain == (1.0, 1.0, 1.0)
    assert left.colour_abstention == "cut_out"


def test_limits_are_checked():
    with pytest.raises(ValueError, match="most_lift=-1"):
        normalise.NormaliseLimits(most_lift=-1)
    with pytest.raises(ValueError, match="have to include 1"):
        normalise.NormaliseLimits(gain_low=1.1)


def test_the_stage_travels_to_workers():
    stage = pickle.loads(pickle.dumps(normalise.NormaliseColour(normalise.NormaliseLimits(warm=0.2))))
    assert isinstance(stage, normalise.NormaliseColour)
