"""The backdrop that segmentation leaves: its colour, how even it is, and whether the light or the paint tinted it.

A backdrop's colour is paint times light, and one photo does not tell the two apart for certain. But a light tints all
of the frame, a paint the backdrop alone; floors, walls and sheets are often cream or brown and seldom pale blue; and
paint varies over a floor as light does not. A logistic model weighs that evidence. It was fitted on photos under known
lights (see docs/COLOUR.md); its answer is the chance that undoing the tint leaves the product no worse.
"""

from __future__ import annotations

import dataclasses
import math
from typing import NamedTuple

import cv2
import numpy as np

from transforms.colour import LUMINANCE, decode_srgb8
from transforms.illuminant import tint
from transforms.quantiles import median, quantile
from transforms.shrinking import shrink

_SIDE = 96  # pixels; medians need no more, and averaging takes the noise out of them
_DISTANCE = 0.03  # of the longest side: blur, the mask's own error, and the coloured light a garment throws beside it
_PRODUCT, _GROUND = 230, 5  # alpha from which a pixel is product, and up to which it is ground
_CLIPPED, _BLACK = 250, 5
_SHADOW = 0.85  # of the ground's median luminance: darker is shadow, which takes another light
_FEW = 16
_NEARER = 0.06  # in the logarithms of ``tint``: by so much less tinted than the backdrop
_BRIGHT, _VISIBLE = 0.9, 0.2  # of the backdrop's luminance
_WHITE_SHARE = 0.995
_LINEAR = decode_srgb8(np.arange(256, dtype=np.uint8)).astype(np.float32)


class _Evidence(NamedTuple):
    """One piece of evidence: bounds of what was seen in fitting, and weights for cool and for warm backdrops."""

    low: float
    high: float
    cool: float
    warm: float


_BIAS = {"cool": 4.458, "warm": -0.936}
_WEIGHTS = {
    "tint": _Evidence(0.014, 0.72, 0.37, 4.91),  # a strong tint is seldom a sheet's, but often a lamp's
    "across": _Evidence(0.0, 0.114, -9.07, -16.74),  # green or magenta: no light of day or lamp
    "whiter": _Evidence(0.0, 0.775, -2.27, -0.37),  # share of the frame as bright as the backdrop and nearer to neutral
    "white_patch": _Evidence(-0.652, 0.339, 3.73, 1.36),  # tint of the brightest, along the backdrop's, less its own
    "product": _Evidence(-3.349, 3.108, 0.01, 0.1),  # the same of the product's mean
    "product_whiter": _Evidence(0.0, 0.875, -1.4, -1.5),  # share of the product nearer to neutral than the backdrop
    "patchy": _Evidence(0.006, 0.139, 1.27, 0.18),  # spread of the backdrop's warmth
    "uneven": _Evidence(0.041, 0.398, -0.63, 3.5),  # spread of the backdrop's luminance
    "shading": _Evidence(-0.737, 0.679, 0.5, 0.59),  # how the tint grows with luminance, over the backdrop
}


@dataclasses.dataclass(frozen=True, eq=False)
class Backdrop:
    """What is seen of a photo's backdrop.

    Attributes:
      linear: the photo at analysis size in linear light, float32 (h, w, 3).
      product: its product pixels, bool (h, w).
      unclipped: pixels that are neither burnt out nor black, bool (h, w).
      share: usable backdrop pixels as a share of the frame, 0..1.
      colour: linear R, G, B of the lit backdrop, float64 (3,), or None where too few of its pixels are usable.
      warmth, greenness: of ``colour``, as of ``transforms.illuminant.tint``.
      chroma_spread: median absolute deviation of warmth over the backdrop, or of greenness if that is larger.
      light_spread: the same of ln luminance.
      evidence: what the belief follows from, by name.
      belief: 0..1, chance that undoing the tint leaves the product no worse.
    """

    linear: np.ndarray
    product: np.ndarray
    unclipped: np.ndarray
    share: float
    colour: np.ndarray | None = None
    warmth: float = 0.0
    greenness: float = 0.0
    chroma_spread: float = 0.0
    light_spread: float = 0.0
    evidence: dict[str, float] = dataclasses.field(default_factory=dict)
    belief: float = 0.0

    @property
    def tint(self) -> float:
        """How far the colour is from neutral, in the logarithms of ``transforms.illuminant.tint``."""
        return math.hypot(self.warmth, self.greenness)


def measure_backdrop(image: np.ndarray, alpha: np.ndarray, least_share: float = 0.04) -> Backdrop:
    """Measures a photo's backdrop.

    Args:
      image: uint8 (h, w, 3), sRGB.
      alpha: uint8 (h, w), 0 ground to 255 product.
      least_share: share of the frame that usable backdrop pixels have to be.
    """
    scale = min(1.0, _SIDE / max(alpha.shape))
    size = (max(1, round(alpha.shape[1] * scale)), max(1, round(alpha.shape[0] * scale)))
    image, alpha = shrink(image, size), shrink(alpha, size)
    reach = 2 * max(1, round(_DISTANCE * max(size))) + 1
    near = cv2.dilate((alpha > _GROUND).astype(np.uint8), np.ones((reach, reach), np.uint8)) > 0
    unclipped = cv2.inRange(image, (_BLACK + 1,) * 3, (_CLIPPED - 1,) * 3) > 0
    linear = _LINEAR.take(image)
    usable = ~near & unclipped
    found = Backdrop(linear, alpha > _PRODUCT, unclipped, float(usable.mean()))
    ground = linear[usable]
    if len(ground) < max(_FEW, least_share * alpha.size):
        return found
    light = ground @ LUMINANCE.astype(np.float32)
    colour = _midmean(ground[light >= _SHADOW * median(light)])
    warmth, greenness = (float(part) for part in tint(colour))
    warmths, greens = tint(ground)
    logarithms = np.log(np.maximum(light, 1e-4))
    spreads = _spread(warmths), _spread(greens), _spread(logarithms)
    found = dataclasses.replace(
        found,
        colour=colour,
        warmth=warmth,
        greenness=greenness,
        chroma_spread=max(spreads[:2]),
        light_spread=spreads[2],
    )
    slope = min(max(_slope(logarithms, _along(found, warmths, greens)), -2.0), 2.0)
    evidence = _frame_evidence(found, near) | {"patchy": spreads[0], "uneven": spreads[2], "shading": slope}
    return dataclasses.replace(found, evidence=evidence, belief=_belief(found, evidence))


def _along(backdrop: Backdrop, warmth: np.ndarray, greenness: np.ndarray) -> np.ndarray:
    """Returns how far tints go in the direction of the backdrop's own."""
    length = max(backdrop.tint, 1e-3)
    return (warmth * backdrop.warmth + greenness * backdrop.greenness) / length


def _frame_evidence(backdrop: Backdrop, near: np.ndarray) -> dict[str, float]:
    """Says what the rest of the frame tells; ``near`` is the product and what is close to it, bool (h, w)."""
    linear, valid, own = backdrop.linear, backdrop.unclipped, backdrop.tint
    light = linear @ LUMINANCE.astype(np.float32)
    level = float(backdrop.colour @ LUMINANCE) if backdrop.colour is not None else 0.0
    nearer = _along(backdrop, *tint(linear)) < own - _NEARER

    def share_nearer(among: np.ndarray) -> float:
        return float(nearer[among].mean()) if np.count_nonzero(among) > 5 else 0.0

    def beyond(colour: np.ndarray) -> float:
        return float(_along(backdrop, *tint(colour))) - own

    product = linear[backdrop.product]
    return {
        "tint": own,
        "across": abs(backdrop.greenness),
        "whiter": share_nearer(valid & (light > _BRIGHT * level)),
        "product_whiter": share_nearer(valid & near & (light > _VISIBLE * level)),
        "white_patch": beyond(np.array([quantile(channel, _WHITE_SHARE) for channel in _by_channel(linear[valid])])),
        "product": beyond(product.mean(axis=0)) if len(product) else 0.0,
    }


def _belief(backdrop: Backdrop, evidence: dict[str, float]) -> float:
    side = "warm" if backdrop.warmth >= 0 else "cool"
    odds = _BIAS[side]
    for name, value in evidence.items():
        weights = _WEIGHTS[name]
        odds += getattr(weights, side) * min(max(value, weights.low), weights.high)
    return 1 / (1 + math.exp(-odds))


def _midmean(colours: np.ndarray) -> np.ndarray:
    """Returns the mean of the middle half of each channel, (3,): as robust as the median, without its 8-bit steps."""
    quarter = len(colours) // 4
    last = len(colours) - quarter
    ordered = np.partition(_by_channel(colours), (quarter, last - 1), axis=1)
    return ordered[:, quarter:last].mean(axis=1, dtype=np.float64)


def _by_channel(colours: np.ndarray) -> np.ndarray:
    """Returns (n, 3) as (3, n), in whose order sorting is several times as fast."""
    return np.ascontiguousarray(colours.T)


def _slope(x: np.ndarray, y: np.ndarray) -> float:
    """Returns how much y grows with x, by least squares; of an x that hardly varies, less."""
    x, y = x - x.mean(), y - y.mean()
    return float(x @ y) / max(float(x @ x), 1e-4 * (len(x) - 1))


def _spread(values: np.ndarray) -> float:
    return median(np.abs(values - median(values)))
