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

from transforms.colour import LUMINANCE, ciede2000, decode_srgb8, linear_to_srgb, srgb8_to_lab
from transforms.matte import is_meaningful
from transforms.stage import PhotoStage

_ANALYSIS_SIDE = 160  # medians need no more pixels, and averaging takes the noise out of them
_SHIFT_SAMPLES = 4096
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
    WHITER_ELSEWHERE = "whiter_elsewhere"  # the frame holds something less tinted: the backdrop is, not the light
    WOULD_CLIP = "would_clip"  # gains would burn out the product's highlights


@dataclasses.dataclass(frozen=True)
class NormaliseLimits:
    """When a backdrop is believed, and how far it may move a photo.

    Attributes:
      distance: how far from the product a backdrop pixel has to be, as a fraction of the longest side: the
        matte's own error, blur, and the coloured light that a garment throws on the ground beside it.
      least_share: share of the frame that usable backdrop pixels have to be.
      least_luminance: of the backdrop in linear light, 0..1; 0.1 is sRGB 89.
      chroma_spread: largest median absolute deviation of ln R/G and of ln B/G.
      light_spread: the same of ln luminance; a lamp's fall-off passes, a pattern does not.
      warm, cool: how far along the axis of daylight and tungsten, in ln R/B, a white may be off.
      green_magenta: how far across it, in ln G over the geometric mean of R and B.
      whiter: how much nearer to neutral (in the same logarithms) other bright pixels have to be.
      gain_low, gain_high: bounds of every channel's gain; beyond, the backdrop is not believed.
      dim_highlight: linear light that the frame's brightest percentile has to reach, else exposure is lifted.
      most_lift: largest factor of that lift.
      clip_level: linear light above which a product's pixel counts as burnt out.
      clip_share: share of the product's pixels that gains may push there.
      most_dimming: smallest factor by which gains may be dimmed to keep the highlights.
    """

    distance: float = 0.03
    least_share: float = 0.04
    least_luminance: float = 0.1
    chroma_spread: float = 0.12
    light_spread: float = 0.4
    warm: float = 0.26
    cool: float = 0.26
    green_magenta: float = 0.06
    whiter: float = 0.06
    gain_low: float = 0.7
    gain_high: float = 1.4
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


def _tint(linear: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Warmth, ln R/B, and greenness, ln G over the geometric mean of R and B, of linear colours (..., 3)."""
    red, green, blue = np.moveaxis(np.log(np.maximum(linear, 1e-4)), -1, 0)
    return red - blue, green - (red + blue) / 2


def _spread(values: np.ndarray) -> float:
    return float(np.median(np.abs(values - np.median(values))))


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
    height, width = alpha.shape
    scale = min(1.0, _ANALYSIS_SIDE / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    alpha = cv2.resize(alpha, size, interpolation=cv2.INTER_AREA)
    product = alpha > 230
    if not product.any():
        return _abstain(Abstention.NO_PRODUCT)

    reach = max(1, round(limits.distance * max(size)))
    near = cv2.dilate((alpha > 5).astype(np.uint8), np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)) > 0
    unclipped = (image.max(axis=-1) < 250) & (image.min(axis=-1) > 5)
    linear = decode_srgb8(image)
    ground = linear[~near & unclipped]
    if len(ground) < max(16, limits.least_share * alpha.size):
        return _abstain(Abstention.LITTLE_BACKDROP)
    luminance = ground @ LUMINANCE
    # shadows take another light than the lit ground: sky, or what the product throws back
    lit = ground[luminance >= 0.85 * np.median(luminance)]
    backdrop = np.median(lit, axis=0)

    if backdrop @ LUMINANCE < limits.least_luminance:
        return _abstain(Abstention.DARK_BACKDROP, backdrop)
    warmth, greenness = _tint(backdrop)
    if not -limits.cool <= warmth <= limits.warm or abs(greenness) > limits.green_magenta:
        return _abstain(Abstention.COLOURED_BACKDROP, backdrop)
    ground_tint = _tint(ground)
    if max(_spread(tint) for tint in ground_tint) > limits.chroma_spread or (
        _spread(np.log(np.maximum(luminance, 1e-4))) > limits.light_spread
    ):
        return _abstain(Abstention.UNEVEN_BACKDROP, backdrop)
    if _whiter_elsewhere(linear[unclipped], backdrop, limits):
        return _abstain(Abstention.WHITER_ELSEWHERE, backdrop)
    return _bounded_gains(linear, product, backdrop, limits)


def _whiter_elsewhere(pixels: np.ndarray, backdrop: np.ndarray, limits: NormaliseLimits) -> bool:
    """Tells whether a fair part of what is as bright as the backdrop is nearer to neutral than it."""
    bright = pixels[pixels @ LUMINANCE > 0.9 * (backdrop @ LUMINANCE)]
    own = np.hypot(*_tint(backdrop))
    others = np.hypot(*_tint(bright))
    return bool(np.mean(others < own - limits.whiter) > 0.03)


def _bounded_gains(linear: np.ndarray, product: np.ndarray, backdrop: np.ndarray, limits: NormaliseLimits) -> Gains:
    # the backdrop keeps its luminance: only its tint goes
    gains = (backdrop @ LUMINANCE) / backdrop
    if gains.min() < limits.gain_low or gains.max() > limits.gain_high:
        return _abstain(Abstention.COLOURED_BACKDROP, backdrop)
    brightest = np.percentile((linear * gains).max(axis=-1), 99)
    exposure = float(np.clip(limits.dim_highlight / max(brightest, 1e-4), 1.0, limits.most_lift))

    own = linear[product].max(axis=-1)
    already_clipped = np.mean(own > limits.clip_level)
    level = np.quantile((linear[product] * gains).max(axis=-1), 1 - min(1.0, already_clipped + limits.clip_share))
    if level * exposure > limits.clip_level:
        exposure = float(limits.clip_level / level)
        if exposure < limits.most_dimming:
            return _abstain(Abstention.WOULD_CLIP, backdrop)
    gains = np.clip(gains * exposure, limits.gain_low, limits.gain_high)
    return Gains(
        Method.BACKDROP,
        _triple(np.round(gains, 4)),
        round(exposure, 4),
        _triple(backdrop),
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
      The mean over a regular sample of at most a few thousand pixels; 0 without a product.
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
      The photo with ``image`` and ``foreground`` gained, ``background_gain`` and ``colour_shift``.
    """
    if is_meaningful(photo.source_alpha):  # what lies under a file's own alpha of 0 is no backdrop
        found = _abstain(Abstention.CUT_OUT)
    else:
        found = estimate_gains(photo.image, photo.alpha, limits)
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
