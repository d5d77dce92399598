import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.transforms.shapes import ellipse, noise
from transforms.resample import OPAQUE, STEPS, resample


@pytest.mark.parametrize("size", [(30, 40), (240, 320)])
def test_resample_keeps_its_ranges(size):
    alpha = ellipse(80, 100, blur=0.5)
    scaled = np.dstack(resample(noise(alpha.shape), alpha, *size))
    assert scaled.shape == (size[1], size[0], 4)
    assert scaled.dtype == np.uint16
    assert scaled[..., 3].max() == OPAQUE
    assert (scaled[..., :3] <= scaled[..., 3:]).all()


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 90), st.integers(1, 90), st.integers(0, 999))
def test_resample_is_what_floating_point_gives(height, width, new_height, new_width, seed):
    rng = np.random.default_rng(seed)
    foreground = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    alpha = rng.choice(np.array([0, 0, 90, 255, 255], np.uint8), (height, width))
    shrinks = new_width <= width and new_height <= height
    method = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    share = alpha.astype(np.float32) / 255
    matte = cv2.resize(share, (new_width, new_height), interpolation=method)[..., None]
    premultiplied = cv2.resize(foreground * share[..., None], (new_width, new_height), interpolation=method)
    premultiplied = premultiplied.reshape(*matte.shape[:2], 3) / np.maximum(matte, 1)
    matte = np.clip(matte, 0, 1)
    wanted = np.concatenate([np.clip(premultiplied, 0, 255 * matte), 255 * matte], axis=2)
    found = np.dstack(resample(foreground, alpha, new_width, new_height)) / STEPS
    np.testing.assert_allclose(found, wanted, atol=0.05)
