import numpy as np
import pytest

from models.vae.looks import LOOKS, SIDES, STROKES, looks, side_measures, stroke_measures

GROUND = 243


def garment(side=64):
    """A plain trapezium, narrow at the top, on the plain ground."""
    image = np.full((side, side, 3), GROUND, np.uint8)
    for row in range(10, 54):
        half = 8 + (row - 10) // 4
        image[row, 32 - half : 32 + half] = (90, 60, 120)
    return image


def lettered(image, where, level):
    spoilt = image.copy()
    part = spoilt[where]
    part[::8] = level
    return spoilt


def strokes(image):
    return dict(zip((*STROKES, "colourless"), stroke_measures(image, garment()), strict=True))


def test_numbers_have_names():
    images = np.stack([garment(), lettered(garment(), np.s_[20:40, 26:38], 250)])
    found = looks(images, np.stack([garment()] * 2))
    assert found.shape == (2, len(LOOKS)) and found.dtype == np.float32 and np.isfinite(found).all()
    assert looks(images[:0], images[:0]).shape == (0, len(LOOKS))
    np.testing.assert_allclose(found[0, LOOKS.index(STROKES[0]) :][: len(STROKES)], 0, atol=1e-6)


@pytest.mark.parametrize(("level", "seen", "other"), [(250, "light", "dark"), (0, "dark", "light")])
def test_light_and_dark_strokes_are_told_apart(level, seen, other):
    found = strokes(lettered(garment(), np.s_[12:52, 27:37], level))
    for name in (f"{seen}_mean", f"{seen}_all_mean", f"{seen}_all_fine_mean"):
        assert found[name] > 1 and found[name] > 1.5 * found[name.replace(seen, other)]


def test_letters_everywhere_are_told_from_a_print_in_one_place():
    everywhere, once = (strokes(lettered(garment(), w, 250)) for w in (np.s_[10:54, 10:54], np.s_[26:34, 27:37]))
    assert everywhere["light_middle"] > 1 > once["light_middle"]
    assert everywhere["light_even"] > 0.3 > once["light_even"]


def test_white_letters_take_the_colour_away_and_coloured_ones_do_not():
    white, blue = (strokes(lettered(garment(), np.s_[10:54, 10:54], c))["colourless"] for c in (250, (90, 60, 255)))
    assert white < -0.5 < 0.5 < blue


def test_a_cut_touches_a_side_along_all_its_breadth():
    whole = dict(zip(SIDES, side_measures(garment()), strict=True))
    halved = garment()
    halved[:, 32:] = GROUND
    cut = dict(zip(SIDES, side_measures(halved), strict=True))
    assert cut["right_touched"] == cut["right_straight"] == 1
    assert whole["right_straight"] < 0.5 and whole["top_touched"] < 0.6 < whole["top_straight"]


def test_nothing_but_ground_is_measured_as_well():
    empty = np.full((1, 32, 32, 3), GROUND, np.uint8)
    assert np.isfinite(looks(empty, empty)).all()
