"""Puts a cut-out product on a profile's canvas: scaled once, placed, and composited on an exact ground.

Colours are resampled and composited as sRGB code values, not in linear light. Mattes are estimated in that
space (photo = alpha * product + (1 - alpha) * ground holds there for what the network was trained on and for
what the foreground estimate solves), so compositing in it is what undoes the photo; and it is what browsers,
page layout and image editors do with a cut-out, so packshot and cut-out look the same.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Collection, Iterator
from typing import Any

import cv2
import numpy as np

from transforms.enlarge import known_sides
from transforms.ground import paint_ground
from transforms.matte import is_meaningful
from transforms.placing import NOT_CUT, Box, CutSides, cut_sides, drawn_part, place, product_box
from transforms.profile import Profile
from transforms.quality import Measurements
from transforms.reasons import ReviewReason
from transforms.resample import OPAQUE, STEPS, resample_on
from transforms.shadow import contact_shadow, drop_shadow, photographed_shadow
from transforms.stage import PhotoStage
from transforms.straighten import find_tilt, turn

# Alpha below this becomes none: nobody sees four levels of grey, but a checker of pure white does.
_HAZE = 4
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
    # beyond what is at all soft nothing has to be drawn, but for a shadow of the photo's
    soft = Box(*cv2.boundingRect(alpha)) if shadow is None else Box(0, 0, alpha.shape[1], alpha.shape[0])
    crop, (_, _, width, height), shown, region = drawn_part(alpha.shape[::-1], soft, box, cut, placed, profile)
    colours, opacity = resample_on(profile.background, foreground[crop], alpha[crop], width, height)
    colours, opacity = colours[shown], opacity[shown]
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
            taken = cv2.resize(shadow[crop], (width, height), interpolation=cv2.INTER_LINEAR)
            _shade(image[region], _faded(taken, cut)[shown])
    under = image[region]
    if not profile.has_plain_ground:
        colours = _change_ground(colours, opacity, profile.background, under)
    cv2.threshold(colours, 0, 0, cv2.THRESH_TOZERO, colours)
    cv2.copyTo(cv2.convertScaleAbs(colours, alpha=1 / STEPS), matte, under)
    return image, canvas_alpha


def _change_ground(
    colours: np.ndarray, opacity: np.ndarray, plain: tuple[int, int, int], ground: np.ndarray
) -> np.ndarray:
    """Puts a ground of many colours under what was composited on one of a single colour.

    Args:
      colours, opacity: as of ``resample_on``, int16 (h, w, 3) and (h, w).
      plain: the colour.
      ground: uint8 (h, w, 3).

    Returns:
      int16 (h, w, 3), in steps of ``1 / STEPS`` of a level.
    """
    showing = cv2.merge([OPAQUE - opacity] * 3)
    change = np.subtract(ground, np.array(plain, np.uint8), dtype=np.int16)
    return cv2.add(colours, cv2.multiply(change, showing, scale=1 / 255))


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


def _bands(height: int) -> Iterator[slice]:
    """Cuts rows into bands whose temporaries stay in cache: three times as fast as whole canvases, which page."""
    return (slice(start, min(start + _BAND_ROWS, height)) for start in range(0, height, _BAND_ROWS))


def compose_photo(photo: Any, profile: Profile, *, straighten: bool = False) -> Any:
    """Returns the photo record with ``packshot`` and perhaps more review reasons.

    Args:
      photo: with ``image``, ``foreground``, ``alpha``, perhaps ``enlarged``, and what was found of it before.
      profile: the canvas.
      straighten: whether a product that lies a little askew is turned; mask and cut-out stay as the photo is.
    """
    foreground, alpha = photo.foreground, photo.alpha
    box, cut = product_box(alpha), known_sides(photo)
    if ReviewReason.NO_PRODUCT in photo.review_reasons or box is None:
        foreground, alpha = photo.image, np.zeros_like(alpha)
    done, shadow = [], None
    if box is not None and profile.shadow == "kept" and not is_meaningful(photo.source_alpha):
        shadow = photographed_shadow(photo.image, alpha)
        if shadow is not None:
            done.append("shadow")
    tilt = tilt_to_mend(alpha, photo.review_reasons, cut) if straighten else 0.0
    if photo.enlarged is not None:
        cut = cut or cut_sides(alpha)
        foreground, alpha = photo.enlarged
        shadow = None if shadow is None else cv2.resize(shadow, alpha.shape[::-1], interpolation=cv2.INTER_LINEAR)
    if tilt:
        foreground, alpha = turn(foreground, tilt), turn(alpha, tilt)
        shadow = None if shadow is None else turn(shadow, tilt)
        done.append("straighten")
    scale = max(alpha.shape) / max(photo.width, photo.height)
    composition = compose(foreground, alpha, profile, scale=scale, cut=cut, shadow=shadow)
    photo = photo.replace(
        enlarged=None,
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
