"""Thrift's compact protocol."""

import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.sources.thrift_compact import CompactReader, ThriftError, TooShort


def test_a_struct_of_every_kind():
    data = (
        b"\x11\x12"  # 1: true, 2: false
        b"\x13\x07"  # 3: a byte
        b"\x15\x03"  # 4: -2
        b"\x16\xac\x02"  # 5: 150
        b"\x17" + bytes(8) +  # 6: a float
        b"\x18\x02hi"  # 7
        b"\x19\x35\x02\x04\x06"  # 8: 1, 2, 3
        b"\x19\x21\x01\x02"  # 9: true, false
        b"\x1c\x15\x02\x00"  # 10: a struct
        b"\x05\x28\x02"  # 20, by its number
        b"\x00rest"
    )  # fmt: skip
    reader = CompactReader(data)
    assert reader.struct() == {
        1: True, 2: False, 3: 7, 4: -2, 5: 150, 6: None, 7: b"hi", 8: [1, 2, 3], 9: [True, False], 10: {1: 1}, 20: 1,
    }  # fmt: skip
    assert data[reader.at :] == b"rest"


def test_a_footer():
    stream = io.BytesIO()
    pq.write_table(pa.table({"id": ["a", "b"], "image": [b"x", None]}), stream, row_group_size=1)
    content = stream.getvalue()
    footer = CompactReader(content[-8 - int.from_bytes(content[-8:-4], "little") :]).struct()
    assert footer[3] == 2
    assert [element[4] for element in footer[2]] == [b"schema", b"id", b"image"]
    assert [group[3] for group in footer[4]] == [1, 1]


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"", TooShort),
        (b"\x15", TooShort),
        (b"\x18\x05hi", TooShort),
        (b"\x19\xf5\xff\xff\xff\xff\x0f\x02", TooShort),
        (b"\x17" + bytes(7), TooShort),
        (b"\x15" + b"\xff" * 20, ThriftError),
        (b"\x1b\x00", ThriftError),
        (b"\x1c" * 1_000, ThriftError),
        (b"\x19\x19" * 1_000, ThriftError),
    ],
)
def test_damage(data, error):
    with pytest.raises(error):
        CompactReader(data).struct()


@settings(deadline=None, derandomize=True, max_examples=300)
@given(st.binary(max_size=100))
def test_any_bytes_are_read_or_refused(data):
    reader = CompactReader(data)
    try:
        assert isinstance(reader.struct(), dict)
    except ThriftError as error:
        assert str(error)
    assert reader.at <= len(data)
