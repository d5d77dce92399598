"""Random draws of a training that do not depend on whether it was stopped on the way."""

from __future__ import annotations

import keras


def reseed(seeds: keras.random.SeedGenerator, seed: int, epoch: int) -> None:
    """Sets a generator to the draws of an epoch.

    Its state is in no checkpoint, so that a training which goes on would else draw what its first epoch drew.

    Args:
      seeds: whose draws.
      seed: of the whole training.
      epoch: from 0.
    """
    seeds.state.assign(keras.ops.convert_to_tensor([seed, epoch << 20], seeds.state.dtype))


class EpochDraws(keras.callbacks.Callback):
    """Gives every epoch its own draws.

    Args:
      seeds: whose draws.
      seed: of the whole training.
    """

    def __init__(self, seeds: keras.random.SeedGenerator, seed: int):
        super().__init__()
        self._seeds, self._seed = seeds, seed

    def on_epoch_begin(self, epoch, logs=None):
        reseed(self._seeds, self._seed, epoch)
