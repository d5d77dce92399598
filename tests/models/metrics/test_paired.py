import numpy as np
import pytest
from scipy import stats

from models.metrics.paired import t_interval, two_way_interval


def test_the_t_interval_is_scipys():
    values = np.array([0.02, 0.05, -0.01, 0.03, 0.04])
    wanted = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert t_interval(values) == pytest.approx((wanted.low, wanted.high))
    with pytest.raises(ValueError, match="1 repetitions"):
        t_interval(values[:1])


def test_one_difference_everywhere_has_no_width():
    assert two_way_interval(np.full((3, 10), 0.2), np.arange(10) % 4) == pytest.approx((0.2, 0.2))


def test_the_interval_covers_the_mean_at_least_as_often_as_it_says():
    rng = np.random.default_rng(0)
    covered = 0
    for trial in range(60):
        of_seed, of_group = rng.normal(0, 0.1, (5, 1)), rng.normal(0, 0.2, 20)
        groups = np.repeat(np.arange(20), 3)
        differences = 0.1 + of_seed + of_group[groups] + rng.normal(0, 0.3, (5, 60))
        low, high = two_way_interval(differences, groups, draws=400, seed=trial)
        covered += low <= 0.1 <= high
    assert covered >= 54


def test_whole_groups_are_drawn():
    """Twenty photos of two sellers are no twenty independent ones."""
    differences = np.array([[1.0] * 10 + [0.0] * 10] * 3)
    apart, together = (two_way_interval(differences, groups) for groups in (np.arange(20), np.arange(20) // 10))
    assert together == (0, 1)
    assert apart[0] > 0.2 and apart[1] < 0.8
