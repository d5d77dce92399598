"""Where in a Parquet file the pages of a column are: its footer, and the headers of pages.

pyarrow knows that as well, but does not tell of pages, and in version 25 ends the process when it is asked for the
damaged description of a column. The format: ``src/main/thrift/parquet.thrift`` of apache/parquet-format.
"""

from __future__ import annotations

import dataclasses
import io
from typing import Any, BinaryIO

from pipeline.sources.thrift_compact import CompactReader, TooShort

DATA, DICTIONARY, DATA_V2 = 0, 2, 3  # kinds of pages

_MAGIC = b"PAR1"
_ROW_GROUPS, _COLUMNS, _META_DATA = 4, 1, 3  # fields of FileMetaData, RowGroup, ColumnChunk
_ELSEWHERE, _ENCRYPTED = 1, (8, 9)  # fields of ColumnChunk
_BYTE_ARRAY = 6
_RLE = 3
_MOST_VALUES = 1 << 20  # of a page
_LARGEST_PAGE = (1 << 31) - 1  # bytes
_USUAL_HEADER = 1 << 12  # bytes
_LARGEST_HEADER = 1 << 20  # Arrow's limit is 16 MB, for statistics that hold values


@dataclasses.dataclass(frozen=True)
class Chunk:
    """A column chunk: the pages of one leaf column in one row group.

    Attributes:
      start, end: bytes of the file.
      codec: parquet.thrift's CompressionCodec.
      values: of the chunk, nulls among them.
      level: the definition level of a value that is not null; 0 where there are no levels.
    """

    start: int
    end: int
    codec: int
    values: int
    level: int


@dataclasses.dataclass(frozen=True)
class PageHeader:
    """A page's header.

    Attributes:
      kind: parquet.thrift's PageType.
      unpacked, packed: bytes of what follows the header.
      values: with nulls.
      encoding: of the values.
      levels: bytes of definition levels before the packed values, of pages of version 2.
      is_packed: whether the values are.
      body: where in the file it follows.
    """

    kind: int
    unpacked: int
    packed: int
    values: int
    encoding: int
    levels: int
    is_packed: bool
    body: int


def find_chunk(stream: BinaryIO, row_group: int, leaf: int, level: int) -> Chunk:
    """Reads out of a file's footer where a column chunk is.

    Args:
      stream: the file.
      row_group: its index.
      leaf: index of the column among the leaf columns.
      level: the largest definition level of the column.

    Raises:
      OSError: the file cannot be read.
      ValueError: the footer is damaged or encrypted, or the column is not of byte strings.
    """
    size = stream.seek(0, io.SEEK_END)
    end = read_exactly(stream, max(0, size - 8), 8)
    length = int.from_bytes(end[:4], "little")
    if end[4:] != _MAGIC or length > size - 8:
        raise ValueError("the file has no plain footer")
    column = _column_fields(CompactReader(read_exactly(stream, size - 8 - length, length)), row_group, leaf)
    fields = column.get(_META_DATA)
    if not isinstance(fields, dict) or any(field in column for field in (_ELSEWHERE, *_ENCRYPTED)):
        raise ValueError("the column is encrypted, or in another file")
    # The numbers are those of ColumnMetaData's fields.
    if _integer(fields, 1) != _BYTE_ARRAY:
        raise ValueError(f"the column is of physical type {fields[1]}")
    start = _integer(fields, 9, size)
    dictionary = _integer(fields, 11, size) if 11 in fields else 0  # some writers put it where there is none
    start = min(start, dictionary) if dictionary else start
    return Chunk(start, start + _integer(fields, 7, size - start), _integer(fields, 4), _integer(fields, 5), level)


def _column_fields(reader: CompactReader, row_group: int, leaf: int) -> dict[int, Any]:
    """Returns the fields of one ColumnChunk of the footer that a reader is at; the others are never all in memory."""
    for field, kind in reader.fields():
        if field != _ROW_GROUPS:
            reader.value(kind)
            continue
        for index, element in enumerate(reader.elements(kind)):
            group = reader.value(element)
            if index == row_group:
                columns = group.get(_COLUMNS) if isinstance(group, dict) else None
                if not isinstance(columns, list) or leaf >= len(columns) or not isinstance(columns[leaf], dict):
                    raise ValueError("the row group does not describe the column")
                return columns[leaf]
    raise ValueError("the footer does not describe the row group")


def read_header(stream: BinaryIO, at: int, chunk: Chunk) -> PageHeader:
    """Reads the header of a page of a column chunk.

    Args:
      stream: the file.
      at: where in it the header begins.
      chunk: where its page has to end.

    Raises:
      OSError: the file cannot be read.
      ValueError: it is none, or one of pages that do not come in flat columns of byte strings.
    """
    size = _USUAL_HEADER
    while True:
        stream.seek(at)
        data = stream.read(min(size, max(0, chunk.end - at)))
        reader = CompactReader(data)
        try:
            fields = reader.struct()
            break
        except TooShort:
            if len(data) < size or size >= _LARGEST_HEADER:
                raise
            size *= 16
    # The numbers are those of PageHeader's fields, and of the fields of the header of each kind.
    kind = _integer(fields, 1)
    unpacked, packed = _integer(fields, 2, _LARGEST_PAGE), _integer(fields, 3, _LARGEST_PAGE)
    own = fields.get({DATA: 5, DICTIONARY: 7, DATA_V2: 8}.get(kind, 0))
    if not isinstance(own, dict):
        raise ValueError(f"a page of kind {kind} without a header of its own")
    levels, is_packed = 0, True
    if kind == DATA and chunk.level and _integer(own, 3) != _RLE:
        raise ValueError(f"levels of encoding {own[3]}")
    if kind == DATA_V2:
        levels, is_packed = _integer(own, 5), own.get(7, True)
        if _integer(own, 6) or levels > min(packed, unpacked):
            raise ValueError(f"{levels} bytes of levels in a page of {packed}")
    values, encoding = _integer(own, 1, _MOST_VALUES), _integer(own, 4 if kind == DATA_V2 else 2)
    body = at + reader.at
    if packed > chunk.end - body:
        raise ValueError(f"a page of {packed} bytes goes beyond its column")
    return PageHeader(kind, unpacked, packed, values, encoding, levels, is_packed, body)


def _integer(fields: dict[int, Any], field: int, most: int = 2**63 - 1) -> int:
    """Returns a field that must hold an integer from 0 to ``most``."""
    value = fields.get(field)
    if type(value) is not int or not 0 <= value <= most:
        raise ValueError(f"field {field} holds {value!r}, no number up to {most}")
    return value


def read_exactly(file: BinaryIO, start: int, size: int) -> bytes:
    """Reads bytes from a place of a file.

    Raises:
      OSError: the file cannot be read.
      ValueError: there are not so many.
    """
    file.seek(start)
    found = file.read(size)
    if len(found) < size:
        raise ValueError("the file ends too early")
    return found
