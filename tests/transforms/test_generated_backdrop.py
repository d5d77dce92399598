import cv2
import numpy as np
import pytest

from tests.transforms.shapes import ellipse, noise
from transforms.generated_backdrop import KINDS, compose_on_backdrop, generate_backdrop


@pytest.mark.parametrize("kind", KINDS)
def test_a_seed_gives_the_same_backdrop_and_another_a_different_one(kind):
    one = generate_backdrop(kind, 2**64 - 1, 90, 64)
    assert one.shape == (90, 64, 3) and one.dtype == np.uint8
    np.testing.assert_array_equal(one, generate_backdrop(kind, 2**64 - 1, 90, 64))
    assert (one != generate_backdrop(kind, 5, 90, 64)).mean() > 0.5


@pytest.mark.parametrize("kind", KINDS)
def test_a_backdrop_is_a_lit_surface_not_a_plain_colour_nor_a_riot(kind):
    for seed in range(4):
        backdrop = generate_backdrop(kind, seed, 120, 100).astype(float)
        luma = backdrop.mean(axis=-1)
        assert 30 < luma.mean() < 252 and 0.5 < luma.std() < 45
        assert np.ptp(backdrop.mean(axis=(0, 1))) < 110  # no loud colour


@pytest.mark.parametrize("kind", ["sweep", "wood", "marble"])
def test_a_seed_shows_the_same_scene_at_twice_the_size(kind):
    small, large = generate_backdrop(kind, 3, 160, 120), generate_backdrop(kind, 3, 320, 240)
    halved = cv2.resize(large, (120, 160), interpolation=cv2.INTER_AREA)
    assert np.abs(small.astype(int) - halved).mean() < 5


@pytest.mark.parametrize("size", [(8, 300), (300, 8), (8, 8)])
def test_any_size_will_do(size):
    for kind in KINDS:
        assert generate_backdrop(kind, 1, *size).shape == (*size, 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("lawn", 1, 20, 20), "kind='lawn' must be one of sweep, paper"),
        (("wood", -1, 20, 20), "seed=-1 must not be negative"),
        (("wood", 1, 20, 7), "a backdrop of 7 x 20 is too small"),
    ],
)
def test_what_cannot_be_made_is_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        generate_backdrop(*arguments)


@pytest.mark.parametrize("shadow", ["contact", "drop", "none"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_products_pixels_are_not_touched(kind, shadow):
    """Every value of every opaque pixel, on every kind of backdrop."""
    alpha = ellipse(50, 70, blur=2)
    foreground = noise(alpha.shape)
    composite = compose_on_backdrop(foreground, alpha, generate_backdrop(kind, 7, *alpha.shape), shadow)
    opaque = alpha == 255
    assert opaque.sum() > 1000
    np.testing.assert_array_equal(composite[opaque], foreground[opaque])


def test_soft_edges_are_between_product_and_ground_and_what_lies_under_no_alpha_is_not_shown():
    alpha = ellipse(50, 70, blur=3)
    ground = np.full((*alpha.shape, 3), 200, np.uint8)
    foreground = np.full_like(ground, 40)
    composite = compose_on_backdrop(foreground, alpha, ground, "none")
    expected = 200 + (40 - 200) * alpha.astype(float) / 255
    assert np.abs(composite[..., 0] - expected).max() <= 0.51
    other = np.where(alpha[..., None] == 0, np.uint8(255), foreground)
    np.testing.assert_array_equal(compose_on_backdrop(other, alpha, ground, "none"), composite)


def test_a_contact_shadow_lies_under_the_foot_alone():
    alpha = ellipse(50, 70, blur=0.5)
    ground = np.full((*alpha.shape, 3), 200, np.uint8)
    composite = compose_on_backdrop(ground, alpha, ground)[..., 0].astype(int)
    x, y, w, h = cv2.boundingRect(alpha)
    assert composite[y + h + 1, x + w // 2] < 190
    assert composite[: y + h // 4].min() >= 199


def test_arrays_that_do_not_fit_together_are_refused():
    alpha = np.zeros((20, 20), np.uint8)
    with pytest.raises(ValueError, match="have to be of one size"):
        compose_on_backdrop(np.zeros((20, 20, 3), np.uint8), alpha, np.zeros((20, 21, 3), np.uint8))
    with pytest.raises(ValueError, match="shadow='kept' must be one of contact, drop, none"):
        compose_on_backdrop(*[np.zeros((20, 20, 3), np.uint8), alpha, np.zeros((20, 20, 3), np.uint8)], shadow="kept")
