"""Raw blocks of Snappy and LZ4, unpacked piece by piece: libraries unpack them whole.

The formats: ``format_description.txt`` of google/snappy, ``doc/lz4_Block_format.md`` of lz4/lz4. Both are sequences of
literals, bytes as they are, and of copies of bytes that were unpacked before. Pictures are nearly all literals.
"""

from __future__ import annotations

import re
from typing import BinaryIO, Protocol

_PIECE = 1 << 18  # bytes; of what is at hand, read or unpacked
_KEPT = 1 << 16  # as far back as LZ4 copies from, and every known compressor of Snappy
# A step takes some microseconds. Where it unpacks fewer bytes than this, a library is very much faster.
_BYTES_A_STEP = 256
_FREE_STEPS = 1 << 16
_SAME_COPIES = re.compile(rb"(...)\1*", re.DOTALL)
_FULL_BYTES = re.compile(rb"\xff*")


class BlockError(ValueError):
    """A block is not as its format says, or takes too many steps to unpack here."""


class Readable(Protocol):
    """What packed bytes are read from."""

    def read(self, size: int, /) -> bytes:
        """Returns ``size`` bytes, fewer at the end alone."""


def unpack_snappy(packed: Readable, size: int, unpacked: BinaryIO) -> None:
    """Unpacks a block of Snappy, without a frame around it, in less than 20 MB of memory.

    Args:
      packed: the block and nothing behind it.
      size: bytes that it must unpack to.
      unpacked: a file to be read and written, in which they are put from its start.

    Raises:
      BlockError: the block is damaged, unpacks to another size, or packs so finely that it is left to others.
      OSError: of ``packed`` and ``unpacked``.
    """
    block = _Block(packed, size, unpacked)
    stated = shift = 0
    while shift < 35:
        byte = block.number(1)
        stated |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            break
    if stated != size:
        raise BlockError(f"the block says that it unpacks to {stated} bytes, not {size}")
    while block.more():
        tag = block.number(1)
        kind, length = tag & 3, (tag >> 2) + 1
        if kind == 0:
            block.literal(length if length <= 60 else block.number(length - 60) + 1)
        elif kind == 1:
            block.copy((tag >> 5) << 8 | block.number(1), (tag >> 2 & 7) + 4)
        elif kind == 2:
            distance = block.number(2)
            # What repeats itself is one such copy after the other; zeros would take ten million of them.
            block.copy(distance, length * block.repeated(bytes([tag]) + distance.to_bytes(2, "little")))
        else:
            block.copy(block.number(4), length)
    block.finish()


def unpack_lz4(packed: Readable, size: int, unpacked: BinaryIO) -> None:
    """Unpacks a block of LZ4, without a frame around it; as ``unpack_snappy`` does."""
    block = _Block(packed, size, unpacked)
    while block.more():
        token = block.number(1)
        block.literal(block.length(token >> 4))
        if not block.more():  # the last sequence has no copy
            break
        distance = block.number(2)
        block.copy(distance, block.length(token & 15) + 4)
    block.finish()


class _Block:
    """A block that is unpacked: what comes next of it, and what of the unpacked may be copied again."""

    def __init__(self, packed: Readable, size: int, unpacked: BinaryIO):
        self._packed = packed
        self._data, self._at = b"", 0
        self._unpacked = unpacked
        self._recent, self._stored = bytearray(), 0
        self._size, self._missing = size, size
        self._steps = 0

    def more(self) -> bool:
        """Whether there are more bytes in the block."""
        if self._at == len(self._data):
            self._data, self._at = self._packed.read(_PIECE), 0
            if self._steps > _FREE_STEPS + (self._size - self._missing) // _BYTES_A_STEP:
                raise BlockError(f"the block packs so finely that {self._steps} steps unpack only the start of it")
        return self._at < len(self._data)

    def number(self, size: int) -> int:
        """Reads a little-endian number of so many bytes."""
        end = self._at + size
        if end > len(self._data):
            self._data, self._at = self._data[self._at :] + self._packed.read(_PIECE), 0
            end = size
            if end > len(self._data):
                raise BlockError("the block ends too early")
        found = int.from_bytes(self._data[self._at : end], "little")
        self._at = end
        return found

    def length(self, first: int) -> int:
        """Reads how an LZ4 length goes on if its first four bits are all set."""
        if first < 15:
            return first
        while self.more():
            full = _FULL_BYTES.match(self._data, self._at)
            assert full is not None
            first += 255 * (full.end() - self._at)
            self._at = full.end()
            if self._at < len(self._data):
                break
        return first + self.number(1)

    def repeated(self, element: bytes) -> int:
        """Passes over further elements that are the same as the one before; returns how often it came in all."""
        if not self._data.startswith(element, self._at):
            return 1
        same = _SAME_COPIES.match(self._data, self._at)
        assert same is not None
        times = (same.end() - self._at) // len(element)
        self._at = same.end()
        return 1 + times

    def literal(self, size: int) -> None:
        """Takes bytes as they are."""
        self._claim(size)
        while size:
            if not self.more():
                raise BlockError("the block ends too early")
            piece = self._data[self._at : self._at + size]
            self._at += len(piece)
            size -= len(piece)
            self._append(piece)

    def copy(self, distance: int, size: int) -> None:
        """Repeats bytes from ``distance`` back on, those it writes among them."""
        self._claim(size)
        if not 0 < distance <= self._stored + len(self._recent):
            raise BlockError(f"the block copies from {distance} bytes back, where it has no bytes")
        pattern = self._from(distance, min(distance, size))
        if size > len(pattern):
            pattern *= min(-(-size // len(pattern)), -(-_PIECE // len(pattern)))
        while size > len(pattern):
            self._append(pattern)
            size -= len(pattern)
        self._append(pattern[:size])

    def finish(self) -> None:
        """Stores the last bytes."""
        if self._missing:
            raise BlockError(f"the block unpacks to {self._missing} bytes too few")
        self._unpacked.write(self._recent)

    def _claim(self, size: int) -> None:
        self._steps += 1
        self._missing -= size
        if self._missing < 0:
            raise BlockError(f"the block unpacks to more than {self._size} bytes")

    def _from(self, distance: int, size: int) -> bytes:
        start = len(self._recent) - distance
        if start < 0:  # no known compressor copies from so far
            self._unpacked.write(self._recent)
            self._stored += len(self._recent)
            self._recent.clear()
            self._unpacked.seek(self._stored - distance)
            pattern = self._unpacked.read(size)
            self._unpacked.seek(self._stored)
            return pattern
        return bytes(self._recent[start : start + size])

    def _append(self, piece: bytes) -> None:
        self._recent += piece
        if len(self._recent) > _PIECE + _KEPT:
            self._unpacked.write(self._recent[:-_KEPT])
            self._stored += len(self._recent) - _KEPT
            del self._recent[:-_KEPT]
