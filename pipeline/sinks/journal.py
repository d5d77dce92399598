"""Rows of finished photos, noted while a run goes on, so that a run that was killed loses next to nothing.

A worker stores the rows of the photos it has finished as a small Parquet file every so often. They belong to no
run's tables: the next run only takes a row from here where photo, settings, model and stored assets are those that
the row names, so that a note may be late, missing or doubled without harm. A commit deletes what it made useless.
"""

from __future__ import annotations

import functools
import hashlib
import io
import logging
import os
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import apache_beam as beam
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.records import OWN_COLUMNS, catalogue_schema
from pipeline.sinks import storage
from pipeline.sinks.disk import FileSystem
from pipeline.sinks.local_store import local_path
from pipeline.sinks.tables import encode_table, to_arrow

FOLDER = "unfinished"

_LOGGER = logging.getLogger(__name__)
_RUN = r"(?P<run>\d{8}T\d{6}Z-[0-9a-f]{6})"
_NAME = re.compile(_RUN + r"-(?P<key>[0-9a-f]{12})-[0-9a-f]{8}\.parquet")
_LIST = re.compile(_RUN + r"/[a-z]+-\d{5}\.jsonl\.gz")  # what a run was to do, of pipeline.plan_lists
_SHARE = 0.05  # of its time so far is the most that a worker loses, within these bounds:
_SHORTEST, _LONGEST = 1.0, 60.0  # seconds
_CONNECTIONS = 16
_LOCK = threading.Lock()


def journal_key(fingerprint: str, model_sha256: str, full_refresh: bool) -> str:
    """Names what must agree between two runs before one takes the other's rows: 12 hexadecimal digits.

    Args:
      fingerprint: of the configuration.
      model_sha256: of the model's weights.
      full_refresh: one that does every photo anew only goes on where another such run ended.
    """
    return hashlib.sha256(f"{fingerprint}\0{model_sha256}\0{full_refresh}".encode()).hexdigest()[:12]


def lists_folder(output: str, run: str) -> str:
    """Returns where the lists of a run in progress lie that are too long for its graph."""
    return storage.join(output, FOLDER, run)


def noted_files(output: str, key: str, after: str | None) -> tuple[str, ...]:
    """Returns the names of the files of finished rows that a new run may go on from.

    Args:
      output: the output folder.
      key: of ``journal_key``.
      after: the last committed run: notes of runs that started before it are out of date. None for no run.

    Raises:
      storage.StorageError: the folder cannot be listed.
    """
    names = [match for match in map(_NAME.fullmatch, storage.file_names(storage.join(output, FOLDER))) if match]
    return tuple(match[0] for match in names if match["key"] == key and (after is None or match["run"] > after))


class FinishedRows:
    """Finds the rows that unfinished runs have noted. It is light to send; the files are read where it is first asked.

    Args:
      output: the output folder.
      names: of ``noted_files``; the last that has an id counts.
    """

    def __init__(self, output: str, names: tuple[str, ...]):
        self._key = (output, names)

    def find(self, photo_id: str, source_sha256: str) -> dict[str, Any] | None:
        """Returns the row of the catalogue's own columns, if it is of these bytes and all its assets are stored.

        Raises:
          storage.StorageError: it cannot be looked up whether the assets are there.
        """
        with _LOCK:  # a second thread would only read the same files again
            positions, table = _noted_rows(*self._key)
        position = positions.get(photo_id)
        if position is None:
            return None
        row = table.slice(position, 1).to_pylist()[0]
        if row["source_sha256"] != source_sha256:
            return None
        sizes = ((storage.file_size(storage.join(self._key[0], a["uri"])), a["bytes"]) for a in row["assets"])
        return row if all(stored == noted for stored, noted in sizes) else None


@functools.lru_cache(maxsize=1)
def _noted_rows(output: str, names: tuple[str, ...]) -> tuple[dict[str, int], pa.Table]:
    """Reads files of finished rows; one that cannot be read is left out, and its photos are done again."""
    schema = catalogue_schema()
    with ThreadPoolExecutor(_CONNECTIONS) as pool:
        found = list(pool.map(lambda name: _read(storage.join(output, FOLDER, name), schema), names))
    table = pa.concat_tables([schema.empty_table(), *(t for t in found if t is not None)]).combine_chunks()
    return {photo_id: position for position, photo_id in enumerate(table.column("id").to_pylist())}, table


def clear_journal(output: str, run: str) -> None:
    """Deletes the notes and lists of a run that was committed, and of those that started before it.

    What cannot be deleted is left with a warning: it is out of date, and the next commit deletes it.
    """
    folder = storage.join(output, FOLDER)
    try:
        names = [file.name for file in storage.list_files(folder)]
        found = [match for name in names if (match := _NAME.fullmatch(name) or _LIST.fullmatch(name))]
        storage.delete_files(folder, [match[0] for match in found if match["run"] <= run])
    except storage.StorageError as error:
        _LOGGER.warning("The notes of finished runs in %r were not deleted: %s", folder, error)


class NoteFinished(beam.DoFn):
    """Passes catalogue rows on and notes them, a file at a time, before a worker's loss would be worth mentioning.

    A kill costs a worker a twentieth of the time since it began, and a minute at most. What cannot be
    noted only costs time after a crash, and so is a warning. Assets that cannot be brought to disk end the job: those
    that were written since the worker began are deleted, or the next run would take what memory still holds of them.

    Args:
      output: the output folder.
      run: the run's name.
      key: of ``journal_key``.
      clock: gives seconds.
      syncs: whether the assets of the rows are still to be brought to disk, which is then done before they are noted.
        Every row passes here, so at the commit all are there.

    Raises:
      storage.StorageError: assets could not be brought to disk.
    """

    def __init__(
        self,
        output: str,
        run: str,
        key: str,
        clock: Callable[[], float] = time.monotonic,
        *,
        syncs: bool = False,
    ):
        self._output, self._run, self._key, self._clock, self._syncs = output, run, key, clock, syncs
        self._disk: FileSystem | None = None

    def setup(self):
        if self._syncs:
            self._disk = FileSystem(local_path(storage.join(self._output, "assets")))
        self._started = time.time()
        self._began = self._noted = self._clock()
        self._rows: list[dict[str, Any]] = []

    def process(self, row: dict[str, Any]) -> Iterable[dict[str, Any]]:
        yield row
        self._rows.append({name: value for name, value in row.items() if name in OWN_COLUMNS})
        now = self._clock()
        if now - self._noted >= min(max(_SHORTEST, _SHARE * (now - self._began)), _LONGEST):
            self._note()

    def finish_bundle(self):
        self._note()

    def _note(self) -> None:
        rows, self._rows = self._rows, []
        if rows:
            self._bring_to_disk(rows)
            name = f"{self._run}-{self._key}-{secrets.token_hex(4)}.parquet"
            try:
                storage.write_bytes(
                    storage.join(self._output, FOLDER, name), encode_table(to_arrow(rows, catalogue_schema()))
                )
            except (storage.StorageError, ValueError) as error:
                _LOGGER.warning("%d finished photos were not noted: %s", len(rows), error)
        self._noted = self._clock()

    def _bring_to_disk(self, rows: list[dict[str, Any]]) -> None:
        if self._disk is None:
            return
        try:
            self._disk.sync()
        except OSError as error:
            uris = {asset["uri"] for row in rows for asset in row["assets"]}
            new = [uri for uri in uris if self._is_new(local_path(storage.join(self._output, uri)))]
            storage.delete_files(self._output, new)
            raise storage.StorageError(
                f"what was written to {self._output!r} could not be brought to disk: {error}; the last {len(new)} "
                "assets were deleted. Look after the disk, then start the run again."
            ) from error

    def _is_new(self, path: str) -> bool:
        return os.path.exists(path) and os.path.getmtime(path) >= self._started - 1  # file systems' clocks are coarse

    def teardown(self):
        if self._disk is not None:
            self._disk.close()
            self._disk = None


def _read(path: str, schema: pa.Schema) -> pa.Table | None:
    try:
        table = pq.read_table(io.BytesIO(storage.read_bytes(path)))
    except (storage.StorageError, FileNotFoundError, pa.ArrowException) as error:
        _LOGGER.warning("The photos noted in %r are done again: %s", path, error)
        return None
    return table if table.schema.equals(schema) else None
