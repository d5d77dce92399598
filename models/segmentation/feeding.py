"""Batches drawn afresh for every step, each fixed by the seed and its step, fed by threads in order."""

from __future__ import annotations

import dataclasses
import importlib.util
import os

import keras
import numpy as np

from models.segmentation.augment import SampleMaker

_AHEAD = 6  # batches made before they are asked for


@dataclasses.dataclass(frozen=True)
class BatchMaker:
    """Makes the batch of any step.

    Attributes:
      maker: draws the samples.
      size: side of the pictures in pixels.
      batch_size: pictures a batch.
      seed: of the whole stream.
    """

    maker: SampleMaker
    size: int
    batch_size: int
    seed: int

    def __call__(self, step: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Returns float32 arrays: pictures (batch, size, size, 3) 0..255, targets (batch, size/2, size/2, 2) of label
        and weight 0..1, and presences (batch, 1), 0 or 1."""
        rng = np.random.default_rng((self.seed, int(step)))
        samples = [self.maker.sample(rng, self.size) for _ in range(self.batch_size)]
        images, targets, presences = (np.stack(part).astype(np.float32) for part in zip(*samples, strict=True))
        return images, targets, presences


def _for_fit(images, targets, presences):
    return images, {"mask": targets, "presence": presences}


class BatchSequence(keras.utils.PyDataset):
    """The batches for backends on machines without TensorFlow.

    Args:
      make: makes the batch of a step.
      first: first step.
      count: number of steps.
      workers: threads.
    """

    def __init__(self, make: BatchMaker, first: int, count: int, workers: int = 1):
        super().__init__(workers=workers, use_multiprocessing=False, max_queue_size=_AHEAD)
        self._make, self._first, self._count = make, first, count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int):
        return _for_fit(*self._make(self._first + index))


def tf_batches(make: BatchMaker, first: int, count: int, workers: int = 1):
    """Returns the same batches, in the same order, as a ``tf.data.Dataset``; arguments as for ``BatchSequence``."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import tensorflow as tf

    size, half, n = make.size, make.size // 2, make.batch_size
    shapes = (n, size, size, 3), (n, half, half, 2), (n, 1)

    def batch_of(step):
        arrays = tf.numpy_function(make, [step], [tf.float32] * 3, stateful=False)
        return _for_fit(*(tf.ensure_shape(array, shape) for array, shape in zip(arrays, shapes, strict=True)))

    steps = tf.data.Dataset.range(first, first + count)
    return steps.map(batch_of, num_parallel_calls=workers, deterministic=True).prefetch(_AHEAD)


def batches(make: BatchMaker, first: int, count: int, workers: int = 1):
    """Returns the batches of steps ``first`` to ``first + count - 1`` in the form that is best for ``fit`` here."""
    source = tf_batches if importlib.util.find_spec("tensorflow") else BatchSequence
    return source(make, first, count, workers)
