import numpy as np
import pytest
from scipy import stats

from models.metrics.ranking import auroc, auroc_draws


def test_known_areas():
    assert auroc([1, 2, 3], [4, 5]) == 1
    assert auroc([4, 5], [1, 2, 3]) == 0
    assert auroc([1, 1], [1]) == 0.5
    assert auroc([1, 3], [2, 4]) == 0.75


def test_the_area_is_the_statistic_of_mann_and_whitney():
    rng = np.random.default_rng(0)
    clean, faulty = rng.integers(0, 30, 90), rng.integers(5, 35, 70)  # with ties
    expected = stats.mannwhitneyu(faulty, clean).statistic / (90 * 70)
    assert auroc(clean, faulty) == pytest.approx(expected, abs=1e-6)


def test_draws_scatter_around_the_area_and_more_so_with_few_groups():
    rng = np.random.default_rng(1)
    clean, faulty = rng.normal(0, 1, 200), rng.normal(1, 1, 200)
    many, few = ([str(i % n) for i in range(200)] for n in (100, 4))
    for groups in (many, few):
        draws = auroc_draws(clean, faulty, (groups, groups), draws=300)
        assert draws.mean() == pytest.approx(auroc(clean, faulty), abs=0.02)
    one = auroc_draws(clean, faulty, (["x"] * 200, ["x"] * 200), draws=5)
    np.testing.assert_allclose(one, auroc(clean, faulty), atol=1e-5)


def test_nothing_to_compare_is_an_error():
    with pytest.raises(ValueError, match="0 clean and 1 faulty"):
        auroc([], [1.0])
