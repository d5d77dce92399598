"""Where a training begins: the linear path of the autoencoder set to the principal components of the pictures."""

from __future__ import annotations

import numpy as np

from models.vae.network import Vae

_DEVIATION = 0.15  # of the first posteriors, where the latent space has one: close enough to tell pictures apart
_LEAST = 1e-3  # of 0..1: components below are noise, and are not blown up


def start_from_components(vae: Vae, images: np.ndarray) -> None:
    """Sets the linear path to the whitened principal components.

    Args:
      vae: a new autoencoder.
      images: uint8 (n, size, size, 3), RGB: the pictures to be learnt.
    """
    shape = vae.shape_of
    block = shape.size // shape.coarse
    coarse = images.reshape(-1, shape.coarse, block, shape.coarse, block, 3).mean(axis=(2, 4), dtype=np.float32)
    levels = coarse.reshape(len(images), -1) / 255
    middle = levels.mean(axis=0)
    values, vectors = np.linalg.eigh((levels - middle).T @ (levels - middle) / max(1, len(levels)))
    count = min(shape.latent, len(values))
    order = np.argsort(values)[::-1][:count]
    spread = np.sqrt(np.maximum(values[order], _LEAST**2))
    kernel, bias = (w.copy() for w in vae.encoder.get_layer("linear").get_weights())
    kernel[:], bias[:] = 0, 0
    kernel[:, :count] = vectors[:, order] / spread
    bias[:count] = -middle @ kernel[:, :count]
    bias[shape.latent :] = 2 * np.log(_DEVIATION)
    vae.encoder.get_layer("linear").set_weights([kernel, bias])
    kernel, bias = (w.copy() for w in vae.decoder.get_layer("linear").get_weights())
    kernel[:] = 0
    kernel[:count] = (vectors[:, order] * spread).T
    vae.decoder.get_layer("linear").set_weights([kernel, middle])
