import numpy as np
import pytest
from keras import ops

from models.gan import losses


@pytest.mark.parametrize("loss", ["relativistic", "non_saturating"])
def test_telling_apart_lowers_one_loss_and_raises_the_other(loss):
    real, fake = np.full(4, 2.0, np.float32), np.full(4, -1.0, np.float32)
    told = float(losses.discriminator_loss(loss, real, fake)), float(losses.generator_loss(loss, real, fake))
    fooled = float(losses.discriminator_loss(loss, fake, real)), float(losses.generator_loss(loss, fake, real))
    assert told[0] < fooled[0] and told[1] > fooled[1]


def test_values_by_hand():
    real, fake = np.array([1.0], np.float32), np.array([0.0], np.float32)
    assert float(losses.discriminator_loss("relativistic", real, fake)) == pytest.approx(np.log1p(np.exp(-1)))
    assert float(losses.generator_loss("non_saturating", real, fake)) == pytest.approx(np.log(2))
    expected = np.log1p(np.exp(-1)) + np.log(2)
    assert float(losses.discriminator_loss("non_saturating", real, fake)) == pytest.approx(expected)


def test_the_penalty_estimates_the_squared_gradient():
    rng = np.random.default_rng(0)
    direction = rng.standard_normal(50)
    x = rng.standard_normal((20_000, 50))
    noisy = x + 0.01 * rng.standard_normal(x.shape)
    estimate = losses.gradient_penalty(ops.array(x @ direction), ops.array(noisy @ direction), 0.01)
    assert float(estimate) == pytest.approx(np.square(direction).sum(), rel=0.05)
