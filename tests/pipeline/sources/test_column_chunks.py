"""Where the pages of a column are, beside what pyarrow's metadata says of whole files."""

import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.sources.column_chunks import DATA, DATA_V2, DICTIONARY, Chunk, find_chunk, read_header

CODECS = {"NONE": 0, "SNAPPY": 1, "ZSTD": 6}


def written(**layout) -> bytes:
    stream = io.BytesIO()
    table = pa.table({"id": range(90), "image": [None, b"x" * 500, bytes(500)] * 30})
    pq.write_table(table, stream, row_group_size=40, write_batch_size=10, data_page_size=1, **layout)
    return stream.getvalue()


def pages(content: bytes, chunk: Chunk) -> list:
    stream, at, found = io.BytesIO(content), chunk.start, []
    while at < chunk.end:
        found.append(read_header(stream, at, chunk))
        at = found[-1].body + found[-1].packed
    return found


@pytest.mark.parametrize("version", ["1.0", "2.0"])
@pytest.mark.parametrize("use_dictionary", [True, False])
@pytest.mark.parametrize("codec", CODECS)
def test_a_whole_file(codec, use_dictionary, version):
    content = written(compression=codec.lower(), use_dictionary=use_dictionary, data_page_version=version)
    metadata = pq.read_metadata(io.BytesIO(content))
    for group in range(3):
        column = metadata.row_group(group).column(1)
        chunk = find_chunk(io.BytesIO(content), group, 1, 1)
        start = column.dictionary_page_offset or column.data_page_offset
        assert chunk == Chunk(start, start + column.total_compressed_size, CODECS[codec], column.num_values, 1)
        found = pages(content, chunk)
        kind = DATA if version == "1.0" else DATA_V2
        assert [page.kind for page in found] == [DICTIONARY] * use_dictionary + [kind] * (len(found) - use_dictionary)
        assert sum(page.values for page in found if page.kind != DICTIONARY) == column.num_values
        headers = column.total_compressed_size - sum(page.packed for page in found)
        assert headers + sum(page.unpacked for page in found) == column.total_uncompressed_size
        assert all((page.levels > 0) == (page.kind == DATA_V2) for page in found)


@pytest.mark.parametrize(
    ("content", "group", "leaf"),
    [
        (b"", 0, 1),
        (b"PAR1", 0, 1),
        (b"PAR1" + b"\xff\xff\xff\x7fPAR1", 0, 1),
        (b"PAR1" + b"\x00" + b"\x01\x00\x00\x00PAR1", 0, 1),
        (b"PAR1" + b"\x15" * 4 + b"\x04\x00\x00\x00PAR1", 0, 1),
        (written()[:-1] + b"E", 0, 1),  # an encrypted footer
        (written(), 3, 1),
        (written(), 0, 2),
        (written(), 0, 0),  # not of bytes
    ],
)
def test_no_such_column(content, group, leaf):
    with pytest.raises(ValueError):
        find_chunk(io.BytesIO(content), group, leaf, 1)


@pytest.mark.parametrize(
    ("header", "says"),
    [
        (b"\x15\x00\x15\x14\x15\x14\x2c\x15\x02\x15\x00\x15\x06\x15\x06\x00\x00", None),
        (b"\x15\x00\x15\x14\x15\x28\x2c\x15\x02\x15\x00\x15\x06\x15\x06\x00\x00", "beyond its column"),
        (b"\x15\x00\x15\x13\x15\x14\x2c\x15\x02\x15\x00\x15\x06\x15\x06\x00\x00", "field 2 holds -10"),
        (b"\x15\x00\x15\x14\x15\x14\x2c\x15\x02\x15\x00\x15\x08\x15\x06\x00\x00", "levels of encoding 4"),
        (b"\x15\x00\x15\x14\x15\x14\x00", "without a header of its own"),
        (b"\x15\x02\x15\x14\x15\x14\x00", "a page of kind 1"),
        (b"\x18\x01\x00\x15\x14\x15\x14\x00", "field 1 holds b"),
        (b"\x15\x06\x15\x14\x15\x14\x5c\x15\x02\x15\x00\x15\x02\x15\x00\x15\x16\x15\x00\x00\x00", "11 bytes of levels"),
        (b"\x15\x06\x15\x14\x15\x14\x5c\x15\x02\x15\x00\x15\x02\x15\x00\x15\x02\x15\x02\x00\x00", "bytes of levels"),
        (b"\x15\x00\x15\x14", "within a value"),
    ],
)
def test_headers_that_lie(header, says):
    content = header + bytes(10)
    if says is None:
        assert read_header(io.BytesIO(content), 0, Chunk(0, len(content), 0, 1, 1)).body == len(header)
        return
    with pytest.raises(ValueError, match=says):
        read_header(io.BytesIO(content), 0, Chunk(0, len(content) if says != "within a value" else 4, 0, 1, 1))


def test_a_header_with_long_statistics():
    """Some writers put whole values there."""
    before = b"\x15\x00\x15\x00\x15\x00\x2c\x15\x00\x15\x00\x15\x06\x15\x06\x1c\x18"
    header = before + b"\xf0\xa2\x04" + bytes(70_000) + bytes(3)
    found = read_header(io.BytesIO(header), 0, Chunk(0, len(header), 0, 0, 0))
    assert found.body == len(header)
    too_long = before + b"\xff\xff\xff\x07" + bytes(1 << 24)
    with pytest.raises(ValueError, match="are said to follow"):
        read_header(io.BytesIO(too_long), 0, Chunk(0, len(too_long), 0, 0, 0))
