import cv2
import numpy as np
import pytest

from pipeline.records import Photo
from tests.transforms.shapes import ellipse, noise, rectangle
from transforms.compose import compose_photo
from transforms.enlarge import LEAST_FACTOR, Enlarged, enlarge_photo, enlarge_product, enlargement
from transforms.profile import Profile
from transforms.reasons import ReviewReason

SQUARE = Profile("square", 300, 300, fill=0.8)


class Doubler:
    """Enlarges bicubically, and keeps what it was given."""

    def __init__(self):
        self.seen = []

    def enlarge(self, image):
        self.seen.append(image)
        return cv2.resize(image, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)


def photo(alpha, **fields):
    height, width = alpha.shape
    picture = noise(alpha.shape)
    return Photo(id="a", source_uri="", width=width, height=height, image=picture, foreground=picture, alpha=alpha)\
        .replace(**fields)  # fmt: skip


def test_the_factor_is_that_of_the_packshot():
    small = photo(rectangle(30, 40, 90, 100))  # 60 pixels, which become 240
    assert enlargement(small, SQUARE) == pytest.approx(4)
    assert compose_photo(small, SQUARE).measurements.upscale == pytest.approx(4)


def test_a_product_that_is_too_small_is_enlarged_recorded_and_composed():
    doubler = Doubler()
    small = photo(ellipse(60, 80), enhancements=("denoise",))
    large = enlarge_photo(small, SQUARE, doubler)
    assert large.enhancements == ("denoise", "superres")
    assert large.enlarged.foreground.shape == (320, 240, 3) and large.enlarged.alpha.shape == (320, 240)
    assert large.foreground is small.foreground and large.alpha is small.alpha  # mask and cut-out stay the photo's
    composed, plain = compose_photo(large, SQUARE), compose_photo(small, SQUARE)
    assert composed.enlarged is None and composed.enhancements == ("denoise", "superres")
    assert composed.measurements.upscale == pytest.approx(plain.measurements.upscale, rel=0.02)
    assert np.abs(composed.packshot_alpha.astype(int) - plain.packshot_alpha).mean() < 1
    assert composed.review_reasons == plain.review_reasons


def test_only_the_product_goes_through_the_network():
    doubler = Doubler()
    alpha = rectangle(30, 40, 90, 100)
    large = enlarge_product(noise(alpha.shape), alpha, doubler)
    assert doubler.seen[0].shape == (68, 68, 3)
    assert isinstance(large, Enlarged) and not large.foreground[:70].any() and large.foreground[80:200, 60:180].any()


@pytest.mark.parametrize(
    "fields",
    [
        {"review_reasons": (ReviewReason.NO_PRODUCT,)},
        {"foreground": None},
        {"width": 240, "height": 320},  # decoded at half the size: the source has the pixels
    ],
)
def test_what_has_no_product_or_more_pixels_in_its_file_is_left_alone(fields):
    small = photo(ellipse(60, 80), **fields)
    assert enlarge_photo(small, SQUARE, Doubler()) is small


def test_a_photo_without_a_matte_is_left_alone():
    empty = photo(np.zeros((160, 120), np.uint8))
    assert enlargement(empty, SQUARE) == 0 and enlarge_photo(empty, SQUARE, Doubler()) is empty


def test_a_product_of_enough_pixels_is_left_alone():
    alpha = rectangle(20, 20, 100, 100)
    side = round(80 * LEAST_FACTOR / 0.8) - 2
    canvas, large_enough = Profile("small", side, side, fill=0.8), photo(alpha)
    assert 1 < enlargement(large_enough, canvas) < LEAST_FACTOR
    assert enlarge_photo(large_enough, canvas, Doubler()) is large_enough


def test_a_trimmed_cut_out_is_not_taken_for_cut():
    alpha = np.full((60, 60), 255, np.uint8)
    trimmed = photo(alpha, source_alpha=alpha)
    assert enlargement(trimmed, SQUARE) == pytest.approx(4)
    composed = compose_photo(enlarge_photo(trimmed, SQUARE, Doubler()), SQUARE)
    assert ReviewReason.CUT_BY_FRAME not in composed.review_reasons


def test_a_cut_product_stays_flush():
    cut = photo(rectangle(30, 40, 120, 100))
    composed = compose_photo(enlarge_photo(cut, SQUARE, Doubler()), SQUARE)
    assert ReviewReason.CUT_BY_FRAME in composed.review_reasons
    assert composed.packshot_alpha[150, -1] == 255


def test_shadow_and_straightening_go_with_the_enlarged_product():
    upright = cv2.GaussianBlur(rectangle(45, 30, 75, 130), (0, 0), 1)
    turned = cv2.warpAffine(upright, cv2.getRotationMatrix2D((60, 80), 6, 1), (120, 160))
    small = photo(turned, image=np.full((160, 120, 3), 230, np.uint8))
    large = enlarge_photo(small, SQUARE, Doubler())
    plain, enlarged = (compose_photo(one, SQUARE, straighten=True) for one in (small, large))
    assert enlarged.enhancements == ("superres", *plain.enhancements) == ("superres", "straighten")
    assert np.abs(enlarged.packshot_alpha.astype(int) - plain.packshot_alpha).mean() < 2
