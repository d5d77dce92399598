"""The tables of a run as files: their names, types and bytes, which are the same on every run; reading them."""

from __future__ import annotations

import contextlib
import hashlib
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, get_args

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.sinks import storage

Table = Literal["catalogue", "rejections", "near_duplicates", "removed", "augmented"]
TABLES: tuple[Table, ...] = get_args(Table)
OPTIONAL_TABLES: frozenset[Table] = frozenset({"augmented"})  # not of every run
Row = Mapping[str, Any]

_ROW_GROUP = 10_000  # rows; fixed, because it shows in the bytes
_REMEDY = "restore it, or name an older run of this folder in LATEST"
_PART = re.compile(r"part-(\d{5})-of-(\d{5})\.parquet")


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


def to_array(values: list[Any], kind: pa.DataType) -> pa.Array:
    """Returns values as an array of exactly this type.

    Raises:
      pa.ArrowException, TypeError, ValueError, OverflowError: a value does not fit.
    """
    if pa.types.is_integer(kind) and any(isinstance(value, float) for value in values):
        raise TypeError("a fraction would be cut off")  # pyarrow would do it without a word
    return pa.array(values, type=kind)


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


def _column(rows: Sequence[Row], field: pa.Field) -> pa.Array:
    values = [row[field.name] for row in rows]
    try:
        array = to_array(values, field.type)
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        for row in rows:
            try:
                to_array([row[field.name]], field.type)
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
