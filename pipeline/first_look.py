"""The first look at the photos: unchanged ones are settled by it, of the others those of the same bytes are found."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator
from typing import Any

import apache_beam as beam

from pipeline.carry_over import carry_over
from pipeline.duplicates import Fetch, elect, identify
from pipeline.records import Rejection
from pipeline.sinks.carried import CarriedRows, joined
from pipeline.sources.items import PlannedItem, SourceOptions
from pipeline.sources.read import read_photos

Found = PlannedItem | CarriedRows | tuple[bytes, str]


@dataclasses.dataclass(frozen=True)
class Twins:
    """Which photos of a run have the bytes of another one.

    Attributes:
      leader_of: the id of the photo that is worked on, by the ids of its twins.
    """

    leader_of: dict[str, str]

    @functools.cached_property
    def leaders(self) -> frozenset[str]:
        """The ids of photos that have twins."""
        return frozenset(self.leader_of.values())


def look_at(planned: PlannedItem, options: SourceOptions, fetch: Fetch, shards: int) -> Iterator[Found]:
    """Reads all photos of an item, each for a moment, and finds out which of them need no work.

    Args:
      planned: the item.
      options: the columns that are read, of a Parquet input.
      fetch: reads an image file.
      shards: files of the catalogue table.

    Yields:
      Of every photo that can be read and needs work its key, as of ``identify``, and its id; at the end the rows of
      the last run that photos keep whose bytes were read and are unchanged, and the item without the photos that are
      settled, if any are left. Those that cannot be read are left: their turn to be rejected comes later.
    """
    settled = set()
    kept = []
    for photo in read_photos(planned, options):
        if isinstance(photo, Rejection):
            continue
        try:
            photo, key = identify(photo, options, fetch)
        except Exception:  # the stage that does the same for good tells one photo's trouble from the job's
            continue
        if key is not None:
            yield key, photo.id
        elif photo.source_sha256 is not None and isinstance(carried := carry_over(photo, shards=shards), CarriedRows):
            settled.add(photo.id)
            kept.append(carried)
    yield from joined(kept)  # each by itself would take as long as to read it
    indices = (index for index, photo_id in enumerate(planned.item.ids) if photo_id in settled)
    left = dataclasses.replace(planned, passed_over=tuple(sorted({*planned.passed_over, *indices})))
    if len(left.passed_over) < len(left.item.ids):
        yield left


class LookAtPhotos(beam.PTransform):
    """Settles photos whose bytes are those of the last run, and compares the others; see ``look_at``.

    Args:
      options: the columns to read, ``Source.options``.
      fetch: reads an image file.
      shards: files of the catalogue table.

    Returns (of ``expand``):
      Three PCollections: ``PlannedItem`` without the photos that are settled, the ``CarriedRows`` of those, and one
      ``Twins``; from ``PlannedItem``.
    """

    def __init__(self, options: SourceOptions, fetch: Fetch, shards: int):
        super().__init__()
        self._look = functools.partial(look_at, options=options, fetch=fetch, shards=shards)

    def expand(self, items):
        found = items | "Look" >> beam.FlatMap(_tagged, self._look).with_outputs("carried", "keys", main="items")
        twins = (
            found.keys  # (16 bytes, id)
            | beam.GroupByKey()  # (16 bytes, [id])
            | "Elect" >> beam.FlatMap(lambda group: elect(group[1]))  # (id, id of its leader)
            | "Gather" >> beam.combiners.ToDict()  # {id: id of its leader}
            | "Name" >> beam.Map(Twins)  # Twins
        )
        return found.items, found.carried, twins


def tell(planned: PlannedItem, twins: Twins) -> PlannedItem:
    """Returns an item with what is to be known of its photos' twins."""
    ids = planned.ids()
    leader_of = {photo_id: twins.leader_of[photo_id] for photo_id in ids if photo_id in twins.leader_of}
    return dataclasses.replace(planned, leader_of=leader_of, leads=twins.leaders.intersection(ids))


def _tagged(planned: PlannedItem, look) -> Iterator[Any]:
    for found in look(planned):
        if isinstance(found, PlannedItem):
            yield found
        else:
            yield beam.pvalue.TaggedOutput("carried" if isinstance(found, CarriedRows) else "keys", found)
