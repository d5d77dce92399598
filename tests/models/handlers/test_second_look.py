"""Doubt, the other views of a picture, and how their masks come back to it."""

import cv2
import numpy as np
import pytest

from models.handlers import SegmentationFailure
from models.handlers.second_look import DOUBTFUL, VIEWS, measure_doubt, merge_masks, other_views
from models.handlers.segmentation import Segmenter

SIZE = 96


def disc(x, y, radius):
    mask = np.zeros((SIZE, SIZE), np.uint8)
    cv2.circle(mask, (x, y), radius, 255, -1, cv2.LINE_AA)
    return mask


def picture_of(mask):
    """Returns a picture whose red channel is the mask."""
    return np.dstack([mask, np.zeros_like(mask), np.zeros_like(mask)])


class RedChannel:
    """Answers with the red channel as the mask and the first green pixel as the presence, or as it is told to."""

    size, fixed_batch = SIZE, False

    def __init__(self, answer=None):
        self.seen = []
        self.answer = answer or (lambda images: (images[..., 0], images[:, 0, 0, 1]))

    def predict(self, images):
        self.seen.extend(images)
        return self.answer(images)


def grey_square():
    mask = disc(60, 48, 30)
    mask[20:50, 10:60] = 140
    return mask


def test_an_area_of_grey_is_doubt_and_an_outline_is_not():
    assert measure_doubt(np.zeros((40, 40), np.uint8)) == 0
    mask = cv2.GaussianBlur(cv2.resize(disc(48, 48, 30), (384, 384)), (0, 0), 1)
    assert measure_doubt(mask) < 0.01
    mask[120:240, 120:280] = 120
    assert measure_doubt(mask) > DOUBTFUL


def test_views_are_mirrored_and_show_more():
    image = picture_of(disc(30, 40, 12))
    views = other_views(image)
    assert len(views) == VIEWS
    assert all(view.shape == image.shape and view.dtype == np.uint8 for view in views)
    mirrored, farther, both = views
    np.testing.assert_array_equal(mirrored, image[:, ::-1])
    np.testing.assert_array_equal(both, farther[:, ::-1])
    assert (farther[..., 0] > 127).sum() == pytest.approx((image[..., 0] > 127).sum() / 1.24**2, rel=0.05)


@pytest.mark.parametrize("size", [64, 96, 192, 321])
def test_masks_of_all_views_come_back_to_the_same_place(size):
    mask = cv2.GaussianBlur(cv2.resize(disc(30, 40, 20), (size, size)), (0, 0), 2)
    merged = merge_masks(mask, [view[..., 0] for view in other_views(picture_of(mask))])
    assert merged.dtype == np.uint8 and merged.shape == mask.shape
    assert np.abs(merged.astype(int) - mask).max() <= 6


def test_a_sure_mask_is_looked_at_once():
    backend = RedChannel()
    (result,) = Segmenter(backend).segment([picture_of(disc(48, 48, 30))])
    assert len(backend.seen) == 1
    np.testing.assert_array_equal(result.mask, disc(48, 48, 30))


def test_a_doubtful_mask_and_its_presence_are_the_mean_of_all_views():
    sure, doubtful = picture_of(disc(48, 48, 30)), picture_of(grey_square())
    answers = iter([250, 200, 100, 100, 40])  # the first looks, then the other views

    def answer(images):
        return images[..., 0], np.array([next(answers) for _ in images], np.uint8)

    backend = RedChannel(answer)
    segmenter = Segmenter(backend, batch_size=8)
    done = segmenter.segment_batch([sure, doubtful])
    first, second = done.results
    assert len(backend.seen) == 2 + VIEWS and done.mishaps == {"second_looks": 1}
    assert first.presence == 250 / 255
    assert second.presence == pytest.approx((200 + 100 + 100 + 40) / 4 / 255)
    np.testing.assert_array_equal(second.mask, merge_masks(grey_square(), [v[..., 0] for v in other_views(doubtful)]))
    assert done.places == 8  # what second looks take of batches is not theirs to fill
    assert second.milliseconds > 0 and second.mask.base is None


def test_views_that_disagree_leave_grey_what_one_of_them_saw():
    """The network that sees a second thing in the picture as it is, and not in its mirror image."""
    seen = grey_square()
    flipped = np.zeros_like(seen)
    masks = iter([seen, flipped, flipped, flipped])

    def answer(images):
        return np.stack([next(masks) for _ in images]), np.full(len(images), 255, np.uint8)

    (result,) = Segmenter(RedChannel(answer)).segment([picture_of(seen)])
    np.testing.assert_allclose(result.mask, seen / 4, atol=1)


def test_it_can_be_left_out():
    backend = RedChannel()
    Segmenter(backend, second_look=False).segment([picture_of(grey_square())])
    assert len(backend.seen) == 1


def test_where_another_view_fails_the_first_look_stands():
    image = picture_of(grey_square())

    def answer(images):
        if any((one != image).any() for one in images):
            raise ValueError("poisoned")
        return images[..., 0], np.full(len(images), 255, np.uint8)

    done = Segmenter(RedChannel(answer)).segment_batch([image])
    (result,) = done.results
    assert not isinstance(result, SegmentationFailure)
    np.testing.assert_array_equal(result.mask, grey_square())
    assert "failed_images" not in done.mishaps
