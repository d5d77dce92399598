import numpy as np
import pytest
from scipy.spatial.distance import cdist

from models.metrics.manifold import manifold_scores


def prdc(real, fake, k):
    """The formulas of prdc (Naeem et al. 2020), on whole distance matrices."""

    def reach(features):
        return np.sort(cdist(features, features), axis=1)[:, k]

    between, real_reach, fake_reach = cdist(real, fake), reach(real), reach(fake)
    return (
        (between < real_reach[:, None]).any(axis=0).mean(),
        (between < fake_reach[None]).any(axis=1).mean(),
        (between < real_reach[:, None]).sum(axis=0).mean() / k,
        (between.min(axis=1) < real_reach).mean(),
    )


def scores(real, generated, k=5):
    found = manifold_scores(real, generated, k=k)
    return found.precision, found.recall, found.density, found.coverage


@pytest.fixture
def real():
    return np.random.default_rng(0).normal(size=(1100, 6))  # more than a block


@pytest.mark.parametrize("k", [1, 3, 5])
def test_the_formulas_are_those_of_prdc(real, k):
    generated = np.random.default_rng(1).normal(0.3, 1.2, (300, 6))
    assert scores(real, generated, k) == pytest.approx(prdc(real, generated, k), abs=1e-12)


def test_a_set_covers_itself(real):
    assert scores(real[:300], real[:300]) == pytest.approx((1, 1, 1, 1))


def test_two_draws_of_one_distribution_are_near_the_values_to_be_expected():
    rng = np.random.default_rng(2)
    found = manifold_scores(rng.normal(size=(800, 3)), rng.normal(size=(800, 3)))
    assert found.coverage == pytest.approx(1 - 2**-5, abs=0.02)
    assert found.density == pytest.approx(1, abs=0.1)


def test_dropped_modes_lower_recall_and_coverage_and_not_precision():
    rng = np.random.default_rng(3)
    centres = np.eye(5) * 20
    real, drawn = ((centres[np.arange(300) % 5] + rng.normal(size=(300, 5))) for _ in range(2))
    found = [manifold_scores(real, drawn[np.arange(300) % 5 < modes]) for modes in (5, 4, 2, 1)]
    for name in ("recall", "coverage"):
        values = [getattr(one, name) for one in found]
        assert values == sorted(values, reverse=True)
        assert values[-1] < 0.25 < 0.85 < values[0]
    assert min(one.precision for one in found) > 0.9


def test_noise_lowers_precision_and_density_and_coverage(real):
    rng = np.random.default_rng(4)
    drawn, noise = rng.normal(size=(500, 6)), rng.normal(size=(500, 6))
    found = [manifold_scores(real, drawn + level * noise) for level in (0, 1, 3, 10)]
    for name in ("precision", "density", "coverage"):
        values = [getattr(one, name) for one in found]
        assert values == sorted(values, reverse=True) and values[-1] < values[0]


def test_an_outlier_does_not_raise_density():
    """What prdc's authors made density for: precision rises with one far real picture, density hardly."""
    rng = np.random.default_rng(5)
    real, drawn = rng.normal(size=(200, 2)), rng.normal(6, 1, (200, 2))
    outlier = np.concatenate([real, [[12.0, 12.0]]])
    found = manifold_scores(outlier, drawn)
    assert found.precision > 0.9
    assert found.density < 0.3


def test_too_few_pictures_are_named(real):
    with pytest.raises(ValueError, match="number of pictures, 5"):
        manifold_scores(real, real[:5], k=5)
