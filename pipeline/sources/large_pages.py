"""Columns of pictures in very large pages, read value by value out of a temporary file.

pyarrow's writer looks at the size of a page every 1,024 rows only, so all pictures of a row group come to stand in one
page, and its reader unpacks pages whole. Here a page is unpacked piece by piece into a file, and its values are read
from there. What this module does not know or cannot make sense of is left to pyarrow (``LeftToPyarrow``), which then
also is who says what is wrong with a damaged file.

The formats: ``README.md``, ``Encodings.md`` and ``Compression.md`` of apache/parquet-format.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import tempfile
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa

from pipeline.sources.block_formats import unpack_lz4, unpack_snappy
from pipeline.sources.column_chunks import DATA_V2, DICTIONARY, Chunk, PageHeader, find_chunk, read_exactly, read_header
from pipeline.sources.rle_hybrid import decode_hybrid

LARGE_PAGE = 32 << 20  # bytes, unpacked; pyarrow takes some two and a half times as much for it
_LEAST_MEAN = 1 << 10  # bytes of a value; a page of smaller ones takes us longer than it is worth
_LOOKED_AT = 4  # pages: a dictionary and the first of data tell; from object stores, looking means fetching
_MOST_EMPTY = 100  # pages without a value
_LARGEST_LEVELS = 16 << 20  # bytes of levels or indices of a page
_PIECE = 1 << 20  # bytes that are unpacked at a time
_READY_BYTES = 8 << 20  # of values that are given out together, unless one alone is larger
_IN_MEMORY = 1 << 20  # bytes of an unpacked page that is no file

_UNCOMPRESSED, _SNAPPY, _LZ4_RAW = 0, 1, 7
_STREAMED = {2: "gzip", 4: "brotli", 6: "zstd"}
_PLAIN, _PLAIN_DICTIONARY, _RLE_DICTIONARY = 0, 2, 8


class LeftToPyarrow(Exception):
    """A column is not, or no longer, read by this module; the reason is the message."""


class PackedTooTightly(ValueError):
    """A column unpacks to more than it may."""


@dataclasses.dataclass(frozen=True)
class _Values:
    """Where in a file values are: int64[n] each; nulls have the size -1."""

    file: BinaryIO
    starts: np.ndarray
    sizes: np.ndarray


def open_column(
    stream: BinaryIO, row_group: int, leaf: int, level: int, *, most_unpacked: int, direct: bool
) -> LargeColumn | None:
    """Opens a column for reading if it has large pages.

    Args:
      stream: a Parquet file, used by nobody else.
      row_group: its index.
      leaf: index of the column among the leaf columns; not repeated, of byte strings.
      level: its largest definition level.
      most_unpacked: bytes that the whole column may unpack to.
      direct: whether seeking in the stream costs nothing, so that what is not packed is read from there.

    Returns:
      A ``LargeColumn``, or None where the first pages are no larger than ``LARGE_PAGE``.

    Raises:
      LeftToPyarrow: it is none that this module reads.
    """
    with _or_left_to_pyarrow():
        column = LargeColumn(stream, find_chunk(stream, row_group, leaf, level), most_unpacked, direct=direct)
        return column if column.has_large_pages() else None


class LargeColumn:
    """A column chunk of byte strings, read row by row.

    Args:
      stream, most_unpacked, direct: as for ``open_column``.
      chunk: where in it.
    """

    def __init__(self, stream: BinaryIO, chunk: Chunk, most_unpacked: int, *, direct: bool):
        self._stream = stream
        self._chunk = chunk
        self._most_unpacked = most_unpacked
        self._direct = direct
        self._unpacked = 0
        self._at = chunk.start
        self._rows_read = 0  # of pages before the present one, and of it
        self._pages_read = 0
        self._dictionary: _Values | None = None
        self._page = _Values(stream, np.empty(0, np.int64), np.empty(0, np.int64))
        self._levels = np.empty(0, np.uint32)
        self._row = 0  # of the present page
        self._dictionary_file, self._page_file = contextlib.ExitStack(), contextlib.ExitStack()

    def has_large_pages(self) -> bool:
        """Whether one of the first pages is large, and its values not small."""
        at = self._chunk.start
        for _ in range(_LOOKED_AT):
            if at >= self._chunk.end:
                return False
            header = read_header(self._stream, at, self._chunk)
            if header.unpacked > LARGE_PAGE and header.unpacked >= _LEAST_MEAN * header.values:
                return True
            at = header.body + header.packed
        return False

    def ready(self, rows: int) -> int:
        """Returns how many rows there are to take together: 1 to ``rows``.

        Raises:
          LeftToPyarrow: there is none, or it cannot be read.
          PackedTooTightly: the pages up to it unpack to more than they may.
        """
        with _or_left_to_pyarrow():
            while self._row == len(self._page.sizes):
                self._load()
            sizes = np.maximum(self._page.sizes[self._row : self._row + rows], 0)
            return max(1, int(np.searchsorted(np.cumsum(sizes), _READY_BYTES, side="right")))

    def take(self, rows: int) -> tuple[list[bytes | None], np.ndarray]:
        """Returns the next rows, as many as are ready at most.

        Returns:
          Their values, and their definition levels, uint32[rows].

        Raises:
          LeftToPyarrow: they cannot be read.
        """
        with _or_left_to_pyarrow():
            here = slice(self._row, self._row + rows)
            starts, sizes = self._page.starts[here].tolist(), self._page.sizes[here].tolist()
            values = [
                None if size < 0 else read_exactly(self._page.file, start, size)
                for start, size in zip(starts, sizes, strict=True)
            ]
            self._row += rows
            return values, self._levels[here]

    def close(self) -> None:
        """Deletes the temporary files; the stream stays open."""
        self._page_file.close()
        self._dictionary_file.close()

    def _load(self) -> None:
        """Goes on to the next page of data."""
        if self._rows_read == self._chunk.values:
            raise ValueError("the column has no more rows")
        while True:
            header = read_header(self._stream, self._at, self._chunk)
            self._at = header.body + header.packed
            self._pages_read += 1
            if header.encoding not in (_PLAIN, _PLAIN_DICTIONARY, _RLE_DICTIONARY):
                raise ValueError(f"values of encoding {header.encoding}")
            if self._pages_read > self._rows_read + _MOST_EMPTY:
                raise ValueError("the column has hardly a value in its pages")
            if header.kind != DICTIONARY:
                break
            if self._dictionary is not None:
                raise ValueError("the column has two dictionaries")
            file, start, end = self._unpack(header, self._dictionary_file)
            self._dictionary = _plain_values(file, start, end, header.values)
        self._rows_read += header.values
        if self._rows_read > self._chunk.values:
            raise ValueError(f"the column has more values than {self._chunk.values}")
        self._page_file.close()
        file, start, end = self._unpack(header, self._page_file)
        self._levels, start = self._read_levels(header, file, start, end)
        self._page, self._row = self._read_page(header, file, start, end), 0

    def _read_levels(self, header: PageHeader, file: BinaryIO, start: int, end: int) -> tuple[np.ndarray, int]:
        """Reads a page's definition levels: returns them, and where what follows them in the unpacked page begins."""
        level = self._chunk.level
        if not level:
            return np.zeros(header.values, np.uint32), start
        if header.kind == DATA_V2:  # they are packed with nothing, and have no length before them
            levels_file, levels_start, size = self._stream, header.body, header.levels
        else:
            size = int.from_bytes(read_exactly(file, start, 4), "little")
            levels_file, levels_start, start = file, start + 4, start + 4 + size
        if size > _LARGEST_LEVELS or start > end:
            raise ValueError(f"{size} bytes of levels in a page of {header.unpacked}")
        encoded = read_exactly(levels_file, levels_start, size)
        levels = decode_hybrid(encoded, level.bit_length(), header.values)
        if len(levels) and levels.max() > level:
            raise ValueError(f"a definition level above {level}")
        return levels, start

    def _read_page(self, header: PageHeader, file: BinaryIO, start: int, end: int) -> _Values:
        """Finds the values of a page's rows."""
        valid = self._levels == self._chunk.level
        count = int(np.count_nonzero(valid))
        if header.encoding == _PLAIN:
            values = _plain_values(file, start, end, count)
        else:
            values = self._dictionary_values(file, start, end, count)
        starts, sizes = np.zeros(header.values, np.int64), np.full(header.values, -1, np.int64)
        starts[valid], sizes[valid] = values.starts, values.sizes
        return _Values(values.file, starts, sizes)

    def _dictionary_values(self, file: BinaryIO, start: int, end: int, count: int) -> _Values:
        if not count:
            return _Values(file, np.empty(0, np.int64), np.empty(0, np.int64))
        if self._dictionary is None:
            raise ValueError("indices come before the dictionary")
        if not 0 < end - start <= _LARGEST_LEVELS:
            raise ValueError(f"{end - start} bytes of indices")
        encoded = read_exactly(file, start, end - start)
        indices = decode_hybrid(encoded[1:], encoded[0], count)
        if indices.max() >= len(self._dictionary.sizes):
            raise ValueError(f"an index beyond the {len(self._dictionary.sizes)} values of the dictionary")
        return _Values(self._dictionary.file, self._dictionary.starts[indices], self._dictionary.sizes[indices])

    def _unpack(self, header: PageHeader, keeping: contextlib.ExitStack) -> tuple[BinaryIO, int, int]:
        """Unpacks a page, without the levels of version 2, into a file that ``keeping`` closes.

        Returns:
          The file, and where in it the page starts and ends.
        """
        body, size = header.body + header.levels, header.unpacked - header.levels
        packed = _Section(self._stream, body, header.packed - header.levels)
        self._unpacked += header.unpacked
        if self._unpacked > self._most_unpacked:
            raise PackedTooTightly(f"a column unpacks to more than {self._most_unpacked} bytes")
        codec = self._chunk.codec if header.is_packed else _UNCOMPRESSED
        if codec not in (_UNCOMPRESSED, _SNAPPY, _LZ4_RAW, *_STREAMED):
            raise ValueError(f"pages of codec {codec}")
        if codec == _UNCOMPRESSED and header.packed != header.unpacked:
            raise ValueError("what is not packed has two sizes")
        if not size or (codec == _UNCOMPRESSED and self._direct):
            return self._stream, body, body + size
        file: Any = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115  # closed with the page
        keeping.callback(_delete, file)
        if codec == _SNAPPY:
            unpack_snappy(packed, size, file)
        elif codec == _LZ4_RAW:
            unpack_lz4(packed, size, file)
        elif codec in _STREAMED:
            with pa.CompressedInputStream(pa.PythonFile(packed, "r"), _STREAMED[codec]) as unpacked:
                _copy(unpacked, size, file)
        else:
            _copy(packed, size, file)
        return file, 0, size


def _plain_values(file: BinaryIO, start: int, end: int, count: int) -> _Values:
    """Finds values of encoding PLAIN, each behind its length in four bytes, between two places of a file."""
    starts, sizes = np.empty(count, np.int64), np.empty(count, np.int64)
    for index in range(count):
        size = int.from_bytes(read_exactly(file, start, 4), "little")
        starts[index], sizes[index] = start + 4, size
        start += 4 + size
        if start > end:
            raise ValueError("a value goes beyond its page")
    return _Values(file, starts, sizes)


def _copy(unpacked: BinaryIO | pa.NativeFile, size: int, file: BinaryIO) -> None:
    """Copies all of a stream, which must have so many bytes."""
    while piece := unpacked.read(_PIECE):
        size -= len(piece)
        if size < 0:
            break
        file.write(piece)
    if size:
        raise ValueError("a page unpacks to another size than it says")


class _Section(io.RawIOBase):
    """A part of a file as a stream."""

    def __init__(self, stream: BinaryIO, start: int, size: int):
        self._stream = stream
        self._at, self._end = start, start + size

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        missing = self._end - self._at
        self._stream.seek(self._at)
        piece = self._stream.read(missing if size < 0 else min(size, missing))
        self._at += len(piece)
        return piece


def _delete(file: BinaryIO) -> None:
    with contextlib.suppress(OSError):  # on a full disk the buffer cannot be written, and need not be
        file.close()


@contextlib.contextmanager
def _or_left_to_pyarrow() -> Iterator[None]:
    """Turns what goes wrong while a column is read into ``LeftToPyarrow``."""
    try:
        yield
    except PackedTooTightly:
        raise
    except (OSError, ValueError, pa.ArrowException) as error:
        raise LeftToPyarrow(" ".join(str(error).split()) or type(error).__name__) from error
