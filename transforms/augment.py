"""Classical augmentation: a photo and its matte varied together, geometrically and photometrically.

Every draw comes from one seed, so the same photo, operations and seed give the same pixels. Geometry moves image and
matte alike; light, noise and compression change the image alone. What comes into the frame is mirrored at its edge, in
the matte too, so that the two stay true to each other and no black corner teaches a network anything.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple, get_args

import cv2
import numpy as np

Name = Literal[
    "flip", "rotate", "scale", "crop", "perspective", "brightness", "contrast", "gamma", "hue", "saturation",
    "noise", "blur", "jpeg", "cutout",
]  # fmt: skip
OPERATIONS: tuple[Name, ...] = get_args(Name)
MOST_SEED = 2**64 - 1

_MIRRORED = cv2.BORDER_REFLECT_101
_GREY = np.array([[0.299, 0.587, 0.114]], np.float32)


class _Limits(NamedTuple):
    chance: float
    strength: float
    most: float  # strength; 0 is always the least
    meaning: str


# Usual strengths, and the most that leaves a photo of its product.
_LIMITS: dict[str, _Limits] = {
    "flip": _Limits(0.5, 1, 1, "not used"),
    "rotate": _Limits(1, 15, 180, "degrees either way"),
    "scale": _Limits(1, 0.15, 0.5, "of the size, either way"),
    "crop": _Limits(1, 0.12, 0.5, "of a side that is left away"),
    "perspective": _Limits(1, 0.06, 0.25, "of a side by which a corner moves"),
    "brightness": _Limits(1, 0.15, 1, "of the range, either way"),
    "contrast": _Limits(1, 0.2, 1, "either way"),
    "gamma": _Limits(1, 0.25, 2, "above 1, or its inverse"),
    "hue": _Limits(1, 8, 180, "degrees either way"),
    "saturation": _Limits(1, 0.25, 1, "either way"),
    "noise": _Limits(0.5, 6, 64, "levels, standard deviation"),
    "blur": _Limits(0.3, 1.2, 10, "thousandths of the longest side, standard deviation"),
    "jpeg": _Limits(0.5, 50, 95, "below quality 100"),
    "cutout": _Limits(0.5, 0.25, 0.75, "of the shorter side"),
}


@dataclasses.dataclass(frozen=True)
class Operation:
    """One step of a variation.

    Attributes:
      name: which one, of ``OPERATIONS``.
      chance: how often it is done, 0..1; the operation's usual one if None.
      strength: the most by which it changes the photo, in the operation's own unit; its usual one if None.
    """

    name: Name
    chance: float | None = None
    strength: float | None = None

    def __post_init__(self):
        if self.name not in _LIMITS:
            raise ValueError(f"name={self.name!r} must be one of {', '.join(OPERATIONS)}")
        limits = _LIMITS[self.name]
        if self.chance is not None and not 0 <= self.chance <= 1:
            raise ValueError(f"chance={self.chance!r} of {self.name} must lie between 0 and 1")
        if self.strength is not None and not 0 <= self.strength <= limits.most:
            raise ValueError(
                f"strength={self.strength!r} of {self.name} must lie between 0 and {limits.most:g} ({limits.meaning})"
            )

    def settled(self) -> tuple[str, float, float]:
        """Returns name, chance and strength, with the usual values where none were given."""
        limits = _LIMITS[self.name]
        chance, strength = self.chance, self.strength
        return self.name, limits.chance if chance is None else chance, limits.strength if strength is None else strength


class Variant(NamedTuple):
    """A varied photo.

    Attributes:
      image: uint8 (h, w, 3), RGB, of the size that it had.
      alpha: its matte, uint8 (h, w).
      done: what was done, in order, each with the value drawn, such as ``rotate -7.31``.
    """

    image: np.ndarray
    alpha: np.ndarray
    done: tuple[str, ...]


def vary(image: np.ndarray, alpha: np.ndarray, operations: Sequence[Operation], seed: int) -> Variant:
    """Varies a photo and its matte.

    Args:
      image: uint8 (h, w, 3), RGB.
      alpha: uint8 (h, w), 0 ground to 255 product.
      operations: in the order in which they are done.
      seed: of all draws, 0 to 2**64 - 1. Leaving an operation away does not change what the others draw.

    Raises:
      ValueError: the sizes differ, or the seed is out of its range.
    """
    if image.shape != (*alpha.shape, 3) or image.dtype != np.uint8 or alpha.dtype != np.uint8:
        raise ValueError(
            f"image is {image.dtype} {image.shape!r} and alpha {alpha.dtype} {alpha.shape!r}; "
            f"they have to be uint8 (h, w, 3) and uint8 (h, w) of one size"
        )
    if not 0 <= seed <= MOST_SEED:
        raise ValueError(f"seed={seed!r} must lie between 0 and 2**64 - 1")
    done = []
    moved = np.eye(3)  # geometry that is still to be done: steps that follow one another blur the photo only once
    for place, operation in enumerate(operations):
        name, chance, strength = operation.settled()
        repeated = sum(other.name == name for other in operations[:place])
        draw = np.random.default_rng([seed, OPERATIONS.index(operation.name), repeated])
        if draw.random() >= chance:
            continue
        if name in _GEOMETRY:
            matrix, value = _GEOMETRY[name](alpha.shape, strength, draw)
            moved = matrix @ moved
        else:
            image, alpha, moved = *_warped(image, alpha, moved), np.eye(3)
            image, alpha, value = _PHOTOMETRY[name](image, alpha, strength, draw)
        done.append(f"{name} {value}".rstrip())
    return Variant(*_warped(image, alpha, moved), tuple(done))


_Result = tuple[np.ndarray, np.ndarray, str]


def _either_way(draw: np.random.Generator, strength: float) -> float:
    return float(draw.uniform(-strength, strength))


def _warped(image: np.ndarray, alpha: np.ndarray, matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Moves image and matte by a 3 x 3 matrix of pixels; what comes into the frame is mirrored at its edge."""
    if np.array_equal(matrix, np.eye(3)):
        return image, alpha
    size = alpha.shape[::-1]
    image, alpha = (
        cv2.warpPerspective(plane, matrix, size, flags=flags, borderMode=_MIRRORED)
        for plane, flags in ((image, cv2.INTER_CUBIC), (alpha, cv2.INTER_LINEAR))
    )
    return image, alpha


_Shape = tuple[int, ...]


def _about_middle(shape: _Shape, degrees: float, zoom: float) -> np.ndarray:
    middle = ((shape[1] - 1) / 2, (shape[0] - 1) / 2)
    return np.vstack([cv2.getRotationMatrix2D(middle, degrees, zoom), [0, 0, 1]])


def _flip(shape: _Shape, _: float, __: np.random.Generator) -> tuple[np.ndarray, str]:
    return np.array([[-1.0, 0, shape[1] - 1], [0, 1, 0], [0, 0, 1]]), ""


def _rotate(shape: _Shape, strength: float, draw: np.random.Generator) -> tuple[np.ndarray, str]:
    degrees = _either_way(draw, strength)
    return _about_middle(shape, degrees, 1.0), f"{degrees:.2f}"


def _scale(shape: _Shape, strength: float, draw: np.random.Generator) -> tuple[np.ndarray, str]:
    zoom = 1 + _either_way(draw, strength)
    return _about_middle(shape, 0.0, zoom), f"{zoom:.3f}"


def _crop(shape: _Shape, strength: float, draw: np.random.Generator) -> tuple[np.ndarray, str]:
    """A part of the frame's own shape, enlarged to the frame."""
    kept = 1 - float(draw.uniform(0, strength))
    top, left = ((1 - kept) * side * float(draw.random()) for side in shape[:2])
    return np.array([[1, 0, -left], [0, 1, -top], [0, 0, kept]]) / kept, f"{kept:.3f}"


def _perspective(shape: _Shape, strength: float, draw: np.random.Generator) -> tuple[np.ndarray, str]:
    height, width = shape[:2]
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    moves = draw.uniform(-strength, strength, (4, 2)).astype(np.float32)
    matrix = cv2.getPerspectiveTransform(corners, corners + moves * np.array([width, height], np.float32))
    return matrix, f"{float(np.abs(moves).max()):.3f}"


def _levels(image: np.ndarray, curve: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Puts every level through a curve from 0..1 to 0..1."""
    table = np.clip(np.rint(255 * curve(np.arange(256) / 255)), 0, 255).astype(np.uint8)
    return cv2.LUT(image, table)


def _brightness(image: np.ndarray, alpha: np.ndarray, strength: float, draw: np.random.Generator) -> _Result:
    shift = _either_way(draw, strength)
    return _levels(image, lambda level: level + shift), alpha, f"{shift:+.3f}"


def _contrast(image: np.ndarray, alpha: np.ndarray, strength: float, draw: np.random.Generator) -> _Result:
    gain, mean = 1 + _either_way(draw, strength), float(image.mean()) / 255
    return _levels(image, lambda level: mean + gain * (level - mean)), alpha, f"{gain:.3f}"


def _gamma(image: np.ndarray, alpha: np.ndarray, strength: float, draw: np.random.Generator) -> _Result:
    power = (1 + strength) ** _either_way(draw, 1.0)
    return _levels(image, lambda level: level**power), alpha, f"{power:.3f}"


def _hue(image: np.ndarray, alpha: np.ndarray, strength: float, draw: np.random.Generator) -> _Result:
    degrees = _either_way(draw, strength)
    hue, saturation, value = cv2.split(cv2.cvtColor(image, cv2.COLOR_RGB2HSV_FULL))  # 256 steps a turn
    turned = (hue.astype(np.int32) + round(degrees * 256 / 360)) % 256
    planes = cv2.merge([turned.astype(np.uint8), saturation, value])
    return cv2.cvtColor(planes, cv2.COLOR_HSV2RGB_FULL), alpha, f"{degrees:.2f}"


def _saturation(image: np.ndarray, alpha: np.ndarray, strength: float, draw: np.random.Generator) -> _Result:
    gain = 1 + _either_way(draw, strength)
    grey = cv2.transform(image.astype(np.float32), _GREY)[..., None]
    changed = grey + gain * (image.astype(np.float32) - grey)
    return np.clip(np.rint(changed), 0, 255).astype(np.uint8), alpha, f"{gain:.3f}"


def _noise(image: np.ndarray, alpha: np.ndarray, strength: float, draw: np.random.Generator) -> _Result:
    sigma = float(draw.uniform(0, strength))
    grain = draw.standard_normal(image.shape, np.float32) * np.float32(sigma)
    return np.clip(np.rint(image + grain), 0, 255).astype(np.uint8), alpha, f"{sigma:.2f}"


def _blur(image: np.ndarray, alpha: np.ndarray, strength: float, draw: np.random.Generator) -> _Result:
    sigma = float(draw.uniform(0, strength)) * max(alpha.shape) / 1000
    if sigma < 0.2:  # of no effect in 8 bits
        return image, alpha, "0"
    return cv2.GaussianBlur(image, (0, 0), sigma, borderType=_MIRRORED), alpha, f"{sigma:.2f}"


def _jpeg(image: np.ndarray, alpha: np.ndarray, strength: float, draw: np.random.Generator) -> _Result:
    quality = 100 - int(draw.integers(0, int(strength) + 1))
    _, content = cv2.imencode(".jpg", image[..., ::-1], (cv2.IMWRITE_JPEG_QUALITY, quality))
    decoded = np.asarray(cv2.imdecode(content, cv2.IMREAD_COLOR))
    return np.ascontiguousarray(decoded[..., ::-1]), alpha, str(quality)


def _cutout(image: np.ndarray, alpha: np.ndarray, strength: float, draw: np.random.Generator) -> _Result:
    """Hides a square behind the photo's mean colour; nothing of the product is seen there, so the matte ends (T.
    DeVries, G. Taylor: Improved Regularization of Convolutional Neural Networks with Cutout, 2017)."""
    height, width = alpha.shape
    side = max(1, round(float(draw.uniform(0.3, 1)) * strength * min(height, width)))
    y, x = (int(draw.integers(0, whole)) - side // 2 for whole in (height, width))
    hidden = np.s_[max(0, y) : max(0, y + side), max(0, x) : max(0, x + side)]
    image, alpha = image.copy(), alpha.copy()
    image[hidden] = np.rint(image.mean(axis=(0, 1))).astype(np.uint8)
    alpha[hidden] = 0
    return image, alpha, str(side)


_GEOMETRY: dict[str, Callable[[_Shape, float, np.random.Generator], tuple[np.ndarray, str]]] = {
    "flip": _flip, "rotate": _rotate, "scale": _scale, "crop": _crop, "perspective": _perspective,
}  # fmt: skip
_PHOTOMETRY: dict[str, Callable[[np.ndarray, np.ndarray, float, np.random.Generator], _Result]] = {
    "brightness": _brightness, "contrast": _contrast, "gamma": _gamma, "hue": _hue, "saturation": _saturation,
    "noise": _noise, "blur": _blur, "jpeg": _jpeg, "cutout": _cutout,
}  # fmt: skip
