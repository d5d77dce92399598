import contextlib

import keras
import numpy as np

from models.averaging import AveragingAdamW, averaged_weights


def trained(steps, momentum):
    """Trains one weight under compiled steps; returns the model and the values it went through."""
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")])
    optimizer = AveragingAdamW(0.1, use_ema=True, ema_momentum=momentum)
    model.compile(optimizer=optimizer, loss="mse", run_eagerly=False)
    values = []
    for _ in range(steps):
        model.train_on_batch(np.ones((1, 1)), np.ones((1, 1)))
        values.append(float(model.get_weights()[0][0, 0]))
    return model, values


def weight_of(model):
    return float(model.get_weights()[0][0, 0])


def test_the_average_forgets_where_it_began():
    model, values = trained(30, 0.998)
    with contextlib.suppress(KeyboardInterrupt), averaged_weights(model):
        average = weight_of(model)
        raise KeyboardInterrupt
    assert weight_of(model) == values[-1]  # its own are back, come what may
    expected = 0.0
    for step, value in enumerate(values):
        momentum = min(0.998, step / (step + 9))
        expected = momentum * expected + (1 - momentum) * value
    np.testing.assert_allclose(average, expected, rtol=1e-5)
    plain = values[0]
    for value in values[1:]:
        plain = 0.998 * plain + 0.002 * value
    assert abs(average - values[-1]) < abs(plain - values[-1]) / 4


def test_the_final_momentum_is_that_which_was_asked_for():
    model, values = trained(3, 0.0)
    model.optimizer.finalize_variable_values(model.trainable_variables)
    np.testing.assert_allclose(weight_of(model), values[-1], rtol=1e-6)
