"""Tests of transforms/colour_transfer.py."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.records import Photo
from transforms import colour_transfer
from transforms.colour import srgb8_to_lab
from transforms.colour_transfer import EVERY_CATEGORY, TRANSFERS, Look
from transforms.normalise import mean_colour_shift


def scene(ground=(150, 140, 120), product=(60, 90, 150)):
    """A grainy sheet with an ellipse on it, and its alpha."""
    rng = np.random.default_rng(1)
    alpha = np.zeros((160, 120), np.uint8)
    cv2.ellipse(alpha, (60, 80), (30, 45), 0, 0, 360, 255, -1)
    alpha = cv2.GaussianBlur(alpha, (5, 5), 1)
    paint = np.where(alpha[..., None] > 127, product, ground) + rng.normal(0, 6, (160, 120, 1))
    return np.clip(paint, 0, 255).astype(np.uint8), alpha


def covariances():
    return st.lists(st.floats(-3, 3), min_size=9, max_size=9).map(
        lambda v: np.reshape(v, (3, 3)) @ np.reshape(v, (3, 3)).T + np.eye(3)
    )


def look(lightness=85.0):
    return Look(np.array([lightness, 0.0, 2.0]), np.diag([9.0, 1.0, 1.0]))


def test_lab_is_that_of_the_exact_formula_and_back_again():
    image, _ = scene()
    assert np.abs(colour_transfer.to_lab(image) - srgb8_to_lab(image)).max() < 0.3
    assert np.abs(colour_transfer.from_lab(colour_transfer.to_lab(image)).astype(int) - image).max() <= 1


@settings(deadline=None)
@given(covariances(), covariances())
def test_monge_kantorovich_is_symmetric_and_matches_covariances_within_its_bounds(source, target):
    matrix = colour_transfer.transfer_matrix(source, target)
    assert np.allclose(matrix, matrix.T)
    values = np.linalg.eigvalsh(matrix)
    assert values.min() >= 0.5 - 1e-6 and values.max() <= 1.6 + 1e-6
    if values.min() > 0.51 and values.max() < 1.59:
        floor = 0.25 * np.eye(3)
        assert np.allclose(matrix @ (source + floor) @ matrix.T, target + floor, rtol=1e-3, atol=1e-3)


@settings(deadline=None)
@given(covariances())
def test_equal_looks_need_no_transfer(covariance):
    for method in TRANSFERS:
        assert np.allclose(colour_transfer.transfer_matrix(covariance, covariance, method), np.eye(3), atol=1e-6)


@pytest.mark.parametrize("method", TRANSFERS)
def test_the_ground_takes_the_look_and_the_product_is_protected(method):
    image, alpha = scene()
    matched, product = colour_transfer.match_look(image, image, alpha, look(), method)
    found = colour_transfer.look_of_ground(matched, alpha)
    assert np.linalg.norm(found.mean - look().mean) < 1.5
    assert 0 < mean_colour_shift(image, product, alpha) <= 1
    inside = alpha == 255
    assert mean_colour_shift(image, matched, np.where(inside, alpha, 0).astype(np.uint8)) <= 1


def test_too_little_ground_leaves_the_photo_alone():
    image, alpha = scene()
    assert colour_transfer.match_look(image, image, np.full_like(alpha, 255), look()) is None


def test_the_typical_look_is_not_widened_by_photos_that_differ():
    typical = colour_transfer.mean_look([look(40), look(60), look(95)])
    assert typical.mean[0] == 60
    assert np.allclose(typical.covariance, look().covariance)


def test_a_look_survives_json_and_nonsense_is_named():
    again = Look.from_mapping(look().as_dict(), "here")
    assert np.allclose(again.mean, look().mean) and np.allclose(again.covariance, look().covariance)
    for wrong in (None, {}, {"mean": [1, 2], "covariance": np.eye(3).tolist()}, {"mean": ["a"] * 3, "covariance": 1}):
        with pytest.raises(ValueError, match="here has to hold a mean"):
            Look.from_mapping(wrong, "here")
    with pytest.raises(ValueError, match="is no look"):
        Look.from_mapping({"mean": [50, 0, 0], "covariance": (-np.eye(3)).tolist()}, "here")
    with pytest.raises(ValueError, match="'lab' is unknown"):
        colour_transfer.transfer_matrix(np.eye(3), np.eye(3), "lab")


def test_a_category_takes_its_own_look_and_others_that_of_all():
    image, alpha = scene()
    photo = Photo("a", "a.jpg", {"category": "hat"}, image=image, foreground=image, alpha=alpha, colour_method="none")
    looks = {"hat": look(90), EVERY_CATEGORY: look(60)}
    for category, lightness in (("hat", 90), ("shoe", 60), (None, 60)):
        done = colour_transfer.match_photo(photo.replace(attributes={"category": category}), looks, "mk", "category")
        assert colour_transfer.look_of_ground(done.image, alpha).mean[0] == pytest.approx(lightness, abs=1.5)
        assert done.colour_method == "none+mk" and 0 < done.colour_shift <= 1
    assert colour_transfer.match_photo(photo, {"shoe": look()}, "mk", "category") is photo
