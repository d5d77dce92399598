"""Generators and discriminators, in backend-neutral Keras 3.

``residual``: plain bottleneck blocks without normalisation, after R3GAN (Huang et al., "The GAN is dead; long live the
GAN!", NeurIPS 2024), but with ungrouped 3x3 convolutions, which train fast on CPUs. The generator's blocks are
modulated by a mapped latent (Karras et al., CVPR 2019) and each resolution adds its share to the picture (Karras et
al., CVPR 2020); resolutions change by smooth filters only: whatever treats odd and even pixels apart leaves dots. The
discriminator is conditioned by projection (Miyato and Koyama, ICLR 2018), and besides the whole it judges every place
(after Isola et al., CVPR 2017): texture is not seen by what looks at the whole.

``dcgan``: strided convolutions with batch normalisation (Radford et al., ICLR 2016), conditioned likewise: the
baseline, and the convolutional form of the founding recipe.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Literal

import keras
from keras import layers, ops

Conditioning = Literal["none", "category", "category+colour"]

SIZES = (16, 32, 64, 128, 256)
_SLOPE = 0.2
_LOCAL = (1, 2)  # halvings at which the discriminator judges places: of about 10 and 25 pixels


@dataclasses.dataclass(frozen=True)
class NetworkConfig:
    """Shape of both networks.

    Attributes:
      architecture: ``residual`` or ``dcgan``.
      size: side of the pictures in pixels, one of ``SIZES``.
      latent: numbers that a picture is drawn from.
      widths: channels at 4, 8, 16 ... pixels: of ``residual`` up to the size, of ``dcgan`` up to half of it.
      blocks: residual blocks a resolution.
      embedding: numbers that a category and a colour each become.
      conditioning: what the networks are told.
      ground: value 0..255 of the plain ground that all articles stand on. The generator then draws a cut-out, colours
        and alpha, which is set on it. None for whole photos.
      spectral_normalisation: whether the discriminator's convolutions are spectrally normalised (Miyato et al., 2018).
    """

    architecture: Literal["residual", "dcgan"] = "residual"
    size: int = 64
    latent: int = 96
    widths: tuple[int, ...] = (192, 128, 96, 48, 24)
    blocks: int = 1
    embedding: int = 32
    conditioning: Conditioning = "category+colour"
    ground: int | None = None
    spectral_normalisation: bool = False

    def __post_init__(self):
        if self.size not in SIZES:
            raise ValueError(f"size={self.size!r} must be one of {', '.join(map(str, SIZES))}")
        wanted = int(math.log2(self.size)) - (1 if self.architecture == "residual" else 2)
        if len(self.widths) != wanted:
            raise ValueError(
                f"widths={list(self.widths)!r} must be {wanted} numbers for {self.architecture} of size {self.size}: "
                f"channels at {', '.join(str(4 << level) for level in range(wanted))} pixels"
            )
        if self.ground is not None and not 0 <= self.ground <= 255:
            raise ValueError(f"ground={self.ground!r} must be from 0 to 255, or null for whole photos")
        if min(self.latent, self.blocks, self.embedding, *self.widths) < 1:
            raise ValueError(f"latent, blocks, embedding and widths must be at least 1, not {self!r}")


@keras.saving.register_keras_serializable("packshot")
class BlurPool(layers.Layer):
    """Halves height and width behind a binomial filter (Zhang, ICML 2019): (b, 2 h, 2 w, c) to (b, h, w, c)."""

    def call(self, x):
        taps = ops.convert_to_tensor([0.125, 0.375, 0.375, 0.125], dtype=x.dtype)
        square, channels = (taps[:, None] * taps)[:, :, None, None], x.shape[-1]
        if self.compute_dtype == "bfloat16":  # in which the gradient of a depthwise convolution takes ten times as long
            return ops.conv(x, square * ops.eye(channels, dtype=x.dtype), strides=2, padding="same")
        return ops.depthwise_conv(x, ops.broadcast_to(square, (4, 4, channels, 1)), strides=2, padding="same")


@keras.saving.register_keras_serializable("packshot")
class OnGround(layers.Layer):
    """Sets cut-outs on a plain ground: (b, h, w, 4), colours -1..1 and alpha as a logit, to (b, h, w, 3).

    Args:
      ground: its value, 0..255.
    """

    def __init__(self, ground: int, **settings):
        super().__init__(**settings)
        self.ground = ground

    def call(self, x):
        plain = self.ground / 127.5 - 1
        return plain + ops.sigmoid(x[..., 3:]) * (x[..., :3] - plain)

    def get_config(self):
        return {**super().get_config(), "ground": self.ground}


@keras.saving.register_keras_serializable("packshot")
class UnitScale(layers.Layer):
    """Scales each latent to a root mean square of one."""

    def call(self, x):
        return x * ops.rsqrt(ops.mean(ops.square(x), axis=-1, keepdims=True) + 1e-8)


def _labels(config: NetworkConfig, categories: int, colours: int):
    """Returns the label inputs, and those that the networks are to heed, each with its number of values."""
    category = keras.Input((), dtype="int32", name="category")
    colour = keras.Input((), dtype="int32", name="colour")
    heeded = {"none": [], "category": [(category, categories, "category")]}.get(
        config.conditioning, [(category, categories, "category"), (colour, colours, "colour")]
    )
    return [category, colour], heeded


def _conv(channels: int, name: str, kernel: int = 3, *, scale: float = 1.0, normalised: bool = False, stride: int = 1):
    spread = keras.initializers.VarianceScaling(2.0 * scale, "fan_in", "untruncated_normal") if scale else "zeros"
    conv = layers.Conv2D(channels, kernel, stride, padding="same", kernel_initializer=spread, name=name)
    return layers.SpectralNormalization(conv, name=f"{name}_sn") if normalised else conv


def _block(x, channels: int, name: str, style=None, normalised: bool = False):
    """Adds a bottleneck to what comes in; at first it adds nothing."""
    inner = max(channels // 2, 8)
    y = x
    if style is not None:
        gain = layers.Dense(channels, kernel_initializer="zeros", name=f"{name}_gain")(style)
        y = layers.Multiply(name=f"{name}_modulated")([y, layers.Reshape((1, 1, channels))(gain + 1.0)])
    y = _conv(inner, f"{name}_in", 1, normalised=normalised)(layers.LeakyReLU(_SLOPE)(y))
    y = _conv(inner, f"{name}_mid", 3, normalised=normalised)(layers.LeakyReLU(_SLOPE)(y))
    y = _conv(channels, f"{name}_out", 1, scale=0.0 if not normalised else 0.1, normalised=normalised)(
        layers.LeakyReLU(_SLOPE)(y)
    )
    return layers.Add(name=f"{name}_add")([x, y])


def build_generator(config: NetworkConfig, categories: int, colours: int) -> keras.Model:
    """Builds the generator.

    Args:
      config: its shape.
      categories, colours: how many there are.

    Returns:
      A model from ``[latent float32 (b, latent), category int32 (b,), colour int32 (b,)]`` to pictures, float32
      (b, size, size, 3), RGB, of which -1..1 is black to white; values beyond are to be clipped.
    """
    latent = keras.Input((config.latent,), name="latent")
    inputs, heeded = _labels(config, categories, colours)
    parts = [UnitScale(name="unit_latent")(latent)] + [
        layers.Embedding(count, config.embedding, embeddings_initializer=_unit(), name=f"embed_{name}")(label)
        for label, count, name in heeded
    ]
    code = layers.Concatenate(name="code")(parts) if len(parts) > 1 else parts[0]
    draw = _residual_generator if config.architecture == "residual" else _dcgan_generator
    return keras.Model([latent, *inputs], draw(code, config), name="generator")


def _residual_generator(code, config: NetworkConfig):
    style = code
    for i in range(2):
        style = layers.Dense(config.latent, kernel_initializer="he_normal", name=f"map{i}")(style)
        style = layers.LeakyReLU(_SLOPE)(style)
    x = layers.Dense(16 * config.widths[0], kernel_initializer="he_normal", name="start")(style)
    x = layers.Reshape((4, 4, config.widths[0]))(x)
    planes, drawn = 3 if config.ground is None else 4, None
    for level, channels in enumerate(config.widths):
        if level:
            x = _conv(channels, f"widen{level}", 1, scale=0.5)(x)
            x = layers.UpSampling2D(2, interpolation="bilinear", name=f"up{level}")(x)
        for block in range(config.blocks):
            x = _block(x, channels, f"g{level}_{block}", style)
        # the coarsest sizes have too few pixels to draw anything; details start at nothing
        if 4 << level >= 16:
            share = _conv(planes, f"draw{level}", 3, scale=0.5 if drawn is None else 0.0)(layers.LeakyReLU(_SLOPE)(x))
            drawn = share if drawn is None else layers.Add(name=f"drawn{level}")([drawn, share])
        if drawn is not None and level < len(config.widths) - 1:
            drawn = layers.UpSampling2D(2, interpolation="bilinear", name=f"drawn_up{level}")(drawn)
    return drawn if config.ground is None else OnGround(config.ground, name="picture")(drawn)


def _dcgan_generator(code, config: NetworkConfig):
    x = layers.Dense(16 * config.widths[0], use_bias=False, name="start")(code)
    x = layers.Reshape((4, 4, config.widths[0]))(x)
    for level, channels in enumerate([*config.widths[1:], config.widths[-1]]):
        x = layers.ReLU()(layers.BatchNormalization(momentum=0.9, name=f"g{level}_norm")(x))
        x = layers.Conv2DTranspose(
            channels, 4, 2, padding="same", use_bias=False, kernel_initializer=_small(), name=f"g{level}"
        )(x)  # fmt: skip
    x = layers.ReLU()(layers.BatchNormalization(momentum=0.9, name="last_norm")(x))
    if config.ground is None:
        return layers.Conv2D(3, 3, padding="same", activation="tanh", kernel_initializer=_small(), name="picture")(x)
    drawn = layers.Conv2D(4, 3, padding="same", kernel_initializer=_small(), name="drawn")(x)
    return OnGround(config.ground, name="picture")(drawn)


def _unit():
    return keras.initializers.RandomNormal(stddev=1.0)  # as large as the latent, or the labels are long ignored


def _small():
    return keras.initializers.RandomNormal(stddev=0.02)


def build_discriminator(config: NetworkConfig, categories: int, colours: int) -> keras.Model:
    """Builds the discriminator.

    Args:
      config: its shape.
      categories, colours: how many there are.

    Returns:
      A model from ``[picture float32 (b, size, size, 3) in -1..1, category int32 (b,), colour int32 (b,)]`` to logits,
      float32 (b,): higher for what looks real.
    """
    picture = keras.Input((config.size, config.size, 3), name="picture")
    inputs, heeded = _labels(config, categories, colours)
    look = _residual_features if config.architecture == "residual" else _dcgan_features
    features, places = look(picture, config)
    logit = layers.Dense(1, name="logit")(features)
    for label, count, name in heeded:
        embedded = layers.Embedding(count, features.shape[-1], embeddings_initializer="zeros", name=f"judge_{name}")(
            label
        )
        logit = logit + layers.Dot(axes=1, name=f"project_{name}")([features, embedded])
    for place in places:
        logit = logit + layers.Reshape((1,))(layers.GlobalAveragePooling2D()(place))
    logit = layers.Reshape((), dtype="float32", name="logits")(logit)
    return keras.Model([picture, *inputs], logit, name="discriminator")


def _residual_features(picture, config: NetworkConfig):
    """Returns features of the whole (b, n), and logits of places, (b, h, w, 1) each."""
    normalised, places = config.spectral_normalisation, []
    widths = config.widths[::-1]
    x = _conv(widths[0], "from_colours", 3, normalised=normalised)(picture)
    for level, channels in enumerate(widths):
        if level:
            x = _conv(channels, f"widen{level}", 1, scale=0.5, normalised=normalised)(BlurPool(name=f"down{level}")(x))
        for block in range(config.blocks):
            x = _block(x, channels, f"d{level}_{block}", normalised=normalised)
        if level in _LOCAL:
            places.append(_conv(1, f"place{level}", 1)(layers.LeakyReLU(_SLOPE)(x)))
    x = layers.Flatten()(layers.LeakyReLU(_SLOPE)(_conv(widths[-1] // 2, "gather", 1)(x)))
    x = layers.Dense(widths[-1] // 2, kernel_initializer="he_normal", name="features")(x)
    return layers.LeakyReLU(_SLOPE)(x), places


def _dcgan_features(picture, config: NetworkConfig):
    x = picture
    for level, channels in enumerate(config.widths[::-1]):
        x = _conv(channels, f"d{level}", 4, stride=2, normalised=config.spectral_normalisation)(x)
        if level and not config.spectral_normalisation:
            x = layers.BatchNormalization(momentum=0.9, name=f"d{level}_norm")(x)
        x = layers.LeakyReLU(_SLOPE)(x)
    return layers.Flatten()(x), []
