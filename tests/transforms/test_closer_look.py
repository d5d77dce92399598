import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.handlers import Segmentation
from models.handlers.occupancy import Share
from transforms.closer_look import Part, merge_closer_look, part_to_enlarge

SIZE = 96


def mask_with(x, y, width, height, value=255):
    mask = np.zeros((SIZE, SIZE), np.uint8)
    mask[y : y + height, x : x + width] = value
    return mask


def found(mask, presence=0.9, **fields):
    return Segmentation(mask, presence, **fields)


def test_a_small_product_is_enlarged_with_ground_around_it():
    part = part_to_enlarge(mask_with(48, 24, 24, 24), 400, 400)
    assert (part.left, part.top) == (pytest.approx(0.475), pytest.approx(0.225))
    assert (part.right, part.bottom) == (pytest.approx(0.775), pytest.approx(0.525))
    rows, columns = part.of(400, 400)
    assert (rows, columns) == (slice(90, 210), slice(190, 310))


def test_the_ground_around_is_as_wide_on_all_sides_of_a_frame_that_is_not_square():
    part = part_to_enlarge(mask_with(40, 40, 10, 10), 960, 480)  # 100 x 50 pixels of the frame
    rows, columns = part.of(960, 480)
    assert (columns.stop - columns.start, rows.stop - rows.start) == (120, 70)


@pytest.mark.parametrize(
    "mask",
    [mask_with(0, 0, 0, 0), mask_with(10, 10, 40, 40, value=90), mask_with(8, 8, 80, 80), mask_with(0, 0, 96, 96)],
)
def test_nothing_and_large_products_are_not(mask):
    assert part_to_enlarge(mask, 300, 400) is None


def test_islands_do_not_widen_the_part():
    mask = mask_with(40, 40, 20, 20)
    expected = part_to_enlarge(mask, 300, 300)
    mask[90:93, 2:5] = 255
    assert part_to_enlarge(mask, 300, 300) == expected


@settings(deadline=None, max_examples=60)
@given(
    st.integers(0, 95),
    st.integers(0, 95),
    st.integers(1, 96),
    st.integers(1, 96),
    st.integers(1, 500),
    st.integers(1, 500),
)
def test_a_part_lies_in_its_frame_whatever_its_size(x, y, across, down, width, height):
    part = part_to_enlarge(mask_with(x, y, across, down), width, height)
    if part is not None:
        for sides in ((width, height), (SIZE, SIZE)):
            rows, columns = part.of(*sides)
            assert 0 <= columns.start < columns.stop <= sides[0]
            assert 0 <= rows.start < rows.stop <= sides[1]
        assert np.zeros((height, width))[part.of(width, height)].size


def test_what_the_closer_look_saw_takes_its_place():
    rough = mask_with(40, 40, 20, 20)
    part = part_to_enlarge(rough, SIZE, SIZE)
    rows, columns = part.of(SIZE, SIZE)
    truth = cv2.circle(np.zeros((SIZE, SIZE), np.uint8), (50, 50), 10, 255, -1)
    closer = cv2.resize(truth[rows, columns], (SIZE, SIZE), interpolation=cv2.INTER_LINEAR)
    merged = merge_closer_look(
        found(rough, 0.8, milliseconds=3.0, share=Share(3.0, 1.0, 1.5)),
        part,
        found(closer, 0.95, milliseconds=4.0, share=Share(4.0, 2.0, 8.0)),
    )
    difference = cv2.absdiff(merged.mask, truth) > 127
    assert difference.sum() < 12 < (cv2.absdiff(rough, truth) > 127).sum()
    assert merged.presence == 0.8 and merged.milliseconds == 7.0
    assert merged.share == Share(7.0, 3.0, 1.5)
    np.testing.assert_array_equal(rough, mask_with(40, 40, 20, 20))  # as it was


@pytest.mark.parametrize(
    ("closer", "presence"),
    [(np.full((SIZE, SIZE), 255, np.uint8), 0.3), (mask_with(0, 0, 20, 20), 0.95), (mask_with(0, 0, 0, 0), 0.95)],
    ids=["no product", "something else", "nothing"],
)
def test_a_closer_look_at_something_else_changes_nothing(closer, presence):
    first = mask_with(40, 40, 20, 20)
    merged = merge_closer_look(found(first), Part(0.4, 0.4, 0.65, 0.65), found(closer, presence))
    np.testing.assert_array_equal(merged.mask, first)
