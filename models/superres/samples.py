"""Pairs to learn enlargement from: a patch of a photo, and what a smaller photo of it would show.

Every pair is drawn afresh, fixed by the seed and its step.
"""

from __future__ import annotations

import dataclasses

import cv2
import keras
import numpy as np

from models.superres.resampling import halve


@dataclasses.dataclass(frozen=True)
class Degradations:
    """How patches become small.

    Sellers' photos come down from their cameras' size in ways that nobody tells, so several are drawn.

    Attributes:
      area: share of patches halved by pixel area instead of the reference, ``resampling.halve``.
      blurred: share halved by the reference after a slight blur, as soft lenses give.
      compressed: share saved as JPEG once they are small.
      quality: least and greatest quality of that JPEG.
      shrunk: share of patches from a photo made smaller, which sheds the blocks and the softness of its own JPEG.
      least_scale: least factor of that, above 0 to 1.
    """

    area: float = 0.2
    blurred: float = 0.1
    compressed: float = 0.1
    quality: tuple[int, int] = (80, 96)
    shrunk: float = 0.5
    least_scale: float = 0.5

    def __post_init__(self):
        for name in ("area", "blurred", "compressed", "shrunk"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name}={getattr(self, name)!r} must be a share from 0 to 1")
        if self.area + self.blurred > 1:
            raise ValueError(f"area={self.area!r} and blurred={self.blurred!r} must not be above 1 together")
        if not 1 <= self.quality[0] <= self.quality[1] <= 100:
            raise ValueError(f"quality={self.quality!r} must be two rising numbers from 1 to 100")
        if not 0 < self.least_scale <= 1:
            raise ValueError(f"least_scale={self.least_scale!r} must be above 0 and at most 1")


def luma_of(images: np.ndarray) -> np.ndarray:
    """Returns the luma (ITU-R BT.601, full range, as in JPEG) of pictures.

    Args:
      images: uint8 (n, h, w, 3), RGB.

    Returns:
      uint8 (n, h, w).
    """
    lumas = [cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in images]
    return np.stack(lumas) if lumas else np.zeros(images.shape[:3], np.uint8)


class PatchMaker:
    """Draws pairs of patches from photos.

    Args:
      lumas: uint8 (n, side, side), the photos.
      patch: side of the large patch, even.
      degradations: how small ones come about.

    Raises:
      ValueError: there are no photos, or they are smaller than a patch may need.
    """

    def __init__(self, lumas: np.ndarray, patch: int, degradations: Degradations):
        side = min(lumas.shape[1:])
        needed = int(np.ceil(patch / degradations.least_scale)) if degradations.shrunk else patch
        if not len(lumas):
            raise ValueError("there are no photos to learn from")
        if side < needed:
            raise ValueError(f"patch={patch!r} needs photos of {needed} pixels; these have {side}")
        self._lumas, self._patch, self._degradations = lumas, patch, degradations

    def sample(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Returns a small patch, uint8 (patch / 2, patch / 2), and the large one, uint8 (patch, patch)."""
        large = self._large(rng)
        large = np.rot90(large, int(rng.integers(4)))
        large = np.ascontiguousarray(large[:, ::-1] if rng.random() < 0.5 else large)
        return self._small(large, rng), large

    def _large(self, rng: np.random.Generator) -> np.ndarray:
        luma = self._lumas[rng.integers(len(self._lumas))]
        scale = 1.0
        if rng.random() < self._degradations.shrunk:
            scale = rng.uniform(self._degradations.least_scale, 1)
        side = int(np.ceil(self._patch / scale))
        y, x = (rng.integers(0, length - side + 1) for length in luma.shape)
        crop = luma[y : y + side, x : x + side]
        return crop if side == self._patch else cv2.resize(crop, (self._patch,) * 2, interpolation=cv2.INTER_AREA)

    def _small(self, large: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        way, settings = rng.random(), self._degradations
        if way < settings.area:
            small = cv2.resize(large, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        elif way < settings.area + settings.blurred:
            small = halve(cv2.GaussianBlur(large, (0, 0), rng.uniform(0.4, 1.0)))
        else:
            small = halve(large)
        if rng.random() < settings.compressed:
            small = compressed(small, int(rng.integers(settings.quality[0], settings.quality[1] + 1)))
        return small


def compressed(image: np.ndarray, quality: int) -> np.ndarray:
    """Returns what JPEG of a quality from 1 to 100 makes of a picture, uint8 (h, w) or (h, w, 3)."""
    content = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return np.asarray(cv2.imdecode(content, cv2.IMREAD_UNCHANGED))


class PatchBatches(keras.utils.PyDataset):
    """Batches of steps ``first`` to ``first + count - 1``: float32 (batch, h, w, 1) small and large, 0..255.

    Args:
      maker: draws the pairs.
      batch_size: pairs a step.
      seed: of the whole stream.
      first: first step.
      count: number of steps.
    """

    def __init__(self, maker: PatchMaker, batch_size: int, seed: int, first: int, count: int):
        super().__init__(workers=1, use_multiprocessing=False, max_queue_size=6)
        self._maker, self._batch_size, self._seed = maker, batch_size, seed
        self._first, self._count = first, count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng((self._seed, self._first + index))
        pairs = [self._maker.sample(rng) for _ in range(self._batch_size)]
        small, large = (np.stack(part).astype(np.float32)[..., None] for part in zip(*pairs, strict=True))
        return small, large
