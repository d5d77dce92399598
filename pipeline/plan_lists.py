"""How the plan's references reach the workers: within the graph while they are few, as files of the output else.

A runner takes a graph of some megabytes at most (Dataflow: 10 MB), and 100,000 image files of which the last run knows
make one of 26 MB (docs/DATAFLOW.md). So a long list is stored under ``unfinished/<run>/`` as the graph is built, and
the graph names the files. They are text: who may write to the output folder must not thereby run code on the workers,
as with pickles.
"""

from __future__ import annotations

import gzip
import itertools
import json
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import apache_beam as beam

from pipeline.records import KnownPhoto
from pipeline.sinks import storage
from pipeline.sinks.carried import CarriedRows
from pipeline.sinks.journal import lists_folder
from pipeline.sources.items import PlannedItem, WorkItem

Reference = PlannedItem | CarriedRows

IN_GRAPH = 256 << 10  # bytes of a list that the graph itself may hold; there are four
_FILE_BYTES = 4 << 20  # of a file's lines, before they are compressed
_CONNECTIONS = 16


def encode_reference(reference: Reference) -> bytes:
    """Returns a reference as one line of JSON.

    Args:
      reference: rows to carry over, whose changed columns are texts; or an item without ``leader_of`` and ``leads``,
        which no plan knows.
    """
    if isinstance(reference, CarriedRows):
        return _line(vars(reference))
    known = {photo_id: vars(fact) for photo_id, fact in reference.known.items()}
    return _line({"item": vars(reference.item), "known": known, "passed_over": reference.passed_over})


def decode_reference(line: bytes) -> Reference:
    """Returns the reference that ``encode_reference`` made a line of."""
    values = json.loads(line)
    if "item" not in values:
        return CarriedRows(**{**values, "positions": tuple(values["positions"])})
    item = WorkItem(**{**values["item"], "ids": tuple(values["item"]["ids"])})
    known = {photo_id: KnownPhoto(**fact) for photo_id, fact in values["known"].items()}
    return PlannedItem(item, known, tuple(values["passed_over"]))


def read_list(path: str) -> Iterator[Reference]:
    """Yields the references of a file.

    Raises:
      FileNotFoundError, storage.StorageError: the file cannot be read.
    """
    for line in gzip.decompress(storage.read_bytes(path)).splitlines():
        yield decode_reference(line)


class ListPlanned(beam.PTransform):
    """Makes a PCollection of a plan's references.

    Args:
      references: all of them.
      output: the output folder.
      run: the run's name.
      name: of the list, in lower-case letters.

    Raises:
      storage.StorageError: a long list could not be stored (from ``expand``).
    """

    def __init__(self, references: Iterable[Reference], output: str, run: str, name: str):
        super().__init__()
        self.references = tuple(references)
        self._place = (output, run, name)

    def expand(self, begin):
        files = self._store()
        if files is None:
            return begin | "List" >> beam.Create(self.references, reshuffle=False)  # Reference
        return (
            begin
            | "ListFiles" >> beam.Create(files, reshuffle=False)  # path
            | "SpreadFiles" >> beam.Reshuffle()  # path
            | "ReadFiles" >> beam.FlatMap(read_list)  # Reference
        )

    def _store(self) -> list[str] | None:
        """Stores the references and returns the files' paths; None, and nothing is stored, if they are few."""
        contents = _grouped(map(encode_reference, self.references))
        first = next(contents, b"")
        if len(first) <= IN_GRAPH:
            return None
        output, run, name = self._place
        contents = itertools.chain([first], contents)
        paths: list[str] = []
        with ThreadPoolExecutor(_CONNECTIONS) as pool:
            while group := list(itertools.islice(contents, _CONNECTIONS)):  # not all: a million lines are 400 MB
                numbers = range(len(paths), len(paths) + len(group))
                new = [storage.join(lists_folder(output, run), f"{name}-{number:05d}.jsonl.gz") for number in numbers]
                list(pool.map(_write, new, group))
                paths += new
        return paths


def _line(values: dict[str, Any]) -> bytes:
    return json.dumps(values, separators=(",", ":")).encode() + b"\n"


def _grouped(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Yields the content of one file after another."""
    group = bytearray()
    for line in lines:
        group += line
        if len(group) >= _FILE_BYTES:
            yield bytes(group)
            group.clear()
    if group:
        yield bytes(group)


def _write(path: str, content: bytes) -> None:
    storage.write_bytes(path, gzip.compress(content, compresslevel=3, mtime=0), media_type="application/gzip")
