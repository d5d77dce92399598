"""Strong standard augmentation of labelled pictures, a batch at a time, each fixed by the seed and its step.

Flip, pose and crop (as one affine map), light and colour, erased squares ("Random Erasing", Zhong et al., AAAI 2020)
and mixed pairs ("mixup", Zhang et al., ICLR 2018). Hue stays: the colour is one of the things to be told.
"""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np

from models.articles import COLOUR_NAMES, Articles


@dataclasses.dataclass(frozen=True)
class Augmentation:
    """How much pictures are varied.

    Attributes:
      flip: share of mirrored pictures, 0..1.
      turn: most degrees to either side.
      scale: most zoom in and out: a factor between 1 - scale and 1 + scale.
      shift: most displacement, as a share of the side.
      light: most change of brightness and of contrast: factors between 1 - light and 1 + light.
      saturation: most change of saturation, likewise.
      cast: most change of a single channel, likewise.
      erased: share of pictures that lose a square of noise, 0..1.
      mixed: alpha of mixup's Beta(alpha, alpha); 0 for none.
    """

    flip: float = 0.5
    turn: float = 12.0
    scale: float = 0.2
    shift: float = 0.08
    light: float = 0.25
    saturation: float = 0.3
    cast: float = 0.04
    erased: float = 0.4
    mixed: float = 0.2

    def __post_init__(self):
        for name in ("flip", "scale", "shift", "light", "saturation", "cast", "erased"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name}={getattr(self, name)!r} must be from 0 to 1")
        if self.turn < 0 or self.mixed < 0:
            raise ValueError(f"turn={self.turn!r} and mixed={self.mixed!r} must not be negative")


def varied(image: np.ndarray, augmentation: Augmentation, draw: np.random.Generator) -> np.ndarray:
    """Varies one picture.

    Args:
      image: uint8 (size, size, 3), RGB.
      augmentation: how much.
      draw: the source of chance.

    Returns:
      float32 (size, size, 3), 0..255.
    """
    size, a = len(image), augmentation
    turn, zoom = draw.uniform(-a.turn, a.turn), 1 + draw.uniform(-a.scale, a.scale)
    matrix = cv2.getRotationMatrix2D(((size - 1) / 2, (size - 1) / 2), turn, zoom)
    matrix = matrix + [[0, 0, shift] for shift in draw.uniform(-a.shift, a.shift, 2) * size]
    if draw.random() < a.flip:
        image = image[:, ::-1]
    moved = cv2.warpAffine(
        image.astype(np.float32), matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
    )
    return _erased(_toned(moved, a, draw), a.erased, draw)


def _toned(image: np.ndarray, a: Augmentation, draw: np.random.Generator) -> np.ndarray:
    bright, contrast = 1 + draw.uniform(-a.light, a.light, 2)
    saturation = 1 + draw.uniform(-a.saturation, a.saturation)
    gains = bright * (1 + draw.uniform(-a.cast, a.cast, 3))
    grey = image.mean(axis=2, keepdims=True)
    image = (grey + saturation * (image - grey)) * gains
    mean = image.mean()
    return np.clip(mean + contrast * (image - mean), 0, 255).astype(np.float32)


def _erased(image: np.ndarray, share: float, draw: np.random.Generator) -> np.ndarray:
    if draw.random() < share:
        side = int(draw.uniform(0.15, 0.4) * len(image))
        top, left = draw.integers(0, len(image) - side + 1, 2)
        image[top : top + side, left : left + side] = draw.uniform(0, 255, (side, side, 3))
    return image


@dataclasses.dataclass(frozen=True)
class BatchMaker:
    """Makes the batch of any step, always the same.

    Attributes:
      articles: what to draw from.
      shares: float (n,), how often each is drawn; they sum to 1.
      augmentation: how much pictures are varied.
      size: of a batch.
      seed: of the whole stream.
    """

    articles: Articles
    shares: np.ndarray
    augmentation: Augmentation
    size: int
    seed: int

    def __call__(self, step: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Returns float32 pictures (batch, size, size, 3) 0..255 and soft labels by head, (batch, names)."""
        draw = np.random.default_rng((self.seed, step))
        chosen = draw.choice(len(self.articles), self.size, p=self.shares)
        images = np.stack([varied(image, self.augmentation, draw) for image in self.articles.images[chosen]])
        category = _one_hot(self.articles.categories[chosen], len(self.articles.category_names))
        colour = _one_hot(self.articles.colours[chosen], len(COLOUR_NAMES))
        if self.augmentation.mixed:
            share = np.float32(draw.beta(self.augmentation.mixed, self.augmentation.mixed))
            images, category, colour = (share * x + (1 - share) * x[::-1] for x in (images, category, colour))
        return images, {"category": category, "colour": colour}


def _one_hot(labels: np.ndarray, count: int) -> np.ndarray:
    return np.eye(count, dtype=np.float32)[labels]
