"""Adversarial losses and gradient penalties, in backend-neutral Keras 3."""

from __future__ import annotations

from typing import Literal

from keras import ops

Loss = Literal["relativistic", "non_saturating"]


def discriminator_loss(loss: Loss, real, fake):
    """What the discriminator lowers.

    ``relativistic`` pairs each real picture with a generated one (Jolicoeur-Martineau, ICLR 2019, in the form of
    R3GAN); ``non_saturating`` is Goodfellow et al., 2014.

    Args:
      loss: which.
      real, fake: logits (b,).

    Returns:
      A scalar.
    """
    if loss == "relativistic":
        return ops.mean(ops.softplus(fake - real))
    return ops.mean(ops.softplus(-real)) + ops.mean(ops.softplus(fake))


def generator_loss(loss: Loss, real, fake):
    """What the generator lowers: -log D(G(z)), or its relativistic form. Arguments as above."""
    return ops.mean(ops.softplus(real - fake)) if loss == "relativistic" else ops.mean(ops.softplus(-fake))


def gradient_penalty(logits, disturbed, deviation: float):
    """Estimates E |dD/dx|^2 from logits of pictures and of the same pictures with a little noise.

    For noise of standard deviation s in every value, E (D(x + n) - D(x))^2 / s^2 is the squared norm of the gradient
    to first order: the finite-difference form of R1 and R2 (Mescheder et al., ICML 2018), which asks for no gradient
    of a gradient.

    Args:
      logits, disturbed: (b,).
      deviation: s, of values -1..1.
    """
    return ops.mean(ops.square((disturbed - logits) / deviation))
