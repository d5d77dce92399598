"""Which samples a plan asks for, named so that equal ones are never made twice.

A sample's name follows from what decides its bytes: of a photo, its bytes, its mask and the settings of the kind; of a
generated product, its category, its number and the settings of the generator. So a changed plan makes what changed and
nothing else, and a larger one keeps what there was.
"""

from __future__ import annotations

import collections
import dataclasses
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal

from models.gating import draw_seed
from pipeline.augmentation.prepared import Augmentation
from pipeline.sinks import storage
from pipeline.sinks.tables import read_part

Kind = Literal["variant", "backdrop", "product"]
SampleTally = tuple[tuple[str, str, str], int]  # ((kind, category, asked | withheld | carried ...), how many)

_MASKS = ("mask", "cutout")  # assets that tell the product's matte, the better first
_COLUMNS = ("id", "source_uri", "source_sha256", "status", "assets")
_HALF = 10  # hexadecimal digits: of what a sample is made of, and of which one it is


@dataclasses.dataclass(frozen=True)
class Parent:
    """A photo of the catalogue that samples are made of.

    Attributes:
      id, source_uri, source_sha256: of its row.
      mask_uri: its mask, or else its cut-out, below the output folder.
      mask_sha256: of that file.
      category: what its row says, or None.
    """

    id: str
    source_uri: str
    source_sha256: str
    mask_uri: str
    mask_sha256: str
    category: str | None

    @property
    def origin(self) -> str:
        """Names what its samples are made of: 64 hexadecimal digits."""
        return _digest(self.source_sha256, self.mask_sha256)


@dataclasses.dataclass(frozen=True)
class Sample:
    """One sample to be made.

    Attributes:
      kind: what it is.
      index: which one of its photo, or of its category.
      digest: 20 hexadecimal digits that name it; the first half is the same for all samples of a photo.
      seed: of all that is drawn for it.
    """

    kind: Kind
    index: int
    digest: str
    seed: int

    @property
    def id(self) -> str:
        """Its name in the table."""
        return f"{self.kind}-{self.digest}"

    def uri(self, extension: str, *, refused: bool = False, mask: bool = False) -> str:
        """Returns where its file lies below the output folder; refused ones lie apart from what is trained on."""
        folder = "refused" if refused else "augmented"
        return f"assets/{folder}/{self.digest[:2]}/{self.kind}{'-mask' if mask else ''}-{self.digest}.{extension}"


@dataclasses.dataclass(frozen=True)
class PhotoSamples:
    """The samples that are asked for of one photo."""

    parent: Parent
    samples: tuple[Sample, ...]

    @property
    def folder(self) -> str:
        """The two digits below which all of them are stored."""
        return self.samples[0].digest[:2]


@dataclasses.dataclass(frozen=True)
class Slot:
    """One generated product that is asked for.

    Attributes:
      category: by name.
      draws: samples to try one after the other until one passes the gate.
    """

    category: str
    draws: tuple[Sample, ...]

    @property
    def folder(self) -> str:
        """The two digits below which all of them are stored."""
        return self.draws[0].digest[:2]


def read_parents(output: str, part: str, augmentation: Augmentation) -> Iterator[Parent]:
    """Yields the photos of one file of the catalogue that samples are made of, and that count in their category.

    Args:
      output: the output folder.
      part: path of the file below it.
      augmentation: what is asked for.
    """
    plan = augmentation.plan
    column = augmentation.category_column
    table = read_part(output, part, [*_COLUMNS, *([column] if column else [])])
    for row in table.to_pylist():
        if plan.photos == "ready" and row["status"] != "ready":
            continue
        masks = {asset["kind"]: asset for asset in row["assets"] if asset["kind"] in _MASKS}
        mask = next((masks[kind] for kind in _MASKS if kind in masks), {"uri": "", "sha256": ""})
        category = row[column] if column else None
        yield Parent(
            row["id"], row["source_uri"], row["source_sha256"], mask["uri"], mask["sha256"],
            None if category is None else str(category),
        )  # fmt: skip


def elect(parents: Iterable[Parent]) -> Parent:
    """Returns the one of some photos of the same bytes that samples are made of: that of the smallest id."""
    return min(parents, key=lambda parent: parent.id)


def samples_of(parent: Parent, augmentation: Augmentation) -> PhotoSamples:
    """Returns the samples that are asked for of a photo."""
    plan, origin = augmentation.plan, parent.origin
    samples = []
    for kind, asked in (("variant", plan.variants), ("backdrop", plan.backdrops)):
        for index in range(asked.count if asked else 0):
            own = _digest(origin, augmentation.fingerprints[kind], index)
            seed = draw_seed(parent.source_sha256, kind, index)
            samples.append(Sample(kind, index, origin[:_HALF] + own[:_HALF], seed))  # type: ignore[arg-type]
    return PhotoSamples(parent, tuple(samples))


def slots_for(counts: Mapping[str | None, int], augmentation: Augmentation) -> Iterator[Slot | SampleTally]:
    """Yields the generated products that are asked for, and how many were withheld.

    Args:
      counts: photos by category.
      augmentation: what is asked for.
    """
    balance = augmentation.plan.balance
    if balance is None:
        return
    for category in sorted(name for name in counts if name is not None):
        wanted = max(0, balance.to - counts[category])
        if not wanted or (balance.only and category not in balance.only):
            continue
        if reason := augmentation.withheld_because(category):
            yield ("product", category, reason), wanted
            continue
        for index in range(wanted):
            yield slot(category, index, augmentation)


def slot(category: str, index: int, augmentation: Augmentation) -> Slot:
    """Returns the draws of one generated product."""
    fingerprint = augmentation.fingerprints["product"]
    origin = _digest("product", category, fingerprint, index)
    draws = []
    for draw in range(augmentation.plan.gate.max_draws):
        digest = origin[:_HALF] + _digest(origin, draw)[:_HALF]
        draws.append(Sample("product", index, digest, draw_seed(category, index, draw, fingerprint)))
    return Slot(category, tuple(draws))


def tally(asked: PhotoSamples | Slot) -> Iterator[SampleTally]:
    """Yields how many samples are asked for, by kind and category."""
    if isinstance(asked, Slot):
        yield ("product", asked.category, "asked"), 1
        return
    for kind, count in collections.Counter(sample.kind for sample in asked.samples).items():
        yield (kind, asked.parent.category or "", "asked"), count


def catalogue_part(run: str, name: str) -> str:
    """Returns the path of a file of a run's catalogue below the output folder."""
    return storage.join("catalogue", run, name)


def _digest(*parts: Any) -> str:
    return hashlib.sha256("\0".join(map(str, parts)).encode("utf-8", "surrogatepass")).hexdigest()
