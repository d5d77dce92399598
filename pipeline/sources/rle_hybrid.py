"""Parquet's hybrid of run lengths and bit-packing, in which levels and dictionary indices are written.

The format: "Run Length Encoding / Bit-Packing Hybrid" in ``Encodings.md`` of apache/parquet-format.
"""

from __future__ import annotations

import numpy as np


def decode_hybrid(data: bytes, width: int, count: int) -> np.ndarray:
    """Decodes small numbers.

    Args:
      data: runs, without their length before them.
      width: bits of a number, 0 to 32.
      count: numbers wanted; what ``data`` has behind them does not matter.

    Returns:
      uint32[count].

    Raises:
      ValueError: there are fewer, or the runs are damaged.
    """
    if not 0 <= width <= 32:
        raise ValueError(f"numbers of {width} bits")
    found = np.empty(count, np.uint32)
    run: np.ndarray | np.uint32
    filled = at = 0
    while filled < count:
        header, at = _varint(data, at)
        length = header >> 1
        if header & 1:
            groups = min(length, -(-(count - filled) // 8))
            run = _unpacked(data[at : at + groups * width], width, groups)[: count - filled]
            at += groups * width
            length = len(run)
        else:
            size = (width + 7) // 8
            if at + size > len(data):
                raise ValueError("the runs end too early")
            length = min(length, count - filled)
            run = np.uint32(int.from_bytes(data[at : at + size], "little"))
            at += size
        if not length:
            raise ValueError("a run of no length")
        found[filled : filled + length] = run
        filled += length
    return found


def _unpacked(packed: bytes, width: int, groups: int) -> np.ndarray:
    """Returns the numbers of groups of eight, each of so many bits; fewer if there are not enough bytes."""
    if not width:
        return np.zeros(8 * groups, np.uint32)
    bits = np.unpackbits(np.frombuffer(packed, np.uint8), bitorder="little")
    count = len(bits) // width
    numbers = np.zeros((count, 32), np.uint8)
    numbers[:, :width] = bits[: count * width].reshape(count, width)
    return np.packbits(numbers, axis=1, bitorder="little").view("<u4").ravel()


def _varint(data: bytes, at: int) -> tuple[int, int]:
    found = 0
    for shift in range(0, 35, 7):
        if at >= len(data):
            raise ValueError("the runs end too early")
        byte = data[at]
        at += 1
        found |= (byte & 0x7F) << shift
        if byte < 0x80:
            return found, at
    raise ValueError("a run's length has no end")
