import keras
import numpy as np

from models.segmentation.averaging import AveragingAdamW


def trained(steps, momentum):
    """Trains one weight under compiled steps; returns its values and its average."""
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")])
    optimizer = AveragingAdamW(0.1, use_ema=True, ema_momentum=momentum)
    model.compile(optimizer=optimizer, loss="mse", run_eagerly=False)
    values = []
    for _ in range(steps):
        model.train_on_batch(np.ones((1, 1)), np.ones((1, 1)))
        values.append(float(model.get_weights()[0][0, 0]))
    optimizer.finalize_variable_values(model.trainable_variables)
    return values, float(model.get_weights()[0][0, 0])


def test_the_average_forgets_where_it_began():
    values, average = trained(30, 0.998)
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
    values, average = trained(3, 0.0)
    np.testing.assert_allclose(average, values[-1], rtol=1e-6)
