import keras
import pytest

from models.precision import computing_in


def test_layers_made_meanwhile_keep_the_precision_and_later_ones_do_not_have_it():
    before = keras.config.dtype_policy().name
    with pytest.raises(KeyboardInterrupt), computing_in("mixed_bfloat16"):
        layer = keras.layers.Dense(1)
        raise KeyboardInterrupt
    assert layer.dtype_policy.name == "mixed_bfloat16"
    assert keras.layers.Dense(1).dtype_policy.name == keras.config.dtype_policy().name == before
