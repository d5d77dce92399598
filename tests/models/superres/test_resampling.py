import cv2
import numpy as np
import pytest
from PIL import Image

from models.superres.resampling import double, doubling_kernel, enlarge, halve, halving_kernel


@pytest.fixture
def picture():
    return cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, (40, 56), np.uint8), (0, 0), 1.2)


def test_halving_is_pillows_antialiased_bicubic(picture):
    expected = np.asarray(Image.fromarray(picture).resize((28, 20), Image.Resampling.BICUBIC))
    difference = np.abs(halve(picture).astype(int) - expected)
    assert difference[2:-2, 2:-2].max() <= 1  # Pillow ends its kernel at the frame


def test_kernels_keep_the_light():
    assert halving_kernel().sum() == pytest.approx(1)
    assert doubling_kernel()[::2].sum() == pytest.approx(1) and doubling_kernel()[1::2].sum() == pytest.approx(1)


def test_doubling_is_the_kernel_and_opencvs(picture):
    spread = np.zeros((1, 2 * 56 + 6))
    for i, value in enumerate(picture[20].astype(float)):
        spread[0, 2 * i : 2 * i + 8] += value * doubling_kernel()
    row = cv2.resize(picture[20:21].astype(np.float32), (112, 1), interpolation=cv2.INTER_CUBIC)
    np.testing.assert_allclose(spread[0, 3:-3][4:-4], row[0, 4:-4], atol=1e-2)


def test_an_odd_picture_cannot_be_halved():
    with pytest.raises(ValueError, match="a picture of 7 x 4 cannot be halved; its sides must be even"):
        halve(np.zeros((4, 7), np.uint8))


def test_detail_lies_where_it_was_said_to_and_projection_brings_the_result_back(picture):
    detail = np.zeros((40, 56, 4), np.float32)
    detail[10, 20, 1] = 0.1  # upper right of the pixel in row 10, column 20
    change = enlarge(picture, detail, projections=0) - double(picture.astype(np.float32))
    assert np.unravel_index(np.argmax(change), change.shape) == (20, 41)
    assert change.max() == pytest.approx(25.5, abs=1e-3)
    loud = np.random.default_rng(1).normal(0, 0.05, (40, 56, 4)).astype(np.float32)
    off = [np.abs(halve(enlarge(picture, loud, projections=n)) - picture).mean() for n in (0, 1, 2)]
    assert off[1] < off[0] / 2.5 and off[2] < off[1] / 1.5
