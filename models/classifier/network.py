"""The catalogue classifier: a small residual network of plain 3x3 convolutions.

Backend-neutral Keras 3. Residual blocks after He et al. ("Deep Residual Learning", CVPR 2016); a stage begins with a
convolution of stride 2. Grouped and depthwise convolutions would be smaller but train far slower on a CPU.
"""

from __future__ import annotations

import dataclasses

import keras
from keras import layers


@dataclasses.dataclass(frozen=True)
class NetworkConfig:
    """Shape of the network.

    Attributes:
      size: side of the square input in pixels, divisible by two to the power of the number of stages.
      widths: channels of the stages, at 1/2, 1/4, 1/8 ... of the input; the last is the length of the features.
      blocks: residual blocks in each stage.
    """

    size: int = 64
    widths: tuple[int, ...] = (24, 48, 128)
    blocks: tuple[int, ...] = (1, 1, 1)

    def __post_init__(self):
        if not self.widths or len(self.widths) != len(self.blocks):
            raise ValueError(f"blocks={self.blocks!r} must have one number for each of widths={self.widths!r}")
        if min(self.widths) < 1 or min(self.blocks) < 0:
            raise ValueError(f"widths={self.widths!r} must be above 0 and blocks={self.blocks!r} not below")
        if self.size < 8 or self.size % 2 ** len(self.widths):
            raise ValueError(f"size={self.size!r} must be at least 8 and a multiple of {2 ** len(self.widths)}")


def _convolution(x, channels: int, name: str, *, stride: int = 1, act: bool = True):
    x = layers.Conv2D(
        channels, 3, stride, padding="same", use_bias=False, kernel_initializer="he_normal", name=f"{name}_conv"
    )(x)
    x = layers.BatchNormalization(momentum=0.98, epsilon=1e-4, name=f"{name}_norm")(x)
    return layers.Activation("relu", name=f"{name}_relu")(x) if act else x


def _residual(x, channels: int, name: str):
    y = _convolution(x, channels, f"{name}_a")
    y = _convolution(y, channels, f"{name}_b", act=False)
    return layers.Activation("relu", name=f"{name}_relu")(layers.Add(name=f"{name}_add")([x, y]))


def build_network(categories: int, colours: int, config: NetworkConfig | None = None) -> keras.Model:
    """Builds the classifier.

    Args:
      categories: number of categories, at least 2.
      colours: number of main colours.
      config: the network's shape; the shipped one by default.

    Returns:
      A model from RGB pictures, float32 0..255, shape (batch, size, size, 3), to a dict of float32: the logits
      ``category`` (batch, categories) and ``colour`` (batch, colours), and ``features`` (batch, widths[-1]), at least
      0: what both are read from.
    """
    config = config or NetworkConfig()
    image = keras.Input((config.size, config.size, 3), name="image")
    x = layers.Rescaling(1 / 64, offset=-2.0, name="rescale")(image)
    for stage, (channels, blocks) in enumerate(zip(config.widths, config.blocks, strict=True)):
        x = _convolution(x, channels, f"down{stage}", stride=2)
        for block in range(blocks):
            x = _residual(x, channels, f"stage{stage}_{block}")
    features = layers.GlobalAveragePooling2D(dtype="float32", name="features")(x)
    category = layers.Dense(categories, dtype="float32", name="category")(features)
    colour = layers.Dense(colours, dtype="float32", name="colour")(features)
    return keras.Model(
        image, {"category": category, "colour": colour, "features": features}, name="packshot_classifier"
    )
