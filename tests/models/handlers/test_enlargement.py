import threading

import cv2
import numpy as np
import pytest

from models.handlers import enlargement
from models.handlers.enlargement import WEIGHTS, Enlarger, shared_enlarger
from models.superres.resampling import double, halve


@pytest.fixture(scope="module")
def picture():
    rng = np.random.default_rng(0)
    return cv2.GaussianBlur(rng.integers(0, 256, (70, 90, 3), np.uint8), (0, 0), 1.5)


@pytest.fixture(scope="module")
def enlarger():
    return Enlarger()


def test_a_picture_at_twice_its_size_halved_is_the_picture(enlarger, picture):
    result = enlarger.enlarge(picture)
    assert result.shape == (140, 180, 3) and result.dtype == np.uint8
    assert cv2.PSNR(halve(result), picture) > 42
    assert cv2.PSNR(result, double(picture)) > 25


def test_edges_come_out_steeper_than_bicubically(enlarger):
    large = np.full((64, 64, 3), 60, np.uint8)
    cv2.circle(large, (32, 32), 20, (200, 190, 180), -1, cv2.LINE_AA)
    small = halve(large)
    assert cv2.PSNR(enlarger.enlarge(small), large) > cv2.PSNR(double(small), large) + 1


def test_tiles_leave_no_seams(enlarger, picture, monkeypatch):
    whole = enlarger.luma(picture[..., 1])
    monkeypatch.setattr(enlargement, "_TILE", 32)
    np.testing.assert_allclose(enlarger.luma(picture[..., 1]), whole, atol=1e-2)


@pytest.mark.parametrize("shape", [(1, 1), (3, 17), (40, 2)])
def test_the_smallest_pictures_are_enlarged_too(enlarger, shape):
    plain = np.full((*shape, 3), 90, np.uint8)
    result = enlarger.enlarge(plain)
    assert result.shape == (2 * shape[0], 2 * shape[1], 3)
    assert np.abs(result.astype(int) - 90).max() <= 2


def test_threads_do_not_disturb_each_other(enlarger, picture):
    expected = [enlarger.enlarge(picture[: 20 + 5 * n]) for n in range(4)]
    found = [None] * 4

    def work(n):
        for _ in range(3):
            found[n] = enlarger.enlarge(picture[: 20 + 5 * n])

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for one, other in zip(expected, found, strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_model_is_loaded_once_and_small():
    assert shared_enlarger() is shared_enlarger()
    assert sum(path.stat().st_size for path in WEIGHTS.parent.glob("packshot-superres.*")) < 210_000


def test_a_missing_model_is_named(tmp_path):
    with pytest.raises(ValueError, match="super-resolution model '.*none.tflite' cannot be read: No such file"):
        Enlarger(tmp_path / "none.tflite")
