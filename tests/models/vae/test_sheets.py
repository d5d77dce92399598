import cv2
import numpy as np
import pytest

from models.vae.sheets import between, interpolation_sheet, reconstruction_sheet, sample_sheet


class Constant:
    """Latents are mean colours."""

    latent = 3

    def encode(self, images):
        return images.mean(axis=(1, 2)).astype(np.float32)

    def decode(self, latents):
        return np.clip(latents, 0, 255).astype(np.uint8)[:, None, None].repeat(8, axis=1).repeat(8, axis=2)


def test_points_between_stay_on_the_shell():
    first, second = np.array([3.0, 0, 0]), np.array([0, 3.0, 0])
    points = between(first, second, 5)
    np.testing.assert_allclose(points[[0, -1]], [first, second], atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(points, axis=1), 3, atol=1e-5)
    np.testing.assert_allclose(between(first, first, 3), [first] * 3, atol=1e-6)


@pytest.mark.parametrize("count", [3, 10])
def test_sheets_have_a_place_for_every_picture(tmp_path, count):
    images = np.random.default_rng(0).integers(0, 256, (count, 8, 8, 3), dtype=np.uint8)
    reconstruction_sheet(tmp_path / "a" / "r.png", Constant(), images, across=4)
    sample_sheet(tmp_path / "s.png", Constant(), count=8, across=4)
    interpolation_sheet(tmp_path / "i.png", Constant(), images, across=5)
    shapes = [
        cv2.imread(str(path)).shape for path in (tmp_path / "a" / "r.png", tmp_path / "s.png", tmp_path / "i.png")
    ]
    rows = 2 if count == 3 else 4
    assert shapes == [(10 * rows, 30 if count == 3 else 40, 3), (20, 40, 3), (10 * (count // 2), 50, 3)]
