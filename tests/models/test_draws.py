import keras
import numpy as np

from models.draws import EpochDraws


def test_an_epoch_draws_the_same_whatever_was_drawn_before_and_no_two_draw_alike():
    seeds = keras.random.SeedGenerator(3)
    draws = EpochDraws(seeds, 3)

    def drawn(epoch):
        draws.on_epoch_begin(epoch)
        return keras.ops.convert_to_numpy(keras.random.normal((4,), seed=seeds))

    first, second = drawn(0), drawn(1)
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(drawn(1), second)
    np.testing.assert_array_equal(drawn(0), first)
