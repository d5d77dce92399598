import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.metrics import segmentation as metrics


def disc(radius, centre=(32, 32), size=64):
    y, x = np.mgrid[:size, :size]
    return (y - centre[0]) ** 2 + (x - centre[1]) ** 2 <= radius**2


def test_equal_masks_score_one():
    for measure in (metrics.intersection_over_union, metrics.boundary_iou):
        assert measure(disc(20), disc(20)) == 1
        assert measure(np.zeros((8, 8), bool), np.zeros((8, 8), bool)) == 1


def test_iou_of_two_halves():
    a, b = np.zeros((10, 10), bool), np.zeros((10, 10), bool)
    a[:, :6], b[:, 4:] = True, True
    assert metrics.intersection_over_union(a, b) == pytest.approx(0.2)


def test_boundary_iou_sees_what_iou_hides():
    truth, grown = disc(28), disc(30)
    assert metrics.boundary_iou(grown, truth) < metrics.intersection_over_union(grown, truth) - 0.1


def test_a_mask_that_fills_the_frame_has_its_boundary_at_the_frame():
    full = np.ones((50, 50), bool)
    assert metrics.boundary_iou(full, full) == 1
    assert 0 < metrics.boundary_iou(disc(24, (25, 25), 50), full) < 1


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_max_f_is_that_of_trying_every_threshold(seed):
    rng = np.random.default_rng(seed)
    predicted = rng.integers(0, 256, (12, 12)).astype(np.uint8)
    truth = rng.random((12, 12)) < 0.4
    best = 0.0
    for threshold in range(1, 256):
        called = predicted >= threshold
        hits = (called & truth).sum()
        if hits:
            precision, recall = hits / called.sum(), hits / truth.sum()
            best = max(best, 1.3 * precision * recall / (0.3 * precision + recall))
    assert metrics.max_f_measure(predicted, truth) == pytest.approx(best)


def test_the_bootstrap_interval_holds_the_mean_and_shrinks_with_n():
    rng = np.random.default_rng(0)
    few, many = rng.normal(0.9, 0.05, 20), rng.normal(0.9, 0.05, 2000)
    low, high = metrics.bootstrap_interval(few)
    assert low < few.mean() < high
    assert np.ptp(metrics.bootstrap_interval(many)) < (high - low) / 4
