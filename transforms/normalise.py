"""Colour normalisation: the backdrop that segmentation leaves tells the light, if it is a grey one.

A backdrop's colour is paint times light. Only where the paint is plausibly white or grey do gains that
make it neutral also make the product true; a coloured bedsheet must never recolour the product. So
most of this module decides when to abstain, and says why. Everything happens in linear light.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import math
from typing import Any

import cv2
import numpy as np

from transforms.backdrop import Backdrop, measure_backdrop
from transforms.colour import LUMINANCE, ciede2000, decode_srgb8, linear_to_srgb, srgb8_to_lab
from transforms.matte import is_meaningful
from transforms.quantiles import quantile
from transforms.stage import PhotoStage

_SHIFT_SAMPLES = 1024
_NONE = (1.0, 1.0, 1.0)


class Method(enum.StrEnum):
    """Where gains came from."""

    BACKDROP = "backdrop"
    NONE = "none"


class Abstention(enum.StrEnum):
    """Why no gains were applied."""

    NO_PRODUCT = "no_product"
    CUT_OUT = "cut_out"  # the file came with its own alpha, and so without a backdrop
    LITTLE_BACKDROP = "little_backdrop"  # too few usable pixels away from the product
    DARK_BACKDROP = "dark_backdrop"  # too dark to tell its colour from noise and flare
    UNEVEN_BACKDROP = "uneven_backdrop"  # patterned, or several things
    COLOURED_BACKDROP = "coloured_backdrop"  # no common light makes white paint look like this
    DOUBTFUL_BACKDROP = "doubtful_backdrop"  # the light may have tinted it, but as well the paint
    WOULD_CLIP = "would_clip"  # gains would burn out the product's highlights


@dataclasses.dataclass(frozen=True)
class NormaliseLimits:
    """When a backdrop is believed, and how far it may move a photo.

    Attributes:
      least_share: share of the frame that usable backdrop pixels have to be.
      least_luminance: of the backdrop in linear light, 0..1; 0.08 is sRGB 80.
      chroma_spread: largest median absolute deviation of ln R/G and of ln B/G.
      light_spread: the same of ln luminance; a lamp's fall-off passes, a pattern does not.
      warm, cool: how far along the axis of daylight and tungsten, in ln R/B, a white may be off.
      green_magenta: how far across it, in ln G over the geometric mean of R and B.
      harmless: length of a tint that may be undone whatever made it: that moves colours by less than 1 CIEDE2000.
      belief: chance that undoing a stronger tint leaves the product no worse, 0..1, from which on it is undone.
      gain_low, gain_high: bounds of every channel's gain; beyond, the backdrop is not believed.
      dim_highlight: linear light that the frame's brightest percentile has to reach, else exposure is lifted.
      most_lift: largest factor of that lift.
      clip_level: linear light above which a product's pixel counts as burnt out.
      clip_share: share of the product's pixels that gains may push there.
      most_dimming: smallest factor by which gains may be dimmed to keep the highlights.
    """

    least_share: float = 0.04
    least_luminance: float = 0.08
    chroma_spread: float = 0.12
    light_spread: float = 0.5
    warm: float = 0.75
    cool: float = 0.6
    green_magenta: float = 0.12
    harmless: float = 0.07
    belief: float = 0.9
    gain_low: float = 0.6
    gain_high: float = 1.7
    dim_highlight: float = 0.45
    most_lift: float = 1.25
    clip_level: float = 0.97
    clip_share: float = 0.005
    most_dimming: float = 0.9

    def __post_init__(self):
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if not (math.isfinite(value) and value > 0):
                raise ValueError(f"{field.name}={value!r} has to be above 0")
        if not self.gain_low <= 1 <= self.gain_high:
            raise ValueError(f"gains from {self.gain_low!r} to {self.gain_high!r} have to include 1")

    @classmethod
    def for_neutral_paint(cls) -> NormaliseLimits:
        """Returns limits for photos whose backdrops are known to be white or grey: every tint is the light's."""
        return cls(belief=1e-9, chroma_spread=0.25, light_spread=1.0, green_magenta=0.2)


@dataclasses.dataclass(frozen=True)
class Gains:
    """What normalisation does to a photo, and why.

    Attributes:
      method: where the gains came from.
      gains: factors for R, G, B in linear light, exposure included; (1, 1, 1) for none.
      exposure: the part of the gains that is common to the channels.
      backdrop: the backdrop's linear R, G, B, where it was measured.
      abstention: why there are no gains, or None where there are.
    """

    method: Method
    gains: tuple[float, float, float] = _NONE
    exposure: float = 1.0
    backdrop: tuple[float, float, float] | None = None
    abstention: Abstention | None = None


def _triple(colour: np.ndarray) -> tuple[float, float, float]:
    return float(colour[0]), float(colour[1]), float(colour[2])


def _abstain(reason: Abstention, backdrop: np.ndarray | None = None) -> Gains:
    return Gains(Method.NONE, backdrop=None if backdrop is None else _triple(backdrop), abstention=reason)


def estimate_gains(image: np.ndarray, alpha: np.ndarray, limits: NormaliseLimits | None = None) -> Gains:
    """Estimates the gains that make a grey backdrop neutral and a dim photo lighter.

    Args:
      image: uint8 (h, w, 3), sRGB.
      alpha: uint8 (h, w), 0 ground to 255 product.
      limits: when to believe the backdrop.

    Returns:
      The gains, or none and the reason for it.
    """
    limits = limits or NormaliseLimits()
    found = measure_backdrop(image, alpha, limits.least_share)
    if not found.product.any():
        return _abstain(Abstention.NO_PRODUCT)
    if found.colour is None:
        return _abstain(Abstention.LITTLE_BACKDROP)
    doubt = _doubt(found, float(found.colour @ LUMINANCE), limits)
    return _abstain(doubt, found.colour) if doubt else _bounded_gains(found, found.colour, limits)


def _doubt(backdrop: Backdrop, luminance: float, limits: NormaliseLimits) -> Abstention | None:
    """Says why a backdrop is not believed, or None where it is."""
    if luminance < limits.least_luminance:
        return Abstention.DARK_BACKDROP
    if not -limits.cool <= backdrop.warmth <= limits.warm or abs(backdrop.greenness) > limits.green_magenta:
        return Abstention.COLOURED_BACKDROP
    if backdrop.chroma_spread > limits.chroma_spread or backdrop.light_spread > limits.light_spread:
        return Abstention.UNEVEN_BACKDROP
    if backdrop.tint > limits.harmless and backdrop.belief < limits.belief:
        return Abstention.DOUBTFUL_BACKDROP
    return None


def _bounded_gains(backdrop: Backdrop, colour: np.ndarray, limits: NormaliseLimits) -> Gains:
    # the backdrop keeps its luminance: only its tint goes
    gains = (colour @ LUMINANCE) / colour
    if gains.min() < limits.gain_low or gains.max() > limits.gain_high:
        return _abstain(Abstention.COLOURED_BACKDROP, colour)
    brightest = quantile((backdrop.linear * gains).max(axis=-1), 0.99)
    exposure = float(np.clip(limits.dim_highlight / max(brightest, 1e-4), 1.0, limits.most_lift))

    own = backdrop.linear[backdrop.product]
    already_clipped = np.mean(own.max(axis=-1) > limits.clip_level)
    level = quantile((own * gains).max(axis=-1), 1 - min(1.0, already_clipped + limits.clip_share))
    if level * exposure > limits.clip_level:
        exposure = float(limits.clip_level / level)
        if exposure < limits.most_dimming:
            return _abstain(Abstention.WOULD_CLIP, colour)
    gains = np.clip(gains * exposure, limits.gain_low, limits.gain_high)
    return Gains(
        Method.BACKDROP,
        _triple(np.round(gains, 4)),
        round(exposure, 4),
        _triple(colour),
    )


def apply_gains(image: np.ndarray, gains: tuple[float, float, float]) -> np.ndarray:
    """Multiplies the channels in linear light.

    Args:
      image: uint8 (h, w, 3), sRGB.
      gains: factors for R, G, B.

    Returns:
      uint8 (h, w, 3), sRGB; the image itself where all gains are 1.
    """
    if tuple(gains) == _NONE:
        return image
    codes = decode_srgb8(np.arange(256, dtype=np.uint8))
    table = np.stack([linear_to_srgb(codes * gain) for gain in gains], axis=-1)
    return cv2.LUT(image, np.round(255 * table).astype(np.uint8)[None])


def mean_colour_shift(before: np.ndarray, after: np.ndarray, alpha: np.ndarray) -> float:
    """Mean CIEDE2000 between two versions of a product.

    Args:
      before, after: uint8 (h, w, 3), sRGB.
      alpha: uint8 (h, w); the weight of each pixel.

    Returns:
      The mean over a regular sample of at most a thousand pixels; 0 without a product.
    """
    pixels = np.flatnonzero(alpha)
    if not len(pixels):
        return 0.0
    pixels = pixels[:: -(-len(pixels) // _SHIFT_SAMPLES)]
    shift = ciede2000(srgb8_to_lab(before.reshape(-1, 3)[pixels]), srgb8_to_lab(after.reshape(-1, 3)[pixels]))
    return float(np.average(shift, weights=alpha.reshape(-1)[pixels]))


def normalise_photo(photo: Any, limits: NormaliseLimits | None = None) -> Any:
    """Applies gains from the backdrop to a photo.

    Args:
      photo: with ``image``, ``foreground``, ``alpha`` and ``source_alpha``.
      limits: when to believe the backdrop.

    Returns:
      The photo with ``image`` and ``foreground`` gained, ``background_gain``, ``colour_shift``, ``colour_method`` and
      ``colour_abstention``.
    """
    if is_meaningful(photo.source_alpha):  # what lies under a file's own alpha of 0 is no backdrop
        found = _abstain(Abstention.CUT_OUT)
    else:
        found = estimate_gains(photo.image, photo.alpha, limits)
    method, abstention = str(found.method), None if found.abstention is None else str(found.abstention)
    photo = photo.replace(colour_method=method, colour_abstention=abstention)
    if found.gains == _NONE:
        return photo.replace(background_gain=_NONE, colour_shift=0.0)
    foreground = apply_gains(photo.foreground, found.gains)
    return photo.replace(
        image=apply_gains(photo.image, found.gains),
        foreground=foreground,
        background_gain=found.gains,
        colour_shift=mean_colour_shift(photo.foreground, foreground, photo.alpha),
    )


class NormaliseColour(PhotoStage):
    """Normalises every photo's colours by its backdrop, or abstains.

    Args:
      limits: when to believe a backdrop.
    """

    def __init__(self, limits: NormaliseLimits | None = None):
        super().__init__("normalise", functools.partial(normalise_photo, limits=limits or NormaliseLimits()))
