"""Tests of transforms/local_regression.py."""

import cv2
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.local_regression import (
    Colours,
    apply_models,
    box_mean,
    fit_colour,
    regress_on_colour,
    solve_symmetric,
    take,
    take_pixels,
)


def picture_of(height, width):
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Colours.of(image), image / 255 - 0.5


def test_systems_are_solved():
    rng = np.random.default_rng(0)
    roots = rng.random((50, 3, 3))
    matrices = roots @ roots.transpose(0, 2, 1) + 0.1 * np.eye(3)
    x = rng.random((50, 3))
    upper = np.stack([matrices[:, i, j] for i, j in ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))])
    found = solve_symmetric(upper, x.T, 0.5).T
    np.testing.assert_allclose(found, np.linalg.solve(matrices + 0.5 * np.eye(3), x[..., None])[..., 0])


def test_a_linear_target_is_explained_and_found():
    colours, channels = picture_of(40, 30)
    target = (channels @ (0.5, -0.2, 0.1) + 0.4).astype(np.float32)
    weight = np.random.default_rng(1).random((40, 30)).astype(np.float32)
    model, explained = regress_on_colour(colours, target, weight, 4, 1e-6, np.arange(40 * 30))
    np.testing.assert_allclose(model.mean(axis=1), (0.4, 0.5, -0.2, 0.1), atol=2e-3)
    assert explained.min() > 0.9


def test_pixels_without_weight_do_not_count():
    colours, channels = picture_of(30, 30)
    target = channels[..., 0].astype(np.float32)
    weight = np.ones((30, 30), np.float32)
    target[10:12], weight[10:12] = 99, 0
    model, _ = regress_on_colour(colours, target, weight, 5, 1e-6, np.array([15 * 30 + 15]))
    np.testing.assert_allclose(model[:, 0], (0, 1, 0, 0), atol=1e-3)


def test_pixels_are_read_by_their_place():
    planes = np.arange(24, dtype=np.float32).reshape(3, 4, 2)
    np.testing.assert_array_equal(take(planes, np.array([5, 11])), [[10, 22], [11, 23]])
    np.testing.assert_array_equal(take(planes[..., 0].copy(), np.array([5, 11])), [10, 22])


def test_pixels_of_four_bytes_are_read_by_their_place():
    pixels = np.arange(48, dtype=np.uint8).reshape(3, 4, 4)
    found = take_pixels(pixels, np.array([[5, 11], [0, 5]]))
    np.testing.assert_array_equal(found, [[pixels[1, 1], pixels[2, 3]], [pixels[0, 0], pixels[1, 1]]])


def test_models_are_applied_between_their_places():
    models = np.array([[[0, 0, 0, 1], [1, 0, 0, 0]]], np.float32)
    pixels = np.full((1, 3, 4), (100, 0, 0, 255), np.uint8)
    found = apply_models(models, pixels, np.array([[-1, 0.5, 1]], np.float32), np.zeros((1, 3), np.float32))
    np.testing.assert_allclose(found, [[255, 177.5, 100]])


def test_the_frame_is_mirrored():
    assert box_mean(np.array([[9, 0, 0]], np.uint8), 1).tolist() == [[6, 3, 0]]


@settings(deadline=None, max_examples=15)
@given(st.integers(3, 9), st.integers(3, 9), st.integers(1, 2), st.integers(0, 999))
def test_a_window_is_fitted_to_all_of_its_pixels(height, width, radius, seed):
    """The same as ridge regression on the pixels of the window, one window after the other."""
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    target = rng.random((height, width)).astype(np.float32)
    where = np.arange(height * width)
    found = fit_colour(Colours.of(image), target, radius, 0.01, where)

    def windows(plane):
        """All pixels of each window, (height * width, pixels); what lies beyond the frame is mirrored."""
        wide = cv2.copyMakeBorder(plane, *([radius] * 4), cv2.BORDER_REFLECT)
        span = 2 * radius + 1
        return np.stack([wide[i : i + height, j : j + width].ravel() for i in range(span) for j in range(span)], 1)

    channels = np.stack([windows(channel) for channel in (image / 255 - 0.5).transpose(2, 0, 1)]).astype(np.float64)
    wanted = windows(target.astype(np.float64))
    for place in where:
        x, y = channels[:, place], wanted[place]
        spread = x - x.mean(axis=1, keepdims=True)
        slopes = np.linalg.solve(spread @ spread.T / len(y) + 0.01 * np.eye(3), spread @ y / len(y))
        np.testing.assert_allclose(found[1:, place], slopes, atol=2e-3)
        np.testing.assert_allclose(found[0, place], y.mean() - slopes @ x.mean(axis=1), atol=2e-3)
