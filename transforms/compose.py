"""Puts a cut-out product on a profile's canvas: scaled once, placed, and composited on an exact ground.

Colours are resampled and composited as sRGB code values, not in linear light. Mattes are estimated in that
space (photo = alpha * product + (1 - alpha) * ground holds there for what the network was trained on and for
what the foreground estimate solves), so compositing in it is what undoes the photo; and it is what browsers,
page layout and image editors do with a cut-out, so packshot and cut-out look the same.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Collection, Iterator
from typing import Any, NamedTuple

import cv2
import numpy as np

from transforms.ground import paint_ground
from transforms.matte import is_meaningful
from transforms.profile import Profile
from transforms.quality import Measurements
from transforms.reasons import ReviewReason
from transforms.shadow import contact_shadow, drop_shadow, photographed_shadow
from transforms.stage import PhotoStage
from transforms.straighten import find_tilt, turn

# From here on a pixel counts as product when its bounding box is taken; softer ones around it are drawn, not
# measured.
_PRODUCT_ALPHA = 128
# Alpha below this becomes none: nobody sees four levels of grey, but a checker of pure white does.
_HAZE = 4
# What ``resample`` gives: so many steps to an 8-bit level, so that a cubic kernel may swing over by as much again.
STEPS = 128
OPAQUE = 255 * STEPS
# A network's mask may end a little short of the frame; this fraction of the longest side still counts as
# touching it.
_REACH = 0.004
# A strap's end that touches the frame is a cut, a pixel of noise is not: so much of the frame's side, and so many
# pixels, have to be product; as in transforms.matte.
_CONTACT = 0.01
_CONTACT_PIXELS = 3
# The smallest product, longest side against the photo's, that a reduced decode must not make softer.
_SMALLEST_SHARP_PRODUCT = 0.4
_KERNEL = 2  # pixels that a cubic kernel reads on either side
_BAND_ROWS = 64
# The matte of such a photo is not to be trusted with the product's axis.
_NOT_TURNED = frozenset(
    (
        ReviewReason.NO_PRODUCT,
        ReviewReason.LOW_PRESENCE,
        ReviewReason.UNCERTAIN_MASK,
        ReviewReason.SEVERAL_PRODUCTS,
        ReviewReason.SMALL_PRODUCT,
    )
)


class CutSides(NamedTuple):
    """On which sides the photo's frame cuts the product."""

    left: bool
    top: bool
    right: bool
    bottom: bool


NOT_CUT = CutSides(False, False, False, False)


class Box(NamedTuple):
    """A rectangle in pixels; the right and lower edges, ``x + width`` and ``y + height``, are outside."""

    x: int
    y: int
    width: int
    height: int


@dataclasses.dataclass(frozen=True)
class Composition:
    """A composed packshot.

    Attributes:
      image: the canvas, uint8 (H, W, 3), RGB; exactly the profile's background wherever ``alpha`` is 0.
      alpha: the product's matte on the canvas, uint8 (H, W).
      box: the product's bounding box on the canvas.
      upscale: canvas pixels for each pixel of the source frame, along a side.
      reasons: why a person should look.
    """

    image: np.ndarray
    alpha: np.ndarray
    box: Box
    upscale: float
    reasons: tuple[ReviewReason, ...] = ()


def compose(
    foreground: np.ndarray,
    alpha: np.ndarray,
    profile: Profile,
    *,
    scale: float = 1.0,
    cut: CutSides | None = None,
    shadow: np.ndarray | None = None,
) -> Composition:
    """Composes a product on a profile's canvas.

    A photo without a product (no alpha of 128 or more) is shown whole, fitted and centred like an uncut
    product, so that the person who reviews it sees everything.

    Args:
      foreground: product colours, sRGB, uint8 (h, w, 3), RGB; what lies under alpha 0 has no influence.
      alpha: the matte, uint8 (h, w), 0 ground to 255 product.
      profile: the canvas and its rules.
      scale: working pixels for each pixel of the source frame; below 1 after a reduced decode.
      cut: the sides where the frame cuts the product; by default those of ``cut_sides``.
      shadow: the photo's own, float32 (h, w), 0..1 of the light taken, for a profile that keeps it; None for none.

    Raises:
      ValueError: the arrays do not fit together.
    """
    if foreground.shape != (*alpha.shape, 3) or foreground.dtype != np.uint8 or alpha.dtype != np.uint8:
        raise ValueError(
            f"foreground is {foreground.dtype} {foreground.shape!r} and alpha {alpha.dtype} {alpha.shape!r}; "
            f"they have to be uint8 (h, w, 3) and uint8 (h, w) of one size"
        )
    box = product_box(alpha)
    reasons: list[ReviewReason] = []
    if box is None:
        reasons.append(ReviewReason.NO_PRODUCT)
        alpha = np.full_like(alpha, 255)
        box, cut = Box(0, 0, alpha.shape[1], alpha.shape[0]), NOT_CUT
        profile = dataclasses.replace(profile, shadow="none")  # a photo is no product that stands or lies there
    elif cut is None:
        cut = cut_sides(alpha)
    if any(cut):
        reasons.append(ReviewReason.CUT_BY_FRAME)
    placed = place(box, cut, profile)
    upscale = max(placed.width / box.width, placed.height / box.height) * scale
    if upscale > profile.max_upscale:
        reasons.append(ReviewReason.LOW_RESOLUTION)
    image, canvas_alpha = _draw(foreground, alpha, box, cut, placed, profile, shadow)
    return Composition(image, canvas_alpha, placed, upscale, tuple(reasons))


def product_box(alpha: np.ndarray) -> Box | None:
    """Returns the bounding box of what is at least half opaque, or None where nothing is."""
    x, y, width, height = cv2.boundingRect((alpha >= _PRODUCT_ALPHA).view(np.uint8))
    return Box(x, y, width, height) if width else None


def cut_sides(alpha: np.ndarray) -> CutSides:
    """Tells on which sides the frame cuts the product.

    It does where at least 1 % of the frame's side is product within .4 % of the frame's longest side.

    Args:
      alpha: the matte, uint8 (h, w).
    """
    reach = 1 + round(_REACH * max(alpha.shape))
    product = alpha >= _PRODUCT_ALPHA

    def touches(band: np.ndarray, axis: int) -> bool:
        contact = band.any(axis=axis)
        return int(np.count_nonzero(contact)) >= max(_CONTACT_PIXELS, _CONTACT * contact.size)

    return CutSides(
        touches(product[:, :reach], 1),
        touches(product[:reach], 0),
        touches(product[:, -reach:], 1),
        touches(product[-reach:], 0),
    )


def place(box: Box, cut: CutSides, profile: Profile) -> Box:
    """Returns where a product's bounding box goes on the canvas.

    The aspect ratio is always kept. Each axis is ruled by its own two sides:

    ========= ==================================== =================================================
    cut       the product's limit along the axis   where it lies
    ========= ==================================== =================================================
    neither   ``fill`` and margins                 centred between the margins
    one       ``fill`` and margins                 flush with the canvas on the cut side
    both      the whole side of the canvas         spans it, where the other axis lets it; else centred
    ========= ==================================== =================================================

    The product is as large as both axes' limits allow. That covers all sixteen combinations: cut at a corner
    it lies in the canvas' corner; cut left, right and at the bottom it spans the canvas and stands on its
    lower edge; cut on all four sides it is fitted into the canvas.

    Args:
      box: the product in the photo; only its size is used.
      cut: the sides where the frame cuts it.
      profile: the canvas.
    """
    limit_x, limit_y = profile.product_box
    if cut.left and cut.right:
        limit_x = profile.width
    if cut.top and cut.bottom:
        limit_y = profile.height
    factor = min(limit_x / box.width, limit_y / box.height)
    width = max(1, round(box.width * factor))
    height = max(1, round(box.height * factor))
    top, right, bottom, left = profile.margins
    x = _position(width, profile.width, left, right, cut.left, cut.right)
    y = _position(height, profile.height, top, bottom, cut.top, cut.bottom)
    return Box(x, y, width, height)


def _position(size: int, canvas: int, before: float, after: float, cut_before: bool, cut_after: bool) -> int:
    if cut_before and cut_after:
        return (canvas - size) // 2
    if cut_before:
        return 0
    if cut_after:
        return canvas - size
    return round((canvas * (1 + before - after) - size) / 2)


def _draw(
    foreground: np.ndarray,
    alpha: np.ndarray,
    box: Box,
    cut: CutSides,
    placed: Box,
    profile: Profile,
    shadow: np.ndarray | None,
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the canvas with the product, and the product's matte on it."""
    factor_x, factor_y = placed.width / box.width, placed.height / box.height
    # beyond what is at all soft nothing has to be drawn, but for a shadow of the photo's
    drawn = alpha if shadow is None else np.ones_like(alpha)
    left, top, across, down = cv2.boundingRect(drawn)
    crop_x, x, width = _extend(
        _within(left, across, alpha.shape[1]),
        alpha.shape[1],
        box.x,
        box.width,
        placed.x,
        factor_x,
        profile.width,
        cut.left,
        cut.right,
    )
    crop_y, y, height = _extend(
        _within(top, down, alpha.shape[0]),
        alpha.shape[0],
        box.y,
        box.height,
        placed.y,
        factor_y,
        profile.height,
        cut.top,
        cut.bottom,
    )
    scaled = _scaled(foreground[crop_y, crop_x], alpha[crop_y, crop_x], width, height)
    inside = np.s_[max(0, -y) : profile.height - y, max(0, -x) : profile.width - x]
    scaled = scaled[inside]
    placed_x, placed_y = max(0, x), max(0, y)
    region = np.s_[placed_y : placed_y + scaled.shape[0], placed_x : placed_x + scaled.shape[1]]
    opacity = cv2.extractChannel(scaled, 3)
    matte = cv2.threshold(cv2.convertScaleAbs(opacity, alpha=1 / STEPS), _HAZE - 1, 0, cv2.THRESH_TOZERO)[1]
    canvas_alpha = np.zeros((profile.height, profile.width), np.uint8)
    canvas_alpha[region] = matte

    image = paint_ground(profile).copy()
    match profile.shadow:
        case "contact":
            _shade(image, contact_shadow(canvas_alpha))
        case "drop":
            _shade(image, drop_shadow(canvas_alpha))
        case "kept" if shadow is not None:
            taken = cv2.resize(shadow[crop_y, crop_x], (width, height), interpolation=cv2.INTER_LINEAR)
            _shade(image[region], _faded(taken, cut)[inside])
    under, colours = image[region], cv2.convertScaleAbs(scaled, alpha=1 / STEPS)
    # most of a product is opaque: only what is not has to be weighed with the ground
    soft = np.flatnonzero((matte != 0) & (opacity != OPAQUE))
    if len(soft):
        shown = np.ascontiguousarray(scaled).reshape(-1, 4).take(soft, axis=0)
        done = _over(shown, under.reshape(-1, 3).take(soft, axis=0))
        colours.view(np.uint32).reshape(-1)[soft] = done.view(np.uint32).reshape(-1)  # four bytes at once
    cv2.copyTo(cv2.cvtColor(colours, cv2.COLOR_RGBA2RGB), matte, under)
    return image, canvas_alpha


def _over(shown: np.ndarray, ground: np.ndarray) -> np.ndarray:
    """Composites soft pixels.

    Args:
      shown: of ``_scaled``, uint16 (n, 4).
      ground: what lies under them, uint8 (n, 3).

    Returns:
      uint8 (n, 4), the last of which means nothing.
    """
    planes = np.ascontiguousarray(shown.T)
    opacity = planes[3]
    _clamp(list(planes[:3]), opacity)
    showing = (OPAQUE - opacity).astype(np.uint32)
    for plane, under in zip(planes, ground.T, strict=False):
        plane += ((under * showing + 127) // 255).astype(np.uint16)
    return cv2.convertScaleAbs(cv2.merge(list(planes)), alpha=1 / STEPS).reshape(-1, 4)


def _shade(ground: np.ndarray, shadow: np.ndarray) -> None:
    """Darkens a ground, uint8 (h, w, 3), in place by the light that a shadow, float32 (h, w), takes from it."""
    for rows in _bands(shadow.shape[0]):
        light = 1 - shadow[rows]
        ground[rows] = cv2.multiply(ground[rows], cv2.merge([light] * 3), dtype=cv2.CV_8U)


def _faded(shadow: np.ndarray, cut: CutSides) -> np.ndarray:
    """Lets a photo's shadow run out towards the photo's frame, which must not show on the canvas as a line."""
    fade = max(2, round(0.06 * max(shadow.shape)))
    shadow = shadow.copy()
    ramp = np.linspace(0, 1, fade, dtype=np.float32)[: min(shadow.shape)]
    if not cut.left:
        shadow[:, : len(ramp)] *= ramp
    if not cut.right:
        shadow[:, -len(ramp) :] *= ramp[::-1]
    if not cut.top:
        shadow[: len(ramp)] *= ramp[:, None]
    if not cut.bottom:
        shadow[-len(ramp) :] *= ramp[::-1, None]
    return shadow


def _within(start: int, size: int, frame: int) -> tuple[int, int]:
    """Returns where something soft begins and ends along one axis of a frame, and what a kernel mixes it with."""
    return max(0, start - _KERNEL), min(frame, start + size + _KERNEL)


def _whole(least: int, most: int, factor: float) -> int:
    """Returns so many pixels of the photo, a few more than ``least``, that on the canvas they are nearly whole ones."""
    return min(range(least, min(least + 8, most) + 1), key=lambda count: abs(count * factor - round(count * factor)))


def _extend(
    soft: tuple[int, int],
    frame: int,
    start: int,
    size: int,
    placed: int,
    factor: float,
    canvas: int,
    cut_before: bool,
    cut_after: bool,
) -> tuple[slice, int, int]:
    """Widens the product's box along one axis so that its soft edges are drawn too, as far as the canvas shows them.

    On a cut side nothing is added: what lies between the box and the frame there must not become a padding.

    Args:
      soft: where what is to be drawn begins and ends in the photo.
      frame, start, size: the photo's length, and where the product's box begins in it and how long it is.
      placed, factor: where on the canvas that box begins, and canvas pixels for each of the photo's.
      canvas: its length.
      cut_before, cut_after: whether the frame cuts the product at its beginning and at its end.

    Returns:
      What to crop from the photo; where on the canvas it begins (may be negative); how long it is there.
    """
    end = placed + round(size * factor)
    before = 0 if cut_before else _whole(min(start - soft[0], math.ceil(placed / factor)), start, factor)
    after = 0
    if not cut_after:
        space = frame - start - size
        after = _whole(min(soft[1] - start - size, math.ceil((canvas - end) / factor)), space, factor)
    begin = placed - round(before * factor)
    return slice(start - before, start + size + after), begin, end + round(after * factor) - begin


def resample(
    foreground: np.ndarray, alpha: np.ndarray, width: int, height: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Scales a cut-out, weighing its colours with alpha so that nothing of the old ground bleeds into the edge.

    Shrinks by pixel area, enlarges bicubically. Where the cubic kernel swings over (alpha beyond 0 or 1, a
    colour beyond white) the result is clamped and the colour scaled along, so an edge gets neither a dark nor
    a light line.

    Args:
      foreground: uint8 (h, w, 3), RGB.
      alpha: uint8 (h, w).
      width, height: the new size in pixels.

    Returns:
      Premultiplied R, G and B, and alpha, uint16 (height, width) each in steps of ``1 / STEPS`` of an 8-bit level, with
      0 <= colour <= alpha <= ``OPAQUE``.
    """
    red, green, blue, opacity = (np.asarray(plane) for plane in cv2.split(_scaled(foreground, alpha, width, height)))
    if not _shrinks(alpha, width, height):
        for rows in _bands(height):
            _clamp([red[rows], green[rows], blue[rows]], opacity[rows])
    return red, green, blue, opacity


def _shrinks(alpha: np.ndarray, width: int, height: int) -> bool:
    return width <= alpha.shape[1] and height <= alpha.shape[0]


def _scaled(foreground: np.ndarray, alpha: np.ndarray, width: int, height: int) -> np.ndarray:
    """Scales a cut-out as ``resample`` does, but for clamping it.

    Returns:
      Premultiplied R, G and B, and alpha, uint16 (height, width, 4) in steps of ``1 / STEPS`` of an 8-bit level.
    """
    interpolation = cv2.INTER_AREA if _shrinks(alpha, width, height) else cv2.INTER_CUBIC
    colours = cv2.cvtColor(foreground, cv2.COLOR_RGB2RGBA)
    # 16 bits with room above: exact for opaque pixels, at half the memory of floats
    premultiplied = cv2.multiply(colours, cv2.merge([alpha] * 4), scale=STEPS / 255, dtype=cv2.CV_16U)
    return np.asarray(cv2.resize(premultiplied, (width, height), interpolation=interpolation))


def _clamp(premultiplied: list[np.ndarray], opacity: np.ndarray) -> None:
    """Brings what a cubic kernel swung over back into range, in place; below 0 nothing is left in 16 bits."""
    over = np.flatnonzero(opacity > OPAQUE)
    if len(over):
        share = OPAQUE / opacity.reshape(-1).take(over)
        for plane in premultiplied:
            values = plane.reshape(-1)
            values[over] = values.take(over) * share + 0.5
        opacity.reshape(-1)[over] = OPAQUE
    for plane in premultiplied:
        np.minimum(plane, opacity, out=plane)


def _bands(height: int) -> Iterator[slice]:
    """Cuts rows into bands whose temporaries stay in cache: three times as fast as whole canvases, which page."""
    return (slice(start, min(start + _BAND_ROWS, height)) for start in range(0, height, _BAND_ROWS))


def required_working_side(profile: Profile, width: int | None = None, height: int | None = None) -> int:
    """Returns the longest side that a reduced decode has to keep, in pixels.

    A product whose longest side takes 40 % of the photo's longest side, or more, then has all the pixels that the
    canvas shows of it.

    Args:
      profile: the canvas.
      width, height: of the source frame, where it is known: the answer is not more than its longest side then, and
        holds too for a product that spans a frame more than twice as long as wide.
    """
    needed = math.ceil(max(profile.product_box) / _SMALLEST_SHARP_PRODUCT)
    if width is None or height is None:
        return needed
    longest, shortest = max(width, height), max(1, min(width, height))
    # a product cut on two sides takes the whole canvas side, and is as long as the photo's shorter side or longer
    spanning = math.ceil(max(profile.width, profile.height) * longest / shortest)
    return min(max(needed, spanning), longest)


def compose_photo(photo: Any, profile: Profile, *, straighten: bool = False) -> Any:
    """Returns the photo record with ``packshot`` and perhaps more review reasons.

    Args:
      photo: with ``image``, ``foreground``, ``alpha`` and what was found of it before.
      profile: the canvas.
      straighten: whether a product that lies a little askew is turned; mask and cut-out stay as the photo is.
    """
    height, width = photo.alpha.shape
    foreground, alpha, cut = photo.foreground, photo.alpha, None
    box = product_box(alpha)
    if ReviewReason.NO_PRODUCT in photo.review_reasons or box is None:
        foreground, alpha = photo.image, np.zeros_like(alpha)
    elif alpha is photo.source_alpha and (box.width, box.height) == (width, height):
        # a cut-out file trimmed to its product touches the frame everywhere and is cut nowhere
        cut = NOT_CUT
    scale = max(width, height) / max(photo.width, photo.height)
    done, shadow = [], None
    if box is not None and profile.shadow == "kept" and not is_meaningful(photo.source_alpha):
        shadow = photographed_shadow(photo.image, alpha)
        if shadow is not None:
            done.append("shadow")
    if straighten and (tilt := tilt_to_mend(alpha, photo.review_reasons, cut)):
        foreground, alpha = turn(foreground, tilt), turn(alpha, tilt)
        shadow = None if shadow is None else turn(shadow, tilt)
        done.append("straighten")
    composition = compose(foreground, alpha, profile, scale=scale, cut=cut, shadow=shadow)
    photo = photo.replace(
        packshot=composition.image,
        packshot_alpha=composition.alpha,
        measurements=dataclasses.replace(photo.measurements or Measurements(), upscale=composition.upscale),
        enhancements=(*photo.enhancements, *done),
    )
    return photo.flagged(*composition.reasons)


def tilt_to_mend(alpha: np.ndarray, reasons: Collection[ReviewReason] = (), cut: CutSides | None = None) -> float:
    """Returns by how many degrees, clockwise, a product is to be turned; 0 where it should be left as it is.

    A product that the frame cuts would show its cut side askew; what a broken matte says of its axis is wrong.

    Args:
      alpha: the matte, uint8 (h, w).
      reasons: why the photo is to be reviewed, as far as that is known.
      cut: the sides where the frame cuts the product; by default those of ``cut_sides``.
    """
    if not _NOT_TURNED.isdisjoint(reasons) or any(cut or cut_sides(alpha)):
        return 0.0
    return find_tilt(alpha)


class ComposePackshot(PhotoStage):
    """Composes every photo's product on the profile's canvas; photos in, photos with ``packshot`` out.

    Args:
      profile: the canvas.
      straighten: as for ``compose_photo``.
    """

    def __init__(self, profile: Profile, *, straighten: bool = False):
        super().__init__("compose", functools.partial(compose_photo, profile=profile, straighten=straighten))
