import keras
import numpy as np
import pytest

from models.vae import losses


def noise(seed=0):
    return np.random.default_rng(seed).random((2, 16, 16, 3)).astype(np.float32)


def test_the_same_picture_costs_nothing():
    assert np.allclose(losses.charbonnier(noise(), noise()), 0, atol=1e-6)
    assert np.allclose(losses.ssim(noise(), noise()), 1, atol=1e-5)


def test_charbonnier_is_nearly_the_mean_difference():
    np.testing.assert_allclose(losses.charbonnier(noise(), noise() + 0.5), 0.49, atol=0.001)


def test_divergence_is_that_of_two_normal_distributions():
    mean, deviation = 0.7, 1.8
    found = losses.divergence(np.array([[mean]]), np.array([[2 * np.log(deviation)]]))
    x = np.linspace(-30, 30, 200_001)
    density = np.exp(-(((x - mean) / deviation) ** 2) / 2) / (deviation * np.sqrt(2 * np.pi))
    standard = np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi)
    inside = density > 1e-12
    expected = np.trapezoid(density[inside] * np.log(density[inside] / np.maximum(standard[inside], 1e-300)), x[inside])
    assert float(found[0, 0]) == pytest.approx(expected, abs=1e-4)


def test_warmth_and_free_bits_decide_what_the_divergence_costs():
    target = np.full((1, 8, 8, 3), 255, np.float32)
    answer = {
        "reconstruction": target / 255,
        "mean": np.full((1, 4), 2, np.float32),
        "log_variance": np.zeros((1, 4), np.float32),
    }
    weights = losses.LossWeights(ssim=0, beta=1, free_bits=0)

    def cost(weights, warmth):
        return float(keras.ops.convert_to_numpy(losses.total(target, answer, weights, warmth)))

    assert cost(weights, 0.0) == pytest.approx(0)
    assert cost(weights, 0.5) == pytest.approx(0.5 * 4 * 2 / 192)
    assert cost(losses.LossWeights(ssim=0, beta=1, free_bits=3), 1.0) == pytest.approx(4 * 3 / 192)


def test_negative_weights_are_refused():
    with pytest.raises(ValueError, match="beta=-1"):
        losses.LossWeights(beta=-1)
