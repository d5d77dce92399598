"""From work items to photos."""

import dataclasses
import datetime
import decimal
import io
import tracemalloc

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.testing.util import assert_that

from pipeline.records import KnownPhoto, Photo, Rejection
from pipeline.refresh import sliced
from pipeline.sources import PlannedItem, ReadPhotos, SourceOptions, WorkItem, open_source, parquet, read_photos


def write(path, table, **options) -> str:
    pq.write_table(table if isinstance(table, pa.Table) else pa.table(table), path, **options)
    return str(path)


KNOWN = KnownPhoto("catalogue/run/part-00000-of-00001.parquet", 4, "old", "a" * 64, "1:2", current=True)


def read_all(source) -> list[Photo | Rejection]:
    return [photo for item in source.items() for photo in read_photos(PlannedItem(item), source.options)]


STRUCT = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def test_rows_become_photos(tmp_path):
    path = write(
        tmp_path / "a.parquet",
        {"id": [f"p{i}" for i in range(40)], "image": [bytes([i]) for i in range(40)], "kind": list(range(40))},
        row_group_size=25,
    )
    source = open_source(path, attribute_columns=["kind"])
    photos = read_all(source)
    assert [p.id for p in photos] == [f"p{i}" for i in range(40)]
    assert [p.source_uri for p in photos] == [f"{path}#{i}" for i in range(40)]
    assert [p.content for p in photos] == [bytes([i]) for i in range(40)]
    assert [p.attributes for p in photos] == [{"kind": i} for i in range(40)]


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary(), pa.binary_view()])
def test_bytes_of_any_layout(tmp_path, kind):
    images = pa.array([b"abc", None, b""], pa.binary()).cast(kind)
    photos = read_all(open_source(write(tmp_path / "a.parquet", {"id": ["1", "2", "3"], "image": images})))
    assert (photos[0].content, photos[2].content) == (b"abc", b"")
    assert isinstance(photos[1], Rejection)
    assert (photos[1].id, photos[1].stage, photos[1].reason) == ("2", "read", "empty")
    assert photos[1].source_uri.endswith("a.parquet#1")


def test_hugging_face_structs(tmp_path):
    images = [{"bytes": b"x", "path": "x.png"}, {"bytes": None, "path": "y.png"}, {"bytes": None, "path": None}, None]
    path = write(tmp_path / "a.parquet", {"id": list("abcd"), "image": pa.array(images, STRUCT)})
    a, b, c, d = read_all(open_source(path))
    assert (a.content, a.source_uri) == (b"x", f"{path}#0")
    assert (b.content, b.source_uri) == (None, str(tmp_path / "y.png"))
    assert c.reason == d.reason == "empty"


def test_uris(tmp_path):
    uris = ["https://shop.example/1.png?v=2", "sub/2.png", "/abs/3.png", "gs://b/4.png", "", None]
    path = write(tmp_path / "a.parquet", {"id": list("123456"), "url": uris})
    photos = read_all(open_source(path, image_column="url"))
    assert [p.source_uri for p in photos[:4]] == [uris[0], str(tmp_path / "sub" / "2.png"), uris[2], uris[3]]
    assert all(p.content is None for p in photos[:4])
    assert [p.reason for p in photos[4:]] == ["empty", "empty"]


def test_relative_uris_in_an_object_store(store):
    place, put = store
    stream = io.BytesIO()
    pq.write_table(pa.table({"id": ["1"], "image": ["x/1.png"]}), stream)
    put("feed/a.parquet", stream.getvalue())
    (photo,) = read_all(open_source(place))
    assert photo.source_uri == f"{place}/feed/x/1.png"


def test_image_files_are_left_to_be_fetched():
    item = WorkItem("in/a.png", None, 0, ("a.png",), "7:8")
    (photo,) = read_photos(PlannedItem(item, {"a.png": KNOWN}), SourceOptions())
    assert photo == Photo("a.png", "in/a.png", known=KNOWN, source_version="7:8")


def test_the_last_run_comes_along(tmp_path):
    source = open_source(write(tmp_path / "a.parquet", {"id": [1, 2], "image": [b"x", b"y"]}))
    (item,) = source.items()
    photos = list(read_photos(PlannedItem(item, {"2": KNOWN}), source.options))
    assert [(p.id, p.known) for p in photos] == [("1", None), ("2", KNOWN)]
    assert {p.source_version for p in photos} == {item.version} and item.version.endswith("#image")


def test_photos_are_passed_over(tmp_path):
    ids = list(range(40))
    source = open_source(write(tmp_path / "a.parquet", {"id": ids, "image": [b"%d" % i for i in ids]}))
    (item,) = source.items()
    planned = PlannedItem(item, passed_over=tuple(i for i in ids if i not in (3, 17, 39)))
    assert [(p.id, p.content) for p in read_photos(planned, source.options)] == [
        ("3", b"3"), ("17", b"17"), ("39", b"39"),
    ]  # fmt: skip
    assert planned.ids() == ["3", "17", "39"]
    (tmp_path / "a.parquet").unlink()
    gone = list(read_photos(planned, source.options))
    assert [(r.id, r.reason) for r in gone] == [(i, "not_found") for i in ("3", "17", "39")]


@pytest.mark.parametrize("column", [[b"%d" % i for i in range(3_000)], [f"gs://b/{i}.jpg" for i in range(3_000)]])
def test_pieces_of_a_row_group_together_read_each_row_once(tmp_path, column):
    path = write(tmp_path / "a.parquet", {"id": range(3_000), "image": column}, row_group_size=2_500)
    source = open_source(path)
    pieces = [piece for item in source.items() for piece in sliced(PlannedItem(item), 700)]
    photos = [photo for piece in pieces for photo in read_photos(piece, source.options)]
    assert len(pieces) == 5 and [p.id for p in photos] == [str(i) for i in range(3_000)]
    assert [p.content or p.source_uri.encode() for p in photos] == [
        c if isinstance(c, bytes) else c.encode() for c in column
    ]
    if source.options.uris:
        return
    assert [p.source_uri for p in photos] == [f"{path}#{i}" for i in range(3_000)]


def test_pictures_of_another_category_are_not_current(tmp_path):
    columns = {"id": ["a", "b", "c"], "image": [b"x"] * 3, "kind": ["hat", "shoe", None]}
    source = open_source(write(tmp_path / "a.parquet", columns), attribute_columns=["kind"])
    (item,) = source.items()
    known = dataclasses.replace(KNOWN, category="hat")
    planned = PlannedItem(item, dict.fromkeys("abc", known))
    by_kind = dataclasses.replace(source.options, category_column="kind")
    assert [p.known.current for p in read_photos(planned, by_kind)] == [True, False, False]
    assert [p.known.current for p in read_photos(planned, source.options)] == [True, True, True]


@pytest.mark.parametrize(
    "column",
    [
        pa.array([datetime.datetime(2024, 1, 2, 3), None], pa.timestamp("us", "UTC")),
        pa.array([1_700_000_000_123_456_789, None], pa.timestamp("ns")),
        pa.array([123_456_789_123, None], pa.time64("ns")),
        pa.array([123_456_789_123, None], pa.duration("ns")),
        pa.array([datetime.date(2024, 1, 2), None], pa.date32()),
        pa.array([decimal.Decimal("1.50"), None], pa.decimal128(9, 2)),
        pa.array([["a", None], None], pa.list_(pa.string())),
        pa.array([{"x": 1}, None], pa.struct([("x", pa.int16())])),
        pa.array([0.1, None], pa.float32()),
        pa.array(["a", "b"]).dictionary_encode(),
        pa.array([True, None]),
    ],
    ids=lambda column: str(column.type),
)
def test_attributes_survive_unchanged(tmp_path, column):
    path = write(tmp_path / "a.parquet", {"id": ["1", "2"], "image": [b"x", b"y"], "extra": column})
    source = open_source(path, attribute_columns=["extra"])
    values = [photo.attributes["extra"] for photo in read_all(source)]
    assert pa.array(values, source.attribute_schema.field("extra").type).equals(column)


# --- files that break in mid-job ---


def planned_then(tmp_path, change):
    path = tmp_path / "a.parquet"
    table = pa.table({"id": [str(i) for i in range(60)], "image": [bytes([i]) * 2000 for i in range(60)]})
    write(path, table, compression="none", use_dictionary=False, row_group_size=20)
    source = open_source(str(path))
    items = list(source.items())
    change(path)
    return [photo for item in items for photo in read_photos(PlannedItem(item), source.options)]


def test_a_file_cut_after_planning(tmp_path):
    photos = planned_then(tmp_path, lambda path: path.write_bytes(path.read_bytes()[:50_000]))
    assert [p.id for p in photos] == [str(i) for i in range(60)]
    assert all(isinstance(p, Rejection) and p.reason == "fetch_failed" and p.stage == "read" for p in photos)
    assert [p.source_uri.rpartition("#")[2] for p in photos] == [str(i) for i in range(60)]


def test_a_file_removed_after_planning(tmp_path):
    photos = planned_then(tmp_path, lambda path: path.unlink())
    assert [p.id for p in photos] == [str(i) for i in range(60)]
    assert {p.reason for p in photos} == {"not_found"}


def test_one_damaged_row_group(tmp_path):
    def damage(path):
        content = path.read_bytes()
        at = content.index(bytes([25]) * 2000)
        path.write_bytes(content[: at - 4] + b"\xff\xff\xff\x7f" + content[at:])

    photos = planned_then(tmp_path, damage)
    assert [p.id for p in photos] == [str(i) for i in range(60)]
    rejected = [p.id for p in photos if isinstance(p, Rejection)]
    assert set(rejected) <= {str(i) for i in range(20, 40)} and "25" in rejected
    assert all(p.content == bytes([int(p.id)]) * 2000 for p in photos if isinstance(p, Photo))


def test_a_file_replaced_after_planning(tmp_path):
    table = {"id": [str(i) for i in range(10, 25)], "image": [b"x"] * 15}
    photos = planned_then(tmp_path, lambda path: write(path, table))
    assert [p.id for p in photos] == [str(i) for i in range(60)]
    assert {p.reason for p in photos} == {"fetch_failed"}
    assert "id '10'" in photos[0].detail and "fewer rows" in photos[15].detail


# --- memory ---


def test_a_row_group_is_streamed(tmp_path):
    """600 photos of 0.3 MB in one row group: 180 MB, of which no more than a few are in memory at a time."""
    rng = np.random.default_rng(0)
    schema = pa.schema([("id", pa.string()), ("image", pa.binary())])
    path = tmp_path / "a.parquet"
    with pq.ParquetWriter(path, schema, compression="none", use_dictionary=False, write_batch_size=4) as writer:
        image = rng.bytes(300_000)
        table = pa.table({"id": [str(i) for i in range(600)], "image": [image] * 600}, schema=schema)
        writer.write_table(table, row_group_size=600)
    del table
    source = open_source(str(path))
    (item,) = source.items()
    pool = pa.default_memory_pool()
    before, peak, count = pool.bytes_allocated(), 0, 0
    tracemalloc.start()
    for photo in read_photos(PlannedItem(item), source.options):
        assert len(photo.content) == 300_000
        peak = max(peak, pool.bytes_allocated() - before)
        count += 1
    python_peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 600
    assert peak < 20_000_000
    assert python_peak < 20_000_000


# --- stage ---


def test_the_stage_parts_photos_and_rejections(tmp_path):
    source = open_source(write(tmp_path / "a.parquet", {"id": ["1", "2"], "image": [b"x", None]}))

    def check_photos(found):
        (photo,) = found
        assert (photo.id, photo.content) == ("1", b"x")
        assert photo.milliseconds["read"] > 0

    def check_rejections(found):
        assert [(r.id, r.reason) for r in found] == [("2", "empty")]

    with beam.Pipeline(runner=FnApiRunner()) as pipeline:
        items = pipeline | beam.Create([PlannedItem(item) for item in source.items()]) | beam.Reshuffle()
        photos, rejected = items | ReadPhotos(source.options)
        assert_that(photos, check_photos, label="photos")
        assert_that(rejected, check_rejections, label="rejections")


def no_utf8(*values: bytes | None) -> pa.Array:
    """Strings of any bytes: Arrow checks them only when it is asked to."""
    return pa.array(values, pa.binary()).view(pa.string())


def test_text_that_is_no_utf8_costs_no_photo_but_its_own(tmp_path):
    table = {
        "id": no_utf8(b"a", b"\xff%", b"c", b"d"),
        "image": pa.StructArray.from_arrays(
            [pa.array([b"x", b"y", None, b"z"], pa.binary()), no_utf8(b"p", b"p", b"\xff.jpg", b"\xff.jpg")],
            names=["bytes", "path"],
        ),
        "seller": no_utf8(b"\xff", b"b", b"c", None),
        "since": pa.array([2**31 - 1, 0, 0, 0], pa.int32()).cast(pa.date32()),
    }
    source = open_source(write(tmp_path / "a.parquet", table), attribute_columns=["seller", "since"])
    a, b, c, d = read_all(source)
    assert [photo.id for photo in (a, b, c, d)] == ["a", "./%FF%25", "c", "d"]
    assert (a.content, b.content, d.content) == (b"x", b"y", b"z")
    assert isinstance(c, Rejection) and c.reason == "fetch_failed" and "UTF-8" in c.detail
    assert a.attributes == {"seller": None, "since": None}
    assert b.attributes == {"seller": "b", "since": datetime.date(1970, 1, 1)}


def test_what_unpacks_to_hundreds_of_times_as_much_is_not_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet, "_ORDINARY_BYTES", 4 << 20)
    path = tmp_path / "a.parquet"
    images = pa.array([bytes(8 << 20)], pa.binary())
    pq.write_table(pa.table({"id": ["a"], "image": images}), path, compression="zstd", use_dictionary=False)
    assert path.stat().st_size < 1 << 15
    (photo,) = read_photos(PlannedItem(WorkItem(str(path), 0, 0, ("a",))), SourceOptions("id", "image"))
    assert isinstance(photo, Rejection) and "unpacks to" in photo.detail
