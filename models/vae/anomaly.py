"""How unlike what it has learnt a product is, and how unlike its category: reconstruction error and latent neighbours.

The likelihood alone is no anomaly score: networks give plain pictures of other things a higher one (Nalisnick et al.,
"Do Deep Generative Models Know What They Don't Know?", ICLR 2019). Here what a reconstruction leaves over is joined by
the distance to the nearest latents of training pictures (as in Bergman et al., "Deep Nearest Neighbor Anomaly
Detection", 2020), and, where the category is known, by what a linear classifier and the neighbours say of it.
"""

from __future__ import annotations

import dataclasses
import io
import zipfile
from collections.abc import Sequence
from typing import Protocol

import numpy as np
from scipy import special

from models.vae import sheets
from models.vae.codec import LiteRtCodec
from models.vae.files import digest_of, read_judge
from models.vae.looks import LOOKS, looks
from models.vae.probe import Probe

MEASURES = (*LOOKS, "near", "doubt", "apart")
GENERAL = MEASURES[:-2]  # those that need no category

_NEIGHBOURS, _OF_CATEGORY = 5, 3
_SMALL = 1e-3
_SHARPNESS = 8.0  # of the maximum
UNKNOWN = -1  # in place of a category's position
_NO_THRESHOLDS = "its memory has no thresholds; train it anew, with sellers enough for a development split"


class Codec(sheets.Codec, Protocol):
    """What measures need of an autoencoder; see ``models.vae.codec.LiteRtCodec``."""

    size: int

    def reconstruct(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """From uint8 (n, size, size, 3) to float32 (n, latent) and uint8 (n, size, size, 3)."""
        ...


@dataclasses.dataclass(frozen=True, eq=False)
class Scorer:
    """Makes one score of measures and latents: a linear detector for each kind of fault, and their soft maximum.

    One detector for all faults would be wrong about each: noise is fine detail, a price tag is a coarse one.

    Attributes:
      middle, spread: float32 (d,), of the measures of clean pictures.
      centre, width: float32 (latent,), of their latents.
      weights: float32 (terms, detectors), of ``terms``.
      usual, beyond: float32 (detectors,), of each detector on clean pictures: the median, and how far above it the 95th
        percentile is.
      threshold: the score above which a person should look.
    """

    middle: np.ndarray
    spread: np.ndarray
    centre: np.ndarray
    width: np.ndarray
    weights: np.ndarray
    usual: np.ndarray
    beyond: np.ndarray
    threshold: float

    def terms(self, measures: np.ndarray, latents: np.ndarray) -> np.ndarray:
        """Returns what the detectors weigh: standardised measures, their products in pairs, and latents, all bounded.

        Args:
          measures: float (n, d).
          latents: float (n, latent).

        Returns:
          float (n, d + d (d + 1) / 2 + latent).
        """
        bounded = np.clip((measures - self.middle) / self.spread, -4, 8)  # nothing is extrapolated far
        first, second = np.triu_indices(bounded.shape[1])
        place = np.clip((latents - self.centre) / self.width, -4, 4)
        return np.concatenate([bounded, bounded[:, first] * bounded[:, second], place], axis=1)

    def score(self, measures: np.ndarray, latents: np.ndarray) -> np.ndarray:
        """Returns float32 (n,): about 1 for a picture as unusual as one in twenty is to one detector; NaN where a
        measure is."""
        excess = (self.terms(measures, latents) @ self.weights - self.usual) / self.beyond
        return (special.logsumexp(_SHARPNESS * excess, axis=1) / _SHARPNESS).astype(np.float32)


@dataclasses.dataclass(frozen=True, eq=False)
class Memory:
    """What is remembered of the training pictures.

    Attributes:
      latents: float16 (m, latent), of training pictures.
      categories: int16 (m,), positions in ``names``.
      names: the categories.
      probe: of categories on latents.
      general, full: what makes a score of measures, without and with the category; None before they were calibrated.
    """

    latents: np.ndarray
    categories: np.ndarray
    names: tuple[str, ...]
    probe: Probe
    general: Scorer | None = None
    full: Scorer | None = None

    def to_bytes(self) -> bytes:
        """Returns the memory as a compressed ``.npz``; the same memory gives the same bytes."""
        arrays: dict[str, np.ndarray] = {
            "latents": self.latents,
            "categories": self.categories,
            "names": np.array(self.names),
            "probe_weights": self.probe.weights,
            "probe_bias": self.probe.bias,
        }
        for name in ("general", "full"):
            if (scorer := getattr(self, name)) is not None:
                arrays |= {f"{name}_{key}": np.asarray(value) for key, value in vars(scorer).items()}
        stream = io.BytesIO()
        np.savez_compressed(stream, **arrays)  # type: ignore[arg-type]
        return stream.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes) -> Memory:
        """Reads what ``to_bytes`` wrote.

        Raises:
          ValueError: it is no such file.
        """
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as found:
                arrays = dict(found)
            return cls(
                arrays["latents"],
                arrays["categories"],
                tuple(map(str, arrays["names"])),
                Probe(arrays["probe_weights"], arrays["probe_bias"]),
                **{name: _scorer(arrays, name) for name in ("general", "full")},
            )
        except (OSError, EOFError, KeyError, zipfile.BadZipFile) as error:
            raise ValueError(f"it is no memory of an autoencoder ({type(error).__name__}: {error})") from error


def _scorer(arrays: dict[str, np.ndarray], name: str) -> Scorer | None:
    if f"{name}_weights" not in arrays:
        return None
    kept = {field.name: arrays[f"{name}_{field.name}"] for field in dataclasses.fields(Scorer)}
    threshold = float(kept.pop("threshold"))
    return Scorer(threshold=threshold, **kept)


@dataclasses.dataclass(frozen=True, eq=False)
class Judgement:
    """What is said of pictures.

    Attributes:
      score: float32 (n,), how unlike what was learnt, by looks alone.
      category_doubt: float32 (n,), the same with what the category tells; NaN where it is not known.
    """

    score: np.ndarray
    category_doubt: np.ndarray


class Judge:
    """An autoencoder with its memory.

    Args:
      codec: with ``size``, ``latent`` and ``reconstruct``, as ``LiteRtCodec`` has them.
      memory: of the same autoencoder's latents.
      sha256: of the files of both.

    Raises:
      ValueError: the memory's latents are of another length than the autoencoder's.
    """

    def __init__(self, codec: Codec, memory: Memory, sha256: str = ""):
        if memory.latents.shape[1] != codec.latent:
            raise ValueError(
                f"the memory holds latents of {memory.latents.shape[1]} dimensions, the autoencoder gives "
                f"{codec.latent}; they must come from one training"
            )
        self.codec, self.memory, self.sha256 = codec, memory, sha256
        self._latents = memory.latents.astype(np.float32)
        self._positions = {name: index for index, name in enumerate(memory.names)}

    def positions(self, categories: Sequence[str | None]) -> np.ndarray:
        """Returns the categories' positions, int (n,); ``UNKNOWN`` for those that the memory does not have."""
        return np.array([self._positions.get(name or "", UNKNOWN) for name in categories], int)

    def measure(self, images: np.ndarray, categories: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Measures pictures.

        Args:
          images: uint8 (n, size, size, 3), RGB, fitted as those of the training.
          categories: int (n,), as of ``positions``.

        Returns:
          float64 (n, 51), in the order of ``MEASURES``, the last two NaN where the category is not known; and the
          latents, float32 (n, latent).
        """
        latents, made = self.codec.reconstruct(images)
        return self.measure_latents(latents, looks(images, made), categories), latents

    def measure_latents(self, latents: np.ndarray, seen: np.ndarray, categories: np.ndarray) -> np.ndarray:
        """Measures as ``measure`` does, from latents (n, latent) and ``looks`` (n, 48) that were computed before."""
        apart = distances(latents, self._latents)
        nearest = np.sort(apart, axis=1)[:, :_NEIGHBOURS].mean(axis=1)
        logs = self.memory.probe.log_probabilities(latents)
        doubt, beside = np.full(len(latents), np.nan), np.full(len(latents), np.nan)
        for index, category in enumerate(categories):
            own = self.memory.categories == category
            if category == UNKNOWN or not own.any() or own.all():
                continue
            doubt[index] = logs[index].max() - logs[index, category]
            beside[index] = np.log(_mean_of_least(apart[index, own]) / _mean_of_least(apart[index, ~own]))
        return np.column_stack([seen, np.log(nearest + _SMALL), doubt, beside])

    def judge(self, images: np.ndarray, categories: Sequence[str | None]) -> Judgement:
        """Judges pictures; arguments as for ``measure``, categories by name.

        Raises:
          ValueError: the memory was not calibrated.
        """
        general, full = self.memory.general, self.memory.full
        if general is None or full is None:
            raise ValueError(_NO_THRESHOLDS)
        measures, latents = self.measure(images, self.positions(categories))
        return Judgement(general.score(measures[:, : len(GENERAL)], latents), full.score(measures, latents))


def distances(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Returns the Euclidean distances of all rows of (n, d) from all of (m, d), float32 (n, m)."""
    squares = (first**2).sum(axis=1)[:, None] + (second**2).sum(axis=1) - 2 * first @ second.T
    return np.sqrt(np.maximum(squares, 0))


def _mean_of_least(values: np.ndarray) -> float:
    return float(np.sort(values)[:_OF_CATEGORY].mean()) + _SMALL


@dataclasses.dataclass(frozen=True)
class JudgeSpec:
    """What must be known of an anomaly model before a job starts.

    Attributes:
      name: as it was given.
      size: side of its square pictures in pixels.
      sha256: of its files.
    """

    name: str
    size: int
    sha256: str


def load_judge(name_or_path: str, threads: int = 1) -> Judge:
    """Loads an autoencoder with its memory.

    Args:
      name_or_path: as for ``models.vae.files.read_judge``.
      threads: CPU threads of a call.

    Raises:
      ValueError: a file is not there, or is not what it should be; it is named.
    """
    network, memory = read_judge(name_or_path)
    try:
        return Judge(LiteRtCodec(network, threads), Memory.from_bytes(memory), digest_of(network, memory))
    except ValueError as error:
        raise ValueError(f"anomaly model {name_or_path!r} cannot be used: {error}") from error


def describe_judge(name_or_path: str) -> JudgeSpec:
    """Reads what must be known of an anomaly model; arguments and errors as of ``load_judge``.

    Raises:
      ValueError: also where the memory has no thresholds.
    """
    judge = load_judge(name_or_path)
    if judge.memory.general is None or judge.memory.full is None:
        raise ValueError(f"anomaly model {name_or_path!r} cannot be used: {_NO_THRESHOLDS}")
    return JudgeSpec(name_or_path, judge.codec.size, judge.sha256)
