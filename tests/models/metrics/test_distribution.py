import numpy as np
import pytest
import scipy.linalg

from models.metrics.distribution import (
    Gaussian,
    fitted_gaussian,
    frechet_distance,
    gaussian_distance,
    kernel_distance,
    polynomial_mmd,
)


@pytest.fixture
def sets():
    rng = np.random.default_rng(0)
    return rng.normal(0, 1, (300, 8)), rng.normal(0.5, 1.5, (200, 8))


def covariance(rng, d):
    factor = rng.normal(0, 1, (d, d))
    return factor @ factor.T + 0.1 * np.eye(d)


def test_gaussians_along_the_axes_have_the_closed_form():
    a, b = np.array([1.0, 4.0, 9.0]), np.array([4.0, 1.0, 0.25])
    first, second = Gaussian(np.array([0.0, 1, 2]), np.diag(a)), Gaussian(np.array([2.0, 1, 0]), np.diag(b))
    wanted = 8 + ((np.sqrt(a) - np.sqrt(b)) ** 2).sum()
    assert gaussian_distance(first, second) == pytest.approx(wanted, abs=1e-6)


def test_commuting_covariances_have_the_closed_form():
    turn = scipy.linalg.qr(np.random.default_rng(1).normal(size=(6, 6)))[0]
    a, b = np.arange(1.0, 7), np.arange(6.0, 0, -1) / 3
    first, second = (Gaussian(np.zeros(6), turn @ np.diag(values) @ turn.T) for values in (a, b))
    assert gaussian_distance(first, second) == pytest.approx(((np.sqrt(a) - np.sqrt(b)) ** 2).sum(), abs=1e-6)


def test_any_covariances_agree_with_the_square_root_of_their_product():
    rng = np.random.default_rng(2)
    a, b = covariance(rng, 12), covariance(rng, 12)
    root = scipy.linalg.sqrtm(a @ b).real  # as in clean-fid and TTUR
    wanted = np.trace(a) + np.trace(b) - 2 * np.trace(root)
    assert gaussian_distance(Gaussian(np.zeros(12), a), Gaussian(np.zeros(12), b)) == pytest.approx(wanted, abs=1e-6)


def test_fewer_pictures_than_features_are_no_trouble():
    rng = np.random.default_rng(3)
    few = rng.normal(size=(10, 40))
    # 31 eigenvalues are zero but for rounding, whose roots add up
    assert frechet_distance(few, few) == pytest.approx(0, abs=1e-5)
    assert frechet_distance(few, few + 1) == pytest.approx(40, abs=1e-5)


def test_the_covariance_is_numpys(sets):
    gaussian = fitted_gaussian(sets[0])
    np.testing.assert_allclose(gaussian.covariance, np.cov(sets[0], rowvar=False))
    np.testing.assert_allclose(gaussian.mean, sets[0].mean(axis=0))


def test_the_frechet_distance_is_symmetric_and_zero_on_itself(sets):
    assert frechet_distance(*sets) == pytest.approx(frechet_distance(*sets[::-1]), abs=1e-9)
    assert frechet_distance(sets[0], sets[0]) == pytest.approx(0, abs=1e-9)


def clean_fid_kernel_distance(first, second):
    """The formula of clean-fid for one subset, from its paper and readme."""
    n, m = first.shape[1], len(first)
    a = (first @ first.T / n + 1) ** 3 + (second @ second.T / n + 1) ** 3
    b = (first @ second.T / n + 1) ** 3
    return ((a.sum() - np.diag(a).sum()) / (m - 1) - b.sum() * 2 / m) / m


def test_the_kernel_distance_is_clean_fids(sets):
    first, second = sets[0][:200], sets[1]
    assert polynomial_mmd(first, second) == pytest.approx(clean_fid_kernel_distance(first, second), abs=1e-9)


def test_the_kernel_distance_is_symmetric_and_unbiased(sets):
    assert polynomial_mmd(*sets) == pytest.approx(polynomial_mmd(*sets[::-1]), abs=1e-12)
    draw = np.random.default_rng(4)
    alike = [polynomial_mmd(draw.normal(size=(20, 4)), draw.normal(size=(20, 4))) for _ in range(400)]
    assert abs(np.mean(alike)) < 3 * np.std(alike) / np.sqrt(len(alike))
    assert min(alike) < 0


def test_subsets_give_a_mean_and_a_deviation(sets):
    found = kernel_distance(*sets, subsets=60, size=100, seed=1)
    assert found == kernel_distance(*sets, subsets=60, size=100, seed=1)
    assert (found.subsets, found.size) == (60, 100)
    assert found.value == pytest.approx(polynomial_mmd(*sets), abs=3 * found.deviation / np.sqrt(60) + 0.1)
    assert found.deviation > 0
    assert kernel_distance(*sets, subsets=2).size == 200  # no more than there are
    whole = kernel_distance(sets[0][:200], sets[1])
    assert (whole.subsets, whole.deviation) == (1, 0)
    assert whole.value == pytest.approx(polynomial_mmd(sets[0][:200], sets[1]))


@pytest.mark.parametrize("distance", [frechet_distance, polynomial_mmd])
def test_distances_grow_with_noise_and_with_shift(sets, distance):
    rng = np.random.default_rng(5)
    noises = [distance(sets[0], sets[0] + level * rng.normal(size=sets[0].shape)) for level in (0.5, 1, 2)]
    shifts = [distance(sets[0], sets[0] + level) for level in (0.5, 1, 2)]
    assert noises == sorted(noises) and shifts == sorted(shifts)


@pytest.mark.parametrize(
    ("features", "message"),
    [
        (np.zeros((1, 3)), r"\(1, 3\)"),
        (np.zeros(3), r"\(3,\)"),
        (np.full((4, 3), np.nan), "not finite"),
        (np.zeros((4, 2)), "3 and of 2 numbers"),
    ],
)
def test_features_that_cannot_be_compared_are_named(features, message):
    with pytest.raises(ValueError, match=message):
        frechet_distance(np.random.default_rng(0).normal(size=(5, 3)), features)
