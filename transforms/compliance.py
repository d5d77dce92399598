"""Whether a packshot's file, as it will be stored, is what its profile says: one check a rule, each with its code.

The file is decoded again, because a canvas that was right before it was encoded says nothing of what a
marketplace receives. What fails goes to review; nothing is rejected for it.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import io
from collections.abc import Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np
from PIL import Image, JpegImagePlugin

from transforms import icc
from transforms.encode import srgb_icc
from transforms.placing import product_box
from transforms.profile import Profile
from transforms.quality import Measurements
from transforms.reasons import ReviewReason
from transforms.stage import PhotoStage

_ICC_COLOUR_SPACE = slice(16, 20)  # in a profile's header: ICC.1:2022, 7.2.8


class Check(enum.StrEnum):
    """What is checked; the order is that of tables and of reasons."""

    FORMAT = "format"  # JPEG or PNG as the profile says, and it can be decoded
    SIZE = "size"  # the canvas' pixels
    BYTES = "bytes"  # the file's size lies in the window
    COLOUR = "colour"  # 8-bit RGB that says it is sRGB
    GROUND = "ground"  # exactly the background wherever there is no product
    FILL = "fill"  # the product takes as much of the canvas as it should
    ONE_PRODUCT = "one_product"  # neither none nor several
    NOT_CUT = "not_cut"  # the photo's frame cuts nothing off


# One product and nothing cut are found before there is a file, and flagged there.
REASONS = {
    Check.FORMAT: ReviewReason.WRONG_FORMAT,
    Check.SIZE: ReviewReason.WRONG_SIZE,
    Check.BYTES: ReviewReason.BYTE_LIMIT,
    Check.COLOUR: ReviewReason.WRONG_COLOUR_SPACE,
    Check.GROUND: ReviewReason.WRONG_GROUND,
    Check.FILL: ReviewReason.WRONG_FILL,
}


@dataclasses.dataclass(frozen=True)
class Tolerances:
    """How far from a rule still meets it.

    Attributes:
      fill: by which the product's longest side may differ, as a share of what it should be; one pixel always may.
      tint: levels of 255 by which a JPEG's ground may differ where the profile's is not grey, because JPEG does
        not store RGB. Of 20,000 tints the worst came out 3 off at qualities 74 and 75, 1 off from 76 to 100. A grey
        or white ground, and any ground of a PNG, has to be exact.
      ringing: levels of 255 by which ground may differ in squares of a JPEG that hold some of the product too:
        8 pixels a side, 16 with 4:2:0. JPEG codes a square as a whole, so that an edge rings through all of it.
    """

    fill: float = 0.02
    tint: int = 3
    ringing: int = 32


@dataclasses.dataclass(frozen=True)
class Findings:
    """What the checks found.

    Attributes:
      passed: by check; None where a check does not apply or cannot be made.
      ground_error: largest distance of a ground pixel from the background, in levels of 255 of one channel, in
        squares without product; or None where it was not measured.
      edge_error: the same in squares that hold some of the product.
      fill: the product's longest side as a share of the canvas' side along it, or None without a product.
    """

    passed: dict[Check, bool | None]
    ground_error: int | None = None
    edge_error: int | None = None
    fill: float | None = None

    @property
    def failed(self) -> tuple[Check, ...]:
        """The checks that failed, in order."""
        return tuple(check for check in Check if self.passed[check] is False)


def check_file(
    content: bytes,
    profile: Profile,
    alpha: np.ndarray,
    *,
    products: int | None = None,
    cut: bool | None = None,
    tolerances: Tolerances | None = None,
) -> Findings:
    """Checks a file against a profile.

    Args:
      content: the whole file.
      profile: the rules.
      alpha: the product's matte on the canvas, uint8 (H, W).
      products: how many products the picture shows, or None where nobody knows.
      cut: whether the photo's frame cuts the product, or None where nobody knows. What a cut product takes of the
        canvas is not ruled.
      tolerances: how far from a rule still meets it.

    Returns:
      The findings. A ground that was asked to be a gradient or a picture, or to have a shadow, is not checked; of a
      file that cannot be decoded, or has another size than alpha, what would need its pixels is None.
    """
    tolerances = tolerances or Tolerances()
    passed: dict[Check, bool | None] = dict.fromkeys(Check)
    passed[Check.BYTES] = (profile.min_bytes or 0) <= len(content) <= (profile.max_bytes or len(content))
    passed[Check.ONE_PRODUCT] = None if products is None else products == 1
    passed[Check.NOT_CUT] = None if cut is None else not cut
    header = _read_header(content)
    image = None if header is None else _decode(content)
    if header is None or image is None:
        passed[Check.FORMAT] = False
        return Findings(passed)
    passed[Check.FORMAT] = header.format == profile.format
    passed[Check.SIZE] = image.shape == (profile.height, profile.width, 3)
    passed[Check.COLOUR] = _is_srgb(header, said=profile.embed_srgb)
    if alpha.shape != image.shape[:2]:
        return Findings(passed)
    fill = None
    box = product_box(alpha)
    if box is not None and products != 0:
        fill = max(box.width / profile.width, box.height / profile.height)
        passed[Check.FILL] = None if cut else _fills(box.width, box.height, profile, tolerances)
    if not profile.has_plain_ground:
        return Findings(passed, fill=fill)
    away, near = ground_errors(image, alpha, profile.background, header.block)
    tinted = header.format == "jpeg" and len(set(profile.background)) > 1
    passed[Check.GROUND] = away <= (tolerances.tint if tinted else 0) and near <= tolerances.ringing
    return Findings(passed, away, near, fill)


def ground_errors(image: np.ndarray, alpha: np.ndarray, background: Sequence[int], block: int = 1) -> tuple[int, int]:
    """Measures how far the ground is from the background.

    Args:
      image: the decoded file, uint8 (H, W, 3), RGB.
      alpha: the product's matte, uint8 (H, W); ground is where it is 0.
      background: the red, green and blue that the ground should have.
      block: side of the squares that the file's format codes as a whole; 1 for none.

    Returns:
      The largest difference of a channel on ground: in squares without any product, and in those with some. 0
      where there is no ground.
    """
    rows, columns = _around(alpha, block)
    beside = (image[rows, : columns.start], image[rows, columns.stop :])
    away = max(_farthest(part, background) for part in (image[: rows.start], image[rows.stop :], *beside))
    if rows.start == rows.stop:
        return away, 0
    off, alpha = _distance(image[rows, columns], background), alpha[rows, columns]
    empty = (alpha == 0).view(np.uint8)
    if block == 1:
        return max(away, _largest(off, empty)), 0
    alone = (_shared(alpha, block) == 0).view(np.uint8)
    return max(away, _largest(off, alone)), _largest(off, empty - alone)


def _around(alpha: np.ndarray, block: int) -> tuple[slice, slice]:
    """Returns rows and columns outside of which no square is touched by any product; two empty slices without one."""
    x, y, width, height = cv2.boundingRect(alpha)
    reach = block if block > 8 else 0  # see ``_shared``

    def whole(start: int, length: int, end: int) -> slice:
        if not length:
            return slice(0, 0)
        return slice(max(0, start // block * block - reach), min(end, -(-(start + length) // block) * block + reach))

    return whole(y, height, alpha.shape[0]), whole(x, width, alpha.shape[1])


def _shared(alpha: np.ndarray, block: int) -> np.ndarray:
    """Returns, for every pixel of a matte, something else than 0 where its square holds any product."""
    height, width = alpha.shape
    if height % block:
        alpha = cv2.copyMakeBorder(alpha, 0, -height % block, 0, 0, cv2.BORDER_CONSTANT)
    bands = alpha.reshape(-1, block, width).max(axis=1)
    # the maximum over a square is read off at its left end
    squares = cv2.dilate(bands, np.ones((1, block), np.uint8), anchor=(0, 0))[:, ::block]
    shared = np.repeat(np.repeat(squares, block, axis=1), block, axis=0)[:height, :width]
    if block > 8:  # decoders interpolate 4:2:0 colour over the squares' edges
        shared = cv2.dilate(shared, np.ones((3, 3), np.uint8))
    return shared


def _distance(image: np.ndarray, background: Sequence[int]) -> np.ndarray:
    """Returns every channel's distance from the background, uint8 (h, w, 3)."""
    if set(background) == {255}:
        return cv2.bitwise_not(image)  # in half the time
    return cv2.absdiff(image, (*background, 0))  # type: ignore[call-overload]


def _largest(values: np.ndarray, mask: np.ndarray) -> int:
    """Returns the largest value of any channel where the mask is not 0; 0 where it is so everywhere."""
    return int(cv2.norm(values, cv2.NORM_INF, mask))


def _farthest(image: np.ndarray, background: Sequence[int]) -> int:
    """Returns the largest distance of any channel from the background; 0 where there is no pixel."""
    if not image.size:
        return 0
    if set(background) == {255}:
        return 255 - int(image.min())  # no copy
    return int(cv2.norm(_distance(image, background), cv2.NORM_INF))


def _fills(width: int, height: int, profile: Profile, tolerances: Tolerances) -> bool:
    """Tells whether a product's box is as large as it should be: as one of its sides allows, neither less nor more."""
    limit_x, limit_y = profile.product_box
    # the side that comes nearest to its limit is the one that rules the size
    size, limit = max((width, limit_x), (height, limit_y), key=lambda side: side[0] / side[1])
    return abs(size - limit) <= max(1.0, tolerances.fill * limit)


class _Header(NamedTuple):
    """What a file says before its pixels.

    Attributes:
      format: in lower case.
      mode: Pillow's.
      says_srgb: True for an sRGB chunk or profile, False for another profile, None for neither.
      block: side of the squares that are coded as a whole.
    """

    format: str
    mode: str
    says_srgb: bool | None
    block: int


def _read_header(content: bytes) -> _Header | None:
    try:
        with Image.open(io.BytesIO(content)) as picture:
            profile = picture.info.get("icc_profile")
            says_srgb = True if "srgb" in picture.info else None
            if profile:
                says_srgb = profile == srgb_icc() or (
                    profile[_ICC_COLOUR_SPACE] == b"RGB " and not icc.changes_colours(profile, picture.mode)
                )
            block = 1
            if picture.format == "JPEG":
                block = 8 if JpegImagePlugin.get_sampling(picture) == 0 else 16
            return _Header((picture.format or "").lower(), picture.mode, says_srgb, block)
    except (OSError, ValueError, SyntaxError, KeyError, Image.DecompressionBombError):
        return None


def _decode(content: bytes) -> np.ndarray | None:
    try:
        return cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR_RGB)
    except cv2.error:
        return None


def _is_srgb(header: _Header, *, said: bool) -> bool:
    return header.mode == "RGB" and (header.says_srgb or (header.says_srgb is None and not said))


def check_photo(photo: Any, profile: Profile, tolerances: Tolerances | None = None) -> Any:
    """Checks a photo's encoded packshot.

    Args:
      photo: with ``encoded``, ``packshot_alpha`` and the review reasons found so far.
      profile: the rules.
      tolerances: how far from a rule still meets it.

    Returns:
      The photo without ``packshot_alpha``, with the measured fill and ground, and a review reason for each check
      that failed.
    """
    packshot = next((asset for asset in photo.encoded if asset.kind == "packshot"), None)
    if packshot is None:
        return photo.replace(packshot_alpha=None)
    reasons = photo.review_reasons
    products = 0 if ReviewReason.NO_PRODUCT in reasons else 2 if ReviewReason.SEVERAL_PRODUCTS in reasons else 1
    findings = check_file(
        packshot.content,
        profile,
        photo.packshot_alpha,
        products=products,
        cut=ReviewReason.CUT_BY_FRAME in reasons,
        tolerances=tolerances,
    )
    measurements = dataclasses.replace(
        photo.measurements or Measurements(), fill=findings.fill, ground_error=findings.ground_error
    )
    return photo.replace(packshot_alpha=None, measurements=measurements).flagged(
        *(REASONS[check] for check in findings.failed if check in REASONS)
    )


class CheckCompliance(PhotoStage):
    """Checks every photo's encoded packshot against the profile and flags what fails.

    Args:
      profile: the rules.
    """

    def __init__(self, profile: Profile):
        super().__init__("comply", functools.partial(check_photo, profile=profile))
