import numpy as np
import pytest

from models.metrics.segmentation import intersection_over_union
from models.segmentation import teacher


@pytest.fixture
def scene():
    rng = np.random.default_rng(3)
    image = np.full((120, 160, 3), (190, 200, 205), np.float32)
    truth = np.zeros((120, 160), bool)
    truth[30:95, 45:120] = True
    image[truth] = (150, 40, 60)
    return np.clip(image + rng.normal(0, 4, image.shape), 0, 255).astype(np.uint8), truth


@pytest.mark.parametrize("method", [teacher.grabcut_from_border, lambda i: teacher.flood_from_border(i, tolerance=15)])
def test_a_product_on_a_plain_ground_is_found(scene, method):
    image, truth = scene
    mask = method(image)
    assert mask.dtype == np.uint8 and set(np.unique(mask)) <= {0, 255}
    assert intersection_over_union(mask > 0, truth) > 0.95


def test_grabcut_is_deterministic(scene):
    first, second = teacher.grabcut_from_border(scene[0]), teacher.grabcut_from_border(scene[0])
    np.testing.assert_array_equal(first, second)


def test_a_flat_picture_has_no_product():
    assert not teacher.grabcut_from_border(np.full((40, 40, 3), 90, np.uint8)).any()


def test_refinement_pulls_a_shifted_mask_to_the_edge(scene):
    image, truth = scene
    shifted = np.roll(truth, 2, axis=1).astype(np.uint8) * 255
    refined = teacher.refine_by_grabcut(image, shifted)
    assert intersection_over_union(refined > 0, truth) > intersection_over_union(shifted > 0, truth)


def test_refinement_leaves_a_mask_without_a_sure_inside_alone(scene):
    unsure = np.full(scene[1].shape, 140, np.uint8)
    np.testing.assert_array_equal(teacher.refine_by_grabcut(scene[0], unsure), np.full_like(unsure, 255))
