"""Generated pictures against real ones, as one table of figures that say by what they were measured.

A Fréchet distance means nothing without its extractor, its resolution and the number of pictures; so features carry
these with them, and features of different kinds are not compared.
"""

from __future__ import annotations

import dataclasses
from typing import Protocol

import numpy as np
from PIL import Image

from models.metrics.distribution import KernelDistance, frechet_distance, kernel_distance
from models.metrics.manifold import ManifoldScores, manifold_scores
from models.metrics.recognition import inception_type_score


class Extractor(Protocol):
    """A network that turns pictures into features and probabilities of classes.

    Attributes:
      name: of the network.
      sha256: of its weights.
      size: side of the pictures that it takes, pixels.
    """

    @property
    def name(self) -> str: ...

    @property
    def sha256(self) -> str: ...

    @property
    def size(self) -> int: ...

    def features_and_probabilities(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns float (n, d) and float (n, classes) of uint8 pictures (n, size, size, 3), RGB."""


@dataclasses.dataclass(frozen=True)
class FeatureSet:
    """Features of some pictures, with what made them.

    Attributes:
      features: float (n, d).
      probabilities: float (n, classes), rows that sum to 1.
      extractor: name of the network.
      sha256: of its weights.
      resolution: side of the pictures before they were brought to the extractor's size, pixels.
    """

    features: np.ndarray
    probabilities: np.ndarray
    extractor: str
    sha256: str
    resolution: int

    def __len__(self) -> int:
        return len(self.features)

    @property
    def label(self) -> str:
        """What a figure from these features is to be called by."""
        return f"{self.extractor} {self.sha256[:8]}, {self.resolution} px"

    def take(self, chosen: np.ndarray) -> FeatureSet:
        """Returns the pictures at these indices, or where this mask is true."""
        return dataclasses.replace(self, features=self.features[chosen], probabilities=self.probabilities[chosen])


def resized(images: np.ndarray, size: int) -> np.ndarray:
    """Brings pictures to another size, antialiased and bicubic, as clean-fid does (Parmar et al., CVPR 2022).

    Args:
      images: uint8 (n, h, w, 3).
      size: side of the square, pixels.

    Returns:
      uint8 (n, size, size, 3); the same pictures where nothing is to be done.
    """
    if images.shape[1:3] == (size, size):
        return images
    bicubic = Image.Resampling.BICUBIC
    return np.stack([np.asarray(Image.fromarray(image).resize((size, size), bicubic)) for image in images])


def extract(images: np.ndarray, extractor: Extractor) -> FeatureSet:
    """Extracts features.

    Args:
      images: uint8 (n, side, side, 3), RGB, n at least 1.
      extractor: the network.
    """
    features, probabilities = extractor.features_and_probabilities(resized(images, extractor.size))
    return FeatureSet(features, probabilities, extractor.name, extractor.sha256, images.shape[1])


@dataclasses.dataclass(frozen=True)
class GenerationScores:
    """All figures of one set of pictures against real ones.

    Attributes:
      count, reference_count: pictures of the set and real ones.
      frechet: Fréchet distance.
      kernel: kernel distance.
      inception_type: Inception-type score of the set, mean and deviation over ten parts.
      manifold: precision, recall, density, coverage.
      label: extractor, hash and resolution.
    """

    count: int
    reference_count: int
    frechet: float
    kernel: KernelDistance
    inception_type: tuple[float, float]
    manifold: ManifoldScores
    label: str


def compare(real: FeatureSet, generated: FeatureSet, *, k: int = 5, seed: int = 0) -> GenerationScores:
    """Measures pictures against real ones.

    Args:
      real: the reference.
      generated: what is measured; for the floor other real pictures.
      k: neighbour that gives a picture's reach, for precision, recall, density and coverage.
      seed: of the subsets of the kernel distance.

    Raises:
      ValueError: the features are of different extractors or resolutions, or there are too few.
    """
    if (real.extractor, real.sha256, real.resolution) != (generated.extractor, generated.sha256, generated.resolution):
        raise ValueError(f"features of {real.label} cannot be compared with those of {generated.label}")
    return GenerationScores(
        count=len(generated),
        reference_count=len(real),
        frechet=frechet_distance(real.features, generated.features),
        kernel=kernel_distance(real.features, generated.features, seed=seed),
        inception_type=inception_type_score(generated.probabilities, splits=min(10, len(generated))),
        manifold=manifold_scores(real.features, generated.features, k=k),
        label=real.label,
    )
