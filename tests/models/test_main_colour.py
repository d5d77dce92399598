import numpy as np
import pytest

from models.main_colour import COLOUR_NAMES, main_colour


@pytest.mark.parametrize(
    ("rgb", "name"),
    [
        ((20, 20, 20), "black"),
        ((245, 245, 245), "white"),
        ((128, 128, 130), "grey"),
        ((200, 20, 30), "red"),
        ((30, 40, 80), "blue"),
        ((90, 110, 140), "blue"),
        ((20, 100, 40), "green"),
        ((250, 180, 200), "pink"),
        ((90, 60, 40), "brown"),
        ((210, 185, 150), "beige"),
    ],
)
def test_a_plain_picture_has_its_colour(rgb, name):
    assert COLOUR_NAMES[main_colour(np.full((20, 30, 3), rgb, np.uint8))] == name


def test_the_product_counts_and_not_what_is_around_it():
    image = np.full((64, 64, 3), (200, 20, 30), np.uint8)
    image[20:40, 20:40] = (20, 40, 120)
    alpha = np.zeros((64, 64), np.uint8)
    alpha[20:40, 20:40] = 255
    assert COLOUR_NAMES[main_colour(image, alpha)] == "blue"
    assert COLOUR_NAMES[main_colour(image, np.zeros_like(alpha))] == "red"


def test_the_colour_of_most_pixels_is_the_main_one_not_their_mean():
    image = np.full((64, 64, 3), (20, 20, 20), np.uint8)
    image[:24] = 250
    assert COLOUR_NAMES[main_colour(image, np.full((64, 64), 255, np.uint8))] == "black"
