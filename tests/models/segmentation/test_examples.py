import numpy as np

from models.segmentation import examples
from models.segmentation.examples import Examples


def test_the_development_split_is_a_matter_of_the_name_alone():
    names = [f"seller{i}" for i in range(2000)]
    away = [examples.held_out(name, 20) for name in names]
    assert 0.17 < np.mean(away) < 0.23
    assert away == [examples.held_out(name, 20) for name in names]
    assert all(not a or examples.held_out(n, 30) for n, a in zip(names, away, strict=True))


def test_examples_are_taken_with_all_that_belongs_to_them():
    names = np.array(["a", "b", "c"])
    planes = np.arange(3, dtype=np.uint8)[:, None, None] * np.ones((3, 4, 4), np.uint8)
    some = Examples(names, names, np.zeros((3, 4, 4, 3), np.uint8), planes, planes)
    assert not some.reviewed.any() and some.trusted.tolist() == [False, True, True]
    taken = some.take(some.trusted)
    assert taken.ids.tolist() == ["b", "c"] and taken.labels[:, 0, 0].tolist() == [1, 2] and len(taken.reviewed) == 2


def test_an_empty_set_has_the_shapes_of_a_full_one():
    nothing = Examples.empty()
    assert len(nothing) == 0 and nothing.images.shape == (0, 320, 320, 3) and nothing.trusted.shape == (0,)
