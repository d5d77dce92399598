import cv2
import numpy as np
import pytest

from models.datasets import labelling
from models.datasets.labelling import Unusable


def encoded(picture):
    bgr = picture[..., [2, 1, 0, 3][: picture.shape[2]]] if picture.ndim == 3 else picture
    return cv2.imencode(".png", bgr)[1].tobytes()


@pytest.fixture
def shot():
    """A dark disc on white, and its mask."""
    mask = np.zeros((120, 160), np.uint8)
    cv2.circle(mask, (80, 60), 35, 255, -1)
    image = np.full((120, 160, 3), 255, np.uint8)
    image[mask > 0] = (30, 60, 120)
    return image, mask


def assert_is(labelled, mask, least=0.97):
    truth = cv2.resize(mask, (320, 320), interpolation=cv2.INTER_LINEAR) > 127
    found = labelled.label > 127
    assert (truth & found).sum() / (truth | found).sum() > least
    assert labelled.image.shape == (320, 320, 3) and labelled.weight.dtype == np.uint8


def test_two_teachers_that_agree_are_trusted(shot):
    image, mask = shot
    labelled = labelling.label_by_agreement(encoded(image))
    assert_is(labelled, mask, 0.93)
    assert (labelled.weight == 255).mean() > 0.97


def test_a_photo_of_nothing_has_a_label_that_does_not_count():
    labelled = labelling.label_by_agreement(encoded(np.full((90, 90, 3), 200, np.uint8)))
    assert not labelled.weight.any()


def test_doubtful_edges_of_hand_masks_count_less(shot):
    image, mask = shot
    sure = labelling.label_by_hand(encoded(image), encoded(mask))
    doubtful = labelling.label_by_hand(encoded(image), encoded(mask), doubtful=True)
    assert_is(doubtful, mask)
    assert (sure.weight == 255).all() and set(np.unique(doubtful.weight)) == {64, 255}


def test_a_clean_shot_is_cut_out(shot):
    image, mask = shot
    assert_is(labelling.cut_out(encoded(image), white_ground=True), mask, 0.95)


def test_holes_through_which_white_ground_is_seen_are_ground_and_pale_cloth_is_not():
    image = np.full((120, 160, 3), 255, np.uint8)
    image[20:100, 40:120] = (20, 20, 90)
    image[30:60, 50:80] = 255
    image[70:95, 50:110] = np.random.default_rng(0).normal(246, 3, (25, 60, 3)).clip(0, 255)
    label = labelling.cut_out(encoded(image), white_ground=True).label
    hole, pale, body = (label[y * 320 // 120, x * 320 // 160] for y, x in [(45, 65), (82, 80), (65, 100)])
    assert (hole, pale, body) == (0, 255, 255)


def test_alpha_is_taken_as_it_is(shot):
    image, mask = shot
    labelled = labelling.cut_out(encoded(np.dstack([image, mask])), white_ground=False)
    assert_is(labelled, mask)
    assert labelled.image[0, 0].tolist() == [255, 255, 255]


def test_no_cut_out_without_a_plain_ground():
    noise = np.random.default_rng(0).integers(0, 256, (100, 100, 3), np.uint8)
    with pytest.raises(labelling.NoPlainGround, match="plain ground") as refused:
        labelling.cut_out(encoded(noise), white_ground=True)
    assert refused.value.unlabelled.image.std() > 0 and not refused.value.unlabelled.weight.any()


def test_only_on_white_may_a_product_touch_the_frame(shot):
    image = np.full((120, 160, 3), 255, np.uint8)
    image[60:, 40:120] = (20, 20, 90)
    assert labelling.cut_out(encoded(image), white_ground=True).label[-1].any()
    with pytest.raises(Unusable, match="at the frame"):
        labelling.cut_out(encoded(image), white_ground=False)


@pytest.mark.parametrize("content", [b"", b"no picture at all", b"\xff\xd8\xff\xe0 cut"])
def test_what_cannot_be_decoded_is_said(content):
    for label in (labelling.label_by_agreement, lambda c: labelling.cut_out(c, white_ground=True)):
        with pytest.raises(Unusable, match=f"its photo of {len(content)} bytes cannot be decoded"):
            label(content)


def test_a_rendered_photo_has_the_size_of_its_mask(shot):
    image, mask = shot
    assert_is(labelling.label_by_alpha(encoded(image), encoded(mask)), mask)
    with pytest.raises(Unusable, match="it is 160x120 but its mask 100x120"):
        labelling.label_by_alpha(encoded(image), encoded(mask[:, :100]))
