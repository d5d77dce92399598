"""From a trained autoencoder to the LiteRT file that serves: uint8 pictures in, latents and uint8 pictures out."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import keras
import tensorflow as tf

from models.export import fold_batch_normalisation
from models.vae.network import Vae

RECONSTRUCT, DECODE = "reconstruct", "decode"


class ServingModule(tf.Module):
    """The graphs that serve, with the weights as constants.

    Args:
      vae: the trained autoencoder.

    Raises:
      ValueError: Keras does not run on TensorFlow.
    """

    def __init__(self, vae: Vae):
        super().__init__(name="packshot_vae")
        if keras.backend.backend() != "tensorflow":
            raise ValueError(
                f"Keras runs on {keras.backend.backend()!r}; a model is exported on TensorFlow: "
                "set KERAS_BACKEND=tensorflow"
            )
        self._encoder, self._decoder = _frozen(vae.encoder), _frozen(vae.decoder)
        self._latent = vae.shape_of.latent
        size = vae.shape_of.size
        picture = tf.TensorSpec((1, size, size, 3), tf.uint8, name="image")
        point = tf.TensorSpec((1, self._latent), tf.float32, name="latent")
        self.reconstruct = tf.function(self._reconstruct, input_signature=[picture])
        self.decode = tf.function(self._decode, input_signature=[point])

    def _reconstruct(self, image):
        mean = self._encoder(tf.cast(image, tf.float32))[:, : self._latent]
        return {"latent": mean, "image": self._pixels(mean)}

    def _decode(self, latent):
        return {"image": self._pixels(latent)}

    def _pixels(self, latent):
        made = self._decoder(latent)
        # the cast cuts off, so half is added first
        return tf.cast(tf.clip_by_value(made * 255.0 + 0.5, 0.0, 255.0), tf.uint8)


def _frozen(model: keras.Model) -> Callable[[tf.Tensor], tf.Tensor]:
    folded = fold_batch_normalisation(model)
    trainable = [variable.numpy() for variable in folded.trainable_variables]
    others = [variable.numpy() for variable in folded.non_trainable_variables]
    return lambda x: folded.stateless_call(trainable, others, x, training=False)[0]


def export_litert(vae: Vae, path: Path) -> Path:
    """Writes a LiteRT file with the signatures ``reconstruct`` and ``decode``, which share their weights.

    Weights are kept in eight bits with a scale a channel, and computed with in floating point: a third of a megabyte
    a network, where float16 would take two. The batch is one picture, so that a result cannot depend on its neighbours.

    Args:
      vae: the trained autoencoder.
      path: of the file, ``*.tflite``.

    Returns:
      The path.
    """
    module = ServingModule(vae)
    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(module, folder, signatures={RECONSTRUCT: module.reconstruct, DECODE: module.decode})
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=[RECONSTRUCT, DECODE])
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        content = converter.convert()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path
