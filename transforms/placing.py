"""Where a product goes on a profile's canvas, and what of the photo has to be drawn there: boxes, no pixels."""

from __future__ import annotations

import math
from typing import NamedTuple

import cv2
import numpy as np

from transforms.profile import Profile

# From here on a pixel counts as product when its bounding box is taken; softer ones around it are drawn, not
# measured.
_PRODUCT_ALPHA = 128
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


class Drawn(NamedTuple):
    """What of a photo is drawn, and where.

    Attributes:
      crop: rows and columns of the photo.
      box: what they cover on the canvas, parts of it perhaps beyond the canvas' edge.
      shown: rows and columns of that box that lie on the canvas.
      region: rows and columns of the canvas where these lie.
    """

    crop: tuple[slice, slice]
    box: Box
    shown: tuple[slice, slice]
    region: tuple[slice, slice]


class _Axis(NamedTuple):
    """A placing along one axis.

    Attributes:
      frame, canvas: how long the photo and the canvas are.
      soft: where what is to be drawn begins in the photo, and its length.
      product: the same of the product's box, which is measured.
      placed: the same of that box on the canvas.
      cut: whether the photo's frame cuts the product at its beginning and at its end.
    """

    frame: int
    canvas: int
    soft: tuple[int, ...]
    product: tuple[int, ...]
    placed: tuple[int, ...]
    cut: tuple[bool, ...]

    def stretch(self) -> tuple[slice, int, int]:
        """Widens the product's box so that its soft edges are drawn too, as far as the canvas shows them.

        On a cut side nothing is added: what lies between the box and the frame there must not become a padding.

        Returns:
          What to crop from the photo; where on the canvas it begins (may be negative); how long it is there.
        """
        (start, size), (placed, length) = self.product, self.placed
        factor, end = length / size, placed + length
        soft_start, soft_end = self.soft[0] - _KERNEL, sum(self.soft) + _KERNEL
        before = after = 0
        if not self.cut[0]:
            least = min(start - max(0, soft_start), math.ceil(placed / factor))
            before = _whole(least, start, factor)
        if not self.cut[1]:
            least = min(min(self.frame, soft_end) - start - size, math.ceil((self.canvas - end) / factor))
            after = _whole(least, self.frame - start - size, factor)
        begin = placed - round(before * factor)
        return slice(start - before, start + size + after), begin, end + round(after * factor) - begin


def drawn_part(frame: tuple[int, int], soft: Box, box: Box, cut: CutSides, placed: Box, profile: Profile) -> Drawn:
    """Returns what of a photo is drawn on a canvas.

    Args:
      frame: width and height of the photo.
      soft: what of it is to be drawn at all.
      box: the product in it.
      cut: the sides where the frame cuts the product.
      placed: where that box goes on the canvas, as of ``place``.
      profile: the canvas.
    """
    canvas = profile.width, profile.height
    (columns, x, width), (rows, y, height) = (
        _Axis(frame[i], canvas[i], soft[i::2], box[i::2], placed[i::2], cut[i::2]).stretch() for i in (0, 1)
    )
    left, top = max(0, x), max(0, y)
    right, bottom = min(canvas[0], x + width), min(canvas[1], y + height)
    return Drawn(
        crop=(rows, columns),
        box=Box(x, y, width, height),
        shown=np.s_[top - y : bottom - y, left - x : right - x],
        region=np.s_[top:bottom, left:right],
    )


def _whole(least: int, most: int, factor: float) -> int:
    """Returns so many pixels of the photo, a few more than ``least``, that on the canvas they are nearly whole ones."""
    return min(range(least, min(least + 8, most) + 1), key=lambda count: abs(count * factor - round(count * factor)))


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
