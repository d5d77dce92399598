"""Tests of transforms/illuminant.py."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms import illuminant
from transforms.colour import LUMINANCE

LIGHTS = st.tuples(*[st.floats(0.5, 1.5)] * 3)


@pytest.mark.parametrize(("power", "order", "sigma"), [(1, 0, 0), (6, 0, 0), (np.inf, 0, 0), (1, 1, 1)])
@settings(deadline=None, max_examples=15)
@given(LIGHTS)
def test_every_estimate_finds_the_light_on_grey_things(power, order, sigma, light):
    greys = np.random.default_rng(0).uniform(0.1, 0.6, (24, 20, 1))
    found = illuminant.minkowski_illuminant(greys * np.array(light), power, order=order, sigma=sigma)
    assert illuminant.recovery_error(light, found) < 0.1
    assert found @ LUMINANCE == pytest.approx(1)


def test_clipped_pixels_are_passed_over_and_nothing_tells_nothing():
    picture = np.full((4, 4, 3), (0.4, 0.5, 0.6))
    picture[0] = 1
    valid = picture.max(axis=-1) < 1
    assert illuminant.recovery_error((4, 5, 6), illuminant.minkowski_illuminant(picture, 6, valid=valid)) < 0.01
    assert illuminant.minkowski_illuminant(picture, 6, valid=np.zeros((4, 4), bool)).tolist() == [1, 1, 1]
    assert illuminant.minkowski_illuminant(np.zeros((4, 4, 3)), 1).tolist() == [1, 1, 1]


@settings(deadline=None)
@given(LIGHTS, st.floats(0.2, 3))
def test_a_tint_is_of_the_colour_alone(light, level):
    warmth, greenness = illuminant.tint(np.array(light))
    again = illuminant.tint(np.array(light) * level)
    assert np.allclose(again, (warmth, greenness))
    assert warmth == pytest.approx(np.log(light[0] / light[2]))
    assert illuminant.tint(np.full(3, level)) == (pytest.approx(0), pytest.approx(0))


@settings(deadline=None)
@given(LIGHTS)
def test_the_right_gains_leave_no_error_and_none_leave_the_light_s_own(light):
    light = np.array(light)
    assert illuminant.reproduction_error(light, 1 / light) < 1e-4
    alone = illuminant.recovery_error(light, np.ones(3))
    assert illuminant.reproduction_error(light, np.ones(3)) == pytest.approx(alone)


def test_angles_are_those_of_geometry():
    assert illuminant.angle_between(np.array([1, 0, 0]), np.array([1, 1, 0])) == pytest.approx(45)
