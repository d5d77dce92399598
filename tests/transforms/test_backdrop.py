"""Tests of transforms/backdrop.py."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.backdrop import measure_backdrop
from transforms.colour import decode_srgb8, linear_to_srgb
from transforms.illuminant import angle_between


def scene(ground=(190, 190, 190), product=(150, 150, 150), light=(1, 1, 1), size=(200, 160)):
    """A disc on a sheet, and where it is."""
    alpha = np.zeros(size, np.uint8)
    cv2.circle(alpha, (size[1] // 2, size[0] // 2), size[1] // 4, 255, -1)
    paint = np.where(alpha[..., None] > 0, product, ground).astype(np.uint8)
    grain = np.random.default_rng(0).normal(1, 0.03, size)[..., None]
    shown = linear_to_srgb(decode_srgb8(paint) * grain * np.array(light))
    return np.round(255 * shown).astype(np.uint8), alpha


@settings(deadline=None, max_examples=25)
@given(st.tuples(*[st.floats(0.75, 1.25)] * 3), st.integers(90, 200))
def test_the_colour_of_a_sheet_is_found_whatever_the_product(light, level):
    image, alpha = scene((level,) * 3, (20, 60, 160), light)
    found = measure_backdrop(image, alpha)
    assert angle_between(found.colour, np.array(light)) < 0.4
    assert 0 <= found.belief <= 1


def test_a_shadow_does_not_count():
    image, alpha = scene()
    image[:40] = (image[:40] * (0.5, 0.55, 0.7)).astype(np.uint8)
    assert measure_backdrop(image, alpha).tint < 0.02


def test_a_backdrop_hidden_burnt_out_or_black_is_none():
    image, alpha = scene()
    assert measure_backdrop(image, np.full_like(alpha, 255)).colour is None
    assert measure_backdrop(np.full_like(image, 255), alpha).colour is None
    assert measure_backdrop(np.zeros_like(image), alpha).colour is None
    assert measure_backdrop(image, alpha, least_share=0.99).colour is None


def test_one_tint_on_everything_is_believed_sooner_than_a_tinted_sheet_under_white_goods():
    light = (0.85, 1, 1.12)
    cast = measure_backdrop(*scene(light=light))
    sheet = tuple(int(v) for v in np.round(255 * linear_to_srgb(decode_srgb8(np.array([190] * 3, np.uint8)) * light)))
    painted = measure_backdrop(*scene(ground=sheet, product=(225, 225, 225)))
    assert cast.tint == pytest.approx(painted.tint, abs=0.02)
    assert cast.belief > 0.9 > painted.belief


def test_blue_light_is_believed_sooner_than_yellow_and_green_never():
    def belief(light):
        return measure_backdrop(*scene(light=light)).belief

    assert belief((0.87, 1, 1.13)) > belief((1.13, 1, 0.87))
    assert belief((1, 1.25, 1)) < 0.9


def test_a_picture_without_a_product_is_measured_too():
    image, alpha = scene()
    found = measure_backdrop(image, np.zeros_like(alpha))
    assert found.colour is not None and not found.product.any()
