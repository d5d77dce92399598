import types

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms import enhance


@pytest.fixture(scope="module")
def alpha():
    alpha = np.zeros((240, 200), np.uint8)
    alpha[20:220, 20:180] = 255
    return alpha


@pytest.fixture(scope="module")
def garment():
    """Smooth folds with a few sharp prints."""
    x, y = np.meshgrid(np.arange(200), np.arange(240))
    image = np.repeat((120 + 40 * np.sin(x / 23) * np.cos(y / 31))[..., None], 3, axis=2).astype(np.float32)
    image *= (1.0, 0.8, 0.9)
    for left in range(40, 160, 30):
        image[60:180, left : left + 12] = (30, 40, 90)
    image[:10] = 235  # the ground
    return np.clip(image, 0, 255).astype(np.uint8)


def noisy(image, sigma, seed=0):
    noise = np.random.default_rng(seed).normal(0, sigma, image.shape)
    return np.clip(image + noise, 0, 255).round().astype(np.uint8)


@pytest.mark.parametrize("sigma", [2, 5, 10, 15])
def test_noise_is_estimated_within_a_third(garment, alpha, sigma):
    luma = np.repeat(noisy(garment[..., :1], sigma), 3, axis=2)
    assert enhance.estimate_noise(luma, alpha) == pytest.approx(sigma, rel=0.33)


def test_a_clean_picture_has_no_noise_and_a_tiny_product_tells_nothing(garment, alpha):
    assert enhance.estimate_noise(garment, alpha) < 0.5
    assert enhance.estimate_noise(noisy(garment, 10), np.zeros_like(alpha)) == 0


@pytest.mark.parametrize("sigma", [1.5, 2.5, 3.5])
def test_blur_is_estimated_within_a_third(garment, alpha, sigma):
    assert enhance.estimate_blur(cv2.GaussianBlur(garment, (0, 0), sigma), alpha) == pytest.approx(sigma, rel=0.33)


def test_blur_without_edges_is_not_told(alpha):
    assert enhance.estimate_blur(np.full((*alpha.shape, 3), 100, np.uint8), alpha) == 0


def test_denoising_brings_a_picture_nearer_to_the_truth(garment):
    image = noisy(garment, 9)
    assert cv2.PSNR(enhance.denoise(image, 9), garment) > cv2.PSNR(image, garment) + 3


@pytest.mark.parametrize("colour", [(200, 20, 40), (20, 30, 190), (10, 150, 30), (230, 220, 20)])
def test_denoising_keeps_saturated_colours(colour):
    plain = np.full((80, 80, 3), colour, np.uint8)
    done = enhance.denoise(noisy(plain, 8), 6)
    assert np.abs(done.mean((0, 1)) - noisy(plain, 8).mean((0, 1))).max() < 1.0
    assert cv2.PSNR(done, plain) > cv2.PSNR(noisy(plain, 8), plain) + 2


def test_sharpening_brings_a_picture_nearer_to_the_truth_without_halos(garment):
    image = cv2.GaussianBlur(garment, (0, 0), 1.8)
    sharper = enhance.sharpen(image, 1.8)
    assert cv2.PSNR(sharper, garment) > cv2.PSNR(image, garment) + 0.5
    allowed = enhance.EnhanceLimits().overshoot + 2
    luma = [cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(int) for picture in (sharper, image)]
    assert luma[0].max() <= luma[1].max() + allowed and luma[0].min() >= luma[1].min() - allowed


@settings(deadline=None, max_examples=30)
@given(st.floats(1.0, 3.0))
def test_lifting_keeps_black_white_and_order(factor):
    levels = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)
    lifted = enhance.lift(levels, factor)[0, :, 0].astype(int)
    assert lifted[0] == 0 and lifted[255] == 255
    assert (np.diff(lifted) >= 0).all() and (lifted >= np.arange(256) - 1).all()


def test_only_a_photo_without_any_fair_light_is_lifted(garment):
    dark = enhance.lift(garment, 1.0) // 4
    assert enhance.exposure_lift(dark) > 1.3
    with_window = dark.copy()
    with_window[:20, :40] = 220
    assert enhance.exposure_lift(with_window) == enhance.exposure_lift(garment) == 1


def photo_of(image, alpha):
    photo = types.SimpleNamespace(image=image, foreground=image, alpha=alpha, source_alpha=None, enhancements=())
    photo.replace = lambda **changes: types.SimpleNamespace(**{**vars(photo), **changes})
    return photo


def test_steps_act_only_where_needed_and_are_recorded(garment, alpha):
    wanted = enhance.STEPS
    clean = photo_of(garment, alpha)
    assert enhance.enhance_photo(clean, wanted) is clean
    assert enhance.enhance_photo(photo_of(noisy(garment, 9), alpha), wanted).enhancements == ("denoise",)
    soft = photo_of(cv2.GaussianBlur(garment, (0, 0), 2), alpha)
    assert enhance.enhance_photo(soft, wanted).enhancements == ("sharpen",)
    assert enhance.enhance_photo(photo_of(garment // 4, alpha), wanted).enhancements == ("exposure",)


def test_only_the_product_is_mended_and_the_input_is_left(garment, alpha):
    given = photo_of(noisy(garment, 9), alpha)
    before = given.foreground.copy()
    done = enhance.enhance_photo(given, ("denoise",))
    assert (given.foreground == before).all()
    around = np.ones(alpha.shape, bool)
    around[20:220, 20:180] = False
    assert (done.foreground[around] == before[around]).all() and (done.foreground[~around] != before[~around]).any()
    assert done.image is given.image


def test_a_cut_out_file_has_no_light_to_go_by(garment, alpha):
    cut_out = photo_of(garment // 4, alpha)
    cut_out.source_alpha = alpha
    assert enhance.enhance_photo(cut_out, ("exposure",)) is cut_out


@pytest.mark.parametrize("shape", [(1, 1), (5, 3), (1, 3000), (64, 64)])
@pytest.mark.parametrize("level", [0, 255])
def test_tiny_thin_and_empty_photos_pass(shape, level):
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    photo = photo_of(image, np.full(shape, level, np.uint8))
    assert enhance.enhance_photo(photo, enhance.STEPS).foreground.shape == image.shape
    photo.foreground, photo.image = None, image // 8
    assert enhance.enhance_photo(photo, enhance.STEPS).enhancements in ((), ("exposure",))


def test_what_is_not_asked_for_is_not_done(garment, alpha):
    photo = photo_of(noisy(garment, 12), alpha)
    assert enhance.enhance_photo(photo, ()) is photo
    assert enhance.enhance_photo(photo, ("sharpen", "exposure")).foreground is not None
