"""The gate that a generated picture must pass: seen as a photo, as its category, as neither a copy nor an oddity.

Three things are asked of each picture: what the discriminator makes of it, against the generator's own usual work;
whether the catalogue's classifier sees the category that was asked for; and how far its features are from the nearest
real picture of the training set, against how far unseen real pictures are from it. Nearer than those is memorised,
further is off the manifold. What the gate knows of real pictures lies in a file beside the generator.
"""

from __future__ import annotations

import dataclasses
import hashlib
import threading

import numpy as np

from models.gate_facts import Classifier, GateFacts, Generator, nearest_distances, seen_by

BATCH = 64  # pictures; always so many at once, so that a picture does not depend on what else is made
REASONS = ("low_score", "other_category", "memorised", "off_manifold", "generation_failed")


@dataclasses.dataclass(frozen=True)
class GateSettings:
    """How strict the gate is.

    Attributes:
      file: what it knows of real pictures; empty for the one beside the generator.
      classifier: by name or path; empty for the one that comes with Packshot.
      open: let every picture pass.
      score_quantile: share of the generator's own pictures that the discriminator likes least and that are refused.
      class_quantile: of the probabilities that the classifier gives unseen real pictures' own categories: what gets
        less for the category that was asked for shows another one.
      nearest_quantile: of the distances of unseen real pictures to the nearest training picture: nearer is memorised.
      furthest_quantile: of the same distances: further is off the manifold.
      max_draws: pictures tried for each one that is wanted.
    """

    file: str = ""
    classifier: str = ""
    open: bool = False
    score_quantile: float = 0.05
    class_quantile: float = 0.25
    nearest_quantile: float = 0.01
    furthest_quantile: float = 0.95
    max_draws: int = 8

    def __post_init__(self):
        for name in ("score_quantile", "class_quantile", "nearest_quantile", "furthest_quantile"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name}={getattr(self, name)!r} must lie between 0 and 1")
        if self.nearest_quantile > self.furthest_quantile:
            raise ValueError(
                f"nearest_quantile={self.nearest_quantile!r} must not be above "
                f"furthest_quantile={self.furthest_quantile!r}"
            )
        if not 1 <= self.max_draws <= 64:
            raise ValueError(f"max_draws={self.max_draws!r} must be from 1 to 64")


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
      facts: of the generator; None with ``settings.open``.
      classifier: None with ``settings.open``.

    Raises:
      ValueError: the facts are of another classifier.
    """

    def __init__(self, settings: GateSettings, facts: GateFacts | None, classifier: Classifier | None):
        self._settings, self._facts, self._classifier = settings, facts, classifier
        if settings.open:
            return
        assert facts is not None and classifier is not None
        if facts.classifier_sha256 != classifier.sha256:
            raise ValueError(
                f"the gate file holds features of the classifier {facts.classifier_sha256[:12]}, but the one in use is "
                f"{classifier.sha256[:12]}; make the file anew with packshot train gate"
            )
        quantile = np.quantile(facts.distances, [settings.nearest_quantile, settings.furthest_quantile])
        self._nearest, self._furthest = float(quantile[0]), float(quantile[1])
        self._least_probability = float(np.quantile(facts.probabilities, settings.class_quantile))
        self._least_score = float(np.quantile(facts.scores, settings.score_quantile)) if len(facts.scores) else 0.0

    def judge(
        self, images: np.ndarray, categories: np.ndarray, colours: np.ndarray, generator: Generator
    ) -> list[tuple[str | None, Scores]]:
        """Returns why each picture is refused, or None, and what was measured.

        Args:
          images: uint8 (n, size, size, 3).
          categories, colours: int32 (n,), what was asked for.
          generator: that made them.
        """
        if self._settings.open:
            return [(None, Scores())] * len(images)
        assert self._facts is not None and self._classifier is not None
        scores: list[float | None] = [None] * len(images)
        if len(self._facts.scores):
            scores = generator.score(images, categories, colours).reshape(-1).tolist()
        names = self._classifier.category_names
        classes = np.array([names.index(generator.category_names[category]) for category in categories.tolist()])
        features, probabilities = self._classifier.features_and_probabilities(seen_by(self._classifier, images))
        probabilities = probabilities[np.arange(len(images)), classes]
        nearest = nearest_distances(features, self._facts.features)
        verdicts = []
        for score, probability, distance in zip(scores, probabilities.tolist(), nearest.tolist(), strict=True):
            verdicts.append((self._reason(score, probability, distance), Scores(score, probability, distance)))
        return verdicts

    def _reason(self, score: float | None, probability: float, distance: float) -> str | None:
        if distance < self._nearest:  # first: what is a copy must be known as one
            return "memorised"
        if score is not None and score < self._least_score:
            return "low_score"
        if probability < self._least_probability:
            return "other_category"
        return "off_manifold" if distance > self._furthest else None


def draw_seed(*parts: object) -> int:
    """Returns the seed that follows from some values: 64 bits of their SHA-256."""
    text = "\0".join(map(str, parts))
    return int.from_bytes(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:8], "big")


class GatedGenerator:
    """Makes pictures until each one that is wanted has passed the gate, or has been tried often enough.

    May be shared by threads: one batch is made at a time, since Keras does not promise more.

    Args:
      generator: makes them.
      gate: judges them.
      facts: tells the colours of real products; None for every colour alike.
    """

    def __init__(self, generator: Generator, gate: Gate, facts: GateFacts | None):
        self._generator, self._gate = generator, gate
        self._lock = threading.Lock()
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
        with self._lock:
            images = self._generator.sample(seeds, categories, colours)
            verdicts = self._gate.judge(images, categories, colours, self._generator)
        return [
            Draw(seed, self._generator.colour_names[colour], image.copy(), refused, scores)
            for (_, seed), colour, image, (refused, scores) in zip(
                wanted, colours.tolist(), images, verdicts, strict=False
            )
        ]
