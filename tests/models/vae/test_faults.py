import numpy as np
import pytest

from models.vae.faults import FAULTS, detail, label, two_products, watermark


def picture(height=80, width=60):
    image = np.full((height, width, 3), 120, np.uint8)
    image[:, : width // 2] = (40, 90, 160)
    alpha = np.zeros((height, width), np.uint8)
    alpha[10 : height - 10, 8 : width - 8] = 255
    return image, alpha


@pytest.mark.parametrize("name", FAULTS)
def test_every_fault_changes_the_picture_and_nothing_it_was_given(name):
    first, second = picture(), picture(50, 90)
    before = [plane.copy() for plane in (*first, *second)]
    image, alpha = FAULTS[name](first, second, np.random.default_rng(4))
    assert image.shape[:2] == alpha.shape and image.dtype == alpha.dtype == np.uint8
    assert image.shape != first[0].shape or (image != first[0]).any()
    for plane, kept in zip((*first, *second), before, strict=True):
        np.testing.assert_array_equal(plane, kept)


@pytest.mark.parametrize("name", FAULTS)
def test_the_same_seed_gives_the_same_fault(name):
    found = [FAULTS[name](picture(), picture(50, 90), np.random.default_rng(4))[0] for _ in range(2)]
    np.testing.assert_array_equal(*found)


@pytest.mark.parametrize("name", FAULTS)
@pytest.mark.parametrize("size", [(5, 4), (9, 200)])
def test_tiny_and_flat_products_are_no_trouble(name, size):
    image, alpha = np.full((*size, 3), 9, np.uint8), np.full(size, 255, np.uint8)
    for seed in range(6):
        FAULTS[name]((image, alpha), picture(), np.random.default_rng(seed))


def test_overlays_leave_the_matte():
    for fault in (watermark, label):
        image, alpha = fault(picture(), picture(), np.random.default_rng(1))
        np.testing.assert_array_equal(alpha, picture()[1])
        assert 0.005 < (image != picture()[0]).any(axis=-1).mean() < 0.9


def test_a_detail_is_all_product_and_a_collage_shows_both():
    assert (detail(picture(), picture(), np.random.default_rng(0))[1] == 255).all()
    _, alpha = two_products(picture(), picture(), np.random.default_rng(0))
    assert (alpha >= 128).sum() == pytest.approx(2 * (picture()[1] >= 128).sum(), rel=0.05)
