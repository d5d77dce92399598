"""Straightens a product that lies a little askew: most products are their own mirror image, about an upright axis."""

from __future__ import annotations

import dataclasses
import math

import cv2
import numpy as np

_ANALYSIS_SIDE = 96  # an axis needs no detail
_COARSE, _FINE = 3.0, 0.5  # steps of the search, degrees
_BEYOND = 3.0  # the search goes further than what is acted on: what is best at its end is not to be trusted


@dataclasses.dataclass(frozen=True)
class StraightenLimits:
    """When a product counts as askew.

    Chosen on the hand masks of split ``train`` that the frame does not cut (135, as they are and each turned by two of
    3, 5, 8 and 12 degrees); docs/ENHANCEMENT.md has the figures on others. With a symmetry of .88 and a gain of .04
    one in 140 of those turned back ends further askew than it was put; with .85 and .02 it is one in 25, for a seventh
    more that are turned back.

    Attributes:
      least, most: degrees; less is hardly seen, more is meant.
      symmetry: share of the product that has to fall on its own mirror image after the turn, and
      symmetry_gain: how much more than before. A matte with a piece missing or too much is rarely so much alike.
      elongation: how much longer than wide, by standard deviations, a product is for its long axis to be heeded, and
      agreement: how many degrees that axis may then lie off the mirror's.
    """

    least: float = 2.0
    most: float = 15.0
    symmetry: float = 0.88
    symmetry_gain: float = 0.04
    elongation: float = 1.3
    agreement: float = 3.0


def find_tilt(alpha: np.ndarray, limits: StraightenLimits | None = None) -> float:
    """Finds by how much a product would have to be turned to stand or lie straight.

    The angle is the one at which the product is most like its mirror image, left to right or top to bottom, about its
    centre of gravity. Where the product is longer than wide its principal axis (the second central moments of Hu,
    "Visual Pattern Recognition by Moment Invariants", 1962) has to agree: of a shape that is its own mirror image
    both are the same, and a sleeve that is stretched out moves the principal axis alone.

    Args:
      alpha: the matte, uint8 (h, w).
      limits: when to act.

    Returns:
      Degrees, positive clockwise as seen; 0 where the product is straight, has no clear axis, or is meant to be askew.
    """
    limits = limits or StraightenLimits()
    scale = min(1.0, _ANALYSIS_SIDE / max(alpha.shape))
    size = tuple(max(1, round(side * scale)) for side in alpha.shape[::-1])
    small = cv2.resize(alpha, size, interpolation=cv2.INTER_AREA)
    moments = cv2.moments(small)
    if moments["m00"] <= 0:
        return 0.0
    centre = (moments["m10"] / moments["m00"], moments["m01"] / moments["m00"])
    reach = limits.most + _BEYOND
    coarse = np.arange(-reach, reach + 1e-6, _COARSE)
    likeness = np.array([_likeness(small, centre, angle) for angle in coarse])
    mirror = int(likeness.max(axis=0).argmax())
    best = coarse[likeness[:, mirror].argmax()]
    fine = np.arange(best - _COARSE, best + _COARSE + 1e-6, _FINE)
    likeness = np.array([_likeness(small, centre, angle)[mirror] for angle in fine])
    tilt, symmetry = float(fine[likeness.argmax()]), float(likeness.max())
    if not limits.least <= abs(tilt) <= limits.most or symmetry < limits.symmetry:
        return 0.0
    if symmetry - _likeness(small, centre, 0.0)[mirror] < limits.symmetry_gain:
        return 0.0
    axis = _principal_axis(moments, limits.elongation)
    if axis is not None and abs(axis - tilt) > limits.agreement:
        return 0.0
    return -tilt


def _principal_axis(moments: dict[str, float], elongation: float) -> float | None:
    """Returns the long axis' angle from the nearer of the frame's axes, clockwise as seen; None where none is long."""
    spread, slant = moments["mu20"] - moments["mu02"], 2 * moments["mu11"]
    total, difference = moments["mu20"] + moments["mu02"], math.hypot(spread, slant)
    if total + difference < elongation**2 * (total - difference):
        return None
    return (math.degrees(0.5 * math.atan2(slant, spread)) + 45) % 90 - 45


def _likeness(alpha: np.ndarray, centre: tuple[float, float], tilt: float) -> tuple[float, float]:
    """Returns how much of a product, turned back by a tilt, falls on its mirror images left to right and top to bottom.

    It is the intersection over union, of soft mattes.
    """
    side = 2 * max(alpha.shape)
    turn = cv2.getRotationMatrix2D(centre, tilt, 1.0)
    turn[:, 2] += ((side - 1) / 2 - centre[0], (side - 1) / 2 - centre[1])
    turned = cv2.warpAffine(alpha, turn, (side, side), flags=cv2.INTER_LINEAR)
    left, top = (
        cv2.sumElems(cv2.min(turned, image))[0] / max(1.0, cv2.sumElems(cv2.max(turned, image))[0])
        for image in (cv2.flip(turned, 1), cv2.flip(turned, 0))
    )
    return left, top


def turn(picture: np.ndarray, degrees: float) -> np.ndarray:
    """Turns a picture about its centre; the frame grows so that nothing is lost, and its edge colours are carried on.

    Args:
      picture: (h, w) a matte or shadow, which is 0 outside its frame, or (h, w, 3) a photo; uint8, or float32 0..1.
      degrees: positive clockwise as seen.

    Returns:
      The same type; another height and width, the same for matte and photo.
    """
    height, width = picture.shape[:2]
    cosine, sine = abs(math.cos(math.radians(degrees))), abs(math.sin(math.radians(degrees)))
    size = (math.ceil(width * cosine + height * sine), math.ceil(width * sine + height * cosine))
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), -degrees, 1.0)
    matrix[:, 2] += ((size[0] - width) / 2, (size[1] - height) / 2)
    border = cv2.BORDER_CONSTANT if picture.ndim == 2 else cv2.BORDER_REPLICATE
    turned = cv2.warpAffine(picture, matrix, size, flags=cv2.INTER_CUBIC, borderMode=border)
    return turned if picture.dtype == np.uint8 else np.clip(turned, 0, 1)  # a cubic swings over
