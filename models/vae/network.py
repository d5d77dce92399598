"""The variational autoencoder: a residual encoder and decoder of plain 3x3 convolutions.

Backend-neutral Keras 3. Kingma and Welling, "Auto-Encoding Variational Bayes" (ICLR 2014); the weighted divergence is
Higgins et al., "beta-VAE" (ICLR 2017). Residual blocks after He et al. (CVPR 2016); the last enlargement rearranges
channels (Shi et al., CVPR 2016), so that no convolution runs at the full size.

Beside the convolutions runs a linear path between a coarse picture and the latent space. The best linear autoencoder is
known without training, the principal components (Baldi and Hornik, Neural Networks 1989; Lucas et al., "Don't Blame the
ELBO!", NeurIPS 2019, for the variational one): ``models.vae.start`` puts them in, and the convolutions, which begin by
saying nothing, learn what is left over. A few hundred steps then do what would take thousands.
"""

from __future__ import annotations

import dataclasses

import keras
from keras import layers, ops

from models.settings import build

LOG_VARIANCE = (-10.0, 4.0)  # beyond, exponentials lose all precision


@dataclasses.dataclass(frozen=True)
class NetworkConfig:
    """Shape of encoder and decoder.

    Attributes:
      size: side of the square picture in pixels, a multiple of ``patch`` times a power of two for each further width.
      patch: pixels, along a side, that the first layer takes and the last one makes at once. No convolution runs at a
        finer resolution, which is what makes training on a CPU possible.
      latent: dimensions of the latent space.
      widths: channels of the encoder at 1/patch of the picture, half of that, a quarter ...
      decoder: channels of the decoder, from the lowest resolution up; as many as ``widths``.
      neck: channels of the smallest map on either side of the latent space.
      coarse: side of the picture that the linear path takes and gives, a divisor of ``size``.
    """

    size: int = 64
    patch: int = 4
    latent: int = 64
    widths: tuple[int, ...] = (48, 48, 80)
    decoder: tuple[int, ...] = (64, 48, 32)
    neck: int = 32
    coarse: int = 16

    def __post_init__(self):
        if len(self.widths) < 2 or len(self.widths) != len(self.decoder):
            raise ValueError(f"widths={self.widths!r} and decoder={self.decoder!r} must be two lists of one length")
        if min(self.patch, self.latent, self.neck, *self.widths, *self.decoder) < 1:
            raise ValueError(
                f"patch={self.patch!r}, latent={self.latent!r}, neck={self.neck!r} and all widths must be at least 1"
            )
        step = self.patch * 2 ** (len(self.widths) - 1)
        if self.size < 8 or self.size % step:
            raise ValueError(f"size={self.size!r} must be a multiple of {step} and at least 8")
        if self.coarse < 1 or self.size % self.coarse:
            raise ValueError(f"coarse={self.coarse!r} must divide size={self.size!r}")

    @property
    def smallest(self) -> int:
        """Side of the smallest map."""
        return self.size // (self.patch * 2 ** (len(self.widths) - 1))


def _convolution(x, channels: int, name: str, *, kernel: int = 3, stride: int = 1, act: bool = True):
    x = layers.Conv2D(
        channels, kernel, stride, padding="same", use_bias=False, kernel_initializer="he_normal", name=f"{name}_conv"
    )(x)
    x = layers.BatchNormalization(momentum=0.98, epsilon=1e-4, name=f"{name}_norm")(x)
    return layers.LeakyReLU(0.1, name=f"{name}_relu")(x) if act else x


def _residual(x, channels: int, name: str):
    y = _convolution(x, channels, f"{name}_a")
    y = _convolution(y, channels, f"{name}_b", act=False)
    return layers.LeakyReLU(0.1, name=f"{name}_relu")(layers.Add(name=f"{name}_add")([x, y]))


def build_trunk(config: NetworkConfig) -> keras.Model:
    """Builds what encoder and supervised reference have in common.

    Args:
      config: the network's shape.

    Returns:
      A model from RGB pictures, float32 0..255, (batch, size, size, 3), to features, (batch, smallest² · neck).
    """
    image = keras.Input((config.size, config.size, 3), name="image")
    x = layers.Rescaling(1 / 64, offset=-2.5, name="rescale")(image)
    for level, channels in enumerate(config.widths):
        if level:
            x = _convolution(x, channels, f"down{level}", stride=2)
            x = _residual(x, channels, f"enc{level}")
        else:  # a block at this size would cost as much as all others together
            x = _convolution(x, channels, "patches", kernel=config.patch + 2, stride=config.patch)
    x = _convolution(x, config.neck, "neck", kernel=1)
    return keras.Model(image, layers.Flatten(name="features")(x), name="trunk")


def build_encoder(config: NetworkConfig) -> keras.Model:
    """Builds the encoder.

    Args:
      config: the network's shape.

    Returns:
      A model from RGB pictures, float32 0..255, (batch, size, size, 3), to mean and log-variance of the posterior,
      float32 (batch, 2 · latent), the means first.
    """
    trunk = build_trunk(config)
    wide = 2 * config.latent
    moments = layers.Dense(wide, use_bias=False, kernel_initializer="zeros", dtype="float32", name="moments")(
        trunk.output
    )
    coarse = layers.AveragePooling2D(config.size // config.coarse, name="coarse")(trunk.input)
    coarse = layers.Flatten(name="levels")(layers.Rescaling(1 / 255, name="unit")(coarse))
    linear = layers.Dense(wide, dtype="float32", name="linear")(coarse)
    return keras.Model(trunk.input, layers.Add(dtype="float32", name="sum")([linear, moments]), name="encoder")


def build_decoder(config: NetworkConfig) -> keras.Model:
    """Builds the decoder.

    Args:
      config: the network's shape.

    Returns:
      A model from latents, float32 (batch, latent), to pictures, float32 (batch, size, size, 3), near 0..1.
    """
    latent = keras.Input((config.latent,), name="latent")
    side, first = config.smallest, config.decoder[0]
    x = layers.Dense(side * side * config.neck, name="widen")(latent)
    x = layers.Reshape((side, side, config.neck), name="grid")(x)
    x = _convolution(x, first, "neck")
    for level, channels in enumerate(config.decoder):
        if level:
            x = layers.UpSampling2D(2, interpolation="nearest", name=f"up{level}")(x)
            x = _convolution(x, channels, f"up{level}")
        if level + 1 < len(config.decoder):
            x = _residual(x, channels, f"dec{level}")
    x = layers.Conv2D(
        3 * config.patch**2, 3, padding="same", kernel_initializer="zeros", dtype="float32", name="pixels"
    )(x)
    coarse = layers.Dense(3 * config.coarse**2, dtype="float32", name="linear")(latent)
    coarse = layers.Reshape((config.coarse, config.coarse, 3), name="coarse")(coarse)
    if config.size > config.coarse:
        coarse = layers.UpSampling2D(config.size // config.coarse, interpolation="bilinear", name="enlarge")(coarse)
    image = layers.Add(dtype="float32", name="image")([coarse, _unfolded(x, config.size, config.patch)])
    return keras.Model(latent, image, name="decoder")


def _unfolded(x, size: int, patch: int):
    """Rearranges (batch, size / patch, size / patch, 3 patch²) to (batch, size, size, 3)."""
    side = size // patch
    x = layers.Reshape((side, side, patch, patch, 3), name="blocks")(x)
    x = layers.Permute((1, 3, 2, 4, 5), name="rows")(x)
    return layers.Reshape((size, size, 3), name="fine")(x)


@keras.saving.register_keras_serializable("packshot")
class Vae(keras.Model):
    """Encoder and decoder with the draw between them.

    Args:
      config: the networks' shape, or a mapping of it as ``get_config`` gives it.
      seed: of the draws.

    Attributes:
      encoder, decoder: see ``build_encoder`` and ``build_decoder``.
    """

    def __init__(self, config: NetworkConfig | dict, seed: int = 7, **kwargs):
        super().__init__(**kwargs)
        if isinstance(config, dict):
            config = build(NetworkConfig, config)
        self.shape_of, self._seed = config, seed
        self.encoder, self.decoder = build_encoder(config), build_decoder(config)
        self.draws = keras.random.SeedGenerator(seed)
        self.built = True  # both parts are functional models, built at once

    def get_config(self):
        return {**super().get_config(), "config": dataclasses.asdict(self.shape_of), "seed": self._seed}

    def build(self, input_shape=None):
        self.built = True

    def call(self, image, training=None):
        """Encodes and decodes; draws from the posterior in training, else takes its mean.

        Args:
          image: float32 (batch, size, size, 3), 0..255.
          training: whether to draw.

        Returns:
          ``reconstruction`` (batch, size, size, 3), near 0..1, ``mean`` and ``log_variance`` (batch, latent).
        """
        moments = self.encoder(image, training=training)
        mean, log_variance = moments[:, : self.shape_of.latent], moments[:, self.shape_of.latent :]
        log_variance = ops.clip(log_variance, *LOG_VARIANCE)
        latent = mean
        if training:
            latent = mean + ops.exp(log_variance / 2) * keras.random.normal(ops.shape(mean), seed=self.draws)
        return {
            "reconstruction": self.decoder(latent, training=training),
            "mean": mean,
            "log_variance": log_variance,
        }
