"""The first directory of a TIFF file, read without trusting it: no value is followed unless it is asked for."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from transforms.reasons import PhotoError, RejectReason

MOST_ENTRIES = 4_096  # scanners and microscopes write a hundred
# Bytes of a value by its type: TIFF 6.0, section 2; 16 to 18 are BigTIFF's.
_TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_INTEGER_CODES = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}


class TiffEntry(NamedTuple):
    """An entry of a directory.

    Attributes:
      at: where in the file the entry stands.
      tag: what it is of.
      kind: type of its values, 1 to 18.
      values: how many it has.
      start: where in the file its values stand.
      size: bytes of all its values.
      order: ``<`` or ``>``, as of ``struct``.
    """

    at: int
    tag: int
    kind: int
    values: int
    start: int
    size: int
    order: str

    def integers(self, content: bytes, most: int) -> tuple[int, ...]:
        """Returns its values, no more than ``most``; none where they are no integers or lie beyond the end."""
        code, width = _INTEGER_CODES.get(self.kind), _TYPE_BYTES.get(self.kind, 1)
        there = min(self.values, most, max(len(content) - self.start, 0) // width)
        return struct.unpack_from(f"{self.order}{there}{code}", content, self.start) if code and there else ()


def tiff_entries(content: bytes) -> Iterator[TiffEntry]:
    """Yields the entries of a TIFF file's or an EXIF block's first directory (TIFF 6.0, section 2; BigTIFF).

    Raises:
      struct.error: the file ends before its directory does.
      PhotoError: ``corrupt``: the directory is absurdly long.
    """
    order = "<" if content[:1] == b"I" else ">"
    big = struct.unpack_from(order + "H", content, 2)[0] == 43
    counter, layout, pointer, inline = ("Q", "HHQQ", "Q", 8) if big else ("H", "HHII", "I", 4)
    (directory,) = struct.unpack_from(order + pointer, content, 8 if big else 4)
    if directory >= len(content):
        raise struct.error(f"the directory should stand at byte {directory}, beyond the end")
    (entries,) = struct.unpack_from(order + counter, content, directory)
    if entries > MOST_ENTRIES:
        detail = f"the TIFF directory has {entries} entries; at most {MOST_ENTRIES} are believed"
        raise PhotoError(RejectReason.CORRUPT, detail)
    first, step = directory + struct.calcsize(order + counter), struct.calcsize(order + layout)
    for at in range(first, first + entries * step, step):
        tag, kind, count, value = struct.unpack_from(order + layout, content, at)
        size = count * _TYPE_BYTES.get(kind, 0)
        yield TiffEntry(at, tag, kind, count, at + step - inline if size <= inline else value, size, order)
