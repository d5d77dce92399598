"""The graph of augmentation: from the catalogue just written to the table of its samples."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import apache_beam as beam

from models.gating import GatedGenerator
from pipeline.augmentation.asking import (
    Parent,
    PhotoSamples,
    SampleTally,
    Slot,
    catalogue_part,
    elect,
    read_parents,
    samples_of,
    slots_for,
    tally,
)
from pipeline.augmentation.counts import SampleCount
from pipeline.augmentation.examples import WriteExamples
from pipeline.augmentation.generating import GenerateProducts
from pipeline.augmentation.generators import gated_loader
from pipeline.augmentation.making import MakeSamples
from pipeline.augmentation.prepared import Augmentation
from pipeline.augmentation.reading import container, piles
from pipeline.augmentation.settling import Before, read_before, settle
from pipeline.credentials import Credentials
from pipeline.records import AUGMENTED_SCHEMA
from pipeline.sinks.carried import CarriedRows
from pipeline.sinks.packing import PackRows
from pipeline.sinks.tables import part_name
from pipeline.sinks.write_table import ShardSummary, WriteTable
from pipeline.sources.items import SourceOptions
from transforms.decode import DecodeLimits

_ROWS_TOGETHER = 1024  # of a Parquet file, whose samples are asked for at one place


@dataclasses.dataclass(frozen=True)
class SamplePlaces:
    """Where photos are read and samples stored.

    Attributes:
      output, run: the output folder, and the run's name.
      options: the columns that the run reads.
      fetching: options of ``pipeline.sources.fetch.fetch``.
      limits: of what is decoded.
      blur_faces: as in the run's configuration.
      credentials: who signs, or None.
      aside: a folder of this machine for finished rows, as of ``PackRows``, or None.
    """

    output: str
    run: str
    options: SourceOptions
    fetching: Mapping[str, Any]
    limits: DecodeLimits
    blur_faces: bool = False
    credentials: Credentials | None = None
    aside: str | None = None


class AugmentCatalogue(beam.PTransform):
    """Makes the samples that a plan asks for, or takes them over from the last run, and writes their table.

    Applied to the ``ShardSummary`` of each file of the catalogue, which is read again when it is written: so samples
    are made of photos whichever way they came into it, and a changed plan makes no packshot again.

    Args:
      places: where photos are read and samples stored.
      augmentation: what is asked for.
      load: makes the generator with its gate; that of the plan by default.

    Returns (of ``expand``):
      Two PCollections: ``ShardSummary`` of the table, and ``SampleCount``.
    """

    def __init__(
        self, places: SamplePlaces, augmentation: Augmentation, load: Callable[[], GatedGenerator] | None = None
    ):
        super().__init__()
        self._places, self._augmentation = places, augmentation
        if load is None and augmentation.generator is not None:
            load = gated_loader(augmentation.plan, augmentation.generator)
        self._load = load

    def expand(self, summaries):
        places, augmentation = self._places, self._augmentation
        parents = (
            summaries
            | "ReadParents" >> beam.FlatMap(_read_parents, places.output, places.run, augmentation)  # (sha256, Parent)
            | "GatherTwins" >> beam.GroupByKey()  # (sha256, [Parent])
            | "ElectParents" >> beam.Map(lambda group: elect(group[1]))  # Parent
        )
        of_photos = parents | "AskOfPhotos" >> beam.FlatMap(_ask_of_photo, augmentation)  # PhotoSamples
        of_categories = (
            parents
            | "TakeCategories" >> beam.Map(lambda parent: (parent.category, 1))
            | "CountCategories" >> beam.CombinePerKey(sum)  # (category, photos)
            | "GatherCategories" >> beam.combiners.ToDict()
            | "AskOfCategories" >> beam.ParDo(_AskOfCategories(augmentation)).with_outputs("withheld", main="slots")
        )
        asked = (of_photos, of_categories.slots) | "GatherAsked" >> beam.Flatten()  # PhotoSamples or Slot
        before = (
            summaries.pipeline
            | "ListBefore" >> beam.Create(augmentation.previous, reshuffle=False)  # part of the last run's table
            | "ReadBefore" >> beam.FlatMap(lambda part, output: read_before(output, part), places.output)
        )  # (folder, Before)
        settled = (
            {"asked": asked | "KeyByFolder" >> beam.Map(lambda wanted: (wanted.folder, wanted)), "before": before}
            | "GatherFolders" >> beam.CoGroupByKey()  # (folder, {"asked": [...], "before": [Before]})
            | "Settle"
            >> beam.ParDo(_Settle(places.output, augmentation.shards)).with_outputs(
                "photos", "slots", "carried", main="rows"
            )
        )  # CarriedRows
        made = (
            settled.photos  # PhotoSamples
            | "KeyByContainer" >> beam.Map(lambda work, options: (_key(work, options), work), places.options)
            | "GatherContainers" >> beam.GroupByKey()  # (container, [PhotoSamples])
            | "MakePiles" >> beam.FlatMap(lambda group, options: piles(group[1], options), places.options)
            | "SpreadPiles" >> beam.Reshuffle()  # (PhotoSamples, ...)
            | "MakeSamples" >> beam.ParDo(self._maker()).with_outputs("times", main="rows")
        )
        rows = [made.rows]  # augmented row
        if self._load is not None:
            spread = settled.slots | "SpreadSlots" >> beam.Reshuffle()  # Slot
            rows.append(
                spread
                | "GenerateProducts" >> GenerateProducts(places.output, augmentation, self._load, places.credentials)
            )
        written = (
            rows
            | "GatherRows" >> beam.Flatten()
            | "PackRows" >> PackRows(AUGMENTED_SCHEMA, augmentation.shards, aside=places.aside),
            settled.rows,
        ) | "GatherTable" >> beam.Flatten()  # PackedRows or CarriedRows
        table = written | "WriteAugmented" >> WriteTable(
            places.output, "augmented", places.run, AUGMENTED_SCHEMA, augmentation.shards
        )
        counts = (
            (asked | "TallyAsked" >> beam.FlatMap(tally), of_categories.withheld, settled.carried, made.times)
            | "GatherTallies" >> beam.Flatten()  # SampleTally
            | "SumTallies" >> beam.CombinePerKey(sum)
            | "CountSamples" >> beam.Map(_sample_count)
        )
        if augmentation.plan.tfrecord:
            examples = table | "WriteExamples" >> WriteExamples(places.output, places.run)  # SampleCount
            counts = (counts, examples) | "GatherCounts" >> beam.Flatten()
        return table, counts

    def _maker(self) -> MakeSamples:
        places = self._places
        return MakeSamples(
            places.output, self._augmentation, places.options, dict(places.fetching), places.limits,
            places.blur_faces, places.credentials,
        )  # fmt: skip


def _read_parents(
    summary: ShardSummary, output: str, run: str, augmentation: Augmentation
) -> Iterator[tuple[str, Parent]]:
    part = catalogue_part(run, part_name(summary.shard, summary.shards))
    for parent in read_parents(output, part, augmentation):
        yield parent.source_sha256, parent


def _ask_of_photo(parent: Parent, augmentation: Augmentation) -> Iterator[PhotoSamples]:
    if augmentation.plan.samples_a_photo:
        yield samples_of(parent, augmentation)


def _key(work: PhotoSamples, options: SourceOptions) -> str:
    file, row = container(work.parent.source_uri, options)
    return work.folder if row is None else f"{file}#{row // _ROWS_TOGETHER}"


class _AskOfCategories(beam.DoFn):
    def __init__(self, augmentation: Augmentation):
        self._augmentation = augmentation

    def process(self, counts: dict[str | None, int]) -> Iterator[Any]:
        for wanted in slots_for(counts, self._augmentation):
            yield wanted if isinstance(wanted, Slot) else beam.pvalue.TaggedOutput("withheld", wanted)


class _Settle(beam.DoFn):
    def __init__(self, output: str, shards: int):
        self._output, self._shards = output, shards

    def process(self, group: tuple[str, Mapping[str, Iterable[Any]]]) -> Iterator[Any]:
        folder, members = group
        before: Iterable[Before] = members["before"]
        for found in settle(folder, members["asked"], before, self._output, self._shards):
            match found:
                case CarriedRows():
                    yield found
                case PhotoSamples():
                    yield beam.pvalue.TaggedOutput("photos", found)
                case Slot():
                    yield beam.pvalue.TaggedOutput("slots", found)
                case _:
                    yield beam.pvalue.TaggedOutput("carried", found)


def _sample_count(tally: SampleTally) -> SampleCount:
    (kind, category, what), count = tally
    return SampleCount(kind, category, what, count)
