"""The segmentation network: a residual U-Net of plain 3x3 convolutions with a presence head.

Backend-neutral Keras 3. Residual blocks after He et al. (CVPR 2016), encoder-decoder with lateral
connections after Ronneberger et al. (MICCAI 2015), global context by self-attention after Wang et al.
("Non-local Neural Networks", CVPR 2018) and by pyramid pooling after Zhao et al. (CVPR 2017).
"""

from __future__ import annotations

import dataclasses

import keras
from keras import layers


@dataclasses.dataclass(frozen=True)
class NetworkConfig:
    """Shape of the network.

    Attributes:
      size: side of the square input in pixels, a multiple of 32 and at least 64.
      stem: channels at half resolution.
      widths: channels at 1/4, 1/8, 1/16 and 1/32 of the input.
      blocks: residual blocks at each of these resolutions.
      attention: blocks of self-attention at 1/32, where every position sees all others.
      decoder: channels of the decoder at 1/16, 1/8, 1/4 and 1/2.
    """

    size: int = 320
    stem: int = 24
    widths: tuple[int, int, int, int] = (40, 72, 128, 192)
    blocks: tuple[int, int, int, int] = (1, 2, 3, 3)
    attention: int = 2
    decoder: tuple[int, int, int, int] = (96, 64, 32, 16)

    def __post_init__(self):
        if self.size < 64 or self.size % 32:  # below, the quarters of the pyramid would be empty
            raise ValueError(f"size={self.size!r} must be a multiple of 32 and at least 64")


def _convolution(x, channels: int, name: str, *, kernel: int = 3, stride: int = 1, act: bool = True):
    x = layers.Conv2D(
        channels, kernel, stride, padding="same", use_bias=False,
        kernel_initializer="he_normal", name=f"{name}_conv",
    )(x)  # fmt: skip
    x = layers.BatchNormalization(momentum=0.98, epsilon=1e-4, name=f"{name}_norm")(x)
    return layers.Activation("relu", name=f"{name}_relu")(x) if act else x


def _residual(x, channels: int, name: str):
    y = _convolution(x, channels, f"{name}_a")
    y = _convolution(y, channels, f"{name}_b", act=False)
    return layers.Activation("relu", name=f"{name}_relu")(layers.Add(name=f"{name}_add")([x, y]))


def _attend(x, channels: int, name: str):
    """Adds to every position what it makes of all others: at first nothing, so the block may join trained weights."""
    height, width = x.shape[1:3]
    tokens = layers.Reshape((height * width, channels), name=f"{name}_tokens")(x)
    y = layers.LayerNormalization(epsilon=1e-5, name=f"{name}_norm")(tokens)
    y = layers.MultiHeadAttention(4, channels // 4, name=f"{name}_heads")(y, y)
    y = layers.Dense(2 * channels, activation="relu", name=f"{name}_wide")(y)
    y = layers.Dense(channels, kernel_initializer="zeros", name=f"{name}_out")(y)
    y = layers.Add(name=f"{name}_add")([tokens, y])
    return layers.Reshape((height, width, channels), name=f"{name}_grid")(y)


def _pyramid(x, size: int, channels: int, name: str):
    """Adds what the whole frame and its quarters look like to every position."""
    branches = []
    for bins in (1, 2):
        pooled = layers.AveragePooling2D(size // bins, size // bins, padding="same", name=f"{name}{bins}_pool")(x)
        # no normalisation here: one value a channel and image is too little for batch statistics
        pooled = layers.Conv2D(channels, 1, activation="relu", name=f"{name}{bins}_conv")(pooled)
        factor = size // -(-size // (size // bins))
        pooled = layers.UpSampling2D(factor, name=f"{name}{bins}_up")(pooled)
        excess = size - pooled.shape[1]
        if excess:
            pooled = layers.ZeroPadding2D(((0, excess), (0, excess)), name=f"{name}{bins}_pad")(pooled)
        branches.append(pooled)
    return layers.Concatenate(name=f"{name}_concat")([x, *branches])


def build_network(config: NetworkConfig | None = None) -> keras.Model:
    """Builds the network for training.

    Args:
      config: the network's shape; the shipped one by default.

    Returns:
      A model from RGB images, float32 0..255, shape (batch, size, size, 3), to a dict of float32
      logits: ``mask`` (batch, size/2, size/2, 1), the auxiliary ``coarse`` (batch, size/8, size/8, 1)
      and ``presence`` (batch, 1).
    """
    config = config or NetworkConfig()
    image = keras.Input((config.size, config.size, 3), name="image")
    x = layers.Rescaling(1 / 64, offset=-2.0, name="rescale")(image)
    half = _convolution(x, config.stem, "stem", stride=2)
    skips, x = [half], half
    for level, (channels, blocks) in enumerate(zip(config.widths, config.blocks, strict=True)):
        x = _convolution(x, channels, f"down{level}", stride=2)
        for block in range(blocks):
            x = _residual(x, channels, f"enc{level}_{block}")
        skips.append(x)
    deepest = skips.pop()
    for block in range(config.attention):
        deepest = _attend(deepest, config.widths[-1], f"attend{block}")
    presence = layers.Concatenate(name="presence_features")([
        layers.GlobalAveragePooling2D(name="presence_mean")(deepest),
        layers.GlobalMaxPooling2D(name="presence_max")(deepest),
    ])  # fmt: skip
    presence = layers.Dense(1, dtype="float32", name="presence")(presence)

    x = _pyramid(deepest, config.size // 32, 32, "context")
    coarse = None
    for level, channels in enumerate(config.decoder):
        skip = skips.pop()
        x = _convolution(x, channels, f"up{level}_in", kernel=1 if level else 3)
        x = layers.UpSampling2D(2, interpolation="bilinear", name=f"up{level}")(x)
        lateral = _convolution(skip, channels, f"lateral{level}", kernel=1)
        x = layers.Add(name=f"merge{level}")([x, lateral])
        x = _convolution(x, channels, f"dec{level}")
        x = _residual(x, channels, f"dec{level}_res") if level < 3 else x
        if level == 1:
            coarse = layers.Conv2D(1, 1, dtype="float32", name="coarse")(x)
    mask = layers.Conv2D(1, 3, padding="same", dtype="float32", name="mask")(x)
    return keras.Model(image, {"mask": mask, "coarse": coarse, "presence": presence}, name="packshot_segmentation")


def with_size(network: keras.Model, config: NetworkConfig, size: int) -> keras.Model:
    """Builds the network anew for pictures of another size, with the same weights.

    Args:
      network: of ``build_network``.
      config: its shape; its size does not matter.
      size: side of the square input in pixels, a multiple of 32 and at least 64.

    Raises:
      ValueError: the weights are not of that shape, or the size does not fit.
    """
    resized = build_network(dataclasses.replace(config, size=size))
    resized.set_weights(network.get_weights())
    return resized
