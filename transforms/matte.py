"""From the network's coarse mask to an alpha matte that follows the picture, and what it says of the photo.

The coarse mask is right but for a band a few of its cells wide around every edge, where alpha is found
from colour (``transforms.matte_band``). The models of colour vary slowly: they are fitted on a small
picture and applied to the full one, as in He and Sun, "Fast Guided Filter" (2015, arXiv:1505.00996).
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import cv2
import numpy as np

from models.handlers.second_look import DOUBTFUL, measure_doubt
from transforms.foreground import estimate_foreground
from transforms.islands import drop_islands
from transforms.local_regression import apply_models, take_pixels
from transforms.matte_band import solve_band
from transforms.reasons import ReviewReason
from transforms.shrinking import shrink
from transforms.stage import PhotoStage

_APPLY_SIDE = 2048  # alpha is found at most at this size and enlarged from there: the cost stays bounded
_CELLS = 160  # along a side of the coarse mask that carry detail of their own; the models are as many
_BAND = 3  # how far the coarse mask may be wrong, in these cells
_AT_ONCE = 1 << 14  # pixels, whose temporaries stay in cache
_UNKNOWN = 1  # any alpha but 0 and 255
_VEIL = 0.1  # what the regression's rest noise leaves; so much at both ends of alpha counts as certain


def refine_alpha(image: np.ndarray, coarse_mask: np.ndarray) -> np.ndarray:
    """Refines a network's mask of the whole frame to the matte of the picture, without small islands.

    Args:
      image: uint8 (h, w, 3), RGB, of any size.
      coarse_mask: uint8 (s, s), 0 ground to 255 product: the frame squashed to a square.

    Returns:
      uint8 (h, w): 0 ground to 255 product; exactly 0 or 255 away from the product's edge.

    Raises:
      ValueError: an array of another shape or type.
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ValueError(f"image is {image.dtype} of shape {image.shape!r}; it has to be uint8 of shape (h, w, 3)")
    if coarse_mask.ndim != 2 or coarse_mask.dtype != np.uint8:
        raise ValueError(
            f"coarse_mask is {coarse_mask.dtype} of shape {coarse_mask.shape!r}; it has to be uint8 of shape (s, s)"
        )
    height, width = image.shape[:2]
    longest = max(height, width)
    if longest > _APPLY_SIDE:
        size = _scaled(width, height, _APPLY_SIDE / longest)
        alpha = refine_alpha(cv2.resize(image, size, interpolation=cv2.INTER_AREA), coarse_mask)
        return cv2.resize(alpha, (width, height), interpolation=cv2.INTER_LINEAR)

    cells = _scaled(width, height, min(0.5, _CELLS / longest))
    size = 2 * cells[0], 2 * cells[1]
    small = shrink(image, size, last=cv2.INTER_LINEAR)
    # what the network draws is smooth: up to a half, reading between its pixels is as good as their mean, and faster
    smooth = 2 * cells[0] >= coarse_mask.shape[1] and 2 * cells[1] >= coarse_mask.shape[0]
    coarse_mask = drop_islands(coarse_mask)
    mask = cv2.resize(coarse_mask, cells, interpolation=cv2.INTER_LINEAR if smooth else cv2.INTER_AREA)
    models = solve_band(small, mask, max(1, round(_BAND * max(cells) / _CELLS)))
    return _apply(models, image)


def _apply(models: np.ndarray, image: np.ndarray) -> np.ndarray:
    """Applies the models of alpha to the picture, and makes certain what their rest noise leaves nearly so.

    Args:
      models: float32 (h, w, 4), as ``solve_band`` gives them.
      image: uint8 (H, W, 3), of the same frame.

    Returns:
      uint8 (H, W): alpha, the models being interpolated; read off them without looking where they are certain.
    """
    height, width = image.shape[:2]
    offsets = cv2.extractChannel(models, 3)
    unsure = ((offsets != 0) & (offsets != 1)).view(np.uint8)
    known = np.where(offsets > 0.5, np.uint8(255), np.uint8(0))
    known[cv2.dilate(unsure, np.ones((3, 3), np.uint8)).view(bool)] = _UNKNOWN
    alpha = cv2.resize(known, (width, height), interpolation=cv2.INTER_NEAREST)
    where = np.flatnonzero(alpha == _UNKNOWN).astype(np.int32)  # which is faster to divide
    pixels = cv2.cvtColor(image, cv2.COLOR_RGB2RGBA)
    models = models * np.float32(1 / (1 - 2 * _VEIL))
    models[..., 3] -= np.float32(_VEIL / (1 - 2 * _VEIL))
    across, down = models.shape[1] / width, models.shape[0] / height
    for start in range(0, len(where), _AT_ONCE):
        places = where[start : start + _AT_ONCE][None]
        rows = places // width
        x, y = (
            axis.astype(np.float32) * scale + (scale / 2 - 0.5)
            for axis, scale in ((places - rows * width, across), (rows, down))
        )
        total = apply_models(models, take_pixels(pixels, places), x, y)
        alpha.reshape(-1)[places] = cv2.convertScaleAbs(np.maximum(total, 0))
    return alpha


def _scaled(width: int, height: int, scale: float) -> tuple[int, int]:
    return max(1, round(width * scale)), max(1, round(height * scale))


@dataclasses.dataclass(frozen=True)
class MatteThresholds:
    """When a matte wants a look.

    Attributes:
      no_product: presence below which the photo counts as empty: the model's even odds.
      low_presence: presence below which a person should confirm; a calibrated 0.8 is one wrong in five.
      small_product: coverage of the frame below which the product is too few pixels to sell from: in a
        400 x 533 photo, 1 % is a patch of 46 x 46 pixels.
      empty: coverage below which the matte holds nothing but noise; 0.01 % of that photo is 21 pixels.
      cut_length: share of a side, and ``cut_pixels`` the pixels, that the product has to cover along the
        frame to count as cut by it: a strap's end that touches the frame is a hint, one pixel is noise.
      cut_pixels: see ``cut_length``.
      uncertain: share of the product's area that the coarse mask leaves grey, outlines aside.
      meaningful_alpha: share of the frame that the file's own alpha has to leave out, and share that it has
        to keep, to be taken for a cut-out.
    """

    no_product: float = 0.5
    low_presence: float = 0.8
    small_product: float = 0.01
    empty: float = 1e-4
    cut_length: float = 0.01
    cut_pixels: int = 3
    uncertain: float = DOUBTFUL
    meaningful_alpha: float = 0.002

    def __post_init__(self):
        for name, value in dataclasses.asdict(self).items():
            if name != "cut_pixels" and not 0 <= value <= 1:
                raise ValueError(f"{name}={value!r} has to be a share, between 0 and 1")
        if self.no_product > self.low_presence:
            raise ValueError(
                f"no_product={self.no_product!r} is above low_presence={self.low_presence!r}; "
                f"it has to be below or equal"
            )


@dataclasses.dataclass(frozen=True)
class MatteMeasures:
    """What a matte says of its photo.

    Attributes:
      coverage: fraction of the frame under the matte, 0..1; soft pixels count by their alpha.
      bbox: x, y, width, height of alpha >= 128 in source pixels, or None where there is none.
      cut_sides: the sides of the frame that cut the product, of ``top, right, bottom, left``.
    """

    coverage: float
    bbox: tuple[int, int, int, int] | None
    cut_sides: tuple[str, ...]

    @property
    def touches_edge(self) -> bool:
        return bool(self.cut_sides)


def measure_matte(
    alpha: np.ndarray,
    source_size: tuple[int, int] | None = None,
    thresholds: MatteThresholds | None = None,
) -> MatteMeasures:
    """Measures a matte.

    Args:
      alpha: uint8 (h, w), 0 ground to 255 product.
      source_size: width and height of the source frame in pixels, of which alpha shows the whole; by
        default alpha's own.
      thresholds: what counts as cut by the frame.

    Returns:
      The measures; the bounding box is rounded outwards to whole source pixels.
    """
    thresholds = thresholds or MatteThresholds()
    height, width = alpha.shape
    source_width, source_height = source_size or (width, height)
    solid = (alpha >= 128).astype(np.uint8)
    x, y, box_width, box_height = cv2.boundingRect(solid)
    if box_width == 0:
        return MatteMeasures(cv2.mean(alpha)[0] / 255, None, ())
    left, right = x * source_width // width, -(-(x + box_width) * source_width // width)
    top, bottom = y * source_height // height, -(-(y + box_height) * source_height // height)

    borders = {"top": solid[0], "right": solid[:, -1], "bottom": solid[-1], "left": solid[:, 0]}
    cut = tuple(
        side
        for side, pixels in borders.items()
        if int(pixels.sum()) >= max(thresholds.cut_pixels, thresholds.cut_length * len(pixels))
    )
    return MatteMeasures(
        coverage=cv2.mean(alpha)[0] / 255,
        bbox=(left, top, right - left, bottom - top),
        cut_sides=cut,
    )


def is_meaningful(source_alpha: np.ndarray | None, share: float = MatteThresholds.meaningful_alpha) -> bool:
    """Tells whether a file's own alpha cuts something out, rather than being all opaque or all empty.

    Args:
      source_alpha: uint8 (h, w), or None where the file had none.
      share: of pixels that have to be below 255, and of pixels that have to be above 0.
    """
    if source_alpha is None:
        return False
    least = max(1, share * source_alpha.size)
    transparent = np.count_nonzero(source_alpha < 255)
    return bool(transparent >= least and np.count_nonzero(source_alpha) >= least)


def matte_photo(photo: Any, thresholds: MatteThresholds | None = None) -> Any:
    """Adds the matte, the foreground and what they say to a photo.

    Args:
      photo: with ``image``, ``width``, ``height``, ``presence`` and ``coarse_mask`` or ``source_alpha``.
      thresholds: when to flag.

    Returns:
      The photo with ``alpha``, ``foreground``, ``coverage``, ``bbox``, ``touches_edge`` and review
      reasons. Without a product alpha is zero everywhere.
    """
    thresholds = thresholds or MatteThresholds()
    own = is_meaningful(photo.source_alpha, thresholds.meaningful_alpha)
    if own:
        alpha = photo.source_alpha
    elif photo.presence < thresholds.no_product:
        return _without_product(photo)
    else:
        alpha = refine_alpha(photo.image, photo.coarse_mask)
    measures = measure_matte(alpha, (photo.width, photo.height), thresholds)
    if measures.bbox is None or measures.coverage < thresholds.empty:
        return _without_product(photo)

    # a cut-out file trimmed to its product touches the frame on all sides and is cut on none
    touches_edge = measures.touches_edge and not (own and measures.bbox == (0, 0, photo.width, photo.height))
    reasons = []
    if not own and photo.presence < thresholds.low_presence:
        reasons.append(ReviewReason.LOW_PRESENCE)
    if touches_edge:
        reasons.append(ReviewReason.CUT_BY_FRAME)
    if measures.coverage < thresholds.small_product:
        reasons.append(ReviewReason.SMALL_PRODUCT)
    # refining decides what the network left open: its doubt shows in its own mask
    if not own and measure_doubt(photo.coarse_mask) > thresholds.uncertain:
        reasons.append(ReviewReason.UNCERTAIN_MASK)
    return photo.replace(
        alpha=alpha,
        # a file with its own alpha has straight colours of its own: there is no old ground in them
        foreground=photo.image if own else estimate_foreground(photo.image, alpha),
        coverage=measures.coverage,
        bbox=measures.bbox,
        touches_edge=touches_edge,
    ).flagged(*reasons)


def _without_product(photo: Any) -> Any:
    nothing = np.zeros(photo.image.shape[:2], np.uint8)
    return photo.replace(alpha=nothing, foreground=photo.image, coverage=0.0, bbox=None, touches_edge=False).flagged(
        ReviewReason.NO_PRODUCT
    )


class MattePhotos(PhotoStage):
    """Refines every photo's mask, estimates its foreground, measures and flags it.

    Args:
      thresholds: when a matte wants a look.
    """

    def __init__(self, thresholds: MatteThresholds | None = None):
        super().__init__("matte", functools.partial(matte_photo, thresholds=thresholds or MatteThresholds()))
