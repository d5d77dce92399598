"""Tests of transforms/matte_band.py, on generated pictures."""

import cv2
import numpy as np

from transforms.matte_band import solve_band


def alpha_of(image, mask, reach=2):
    """Takes both at the image's size; returns alpha there, and where the models follow colour."""
    height, width = mask.shape
    small = cv2.resize(np.round(255 * mask).astype(np.uint8), (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    models = cv2.resize(solve_band(image, small, reach), (width, height))
    return (models[..., :3] * (image / 255)).sum(-1) + models[..., 3], models[..., :3].any(axis=-1)


def take_photo(product):
    rng = np.random.default_rng(0)
    image = np.where(product[..., None], (40, 60, 150), (200, 195, 190)) + rng.normal(0, 3, (*product.shape, 3))
    return np.clip(image, 0, 255).astype(np.uint8)


def square(side=120):
    product = np.zeros((side, side), bool)
    product[40:80, 40:80] = True
    return product


def blurred(product, sigma=2.0):
    return cv2.GaussianBlur(product.astype(np.float32), (0, 0), sigma)


def test_an_edge_off_by_some_pixels_is_put_right():
    product = square()
    alpha, _ = alpha_of(take_photo(product), blurred(np.roll(product, 3, 1)))
    assert ((alpha > 0.5) != product).sum() < 12


def test_outside_the_band_everything_is_certain():
    product = square()
    alpha, band = alpha_of(take_photo(product), blurred(product))
    assert set(np.unique(alpha[~band])) == {0, 1}
    assert band.mean() < 0.4


def test_a_faint_ridge_is_a_strap_and_a_faint_area_is_not():
    product = square()
    product[:40, 59:61] = True
    photo = take_photo(product)
    mask = blurred(square())
    mask[:40, 57:63] = 0.2
    alpha, _ = alpha_of(photo, mask)
    assert (alpha[4:36, 59:61] > 0.5).mean() > 0.9

    mask = blurred(square())
    mask[:34, 30:90] = 0.2
    alpha, _ = alpha_of(photo, mask)
    assert (alpha[4:20] < 0.1).all()


def test_a_speck_that_the_mask_doubts_goes_and_a_vouched_one_stays():
    product = square()
    product[100:106, 100:106] = True
    photo = take_photo(product)
    for sureness, kept in ((0.6, False), (1.0, True)):
        mask = blurred(square())
        mask[100:106, 100:106] = sureness
        alpha, _ = alpha_of(photo, mask)
        assert (alpha[101:105, 101:105] > 0.5).any() == kept


def test_nothing_uncertain_needs_no_model():
    for value in (0.0, 1.0):
        alpha, band = alpha_of(np.zeros((10, 8, 3), np.uint8), np.full((10, 8), value, np.float32))
        assert not band.any()
        assert (alpha == value).all()
