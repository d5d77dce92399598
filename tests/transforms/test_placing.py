from hypothesis import given, settings
from hypothesis import strategies as st

from tests.transforms.shapes import rectangle
from transforms.placing import Box, CutSides, cut_sides, place, required_working_side
from transforms.profile import Profile

SQUARE = Profile("square", 200, 200)


def test_a_grazing_tip_is_not_a_cut():
    alpha = rectangle(20, 20, 100, 140, frame=(160, 400))
    alpha[60:62, 100:400] = 255
    assert cut_sides(alpha) == CutSides(False, False, False, False)


def test_margins_shift_the_centre():
    profile = Profile("m", 100, 200, fill=1.0, margins=(0.2, 0.0, 0.1, 0.3))
    box = place(Box(0, 0, 70, 70), CutSides(False, False, False, False), profile)
    assert box == Box(30, 75, 70, 70)
    box = place(Box(0, 0, 10, 300), CutSides(False, False, False, False), profile)
    assert (box.y, box.height) == (40, 140)


@settings(deadline=None, max_examples=50)
@given(frame=st.tuples(st.integers(50, 9000), st.integers(50, 9000)), share=st.floats(0.4, 1), aspect=st.floats(0.1, 1))
def test_working_side_has_all_pixels_of_a_product_of_two_fifths(frame, share, aspect):
    width, height = frame
    longest = max(frame)
    side = required_working_side(SQUARE, width, height)
    assert 1 <= side <= longest
    product = share * side  # its longest side in a decode that keeps just what is asked for
    box = Box(0, 0, max(1, int(product)), max(1, int(product * aspect)))
    placed = place(box, CutSides(False, False, False, False), SQUARE)
    assert side == longest or placed.width / box.width <= 1.03
    assert side <= max(required_working_side(SQUARE), 200 * longest / min(frame) + 1)
