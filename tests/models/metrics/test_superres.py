import numpy as np
import pytest

from models.metrics.superres import psnr, ssim


@pytest.fixture
def pictures():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 256, (40, 52), np.uint8)
    return np.clip(truth + rng.normal(0, 12, truth.shape), 0, 255).astype(np.uint8), truth


def test_psnr_of_a_known_error():
    truth = np.full((8, 8), 100.0)
    assert psnr(truth + 16, truth) == pytest.approx(20 * np.log10(255 / 16))
    assert psnr(truth, truth) == pytest.approx(68.13, abs=0.01)


def test_the_border_is_not_measured():
    truth = np.zeros((10, 10))
    wrong = truth.copy()
    wrong[0] = 255
    assert psnr(wrong, truth, 1) == psnr(truth, truth)


def test_structural_similarity_is_tensorflows(pictures):
    tf = pytest.importorskip("tensorflow")
    a, b = (tf.constant(picture[..., None]) for picture in pictures)
    assert ssim(*pictures) == pytest.approx(float(tf.image.ssim(a, b, max_val=255)), abs=2e-4)
    assert ssim(pictures[0], pictures[0]) == pytest.approx(1)


def test_too_small_a_picture_has_no_structural_similarity():
    with pytest.raises(ValueError, match="needs 11 pixels each way; the picture has"):
        ssim(np.zeros((12, 12)), np.zeros((12, 12)), 1)
