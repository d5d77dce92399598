import numpy as np
import pytest

from models.segmentation.augment import SampleMaker
from models.segmentation.examples import WORKING_SIZE, Examples
from models.segmentation.feeding import BatchMaker, BatchSequence, batches, tf_batches


@pytest.fixture(scope="module")
def make():
    rng = np.random.default_rng(1)
    names = np.array(["a", "b"])
    images = rng.integers(0, 256, (2, WORKING_SIZE, WORKING_SIZE, 3), np.uint8)
    labels = np.zeros((2, WORKING_SIZE, WORKING_SIZE), np.uint8)
    labels[:, 100:200, 80:220] = 255
    photos = Examples(names, names, images, labels, np.full_like(labels, 255))
    return BatchMaker(SampleMaker(photos, photos, photos), size=32, batch_size=2, seed=3)


def assert_same(batch, arrays):
    images, targets = batch
    for found, wanted in zip((images, targets["mask"], targets["presence"]), arrays, strict=True):
        np.testing.assert_array_equal(np.asarray(found), wanted)


def test_a_batch_is_fixed_by_seed_and_step(make):
    for a, b in zip(make(5), make(5), strict=True):
        np.testing.assert_array_equal(a, b)
    assert not np.array_equal(make(5)[0], make(6)[0])
    images, targets, presences = make(0)
    assert images.shape == (2, 32, 32, 3) and targets.shape == (2, 16, 16, 2) and presences.shape == (2, 1)
    assert {array.dtype for array in (images, targets, presences)} == {np.dtype(np.float32)}


def test_tf_data_keeps_the_order_with_several_workers(make):
    stream = list(tf_batches(make, 4, 6, workers=3))
    assert len(stream) == 6
    for step, batch in enumerate(stream, 4):
        assert_same(batch, make(step))


def test_without_tensorflow_the_batches_are_the_same(make, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    sequence = batches(make, 4, 2)
    assert isinstance(sequence, BatchSequence) and len(sequence) == 2
    for step in (4, 5):
        assert_same(sequence[step - 4], make(step))
