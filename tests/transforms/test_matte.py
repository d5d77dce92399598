"""Tests of transforms/matte.py, on generated pictures whose alpha is known."""

import pickle

import cv2
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipeline.records import Photo
from transforms import matte
from transforms.reasons import ReviewReason


def draw_product(height, width, *, strap=None, hole=False):
    """Alpha of an ellipse, with a strap of so many pixels' width and a hole where asked for; antialiased."""
    big = np.zeros((height * 4, width * 4), np.uint8)
    centre = (width * 2, round(height * 2.4))
    cv2.ellipse(big, centre, (round(width * 1.2), round(height * 1.1)), 0, 0, 360, 255, -1)
    if hole:
        cv2.circle(big, centre, round(width * 0.35), 0, -1)
    if strap:
        cv2.line(big, (round(width * 1.4), height * 2), (round(width * 1.8), height // 4), 255, round(4 * strap))
    return cv2.resize(big, (width, height), interpolation=cv2.INTER_AREA)


def take_photo(alpha, product=(180, 60, 50), ground=(190, 195, 200), noise=4.0, seed=0):
    """Composes a textured product over a textured ground."""
    rng = np.random.default_rng(seed)
    grain = cv2.GaussianBlur(rng.normal(size=(*alpha.shape, 1)).astype(np.float32), (0, 0), 3)
    texture = (4 * noise * grain)[..., None] + rng.normal(0, noise / 2, (*alpha.shape, 3))
    share = alpha[..., None] / 255
    return np.clip(np.array(product) * share + np.array(ground) * (1 - share) + texture, 0, 255).astype(np.uint8)


def coarse_mask_of(alpha, shift=1.0, seed=0, size=320):
    """What a network would give: half the detail, edges off by cells of 160 to a side, a little blurred."""
    rng = np.random.default_rng(seed)
    small = cv2.resize(alpha, (160, 160), interpolation=cv2.INTER_AREA).astype(np.float32)
    dx, dy = (cv2.GaussianBlur(rng.normal(size=(160, 160)).astype(np.float32), (0, 0), 6) for _ in range(2))
    y, x = np.mgrid[:160, :160].astype(np.float32)
    small = cv2.remap(small, x + shift * dx / dx.std(), y + shift * dy / dy.std(), cv2.INTER_LINEAR)
    return np.round(cv2.resize(cv2.GaussianBlur(small, (0, 0), 0.7), (size, size))).astype(np.uint8)


def mean_error(alpha, truth):
    return np.abs(alpha.astype(float) - truth).mean()


@pytest.mark.parametrize("size", [(533, 400), (1000, 1000), (300, 700)])
def test_the_edge_follows_the_picture(size):
    truth = draw_product(*size)
    coarse = coarse_mask_of(truth)
    alpha = matte.refine_alpha(take_photo(truth), coarse)
    enlarged = cv2.resize(coarse, size[::-1])
    assert mean_error(alpha, truth) < 0.1 * mean_error(enlarged, truth)


def test_no_veil_away_from_the_edge():
    truth = draw_product(1000, 1000, hole=True)
    alpha = matte.refine_alpha(take_photo(truth), coarse_mask_of(truth))
    inside = cv2.erode(truth, np.ones((9, 9))) == 255
    outside = cv2.dilate(truth, np.ones((9, 9))) == 0
    assert (alpha[inside] == 255).mean() > 0.999
    assert (alpha[outside] == 0).mean() > 0.998


def test_the_soft_edge_is_a_few_pixels_wide():
    truth = draw_product(1000, 1000)
    alpha = matte.refine_alpha(take_photo(truth, noise=2), coarse_mask_of(truth))
    soft = ((alpha > 12) & (alpha < 243)).sum()
    assert soft < 3 * cv2.Canny(truth, 50, 150).astype(bool).sum()


@pytest.mark.parametrize("strap", [2, 4])
def test_thin_straps_survive(strap):
    truth = draw_product(533, 400, strap=strap)
    body = draw_product(533, 400)
    alpha = matte.refine_alpha(take_photo(truth), coarse_mask_of(truth, shift=0.8))
    on_strap = (truth > 200) & (cv2.dilate(body, np.ones((9, 9))) == 0)
    assert (alpha[on_strap] > 128).mean() > 0.8


def test_a_hole_stays_open():
    truth = draw_product(533, 400, hole=True)
    alpha = matte.refine_alpha(take_photo(truth), coarse_mask_of(truth, shift=0.5))
    hole = (truth == 0) & (cv2.dilate(truth, np.ones((9, 9))) == 0)
    hole[:, :150] = hole[:, 250:] = False
    hole[:200] = hole[400:] = False
    assert hole.sum() > 500
    assert (alpha[hole] == 0).mean() > 0.99


def test_where_colours_agree_the_coarse_mask_rules():
    truth = draw_product(533, 400)
    picture = np.full((533, 400, 3), 200, np.uint8)
    coarse = coarse_mask_of(truth, shift=0.3)
    alpha = matte.refine_alpha(picture, coarse)
    wrong = ((alpha > 127) != (cv2.resize(coarse, (400, 533)) > 127)).mean()
    assert wrong < 0.003


def test_the_networks_doubt_leaves_no_veil():
    truth = draw_product(533, 400)
    coarse = np.maximum(coarse_mask_of(truth, shift=0.3), 70)
    coarse[200:220, 140:180] = 180
    alpha = matte.refine_alpha(take_photo(truth), coarse)
    assert (alpha[cv2.dilate(truth, np.ones((15, 15))) == 0] == 0).mean() > 0.99
    assert (alpha[cv2.erode(truth, np.ones((15, 15))) == 255] == 255).mean() > 0.99


@pytest.mark.parametrize("value", [0, 255])
def test_a_blank_mask_gives_a_blank_matte(value):
    image = take_photo(draw_product(90, 60))
    alpha = matte.refine_alpha(image, np.full((320, 320), value, np.uint8))
    assert (alpha == value).all()


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 90), st.integers(1, 90), st.sampled_from([8, 256, 320]), st.integers(0, 99))
@example(7, 2, 8, 0)  # colour leaves nothing open
def test_any_size_gives_alpha_of_the_same_size(height, width, side, seed):
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    coarse = cv2.resize(rng.integers(0, 256, (5, 5), dtype=np.uint8), (side, side))
    alpha = matte.refine_alpha(image, coarse)
    assert alpha.shape == (height, width)
    assert alpha.dtype == np.uint8
    np.testing.assert_array_equal(alpha, matte.refine_alpha(image, coarse))


def test_a_huge_photo_is_refined_at_bounded_size():
    truth = draw_product(300, 250)
    image = cv2.resize(take_photo(truth), (2500, 3000))
    alpha = matte.refine_alpha(image, coarse_mask_of(truth, shift=0.5))
    assert alpha.shape == (3000, 2500)
    assert mean_error(alpha, cv2.resize(truth, (2500, 3000))) < 2


@pytest.mark.parametrize(
    ("image", "coarse", "message"),
    [
        (np.zeros((5, 5), np.uint8), np.zeros((8, 8), np.uint8), r"image is uint8 of shape \(5, 5\)"),
        (np.zeros((5, 5, 3), np.float32), np.zeros((8, 8), np.uint8), "image is float32"),
        (np.zeros((5, 5, 3), np.uint8), np.zeros((8, 8), np.float32), "coarse_mask is float32"),
    ],
)
def test_wrong_arrays_are_named(image, coarse, message):
    with pytest.raises(ValueError, match=message):
        matte.refine_alpha(image, coarse)


def test_measures_are_in_source_pixels():
    alpha = np.zeros((40, 30), np.uint8)
    alpha[10:20, 3:9] = 255
    measures = matte.measure_matte(alpha, source_size=(60, 80))
    assert measures.bbox == (6, 20, 12, 20)
    assert measures.coverage == pytest.approx(60 / 1200)
    assert measures.cut_sides == ()
    assert not measures.touches_edge


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 50), st.integers(1, 50), st.integers(0, 300), st.integers(0, 300), st.data())
def test_the_box_lies_in_the_source_frame(height, width, extra_width, extra_height, data):
    alpha = np.zeros((height, width), np.uint8)
    y, x = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    alpha[y, x] = 200
    source = (width + extra_width, height + extra_height)
    left, top, box_width, box_height = matte.measure_matte(alpha, source).bbox
    assert 0 <= left < left + box_width <= source[0]
    assert 0 <= top < top + box_height <= source[1]


def test_cut_sides_are_named():
    alpha = np.zeros((100, 100), np.uint8)
    alpha[:50, 40:] = 255
    assert matte.measure_matte(alpha).cut_sides == ("top", "right")
    alpha[:] = 0
    alpha[10:50, 10:50] = 255
    alpha[30, 0] = 255  # one pixel is noise
    assert matte.measure_matte(alpha).cut_sides == ()


def test_thresholds_are_checked():
    with pytest.raises(ValueError, match="uncertain=1.5"):
        matte.MatteThresholds(uncertain=1.5)
    with pytest.raises(ValueError, match="no_product=0.9 is above low_presence=0.8"):
        matte.MatteThresholds(no_product=0.9)


def photo_of(truth, presence=0.95, **fields):
    height, width = truth.shape
    return Photo(
        id="a", source_uri="a.jpg", width=width, height=height, image=take_photo(truth), presence=presence,
        coarse_mask=coarse_mask_of(truth, shift=0.3), **fields,
    )  # fmt: skip


def test_a_sure_photo_has_a_matte_and_no_flag():
    truth = draw_product(200, 150)
    photo = matte.matte_photo(photo_of(truth))
    assert photo.review_reasons == ()
    assert mean_error(photo.alpha, truth) < 3
    assert photo.coverage == pytest.approx(truth.mean() / 255, abs=0.01)
    assert photo.foreground.shape == (200, 150, 3)
    assert photo.bbox is not None
    assert not photo.touches_edge


def test_flags_say_what_is_wrong():
    truth = draw_product(200, 150)
    assert matte.matte_photo(photo_of(truth, presence=0.7)).review_reasons == (ReviewReason.LOW_PRESENCE,)
    assert matte.matte_photo(photo_of(np.roll(truth, 60, 1))).review_reasons == (ReviewReason.CUT_BY_FRAME,)
    doubtful = photo_of(truth)
    doubtful.coarse_mask[60:120, 60:260] = 120
    assert ReviewReason.UNCERTAIN_MASK in matte.matte_photo(doubtful).review_reasons
    small = np.zeros((400, 400), np.uint8)
    small[200:230, 200:230] = 255
    assert matte.matte_photo(photo_of(small)).review_reasons == (ReviewReason.SMALL_PRODUCT,)


@pytest.mark.parametrize("presence", [0.1, 0.9])
def test_nothing_found_is_no_product(presence):
    truth = draw_product(80, 60)
    photo = photo_of(truth, presence=presence)
    if presence > 0.5:
        photo = photo.replace(coarse_mask=np.zeros((320, 320), np.uint8))
    photo = matte.matte_photo(photo)
    assert photo.review_reasons == (ReviewReason.NO_PRODUCT,)
    assert not photo.alpha.any()
    assert photo.bbox is None
    assert photo.coverage == 0
    np.testing.assert_array_equal(photo.foreground, photo.image)


def test_the_files_own_alpha_wins():
    truth = draw_product(80, 60)
    own = np.roll(truth, 3, 1)
    photo = matte.matte_photo(photo_of(truth, presence=0.0, source_alpha=own))
    np.testing.assert_array_equal(photo.alpha, own)
    assert photo.review_reasons == ()


@pytest.mark.parametrize("value", [0, 255])
def test_an_empty_or_opaque_alpha_says_nothing(value):
    truth = draw_product(80, 60)
    photo = matte.matte_photo(photo_of(truth, source_alpha=np.full((80, 60), value, np.uint8)))
    assert mean_error(photo.alpha, truth) < 5


def test_the_stage_travels_to_workers():
    stage = pickle.loads(pickle.dumps(matte.MattePhotos(matte.MatteThresholds(no_product=0.4))))
    assert isinstance(stage, matte.MattePhotos)


def test_a_cut_out_trimmed_to_its_product_is_not_cut():
    truth = draw_product(80, 60)
    rows, columns = np.flatnonzero(truth.max(axis=1) > 127), np.flatnonzero(truth.max(axis=0) > 127)
    box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    own = truth[box]
    photo = photo_of(truth).replace(
        image=np.zeros((*own.shape, 3), np.uint8), source_alpha=own, width=own.shape[1], height=own.shape[0]
    )
    trimmed = matte.matte_photo(photo)
    assert not trimmed.touches_edge
    assert trimmed.review_reasons == ()
    # one that leaves room on a side and meets the frame on another was cut before it was cut out
    padded = photo.replace(
        image=np.zeros((own.shape[0] + 9, own.shape[1], 3), np.uint8),
        source_alpha=np.vstack([own, np.zeros((9, own.shape[1]), np.uint8)]),
        height=own.shape[0] + 9,
    )
    cut = matte.matte_photo(padded)
    assert cut.touches_edge
    assert ReviewReason.CUT_BY_FRAME in cut.review_reasons
