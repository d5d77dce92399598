"""The tables of a run: one Parquet file a shard, with the same bytes on every run."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import io
import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, get_args

import apache_beam as beam
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from apache_beam.transforms.window import GlobalWindows

from pipeline.sinks import storage

Table = Literal["catalogue", "rejections", "near_duplicates", "removed"]
TABLES: tuple[Table, ...] = get_args(Table)
Row = Mapping[str, Any]

_ROW_GROUP = 10_000  # rows; fixed, because it shows in the bytes
# Measured for 10,000 rows of the catalogue: as dicts they took 206 MB on their way to the table.
_ROWS_A_PACK = 256
_WORKED_ON = ("new", "changed")  # not what the last run made, nor another photo of this one
_REMEDY = "restore it, or name an older run of this folder in LATEST"
_PART = re.compile(r"part-(\d{5})-of-(\d{5})\.parquet")


@dataclasses.dataclass(frozen=True)
class ShardSummary:
    """What one file of a table holds; the ledger is made of these.

    Attributes:
      table: one of ``TABLES``.
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


@dataclasses.dataclass(frozen=True)
class CarriedRows:
    """Rows of a committed run that a new table takes over: named, not held.

    Attributes:
      shard: of the new table, to which all of them belong.
      part: the Parquet file that has them, as a path below the output folder.
      positions: of the rows in that file.
      changes: the columns that are no longer as there, by name; all of these rows get the same values.
    """

    shard: int
    part: str
    positions: tuple[int, ...]
    changes: dict[str, Any]


@dataclasses.dataclass(frozen=True)
class PackedRows:
    """New rows of one shard on their way to the table, in a twentieth of the memory.

    Attributes:
      shard: to which all of them belong.
      content: an Arrow stream of the table's schema, compressed.
    """

    shard: int
    content: bytes


Member = Row | PackedRows | CarriedRows


def shard_of(row_id: str, shards: int) -> int:
    """Returns the shard of an id: the same in every process and on every machine."""
    digest = hashlib.sha256(row_id.encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big") % shards


def part_name(shard: int, shards: int) -> str:
    """Returns the name of a table's file."""
    return f"part-{shard:05d}-of-{shards:05d}.parquet"


def to_arrow(rows: Sequence[Row], schema: pa.Schema) -> pa.Table:
    """Returns rows as a table of exactly the schema's types.

    Args:
      rows: dicts keyed by column; every column is named in every row.
      schema: of the table.

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
      table: one of ``TABLES``.
      run: the run's name.
      columns: only these; None for all.
      dictionaries: text columns of few values, to be dictionary-encoded: they then take next to no memory.

    Returns:
      The rows, by shard and then by id.

    Raises:
      FileNotFoundError: the run has no such table.
      ValueError: some of its files are missing.
    """
    return pa.concat_tables(
        read_part(output, part, columns, dictionaries=dictionaries) for part in table_parts(output, table, run)
    ).unify_dictionaries()


def table_parts(output: str, table: Table, run: str) -> list[str]:
    """Returns the files of a run's table in the order of their shards, as paths below the output folder.

    Raises:
      FileNotFoundError: the run has no such table.
      ValueError: some of its files are missing.
    """
    folder = storage.join(output, table, run)
    parts = [match for match in map(_PART.fullmatch, storage.file_names(folder)) if match]
    if not parts:
        raise FileNotFoundError(f"there is no {table} table of run {run!r} in {output!r}; {_REMEDY}")
    shards = int(parts[0][2])
    names = [part[0] for part in parts]
    if [(int(part[1]), int(part[2])) for part in parts] != [(shard, shards) for shard in range(shards)]:
        wanted = f"{shards} files part-*-of-{shards:05d}.parquet"
        raise ValueError(f"{folder!r} should hold {wanted}, but holds {names}; {_REMEDY}")
    return [storage.join(table, run, name) for name in names]


def read_part(
    output: str, part: str, columns: Sequence[str] | None = None, *, dictionaries: Sequence[str] = ()
) -> pa.Table:
    """Reads one file of a table.

    Args:
      output: the output folder.
      part: of ``table_parts``.
      columns, dictionaries: as of ``read_table``; nested columns by their paths, such as ``assets.list.element.uri``.

    Raises:
      FileNotFoundError: there is no such file.
      ValueError: it is no whole Parquet file.
    """
    with _saying_what_is_damaged(storage.join(output, part)):
        return _open_part(output, part, dictionaries).read(columns=None if columns is None else list(columns))


def part_schema(output: str, part: str) -> pa.Schema:
    """Returns the schema of one file of a table; raises as ``read_part`` does."""
    with _saying_what_is_damaged(storage.join(output, part)):
        return _open_part(output, part).schema_arrow


def _open_part(output: str, part: str, dictionaries: Sequence[str] = ()) -> pq.ParquetFile:
    content = storage.read_bytes(storage.join(output, part))
    return pq.ParquetFile(pa.BufferReader(content), read_dictionary=list(dictionaries))


@contextlib.contextmanager
def _saying_what_is_damaged(path: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise
    except (pa.ArrowException, OSError) as error:  # of a damaged page pyarrow says that it could not be read
        raise ValueError(f"{path!r} is not a whole Parquet file ({error}); {_REMEDY}") from error


class PackRows(beam.PTransform):
    """Packs rows by shard and by the hundred, so that waiting for their table they take next to no memory.

    Applied before anything else is mixed with them: what a runner keeps between two stages is then the packs.

    Args:
      schema: of the table.
      shards: of the table.

    Returns (of ``expand``):
      ``PackedRows``, from rows.
    """

    def __init__(self, schema: pa.Schema, shards: int):
        super().__init__()
        self._packer = _PackRows(schema, shards)

    def expand(self, rows):
        return rows | beam.ParDo(self._packer)


class _PackRows(beam.DoFn):
    def __init__(self, schema: pa.Schema, shards: int):
        self._schema = schema.serialize().to_pybytes()  # see _WriteShard
        self._shards = shards
        self._waiting: dict[int, list[Row]] = {}

    def start_bundle(self):
        self._waiting = {}

    def process(self, row: Row):
        shard = shard_of(row["id"], self._shards)
        rows = self._waiting.setdefault(shard, [])
        rows.append(row)
        if len(rows) == _ROWS_A_PACK:
            yield self._pack(shard)

    def finish_bundle(self):
        for shard in sorted(self._waiting):
            yield GlobalWindows.windowed_value(self._pack(shard))

    def _pack(self, shard: int) -> PackedRows:
        table = to_arrow(self._waiting.pop(shard), pa.ipc.read_schema(pa.py_buffer(self._schema)))
        sink = io.BytesIO()
        with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
            writer.write_table(table)
        return PackedRows(shard, sink.getvalue())


class WriteTable(beam.PTransform):
    """Writes rows as a table of a fixed number of Parquet files; each exists, if only with its schema.

    Args:
      output: the output folder.
      table: one of ``TABLES``.
      run: the run's name.
      schema: of the table.
      shards: how many files; a row's file follows from the first column of its key.
      key: text columns that together no two rows share; the rows of a file are sorted by them.

    Returns (of ``expand``):
      One ``ShardSummary`` a file; from rows, ``PackedRows`` and ``CarriedRows``.
    """

    def __init__(
        self, output: str, table: Table, run: str, schema: pa.Schema, shards: int, key: Sequence[str] = ("id",)
    ):
        super().__init__()
        if shards < 1:
            raise ValueError(f"a table needs at least one shard, not {shards!r}")
        self._shards = shards
        self._key = tuple(key)
        self._writer = _WriteShard(output, table, run, schema, shards, self._key)

    def expand(self, rows):
        empty = rows.pipeline | "EveryShard" >> beam.Create([(shard, None) for shard in range(self._shards)])
        keyed = rows | "KeyByShard" >> beam.Map(_keyed, self._key[0], self._shards)  # (shard, member)
        return (
            (keyed, empty)
            | beam.Flatten()  # (shard, member or None)
            | beam.GroupByKey()  # (shard, [member or None])
            | "WriteShard" >> beam.ParDo(self._writer)  # ShardSummary
        )


class _WriteShard(beam.DoFn):
    def __init__(self, output: str, table: Table, run: str, schema: pa.Schema, shards: int, key: tuple[str, ...]):
        self._key = key
        self._output = output
        self._folder = storage.join(output, table, run)
        self._table = table
        # As bytes, because a schema's own pickle differs between pyarrow versions of driver and worker.
        self._schema = schema.serialize().to_pybytes()
        self._shards = shards

    def process(self, group: tuple[int, Iterable[Member | None]]):
        shard, members = group
        schema = pa.ipc.read_schema(pa.py_buffer(self._schema))
        rows: list[Row] = []
        packed: list[pa.Table] = []
        carried: list[CarriedRows] = []
        for member in members:
            if isinstance(member, CarriedRows):
                carried.append(member)
            elif isinstance(member, PackedRows):
                packed.append(pa.ipc.open_stream(member.content).read_all())
            elif member is not None:
                rows.append(member)
        table = pa.concat_tables([to_arrow(rows, schema), *packed, *carried_tables(self._output, carried, schema)])
        del rows, packed  # what follows copies the table; none of the copies is to stay
        order = pc.sort_indices(table.select(self._key), [(name, "ascending") for name in self._key])
        table = table.combine_chunks()
        table = table.take(order).combine_chunks()  # chunks would show in the file's bytes
        self._check_unique(table)
        content = encode_table(table)
        stored = storage.write_bytes(
            storage.join(self._folder, part_name(shard, self._shards)),
            content,
            media_type="application/vnd.apache.parquet",
        )
        yield ShardSummary(
            table=self._table,
            shard=shard,
            shards=self._shards,
            rows=table.num_rows,
            status=_counts(table, "status"),
            refresh=_counts(table, "refresh"),
            reasons=_counts(table, "reason"),
            assets_written=_assets_written(table),
            sha256=stored.sha256,
        )

    def _check_unique(self, table: pa.Table) -> None:
        twice = pa.array([True] * max(0, table.num_rows - 1), pa.bool_())
        for name in self._key:
            values = table.column(name)
            twice = pc.and_(twice, pc.equal(values.slice(1), values.slice(0, max(0, len(values) - 1))))
        if pc.any(twice).as_py():
            first = pc.index(twice, True).as_py()
            before, after = (table.slice(first + i, 1).to_pylist()[0] for i in (0, 1))
            places = f"{before.get('source_uri')!r} and {after.get('source_uri')!r}"
            name = " ".join(repr(after[name]) for name in self._key)
            raise ValueError(f"id {name} is twice in the {self._table} table, from {places}")


def carried_tables(output: str, carried: Iterable[CarriedRows], schema: pa.Schema) -> Iterator[pa.Table]:
    """Yields the rows that are taken over, in tables of the schema's types; a column they lack is null.

    Args:
      output: the output folder.
      carried: in any order; each file is read once.
      schema: of the new table.

    Raises:
      FileNotFoundError: a file is gone.
      ValueError: a row lacks a column that must have a value, or a value does not fit.
    """
    by_part: dict[str, list[CarriedRows]] = {}
    for rows in carried:
        by_part.setdefault(rows.part, []).append(rows)
    for part in sorted(by_part):
        table = read_part(output, part)
        alike: dict[tuple[str, ...], list[CarriedRows]] = {}
        for rows in by_part[part]:
            alike.setdefault(tuple(sorted(rows.changes)), []).append(rows)
        for names, members in sorted(alike.items()):
            taken = table.take(pa.array(itertools.chain.from_iterable(m.positions for m in members), pa.int64()))
            columns = []
            for field in schema:
                if field.name in names:
                    values = [value for m in members for value in [m.changes[field.name]] * len(m.positions)]
                    columns.append(_array(values, field.type))
                elif field.name in table.column_names:
                    columns.append(taken.column(field.name).cast(field.type))
                elif field.nullable:
                    columns.append(pa.nulls(taken.num_rows, field.type))
                else:
                    raise ValueError(f"{storage.join(output, part)!r} has no column {field.name!r}")
            yield pa.Table.from_arrays(columns, schema=schema)


def _keyed(member: Member, column: str, shards: int) -> tuple[int, Member]:
    shard = member.shard if isinstance(member, CarriedRows | PackedRows) else shard_of(member[column], shards)
    return shard, member


def _counts(table: pa.Table, column: str) -> dict[str, int]:
    if column not in table.column_names:
        return {}
    return {entry["values"]: entry["counts"] for entry in pc.value_counts(table.column(column)).to_pylist()}


def _assets_written(table: pa.Table) -> int:
    if not {"assets", "refresh"} <= set(table.column_names):
        return 0
    made = pc.is_in(table.column("refresh"), pa.array(_WORKED_ON))
    return pc.sum(pc.list_value_length(table.filter(made).column("assets"))).as_py() or 0


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
                    f"row {_name(row)!r}: {row[field.name]!r} does not fit column {field.name!r} "
                    f"of type {field.type}: {error}"
                ) from error
        raise
    if array.null_count and not field.nullable:
        missing = next(_name(row) for row in rows if row[field.name] is None)
        raise ValueError(f"row {missing!r}: column {field.name!r} must not be null")
    return array


def _name(row: Row) -> Any:
    return row.get("id", next(iter(row.values())))


def _array(values: list[Any], kind: pa.DataType) -> pa.Array:
    if pa.types.is_integer(kind) and any(isinstance(value, float) for value in values):
        raise TypeError("a fraction would be cut off")  # pyarrow would do it without a word
    return pa.array(values, type=kind)
