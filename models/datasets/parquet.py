"""Reading a catalogue's Parquet files, local or in cloud storage, a few rows at a time."""

from __future__ import annotations

import contextlib
import glob
import hashlib
import io
import posixpath
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
from apache_beam.io.filesystem import BeamIOError, CompressionTypes
from apache_beam.io.filesystems import FileSystems

_SUFFIXES = (".parquet", ".parq", ".pq")
_ROWS_AT_ONCE = 16
_FOOTER_TAIL = 8  # the last bytes of a Parquet file: the footer's length and "PAR1"


class RowGroup(NamedTuple):
    """One row group of a Parquet file: the unit of reading."""

    uri: str
    number: int


def open_file(uri: str) -> BinaryIO:
    """Opens a local path or a URI for reading, as the bytes that are stored."""
    if "://" not in uri:
        return open(uri, "rb")
    return FileSystems.open(uri, compression_type=CompressionTypes.UNCOMPRESSED)


def read_file(uri: str) -> bytes:
    """Returns a file's content."""
    with open_file(uri) as file:
        return file.read()


def find_parquet(place: str) -> list[str]:
    """Lists the Parquet files of a file, a folder (to any depth) or a glob.

    Args:
      place: local path or a URI such as ``gs://bucket/folder``.

    Returns:
      Paths or URIs, sorted. Hidden files, and those in folders that start with ``_`` or ``.``, are passed over.

    Raises:
      FileNotFoundError: there is none.
    """
    if "://" in place:
        found = _match(place)
    elif Path(place).is_dir():
        found = [str(path) for path in Path(place).rglob("*") if path.is_file()]
    else:
        found = [place] if Path(place).is_file() else glob.glob(place, recursive=True)
    files = [uri for uri in found if uri == place or (uri.lower().endswith(_SUFFIXES) and not _hidden(uri, place))]
    if not files:
        raise FileNotFoundError(f"there are no Parquet files at {place!r}; name a file, a folder or a glob of them")
    return sorted(files)


def _match(place: str) -> list[str]:
    patterns = [place] if any(c in place for c in "*?[") else [place, place.rstrip("/") + "/**"]
    try:
        matched = FileSystems.match(patterns)
    except BeamIOError as error:  # its text is a dict of the causes
        causes = "; ".join(str(cause) for cause in error.exception_details.values())
        raise OSError(f"{place!r} cannot be listed: {causes or error}") from error
    return sorted({metadata.path for result in matched for metadata in result.metadata_list})


def _hidden(uri: str, place: str) -> bool:
    given = re.split(r"[*?\[]", place, maxsplit=1)[0]  # what was named outright is wanted, whatever it is called
    first, *parts = uri.removeprefix(given).split("/")
    if given.endswith("/") or not given:
        parts.insert(0, first)  # else it goes on with a name whose beginning was given
    return any(part.startswith((".", "_")) for part in parts)


def footer_digest(uri: str) -> str:
    """Returns the SHA-256 of a Parquet file's footer.

    It holds the place, size and extremes of every column chunk, so that it changes whenever a photo does, and takes
    no reading of the photos.
    """
    with open_file(uri) as file:
        file.seek(-_FOOTER_TAIL, io.SEEK_END)
        length = int.from_bytes(file.read(4), "little")
        file.seek(-_FOOTER_TAIL - length, io.SEEK_END)
        return hashlib.sha256(file.read(length)).hexdigest()


@contextlib.contextmanager
def _parquet(uri: str) -> Iterator[pq.ParquetFile]:
    try:
        with open_file(uri) as stream, pq.ParquetFile(stream, pre_buffer=False, buffer_size=1 << 20) as file:
            yield file
    except pa.ArrowException as error:
        raise ValueError(f"{uri!r} cannot be read as Parquet: {' '.join(str(error).split())}") from error


def row_groups(uris: Sequence[str]) -> list[RowGroup]:
    """Lists the row groups of some files."""
    groups = []
    for uri in uris:
        with _parquet(uri) as file:
            groups += [RowGroup(uri, number) for number in range(file.num_row_groups)]
    return groups


def column_names(uris: Sequence[str], *, needed: dict[str, str]) -> list[str]:
    """Returns the columns that all files have, and checks that the needed ones are among them.

    Args:
      uris: the files.
      needed: the columns that must be there, each with the setting that names it.

    Raises:
      ValueError: a needed column is missing.
    """
    common: list[str] | None = None
    for uri in uris:
        with _parquet(uri) as file:
            names = file.schema_arrow.names
        for column, setting in needed.items():
            if column not in names:
                raise ValueError(
                    f"there is no column {column!r} in {uri!r}, which {setting} names; the columns there are: "
                    f"{', '.join(names)}"
                )
        common = names if common is None else [name for name in common if name in names]
    return common or []


def read_rows(group: RowGroup, columns: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Yields some columns of a row group's rows, holding only a few rows in memory."""
    with _parquet(group.uri) as file:
        names = list(dict.fromkeys(columns))
        for batch in file.iter_batches(_ROWS_AT_ONCE, row_groups=[group.number], columns=names):
            yield from batch.to_pylist()


def read_columns(uris: Sequence[str], columns: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Yields some small columns, such as ids, of all rows of some files."""
    for uri in uris:
        with _parquet(uri) as file:
            for batch in file.iter_batches(columns=list(dict.fromkeys(columns))):
                yield from batch.to_pylist()


def picture_bytes(value: Any, uri: str) -> bytes:
    """Returns the encoded picture of an image column's value.

    Args:
      value: bytes, a dict with ``bytes`` or ``path`` as Hugging Face datasets have it, or the URI of a file, which
        may be relative to the folder of the Parquet file.
      uri: the Parquet file.

    Raises:
      OSError: the picture's own file cannot be read.
    """
    if isinstance(value, dict):
        value = value.get("bytes") or value.get("path")
    if value is None:
        return b""
    if isinstance(value, bytes):
        return value
    return read_file(
        value if "://" in value or value.startswith("/") else posixpath.join(posixpath.dirname(uri), value)
    )
