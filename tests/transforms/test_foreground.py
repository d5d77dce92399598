"""Tests of transforms/foreground.py, on generated pictures whose colours are known."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.foreground import estimate_foreground, sample_planes


def soft_disc(side, blur):
    disc = np.zeros((side, side), np.uint8)
    cv2.circle(disc, (side // 2, side // 2), side // 3, 255, -1)
    return cv2.GaussianBlur(disc, (0, 0), blur)


def shaded(side, low, high, vertical):
    ramp = np.linspace(0, 1, side)[:, None, None]
    ramp = ramp if vertical else ramp.transpose(1, 0, 2)
    return np.broadcast_to(np.array(low) * (1 - ramp) + np.array(high) * ramp, (side, side, 3))


@pytest.mark.parametrize("side", [200, 1000])
@pytest.mark.parametrize("ground", [(0, 0, 0), (0, 200, 0)])
def test_nothing_of_the_old_ground_remains_at_the_edge(side, ground):
    alpha = soft_disc(side, blur=side / 400 + 0.7)
    product = shaded(side, (200, 60, 40), (120, 90, 160), vertical=True)
    old = shaded(side, (240, 240, 230), (90, 140, 220), vertical=False)
    share = alpha[..., None] / 255
    image = np.round(product * share + old * (1 - share)).astype(np.uint8)

    found = estimate_foreground(image, alpha)

    edge = (alpha > 5) & (alpha < 250)

    def error(colours):
        shown = colours * share + np.array(ground) * (1 - share)
        wanted = product * share + np.array(ground) * (1 - share)
        return np.abs(shown - wanted)[edge].mean()

    assert error(found) < 1.5
    assert error(image) > 10


def test_colour_reaches_past_the_edge_for_scaling():
    alpha = soft_disc(200, 1)
    image = np.where(alpha[..., None] > 127, (200, 30, 30), (30, 200, 30)).astype(np.uint8)
    found = estimate_foreground(image, alpha)
    next_to_it = (alpha == 0) & (cv2.dilate(alpha, np.ones((3, 3))) > 0)
    assert found[next_to_it][:, 0].mean() > 180


def test_opaque_pixels_are_left_alone():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (120, 90, 3), dtype=np.uint8)
    alpha = cv2.resize(soft_disc(120, 2), (90, 120))
    found = estimate_foreground(image, alpha)
    np.testing.assert_array_equal(found[alpha == 255], image[alpha == 255])
    far = cv2.dilate(alpha, np.ones((7, 7))) == 0
    np.testing.assert_array_equal(found[far], image[far])


@pytest.mark.parametrize("value", [0, 255])
def test_without_an_edge_the_image_comes_back_as_a_copy(value):
    image = np.full((20, 30, 3), 77, np.uint8)
    found = estimate_foreground(image, np.full((20, 30), value, np.uint8))
    np.testing.assert_array_equal(found, image)
    assert found is not image


def test_gauze_without_an_opaque_pixel_keeps_its_colour():
    image = np.full((60, 60, 3), 200, np.uint8)
    alpha = np.zeros((60, 60), np.uint8)
    alpha[20:40, 20:40] = 128
    image[20:40, 20:40] = (150, 100, 100)  # half of (100, 0, 0) over 200
    found = estimate_foreground(image, alpha)[30, 30]
    assert found[0] < 150
    assert found[1] < 60


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 60), st.integers(1, 60), st.integers(0, 99))
def test_any_size_works(height, width, seed):
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    alpha = rng.integers(0, 256, (height, width), dtype=np.uint8)
    found = estimate_foreground(image, alpha)
    assert found.shape == image.shape
    assert found.dtype == np.uint8


def test_sizes_have_to_agree():
    with pytest.raises(ValueError, match=r"alpha of shape \(4, 5\)"):
        estimate_foreground(np.zeros((5, 4, 3), np.uint8), np.zeros((4, 5), np.uint8))


def test_sampling_small_planes_is_what_resizing_gives():
    rng = np.random.default_rng(0)
    planes = rng.random((20, 30, 4)).astype(np.float32)
    rows, columns = (axis.ravel() for axis in np.mgrid[:70, :90])
    sampled = sample_planes(planes, rows, columns, (20 / 70, 30 / 90))
    resized = cv2.resize(planes, (90, 70), interpolation=cv2.INTER_LINEAR)
    np.testing.assert_allclose(sampled.T.reshape(70, 90, 4), resized, atol=0.03)


@pytest.mark.parametrize("shape", [(61, 43), (721, 33), (1501, 41)])
def test_odd_sizes_are_halved_without_a_shift(shape):
    """Colours that are the same everywhere are found, also at the last row and column."""
    alpha = np.full(shape, 255, np.uint8)
    alpha[: shape[0] // 2] = 0
    alpha = cv2.blur(alpha, (3, 3))
    share = alpha[..., None] / 255
    image = np.round(np.array((200, 40, 90)) * share + np.array((20, 220, 120)) * (1 - share)).astype(np.uint8)
    found = estimate_foreground(image, alpha)
    assert np.abs(found[alpha > 0].astype(int) - (200, 40, 90)).max() <= 2


def test_millions_of_soft_pixels_are_no_obstacle():
    image = np.random.default_rng(0).integers(0, 256, (1500, 1500, 3), np.uint8)
    alpha = np.full((1500, 1500), 128, np.uint8)  # more than a list of cv2.remap may have in 64 rows
    assert estimate_foreground(image, alpha).shape == image.shape
