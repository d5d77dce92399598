import keras
import numpy as np
import pytest

from models.segmentation import losses


def target(label, weight=None):
    weight = np.ones_like(label) if weight is None else weight
    return np.stack([label, weight], -1).astype(np.float32)


@pytest.fixture
def half():
    label = np.zeros((1, 32, 32), np.float32)
    label[:, :, 16:] = 1
    return label


def number(value) -> float:
    return float(keras.ops.convert_to_numpy(value).mean())


def test_a_right_answer_costs_next_to_nothing_and_a_wrong_one_much(half):
    right = (half[..., None] * 2 - 1) * 20
    assert number(losses.mask_loss(target(half), right)) < 0.01
    assert number(losses.mask_loss(target(half), -right)) > 5


def test_pixels_of_no_weight_cost_nothing(half):
    weight = np.ones_like(half)
    weight[:, :, :8] = 0
    right = (half[..., None] * 2 - 1) * 20
    wrong_there = right.copy()
    wrong_there[:, :, :8] *= -1
    assert number(losses.mask_loss(target(half, weight), wrong_there)) == pytest.approx(
        number(losses.mask_loss(target(half, weight), right)), abs=1e-6
    )


def test_cross_entropy_is_that_of_the_definition(half):
    logits = np.random.default_rng(0).normal(0, 3, (1, 32, 32, 1)).astype(np.float32)
    p = 1 / (1 + np.exp(-logits[..., 0].astype(float)))
    expected = -(half * np.log(p) + (1 - half) * np.log(1 - p)).sum() / (half.size + 1)
    assert number(losses.weighted_cross_entropy(target(half), logits, boundary=0.0)) == pytest.approx(
        expected, rel=1e-4
    )


def test_soft_iou_of_hard_masks_is_one_minus_iou(half):
    shifted = np.roll(half, 4, axis=2)
    expected = 1 - ((half * shifted).sum() + 1) / (np.maximum(half, shifted).sum() + 1)
    assert number(losses.soft_iou(target(half), (shifted[..., None] * 2 - 1) * 40)) == pytest.approx(expected, rel=1e-4)


def test_soft_iou_does_not_ask_a_photo_without_product_for_one():
    empty = np.zeros((1, 32, 32), np.float32)
    assert number(losses.soft_iou(target(empty), np.full((1, 32, 32, 1), -3, np.float32))) == 0


def test_edges_count_more(half):
    near, far = np.full((1, 32, 32, 1), 20.0, np.float32) * (half[..., None] * 2 - 1), None
    far = near.copy()
    near[:, :4, 16] *= -1
    far[:, :4, 31] *= -1
    assert number(losses.weighted_cross_entropy(target(half), near)) > number(
        losses.weighted_cross_entropy(target(half), far)
    )


def test_structural_dissimilarity_is_zero_for_the_label_itself_and_one_for_nothing_alike(half):
    textured = (np.indices((32, 32)).sum(0) % 2).astype(np.float32)[None]
    logits = (textured[..., None] * 2 - 1) * 30
    assert number(losses.structural_dissimilarity(target(textured), logits)) == pytest.approx(0, abs=1e-3)
    assert number(losses.structural_dissimilarity(target(textured), -logits)) > 1.5  # anticorrelated


def test_laplacian_distance_knows_a_moved_edge_from_a_right_one(half):
    right = (half[..., None] * 2 - 1) * 30
    assert number(losses.laplacian_distance(target(half), right)) == pytest.approx(0, abs=1e-5)
    near = np.roll(half, 1, axis=2)[..., None] * 60 - 30
    far = np.roll(half, 6, axis=2)[..., None] * 60 - 30
    costs = [number(losses.laplacian_distance(target(half), moved)) for moved in (near, far)]
    assert 0 < costs[0] < costs[1]


@pytest.mark.parametrize("name", ["structural_dissimilarity", "laplacian_distance"])
def test_the_optional_terms_ignore_pixels_of_no_weight(half, name):
    weight = np.ones_like(half)
    weight[:, :, :16] = 0
    right = (half[..., None] * 2 - 1) * 30
    wrong_there = right.copy()
    wrong_there[:, :, :5] *= -1  # further from the trusted half than the window reaches
    term = getattr(losses, name)
    assert number(term(target(half, weight), wrong_there)) == pytest.approx(
        number(term(target(half, weight), right)), abs=1e-5
    )


def test_only_the_asked_for_terms_count(half):
    wrong = (half[..., None] * -2 + 1) * 5
    nothing = losses.LossWeights(cross_entropy=0, soft_iou=0)
    assert number(losses.mask_loss(target(half), wrong, nothing)) == 0
    both = number(losses.mask_loss(target(half), wrong, losses.LossWeights(soft_iou=0, ssim=2)))
    alone = number(losses.mask_loss(target(half), wrong, losses.LossWeights(soft_iou=0)))
    assert both - alone == pytest.approx(2 * number(losses.structural_dissimilarity(target(half), wrong)), rel=1e-4)
