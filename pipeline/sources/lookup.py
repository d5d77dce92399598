"""Finds photos' bytes again by the ``source_uri`` of their rows, for the report."""

from __future__ import annotations

import collections
import concurrent.futures
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import apache_beam as beam

from pipeline.sources.fetch import fetch
from pipeline.sources.items import PlannedItem, WorkItem
from pipeline.sources.listing import open_source
from pipeline.sources.parquet import open_parquet
from pipeline.sources.read import read_photos
from transforms.reasons import PhotoError

_MAX_BYTES = 64 << 20
_FETCHED_AT_ONCE = 8
_GONE = (PhotoError, OSError, ValueError, beam.io.filesystem.BeamIOError)


class SourceReader:
    """Reads a few photos of a catalogue again.

    Each row group is read once, up to the last of its photos that is wanted: it may be one page of hundreds of
    megabytes, whose photos cannot be had one by one.

    Args:
      id_column, image_column: as in the run's configuration.
    """

    def __init__(self, id_column: str, image_column: str | None):
        self._id_column = id_column
        self._image_column = image_column

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> Iterator[tuple[int, bytes | None]]:
        """Reads the encoded photos of some rows of a table.

        Args:
          rows: with ``id`` and ``source_uri``.

        Yields:
          Once for every row, in no certain order: its index in ``rows`` and the photo, or None where it cannot be
          had any more, which is no reason to fail a finished run.
        """
        files: dict[str, list[tuple[int, int]]] = collections.defaultdict(list)  # (row in the file, index in rows)
        single = []
        for index, row in enumerate(rows):
            file, mark, number = row["source_uri"].rpartition("#")
            if mark and number.isdecimal():
                files[file].append((int(number), index))
            else:
                single.append(index)
        yield from _fetched(rows, single)
        for file, wanted in files.items():
            found = set()
            try:
                for index, content in self._of_file(file, wanted, rows):
                    found.add(index)
                    yield index, content
            except _GONE:
                pass
            yield from ((index, None) for _, index in wanted if index not in found)

    def _of_file(
        self, file: str, wanted: Sequence[tuple[int, int]], rows: Sequence[Mapping[str, Any]]
    ) -> Iterator[tuple[int, bytes | None]]:
        options = open_source(file, id_column=self._id_column, image_column=self._image_column).options
        with open_parquet(file) as parquet:
            sizes = [parquet.metadata.row_group(group).num_rows for group in range(parquet.num_row_groups)]
        first = 0
        for group, size in enumerate(sizes):
            inside = {index: number - first for number, index in wanted if first <= number < first + size}
            while inside:
                # Two rows can name one place: where a file has changed, that of a photo that is gone and of another.
                places = {place: index for index, place in inside.items()}
                inside = {index: place for index, place in inside.items() if places[place] != index}
                ids = ["" for _ in range(max(places) + 1)]  # those of rows that are passed over do not matter
                for place, index in places.items():
                    ids[place] = rows[index]["id"]
                passed_over = tuple(sorted(set(range(len(ids))) - set(places)))
                item = PlannedItem(WorkItem(file, group, first, tuple(ids)), passed_over=passed_over)
                for place, photo in zip(sorted(places), read_photos(item, options), strict=True):
                    yield places[place], getattr(photo, "content", None)
            first += size


def _fetched(rows: Sequence[Mapping[str, Any]], indices: Sequence[int]) -> Iterator[tuple[int, bytes | None]]:
    with concurrent.futures.ThreadPoolExecutor(_FETCHED_AT_ONCE) as pool:
        for start in range(0, len(indices), _FETCHED_AT_ONCE):  # no more are held at a time
            chunk = indices[start : start + _FETCHED_AT_ONCE]
            yield from zip(chunk, pool.map(lambda index: _fetch(rows[index]["source_uri"]), chunk), strict=True)


def _fetch(uri: str) -> bytes | None:
    try:
        return fetch(uri, max_bytes=_MAX_BYTES, timeout=10, retries=0).content
    except _GONE:
        return None
