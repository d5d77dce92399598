"""Columns in large pages, beside what pyarrow reads; pages of a few bytes count as large here."""

import contextlib
import dataclasses
import io
import logging
import resource
import tempfile
import tracemalloc
from unittest import mock

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.sources import (
    PlannedItem,
    SourceOptions,
    WorkItem,
    block_formats,
    large_pages,
    open_source,
    parquet,
    read_photos,
)
from pipeline.sources.column_chunks import Chunk, find_chunk
from pipeline.sources.large_pages import LargeColumn, LeftToPyarrow
from pipeline.sources.parquet import iter_rows, open_parquet
from pipeline.sources.thrift_compact import CompactReader
from tests.fuzz.mutation import EDITS, damaged
from tests.fuzz.targets import ANY_PAGE_IS_LARGE, assert_as_good

STRUCT = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
CODECS = ("none", "snappy", "gzip", "brotli", "zstd", "lz4")
slow = settings(deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


@contextlib.contextmanager
def all_pages_large(**changes):
    """Reads any page as a large one; yields a mock of ``LargeColumn.take``."""
    with (
        mock.patch.multiple(large_pages, **{**ANY_PAGE_IS_LARGE, "_PIECE": 300, **changes}),
        mock.patch.object(block_formats, "_PIECE", 100),
        mock.patch.object(LargeColumn, "take", autospec=True, side_effect=LargeColumn.take) as take,
    ):
        yield take


def read(path, columns=("id", "image"), batch_size=16, row_group=0) -> list[pa.RecordBatch]:
    with open_parquet(str(path)) as file:
        return list(iter_rows(file, row_group, columns, batch_size))


@pytest.fixture
def warned(caplog):
    """The warnings of the test, as text."""
    with caplog.at_level(logging.WARNING, logger="pipeline.sources.parquet"):
        yield lambda: caplog.text


NOISE = np.random.default_rng(7).bytes(5_000)
CONTENTS = st.none() | st.sampled_from((b"", b"x", bytes(900), NOISE[:700], NOISE)) | st.binary(max_size=30)


@st.composite
def tables(draw) -> pa.Table:
    """Tables of ids and pictures, of all types that this module reads."""
    rows = draw(st.integers(1, 60))
    kind = draw(st.sampled_from((pa.binary(), pa.large_binary(), pa.binary_view(), "struct")))
    needed = draw(st.booleans())
    contents = CONTENTS.map(lambda content: content or b"") if needed else CONTENTS
    values = draw(st.lists(contents, min_size=rows, max_size=rows))
    if kind != "struct":
        image, nullable = pa.array(values, kind), not needed
    else:
        inner = pa.field("bytes", draw(st.sampled_from((pa.binary(), pa.large_binary()))), not needed)
        fields = [inner, *draw(st.permutations([pa.field("path", pa.string()), pa.field("size", pa.int32())]))]
        fields = draw(st.permutations(fields[: draw(st.integers(1, 3))]))
        nullable = draw(st.booleans())
        columns = {
            "bytes": pa.array(values, inner.type),
            "path": pa.array([f"{row}.jpg" if row % 3 else None for row in range(rows)], pa.string()),
            "size": pa.array(range(rows), pa.int32()),
        }
        mask = pa.array(draw(st.lists(st.booleans(), min_size=rows, max_size=rows))) if nullable else None
        image = pa.StructArray.from_arrays([columns[field.name] for field in fields], fields=fields, mask=mask)
    schema = pa.schema([("id", pa.int64()), pa.field("image", image.type, nullable), ("kind", pa.string())])
    return pa.Table.from_arrays([pa.array(range(rows)), image, pa.array(["a", None] * rows)[:rows]], schema=schema)


@st.composite
def layouts(draw) -> dict:
    """Settings of pyarrow's writer; small limits mix dictionaries with plain pages."""
    return {
        "compression": draw(st.sampled_from(CODECS)),
        "use_dictionary": draw(st.booleans()),
        "data_page_version": draw(st.sampled_from(("1.0", "2.0"))),
        "version": draw(st.sampled_from(("1.0", "2.6"))),
        "dictionary_pagesize_limit": draw(st.sampled_from((1, 2_000, 1 << 20))),
        "data_page_size": draw(st.sampled_from((1, 500, 1 << 20))),
        "write_batch_size": draw(st.sampled_from((1, 3, 1_024))),
        "write_page_checksum": draw(st.booleans()),
        "store_schema": draw(st.booleans()),
        "row_group_size": draw(st.sampled_from((7, 1_000))),
    }


@settings(slow, max_examples=250)
@given(
    table=tables(),
    layout=layouts(),
    columns=st.permutations(["id", "image", "kind"]),
    batch_size=st.sampled_from((1, 2, 16, 1_000)),
    ready=st.sampled_from((1, 1_500, 1 << 20)),
)
def test_the_same_comes_out_as_of_pyarrow(tmp_path, table, layout, columns, batch_size, ready):
    path = tmp_path / "a.parquet"
    pq.write_table(table, path, **layout)
    columns = columns[: 1 + columns.index("image")]
    for group in range(-(-table.num_rows // layout["row_group_size"])):
        expected = read(path, columns, batch_size, group)
        with (
            all_pages_large(_READY_BYTES=ready) as take,
            mock.patch("pipeline.sources.parquet._LOGGER.warning", side_effect=AssertionError),
        ):
            found = read(path, columns, batch_size, group)
        assert take.called
        assert found[0].schema.equals(expected[0].schema, check_metadata=True)
        whole = pa.Table.from_batches(found)
        whole.validate(full=True)
        assert whole.equals(pa.Table.from_batches(expected))
        assert all(0 < batch.num_rows <= batch_size for batch in found)


def write(path, images, kind=None, **layout) -> str:
    ids = [str(row) for row in range(len(images))]
    pq.write_table(pa.table({"id": ids, "image": pa.array(images, kind or pa.binary())}), path, **layout)
    return str(path)


def test_dictionary_pages_before_plain_ones(tmp_path):
    """The writer gives up its dictionary when that has grown too large."""
    images = [bytes([row]) * 100 for row in range(40)]
    path = write(tmp_path / "a.parquet", images, write_batch_size=10, dictionary_pagesize_limit=1_500)
    with all_pages_large() as take:
        found = pa.Table.from_batches(read(path))
    assert take.called and found["image"].to_pylist() == images


def test_two_columns_in_large_pages(tmp_path):
    """Their pages end at different rows."""
    columns = {"id": list(range(50)), "image": [NOISE[:row] for row in range(50)], "back": [b"b"] * 49 + [NOISE]}
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table(columns), path, use_dictionary=["back"], write_batch_size=7, data_page_size=1)
    with all_pages_large(_READY_BYTES=200) as take:
        found = pa.Table.from_batches(read(path, ["id", "back", "image"]))
    assert len({id(call.args[0]) for call in take.mock_calls}) == 2
    assert found.equals(pa.table(columns).select(["id", "back", "image"]))


def test_from_any_storage(store):
    place, put = store
    stream = io.BytesIO()
    images = [NOISE[row:] for row in range(50)]
    pq.write_table(pa.table({"id": range(50), "image": images}), stream, compression="none")
    put("feed/a.parquet", stream.getvalue())
    source = open_source(place)
    (item,) = source.items()
    with all_pages_large() as take:
        photos = list(read_photos(PlannedItem(item), source.options))
    assert take.called and [photo.content for photo in photos] == images


# --- what is left to pyarrow ---


def test_small_pages_are_not_touched(tmp_path):
    path = write(tmp_path / "a.parquet", [NOISE] * 3, use_dictionary=False)
    for change in ({"LARGE_PAGE": 16_000}, {"_LEAST_MEAN": 6_000}):
        with all_pages_large(**change) as take:
            assert len(read(path)) == 1
        assert not take.called


@pytest.mark.parametrize(
    ("kind", "layout"),
    [
        (pa.binary(), {"column_encoding": {"image": "DELTA_LENGTH_BYTE_ARRAY"}, "use_dictionary": False}),
        (pa.binary(), {"column_encoding": {"image": "DELTA_BYTE_ARRAY"}, "use_dictionary": False}),
        (pa.string(), {}),
        (pa.list_(pa.binary()), {}),
        (pa.dictionary(pa.int32(), pa.binary()), {}),
        (pa.struct([("bytes", pa.binary()), ("bytes", pa.binary())]), {}),
        (pa.struct([("bytes", pa.struct([("bytes", pa.binary())]))]), {}),
    ],
    ids=str,
)
def test_other_layouts_are_read_by_pyarrow(tmp_path, kind, layout):
    texts = pa.array(["a", "b", None, "a"])
    if pa.types.is_struct(kind):
        child = texts.cast(pa.binary())
        if pa.types.is_struct(kind.field(0).type):
            child = pa.StructArray.from_arrays([child], ["bytes"])
        images = pa.StructArray.from_arrays([child] * kind.num_fields, fields=list(kind))
    elif pa.types.is_list(kind):
        images = pa.array([[b"a"], [], None, [b"b", None]], kind)
    else:
        images = texts.cast(pa.binary()).dictionary_encode() if pa.types.is_dictionary(kind) else texts.cast(kind)
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"id": list("1234"), "image": images}), path, **layout)
    expected = read(path)
    with all_pages_large() as take:
        assert read(path) == expected
    assert not take.called


def test_a_column_named_like_a_structs_field(tmp_path):
    images = pa.array([{"bytes": NOISE, "path": "p"}], STRUCT)
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"id": ["a"], "image": images, "image.path": ["q"]}), path)
    with all_pages_large() as take:
        (photo,) = read_photos(PlannedItem(WorkItem(str(path), 0, 0, ("a",))), SourceOptions("id", "image"))
    assert not take.called and photo.content == NOISE


def test_what_fails_halfway_goes_on_with_pyarrow(tmp_path, warned):
    images = [bytes([row]) * 400 for row in range(30)]
    path = write(tmp_path / "a.parquet", images, use_dictionary=False, write_batch_size=7, data_page_size=1)
    with all_pages_large() as take:
        real = LargeColumn._unpack
        at_the_third = [real, real, mock.Mock(side_effect=OSError(28, "No space left on device"))]
        with mock.patch.object(LargeColumn, "_unpack", lambda *of: at_the_third.pop(0)(*of)):
            found = pa.Table.from_batches(read(path))
    assert take.call_count == 2
    assert found["image"].to_pylist() == images and found["id"].to_pylist() == [str(row) for row in range(30)]
    assert "No space left" in warned() and "row group 0 takes memory" in warned()


def test_a_missing_temporary_folder_costs_memory_only(tmp_path, monkeypatch, warned):
    path = write(tmp_path / "a.parquet", [NOISE, NOISE[1:]])
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
    with all_pages_large() as take:
        assert pa.Table.from_batches(read(path))["image"].to_pylist() == [NOISE, NOISE[1:]]
    assert not take.called
    assert str(tmp_path / "gone") in warned()


def test_a_full_disk_costs_memory_only(tmp_path, warned):
    """What stands in a file's buffer can then not be written when it is closed, either."""
    images = [row.to_bytes(4, "little") + NOISE * 20 for row in range(30)]
    path = write(tmp_path / "a.parquet", images)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_100, hard))
    try:
        with all_pages_large() as take:
            found = pa.Table.from_batches(read(path))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not take.called and found["image"].to_pylist() == images
    assert "File too large" in warned() and tempfile.gettempdir() in warned()


def test_files_are_deleted(tmp_path, monkeypatch):
    path = write(tmp_path / "a.parquet", [NOISE, NOISE[1:], NOISE[2:]])
    opened = []
    real = large_pages.tempfile.SpooledTemporaryFile
    monkeypatch.setattr(
        large_pages.tempfile, "SpooledTemporaryFile", lambda *of: opened.append(real(*of)) or opened[-1]
    )
    with all_pages_large(_READY_BYTES=1), open_parquet(path) as file:
        rows = iter_rows(file, 0, ["id", "image"], 16)
        next(rows)
        assert opened and not all(file.closed for file in opened)
        rows.close()
    assert all(file.closed for file in opened)


# --- damage ---


def seed(**layout) -> bytes:
    stream = io.BytesIO()
    images = [NOISE[: 30 * row] if row % 4 else None for row in range(20)]
    kinds = {"id": [f"id-{row}" for row in range(20)], "image": pa.array(images, pa.binary())}
    pq.write_table(pa.table(kinds), stream, **layout)
    return stream.getvalue()


SEEDS = {
    f"{codec}-{version}-{dictionary}": seed(
        compression=codec, data_page_version=version, use_dictionary=dictionary, write_batch_size=6, data_page_size=1
    )
    for codec in CODECS
    for version in ("1.0", "2.0")
    for dictionary in (True, False)
}


def image_chunk(content: bytes) -> Chunk:
    return find_chunk(io.BytesIO(content), 0, 1, 1)


def same_or_refused(path, content: bytes) -> None:
    """What pyarrow reads of a file comes out alike, and what it does not, as photos or as orderly rejections."""
    path.write_bytes(content)
    item = PlannedItem(WorkItem(str(path), 0, 0, tuple(f"id-{row}" for row in range(20))))
    expected = list(read_photos(item, SourceOptions("id", "image")))
    with all_pages_large():
        found = list(read_photos(item, SourceOptions("id", "image")))
    assert_as_good(found, expected)


@settings(slow, max_examples=250)
@given(name=st.sampled_from(sorted(SEEDS)), edits=EDITS, data=st.data())
def test_damaged_pages(tmp_path, name, edits, data):
    """Damage anywhere in the column's bytes, most of it in the first header."""
    content = SEEDS[name]
    chunk = image_chunk(content)
    pages = damaged(content[chunk.start : chunk.end], edits)
    if data.draw(st.booleans()):
        pages = pages[: chunk.end - chunk.start].ljust(chunk.end - chunk.start, b"\0")  # the footer stays right
    same_or_refused(tmp_path / "a.parquet", content[: chunk.start] + pages + content[chunk.end :])


@settings(slow, max_examples=150)
@given(name=st.sampled_from(sorted(SEEDS)), edits=EDITS)
def test_damaged_footers(tmp_path, name, edits):
    same_or_refused(tmp_path / "a.parquet", damaged(SEEDS[name], edits, from_end=True))


@pytest.mark.parametrize("name", ["none-1.0-True", "snappy-1.0-False", "zstd-2.0-True"])
def test_every_byte_of_the_first_pages(tmp_path, name):
    content = SEEDS[name]
    start = image_chunk(content).start
    for at in range(start, start + 60):
        for value in (0, 0x7F, 0xFF, content[at] ^ 1):
            same_or_refused(tmp_path / "a.parquet", content[:at] + bytes([value]) + content[at + 1 :])


def opened(content: bytes, **changes) -> LargeColumn:
    return LargeColumn(io.BytesIO(content), dataclasses.replace(image_chunk(content), **changes), 1 << 20, direct=True)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"values": 5}, "more values than 5"),
        ({"end": 700}, "beyond its column"),
        ({"end": 8}, "within a value"),
        ({"level": 0}, "beyond its page"),
        ({"codec": 1}, "the block"),
        ({"codec": 3}, "of codec 3"),
    ],
)
def test_reasons_are_said(changes, says):
    column = opened(SEEDS["none-1.0-False"], **changes)
    with pytest.raises(LeftToPyarrow, match=says):
        while True:
            column.take(column.ready(100))


def test_the_end_of_a_column():
    column = opened(SEEDS["none-1.0-True"])
    rows = 0
    while rows < 20:
        ready = column.ready(100)
        values, levels = column.take(ready)
        assert len(values) == len(levels) == ready
        rows += ready
    with pytest.raises(LeftToPyarrow, match="no more rows"):
        column.ready(1)


def test_pages_without_values_come_to_an_end():
    """A file of millions of them would keep us for minutes."""
    empty = b"\x15\x00\x15\x00\x15\x00\x2c\x15\x00\x15\x00\x15\x06\x15\x06\x00\x00"  # DATA_PAGE of 0 bytes, 0 values
    assert CompactReader(empty).struct()[5] == {1: 0, 2: 0, 3: 3, 4: 3}
    chunk = Chunk(0, 1_000 * len(empty), 0, 10, 0)
    column = LargeColumn(io.BytesIO(empty * 1_000), chunk, 1 << 20, direct=True)
    with pytest.raises(LeftToPyarrow, match="hardly a value"):
        column.ready(1)
    assert column._pages_read < 200


def test_a_column_that_unpacks_to_more_than_it_may(tmp_path, monkeypatch):
    """Its footer may have said otherwise; pyarrow is not to have a try at it."""
    path = write(tmp_path / "a.parquet", [bytes(100_000), b"x"], compression="zstd")
    real = parquet.open_column
    monkeypatch.setattr(
        parquet, "open_column", lambda *of, **options: real(*of, **{**options, "most_unpacked": 99_999})
    )
    with all_pages_large():
        photos = list(read_photos(PlannedItem(WorkItem(path, 0, 0, ("0", "1"))), SourceOptions("id", "image")))
    assert [photo.reason for photo in photos] == ["fetch_failed"] * 2
    assert "unpacks to more than 99999" in photos[0].detail


# --- memory ---


@pytest.mark.parametrize(
    "layout", [{}, {"compression": "none"}, {"use_dictionary": False, "compression": "zstd"}], ids=str
)
def test_a_page_is_never_whole_in_memory(tmp_path, layout):
    """200 photos of 0.3 MB in one page of 60 MB, large without any patch."""
    noise = np.random.default_rng(0).bytes(300_000)
    path = write(tmp_path / "a.parquet", [row.to_bytes(4, "little") + noise for row in range(200)], **layout)
    before = pa.default_memory_pool()
    pool = pa.proxy_memory_pool(pa.system_memory_pool())
    pa.set_memory_pool(pool)
    tracemalloc.start()
    try:
        source = open_source(path)
        (item,) = source.items()
        count = sum(photo.content[4:] == noise for photo in read_photos(PlannedItem(item), source.options))
        python_peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        pa.set_memory_pool(before)
    assert count == 200
    assert pool.max_memory() < 25_000_000
    assert python_peak < 25_000_000
