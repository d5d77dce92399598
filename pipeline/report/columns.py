"""What the report needs of a run's tables: a few numbers a photo, read column by column and batch by batch.

A catalogue of a million photos takes about 40 bytes a photo here. Whole rows are read for the few photos
that are shown, and only from the row groups that hold them.
"""

from __future__ import annotations

import collections
import dataclasses
import hashlib
import heapq
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems

from pipeline.records import OWN_COLUMNS
from pipeline.sinks import storage

STATUSES = ("ready", "review", "rejected")
MOST_CATEGORIES = 24  # an attribute of more values is not a category to sample by
NO_CATEGORY = 255
EXAMPLES = 5  # rejections shown for a reason
MOST_REASONS = 64  # bits of a row's reason mask

_BATCH = 4096
_PART = re.compile(r"part-.*\.parquet")
_NUMBERS = ("coverage", "presence", "colour_shift")


@dataclasses.dataclass(frozen=True)
class CatalogueColumns:
    """One entry a catalogue row, in the order of the table; every array has shape (rows,).

    Attributes:
      parts: the table's files.
      part, row: uint16 and uint32; which file and which row of it.
      status: uint8, position in ``STATUSES``.
      coverage, presence, colour_shift: float32, as in the table.
      content: uint64, the first 16 hexadecimal digits of the photo's SHA-256: equal for equal photos, and a
        random order that stays the same.
      reasons: uint64, bit i set for the i-th of ``reason_names``.
      reason_names: review reasons in the order first met.
      category_column: the attribute that ``category`` is of, or None.
      category: uint8, position in ``category_names``; ``NO_CATEGORY`` for null.
      category_names: its values.
      refresh: number of rows by refresh.
    """

    parts: tuple[str, ...]
    part: np.ndarray
    row: np.ndarray
    status: np.ndarray
    coverage: np.ndarray
    presence: np.ndarray
    colour_shift: np.ndarray
    content: np.ndarray
    reasons: np.ndarray
    reason_names: tuple[str, ...]
    category_column: str | None
    category: np.ndarray
    category_names: tuple[str, ...]
    refresh: Mapping[str, int]

    def __len__(self) -> int:
        return len(self.status)

    def reason_counts(self) -> dict[str, int]:
        """Returns the number of rows by review reason, largest first."""
        counts = {
            name: int(np.count_nonzero(self.reasons & np.uint64(1 << bit)))
            for bit, name in enumerate(self.reason_names)
        }
        return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


@dataclasses.dataclass(frozen=True)
class RejectedGroup:
    """The rejections of one reason.

    Attributes:
      reason: its code.
      count: photos.
      stages: photos by stage, largest first.
      examples: up to ``EXAMPLES`` rows, drawn by the hash of their ids, sorted by id.
    """

    reason: str
    count: int
    stages: Mapping[str, int]
    examples: tuple[Mapping[str, Any], ...]


def id_digest(row_id: str) -> int:
    """Returns 64 bits of an id's BLAKE2b: the same in every run and on every machine."""
    return int.from_bytes(hashlib.blake2b(row_id.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")


def table_parts(output: str, table: str, run: str) -> tuple[str, ...]:
    """Returns the files of a run's table, sorted by name; none where the run has no such table."""
    folder = storage.join(output, table, run)
    return tuple(storage.join(folder, name) for name in storage.file_names(folder) if _PART.fullmatch(name))


def read_catalogue(output: str, run: str) -> CatalogueColumns:
    """Reads the columns of a run's catalogue that the report counts, draws and samples by.

    Args:
      output: the output folder, local, ``gs://`` or ``s3://``.
      run: the run's name.
    """
    parts = table_parts(output, "catalogue", run)
    pieces: dict[str, list[np.ndarray]] = collections.defaultdict(list)
    reasons: dict[str, int] = {}
    refresh: collections.Counter[str] = collections.Counter()
    categories: dict[str, _Category] | None = None
    for number, part in enumerate(parts):
        with open_table(part) as file:
            table = pq.ParquetFile(file)
            if categories is None:
                categories = _categories(table)
            columns = ["status", "refresh", "source_sha256", "review_reasons", *_NUMBERS, *categories]
            first = 0
            for batch in table.iter_batches(_BATCH, columns=columns):
                rows = batch.num_rows
                pieces["part"].append(np.full(rows, number, np.uint16))
                pieces["row"].append(np.arange(first, first + rows, dtype=np.uint32))
                first += rows
                statuses = batch.column("status").to_pylist()
                pieces["status"].append(np.array([STATUSES.index(value) for value in statuses], np.uint8))
                for name in _NUMBERS:
                    pieces[name].append(batch.column(name).to_numpy(zero_copy_only=False).astype(np.float32))
                digests = batch.column("source_sha256").to_pylist()
                pieces["content"].append(np.array([int(digest[:16], 16) for digest in digests], np.uint64))
                pieces["reasons"].append(_reason_masks(batch.column("review_reasons"), reasons))
                refresh.update(batch.column("refresh").to_pylist())
                for name in list(categories):
                    if not categories[name].add(batch.column(name)):
                        del categories[name]
    category = max((categories or {}).values(), key=lambda found: len(found.codes), default=None)
    rows = sum(map(len, pieces["status"]))
    if category is not None and not 2 <= len(category.codes) <= rows / 2:
        category = None
    return CatalogueColumns(
        parts=parts,
        **{
            name: np.concatenate([*pieces[name], np.empty(0, dtype)])
            for name, dtype in (
                ("part", np.uint16), ("row", np.uint32), ("status", np.uint8), ("coverage", np.float32),
                ("presence", np.float32), ("colour_shift", np.float32), ("content", np.uint64), ("reasons", np.uint64),
            )
        },
        reason_names=tuple(reasons),
        category_column=category.name if category else None,
        category=np.concatenate(category.pieces) if category else np.full(rows, NO_CATEGORY, np.uint8),
        category_names=tuple(category.codes) if category else (),
        refresh=dict(refresh),
    )  # fmt: skip


def read_rows(columns: CatalogueColumns, indices: Sequence[int]) -> list[dict[str, Any]]:
    """Reads whole catalogue rows.

    Args:
      columns: of the catalogue.
      indices: positions in ``columns``.

    Returns:
      The rows as dicts by column, in the order of ``indices``.
    """
    wanted: dict[int, list[int]] = collections.defaultdict(list)  # part: indices
    for index in dict.fromkeys(indices):
        wanted[int(columns.part[index])].append(index)
    rows: dict[int, dict[str, Any]] = {}
    for part, members in sorted(wanted.items()):
        members.sort(key=lambda index: columns.row[index])
        with open_table(columns.parts[part]) as file:
            table = pq.ParquetFile(file)
            first = 0
            for group in range(table.num_row_groups):
                end = first + table.metadata.row_group(group).num_rows
                here = [index for index in members if first <= columns.row[index] < end]
                if here:
                    offsets = pa.array([int(columns.row[index]) - first for index in here])
                    found = table.read_row_group(group).take(offsets).to_pylist()
                    rows.update(zip(here, found, strict=True))
                first = end
    return [rows[index] for index in indices]


def read_rejections(output: str, run: str) -> list[RejectedGroup]:
    """Returns a run's rejections by reason, most frequent first."""
    counts: collections.Counter[str] = collections.Counter()
    stages: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    kept: dict[str, list[tuple[int, dict[str, Any]]]] = collections.defaultdict(list)
    for part in table_parts(output, "rejections", run):
        with open_table(part) as file:
            columns = ["id", "source_uri", "stage", "reason", "detail"]
            for batch in pq.ParquetFile(file).iter_batches(_BATCH, columns=columns):
                for row in batch.to_pylist():
                    reason = row["reason"]
                    counts[reason] += 1
                    stages[reason][row["stage"]] += 1
                    candidates = kept[reason]
                    candidates.append((id_digest(row["id"]), row))
                    if len(candidates) > 20 * EXAMPLES:
                        kept[reason] = _lowest(candidates)
    groups = [
        RejectedGroup(
            reason,
            count,
            dict(sorted(stages[reason].items(), key=lambda item: (-item[1], item[0]))),
            tuple(sorted((row for _, row in _lowest(kept[reason])), key=lambda row: row["id"])),
        )
        for reason, count in counts.items()
    ]
    return sorted(groups, key=lambda group: (-group.count, group.reason))


def read_removed(output: str, run: str, most: int) -> tuple[int, list[dict[str, Any]]]:
    """Returns how many photos a run removed, and the rows of some of them.

    Args:
      output: the output folder.
      run: the run's name; one of a release without that table removed none that is known.
      most: rows returned at most, drawn by the hash of their ids, sorted by id.
    """
    count = 0
    drawn: list[tuple[int, dict[str, Any]]] = []
    for part in table_parts(output, "removed", run):
        with open_table(part) as file:
            for batch in pq.ParquetFile(file).iter_batches(_BATCH):
                count += batch.num_rows
                digests = [id_digest(row_id) for row_id in batch.column("id").to_pylist()]
                first = heapq.nsmallest(most, range(batch.num_rows), key=digests.__getitem__)
                rows = batch.take(pa.array(first, pa.int64())).to_pylist()
                drawn += zip((digests[index] for index in first), rows, strict=True)
                drawn = heapq.nsmallest(most, drawn, key=lambda item: (item[0], item[1]["id"]))
    return count, sorted((row for _, row in drawn), key=lambda row: row["id"])


def read_outcomes(output: str, run: str) -> tuple[np.ndarray, np.ndarray]:
    """Returns what became of every photo of a run, to be compared with another run.

    Returns:
      ``id_digest`` of all ids, uint64, sorted; and the position in ``STATUSES``, uint8; both of shape (photos,).

    Raises:
      FileNotFoundError: the run has no catalogue, for example because it was pruned.
    """
    digests, outcomes = [np.empty(0, np.uint64)], [np.empty(0, np.uint8)]
    catalogue = table_parts(output, "catalogue", run)
    if not catalogue:
        raise FileNotFoundError(f"there is no catalogue table of run {run!r} in {output!r}")
    for ids, statuses in _id_batches(catalogue, table_parts(output, "rejections", run)):
        digests.append(np.array([id_digest(row_id) for row_id in ids], np.uint64))
        outcomes.append(np.array([STATUSES.index(status) for status in statuses], np.uint8))
    digest, outcome = np.concatenate(digests), np.concatenate(outcomes)
    order = np.argsort(digest, kind="stable")
    return digest[order], outcome[order]


def find_ids(output: str, run: str, digests: Sequence[int]) -> dict[int, str]:
    """Returns the ids of a run by their digests, those that there are."""
    wanted = set(digests)
    found = {}
    if wanted:
        for ids, _ in _id_batches(table_parts(output, "catalogue", run), table_parts(output, "rejections", run)):
            found.update({digest: row_id for row_id in ids if (digest := id_digest(row_id)) in wanted})
    return found


class _Category:
    """An attribute that may turn out to have few values."""

    def __init__(self, name: str):
        self.name = name
        self.codes: dict[str, int] = {}
        self.pieces: list[np.ndarray] = []

    def add(self, column: pa.Array) -> bool:
        """Takes a batch; False when there are too many values."""
        encoded = column.dictionary_encode() if not pa.types.is_dictionary(column.type) else column
        for value in encoded.dictionary.to_pylist():
            if value is not None:
                self.codes.setdefault(str(value), len(self.codes))
        if len(self.codes) > MOST_CATEGORIES:
            return False
        codes = [NO_CATEGORY if v is None else self.codes[str(v)] for v in encoded.dictionary.to_pylist()]
        indices = encoded.indices.fill_null(len(codes)).to_numpy(zero_copy_only=False)
        self.pieces.append(np.array([*codes, NO_CATEGORY], np.uint8)[indices])
        return True


def _categories(table: pq.ParquetFile) -> dict[str, _Category]:
    """Returns the attributes that may be categories, judged by type and by the first batch, which spares reading
    long texts to the end."""

    def suits(kind: pa.DataType) -> bool:
        if pa.types.is_dictionary(kind):
            kind = kind.value_type
        tests = (pa.types.is_string, pa.types.is_large_string, pa.types.is_boolean, pa.types.is_integer)
        return any(test(kind) for test in tests)

    names = [field.name for field in table.schema_arrow if field.name not in OWN_COLUMNS and suits(field.type)]
    if names:
        for batch in itertools.islice(table.iter_batches(_BATCH, columns=names), 1):
            names = [name for name in names if _Category(name).add(batch.column(name))]
    return {name: _Category(name) for name in names}


def _reason_masks(column: pa.Array, bits: dict[str, int]) -> np.ndarray:
    masks = np.zeros(len(column), np.uint64)
    for row in np.flatnonzero(column.value_lengths().fill_null(0).to_numpy(zero_copy_only=False)):
        for reason in column[int(row)].as_py():
            if reason in bits or len(bits) < MOST_REASONS:
                masks[row] |= np.uint64(1 << bits.setdefault(reason, len(bits)))
    return masks


def _lowest(candidates: list[tuple[int, dict[str, Any]]]) -> list[tuple[int, dict[str, Any]]]:
    return heapq.nsmallest(EXAMPLES, candidates, key=lambda item: (item[0], item[1]["id"]))


def _id_batches(catalogue: Sequence[str], rejections: Sequence[str]) -> Iterator[tuple[list[str], list[str]]]:
    for part in catalogue:
        with open_table(part) as file:
            for batch in pq.ParquetFile(file).iter_batches(_BATCH, columns=["id", "status"]):
                yield batch.column("id").to_pylist(), batch.column("status").to_pylist()
    for part in rejections:
        with open_table(part) as file:
            for batch in pq.ParquetFile(file).iter_batches(_BATCH, columns=["id"]):
                yield batch.column("id").to_pylist(), ["rejected"] * batch.num_rows


def open_table(path: str):
    """Opens a file of a table to be read."""
    return FileSystems.open(path.removeprefix("file://"), compression_type=CompressionTypes.UNCOMPRESSED)
