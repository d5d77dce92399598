import dataclasses

import cv2
import numpy as np
import pytest

from transforms.ground import decode_backdrop, paint_ground
from transforms.profile import Profile

PLAIN = Profile("test", 60, 40, background=(250, 240, 230))


def test_a_plain_ground_is_exactly_its_colour():
    ground = paint_ground(PLAIN)
    assert ground.shape == (40, 60, 3) and (ground == (250, 240, 230)).all()


def test_a_gradient_runs_from_the_background_down_to_its_own_colour():
    ground = paint_ground(dataclasses.replace(PLAIN, gradient=(200, 200, 255)))
    assert ground[0, 0].tolist() == [250, 240, 230] and ground[-1, -1].tolist() == [200, 200, 255]
    assert (np.diff(ground[:, 0, 0].astype(int)) <= 0).all()
    assert (ground == ground[:, :1]).all()


@pytest.mark.parametrize("size", [(30, 90), (200, 50), (60, 40)])
def test_a_picture_covers_the_canvas_and_keeps_its_middle(size):
    picture = np.zeros((size[1], size[0], 3), np.uint8)
    cv2.circle(picture, (size[0] // 2, size[1] // 2), 8, (0, 0, 255), -1)
    backdrop = cv2.imencode(".png", picture)[1].tobytes()
    ground = paint_ground(dataclasses.replace(PLAIN, backdrop=backdrop))
    assert ground.shape == (40, 60, 3)
    assert ground[20, 30].tolist() == [255, 0, 0]


def test_what_is_no_picture_is_refused():
    with pytest.raises(ValueError, match="backdrop of 4 bytes"):
        decode_backdrop(b"none")


def test_the_ground_cannot_be_written_to_by_mistake():
    with pytest.raises(ValueError):
        paint_ground(PLAIN)[0, 0] = 0
