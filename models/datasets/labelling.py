"""From one encoded photo to one labelled example: the judgements behind the datasets, in plain numpy.

All labels are at the working size, squashed to a square. What cannot be used raises ``Unusable``, whose text says why.
"""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np

from models.metrics.segmentation import intersection_over_union
from models.segmentation import teacher
from models.segmentation.examples import WORKING_SIZE, square

_TEACHER_SIDE = 208  # GrabCut's cost grows with the area; its errors are of whole regions, not of pixels
_SURE_AGREEMENT = 0.90  # two GrabCut runs that agree less than this have mistaken something


class Unusable(Exception):
    """This photo gives no example."""


@dataclasses.dataclass(frozen=True)
class Labelled:
    """One example.

    Attributes:
      image: RGB, uint8 (size, size, 3).
      label: uint8 (size, size), 0 ground to 255 product.
      weight: uint8 (size, size), 0 to be ignored to 255 trusted.
    """

    image: np.ndarray
    label: np.ndarray
    weight: np.ndarray


class NoPlainGround(Unusable):
    """This product shot can be read, but no rule parts its product from the ground.

    Attributes:
      unlabelled: the photo with a label of no weight.
    """

    def __init__(self, reason: str, image: np.ndarray):
        super().__init__(reason)
        nothing = np.zeros((WORKING_SIZE, WORKING_SIZE), np.uint8)
        self.unlabelled = Labelled(square(image), nothing, nothing)


def decode(content: bytes, flags: int = cv2.IMREAD_COLOR_RGB, what: str = "photo") -> np.ndarray:
    """Decodes a picture, turned as its EXIF orientation says.

    Raises:
      Unusable: it cannot be decoded.
    """
    picture = cv2.imdecode(np.frombuffer(content, np.uint8), flags) if content else None
    if picture is None:
        raise Unusable(f"its {what} of {len(content)} bytes cannot be decoded")
    return picture


def label_by_agreement(content: bytes) -> Labelled:
    """Labels a catalogue photo by two runs of GrabCut that differ in colour space and border.

    Returns:
      The first run's mask. It counts where both agree; nowhere if they agree by less than 90 % or if the product
      fills hardly anything or nearly all.
    """
    image = decode(content)
    first = teacher.grabcut_from_border(image, border=0.03, longest=_TEACHER_SIDE, iterations=4)
    scale = min(1.0, _TEACHER_SIDE / max(image.shape[:2]))
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    lab = cv2.cvtColor(small, cv2.COLOR_RGB2LAB)
    second = teacher.grabcut_from_border(lab, border=0.07, longest=_TEACHER_SIDE, iterations=4, seed=1)
    label, other = square(first), square(second)
    a, b = label > 127, other > 127
    if intersection_over_union(a, b) < _SURE_AGREEMENT or not 0.04 < a.mean() < 0.92:
        return Labelled(square(image), label, np.zeros_like(label))
    return Labelled(square(image), label, np.where(a == b, 255, 0).astype(np.uint8))


def label_by_hand(content: bytes, mask: bytes, *, doubtful: bool = False) -> Labelled:
    """Takes a mask drawn by hand.

    Args:
      content: the encoded photo.
      mask: the encoded mask, grey, 0 ground to 255 product.
      doubtful: whether its edges are to count only a quarter.
    """
    image = square(decode(content))
    label = square(decode(mask, cv2.IMREAD_GRAYSCALE, "mask"))
    weight = np.full_like(label, 255)
    if doubtful:
        kernel = np.ones((5, 5), np.uint8)
        weight[cv2.dilate(label, kernel) != cv2.erode(label, kernel)] = 64
    return Labelled(image, label, weight)


def label_by_alpha(content: bytes, alpha: bytes) -> Labelled:
    """Takes the exact mask of a rendered photo; it must have the photo's size."""
    image, mask = decode(content), decode(alpha, cv2.IMREAD_GRAYSCALE, "mask")
    if image.shape[:2] != mask.shape:
        raise Unusable(f"it is {image.shape[1]}x{image.shape[0]} but its mask {mask.shape[1]}x{mask.shape[0]}")
    label = square(mask)
    return Labelled(square(image), label, np.full_like(label, 255))


def cut_out(content: bytes, *, white_ground: bool) -> Labelled:
    """Cuts a product out of a clean shot: by its own alpha, else where flood fill and GrabCut agree.

    Args:
      content: the encoded photo.
      white_ground: whether the ground is known to be pure white; only then may a product touch the frame.

    Raises:
      NoPlainGround: the ground is not plain, or the two disagree.
      Unusable: it cannot be decoded.
    """
    picture = decode(content, cv2.IMREAD_UNCHANGED)
    if picture.ndim == 3 and picture.shape[2] == 4 and picture[..., 3].min() < 255:
        alpha = picture[..., 3]
        if picture.dtype != np.uint8 or not 0.02 < (alpha > 127).mean() < 0.9:
            raise NoPlainGround("its alpha leaves hardly anything or nearly all", decode(content))
        return Labelled(square(cv2.cvtColor(picture, cv2.COLOR_BGRA2RGB)), square(alpha), square(alpha))
    image = decode(content)
    scale = min(1.0, 256 / max(image.shape[:2]))
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    flooded = teacher.flood_from_border(small, tolerance=9.0)
    if white_ground:
        flooded = _without_holes(flooded, small)
    coverage = (flooded > 0).mean()
    rim = np.concatenate([flooded[0], flooded[-1], flooded[:, 0], flooded[:, -1]]) > 0
    if not 0.03 < coverage < 0.8 or rim.mean() > 0.35:
        raise NoPlainGround("there is no plain ground to part the product from", image)
    cut = teacher.grabcut_from_border(small, border=0.02, longest=256, iterations=3)
    touching = rim.mean() > 0.02
    if touching and not white_ground:
        raise NoPlainGround("a studio's floor and shadow are joined to the product at the frame", image)
    if not touching and intersection_over_union(flooded > 0, cut > 0) < 0.88:
        raise NoPlainGround("flood fill and GrabCut disagree", image)
    mask = flooded if touching else np.where((flooded > 0) & (cut > 0), 255, 0).astype(np.uint8)
    mask = _without_crumbs(cv2.morphologyEx(mask, cv2.MORPH_OPEN, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (3, 3))))
    if (mask > 0).mean() < 0.03:
        raise NoPlainGround("hardly anything is left of it", image)
    label = square(cv2.GaussianBlur(mask, (3, 3), 0))
    return Labelled(square(image), label, np.full_like(label, 255))


def _without_holes(mask: np.ndarray, image: np.ndarray) -> np.ndarray:
    """Opens the holes through which a pure white ground is seen, between arm and body or under a handle.

    A flood from the frame cannot get there. White cloth is hardly ever as white and as even.
    """
    white = (image.min(axis=-1) >= 252) & (cv2.erode(mask, np.ones((3, 3), np.uint8)) > 0)
    white = cv2.morphologyEx(white.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    parts, regions, stats, _ = cv2.connectedComponentsWithStats(white, connectivity=4)
    mask = mask.copy()
    for part in range(1, parts):
        hole = regions == part
        if stats[part, cv2.CC_STAT_AREA] >= 0.0015 * mask.size and image[hole].std() < 1.2:
            mask[cv2.dilate(hole.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0] = 0
    return mask


def _without_crumbs(mask: np.ndarray) -> np.ndarray:
    parts, regions, stats, _ = cv2.connectedComponentsWithStats(mask)
    for part in range(1, parts):
        if stats[part, cv2.CC_STAT_AREA] < 0.002 * mask.size:
            mask[regions == part] = 0
    return mask
