"""Tests of transforms/shrinking.py."""

import cv2
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.shrinking import halve, shrink


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from([None, 1, 3, 4]), st.integers(0, 99))
def test_halves_are_means_of_four_pixels(height, width, channels, seed):
    shape = (height, width) if channels is None else (height, width, channels)
    picture = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    found = halve(picture)
    padded = np.pad(picture, [(0, height % 2), (0, width % 2)] + [(0, 0)] * (len(shape) - 2), mode="edge")
    means = padded.reshape(padded.shape[0] // 2, 2, padded.shape[1] // 2, 2, -1).mean(axis=(1, 3))
    assert found.dtype == np.uint8
    assert np.abs(found.reshape(means.shape) - means).max() <= 0.5


@settings(deadline=None, max_examples=30)
@given(st.integers(8, 300), st.integers(8, 300), st.floats(0.05, 1))
def test_any_size_is_reached_and_a_ramp_stays_one(height, width, scale):
    ramp = np.add.outer(np.arange(height), np.arange(width)).astype(np.float32)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    found = shrink(ramp, size)
    assert found.shape == size[::-1]
    halvings = 0
    while -(-width >> halvings) >= 2 * size[0] and -(-height >> halvings) >= 2 * size[1]:
        halvings += 1
    # an odd side is continued by its last pixel before each of them: to a multiple of 2 ** halvings in the end
    beyond = [(0, -side % 2**halvings) for side in (height, width)]
    wanted = cv2.resize(np.pad(ramp, beyond, mode="edge"), size, interpolation=cv2.INTER_AREA)
    np.testing.assert_allclose(found, wanted, atol=0.5 / scale)


def test_a_picture_of_the_size_is_itself():
    picture = np.zeros((5, 7), np.uint8)
    assert shrink(picture, (7, 5)) is picture
