import hashlib
import io

import apache_beam as beam
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.testing.util import assert_that, equal_to

from pipeline.first_look import LookAtPhotos, Twins, look_at, tell
from pipeline.records import KnownPhoto
from pipeline.sinks.carried import CarriedRows
from pipeline.sinks.tables import shard_of
from pipeline.sources import read
from pipeline.sources.fetch import fetch_photo
from pipeline.sources.items import PlannedItem, SourceOptions, WorkItem
from pipeline.sources.read import read_photos

BYTES = SourceOptions("id", "image", ("colour",))
IDS = tuple("abcdefgh")


def fetch(photo):
    return fetch_photo(photo, max_bytes=100, timeout=1, retries=0)


def known(position, content, **changes):
    digest = hashlib.sha256(content).hexdigest()
    facts = {"source_uri": "before", "source_version": "v1", "current": True, **changes}
    return KnownPhoto("part", position, source_sha256=digest, **facts)


@pytest.fixture
def feed(tmp_path):
    """Eight photos of which a and b are new and the same, c is null, d changed, and e to h are as they were."""
    images = [b"new", b"new", None, b"changed", b"e", b"f", b"g", b"h"]
    table = pa.table({"id": IDS, "image": images, "colour": [f"of {i}" for i in IDS]})
    pq.write_table(table, tmp_path / "feed.parquet")
    facts = {"c": known(2, b"c"), "d": known(3, b"d"), **{i: known(n, i.encode()) for n, i in enumerate("efgh", 4)}}
    return PlannedItem(WorkItem(str(tmp_path / "feed.parquet"), 0, 0, IDS, version="v2"), facts, passed_over=(7,))


def test_unchanged_photos_are_settled_and_the_others_left(feed):
    *found, left = look_at(feed, BYTES, fetch, 3)
    carried = [row for row in found if isinstance(row, CarriedRows)]
    rows = {
        position: (kept.part, kept.shard, {name: kept.column(name)[index] for name in kept.names()})
        for kept in carried
        for index, position in enumerate(kept.positions)
    }
    now = {"source_version": "v2", "refresh": "unchanged"}
    assert rows == {
        n: ("part", shard_of(i, 3), {"source_uri": feed.item.place(n), "colour": f"of {i}", **now})
        for n, i in enumerate("efg", 4)
    }
    assert len(carried) == len({shard_of(i, 3) for i in "efg"})
    keys = {photo_id: key for key, photo_id in (pair for pair in found if isinstance(pair, tuple))}
    assert list(keys) == ["a", "b", "d"] and keys["a"] == keys["b"] != keys["d"]
    assert left.passed_over == (4, 5, 6, 7) and left.item == feed.item


def test_only_what_is_left_is_read_again(feed, monkeypatch):
    *_, left = look_at(feed, BYTES, fetch, 3)
    monkeypatch.setattr(read, "_ROWS_A_BATCH", 2)
    looked_at = []
    monkeypatch.setattr(read, "image_value", lambda image: looked_at.append(image.as_py()) or image.as_py())
    assert [found.id for found in read_photos(left, BYTES)] == ["a", "b", "c", "d"]
    assert looked_at == [b"new", b"new", None, b"changed"]


def test_an_item_of_which_nothing_is_left_is_not_passed_on(tmp_path):
    (tmp_path / "a").write_bytes(b"1")
    item = WorkItem(str(tmp_path / "a"), None, 0, ("a",), version="v2")
    (row,) = look_at(PlannedItem(item, {"a": known(5, b"1")}), SourceOptions(), fetch, 1)
    assert row.positions == (5,) and row.each["refresh"] == ["unchanged"]


@pytest.mark.parametrize("fact", [known(0, b"1", current=False), known(0, b"2"), None])
def test_what_needs_work_is_left(tmp_path, fact):
    (tmp_path / "a").write_bytes(b"1")
    planned = PlannedItem(WorkItem(str(tmp_path / "a"), None, 0, ("a",)), {"a": fact} if fact else {})
    (_, photo_id), left = look_at(planned, SourceOptions(), fetch, 1)
    assert photo_id == "a" and left == planned


def test_what_cannot_be_read_is_left_to_be_rejected(tmp_path):
    planned = PlannedItem(WorkItem(str(tmp_path / "gone"), None, 0, ("a",)), {"a": known(0, b"1")})
    assert list(look_at(planned, SourceOptions(), fetch, 1)) == [planned]

    def broken(photo):
        raise RuntimeError("of the program")

    assert list(look_at(planned, SourceOptions(), broken, 1)) == [planned]


def test_known_addresses_are_asked_later(tmp_path):
    uri = "http://nobody.invalid/x.jpg"
    sink = io.BytesIO()
    pq.write_table(pa.table({"id": ["a"], "image": [uri]}), sink)
    (tmp_path / "feed.parquet").write_bytes(sink.getvalue())
    facts = {"a": known(0, b"1", source_uri=uri)}
    planned = PlannedItem(WorkItem(str(tmp_path / "feed.parquet"), 0, 0, ("a",)), facts)
    assert list(look_at(planned, SourceOptions("id", "image", uris=True), fetch, 1)) == [planned]


def test_items_are_told_of_their_photos_alone():
    planned = PlannedItem(WorkItem("f.parquet", 0, 0, ("a", "b", "c", "d")), passed_over=(3,))
    told = tell(planned, Twins({"b": "a", "d": "a", "x": "c", "y": "z"}))
    assert (told.leader_of, told.leads) == ({"b": "a"}, {"a", "c"})
    assert [(told.photo(i).leader, told.photo(i).leads) for i in range(3)] == [(None, True), ("a", False), (None, True)]


def test_in_a_pipeline(feed):
    with beam.Pipeline(runner=FnApiRunner()) as p:
        items, carried, twins = p | beam.Create([feed]) | LookAtPhotos(BYTES, fetch, 3)
        left = items | "Left" >> beam.Map(lambda planned: planned.ids())
        assert_that(left, equal_to([["a", "b", "c", "d"]]), label="items")
        positions = carried | "Positions" >> beam.FlatMap(lambda rows: rows.positions)
        assert_that(positions, equal_to([4, 5, 6]), label="carried")
        assert_that(twins, equal_to([Twins({"b": "a"})]), label="twins")
