"""The elements of a job's plan: pieces of the input, light enough to list by the million."""

from __future__ import annotations

import array
import dataclasses
from collections.abc import Collection, Iterator

import numpy as np

from pipeline.records import KnownPhoto, Photo

_PLACES_NAMED = 5


class SourceError(ValueError):
    """The input cannot be used as asked; the message is one line for the person who asked."""


@dataclasses.dataclass(frozen=True)
class SourceOptions:
    """Which columns of a Parquet input are read; all are empty for image files.

    Attributes:
      id_column, image_column, attribute_columns: by name.
      category_column: that of the attribute columns on which pictures depend, empty for none.
      uris: whether the image column may name files rather than hold them.
    """

    id_column: str = ""
    image_column: str = ""
    attribute_columns: tuple[str, ...] = ()
    category_column: str = ""
    uris: bool = False


@dataclasses.dataclass(frozen=True)
class WorkItem:
    """A piece of the input that one worker reads in one go.

    Attributes:
      uri: the image file, or the Parquet file.
      row_group: index of the row group, or None for an image file.
      first_row: index in the Parquet file of the row of the first of ``ids``; 0 for an image file.
      ids: the ids of its photos, in order.
      version: of the image file, or of the Parquet file and the column that is read; None where it is not known.
      bytes: of the row group, unpacked; 0 for an image file.
      skipped: rows of the group before that of the first of ``ids``.
    """

    uri: str
    row_group: int | None
    first_row: int
    ids: tuple[str, ...]
    version: str | None = None
    bytes: int = 0
    skipped: int = 0

    def place(self, index: int) -> str:
        """Returns where the photo at this index of ``ids`` is: ``FILE`` or ``FILE#ROW``."""
        return self.uri if self.row_group is None else f"{self.uri}#{self.first_row + index}"


@dataclasses.dataclass(frozen=True)
class PlannedItem:
    """A work item with what the last committed run knows of its photos.

    Attributes:
      item: what to read.
      known: by id, of those ids that the run has.
      passed_over: indices in ``item.ids`` of photos that this run does not read, sorted.
      leader_of: by the ids of photos that have the bytes of another one, the id of that one.
      leads: ids of photos whose bytes others have.
    """

    item: WorkItem
    known: dict[str, KnownPhoto] = dataclasses.field(default_factory=dict)
    passed_over: tuple[int, ...] = ()
    leader_of: dict[str, str] = dataclasses.field(default_factory=dict)
    leads: frozenset[str] = frozenset()

    def photo(self, index: int, **fields) -> Photo:
        """Returns the photo at this index of the item's ids, with what the plan tells of it."""
        photo_id = self.item.ids[index]
        return Photo(
            photo_id,
            self.item.place(index),
            known=self.known.get(photo_id),
            leader=self.leader_of.get(photo_id),
            leads=photo_id in self.leads,
            **fields,
        )

    def ids(self) -> list[str]:
        """Returns the ids of the photos that are read."""
        passed_over = frozenset(self.passed_over)
        return [photo_id for index, photo_id in enumerate(self.item.ids) if index not in passed_over]


def check_unique(items: Collection[WorkItem]) -> None:
    """Makes sure that no id stands for two photos.

    Takes 8 bytes an id: hashes are compared first, and ids only where two hashes agree.

    Args:
      items: all of a job's items; gone through a second time if there may be duplicates.

    Raises:
      SourceError: with the places of the first few duplicate ids.
    """
    hashes = np.frombuffer(array.array("q", (hash(i) for item in items for i in item.ids)), np.int64)
    hashes = np.sort(hashes)
    repeated = set(hashes[1:][hashes[1:] == hashes[:-1]].tolist())
    if not repeated:
        return
    places: dict[str, list[str]] = {}
    for name, place in _placed_ids(items):
        if hash(name) in repeated:
            places.setdefault(name, []).append(place)
    duplicates = {name: found for name, found in places.items() if len(found) > 1}
    if not duplicates:
        return
    shown = "; ".join(
        f"{name!r} at {' and '.join(found[:2])}{f' and {len(found) - 2} more' if len(found) > 2 else ''}"
        for name, found in list(duplicates.items())[:_PLACES_NAMED]
    )
    more = f"; and {len(duplicates) - _PLACES_NAMED} more ids" if len(duplicates) > _PLACES_NAMED else ""
    count = "1 id is" if len(duplicates) == 1 else f"{len(duplicates)} ids are"
    raise SourceError(f"{count} used more than once, and each must name one photo: {shown}{more}")


def _placed_ids(items: Collection[WorkItem]) -> Iterator[tuple[str, str]]:
    for item in items:
        for index, name in enumerate(item.ids):
            yield name, item.place(index)
