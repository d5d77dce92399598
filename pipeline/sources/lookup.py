"""Finds one photo's bytes again by the ``source_uri`` of its row, for the report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import apache_beam as beam

from pipeline.sources.fetch import fetch
from pipeline.sources.items import PlannedItem, SourceOptions, WorkItem
from pipeline.sources.listing import open_source
from pipeline.sources.parquet import open_parquet
from pipeline.sources.read import read_photos
from transforms.reasons import PhotoError

_MAX_BYTES = 64 << 20


class SourceReader:
    """Reads photos again, one at a time.

    Args:
      id_column, image_column: as in the run's configuration.
    """

    def __init__(self, id_column: str, image_column: str | None):
        self._id_column = id_column
        self._image_column = image_column
        self._options: dict[str, SourceOptions] = {}

    def __call__(self, row: Mapping[str, Any]) -> bytes | None:
        """Returns the encoded photo of a table's row, or None where it cannot be had any more.

        Args:
          row: with ``id`` and ``source_uri``.
        """
        try:
            return self._read(row["id"], row["source_uri"])
        except (PhotoError, OSError, ValueError, beam.io.filesystem.BeamIOError):
            return None  # the report shows an empty tile; it is no reason to fail a finished run

    def _read(self, photo_id: str, source_uri: str) -> bytes | None:
        file, mark, number = source_uri.rpartition("#")
        if not mark or not number.isdigit():
            return fetch(source_uri, max_bytes=_MAX_BYTES, timeout=10, retries=0).content
        if file not in self._options:
            source = open_source(file, id_column=self._id_column, image_column=self._image_column)
            self._options[file] = source.options
        first = 0
        with open_parquet(file) as parquet:
            sizes = [parquet.metadata.row_group(group).num_rows for group in range(parquet.num_row_groups)]
        for group, size in enumerate(sizes):
            index = int(number) - first
            if index < size:
                # rows before the wanted one are read over; their ids do not matter
                return self._row(WorkItem(file, group, first, ("",) * index + (photo_id,)), index)
            first += size
        return None

    def _row(self, item: WorkItem, index: int) -> bytes | None:
        wanted = PlannedItem(item, passed_over=tuple(range(index)))
        return getattr(next(read_photos(wanted, self._options[item.uri]), None), "content", None)
