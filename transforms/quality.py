"""Quality gates: what a photo itself has wrong, measured on its product, and when a person should look.

Measures are numbers that go into the catalogue whatever the thresholds say, so that another threshold needs no
new run. The gates that the matte and the canvas tell by themselves (no product, cut by the frame, too small, low
confidence, enlarged too far) are in ``transforms.matte`` and ``transforms.compose``.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import cv2
import numpy as np

from transforms.colour import LUMINANCE, decode_srgb8, srgb8_to_lab
from transforms.matte import is_meaningful
from transforms.quantiles import median, quantile
from transforms.reasons import ReviewReason
from transforms.shrinking import shrink
from transforms.stage import PhotoStage

_BLUR_SIDE = 384  # pixels: the product's longest side where its blur is measured
_MARGIN = 8  # pixels around the product that its outline's edges reach into
_SMOOTHING = 0.7  # sigma that keeps single pixels of noise from being edges
_REBLUR = 1.0  # sigma by which a picture is blurred again
_STRONGEST = 0.1  # share of the edges that is measured: weak ones are folds and noise
_LEAST_EDGES = 64  # of a direction; with fewer, chance decides
_SHARPEST = 0.25  # of those that may be sharper than the measure
_GLANCE_SIDE = 160  # pixels: exposure and parts need no more
_LINEAR = decode_srgb8(np.arange(256, dtype=np.uint8)).astype(np.float32)
_WHITE, _BLACK = 252, 5  # code values from which and to which a pixel has nothing to tell; JPEG moves both by a few


@dataclasses.dataclass(frozen=True)
class Measurements:
    """What was measured of a photo; None for what could not be.

    Attributes:
      blur: standard deviation in pixels of the blur of the product's sharper edges, in the direction where they are
        less sharp, in a picture where the product's longest side has 384 pixels, or as many as the photo gives it if
        those are fewer.
      clipped: share of the product, 0..1, where at least one channel is at its top.
      burnt: share of the product, 0..1, where all are.
      crushed: share of the product, 0..1, that is black in all channels.
      luminance: median of the product's luminance in linear light, 0..1.
      highlight: strongest channel that the brightest hundredth of the whole frame reaches, linear, 0..1: a red sheet
        in full light has little luminance, and is not dark.
      white_ground: share of what is not product, 0..1, that is white in all channels.
      parts: separate pieces of the product, each at least a quarter of the largest.
      contrast: largest difference between two such pieces' mean colours, CIELAB; 0 for one piece.
      upscale: canvas pixels for each pixel of the source frame, along a side.
      fill: the product's longest side on the canvas as a share of the canvas' side.
      ground_error: largest distance of the stored packshot's ground from the background, in levels of 255.
    """

    blur: float | None = None
    clipped: float | None = None
    burnt: float | None = None
    crushed: float | None = None
    luminance: float | None = None
    highlight: float | None = None
    white_ground: float | None = None
    parts: float | None = None
    contrast: float | None = None
    upscale: float | None = None
    fill: float | None = None
    ground_error: float | None = None


@dataclasses.dataclass(frozen=True)
class QualityThresholds:
    """When a photo wants a look; ``docs/QUALITY-GATES.md`` has the figures behind each.

    Attributes:
      blur: above it the photo is blurred.
      burnt: share of the product above which it is over-exposed; one clipped channel is no reason, for bright red and
        turquoise cloth has it.
      studio: ``white_ground`` from which that cannot be told: a studio's ground is white on purpose, and what of it
        a matte takes for product looks burnt out.
      dark: ``highlight`` below which the photo is under-exposed, unless the product has its own alpha, and so no
        frame to compare it with.
      most_parts: more pieces than these are several products; a pair of shoes is one.
      pair_contrast: two pieces that differ by more are no pair.
    """

    blur: float = 1.15
    burnt: float = 0.02
    studio: float = 0.75
    dark: float = 0.25
    most_parts: int = 2
    pair_contrast: float = 12.0

    def __post_init__(self):
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if not value > 0:
                raise ValueError(f"{field.name}={value!r} has to be above 0")


def measure_blur(image: np.ndarray, alpha: np.ndarray) -> float | None:
    """Measures how blurred the product's sharper edges are, its outline's among them.

    Blurring again by a known width takes the more of an edge's gradient the sharper it is, which gives the
    edge's own width: Zhuo and Sim, "Defocus Map Estimation from a Single Image" (Pattern Recognition 2011). Only the
    strongest edges count, so that noise and folds do not; upright and level ones are measured apart, because a shaken
    camera blurs only one kind.

    Args:
      image: uint8 (h, w, 3), RGB.
      alpha: uint8 (h, w), 0 ground to 255 product.

    Returns:
      Standard deviation in pixels, as ``Measurements.blur``; about 0.6 for a sharp photo. None where there are too few
      edges to tell.
    """
    x, y, width, height = cv2.boundingRect((alpha >= 128).view(np.uint8))
    if not width:
        return None
    crop = np.s_[max(0, y - _MARGIN) : y + height + _MARGIN, max(0, x - _MARGIN) : x + width + _MARGIN]
    # averaging areas takes half the time in floating point
    grey: np.ndarray = cv2.cvtColor(image[crop], cv2.COLOR_RGB2GRAY).astype(np.float32)
    solid = alpha[crop]
    scale = _BLUR_SIDE / max(width, height)
    if scale < 1:
        size = (max(1, round(grey.shape[1] * scale)), max(1, round(grey.shape[0] * scale)))
        grey = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
        solid = cv2.resize(solid, size, interpolation=cv2.INTER_LINEAR)  # only says where the product is about
    grey = cv2.GaussianBlur(grey, (0, 0), _SMOOTHING)
    across, down, gradient = _gradient(grey)
    again = _gradient(cv2.GaussianBlur(grey, (0, 0), _REBLUR))[2]
    near = cv2.dilate(cv2.compare(solid, 128, cv2.CMP_GE), np.ones((5, 5), np.uint8))  # type: ignore[call-overload]
    strong = cv2.bitwise_and(near, cv2.compare(gradient, 1, cv2.CMP_GT))  # type: ignore[call-overload]
    # an edge is where the gradient is largest along its own direction, or nearly along it
    upright, level = (
        cv2.compare(gradient, cv2.dilate(gradient, np.ones(span, np.uint8)), cv2.CMP_GE) for span in ((1, 3), (3, 1))
    )
    places = np.flatnonzero(cv2.bitwise_and(strong, cv2.bitwise_or(upright, level)) != 0)
    steep = np.abs(across.take(places)) >= np.abs(down.take(places))
    widths = []
    for ridge, direction in ((upright, steep), (level, ~steep)):
        edges = places[direction & (ridge.take(places) != 0)]
        if (width_of := _edge_width(gradient.take(edges), again.take(edges))) is not None:
            widths.append(width_of)
    return max(widths, default=None)


def _edge_width(strength: np.ndarray, left: np.ndarray) -> float | None:
    """Returns the width of the sharper ones of the strongest edges.

    Args:
      strength: the gradients.
      left: what blurring again leaves of them.
    """
    if len(strength) < _LEAST_EDGES:
        return None
    count = max(_LEAST_EDGES // 2, int(_STRONGEST * len(strength)))
    strongest = np.argpartition(strength, -count)[-count:]
    ratio = strength[strongest] / np.maximum(left[strongest], 1e-3)
    variance = _REBLUR**2 / np.maximum(ratio**2 - 1, 1e-3) - _SMOOTHING**2
    return float(np.sqrt(max(0.0, quantile(variance, _SHARPEST))))


def _gradient(grey: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    across = cv2.Sobel(grey, cv2.CV_32F, 1, 0, scale=1 / 8)
    down = cv2.Sobel(grey, cv2.CV_32F, 0, 1, scale=1 / 8)
    return across, down, cv2.magnitude(across, down)


def measure_exposure(image: np.ndarray, alpha: np.ndarray) -> Measurements:
    """Measures light and clipping.

    Args:
      image: uint8 (h, w, 3), sRGB.
      alpha: uint8 (h, w), 0 ground to 255 product.

    Returns:
      ``highlight``; ``clipped``, ``burnt``, ``crushed`` and ``luminance``, None without a product; and
      ``white_ground``, None without a ground.
    """
    step = max(1, max(alpha.shape) // _GLANCE_SIDE)
    # every so many pixels rather than a shrunk picture: averages hide what is clipped
    image, alpha = image[::step].take(np.arange(0, alpha.shape[1], step), axis=1), alpha[::step, ::step]
    red, green, blue = cv2.split(image)
    highlight = quantile(_LINEAR[cv2.max(cv2.max(red, green), blue)], 0.99)
    white = cv2.inRange(image, (_WHITE,) * 3, (255,) * 3)
    product, ground = cv2.inRange(alpha, 231, 255), cv2.inRange(alpha, 0, 25)
    measured = Measurements(highlight=highlight, white_ground=_share(white, ground))
    pixels = np.flatnonzero(product != 0)
    if not len(pixels):
        return measured
    unclipped = cv2.inRange(image, (0,) * 3, (_WHITE - 1,) * 3)
    linear = _LINEAR.take(image.reshape(-1, 3).take(pixels, axis=0))
    return dataclasses.replace(
        measured,
        clipped=_share(cv2.bitwise_not(unclipped), product),
        burnt=_share(white, product),
        crushed=_share(cv2.inRange(image, (0,) * 3, (_BLACK,) * 3), product),
        luminance=median(linear @ LUMINANCE.astype(np.float32)),
    )


def _share(among: np.ndarray, mask: np.ndarray) -> float | None:
    """Returns what share of a mask's pixels another holds, both uint8 (h, w), 0 or not; None for an empty mask."""
    count = cv2.countNonZero(mask)
    return cv2.countNonZero(cv2.bitwise_and(among, mask)) / count if count else None


def measure_parts(image: np.ndarray, alpha: np.ndarray, least: float = 0.25) -> tuple[int, float]:
    """Counts the product's separate pieces and says how unlike they are.

    Args:
      image: uint8 (h, w, 3), sRGB.
      alpha: uint8 (h, w), 0 ground to 255 product.
      least: share of the largest piece's area from which a piece counts.

    Returns:
      The number of pieces, and the largest distance between two of their mean colours in CIELAB (CIE 1976).
    """
    scale = min(1.0, _GLANCE_SIDE / max(alpha.shape))
    size = (max(1, round(alpha.shape[1] * scale)), max(1, round(alpha.shape[0] * scale)))
    product = (shrink(alpha, size) >= 128).view(np.uint8)
    count = cv2.connectedComponents(product)[0]  # a third of the time that areas take, which most photos do not need
    if count <= 2:
        return count - 1, 0.0
    _, labels, stats, _ = cv2.connectedComponentsWithStats(product)
    areas = stats[1:, cv2.CC_STAT_AREA]
    pieces = 1 + np.flatnonzero(areas >= least * areas.max())
    if len(pieces) == 1:
        return 1, 0.0
    lab = srgb8_to_lab(shrink(image, size))
    means = np.array([lab[labels == piece].mean(axis=0) for piece in pieces])
    return len(pieces), float(np.linalg.norm(means[:, None] - means[None], axis=-1).max())


def judge(measured: Measurements, thresholds: QualityThresholds | None = None) -> tuple[ReviewReason, ...]:
    """Says what measurements are reasons for a look; what was not measured is none."""
    thresholds = thresholds or QualityThresholds()
    reasons = []
    if (measured.parts or 0) > thresholds.most_parts or (measured.contrast or 0) > thresholds.pair_contrast:
        reasons.append(ReviewReason.SEVERAL_PRODUCTS)
    if measured.blur is not None and measured.blur > thresholds.blur:
        reasons.append(ReviewReason.TOO_BLURRED)
    if (measured.burnt or 0) > thresholds.burnt and (measured.white_ground or 0) < thresholds.studio:
        reasons.append(ReviewReason.OVER_EXPOSED)
    if measured.highlight is not None and measured.highlight < thresholds.dark:
        reasons.append(ReviewReason.UNDER_EXPOSED)
    return tuple(reasons)


def judge_photo(photo: Any, thresholds: QualityThresholds | None = None) -> Any:
    """Measures a photo and flags it.

    Args:
      photo: with ``image``, ``alpha``, ``source_alpha`` and the review reasons of its matte.
      thresholds: when to flag.

    Returns:
      The photo with ``measurements`` and perhaps more review reasons; one without a product is measured as far as
      there is something to measure, and flagged for nothing more.
    """
    measured = measure_exposure(photo.image, photo.alpha)
    if is_meaningful(photo.source_alpha):  # what lies under a file's own alpha of 0 is no part of the photo
        measured = dataclasses.replace(measured, highlight=None, white_ground=None)
    if ReviewReason.NO_PRODUCT in photo.review_reasons:
        return photo.replace(measurements=measured)
    parts, contrast = measure_parts(photo.image, photo.alpha)
    measured = dataclasses.replace(
        measured, blur=measure_blur(photo.image, photo.alpha), parts=float(parts), contrast=contrast
    )
    return photo.replace(measurements=measured).flagged(*judge(measured, thresholds))


class JudgeQuality(PhotoStage):
    """Measures every photo and flags what falls behind; photos in, photos with ``measurements`` out.

    Args:
      thresholds: when to flag.
    """

    def __init__(self, thresholds: QualityThresholds | None = None):
        super().__init__("judge", functools.partial(judge_photo, thresholds=thresholds or QualityThresholds()))
