"""Run lengths and bit-packing."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.sources.rle_hybrid import decode_hybrid


def test_the_specifications_example():
    """The numbers 0 to 7, packed with three bits each."""
    assert decode_hybrid(b"\x03\x88\xc6\xfa", 3, 8).tolist() == list(range(8))


@st.composite
def encoded(draw):
    width = draw(st.integers(0, 32))
    data, numbers = b"", []
    for _ in range(draw(st.integers(1, 5))):
        if draw(st.booleans()):
            count, number = draw(st.integers(1, 300)), draw(st.integers(0, 2**width - 1))
            header, packed, run = count << 1, number.to_bytes((width + 7) // 8, "little"), [number] * count
        else:
            groups = draw(st.integers(1, 20))
            run = draw(st.lists(st.integers(0, 2**width - 1), min_size=8 * groups, max_size=8 * groups))
            bits = sum(number << index * width for index, number in enumerate(run))
            header, packed = groups << 1 | 1, bits.to_bytes(groups * width, "little")
        data += (bytes([header & 0x7F | 0x80, header >> 7]) if header > 0x7F else bytes([header])) + packed
        numbers += run
    return data, width, numbers


@settings(deadline=None, derandomize=True)
@given(encoded(), st.data())
def test_any_runs(case, data):
    encoded, width, numbers = case
    count = data.draw(st.integers(0, len(numbers)))
    found = decode_hybrid(encoded, width, count)
    assert found.dtype == np.uint32 and found.tolist() == numbers[:count]


@settings(deadline=None, derandomize=True)
@given(st.binary(max_size=40), st.integers(0, 40), st.integers(0, 1_000))
def test_any_bytes_are_decoded_or_refused(data, width, count):
    try:
        assert len(decode_hybrid(data, width, count)) == count
    except ValueError as error:
        assert str(error)


@pytest.mark.parametrize(
    ("data", "width"),
    [(b"", 1), (b"\x04", 9), (b"\x00\x00" * 10, 1), (b"\x01" * 10, 1), (b"\x80" * 10, 1), (b"\x03", 3), (b"\x02", 33)],
)
def test_damaged_runs(data, width):
    with pytest.raises(ValueError):
        decode_hybrid(data, width, 8)


def test_what_is_claimed_takes_no_memory():
    """A run of two thousand million zeros, of which three are wanted."""
    assert decode_hybrid(b"\xfe\xff\xff\xff\x0f\x00", 1, 3).tolist() == [0, 0, 0]
