"""From a trained super-resolution network to a LiteRT file: luma of any size in, its detail out."""

from __future__ import annotations

import pathlib
import zipfile

import keras
import numpy as np
import tensorflow as tf

from models.superres.network import detail_branch


def export_litert(network: keras.Model, path: str | pathlib.Path) -> pathlib.Path:
    """Writes a LiteRT model with weights of float16, for the CPU through XNNPACK.

    Args:
      network: of ``build_network``.
      path: the file to write, ``*.tflite``; from ``luma`` uint8 (1, h, w, 1) to ``detail`` float32 (1, h, w, 4), as
        ``detail_branch`` has it; h and w are set by resizing the input.

    Returns:
      The path.

    Raises:
      ValueError: Keras does not run on TensorFlow.
    """
    if keras.backend.backend() != "tensorflow":
        raise ValueError(
            f"Keras runs on {keras.backend.backend()!r}; a model is exported on TensorFlow: "
            f"set KERAS_BACKEND=tensorflow"
        )
    network = detail_branch(network)
    # weights as constants, so that the converter can fold what it likes
    trainable = [variable.numpy() for variable in network.trainable_variables]
    others = [variable.numpy() for variable in network.non_trainable_variables]
    module = tf.Module()

    def serve(luma):
        return {"detail": network.stateless_call(trainable, others, tf.cast(luma, tf.float32), training=False)[0]}

    module.serve = tf.function(serve, input_signature=[tf.TensorSpec((1, None, None, 1), tf.uint8, name="luma")])
    converter = tf.lite.TFLiteConverter.from_concrete_functions([module.serve.get_concrete_function()], module)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_types = [tf.float16]
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(converter.convert())
    return path


def save_compactly(network: keras.Model, path: pathlib.Path) -> None:
    """Writes a ``.keras`` file of about half the usual size, with weights of float16's precision.

    They are float32 in the file, as the LiteRT file computes with; what the rounding leaves empty is packed away.

    Args:
      network: any functional model; its optimiser is not written.
      path: of the file.
    """
    bare = keras.Model.from_config(network.get_config())  # not compiled, so without the training's loss
    bare.set_weights([weights.astype(np.float16).astype(np.float32) for weights in network.get_weights()])
    loose = path.with_suffix(".loose.keras")
    bare.save(loose)
    with zipfile.ZipFile(loose) as read, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as packed:
        for entry in read.infolist():
            packed.writestr(entry.filename, read.read(entry))
    loose.unlink()
