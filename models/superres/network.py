"""The super-resolution network: twice the size, a correction of bicubic enlargement, held to its input.

Convolutions at the input's size with a sub-pixel layer at the end (ESPCN: Shi et al., CVPR 2016), in residual blocks
without normalisation (EDSR: Lim et al., CVPR Workshops 2017). What it gives is the difference to
bicubic enlargement (Kim et al., "VDSR", CVPR 2016). One step of back-projection (Irani and Peleg, "Improving Resolution
by Image Registration", 1991) is part of the graph: whatever the convolutions say, the result halved again is the input
to within a rounding, so that detail can be added and nothing be changed.

It works on luma: nothing is to be won in the chroma of photos, which JPEG has halved already.
"""

from __future__ import annotations

import dataclasses

import keras
import numpy as np
from keras import layers

from models.superres.resampling import TAPS, doubling_kernel, halving_kernel

# Lays four channels out as two by two pixels: Keras has no such layer, and a deconvolution may do it on any backend.
_SHUFFLE = np.eye(4, dtype=np.float32).reshape(2, 2, 1, 4)


@dataclasses.dataclass(frozen=True)
class NetworkConfig:
    """Shape of the network.

    Attributes:
      channels: of every convolution.
      blocks: residual blocks of two 3x3 convolutions.
      projections: steps of back-projection.
    """

    channels: int = 32
    blocks: int = 2
    projections: int = 1

    def __post_init__(self):
        for name, least in (("channels", 1), ("blocks", 0), ("projections", 0)):
            if getattr(self, name) < least:
                raise ValueError(f"{name}={getattr(self, name)!r} must be at least {least}")

    @property
    def reach(self) -> int:
        """How far, in pixels of the input, what lies there can change an output pixel."""
        # 5x5, twice 3x3 a block, 3x3; a projection halves and doubles, which is two pixels of the input each
        return 3 + 2 * self.blocks + 4 * self.projections


def build_network(config: NetworkConfig) -> keras.Model:
    """Builds the network, with weights that make it bicubic enlargement.

    Args:
      config: its shape.

    Returns:
      A model from luma, float32 (batch, h, w, 1), 0..255, of any height and width to float32 (batch, 2 h, 2 w, 1).
      Beyond the frame it sees zeros: ``config.reach`` pixels along it are right only where the picture was padded.
    """
    luma = keras.Input((None, None, 1), name="luma")
    x = layers.Rescaling(1 / 255, name="scale")(luma)
    features = _convolution(config.channels, 5, "first")(x)
    for number in range(config.blocks):
        inner = _convolution(config.channels, 3, f"block{number}_a")(features)
        inner = _convolution(config.channels, 3, f"block{number}_b", activation=None)(inner)
        features = layers.Add(name=f"block{number}_add")([features, inner])
    detail = layers.Conv2D(4, 3, padding="same", kernel_initializer="zeros", name="detail")(features)
    result = layers.Add(name="enlarged")([_doubling("bicubic")(x), _fixed_up(_SHUFFLE, "shuffled")(detail)])
    for number in range(config.projections):
        missed = layers.Subtract(name=f"missed{number}")([x, _halving(f"halved{number}")(result)])
        result = layers.Add(name=f"projected{number}")([result, _doubling(f"correction{number}")(missed)])
    return keras.Model(luma, layers.Rescaling(255, name="luma_out")(result), name="packshot-superres")


def detail_branch(network: keras.Model) -> keras.Model:
    """Returns the part of the network that was learnt, which is all that has to be exported.

    Args:
      network: of ``build_network``.

    Returns:
      A model from the same luma to float32 (batch, h, w, 4), the detail in units of 255: of upper left, upper right,
      lower left and lower right. The fixed rest is faster in OpenCV: ``resampling.enlarge``.
    """
    return keras.Model(network.input, network.get_layer("detail").output, name="packshot-superres-detail")


def _convolution(channels: int, kernel: int, name: str, activation: str | None = "relu") -> layers.Layer:
    return layers.Conv2D(
        channels, kernel, padding="same", activation=activation, kernel_initializer="he_normal", name=name
    )


def _halving(name: str) -> layers.Layer:
    kernel = np.outer(halving_kernel(), halving_kernel())[..., None, None]
    return layers.Conv2D(
        1, TAPS, strides=2, padding="same", use_bias=False, trainable=False, name=name,
        kernel_initializer=keras.initializers.Constant(kernel),
    )  # fmt: skip


def _doubling(name: str) -> layers.Layer:
    return _fixed_up(np.outer(doubling_kernel(), doubling_kernel())[..., None, None], name)


def _fixed_up(kernel: np.ndarray, name: str) -> layers.Layer:
    return layers.Conv2DTranspose(
        1, kernel.shape[0], strides=2, padding="same", use_bias=False, trainable=False, name=name,
        kernel_initializer=keras.initializers.Constant(kernel),
    )  # fmt: skip
