"""What the autoencoder is trained for: pictures near the originals, and a latent space near a normal one.

A squared error alone blurs every edge whose place is uncertain. Charbonnier's (Charbonnier et al., ICIP 1994) lets
large residuals be large, so that an overlay is not half reproduced; structural similarity (Wang et al., IEEE TIP 2004)
keeps the contrast of folds and prints, which are small in absolute terms. Perceptual losses need a network trained on
other people's photos; there is none here.
"""

from __future__ import annotations

import dataclasses

from keras import ops

_SOFT = 1e-2  # of 0..1: below, the error is squared
_WINDOW = 7
_C1, _C2 = 0.01**2, 0.03**2


@dataclasses.dataclass(frozen=True)
class LossWeights:
    """How much each term counts.

    Attributes:
      ssim: of the structural term, beside 1 for Charbonnier's.
      beta: of the divergence in nats, spread over all values of a picture; 1 stands for a Laplacian noise of one, the
        whole range.
      free_bits: nats of each latent dimension that cost nothing (Kingma et al., NeurIPS 2016), against dimensions
        that nothing is ever put in.
    """

    ssim: float = 0.1
    beta: float = 0.2
    free_bits: float = 0.02

    def __post_init__(self):
        for field in dataclasses.fields(self):
            if getattr(self, field.name) < 0:
                raise ValueError(f"{field.name}={getattr(self, field.name)!r} must not be negative")


def charbonnier(target, picture):
    """Mean of sqrt(d² + ε²) - ε.

    Args:
      target, picture: (batch, h, w, 3), 0..1.

    Returns:
      (batch,).
    """
    difference = target - picture
    return ops.mean(ops.sqrt(difference * difference + _SOFT**2) - _SOFT, axis=(1, 2, 3))


def ssim(target, picture):
    """Mean structural similarity over windows of 7 x 7 pixels, all weighted alike.

    Args:
      target, picture: (batch, h, w, 3), 0..1, at least 7 pixels a side.

    Returns:
      (batch,), at most 1.
    """

    def mean(x):
        return ops.average_pool(x, _WINDOW, strides=2, padding="valid")

    first, second = mean(target), mean(picture)
    spread_first = mean(target * target) - first * first
    spread_second = mean(picture * picture) - second * second
    shared = mean(target * picture) - first * second
    similarity = (2 * first * second + _C1) * (2 * shared + _C2)
    similarity = similarity / ((first**2 + second**2 + _C1) * (spread_first + spread_second + _C2))
    return ops.mean(similarity, axis=(1, 2, 3))


def divergence(mean, log_variance):
    """Divergence of the posteriors from the normal distribution.

    Args:
      mean, log_variance: (batch, latent).

    Returns:
      Nats, (batch, latent).
    """
    return 0.5 * (mean * mean + ops.exp(log_variance) - 1 - log_variance)


def total(target, answer, weights: LossWeights, warmth):
    """Returns the loss of a batch, a scalar.

    Args:
      target: (batch, h, w, 3), 0..255.
      answer: of ``Vae.call``.
      weights: of the terms.
      warmth: 0..1, share of ``beta`` that counts by now.
    """
    target = target / 255
    picture = answer["reconstruction"]
    error = charbonnier(target, picture) + weights.ssim * (1 - ssim(target, picture))
    # the mean over the batch first: a dimension may be silent for some pictures, not for all
    nats = ops.mean(divergence(answer["mean"], answer["log_variance"]), axis=0)
    nats = ops.sum(ops.maximum(nats, weights.free_bits))
    values = target.shape[1] * target.shape[2] * target.shape[3]
    return ops.mean(error) + warmth * weights.beta * nats / values
