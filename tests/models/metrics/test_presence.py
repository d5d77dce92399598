import numpy as np
import pytest

from models.metrics.presence import area_under_curve, least_threshold, threshold_outcomes


def test_thresholds_flag_what_lies_below_them():
    outcomes = threshold_outcomes(np.array([0.4, 0.9, 1.0]), np.array([0.0, 0.1, 0.6, 0.5]), np.array([0.5, 0.95]))
    assert [(o.threshold, o.flagged_empty, round(o.flagged_product, 3)) for o in outcomes] == [
        (0.5, 0.5, 0.333),
        (0.95, 1.0, 0.667),
    ]


def test_shares_of_nothing_are_not_numbers():
    (outcome,) = threshold_outcomes(np.zeros(0), np.array([0.2]), np.array([0.5]))
    assert np.isnan(outcome.flagged_product) and outcome.flagged_empty == 1


@pytest.mark.parametrize("share", [0.5, 0.9, 0.95, 0.99, 1.0])
def test_the_least_threshold_is_enough_and_none_lower_is(share):
    empty = np.random.default_rng(0).random(40).round(2)
    threshold = least_threshold(empty, share)
    assert np.mean(empty < threshold) >= share
    assert np.mean(empty < np.nextafter(threshold, -1)) < share


def test_area_under_the_curve():
    assert area_under_curve(np.array([0.8, 0.9]), np.array([0.1, 0.2])) == 1
    assert area_under_curve(np.array([0.1]), np.array([0.8])) == 0
    assert area_under_curve(np.full(3, 0.5), np.full(4, 0.5)) == 0.5
    assert np.isnan(area_under_curve(np.zeros(0), np.zeros(2)))
