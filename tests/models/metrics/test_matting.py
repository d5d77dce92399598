import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.metrics import matting

ERRORS = (
    matting.sum_of_absolute_differences,
    matting.mean_squared_error,
    matting.gradient_error,
    matting.connectivity_error,
)


def soft_disc(radius=20.0, centre=(32.0, 32.0), size=64, softness=3.0):
    y, x = np.mgrid[:size, :size]
    return np.clip((radius - np.hypot(y - centre[0], x - centre[1])) / softness + 0.5, 0, 1)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_equal_mattes_have_no_error_and_others_the_same_both_ways(seed):
    rng = np.random.default_rng(seed)
    a, b = (np.clip(cv2.GaussianBlur(rng.normal(0.5, 2, (24, 31)), (0, 0), 2), 0, 1) for _ in range(2))
    for error in ERRORS:
        assert error(a, a) == 0
        assert error(a, b) == pytest.approx(error(b, a))
        assert error(a, b) > 0


def test_sums_are_of_thousands_of_pixels_in_a_megapixel():
    truth = np.zeros((100, 200))
    off = truth.copy()
    off[:10, :20] = 0.5  # 100 pixels' worth in 20,000: 5,000 in a megapixel
    assert matting.sum_of_absolute_differences(off, truth) == pytest.approx(5)
    assert matting.mean_squared_error(off, truth) == pytest.approx(2.5)


def test_figures_do_not_depend_on_the_size_of_the_frame():
    a, b = soft_disc(20), soft_disc(21)
    tiled = [np.tile(alpha, (2, 2)) for alpha in (a, b)]
    for error in ERRORS[:3]:
        assert error(*tiled) == pytest.approx(error(a, b), rel=1e-6)


def test_the_gradient_of_a_ramp_is_its_slope():
    ramp = np.tile(np.arange(60) / 100, (40, 1))
    flat = np.zeros((40, 60))
    inner = matting.gradient_error(ramp, flat)
    assert inner == pytest.approx(1000 * 0.01**2, rel=0.1)


def test_the_gradient_error_sees_a_blurred_edge():
    sharp = soft_disc(softness=1)
    assert matting.gradient_error(soft_disc(softness=8), sharp) > 4 * matting.gradient_error(
        soft_disc(softness=2), sharp
    )


def test_connectivity_counts_alpha_that_is_not_there_and_forgives_a_trace():
    truth = soft_disc()
    floating, faint = truth.copy(), truth.copy()
    floating[2:6, 2:6] = 0.6
    faint[2:6, 2:6] = 0.1
    assert matting.connectivity_error(floating, truth) == pytest.approx(1000 * 16 * 0.6 / 64**2, rel=1e-6)
    assert matting.connectivity_error(faint, truth) == 0
    assert matting.connectivity_error(np.ones_like(truth), truth) > 500


def test_connectivity_counts_a_strap_torn_off_more_than_its_gap():
    truth = soft_disc(14)
    truth[31:33, 40:62] = 0.7
    thinned, torn = truth.copy(), truth.copy()
    thinned[31:33, 58:62] = 0.0  # its end is missing
    torn[31:33, 48:52] = 0.0  # as much from its middle: the rest hangs in the air in both, and counts once
    assert matting.connectivity_error(torn, truth) >= matting.connectivity_error(thinned, truth) > 0


def test_a_second_shoe_found_in_full_is_no_error():
    pair = np.maximum(soft_disc(12, (20, 20)), soft_disc(10, (46, 46)))
    assert matting.connectivity_error(pair, pair) == 0
    assert matting.connectivity_error(soft_disc(12, (20, 20)), pair) > 0


def test_nothing_opaque_in_common_makes_all_alpha_disconnected():
    thin, none = np.full((10, 10), 0.4), np.zeros((10, 10))
    assert matting.connectivity_error(thin, none) == pytest.approx(400)


def test_edge_colours_of_the_truth_are_right_on_any_ground():
    alpha, rng = soft_disc(), np.random.default_rng(0)
    colours = rng.integers(0, 256, (64, 64, 3)).astype(np.uint8)
    for ground in ((0, 0, 0), (0, 255, 0)):
        assert matting.edge_colour_error(colours, alpha, colours, alpha, ground) == 0


def test_colour_errors_count_by_alpha_and_only_at_the_edge():
    alpha = np.full((10, 10), 0.5)
    alpha[:5] = 1.0
    true = np.full((10, 10, 3), 100, np.uint8)
    off = true.copy()
    off[5:] += 20
    off[:5] += 90  # inside: no edge
    assert matting.edge_colour_error(off, alpha, true, alpha, (0, 0, 0)) == pytest.approx(10)
    assert matting.edge_colour_error(off, alpha, true, alpha, (0, 255, 0)) == pytest.approx(10)


def test_a_halo_shows_on_black_and_a_hole_on_green():
    true_alpha = np.full((4, 4), 0.5)
    white = np.full((4, 4, 3), 255, np.uint8)
    assert matting.edge_colour_error(white, np.full((4, 4), 0.7), white, true_alpha, (0, 0, 0)) == pytest.approx(51)
    green = matting.edge_colour_error(white, np.full((4, 4), 0.3), white, true_alpha, (0, 255, 0))
    assert green == pytest.approx(51 * 2 / 3)


def test_a_hard_truth_has_no_edge():
    hard = np.zeros((6, 6))
    hard[2:4] = 1
    colours = np.zeros((6, 6, 3), np.uint8)
    assert np.isnan(matting.edge_colour_error(colours, hard, colours, hard, (0, 0, 0)))


def test_shapes_that_differ_are_named():
    with pytest.raises(ValueError, match=r"\(4, 4\) and \(4, 5\)"):
        matting.gradient_error(np.zeros((4, 4)), np.zeros((4, 5)))
    with pytest.raises(ValueError, match="do not belong"):
        matting.edge_colour_error(
            np.zeros((3, 3, 3)), np.zeros((4, 4)), np.zeros((4, 4, 3)), np.zeros((4, 4)), (0, 0, 0)
        )
