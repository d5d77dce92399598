import numpy as np
import pytest

from models.metrics.bootstrap import bootstrap_interval, tail_mean


def test_the_interval_holds_the_mean_and_shrinks_with_n():
    rng = np.random.default_rng(0)
    few, many = rng.normal(0.9, 0.05, 20), rng.normal(0.9, 0.05, 2000)
    low, high = bootstrap_interval(few)
    assert low < few.mean() < high
    assert np.ptp(bootstrap_interval(many)) < (high - low) / 4


def test_the_interval_covers_the_mean_as_often_as_it_says():
    rng = np.random.default_rng(1)
    hits = 0
    for _ in range(200):
        low, high = bootstrap_interval(rng.normal(0, 1, 60), draws=400)
        hits += low <= 0 <= high
    assert 0.88 < hits / 200 < 0.99


def test_photos_of_one_seller_count_as_drawn_together():
    sellers = np.repeat(np.arange(8), 10)
    scores = np.random.default_rng(2).normal(0.9, 0.05, 8)[sellers]
    assert np.ptp(bootstrap_interval(scores, groups=sellers)) > 2 * np.ptp(bootstrap_interval(scores))


def test_groups_of_one_are_no_groups():
    scores = np.random.default_rng(3).random(30)
    assert bootstrap_interval(scores, groups=list(range(30))) == bootstrap_interval(scores)


def test_the_worst_tenth():
    scores = np.arange(20) / 20
    assert tail_mean(scores) == pytest.approx((0 + 0.05) / 2)
    assert tail_mean(scores, 1.0) == pytest.approx(scores.mean())
    assert tail_mean(np.array([0.3, 0.2, 0.9])) == pytest.approx(0.2)  # at least one counts
    assert tail_mean(np.arange(15.0)) == pytest.approx((1 * 0 + 0.5 * 1) / 1.5)
    low, high = bootstrap_interval(scores, tail=0.1)
    assert low <= tail_mean(scores) <= high < 0.5


def test_nothing_and_uneven_groups_are_errors():
    with pytest.raises(ValueError, match="0 scores"):
        bootstrap_interval(np.zeros(0))
    with pytest.raises(ValueError, match="2 groups were given for 3"):
        bootstrap_interval(np.zeros(3), groups=["a", "b"])
