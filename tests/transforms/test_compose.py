import dataclasses
import itertools

import apache_beam as beam
import cv2
import numpy as np
import pytest
from apache_beam.testing.test_pipeline import TestPipeline
from apache_beam.testing.util import assert_that
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.records import Photo
from tests.transforms.shapes import ellipse, noise, rectangle
from transforms.compose import ComposePackshot, compose, compose_photo, tilt_to_mend
from transforms.ground import paint_ground
from transforms.placing import Box, CutSides, cut_sides, product_box
from transforms.profile import Profile
from transforms.reasons import ReviewReason

SQUARE = Profile("square", 200, 200)
colours = st.tuples(*[st.integers(0, 255)] * 3)


@settings(deadline=None, max_examples=50)
@given(
    colour=colours,
    background=colours,
    width=st.integers(8, 110),
    height=st.integers(8, 150),
    blur=st.floats(0.2, 6),
    side=st.integers(40, 400),
)
def test_no_fringe_and_exact_ground(colour, background, width, height, blur, side):
    """Whatever lies under alpha 0, a plain product gives nothing darker or lighter than product and ground."""
    alpha = ellipse(width, height, blur=blur)
    foreground = noise(alpha.shape)
    foreground[alpha > 0] = colour
    profile = Profile("any", side, side + 30, background=background)
    if product_box(alpha) is None:
        return
    composition = compose(foreground, alpha, profile)
    assert composition.image.shape == (side + 30, side, 3)
    assert composition.image.dtype == np.uint8
    assert (composition.image[composition.alpha == 0] == background).all()
    low, high = np.minimum(colour, background), np.maximum(colour, background)
    assert (composition.image.astype(int) >= low - 1).all()
    assert (composition.image.astype(int) <= high + 1).all()
    assert (np.abs(composition.image[composition.alpha == 255].astype(int) - colour) <= 1).all()


@settings(deadline=None, max_examples=50)
@given(
    width=st.integers(20, 118),
    height=st.integers(20, 158),
    canvas=st.tuples(st.integers(300, 900), st.integers(300, 900)),
    fill=st.floats(0.5, 0.95),
    zoom=st.integers(1, 6),
)
def test_uncut_product_fills_its_share_and_is_centred(width, height, canvas, fill, zoom):
    alpha = ellipse(width, height)
    alpha = cv2.resize(alpha, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_LINEAR)
    alpha = cv2.copyMakeBorder(alpha, 8, 8, 8, 8, cv2.BORDER_CONSTANT, value=0)
    profile = Profile("any", *canvas, fill=fill)
    composition = compose(np.zeros((*alpha.shape, 3), np.uint8), alpha, profile)
    drawn = Box(*cv2.boundingRect(cv2.compare(composition.image[..., 1], 128, cv2.CMP_LT)))
    shares = drawn.width / canvas[0], drawn.height / canvas[1]
    assert max(shares) == pytest.approx(fill, abs=0.02)
    assert abs(2 * drawn.x + drawn.width - canvas[0]) <= 6
    assert abs(2 * drawn.y + drawn.height - canvas[1]) <= 6
    measured = product_box(alpha)
    assert drawn.width / drawn.height == pytest.approx(measured.width / measured.height, rel=0.05)


@pytest.mark.parametrize("sides", list(itertools.product([False, True], repeat=4)), ids=lambda s: str(CutSides(*s)))
@pytest.mark.parametrize("canvas", [(200, 200), (150, 230), (230, 150)])
def test_every_combination_of_cut_sides(sides, canvas):
    cut = CutSides(*sides)
    alpha = rectangle(
        0 if cut.left else 30, 0 if cut.top else 40, 120 if cut.right else 100, 160 if cut.bottom else 130
    )
    box = product_box(alpha)
    assert cut_sides(alpha) == cut
    profile = dataclasses.replace(SQUARE, width=canvas[0], height=canvas[1])
    composition = compose(noise(alpha.shape), alpha, profile)
    placed, opaque = composition.box, composition.alpha == 255

    assert placed.width / placed.height == pytest.approx(box.width / box.height, rel=0.02)
    assert opaque[placed.y : placed.y + placed.height, placed.x : placed.x + placed.width].mean() > 0.95
    axes = (
        (placed.x, placed.width, canvas[0], cut.left, cut.right),
        (placed.y, placed.height, canvas[1], cut.top, cut.bottom),
    )
    limits = []
    for start, size, length, before, after in axes:
        end = start + size
        assert 0 <= start < end <= length
        if before and after:
            limits.append(size / length)
            assert abs(start - (length - end)) <= 1
        else:
            limits.append(size / length / profile.fill)
            if before:
                assert start == 0
            elif after:
                assert end == length
            else:
                assert abs(start - (length - end)) <= 1
    assert max(limits) == pytest.approx(1, abs=0.02)
    if cut.left and not cut.right:
        assert opaque[placed.y + 3 : placed.y + placed.height - 3, 0].all()
    if cut.bottom and not cut.top:
        assert opaque[-1, placed.x + 3 : placed.x + placed.width - 3].all()


def test_cut_both_ways_spans_the_canvas_where_it_can():
    alpha = rectangle(0, 60, 120, 90)
    composition = compose(noise(alpha.shape), alpha, SQUARE)
    assert (composition.box.x, composition.box.width) == (0, 200)
    assert (composition.alpha[100] == 255).all()
    assert (composition.image[0] == 255).all()


def test_matte_that_ends_just_short_of_the_frame_is_still_flush():
    alpha = rectangle(30, 40, 90, 159)
    alpha[159, 30:90] = 90
    composition = compose(noise(alpha.shape), alpha, SQUARE)
    assert composition.box.y + composition.box.height == 200
    assert (composition.alpha[-1, composition.box.x + 3 : composition.box.x + composition.box.width - 3] == 255).all()


def test_enlarging_too_much_is_said():
    alpha = rectangle(50, 70, 70, 90)
    composition = compose(noise(alpha.shape), alpha, SQUARE)
    assert composition.upscale == pytest.approx(8.5)
    assert composition.reasons == (ReviewReason.LOW_RESOLUTION,)
    assert composition.box.width == 170, "enlarged all the same"
    assert compose(noise(alpha.shape), alpha, SQUARE, scale=0.2).reasons == ()


def test_without_a_product_the_whole_photo_is_shown():
    image = cv2.GaussianBlur(noise((160, 120)), (0, 0), 4)
    composition = compose(image, np.full((160, 120), 20, np.uint8), SQUARE)
    assert composition.reasons == (ReviewReason.NO_PRODUCT,)
    box = composition.box
    assert (box.width, box.height) == (128, 170)
    assert (composition.alpha == 255).sum() == box.width * box.height
    shown = composition.image[box.y : box.y + box.height, box.x : box.x + box.width]
    back = cv2.resize(shown, (120, 160), interpolation=cv2.INTER_AREA).astype(int)
    assert np.abs(back - image).max() <= 4


def test_unscaled_product_is_copied_bit_by_bit():
    alpha = rectangle(10, 20, 110, 140, frame=(170, 170))
    foreground = noise(alpha.shape)
    composition = compose(foreground, alpha, Profile("same", 150, 150, fill=0.8))
    x, y, width, height = composition.box
    assert (composition.image[y : y + height, x : x + width] == foreground[20:140, 10:110]).all()


def test_haze_is_dropped():
    alpha = ellipse(80, 100)
    alpha[alpha == 0] = 2
    composition = compose(np.zeros((*alpha.shape, 3), np.uint8), alpha, SQUARE)
    assert (composition.image[:5] == 255).all()
    assert (composition.alpha[:5] == 0).all()


def test_arrays_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"foreground is uint8 \(4, 4, 3\) and alpha uint8 \(5, 4\)"):
        compose(np.zeros((4, 4, 3), np.uint8), np.zeros((5, 4), np.uint8), SQUARE)


def photo(alpha, **fields):
    height, width = alpha.shape
    return Photo(
        "a",
        "a.jpg",
        width=width,
        height=height,
        image=noise(alpha.shape),
        foreground=noise(alpha.shape, 1),
        alpha=alpha,
    ).replace(**fields)


def test_stage_fills_packshot_and_flags():
    small = compose_photo(photo(rectangle(50, 70, 70, 90)), SQUARE)
    assert small.packshot.shape == (200, 200, 3)
    assert small.review_reasons == (ReviewReason.LOW_RESOLUTION,)
    reduced = compose_photo(photo(rectangle(20, 20, 100, 140), width=60, height=80), SQUARE)
    assert reduced.review_reasons == (ReviewReason.LOW_RESOLUTION,), "counted against the source frame"


def test_stage_shows_the_photo_where_the_model_saw_no_product():
    junk = photo(rectangle(50, 70, 70, 90)).flagged(ReviewReason.NO_PRODUCT)
    empty = photo(np.zeros((160, 120), np.uint8), image=junk.image, foreground=None)
    shown = [compose_photo(record, SQUARE) for record in (junk, empty)]
    assert (shown[0].packshot == shown[1].packshot).all()
    assert shown[1].review_reasons == (ReviewReason.NO_PRODUCT,)
    assert (shown[0].packshot[100, 40:160] != 255).any()


def test_trimmed_cutout_file_is_not_cut():
    alpha = rectangle(0, 0, 120, 160)
    assert cut_sides(alpha) == CutSides(True, True, True, True)
    own = compose_photo(photo(alpha, source_alpha=alpha), SQUARE)
    assert own.review_reasons == ()
    assert (own.packshot[:15] == 255).all()
    assert compose_photo(photo(alpha), SQUARE).review_reasons == (ReviewReason.CUT_BY_FRAME,)


def test_transform_composes_photos():
    def check(photos):
        assert [p.packshot.shape for p in photos] == [(200, 200, 3)]
        assert "compose" in photos[0].milliseconds

    with TestPipeline("FnApiRunner") as pipeline:
        photos, rejected = pipeline | beam.Create([photo(ellipse(80, 100))]) | ComposePackshot(SQUARE)
        assert_that(photos, check)
        assert_that(rejected, lambda items: None if not items else pytest.fail(str(items)), label="rejected")


def within_a_level(image, other):
    return np.abs(image.astype(int) - other).max() <= 1


@pytest.mark.parametrize("shadow", ["contact", "drop"])
@pytest.mark.parametrize("background", [(255, 255, 255), (20, 60, 200)])
def test_a_drawn_shadow_darkens_the_ground_and_leaves_the_product_and_its_place(shadow, background):
    alpha, colours_of = ellipse(80, 100), noise((160, 120))
    profile = dataclasses.replace(SQUARE, background=background)
    plain = compose(colours_of, alpha, profile)
    shaded = compose(colours_of, alpha, dataclasses.replace(profile, shadow=shadow))
    assert (shaded.alpha == plain.alpha).all() and shaded.box == plain.box
    assert within_a_level(shaded.image[plain.alpha == 255], plain.image[plain.alpha == 255])
    assert (shaded.image <= plain.image).all() and (shaded.image < plain.image).any()
    assert (shaded.image[:5] == background).all()


def test_the_photo_s_own_shadow_stands_where_it_stood():
    alpha, shadow = rectangle(40, 40, 80, 120), np.zeros((160, 120), np.float32)
    shadow[60:100, 80:100] = 0.5
    profile = dataclasses.replace(SQUARE, shadow="kept")
    image = compose(noise((160, 120)), alpha, profile, shadow=shadow).image
    right = round(100 + 200 * 0.85 / 80 * 25)
    assert image[100, right].tolist() == pytest.approx([128] * 3, abs=3)
    assert (image[100, 20] == 255).all()
    assert (compose(noise((160, 120)), alpha, profile).image == compose(noise((160, 120)), alpha, SQUARE).image).all()


@pytest.mark.parametrize("look", [{"gradient": (10, 20, 30)}, {"backdrop": b"picture"}])
def test_product_stands_on_gradients_and_pictures(look):
    if "backdrop" in look:
        look = {"backdrop": cv2.imencode(".png", noise((50, 50), 3))[1].tobytes()}
    profile = dataclasses.replace(SQUARE, **look)
    composition = compose(noise((160, 120)), ellipse(80, 100), profile)
    ground = paint_ground(profile)
    assert (composition.image[composition.alpha == 0] == ground[composition.alpha == 0]).all()
    plain = compose(noise((160, 120)), ellipse(80, 100), SQUARE)
    assert within_a_level(composition.image[plain.alpha == 255], plain.image[plain.alpha == 255])
    assert (paint_ground(profile) == ground).all(), "the painted ground is shared by all photos"


def test_a_picture_of_one_colour_is_as_good_as_the_colour():
    blue = cv2.imencode(".png", np.full((8, 8, 3), (200, 90, 10), np.uint8))[1].tobytes()
    for change in ({"gradient": (10, 90, 200)}, {"backdrop": blue}):
        profile = dataclasses.replace(SQUARE, background=(10, 90, 200))
        images = [
            compose(noise((160, 120)), ellipse(80, 100, blur=4), p).image
            for p in (profile, dataclasses.replace(profile, **change))
        ]
        assert within_a_level(*images)


def test_without_a_product_there_is_no_shadow():
    profile = dataclasses.replace(SQUARE, shadow="drop")
    image = noise((160, 120))
    empty = np.zeros((160, 120), np.uint8)
    assert (compose(image, empty, profile).image == compose(image, empty, SQUARE).image).all()


def askew(degrees):
    alpha = np.zeros((160, 120), np.uint8)
    corners = cv2.boxPoints(((60, 80), (40, 90), degrees))
    cv2.fillPoly(alpha, [np.round(corners).astype(np.int32)], 255)
    return alpha


def test_stage_straightens_on_request_and_says_so():
    tilted = photo(askew(6))
    assert compose_photo(tilted, SQUARE).enhancements == ()
    straight = compose_photo(tilted, SQUARE, straighten=True)
    assert straight.enhancements == ("straighten",)
    upright = compose_photo(photo(askew(0)), SQUARE, straighten=True)
    assert upright.enhancements == () and straight.packshot.shape == upright.packshot.shape
    assert (straight.alpha == tilted.alpha).all() and straight.foreground is tilted.foreground


@pytest.mark.parametrize("reason", [ReviewReason.UNCERTAIN_MASK, ReviewReason.LOW_PRESENCE, ReviewReason.NO_PRODUCT])
def test_what_the_matte_is_not_sure_of_is_not_turned(reason):
    assert tilt_to_mend(askew(6)) and not tilt_to_mend(askew(6), (reason,))


def test_what_the_frame_cuts_is_not_turned():
    assert not tilt_to_mend(np.ascontiguousarray(askew(6)[45:]))


def test_stage_keeps_a_photo_s_own_shadow_and_says_so():
    alpha = rectangle(40, 40, 80, 120)
    image = np.full((160, 120, 3), 200, np.uint8)
    image[60:125, 78:90] = 120
    image[alpha > 0] = 30
    profile = dataclasses.replace(SQUARE, shadow="kept")
    kept = compose_photo(photo(alpha, image=image, foreground=image), profile)
    assert kept.enhancements == ("shadow",)
    assert (kept.packshot != compose_photo(photo(alpha, image=image, foreground=image), SQUARE).packshot).any()
    assert compose_photo(photo(alpha, image=image, source_alpha=alpha), profile).enhancements == ()


def test_noise_far_from_the_product_does_not_change_how_it_is_drawn():
    alpha = np.zeros((300, 300), np.uint8)
    alpha[100:200, 110:190] = 255
    noisy = alpha.copy()
    noisy[5, 5] = 3  # below what is shown, but it widens what is scaled
    foreground = np.full((300, 300, 3), 90, np.uint8)
    plain, other = (compose(foreground, matte, Profile("square", 1000, 1000)) for matte in (alpha, noisy))
    assert plain.box == other.box
    assert np.abs(plain.image.astype(int) - other.image)[130:870, 230:770].max() == 0
