"""Faces on on-model photos: found, and made unrecognisable on the product's layer.

What lies outside the mask vanishes with the ground; this is for people who wear what is on sale. Faces are found
by boosted cascades of Haar-like features (Viola and Jones, CVPR 2001), which OpenCV 4 ships and 5.0 does not.
They find most upright faces from the front and from the side, not all: whoever has to be sure looks at the pictures.
"""

from __future__ import annotations

import functools
import os
import threading
from typing import Any

import cv2
import numpy as np

from transforms.placing import Box
from transforms.stage import PhotoStage

ENHANCEMENT = "blur_faces"

_SEARCH_HEIGHT = 320  # pixels of the product's height when it is searched
_SEARCHED = 0.6  # people stand or sit: faces are in the upper part of what they wear and are
_SMALLEST, _LARGEST = 0.06, 0.45  # a face's width, of the product's height
# How many overlapping hits a face needs; the profile cascade raises more false alarms than the frontal one.
_FRONTAL_HITS, _PROFILE_HITS = 4, 6
_ON_PRODUCT = 0.4  # least mean alpha in a face's box
_MARGIN = 0.35  # hair, chin and ears: the cascades' boxes hold eyes, nose and mouth
_CELLS = 5  # patches along a side that remain of a face: too few for anyone to be known by


class _Cascades(threading.local):
    """One set a thread: a classifier must not be used by two at once."""

    @functools.cached_property
    def frontal(self) -> Any:
        return _cascade("frontalface_alt2")

    @functools.cached_property
    def profile(self) -> Any:
        return _cascade("profileface")


_CASCADES = _Cascades()


def _cascade(name: str) -> Any:
    check_available()
    folder = cv2.data.haarcascades  # type: ignore[attr-defined]  # not in OpenCV's own type stubs
    return cv2.CascadeClassifier(os.path.join(folder, f"haarcascade_{name}.xml"))


def check_available() -> None:
    """Makes sure that faces can be found here.

    Raises:
      ValueError: this OpenCV has no cascades.
    """
    if not hasattr(cv2, "CascadeClassifier") or not hasattr(cv2, "data"):
        raise ValueError(
            f"--blur_faces needs OpenCV 4, which ships the face detector; {cv2.__version__} does not: "
            f"pip install 'opencv-python-headless<5'"
        )


def find_faces(image: np.ndarray, alpha: np.ndarray) -> list[Box]:
    """Finds faces on the product's layer.

    Args:
      image: uint8 (h, w, 3), sRGB, RGB.
      alpha: uint8 (h, w), 0 ground to 255 product.

    Returns:
      Boxes around eyes, nose and mouth, in pixels, sorted from top to bottom; no two are of the same face.
    """
    product = Box(*cv2.boundingRect((alpha >= 128).astype(np.uint8)))
    if product.height < 2 or product.width < 2:
        return []
    rows = slice(product.y, product.y + max(2, round(_SEARCHED * product.height)))
    columns = slice(product.x, product.x + product.width)
    scale = _SEARCH_HEIGHT / product.height
    grey = cv2.cvtColor(image[rows, columns], cv2.COLOR_RGB2GRAY)
    size = max(1, round(grey.shape[1] * scale)), max(1, round(grey.shape[0] * scale))
    grey = cv2.equalizeHist(cv2.resize(grey, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR))
    found = [
        *_detected(_CASCADES.frontal, grey, _FRONTAL_HITS),
        *_detected(_CASCADES.profile, grey, _PROFILE_HITS),
        *(
            (size[0] - x - width, y, width, height)
            for x, y, width, height in _detected(_CASCADES.profile, cv2.flip(grey, 1), _PROFILE_HITS)
        ),
    ]
    boxes: list[Box] = []
    for x, y, width, height in found:  # the frontal cascade's boxes first: they fit best
        box = Box(*(round(v / scale) for v in (x, y, width, height)))
        box = box._replace(x=box.x + product.x, y=box.y + product.y)
        inside = alpha[box.y : box.y + box.height, box.x : box.x + box.width]
        if inside.size and inside.mean() >= 255 * _ON_PRODUCT and not any(_overlap(box, other) for other in boxes):
            boxes.append(box)
    return sorted(boxes, key=lambda box: (box.y, box.x))


def _detected(cascade: Any, grey: np.ndarray, hits: int) -> list[tuple[int, int, int, int]]:
    smallest, largest = (round(_SEARCH_HEIGHT * share) for share in (_SMALLEST, _LARGEST))
    boxes = cascade.detectMultiScale(
        grey, scaleFactor=1.15, minNeighbors=hits, minSize=(smallest, smallest), maxSize=(largest, largest)
    )
    return sorted((int(x), int(y), int(width), int(height)) for x, y, width, height in boxes)


def _overlap(one: Box, other: Box) -> bool:
    """Whether the centre of either box lies in the other."""

    def holds(box: Box, point: Box) -> bool:
        x, y = point.x + point.width / 2, point.y + point.height / 2
        return box.x <= x <= box.x + box.width and box.y <= y <= box.y + box.height

    return holds(one, other) or holds(other, one)


def blur_face(pixels: np.ndarray, weight: np.ndarray, box: Box) -> np.ndarray:
    """Makes a face unrecognisable: an ellipse around it keeps the mean colours of 5 x 5 patches and nothing else.

    Args:
      pixels: uint8 (h, w, 3).
      weight: uint8 (h, w): how much a pixel counts in the means; the matte, so that the old ground does not run in.
      box: around eyes, nose and mouth.

    Returns:
      A copy with the face gone. Inside the ellipse nothing of a pixel is left but its share in its patch's mean.
    """
    height, width = weight.shape
    wide, high = round(box.width * (1 + 2 * _MARGIN)), round(box.height * (1 + 2 * _MARGIN))
    left, top = box.x - (wide - box.width) // 2, box.y - (high - box.height) // 2
    rows = slice(max(0, top), min(height, top + high))
    columns = slice(max(0, left), min(width, left + wide))
    region, share = pixels[rows, columns], weight[rows, columns].astype(np.float32) + np.float32(1e-3)
    cells, size = (_CELLS, _CELLS), (share.shape[1], share.shape[0])
    colour = cv2.resize(region * share[..., None], cells, interpolation=cv2.INTER_AREA)
    total = cv2.resize(share, cells, interpolation=cv2.INTER_AREA)
    patches = cv2.resize(colour / total[..., None], size, interpolation=cv2.INTER_LINEAR)
    y, x = np.ogrid[rows.start : rows.stop, columns.start : columns.stop]
    ellipse = ((x - left - wide / 2) / (wide / 2)) ** 2 + ((y - top - high / 2) / (high / 2)) ** 2 <= 1
    result = pixels.copy()
    result[rows, columns] = np.where(ellipse[..., None], np.round(patches), region).astype(np.uint8)
    return result


def blur_photo_faces(photo: Any) -> Any:
    """Returns the photo with every face on the product's layer blurred, in ``image`` and ``foreground`` alike."""
    image, foreground = photo.image, photo.foreground
    faces = find_faces(image, photo.alpha)
    for box in faces:
        image, foreground = (blur_face(pixels, photo.alpha, box) for pixels in (image, foreground))
    if not faces:
        return photo
    return photo.replace(image=image, foreground=foreground, enhancements=(*photo.enhancements, ENHANCEMENT))


class BlurFaces(PhotoStage):
    """Blurs faces on the product's layer.

    Raises:
      ValueError: this OpenCV has no face detector.
    """

    def __init__(self):
        check_available()
        super().__init__("faces", blur_photo_faces)
