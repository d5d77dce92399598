"""What a gate knows of real pictures: measured once for a generator, and kept in a file beside it."""

from __future__ import annotations

import dataclasses
import io
import zipfile
from typing import Protocol

import cv2
import numpy as np

from models.articles import Articles

_FORMAT = 2
_OWN = 1024  # pictures of the generator's whose scores are measured
_AT_ONCE = 256


class Generator(Protocol):
    """A trained, conditional generator with its discriminator."""

    @property
    def name(self) -> str:
        """What it is called."""
        ...

    @property
    def sha256(self) -> str:
        """Of its weights."""
        ...

    @property
    def size(self) -> int:
        """Side of its pictures, pixels."""
        ...

    @property
    def category_names(self) -> tuple[str, ...]:
        """The categories that it can be asked for."""
        ...

    @property
    def colour_names(self) -> tuple[str, ...]:
        """The colours that it can be asked for."""
        ...

    def sample(self, seeds: np.ndarray, categories: np.ndarray, colours: np.ndarray) -> np.ndarray:
        """Returns uint8 (n, size, size, 3) of seeds, uint64 (n,), and positions in the names, int32 (n,)."""
        ...

    def score(self, pictures: np.ndarray, categories: np.ndarray, colours: np.ndarray) -> np.ndarray:
        """Returns the discriminator's scores, float32 (n,); higher is more like a photo.

        Raises:
          ValueError: there is no discriminator.
        """
        ...


class Classifier(Protocol):
    """A trained classifier of categories.

    Attributes:
      sha256: of its weights.
      size: side of the pictures that it takes, pixels.
      category_names: its classes.
    """

    sha256: str
    size: int
    category_names: tuple[str, ...]

    def features_and_probabilities(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns float32 (n, d) and (n, classes) of uint8 (n, size, size, 3)."""
        ...


@dataclasses.dataclass(frozen=True, eq=False)
class GateFacts:
    """What a gate knows of real pictures and of the generator's own.

    Attributes:
      generator_sha256, classifier_sha256: whose scores and features these are.
      category_names: of the generator.
      colour_shares: float32 (categories, colours): how often a colour is that of a real product of a category.
      features: float32 (m, d), of the real pictures that the generator learnt from.
      distances: float32 (k,), sorted: from unseen real pictures to the nearest of ``features``.
      probabilities: float32 (k,), sorted: what the classifier gives the categories of unseen real pictures.
      scores: float32 (s,), sorted: the discriminator's, of the generator's own pictures; empty where there is none.
    """

    generator_sha256: str
    classifier_sha256: str
    category_names: tuple[str, ...]
    colour_shares: np.ndarray
    features: np.ndarray
    distances: np.ndarray
    probabilities: np.ndarray
    scores: np.ndarray

    def to_bytes(self) -> bytes:
        """Returns the facts as a file: a NumPy archive without pickles, features in 255 steps a column."""
        stream = io.BytesIO()
        lowest = self.features.min(axis=0).astype(np.float32)
        step = np.maximum(np.ptp(self.features, axis=0).astype(np.float32) / 255, np.float32(1e-12))
        np.savez_compressed(
            stream,
            format=np.int32(_FORMAT),
            generator_sha256=np.array(self.generator_sha256),
            classifier_sha256=np.array(self.classifier_sha256),
            category_names=np.array(self.category_names),
            colour_shares=self.colour_shares.astype(np.float32),
            features=np.rint((self.features - lowest) / step).astype(np.uint8),
            features_lowest=lowest,
            features_step=step,
            distances=self.distances.astype(np.float32),
            probabilities=self.probabilities.astype(np.float32),
            scores=self.scores.astype(np.float32),
        )
        return stream.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes) -> GateFacts:
        """Reads a file of facts.

        Raises:
          ValueError: it is none.
        """
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as stored:
                if int(stored["format"]) != _FORMAT:
                    raise ValueError(f"its format is {int(stored['format'])}, and {_FORMAT} is known")
                return cls(
                    str(stored["generator_sha256"]),
                    str(stored["classifier_sha256"]),
                    tuple(str(name) for name in stored["category_names"]),
                    stored["colour_shares"],
                    stored["features_lowest"] + stored["features_step"] * stored["features"].astype(np.float32),
                    stored["distances"],
                    stored["probabilities"],
                    stored["scores"],
                )
        except (OSError, KeyError, EOFError, TypeError, ValueError, zipfile.BadZipFile) as error:
            raise ValueError(f"this is no gate file: {' '.join(str(error).split())}") from error


def nearest_distances(features: np.ndarray, real: np.ndarray) -> np.ndarray:
    """Returns the Euclidean distance of each feature vector, (n, d), to the nearest real one, (m, d): float32 (n,)."""
    found = np.empty(len(features), np.float32)
    lengths = np.square(real, dtype=np.float64).sum(axis=1)
    for start in range(0, len(features), 512):
        part = features[start : start + 512].astype(np.float64)
        squares = np.square(part).sum(axis=1)[:, None] + lengths - 2 * part @ real.T.astype(np.float64)
        found[start : start + 512] = np.sqrt(np.maximum(squares.min(axis=1), 0))
    return found


def seen_by(classifier: Classifier, images: np.ndarray) -> np.ndarray:
    """Returns pictures, uint8 (n, h, h, 3), in the size that a classifier takes."""
    side = classifier.size
    if images.shape[1] == side:
        return images
    way = cv2.INTER_AREA if images.shape[1] > side else cv2.INTER_CUBIC
    return np.stack([cv2.resize(image, (side, side), interpolation=way) for image in images])


def measure_gate(
    train: Articles, unseen: Articles, generator: Generator, classifier: Classifier, *, seed: int = 0
) -> GateFacts:
    """Measures what the gate of a generator must know.

    Args:
      train: what the generator learnt from.
      unseen: articles of other sellers; how far they are from ``train`` is what is usual for a real picture.
      generator, classifier: trained.
      seed: of the generator's own pictures.

    Raises:
      ValueError: the articles are not those that the generator knows, or too few.
    """
    if unknown := sorted(set(generator.category_names) - set(train.category_names)):
        raise ValueError(f"the generator makes {unknown[0]!r}, which is no category of the articles")
    if unknown := sorted(set(train.category_names) - set(classifier.category_names)):
        raise ValueError(f"the classifier does not know the category {unknown[0]!r} of the articles")
    if len(unseen) < 20:
        raise ValueError(f"there are {len(unseen)} unseen articles; the gate's quantiles need 20 at least")
    features, (unseen_features, probabilities) = _seen(classifier, train)[0], _seen(classifier, unseen)
    shares = _colour_shares(train, generator)
    return GateFacts(
        generator.sha256, classifier.sha256, tuple(generator.category_names), shares, features,
        np.sort(nearest_distances(unseen_features, features)), np.sort(probabilities),
        _own_scores(generator, shares, seed),
    )  # fmt: skip


def _seen(classifier: Classifier, articles: Articles) -> tuple[np.ndarray, np.ndarray]:
    """Returns the features of articles, and the probabilities of their own categories."""
    parts = [articles.images[start : start + _AT_ONCE] for start in range(0, len(articles), _AT_ONCE)]
    found = [classifier.features_and_probabilities(seen_by(classifier, part)) for part in parts]
    features, probabilities = (np.concatenate(values) for values in zip(*found, strict=True))
    columns = np.array([classifier.category_names.index(name) for name in articles.category_names])
    return features, probabilities[np.arange(len(articles)), columns[articles.categories]]


def _colour_shares(train: Articles, generator: Generator) -> np.ndarray:
    counts = np.zeros((len(generator.category_names), len(generator.colour_names)), np.float32)
    for row, name in enumerate(generator.category_names):
        colours = train.colours[train.categories == train.category_names.index(name)]
        counts[row] = np.bincount(colours, minlength=counts.shape[1])
    return counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)


def _own_scores(generator: Generator, shares: np.ndarray, seed: int) -> np.ndarray:
    draw = np.random.default_rng(seed)
    usable = np.flatnonzero(shares.sum(axis=1) > 0)
    categories = draw.choice(usable, _OWN).astype(np.int32)
    colours = np.array([draw.choice(shares.shape[1], p=_whole(shares[c])) for c in categories], np.int32)
    seeds = draw.integers(0, 2**63, _OWN).astype(np.uint64)
    found = []
    for start in range(0, _OWN, _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        images = generator.sample(seeds[part], categories[part], colours[part])
        try:
            found.append(generator.score(images, categories[part], colours[part]).reshape(-1))
        except ValueError:  # there is no discriminator
            return np.zeros(0, np.float32)
    return np.sort(np.concatenate(found))


def _whole(shares: np.ndarray) -> np.ndarray:
    exact = shares.astype(np.float64)
    return exact / exact.sum()
