import keras
import numpy as np
import pytest

from models.gan.diff_augment import augment


def changed(images, *operations, ground=0.9, seed=1):
    return keras.ops.convert_to_numpy(augment(images, operations, keras.random.SeedGenerator(seed), ground))


@pytest.fixture
def images():
    return np.random.default_rng(0).uniform(-1, 1, (6, 16, 16, 3)).astype(np.float32)


def test_translation_moves_whole_pixels_both_ways_and_fills_with_the_ground(images):
    moved = changed(images, "translation")
    for before, after in zip(images, moved, strict=True):
        found = [
            (y, x)
            for y in range(-2, 3)
            for x in range(-2, 3)
            if np.allclose(
                after[max(0, -y) : 16 - max(0, y), max(0, -x) : 16 - max(0, x)],
                before[max(0, y) : 16 + min(0, y), max(0, x) : 16 + min(0, x)],
                atol=1e-5,
            )
        ]
        assert len(found) == 1
        y, x = found[0]
        assert not y or np.allclose(after[-y:] if y > 0 else after[:-y], 0.9, atol=1e-5)
        assert not x or np.allclose(after[:, -x:] if x > 0 else after[:, :-x], 0.9, atol=1e-5)
    assert not np.allclose(moved, images)


def test_cutout_fills_a_square_with_the_ground(images):
    cut = changed(images, "cutout")
    hole = np.isclose(cut, 0.9).all(axis=-1)
    assert (hole.sum(axis=(1, 2)) <= 64).all() and (hole.sum(axis=(1, 2)) >= 16).all()
    np.testing.assert_array_equal(cut[~hole], images[~hole])


def test_colour_changes_every_picture_in_its_own_way_and_gradients_flow(images):
    alike = np.repeat(images[:1], 6, axis=0)
    coloured = changed(alike, "colour")
    assert len(np.unique(coloured.mean(axis=(1, 2, 3)).round(4))) == 6
    assert not np.allclose(coloured, alike)


def test_no_operation_changes_nothing(images):
    np.testing.assert_array_equal(changed(images), images)
