import cv2
import numpy as np
import pytest

from transforms.islands import drop_islands


@pytest.fixture
def product():
    mask = np.zeros((128, 128), np.uint8)
    mask[40:100, 30:90] = 255
    return mask


def with_part(mask, rows, columns):
    mask = mask.copy()
    mask[rows, columns] = 255
    return mask


@pytest.mark.parametrize(
    ("rows", "columns"),
    [
        (slice(0, 20), slice(0, 20)),  # a corner of a chair: 11 %, at the frame
        (slice(10, 16), slice(100, 110)),  # a speck: 2 %
    ],
)
def test_small_parts_beside_the_product_go(product, rows, columns):
    np.testing.assert_array_equal(drop_islands(with_part(product, rows, columns)), product)


@pytest.mark.parametrize(
    ("rows", "columns"),
    [
        (slice(5, 30), slice(100, 125)),  # another shoe: 17 %, whole
        (slice(40, 100), slice(100, 128)),  # half as large, cut by the frame
        (slice(34, 38), slice(50, 54)),  # a dash of a strap, next to the product
    ],
)
def test_large_parts_stay(product, rows, columns):
    both = with_part(product, rows, columns)
    np.testing.assert_array_equal(drop_islands(both), both)


def test_the_soft_rim_of_an_island_goes_with_it(product):
    dirty = np.maximum(
        product, cv2.GaussianBlur(with_part(np.zeros_like(product), slice(0, 14), slice(0, 14)), (0, 0), 2)
    )
    assert drop_islands(dirty)[:20, :20].max() <= 8


@pytest.mark.parametrize("value", [0, 100, 255])
def test_a_mask_of_one_value_is_left_alone(value):
    mask = np.full((64, 64), value, np.uint8)
    np.testing.assert_array_equal(drop_islands(mask), mask)


def test_the_product_itself_keeps_its_soft_edge(product):
    soft = cv2.GaussianBlur(product, (0, 0), 3)
    cleaned = drop_islands(with_part(soft, slice(0, 8), slice(0, 8)))
    np.testing.assert_array_equal(cleaned[24:, 14:], soft[24:, 14:])
