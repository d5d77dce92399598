"""Ways to correct a photo's colours: the job's own, doing nothing, and the classical estimates."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import cv2
import numpy as np

from transforms.colour import LUMINANCE, decode_srgb8
from transforms.illuminant import minkowski_illuminant
from transforms.normalise import NormaliseLimits, estimate_gains

OURS, TOLD, NOTHING = "packshot", "packshot --neutral_backdrop", "none"
REDUCED = "packshot, else shades of grey at {strength:g}"
_SIDE = 160  # of the picture that estimates are made on, as in the job
_CLIPPED = 250


@dataclasses.dataclass(frozen=True)
class Correction:
    """What a method does to a photo.

    Attributes:
      gains: factors for R, G, B in linear light, float (3,); ones for an abstention.
      abstention: why there are none, or None.
      exposure: the part of the gains that is a change of exposure and no correction of colour.
    """

    gains: np.ndarray
    abstention: str | None = None
    exposure: float = 1.0


@dataclasses.dataclass(frozen=True)
class ColourMethod:
    """A named way to correct colours.

    Attributes:
      name: in tables; unique.
      correct: takes an image, uint8 (h, w, 3), and an alpha, uint8 (h, w).
    """

    name: str
    correct: Callable[[np.ndarray, np.ndarray], Correction]


def colour_methods(*, reduced: float = 0.0, limits: NormaliseLimits | None = None) -> list[ColourMethod]:
    """Returns the methods that are compared, the job's own first.

    Args:
      reduced: strength of a further method, the job's own with shades of grey where it abstains; 0 for none.
      limits: of the job's own.
    """
    limits, told = limits or NormaliseLimits(), NormaliseLimits.for_neutral_paint()

    def as_in_the_job(image: np.ndarray, alpha: np.ndarray, limits: NormaliseLimits) -> Correction:
        found = estimate_gains(image, alpha, limits)
        abstention = None if found.abstention is None else str(found.abstention)
        return Correction(np.array(found.gains), abstention, found.exposure)

    def ours(image: np.ndarray, alpha: np.ndarray) -> Correction:
        return as_in_the_job(image, alpha, limits)

    def else_reduced(image: np.ndarray, alpha: np.ndarray) -> Correction:
        found = ours(image, alpha)
        if found.abstention is None:
            return found
        gains = _minkowski(image, 6.0).gains ** reduced
        return Correction(gains / (gains @ LUMINANCE))

    def minkowski(power: float, order: int = 0) -> Callable[[np.ndarray, np.ndarray], Correction]:
        return lambda image, _: _minkowski(image, power, order)

    methods = [
        ColourMethod(OURS, ours),
        ColourMethod(TOLD, lambda image, alpha: as_in_the_job(image, alpha, told)),
        ColourMethod(NOTHING, lambda *_: Correction(np.ones(3), "none")),
    ]
    if reduced:
        methods.append(ColourMethod(REDUCED.format(strength=reduced), else_reduced))
    return [
        *methods,
        ColourMethod("grey world", minkowski(1.0)),
        ColourMethod("white patch", minkowski(np.inf)),
        ColourMethod("grey edge", minkowski(1.0, 1)),
        ColourMethod("shades of grey (p = 6)", minkowski(6.0)),
    ]


def _minkowski(image: np.ndarray, power: float, order: int = 0) -> Correction:
    scale = min(1.0, _SIDE / max(image.shape[:2]))
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    valid = small.max(axis=-1) < _CLIPPED
    sigma = 1.0 if order else 0.0
    light = minkowski_illuminant(decode_srgb8(small), power, order=order, sigma=sigma, valid=valid)
    return Correction(1 / light)
