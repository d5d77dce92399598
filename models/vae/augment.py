"""Training samples: pictures varied as photos of other sellers would be, and spoilt copies of them to encode.

The autoencoder learns to give the clean picture back (Im et al., "Denoising Criterion for Variational Auto-Encoding
Framework", AAAI 2017): what lies over a product is then left out of the reconstruction, and shows in the error.
"""

from __future__ import annotations

import dataclasses

import cv2
import keras
import numpy as np

_PLAIN = 2  # levels of 255 around the ground that are ground
_STROKES = (4, 14)


@dataclasses.dataclass(frozen=True)
class Variation:
    """How far samples are from their pictures.

    Attributes:
      flipped: share that is mirrored.
      turn: degrees either way.
      scale: enlargement or reduction by at most this share.
      shift: in shares of the side, either way.
      light: brightness and contrast change by at most this share.
      tint: a channel's gain changes by at most this share.
      spoilt: share of the samples whose input is spoilt.
      ground: level of a plain ground that light and tint leave alone; None where the ground is part of the photo.
    """

    flipped: float = 0.5
    turn: float = 6.0
    scale: float = 0.06
    shift: float = 0.03
    light: float = 0.15
    tint: float = 0.05
    spoilt: float = 0.5
    ground: int | None = 243

    def __post_init__(self):
        for name in ("flipped", "scale", "shift", "light", "tint", "spoilt"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name}={getattr(self, name)!r} must be from 0 to 1")
        if not 0 <= self.turn <= 180:
            raise ValueError(f"turn={self.turn!r} must be from 0 to 180 degrees")


def varied(image: np.ndarray, variation: Variation, rng: np.random.Generator) -> np.ndarray:
    """Returns a picture in another place, size and light.

    Args:
      image: uint8 (h, w, 3), RGB.
      variation: how far.
      rng: decides all.

    Returns:
      uint8 (h, w, 3).
    """
    side = image.shape[0]
    if rng.random() < variation.flipped:
        image = image[:, ::-1]
    place = cv2.getRotationMatrix2D(
        ((side - 1) / 2, (side - 1) / 2),
        rng.uniform(-variation.turn, variation.turn),
        1 + rng.uniform(-variation.scale, variation.scale),
    )
    place[:, 2] += rng.uniform(-variation.shift, variation.shift, 2) * side
    image = cv2.warpAffine(
        np.ascontiguousarray(image), place, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    gain = (1 + rng.uniform(-variation.light, variation.light)) * (1 + rng.uniform(-variation.tint, variation.tint, 3))
    lift = 128 * rng.uniform(-variation.light, variation.light)
    lit = np.clip(image * gain.astype(np.float32) + np.float32(lift) + 0.5, 0, 255).astype(np.uint8)
    if variation.ground is None:
        return lit
    plain = (np.abs(image.astype(np.int16) - variation.ground) <= _PLAIN).all(axis=-1, keepdims=True)
    return np.where(plain, image, lit)


def spoilt(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Returns a picture with something over it: a patch, strokes, or grain.

    Args:
      image: uint8 (h, w, 3), RGB.
      rng: decides all.

    Returns:
      uint8 (h, w, 3).
    """
    kind = rng.integers(3)
    if kind == 0:
        return _covered(image, rng)
    return _struck(image, rng) if kind == 1 else _grainy(image, rng)


def _colour(rng: np.random.Generator) -> tuple[float, ...]:
    if rng.random() < 0.6:  # most overlays are white, black or grey
        return (float(rng.choice([255, 255, 0, 128])),) * 3
    return tuple(float(level) for level in rng.integers(0, 256, 3))


def _mixed(image: np.ndarray, layer: np.ndarray, opacity: float) -> np.ndarray:
    return cv2.addWeighted(image, 1 - opacity, layer, opacity, 0)


def _covered(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    side = image.shape[0]
    width, height = (int(side * part) for part in rng.uniform(0.1, 0.45, 2))
    left, top = (int(rng.integers(0, side - length)) for length in (width, height))
    layer = image.copy()
    cv2.rectangle(layer, (left, top), (left + width, top + height), _colour(rng), -1)
    return _mixed(image, layer, rng.uniform(0.4, 1))


def _struck(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    side = image.shape[0]
    layer, colour = image.copy(), _colour(rng)
    for _ in range(rng.integers(*_STROKES)):
        first, second = rng.integers(0, side, 2), rng.integers(-side // 4, side // 4 + 1, 2)
        end = [int(at) for at in first + second]
        cv2.line(layer, [int(at) for at in first], end, colour, int(rng.integers(1, 3)), cv2.LINE_AA)
    return _mixed(image, layer, rng.uniform(0.3, 1))


def _grainy(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    grain: np.ndarray = rng.normal(0, 1, image.shape).astype(np.float32)
    if rng.random() < 0.5:
        grain = 2 * cv2.GaussianBlur(grain, (0, 0), 0.8)
    return np.clip(image + rng.uniform(4, 24) * grain + 0.5, 0, 255).astype(np.uint8)


class Batches(keras.utils.PyDataset):
    """Batches drawn afresh for every step, each fixed by the seed and its step.

    A batch is a pair of float32 arrays (batch, size, size, 3), 0..255: what is encoded, and what it should give.

    Args:
      images: uint8 (n, size, size, 3), RGB.
      variation: how far samples are from them.
      batch_size: pictures a batch.
      seed: of the whole stream.
      first: first step.
      count: number of steps.
    """

    def __init__(
        self, images: np.ndarray, variation: Variation, batch_size: int, seed: int, first: int = 0, count: int = 1
    ):
        super().__init__(workers=1, use_multiprocessing=False)
        self._images, self._variation = images, variation
        self._batch_size, self._seed, self._first, self._count = batch_size, seed, first, count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng((self._seed, self._first + index))
        targets, inputs = [], []
        for chosen in self.chosen(index):
            target = varied(self._images[chosen], self._variation, rng)
            targets.append(target)
            inputs.append(spoilt(target, rng) if rng.random() < self._variation.spoilt else target)
        return np.stack(inputs).astype(np.float32), np.stack(targets).astype(np.float32)

    def chosen(self, index: int) -> np.ndarray:
        """Returns which pictures a batch is made of: all are shown once before any is shown again."""
        start = (self._first + index) * self._batch_size
        turns = np.arange(start, start + self._batch_size)
        count = len(self._images)
        orders = {
            turn: np.random.default_rng((self._seed, 1, int(turn))).permutation(count)
            for turn in np.unique(turns // count)
        }
        return np.array([orders[turn // count][turn % count] for turn in turns])
