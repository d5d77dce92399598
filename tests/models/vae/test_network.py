import sys
from pathlib import Path

import keras
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from tiny_vae import TINY, articles  # noqa: E402

from models.vae.network import NetworkConfig, Vae, build_trunk
from models.vae.start import start_from_components


@pytest.fixture(scope="module")
def vae():
    return Vae(TINY, seed=3)


def test_what_comes_out_has_the_size_of_what_goes_in(vae):
    answer = vae(np.zeros((2, 16, 16, 3), np.float32))
    assert answer["reconstruction"].shape == (2, 16, 16, 3)
    assert answer["mean"].shape == answer["log_variance"].shape == (2, TINY.latent)
    assert build_trunk(TINY).output_shape == (None, 4 * 4 * 3)


def test_the_mean_is_decoded_unless_it_trains(vae):
    image = np.full((1, 16, 16, 3), 90, np.float32)
    first, second = (keras.ops.convert_to_numpy(vae(image)["reconstruction"]) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    drawn = [keras.ops.convert_to_numpy(vae(image, training=True)["reconstruction"]) for _ in range(2)]
    assert np.abs(drawn[0] - drawn[1]).max() > 0


def test_unfolding_puts_every_value_in_its_place(vae):
    blocks = np.zeros((1, 8, 8, 12), np.float32)
    blocks[0, 2, 5, 3 * (1 * 2 + 0) + 1] = 7  # second row and first column of its block, green
    first = vae.decoder.get_layer("blocks")
    unfolded = keras.Model(first.input, vae.decoder.get_layer("fine").output).predict(blocks, verbose=0)
    assert unfolded[0, 5, 10, 1] == 7 and unfolded.sum() == 7


def test_a_saved_autoencoder_is_the_same(vae, tmp_path):
    vae.save(tmp_path / "a.keras")
    loaded = keras.models.load_model(tmp_path / "a.keras")
    image = np.full((1, 16, 16, 3), 200, np.float32)
    np.testing.assert_allclose(loaded(image)["reconstruction"], vae(image)["reconstruction"], atol=1e-6)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"size": 60}, "size=60"),
        ({"widths": (4, 4)}, "widths"),
        ({"latent": 0}, "latent=0"),
    ],
)
def test_shapes_that_do_not_fit_are_named(wrong, words):
    with pytest.raises(ValueError, match=words):
        NetworkConfig(**wrong)


def test_a_training_starts_from_the_principal_components():
    vae, images = Vae(TINY, seed=3), articles(60).images
    start_from_components(vae, images)
    answer = vae(images.astype(np.float32))
    mean, made = (keras.ops.convert_to_numpy(answer[name]) for name in ("mean", "reconstruction"))
    np.testing.assert_allclose(mean.mean(axis=0), 0, atol=1e-3)
    np.testing.assert_allclose(np.cov(mean.T), np.eye(TINY.latent), atol=0.05)
    levels = images.reshape(60, -1).astype(np.float32) / 255
    middle = levels - levels.mean(axis=0)
    left = (np.linalg.svd(middle, compute_uv=False)[TINY.latent :] ** 2).sum()
    assert ((made.reshape(60, -1) - levels) ** 2).sum() == pytest.approx(left, rel=0.01)
