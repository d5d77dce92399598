import cv2
import numpy as np
import pytest

from models.metrics.spectrum import power_spectrum, spectral_distances


def cloth(seed, count=200, side=32):
    """Plain squares with soft folds and a little grain on a light ground."""
    rng = np.random.default_rng(seed)
    images = np.full((count, side, side, 3), 243.0)
    for image in images:
        folds = cv2.GaussianBlur(rng.normal(0, 60, (20, 20, 1)).astype(np.float32), (0, 0), 2)[..., None]
        image[6:26, 6:26] = rng.integers(20, 200, 3) + folds
    return np.clip(images + rng.normal(0, 3, images.shape), 0, 255).astype(np.uint8)


def test_a_wave_has_its_power_where_it_belongs():
    wave = 128 + 50 * np.cos(2 * np.pi * 0.25 * np.arange(64))
    images = np.tile(wave[None, None, :, None], (1, 64, 1, 3)).round().astype(np.uint8)
    assert np.unravel_index(power_spectrum(images).argmax(), (64, 64)) in ((0, 16), (0, 48))


def test_the_same_pictures_are_at_no_distance_and_others_of_the_kind_are_near():
    assert spectral_distances(cloth(0), cloth(0)) == (0, 0, 0, 0)
    assert max(spectral_distances(cloth(0), cloth(1))) < 0.1


def test_the_numbers_of_pictures_may_differ():
    assert max(spectral_distances(cloth(0), cloth(0, 100))) < 0.1


def test_dots_are_seen_among_fine_detail_alone():
    dots = cloth(1).astype(int)
    dots[:, 8:24:2, 8:24:2] += 25
    floor, found = (
        spectral_distances(cloth(0), images) for images in (cloth(1), np.clip(dots, 0, 255).astype(np.uint8))
    )
    assert found[-1] > 3 * floor[-1]
    assert found[1] < 2 * floor[1]


def test_more_blur_is_further_away():
    found = [
        spectral_distances(cloth(0), np.stack([cv2.GaussianBlur(image, (0, 0), sigma) for image in cloth(1)]))[-1]
        for sigma in (0.5, 0.7, 1.0)
    ]
    assert 0.1 < found[0] < found[1] < found[2]


def test_flat_pictures_are_far_from_others_and_not_infinitely_so():
    flat = np.full((3, 32, 32, 3), 243, np.uint8)
    assert 0.5 < spectral_distances(cloth(0), flat)[0] < 20


@pytest.mark.parametrize("other", [np.zeros((3, 16, 16, 3), np.uint8), np.zeros((0, 32, 32, 3), np.uint8)])
def test_what_cannot_be_compared_is_refused(other):
    with pytest.raises(ValueError, match="bring them to one size"):
        spectral_distances(cloth(0, 3), other)
