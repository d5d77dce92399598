"""Enlarges products that are too small for their canvas, by super-resolution: what is there, sharper; nothing invented.

The network is trained by absolute differences alone, no adversary, and its result halved again is the photo: it can
make an edge as steep as photos have it, but no weave or letter that the photo does not hold.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple, Protocol

import cv2
import numpy as np

from models.handlers.enlargement import shared_enlarger
from transforms.placing import NOT_CUT, CutSides, cut_sides, place, product_box
from transforms.profile import Profile
from transforms.reasons import ReviewReason
from transforms.stage import PhotoStage

STEP = "superres"  # of --enhance, and in the catalogue

# Canvas pixels for each pixel of the photo from which a product is enlarged. Chosen on development photos: at 1.2 the
# network wins .05 dB over bicubic, at 1.5 .28 dB and at 2 1.25 dB.
LEAST_FACTOR = 1.5
_EDGE = 4  # pixels around the matte that are enlarged along: more than a cubic kernel reads


class Enlarger(Protocol):
    """What doubles a picture: ``models.handlers.enlargement.Enlarger`` in the job."""

    def enlarge(self, image: np.ndarray) -> np.ndarray:
        """Returns a picture, uint8 (h, w, 3), RGB, at twice its size."""
        ...


class Enlarged(NamedTuple):
    """A product at twice the photo's size.

    Attributes:
      foreground: uint8 (2 h, 2 w, 3), RGB; black away from the product.
      alpha: uint8 (2 h, 2 w).
    """

    foreground: np.ndarray
    alpha: np.ndarray


def enlargement(photo: Any, profile: Profile) -> float:
    """Returns how many pixels of the canvas a pixel of the source frame becomes; 0 where no product is shown.

    Args:
      photo: with ``alpha``, ``source_alpha``, ``width``, ``height`` and ``review_reasons``.
      profile: the canvas.
    """
    box = product_box(photo.alpha)
    if box is None or ReviewReason.NO_PRODUCT in photo.review_reasons:
        return 0.0
    placed = place(box, known_sides(photo) or cut_sides(photo.alpha), profile)
    scale = max(photo.alpha.shape) / max(photo.width, photo.height)
    return max(placed.width / box.width, placed.height / box.height) * scale


def known_sides(photo: Any) -> CutSides | None:
    """Returns on which sides the frame cuts a photo's product, where that is known without looking at its matte.

    A cut-out file trimmed to its product touches the frame everywhere and is cut nowhere; of others it is not known.
    """
    box = product_box(photo.alpha) if photo.alpha is photo.source_alpha else None
    return NOT_CUT if box is not None and (box.height, box.width) == photo.alpha.shape else None


def enlarge_product(foreground: np.ndarray, alpha: np.ndarray, enlarger: Enlarger) -> Enlarged:
    """Doubles a product: its colours by super-resolution, its matte bicubically.

    Args:
      foreground: product colours, uint8 (h, w, 3), RGB.
      alpha: uint8 (h, w), 0 ground to 255 product.
      enlarger: what doubles a picture.
    """
    height, width = alpha.shape
    x, y, w, h = cv2.boundingRect(alpha)
    top, bottom = max(0, y - _EDGE), min(height, y + h + _EDGE)
    left, right = max(0, x - _EDGE), min(width, x + w + _EDGE)
    large = np.zeros((2 * height, 2 * width, 3), np.uint8)
    part = enlarger.enlarge(np.ascontiguousarray(foreground[top:bottom, left:right]))
    large[2 * top : 2 * bottom, 2 * left : 2 * right] = part
    return Enlarged(large, cv2.resize(alpha, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC))


def enlarge_photo(photo: Any, profile: Profile, enlarger: Enlarger | None = None) -> Any:
    """Returns the photo with ``enlarged``, and the step among its ``enhancements``, if it is too small for the canvas.

    Args:
      photo: with ``foreground``, ``alpha``, ``source_alpha`` and what was found of it.
      profile: the canvas.
      enlarger: what doubles a picture; by default the model that comes with Packshot, loaded when first needed.
    """
    reduced = max(photo.alpha.shape) < max(photo.width, photo.height)  # then the source has more pixels to give
    if reduced or photo.foreground is None or enlargement(photo, profile) < LEAST_FACTOR:
        return photo
    enlarged = enlarge_product(photo.foreground, photo.alpha, enlarger or shared_enlarger())
    return photo.replace(enlarged=enlarged, enhancements=(*photo.enhancements, STEP))


class EnlargePhotos(PhotoStage):
    """Enlarges every photo whose product is too small for the canvas; photos in, photos out.

    Args:
      profile: the canvas.
    """

    def __init__(self, profile: Profile):
        super().__init__("enlarge", functools.partial(enlarge_photo, profile=profile))
