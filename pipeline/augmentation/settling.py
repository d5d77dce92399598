"""What the last run has of the samples that are asked for: taken over by reference, if its files are still there."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from pipeline.augmentation.asking import PhotoSamples, Sample, SampleTally, Slot
from pipeline.sinks import storage
from pipeline.sinks.carried import CarriedRows
from pipeline.sinks.tables import read_part, shard_of

FOLDERS = ("augmented", "refused")  # below assets/


class Before(NamedTuple):
    """A row of the last run's table.

    Attributes:
      id: the sample's.
      part, position: the file of the table and the row in it.
      files: uri and size of each of its files.
      accepted, final: as in the table.
    """

    id: str
    part: str
    position: int
    files: tuple[tuple[str, int], ...]
    accepted: bool
    final: bool


def read_before(output: str, part: str) -> Iterator[tuple[str, Before]]:
    """Yields the rows of one file of the last run's table, each with the two digits below which its files lie."""
    columns = ["id", "uri", "bytes", "mask_uri", "mask_bytes", "status", "final"]
    for position, row in enumerate(read_part(output, part, columns).to_pylist()):
        pairs = ((row["uri"], row["bytes"]), (row["mask_uri"], row["mask_bytes"]))
        files = tuple((uri, size) for uri, size in pairs if uri is not None)
        folder = row["id"].rpartition("-")[2][:2]
        yield folder, Before(row["id"], part, position, files, row["status"] == "accepted", row["final"])


def settle(
    folder: str, asked: Iterable[PhotoSamples | Slot], before: Iterable[Before], output: str, shards: int
) -> Iterator[PhotoSamples | Slot | CarriedRows | SampleTally]:
    """Parts what is to be made from what the last run has.

    Args:
      folder: two digits; everything given is stored below them.
      asked: what is asked for.
      before: the rows of the last run.
      output: the output folder.
      shards: files of the new table.

    Yields:
      What is to be made, rows that are taken over, and how many samples these settle.
    """
    known = {row.id: row for row in before}
    stored = _stored(output, folder) if known else {}

    def whole(sample: Sample) -> Before | None:
        row = known.get(sample.id)
        if row is None or not row.files:  # what could not be made at all is tried again, as a rejected photo is
            return None
        return row if all(stored.get(uri) == size for uri, size in row.files) else None

    for wanted in asked:
        if isinstance(wanted, Slot):
            rows = _finished(wanted, whole)
            if rows is None:
                yield wanted
                continue
            yield from (_carried(row, shards, {}) for row in rows)
            yield ("product", wanted.category, "carried"), 1
            continue
        parent, missing = wanted.parent, []
        for sample in wanted.samples:
            row = whole(sample)
            if row is None:
                missing.append(sample)
                continue
            yield _carried(row, shards, {"parents": [parent.id], "category": parent.category})
            yield (sample.kind, parent.category or "", "carried"), 1
        if missing:
            yield dataclasses.replace(wanted, samples=tuple(missing))


def _finished(slot: Slot, whole: Any) -> list[Before] | None:
    """Returns the rows of a slot that was settled for good, or None where it is to be done again."""
    rows = []
    for draw in slot.draws:
        row = whole(draw)
        if row is None:
            return None
        rows.append(row)
        if row.final:
            return rows
    return None


def _carried(row: Before, shards: int, changes: dict[str, Any]) -> CarriedRows:
    return CarriedRows(shard_of(row.id, shards), row.part, (row.position,), changes)


def _stored(output: str, folder: str) -> Mapping[str, int]:
    found = {}
    for kind in FOLDERS:
        prefix = f"assets/{kind}/{folder}/"
        found.update({entry.name: entry.size for entry in storage.list_files(output, prefix)})
    return found
