"""The precision that networks are built with."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import keras


@contextlib.contextmanager
def computing_in(precision: str) -> Iterator[None]:
    """Layers that are made meanwhile compute in a precision; it stays theirs.

    Args:
      precision: a dtype policy of Keras, such as ``float32`` or ``mixed_bfloat16``.
    """
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
