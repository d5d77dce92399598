"""Reading Parquet files a few rows at a time, from any file system."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.sources.filesystem import open_file
from pipeline.sources.names import escaped

# Measured on a row group of 600 x 0.3 MB: with pre-buffering, pyarrow's default, it is read whole, 180 MB; without,
# and with a buffered stream, 4 MB are in memory at a time. A page is the least that can be read.
_STREAM_BYTES = 1 << 20
# A page is unpacked whole. Encoded pictures hardly pack at all, ids and attributes some ten times.
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
            file.stored_bytes = stored
            yield file


def iter_rows(
    file: pq.ParquetFile, row_group: int, columns: Sequence[str], batch_size: int
) -> Iterator[pa.RecordBatch]:
    """Reads some columns of one row group by small batches.

    Raises:
      ValueError: the row group says that it unpacks to very much more than the file has; pictures do not.
    """
    # Not asked of the columns one by one: in pyarrow 25 a damaged description of a column ends the process.
    unpacked = file.metadata.row_group(row_group).total_byte_size
    if unpacked > _ORDINARY_BYTES and unpacked > _MOST_PACKING * file.stored_bytes:
        raise ValueError(f"a file of {file.stored_bytes} bytes unpacks to {unpacked}, {_MOST_PACKING} times as much")
    yield from file.iter_batches(
        batch_size=batch_size, row_groups=[row_group], columns=list(columns), use_threads=False
    )


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
