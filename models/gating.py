"""The gate that a generated picture must pass: seen as a photo, as its category, as neither a copy nor an oddity.

Three things are asked of each picture: what the discriminator makes of it, against the generator's own usual work;
whether the catalogue's classifier sees the category that was asked for; and how far its features are from the nearest
real picture of the training set, against how far unseen real pictures are from it. Nearer than those is memorised,
further is off the manifold. What the gate knows of real pictures lies in a file beside the generator.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
from typing import Protocol

import numpy as np

BATCH = 64  # pictures; always so many at once, so that a picture does not depend on what else is made
REASONS = ("low_score", "other_category", "memorised", "off_manifold", "generation_failed")
_FORMAT = 1


class Generator(Protocol):
    """A trained, conditional generator with its discriminator.

    Attributes:
      name, sha256: of its weights.
      size: side of its pictures.
      category_names, colour_names: what it can be asked for.
    """

    name: str
    sha256: str
    size: int
    category_names: tuple[str, ...]
    colour_names: tuple[str, ...]

    def sample(self, seeds: np.ndarray, categories: np.ndarray, colours: np.ndarray) -> np.ndarray:
        """Returns uint8 (n, size, size, 3) of seeds, uint64 (n,), and positions in the names, int32 (n,)."""
        ...

    def score(self, images: np.ndarray, categories: np.ndarray, colours: np.ndarray) -> np.ndarray:
        """Returns the discriminator's scores, float32 (n,); higher is more like a photo."""
        ...


class Classifier(Protocol):
    """A trained classifier of categories.

    Attributes:
      sha256: of its weights.
      category_names: its classes.
    """

    sha256: str
    category_names: tuple[str, ...]

    def probabilities(self, images: np.ndarray) -> np.ndarray:
        """Returns float32 (n, classes) of uint8 (n, 64, 64, 3)."""
        ...

    def features(self, images: np.ndarray) -> np.ndarray:
        """Returns float32 (n, d) of uint8 (n, 64, 64, 3)."""
        ...


@dataclasses.dataclass(frozen=True)
class GateSettings:
    """How strict the gate is.

    Attributes:
      file: what it knows of real pictures; empty for the one beside the generator.
      classifier: by name or path; empty for the one that comes with Packshot.
      off: let every picture pass.
      score_quantile: share of the generator's own pictures that the discriminator likes least and that are refused.
      class_probability: what the classifier must give the category that was asked for, at least.
      nearest_quantile: of the distances of unseen real pictures to the nearest training picture: nearer is memorised.
      furthest_quantile: of the same distances: further is off the manifold.
      max_draws: pictures tried for each one that is wanted.
    """

    file: str = ""
    classifier: str = ""
    off: bool = False
    score_quantile: float = 0.05
    class_probability: float = 0.5
    nearest_quantile: float = 0.01
    furthest_quantile: float = 0.95
    max_draws: int = 8

    def __post_init__(self):
        for name in ("score_quantile", "class_probability", "nearest_quantile", "furthest_quantile"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name}={getattr(self, name)!r} must lie between 0 and 1")
        if self.nearest_quantile > self.furthest_quantile:
            raise ValueError(
                f"nearest_quantile={self.nearest_quantile!r} must not be above "
                f"furthest_quantile={self.furthest_quantile!r}"
            )
        if not 1 <= self.max_draws <= 64:
            raise ValueError(f"max_draws={self.max_draws!r} must be from 1 to 64")


@dataclasses.dataclass(frozen=True, eq=False)
class GateFacts:
    """What a gate knows of real pictures and of the generator's own.

    Attributes:
      generator_sha256, classifier_sha256: whose scores and features these are.
      category_names: of the generator.
      colour_shares: float32 (categories, colours): how often a colour is that of a real product of a category.
      features: float32 (m, d), of the real pictures that the generator learnt from.
      distances: float32 (k,), sorted: from unseen real pictures to the nearest of ``features``.
      scores: float32 (s,), sorted: the discriminator's, of the generator's own pictures.
    """

    generator_sha256: str
    classifier_sha256: str
    category_names: tuple[str, ...]
    colour_shares: np.ndarray
    features: np.ndarray
    distances: np.ndarray
    scores: np.ndarray

    def to_bytes(self) -> bytes:
        """Returns the facts as a file: a NumPy archive without pickles, features in half precision."""
        stream = io.BytesIO()
        np.savez_compressed(
            stream,
            format=np.int32(_FORMAT),
            generator_sha256=np.array(self.generator_sha256),
            classifier_sha256=np.array(self.classifier_sha256),
            category_names=np.array(self.category_names),
            colour_shares=self.colour_shares.astype(np.float32),
            features=self.features.astype(np.float16),
            distances=self.distances.astype(np.float32),
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
                    stored["features"].astype(np.float32),
                    stored["distances"],
                    stored["scores"],
                )
        except (OSError, KeyError, ValueError) as error:
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


@dataclasses.dataclass(frozen=True)
class Scores:
    """What the gate measured of one picture; None where it was not asked.

    Attributes:
      discriminator: its score.
      class_probability: of the category that was asked for, 0..1.
      nearest: distance to the nearest real picture in the classifier's features.
    """

    discriminator: float | None = None
    class_probability: float | None = None
    nearest: float | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class Draw:
    """One picture and its judgement.

    Attributes:
      seed: that it was made from.
      colour: that was asked for, by name.
      image: uint8 (size, size, 3), RGB; None where it could not be made.
      refused: of ``REASONS``, or None for a picture that passed.
      scores: what was measured.
    """

    seed: int
    colour: str
    image: np.ndarray | None
    refused: str | None
    scores: Scores = Scores()


class Gate:
    """Judges generated pictures.

    Args:
      settings: how strict it is.
      facts: of the generator; None with ``settings.off``.
      classifier: None with ``settings.off``.

    Raises:
      ValueError: the facts are of another classifier.
    """

    def __init__(self, settings: GateSettings, facts: GateFacts | None, classifier: Classifier | None):
        self._settings, self._facts, self._classifier = settings, facts, classifier
        if settings.off:
            return
        assert facts is not None and classifier is not None
        if facts.classifier_sha256 != classifier.sha256:
            raise ValueError(
                f"the gate file holds features of the classifier {facts.classifier_sha256[:12]}, but the one in use is "
                f"{classifier.sha256[:12]}; make the file anew with packshot train gate"
            )
        quantile = np.quantile(facts.distances, [settings.nearest_quantile, settings.furthest_quantile])
        self._nearest, self._furthest = float(quantile[0]), float(quantile[1])
        self._least_score = float(np.quantile(facts.scores, settings.score_quantile))

    def judge(
        self, images: np.ndarray, categories: np.ndarray, colours: np.ndarray, generator: Generator
    ) -> list[tuple[str | None, Scores]]:
        """Returns why each picture is refused, or None, and what was measured.

        Args:
          images: uint8 (n, size, size, 3).
          categories, colours: int32 (n,), what was asked for.
          generator: that made them.
        """
        if self._settings.off:
            return [(None, Scores())] * len(images)
        assert self._facts is not None and self._classifier is not None
        scores = generator.score(images, categories, colours)
        names = self._classifier.category_names
        classes = np.array([names.index(generator.category_names[category]) for category in categories.tolist()])
        probabilities = self._classifier.probabilities(images)[np.arange(len(images)), classes]
        nearest = nearest_distances(self._classifier.features(images), self._facts.features)
        verdicts = []
        for score, probability, distance in zip(scores.tolist(), probabilities.tolist(), nearest.tolist(), strict=True):
            verdicts.append((self._reason(score, probability, distance), Scores(score, probability, distance)))
        return verdicts

    def _reason(self, score: float, probability: float, distance: float) -> str | None:
        if distance < self._nearest:  # first: what is a copy must be known as one
            return "memorised"
        if score < self._least_score:
            return "low_score"
        if probability < self._settings.class_probability:
            return "other_category"
        return "off_manifold" if distance > self._furthest else None


def draw_seed(*parts: object) -> int:
    """Returns the seed that follows from some values: 64 bits of their SHA-256."""
    text = "\0".join(map(str, parts))
    return int.from_bytes(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:8], "big")


class GatedGenerator:
    """Makes pictures until each one that is wanted has passed the gate, or has been tried often enough.

    Args:
      generator: makes them.
      gate: judges them.
      facts: tells the colours of real products; None for every colour alike.
    """

    def __init__(self, generator: Generator, gate: Gate, facts: GateFacts | None):
        self._generator, self._gate = generator, gate
        names = generator.category_names
        shares = np.ones((len(names), len(generator.colour_names)))
        if facts is not None:
            shares = np.array([facts.colour_shares[facts.category_names.index(name)] for name in names], np.float64)
        self._colours = np.cumsum(shares / np.maximum(shares.sum(axis=1, keepdims=True), 1e-9), axis=1)

    def draw(self, wanted: list[tuple[str, tuple[int, ...]]]) -> list[list[Draw]]:
        """Returns for each wanted picture what was drawn: refused ones, and last the one that passed, if any did.

        Args:
          wanted: category and the seeds to try, one after the other.
        """
        draws: list[list[Draw]] = [[] for _ in wanted]
        waiting = list(range(len(wanted)))
        for attempt in range(max((len(seeds) for _, seeds in wanted), default=0)):
            waiting = [index for index in waiting if attempt < len(wanted[index][1])]
            refused = []
            for start in range(0, len(waiting), BATCH):
                part = waiting[start : start + BATCH]
                for index, draw in zip(
                    part, self._batch([(wanted[i][0], wanted[i][1][attempt]) for i in part]), strict=True
                ):
                    draws[index].append(draw)
                    if draw.refused:
                        refused.append(index)
            waiting = refused
        return draws

    def _batch(self, wanted: list[tuple[str, int]]) -> list[Draw]:
        padded = wanted + [wanted[0]] * (BATCH - len(wanted))
        names = self._generator.category_names
        categories = np.array([names.index(category) for category, _ in padded], np.int32)
        seeds = np.array([seed for _, seed in padded], np.uint64)
        # the golden ratio's multiples: colours spread evenly over seeds, whatever the generator makes of these
        spread = (seeds * np.uint64(0x9E3779B97F4A7C15) >> np.uint64(11)).astype(np.float64) / 2**53
        colours = (self._colours[categories] < spread[:, None]).sum(axis=1)
        colours = np.minimum(colours, len(self._generator.colour_names) - 1).astype(np.int32)
        images = self._generator.sample(seeds, categories, colours)
        verdicts = self._gate.judge(images, categories, colours, self._generator)
        return [
            Draw(seed, self._generator.colour_names[colour], image.copy(), refused, scores)
            for (_, seed), colour, image, (refused, scores) in zip(
                wanted, colours.tolist(), images, verdicts, strict=False
            )
        ]
