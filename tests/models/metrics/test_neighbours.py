import numpy as np
import pytest

from models.metrics import neighbours
from models.metrics.neighbours import nearest, radii


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(neighbours, "_ROWS", 7)


def test_the_nearest_are_those_of_all_distances():
    rng = np.random.default_rng(0)
    queries, points = rng.normal(100, 1, (20, 5)), rng.normal(100, 1, (30, 5))
    every = np.sqrt(((queries[:, None] - points[None]) ** 2).sum(axis=-1))
    distances, positions = nearest(queries, points, 3)
    np.testing.assert_array_equal(positions, np.argsort(every, axis=1)[:, :3])
    np.testing.assert_allclose(distances, np.sort(every, axis=1)[:, :3])


def test_the_reach_leaves_the_picture_itself_out():
    assert radii(np.array([[0.0], [1.0], [3.0]]), 1).tolist() == [1, 1, 2]
    assert radii(np.array([[0.0], [1.0], [3.0]]), 2).tolist() == [3, 2, 3]


def test_too_few_points_are_named():
    with pytest.raises(ValueError, match="4 neighbours were asked for of 3"):
        nearest(np.zeros((2, 1)), np.zeros((3, 1)), 4)
    with pytest.raises(ValueError, match="k=3 must be .* below the number of pictures, 3"):
        radii(np.zeros((3, 1)), 3)
