import cv2
import numpy as np
import pytest

from transforms.shadow import contact_shadow, drop_shadow, photographed_shadow


@pytest.fixture
def alpha():
    alpha = np.zeros((300, 300), np.uint8)
    cv2.rectangle(alpha, (100, 60), (200, 220), 255, -1)
    return alpha


@pytest.mark.parametrize("draw", [contact_shadow, drop_shadow])
def test_a_drawn_shadow_is_near_the_product_and_nowhere_else(draw, alpha):
    shadow = draw(alpha)
    assert shadow.shape == alpha.shape and shadow.dtype == np.float32
    assert shadow.min() >= 0 and 0.1 < shadow.max() < 0.9
    assert shadow[224, 150] > 0.05  # under its foot
    far = cv2.dilate(alpha, np.ones((101, 101), np.uint8)) == 0
    assert far.any() and not shadow[far].any()


def test_a_contact_shadow_is_at_the_foot_and_a_drop_shadow_to_the_lower_right(alpha):
    contact, drop = contact_shadow(alpha), drop_shadow(alpha)
    assert contact[55, 150] == 0 < contact[223, 150]
    assert drop[140, 207] > 2 * drop[140, 93] and drop[226, 150] > 2 * drop[54, 150]


@pytest.mark.parametrize("draw", [contact_shadow, drop_shadow])
def test_nothing_throws_no_shadow(draw):
    assert not draw(np.zeros((50, 40), np.uint8)).any()


@pytest.mark.parametrize("shape", [(1, 1), (1, 4000), (3, 2)])
def test_tiny_and_thin_mattes_pass(shape):
    alpha = np.full(shape, 255, np.uint8)
    for draw in (contact_shadow, drop_shadow):
        assert draw(alpha).shape == shape
    assert photographed_shadow(np.zeros((*shape, 3), np.uint8), alpha) is None


def photographed(alpha, strength):
    """A product on a plain, unevenly lit ground, with a cast shadow of known strength."""
    light = np.linspace(0.5, 0.7, alpha.shape[1])[None, :] * np.ones(alpha.shape)
    cast = cv2.GaussianBlur(np.roll(alpha, (16, 24), (0, 1)).astype(np.float32) / 255, (0, 0), 4) * strength
    linear = light * (1 - cast)
    linear[alpha > 0] = 0.1
    return np.repeat(np.round(255 * linear ** (1 / 2.2)).astype(np.uint8)[..., None], 3, axis=2)


def test_a_photos_own_shadow_is_found(alpha):
    shadow = photographed_shadow(photographed(alpha, 0.5), alpha)
    assert 0.25 < shadow[140, 210] < 0.6  # right beside the product, in the shadow
    assert shadow[140, 60] < 0.05 and shadow[20, 20] == 0


def test_a_photo_without_shadow_has_none(alpha):
    assert photographed_shadow(photographed(alpha, 0.0), alpha).max() < 0.05


def test_a_patterned_ground_is_not_taken_for_shadow(alpha):
    image = photographed(alpha, 0.4)
    checks = (np.indices(alpha.shape) // 20).sum(0) % 2 == 0
    image[checks & (alpha == 0)] //= 2
    assert photographed_shadow(image, alpha) is None


def test_a_product_that_fills_the_frame_has_no_ground_to_tell_by():
    alpha = np.full((80, 60), 255, np.uint8)
    assert photographed_shadow(np.full((80, 60, 3), 90, np.uint8), alpha) is None


def test_darkness_that_does_not_touch_the_product_is_another_thing_s(alpha):
    image = photographed(alpha, 0.0)
    image[100:140, 225:245] //= 2
    assert photographed_shadow(image, alpha)[120, 235] < 0.02


def test_a_gap_in_the_matte_is_no_shadow(alpha):
    image = photographed(alpha, 0.5)
    alpha = alpha.copy()
    alpha[120:160, 130:170] = 0
    assert photographed_shadow(image, alpha)[140, 150] < 0.05
