import numpy as np
import pytest

from models.datasets import fitting


def cutout(height, width, box):
    picture = np.zeros((height, width, 4), np.uint8)
    picture[box] = (10, 120, 200, 255)
    return picture


def test_a_product_fills_the_middle_of_a_plain_square():
    image, alpha = fitting.fit_product(cutout(80, 100, np.s_[5:65, 50:80]), 64)
    assert image.shape == (64, 64, 3) and alpha.shape == (64, 64)
    rows, columns = np.flatnonzero(alpha.any(axis=1)), np.flatnonzero(alpha.any(axis=0))
    assert abs(rows[0] - 3) <= 1 and abs(rows[-1] - 60) <= 1
    assert abs((columns[0] + columns[-1]) / 2 - 31.5) <= 1
    assert (image[0] == fitting.GROUND).all() and image[32, 32].tolist() == [10, 120, 200]


def test_pieces_of_backdrop_do_not_stretch_the_frame():
    picture = cutout(80, 100, np.s_[20:60, 30:70])
    clean = fitting.fit_product(picture, 32)
    picture[0:4, 0:4] = (0, 0, 0, 255)
    np.testing.assert_array_equal(fitting.fit_product(picture, 32)[0], clean[0])


def test_an_empty_cutout_is_refused():
    with pytest.raises(ValueError, match="shows no product"):
        fitting.fit_product(np.zeros((20, 20, 4), np.uint8), 16)


def test_a_crop_is_the_middle_as_it_is():
    image = np.random.default_rng(0).integers(0, 256, (90, 70, 3)).astype(np.uint8)
    np.testing.assert_array_equal(fitting.fit_crop(image, 40), image[25:65, 15:55])
    assert fitting.fit_crop(image, 20).shape == (20, 20, 3)
    with pytest.raises(ValueError, match="shorter side of 70 pixels is below 71"):
        fitting.fit_crop(image, 71)


def test_a_frame_is_squashed_whole():
    image = np.zeros((90, 60, 3), np.uint8)
    image[:45] = 200
    squashed = fitting.fit_frame(image, 30)
    assert (squashed[:15] == 200).all() and (squashed[15:] == 0).all()
