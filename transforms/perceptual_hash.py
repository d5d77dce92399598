"""Perceptual hashes: few bits that stay the same when a photo is stored again, resized or lit a little otherwise.

The hash is of the frame as it was photographed, not of the product in it: it follows from the photo alone, neither
from the model nor from what is made of it, and docs/NEAR-DUPLICATES.md shows that it finds re-used photos better.
"""

from __future__ import annotations

import dataclasses

import apache_beam as beam
import cv2
import imagehash
import numpy as np
import scipy.fftpack  # noqa: F401  # else imagehash imports it within the first photo
from PIL import Image

from transforms.stage import PhotoStage

STAGE = "hash"
HASH_BITS = 64
DETAIL_BITS = 256
MOST_DISTANCE = 16  # of 64 bits that may differ; beyond, hashes of different photos do
RECOLOURED = 8.0  # colour distance beyond which a like photo shows a product of another colour
COLOUR_SIDE = 4  # fields along each side of the frame of which the colour is kept

_SIDE = 64  # pixels along each side of the picture that is hashed
_WHITE = 255


@dataclasses.dataclass(frozen=True)
class PerceptualHash:
    """What a photo looks like, in 80 bytes; each attribute is a column of the catalogue.

    Attributes:
      perceptual_hash: 64-bit pHash (DCT, median) as 16 hexadecimal digits: finds candidates.
      perceptual_detail: 256-bit pHash of the same picture as 64 digits: tells the same photo from a like one.
      perceptual_colours: a* and b* (CIE L*a*b*) of 4 x 4 fields, row by row, as 32 int8 in 64 digits: tells a photo
        from the same one with a recoloured product, between which grey pictures see no difference.
    """

    perceptual_hash: str
    perceptual_detail: str
    perceptual_colours: str


def small_picture(image: np.ndarray, alpha: np.ndarray | None = None) -> np.ndarray:
    """Squashes a frame to a small square by averaging areas.

    The decoder may give a frame at 1/2, 1/4 or 1/8 of its size; averages of areas hardly depend on which.

    Args:
      image: uint8 (h, w, 3), RGB.
      alpha: straight alpha, uint8 (h, w), or None; what is transparent is taken to be white, whatever its colour.

    Returns:
      uint8 (64, 64, 3), RGB.
    """
    if alpha is not None:
        weight = cv2.cvtColor(alpha, cv2.COLOR_GRAY2RGB)
        image = cv2.add(cv2.multiply(image, weight, scale=1 / _WHITE), cv2.bitwise_not(weight))
    while min(image.shape[:2]) >= 2 * _SIDE:  # exact halves take a tenth of the time of other ratios
        height, width = image.shape[:2]
        if height % 2 or width % 2:  # as JPEG decoders do at half size; a line left out was seen to change 6 bits
            image = cv2.copyMakeBorder(image, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
        image = cv2.resize(image, ((width + 1) // 2, (height + 1) // 2), interpolation=cv2.INTER_AREA)
    return cv2.resize(image, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)


def perceptual_hash(image: np.ndarray, alpha: np.ndarray | None = None) -> PerceptualHash:
    """Hashes what a photo looks like.

    Args:
      image: the whole frame, uint8 (h, w, 3), RGB.
      alpha: its straight alpha, uint8 (h, w), or None.
    """
    picture = small_picture(image, alpha)
    grey = Image.fromarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY))
    # in floating point, OpenCV gives L* as 0..100 and a*, b* in their own units
    fields = cv2.resize(picture, (COLOUR_SIDE, COLOUR_SIDE), interpolation=cv2.INTER_AREA)
    lab = cv2.cvtColor(fields.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    return PerceptualHash(
        perceptual_hash=_digits(imagehash.phash(grey, hash_size=8)),
        perceptual_detail=_digits(imagehash.phash(grey, hash_size=16)),
        perceptual_colours=np.clip(np.rint(lab[:, :, 1:]), -128, 127).astype(np.int8).tobytes().hex(),
    )


def colour_distances(first: bytes | np.ndarray, second: bytes | np.ndarray) -> np.ndarray:
    """Returns how differently the parts of two frames are coloured; a cast over all of a frame does not count.

    Args:
      first, second: ``perceptual_colours`` as bytes, 32 a frame, of as many frames.

    Returns:
      float32 (frames,): root mean square of the differences of a*, b* that are left when their mean is taken away; 0
      or more.
    """
    difference = _fields(first) - _fields(second)
    difference -= difference.mean(axis=1, keepdims=True)
    return np.sqrt(np.square(difference, out=difference).sum(axis=2).mean(axis=1))


def hash_photo(photo):
    """Returns the photo with ``perceptual``; see ``perceptual_hash``."""
    return photo.replace(perceptual=perceptual_hash(photo.image, photo.source_alpha))


class HashPhotos(beam.PTransform):
    """Adds ``perceptual``, the perceptual hash, to every photo.

    Returns (of ``expand``):
      Two PCollections, of photos and of rejections.
    """

    def expand(self, photos):
        return photos | PhotoStage(STAGE, hash_photo)


def _digits(found: imagehash.ImageHash) -> str:
    return np.packbits(found.hash).tobytes().hex()  # as its str(), in a tenth of the time


def _fields(colours: bytes | np.ndarray) -> np.ndarray:
    return np.frombuffer(colours, np.int8).reshape(-1, COLOUR_SIDE**2, 2).astype(np.float32)
