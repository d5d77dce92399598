"""Differentiable augmentation of what the discriminator sees (Zhao et al., "DiffAugment", NeurIPS 2020).

Real and generated pictures are changed alike, and gradients flow through, so that the generator does not learn the
changes while the discriminator cannot learn the few photos by heart.
"""

from __future__ import annotations

from typing import Literal

import keras
from keras import ops

Operation = Literal["colour", "translation", "cutout"]

_SHIFT = 0.125  # of the side, either way
_HOLE = 0.5  # of the side


def augment(images, operations: tuple[str, ...], seeds: keras.random.SeedGenerator, ground: float):
    """Changes pictures at random, each in its own way.

    Args:
      images: float32 (b, s, s, 3), -1..1.
      operations: of ``colour`` (brightness, saturation, contrast), ``translation`` and ``cutout``, in order.
      seeds: of the draws.
      ground: value of what comes into the frame and of holes, -1..1.

    Returns:
      The same shape; values may leave -1..1.
    """
    for operation in operations:
        images = _OPERATIONS[operation](images, seeds, ground)
    return images


def _draw(images, seeds, low: float, high: float, last: int = 1):
    return keras.random.uniform((ops.shape(images)[0], 1, 1, last), low, high, seed=seeds)


def _colour(images, seeds, ground):
    images = images + _draw(images, seeds, -0.5, 0.5)
    grey = ops.mean(images, axis=-1, keepdims=True)
    images = grey + (images - grey) * _draw(images, seeds, 0.0, 2.0)
    mean = ops.mean(images, axis=(1, 2, 3), keepdims=True)
    return mean + (images - mean) * _draw(images, seeds, 0.5, 1.5)


def _translation(images, seeds, ground):
    """Shifts by whole pixels, by one matrix product along each axis."""
    side = images.shape[1]
    reach = round(side * _SHIFT)
    positions = ops.arange(side)
    for axis in (1, 2):
        shift = ops.floor(_draw(images, seeds, -reach, reach + 1)[:, 0])  # (b, 1, 1)
        moved = ops.cast(
            ops.equal(positions[None, :, None] + ops.cast(shift, "int32"), positions[None, None]), "float32"
        )
        images = ops.einsum("bij,bjxc->bixc" if axis == 1 else "bij,bxjc->bxic", moved, images - ground) + ground
    return images


def _cutout(images, seeds, ground):
    side = images.shape[1]
    positions = (ops.cast(ops.arange(side), "float32") + 0.5) / side
    row, column = (_draw(images, seeds, 0.0, 1.0)[:, :, 0] for _ in range(2))  # (b, 1, 1)
    hole_rows = ops.cast(ops.abs(positions[None, :, None] - row) < _HOLE / 2, "float32")
    hole_columns = ops.cast(ops.abs(positions[None, None, :] - column) < _HOLE / 2, "float32")
    hole = (hole_rows * hole_columns)[..., None]
    return images * (1 - hole) + ground * hole


_OPERATIONS = {"colour": _colour, "translation": _translation, "cutout": _cutout}
