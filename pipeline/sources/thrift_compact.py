"""Thrift's compact protocol, in which Parquet writes its footer and the headers of its pages.

The format: ``doc/specs/thrift-compact-protocol.md`` of apache/thrift. Maps are not read: Parquet has none.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

_TRUE, _FALSE, _BYTE, _I16, _I32, _I64, _DOUBLE, _BINARY, _LIST, _SET = range(1, 11)
_STRUCT = 12
_MOST_DEPTH = 32
_MOST_VARINT = 70  # bits


class ThriftError(ValueError):
    """What is read is no Thrift."""


class TooShort(ThriftError):
    """There are too few bytes."""


class CompactReader:
    """Reads values one after the other.

    Args:
      data: from the first of them on.

    Attributes:
      at: index in ``data`` of the next value.
    """

    def __init__(self, data: bytes):
        self._data = data
        self.at = 0

    def struct(self, depth: int = 0) -> dict[int, Any]:
        """Reads a struct.

        Returns:
          Its values by the numbers of their fields: bool, int, bytes, list, dict for a struct, None for a float.

        Raises:
          ThriftError: it is none.
        """
        return {field: self.value(kind, depth + 1) for field, kind in self.fields()}

    def fields(self) -> Iterator[tuple[int, int]]:
        """Yields number and kind of each field of a struct; its value must be read before the next.

        Raises:
          ThriftError: it is no struct.
        """
        field = 0
        while header := self._byte():
            delta = header >> 4
            field = field + delta if delta else self._integer()
            yield field, header & 15

    def elements(self, kind: int) -> Iterator[int]:
        """Yields the kind of each element of a list; its value must be read before the next.

        Raises:
          ThriftError: it is no list.
        """
        if kind not in (_LIST, _SET):
            raise ThriftError(f"a list was expected, not kind {kind}")
        header = self._byte()
        count = header >> 4
        if count == 15:
            count = self._varint()
        if count > len(self._data) - self.at:  # each takes a byte at least
            raise TooShort(f"a list of {count} elements in {len(self._data) - self.at} bytes")
        for _ in range(count):
            yield header & 15

    def value(self, kind: int, depth: int = 0) -> Any:
        """Reads a value of this kind, as ``struct`` returns them."""
        if depth > _MOST_DEPTH:
            raise ThriftError(f"structs more than {_MOST_DEPTH} deep")
        if kind in (_TRUE, _FALSE):
            return kind == _TRUE
        if kind == _BYTE:
            return self._byte()
        if kind in (_I16, _I32, _I64):
            return self._integer()
        if kind == _DOUBLE:
            self._take(8)
            return None
        if kind == _BINARY:
            return self._take(self._varint())
        if kind in (_LIST, _SET):
            # In lists, unlike in structs, a byte of its own says whether a bool is true.
            return [
                self._byte() == _TRUE if element in (_TRUE, _FALSE) else self.value(element, depth + 1)
                for element in self.elements(kind)
            ]
        if kind == _STRUCT:
            return self.struct(depth)
        raise ThriftError(f"there is no kind {kind} in Parquet")

    def _byte(self) -> int:
        if self.at >= len(self._data):
            raise TooShort("the data ends within a value")
        self.at += 1
        return self._data[self.at - 1]

    def _take(self, size: int) -> bytes:
        if size > len(self._data) - self.at:
            raise TooShort(f"{size} bytes are said to follow, of which {len(self._data) - self.at} are there")
        self.at += size
        return self._data[self.at - size : self.at]

    def _varint(self) -> int:
        found = 0
        for shift in range(0, _MOST_VARINT, 7):
            byte = self._byte()
            found |= (byte & 0x7F) << shift
            if byte < 0x80:
                return found
        raise ThriftError("a number has no end")

    def _integer(self) -> int:
        zigzag = self._varint()
        return zigzag >> 1 ^ -(zigzag & 1)
