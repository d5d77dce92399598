"""Tests of transforms/local_regression.py."""

import numpy as np

from transforms.local_regression import colour_planes, regress_on_colour, solve_symmetric


def test_systems_are_solved():
    rng = np.random.default_rng(0)
    roots = rng.random((50, 3, 3))
    matrices = roots @ roots.transpose(0, 2, 1) + 0.1 * np.eye(3)
    x = rng.random((50, 3))
    upper = [matrices[:, i, j] for i, j in ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))]
    found = np.stack(solve_symmetric(upper, list(x.T), 0.5), axis=-1)
    np.testing.assert_allclose(found, np.linalg.solve(matrices + 0.5 * np.eye(3), x[..., None])[..., 0])


def test_a_linear_target_is_explained_and_found():
    rng = np.random.default_rng(0)
    colours = colour_planes(rng.integers(0, 256, (40, 30, 3), dtype=np.uint8))
    target = (0.5 * colours[0] - 0.2 * colours[1] + 0.1 * colours[2] + 0.4).astype(np.float32)
    weight = rng.random((40, 30)).astype(np.float32)
    where = np.nonzero(np.ones((40, 30)))
    slopes, offset, explained = regress_on_colour(colours, target, weight, 4, 1e-6, where)
    np.testing.assert_allclose(np.stack(slopes).mean(axis=1), (0.5, -0.2, 0.1), atol=1e-3)
    np.testing.assert_allclose(offset, 0.4, atol=2e-3)
    assert explained.min() > 0.9


def test_pixels_without_weight_do_not_count():
    rng = np.random.default_rng(0)
    colours = colour_planes(rng.integers(0, 256, (30, 30, 3), dtype=np.uint8))
    target = colours[0].copy()
    weight = np.ones((30, 30), np.float32)
    target[10:12], weight[10:12] = 99, 0
    slopes, _, _ = regress_on_colour(colours, target, weight, 5, 1e-6, (np.array([15]), np.array([15])))
    np.testing.assert_allclose(np.ravel(slopes), (1, 0, 0), atol=1e-3)
