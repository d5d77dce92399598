"""Reading Parquet files a few rows at a time, from any file system."""

from __future__ import annotations

import contextlib
import logging
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.sources import large_pages
from pipeline.sources.filesystem import open_file, scheme_of
from pipeline.sources.large_pages import LargeColumn, LeftToPyarrow, open_column
from pipeline.sources.names import escaped

_LOGGER = logging.getLogger(__name__)
# Measured on a row group of 600 x 0.3 MB: with pre-buffering, pyarrow's default, it is read whole, 180 MB; without,
# and with a buffered stream, 4 MB are in memory at a time. A page is the least that pyarrow can read.
_STREAM_BYTES = 1 << 20
# Encoded pictures hardly pack at all, ids and attributes some ten times.
_ORDINARY_BYTES = 256 << 20
_MOST_PACKING = 100


@contextlib.contextmanager
def open_parquet(uri: str) -> Iterator[pq.ParquetFile]:
    """Opens a Parquet file so that its row groups are streamed, not loaded.

    Raises:
      OSError, pa.ArrowException: the file cannot be read, or is no Parquet file.
    """
    with open_file(uri) as stream:
        stored = stream.seek(0, os.SEEK_END)
        stream.seek(0)
        with pq.ParquetFile(stream, pre_buffer=False, buffer_size=_STREAM_BYTES) as file:
            file.uri, file.stored_bytes = uri, stored
            yield file


def iter_rows(
    file: pq.ParquetFile, row_group: int, columns: Sequence[str], batch_size: int
) -> Iterator[pa.RecordBatch]:
    """Reads some columns of one row group by small batches.

    Pages of pictures that are too large to be unpacked in memory are unpacked into a temporary file. Where that cannot
    be done, for the format's sake or the disk's, pyarrow unpacks them in memory, and a warning says so.

    Yields:
      Batches of ``batch_size`` rows, or fewer where their pictures are large.

    Raises:
      ValueError: the row group unpacks to very much more than the file has, or says so; pictures do not.
      OSError, pa.ArrowException: it cannot be read.
    """
    # Not asked of the columns one by one: in pyarrow 25 a damaged description of a column ends the process.
    unpacked = file.metadata.row_group(row_group).total_byte_size
    most = max(_ORDINARY_BYTES, _MOST_PACKING * file.stored_bytes)
    if unpacked > most:
        raise ValueError(f"a file of {file.stored_bytes} bytes unpacks to {unpacked}, {_MOST_PACKING} times as much")
    columns = list(dict.fromkeys(columns))
    done = 0
    if unpacked > large_pages.LARGE_PAGE:
        with contextlib.ExitStack() as opened:
            try:
                large = _open_large_columns(file, row_group, columns, most, opened)
                if large:
                    for batch in _iter_large(file, row_group, large, columns, batch_size):
                        yield batch
                        done += batch.num_rows
                    return
            except LeftToPyarrow as reason:
                folder = tempfile.tempdir or "TMPDIR"  # if none was found, the reason says where it was looked for
                words = "%s: row group %d takes memory, as its pages could not be unpacked into a file below %s: %s"
                _LOGGER.warning(words, file.uri, row_group, folder, reason)
    for batch in _iter_batches(file, row_group, columns, batch_size):
        passed_over = min(done, batch.num_rows)
        done -= passed_over
        if passed_over < batch.num_rows:
            yield batch.slice(passed_over)


def _iter_batches(
    file: pq.ParquetFile, row_group: int, columns: list[str], batch_size: int
) -> Iterator[pa.RecordBatch]:
    return file.iter_batches(batch_size=batch_size, row_groups=[row_group], columns=columns, use_threads=False)


def _open_large_columns(
    file: pq.ParquetFile, row_group: int, columns: list[str], most_unpacked: int, opened: contextlib.ExitStack
) -> dict[str, LargeColumn]:
    """Opens those columns of pictures that are in large pages; ``opened`` closes them.

    Raises:
      LeftToPyarrow: there are such columns, and one cannot be read.
    """
    found = {}
    for name in columns:
        leaf = _picture_leaf(file, name)
        if leaf is None:
            continue
        stream = opened.enter_context(open_file(file.uri))
        direct = scheme_of(file.uri) == "file"
        column = open_column(stream, row_group, *leaf, most_unpacked=most_unpacked, direct=direct)
        if column is not None:
            found[name] = opened.enter_context(contextlib.closing(column))
    return found


def _picture_leaf(file: pq.ParquetFile, name: str) -> tuple[int, int] | None:
    """Returns index and definition level of a column's pictures among the leaf columns, or None if it has none."""
    names = file.schema_arrow.names
    # pyarrow's names of fields in structs have dots: such a column would be read along with them.
    if names.count(name) != 1 or any(other.startswith(f"{name}.") for other in names):
        return None
    field, path = file.schema_arrow.field(name), name
    level = int(field.nullable)
    if is_picture_struct(field.type) and len(set(field.type.names)) == field.type.num_fields:
        field, path = field.type.field("bytes"), f"{name}.bytes"
        level += field.nullable
    if not is_bytes(field.type) or pa.types.is_dictionary(field.type):
        return None
    for index in range(len(file.schema)):
        leaf = file.schema.column(index)
        if leaf.path == path:
            flat = leaf.max_repetition_level == 0 and leaf.max_definition_level == level
            return (index, level) if flat else None
    return None


def _iter_large(
    file: pq.ParquetFile, row_group: int, large: dict[str, LargeColumn], columns: list[str], batch_size: int
) -> Iterator[pa.RecordBatch]:
    """Reads the pictures of some columns out of large pages, and all else with pyarrow.

    Raises:
      LeftToPyarrow: the next pictures cannot be read.
      OSError, ValueError, pa.ArrowException: as ``iter_rows``.
    """
    schema = pa.schema([file.schema_arrow.field(name) for name in columns], file.schema_arrow.metadata)
    others = []
    for field in schema:
        if field.name not in large:
            others.append(field.name)
        elif pa.types.is_struct(field.type):
            others += [f"{field.name}.{child.name}" for child in field.type if child.name != "bytes"]
    for batch in _iter_batches(file, row_group, others, batch_size):
        at = 0
        while at < batch.num_rows:
            rows = min(column.ready(batch.num_rows - at) for column in large.values())
            part = batch.slice(at, rows)
            arrays = [
                _pictures(field, *large[field.name].take(rows), part)
                if field.name in large
                else part.column(field.name)
                for field in schema
            ]
            yield pa.RecordBatch.from_arrays(arrays, schema=schema)
            at += rows


def _pictures(field: pa.Field, values: list[bytes | None], levels: np.ndarray, others: pa.RecordBatch) -> pa.Array:
    """Returns a column of pictures, given their bytes and definition levels, and other fields of their struct."""
    if not pa.types.is_struct(field.type):
        return pa.array(values, field.type)
    children = [
        pa.array(values, child.type) if child.name == "bytes" else others.column(field.name).field(child.name)
        for child in field.type
    ]
    mask = pa.array(levels == 0) if field.nullable else None
    return pa.StructArray.from_arrays(children, fields=list(field.type), mask=mask)


def value_type(data_type: pa.DataType) -> pa.DataType:
    """Returns the type of a column's values, which for a dictionary-encoded column is not its own."""
    return data_type.value_type if pa.types.is_dictionary(data_type) else data_type


def is_text(data_type: pa.DataType) -> bool:
    """Whether a column holds strings, of whichever layout."""
    values = value_type(data_type)
    return pa.types.is_string(values) or pa.types.is_large_string(values) or pa.types.is_string_view(values)


def is_bytes(data_type: pa.DataType) -> bool:
    """Whether a column holds byte strings, of whichever layout."""
    values = value_type(data_type)
    return pa.types.is_binary(values) or pa.types.is_large_binary(values) or pa.types.is_binary_view(values)


def is_picture_struct(data_type: pa.DataType) -> bool:
    """Whether a column holds pictures as Hugging Face data sets do: ``struct<bytes, path>``."""
    if not pa.types.is_struct(data_type):
        return False
    fields = {field.name: field.type for field in data_type}
    return "bytes" in fields and is_bytes(fields["bytes"]) and ("path" not in fields or is_text(fields["path"]))


def id_values(column: pa.Array) -> list:
    """Returns a column of ids as Python values; those that are no UTF-8 come escaped, as file names do."""
    try:
        return column.to_pylist()
    except UnicodeDecodeError:
        return [
            _or_else(value, lambda text: escaped(_raw(text).decode("utf-8", "surrogateescape"))) for value in column
        ]


def image_value(image: pa.Scalar) -> bytes | str | None:
    """Returns the bytes of a picture, or else the URI at which it is, or None where there is neither.

    Raises:
      UnicodeDecodeError: the URI is no UTF-8.
    """
    if isinstance(image, pa.StructScalar):
        if not image.is_valid:
            return None
        content = image["bytes"].as_py()
        return content if content is not None or "path" not in image else image["path"].as_py() or None
    return image.as_py()


def column_values(column: pa.Array) -> list:
    """Returns a column as Python values that ``pa.array(values, column.type)`` turns back into the same.

    Points in time finer than microseconds stay integers: Python's own types would cut them. A value that Python
    cannot hold, such as text that is no UTF-8 or a day after the year 9999, comes as None: it must not cost the photo.
    """
    fine = pa.types.is_timestamp(column.type) or pa.types.is_duration(column.type) or pa.types.is_time64(column.type)
    if fine and column.type.unit == "ns":
        return column.cast(pa.int64()).to_pylist()
    try:
        return column.to_pylist()
    except (ValueError, OverflowError):
        return [_or_else(value, lambda _: None) for value in column]


def _or_else(value: pa.Scalar, fallback: Callable[[pa.Scalar], Any]) -> Any:
    try:
        return value.as_py()
    except (ValueError, OverflowError):
        return fallback(value)


def _raw(text: pa.Scalar) -> bytes:
    return (text.value if isinstance(text, pa.DictionaryScalar) else text).as_buffer().to_pybytes()
