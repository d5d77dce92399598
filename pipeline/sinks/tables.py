"""The catalogue and rejection tables: one Parquet file a shard, with the same bytes on every run."""

from __future__ import annotations

import collections
import dataclasses
import hashlib
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import apache_beam as beam
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.sinks import storage

Table = Literal["catalogue", "rejections"]
Row = Mapping[str, Any]

_ROW_GROUP = 10_000  # rows; fixed, because it shows in the bytes
_WORKED_ON = ("new", "changed")  # not what the last run made, nor another photo of this one
_PART = re.compile(r"part-(\d{5})-of-(\d{5})\.parquet")


@dataclasses.dataclass(frozen=True)
class ShardSummary:
    """What one file of a table holds; the ledger is made of these.

    Attributes:
      table: ``catalogue`` or ``rejections``.
      shard, shards: which file of how many.
      rows: number of rows.
      status: rows by status (catalogue).
      refresh: rows by refresh (catalogue).
      reasons: rows by reason (rejections).
      assets_written: assets of the rows that this run worked on (catalogue).
      sha256: of the file's bytes.
    """

    table: Table
    shard: int
    shards: int
    rows: int
    status: dict[str, int]
    refresh: dict[str, int]
    reasons: dict[str, int]
    assets_written: int
    sha256: str


def shard_of(row_id: str, shards: int) -> int:
    """Returns the shard of an id: the same in every process and on every machine."""
    digest = hashlib.sha256(row_id.encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big") % shards


def to_arrow(rows: Sequence[Row], schema: pa.Schema) -> pa.Table:
    """Returns rows as a table of exactly the schema's types.

    Args:
      rows: dicts keyed by column; every column is named in every row.
      schema: with a column ``id``.

    Raises:
      ValueError: a column is missing or unknown, a value does not fit its column or is missing where it must
        not be; the message names the row's id and the column.
    """
    expected = set(schema.names)
    for row in rows:
        if row.keys() != expected:
            missing, unknown = sorted(expected - row.keys()), sorted(row.keys() - expected)
            raise ValueError(f"row {row.get('id')!r} does not have the table's columns: {missing=}, {unknown=}")
    return pa.Table.from_arrays([_column(rows, field) for field in schema], schema=schema)


def encode_table(table: pa.Table) -> bytes:
    """Returns a table as a Parquet file whose bytes follow from its rows and the pyarrow version alone."""
    sink = io.BytesIO()
    pq.write_table(
        table, sink, row_group_size=_ROW_GROUP, version="2.6", data_page_version="1.0",
        compression="zstd", compression_level=3, use_dictionary=True, write_statistics=True,
    )  # fmt: skip
    return sink.getvalue()


def read_table(
    output: str,
    table: Table,
    run: str,
    columns: Sequence[str] | None = None,
    *,
    dictionaries: Sequence[str] = (),
) -> pa.Table:
    """Reads a run's table.

    Args:
      output: the output folder.
      table: ``catalogue`` or ``rejections``.
      run: the run's name.
      columns: only these; None for all.
      dictionaries: text columns of few values, to be dictionary-encoded: they then take next to no memory.

    Returns:
      The rows, by shard and then by id.

    Raises:
      FileNotFoundError: the run has no such table.
      ValueError: some of its files are missing.
    """
    folder = storage.join(output, table, run)
    parts = [match for match in map(_PART.fullmatch, storage.file_names(folder)) if match]
    if not parts:
        raise FileNotFoundError(f"there is no {table} table of run {run!r} in {output!r}")
    shards = int(parts[0][2])
    if [(int(part[1]), int(part[2])) for part in parts] != [(shard, shards) for shard in range(shards)]:
        names = [part[0] for part in parts]
        raise ValueError(f"{folder!r} should hold {shards} files part-*-of-{shards:05d}.parquet, but holds {names}")
    return pa.concat_tables(
        _read_part(storage.read_bytes(storage.join(folder, part[0])), columns, dictionaries) for part in parts
    ).unify_dictionaries()


class WriteTable(beam.PTransform):
    """Writes rows as a table of a fixed number of Parquet files; each exists, if only with its schema.

    Args:
      output: the output folder.
      table: ``catalogue`` or ``rejections``.
      run: the run's name.
      schema: of the table.
      shards: how many files; a row's file follows from its id.

    Returns (of ``expand``):
      One ``ShardSummary`` a file.
    """

    def __init__(self, output: str, table: Table, run: str, schema: pa.Schema, shards: int):
        super().__init__()
        if shards < 1:
            raise ValueError(f"a table needs at least one shard, not {shards!r}")
        self._shards = shards
        self._writer = _WriteShard(output, table, run, schema, shards)

    def expand(self, rows):
        empty = rows.pipeline | "EveryShard" >> beam.Create([(shard, None) for shard in range(self._shards)])
        keyed = rows | "KeyByShard" >> beam.Map(_keyed, self._shards)  # (shard, row)
        return (
            (keyed, empty)
            | beam.Flatten()  # (shard, row or None)
            | beam.GroupByKey()  # (shard, [row or None])
            | "WriteShard" >> beam.ParDo(self._writer)  # ShardSummary
        )


class _WriteShard(beam.DoFn):
    def __init__(self, output: str, table: Table, run: str, schema: pa.Schema, shards: int):
        self._folder = storage.join(output, table, run)
        self._table = table
        # As bytes, because a schema's own pickle differs between pyarrow versions of driver and worker.
        self._schema = schema.serialize().to_pybytes()
        self._shards = shards

    def process(self, group: tuple[int, Iterable[Row | None]]):
        shard, members = group
        rows = sorted((row for row in members if row is not None), key=lambda row: row["id"])
        for before, after in zip(rows, rows[1:], strict=False):
            if before["id"] == after["id"]:
                places = f"{before.get('source_uri')!r} and {after.get('source_uri')!r}"
                raise ValueError(f"id {after['id']!r} is twice in the {self._table} table, from {places}")
        content = encode_table(to_arrow(rows, pa.ipc.read_schema(pa.py_buffer(self._schema))))
        name = f"part-{shard:05d}-of-{self._shards:05d}.parquet"
        stored = storage.write_bytes(
            storage.join(self._folder, name), content, media_type="application/vnd.apache.parquet"
        )
        yield ShardSummary(
            table=self._table,
            shard=shard,
            shards=self._shards,
            rows=len(rows),
            status=_counts(rows, "status"),
            refresh=_counts(rows, "refresh"),
            reasons=_counts(rows, "reason"),
            assets_written=sum(len(row["assets"]) for row in rows if row.get("refresh") in _WORKED_ON),
            sha256=stored.sha256,
        )


def _keyed(row: Row, shards: int) -> tuple[int, Row]:
    return shard_of(row["id"], shards), row


def _counts(rows: Sequence[Row], column: str) -> dict[str, int]:
    return dict(collections.Counter(row[column] for row in rows if column in row))


def _column(rows: Sequence[Row], field: pa.Field) -> pa.Array:
    values = [row[field.name] for row in rows]
    try:
        array = _array(values, field.type)
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        for row in rows:
            try:
                _array([row[field.name]], field.type)
            except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
                raise ValueError(
                    f"row {row['id']!r}: {row[field.name]!r} does not fit column {field.name!r} "
                    f"of type {field.type}: {error}"
                ) from error
        raise
    if array.null_count and not field.nullable:
        missing = next(row["id"] for row in rows if row[field.name] is None)
        raise ValueError(f"row {missing!r}: column {field.name!r} must not be null")
    return array


def _array(values: list[Any], kind: pa.DataType) -> pa.Array:
    if pa.types.is_integer(kind) and any(isinstance(value, float) for value in values):
        raise TypeError("a fraction would be cut off")  # pyarrow would do it without a word
    return pa.array(values, type=kind)


def _read_part(content: bytes, columns: Sequence[str] | None, dictionaries: Sequence[str]) -> pa.Table:
    file = pq.ParquetFile(pa.BufferReader(content), read_dictionary=list(dictionaries))
    return file.read(columns=None if columns is None else list(columns))
