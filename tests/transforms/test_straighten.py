import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.straighten import find_tilt, turn


def bar(degrees, width=60, height=180, side=320):
    """A rectangle that is turned clockwise by so many degrees."""
    corners = cv2.boxPoints(((side / 2, side / 2), (width, height), degrees))
    alpha = np.zeros((side, side), np.uint8)
    cv2.fillPoly(alpha, [np.round(corners).astype(np.int32)], 255)
    return alpha


@settings(deadline=None, max_examples=30)
@given(st.floats(-14, 14).filter(lambda d: abs(d) >= 2.5), st.booleans())
def test_a_turned_product_is_turned_back(degrees, lying):
    alpha = bar(degrees, *((180, 60) if lying else (60, 180)))
    assert find_tilt(alpha) == pytest.approx(-degrees, abs=0.8)


@settings(deadline=None, max_examples=30)
@given(st.floats(-14, 14).filter(lambda d: abs(d) >= 2.5))
def test_after_the_turn_it_is_straight(degrees):
    alpha = bar(degrees)
    assert find_tilt(turn(alpha, find_tilt(alpha))) == 0


@pytest.mark.parametrize("degrees", [0, 0.8, 25, 45, -30])
def test_what_is_straight_or_meant_to_be_askew_is_left(degrees):
    assert find_tilt(bar(degrees)) == 0


def test_what_has_no_axis_is_left():
    disc = np.zeros((200, 200), np.uint8)
    cv2.circle(disc, (90, 110), 60, 255, -1)
    assert find_tilt(disc) == 0
    assert find_tilt(np.zeros((50, 50), np.uint8)) == 0


def test_an_outstretched_sleeve_does_not_turn_a_shirt():
    shirt = bar(0, 110, 180)
    cv2.line(shirt, (200, 90), (290, 60), 255, 30)
    assert find_tilt(shirt) == 0


def test_turning_loses_nothing_and_keeps_the_edge_colours():
    alpha = bar(0)
    photo = np.full((*alpha.shape, 3), 77, np.uint8)
    turned, around = turn(alpha, 10), turn(photo, 10)
    assert turned.shape == around.shape[:2] and turned.shape[0] > alpha.shape[0]
    assert int(turned.sum()) == pytest.approx(int(alpha.sum()), rel=0.01)
    assert (around == 77).all()


def test_a_plane_of_floats_stays_within_0_and_1():
    turned = turn((bar(0) / 255).astype(np.float32), 7)
    assert turned.dtype == np.float32 and turned.min() >= 0 and turned.max() <= 1


def test_a_matte_with_a_piece_missing_is_not_turned():
    broken = bar(6, 110, 180)
    broken[90:170, 100:150] = 0
    assert find_tilt(bar(6, 110, 180)) != 0 == find_tilt(broken)


@pytest.mark.parametrize("shape", [(1, 1), (1, 3000), (3, 2)])
def test_tiny_and_thin_mattes_are_left(shape):
    assert find_tilt(np.full(shape, 255, np.uint8)) == 0
