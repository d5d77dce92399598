import dataclasses
import datetime
import itertools

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pytest
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import refresh
from pipeline.records import Asset, KnownPhoto, Photo, catalogue_row, catalogue_schema
from pipeline.refresh import PreviousRows, classify, latest_run, load_previous, new_run_name, plan_refresh, sliced
from pipeline.sinks import storage
from pipeline.sinks.tables import CarriedRows, WriteTable, carried_tables, shard_of, to_arrow
from pipeline.sources.items import PlannedItem, WorkItem

_SHA, _CONFIG, _MODEL = "a" * 64, "b" * 64, "c" * 64
_RUN = "20261122T223000Z-3f9a1c"
_SCHEMA = catalogue_schema(pa.schema([("category", pa.string())]))


def row(photo_id, **changes):
    asset = Asset("mask", f"assets/mask/00/{photo_id}.png", 4, 5, 6, "d" * 64, "image/png")
    photo = Photo(
        photo_id, f"old/{photo_id}.jpg", source_sha256=_SHA, source_version=f"v {photo_id}", assets=(asset,),
        attributes={"category": "shirt"}, width=4, height=5, bbox=(1, 2, 3, 4), coverage=0.5,
    )  # fmt: skip
    made = {"model": "m", "model_sha256": _MODEL, "config_fingerprint": _CONFIG, "packshot_version": "1"}
    return {**catalogue_row(photo, **made), **changes}


def store_run(output, rows, *, shards=3, schema=_SCHEMA, assets=True):
    with beam.Pipeline(runner=FnApiRunner()) as p:
        p | beam.Create(rows) | WriteTable(str(output), "catalogue", _RUN, schema, shards)
    for asset in itertools.chain.from_iterable(row["assets"] for row in rows if assets):
        storage.write_bytes(storage.join(str(output), asset["uri"]), b"sixsix")


def loaded(output, **changes):
    return load_previous(str(output), _RUN, **{"fingerprint": _CONFIG, "model_sha256": _MODEL, **changes})


def in_memory(rows, parts=1, current=None):
    """Rows as if they stood in some files, one after the other."""
    tables = [to_arrow(part.tolist(), _SCHEMA) for part in np.array_split(np.array(rows, object), parts)]
    return PreviousRows([f"part {i}" for i in range(parts)], tables, current, schema=_SCHEMA)


def test_run_names_sort_by_time_and_differ():
    now = datetime.datetime(2026, 11, 22, 23, 30, tzinfo=datetime.timezone(datetime.timedelta(hours=1)))
    names = {new_run_name(now) for _ in range(50)}
    assert len(names) == 50
    assert all(name.startswith("20261122T223000Z-") for name in names)
    assert max(names) < new_run_name(now + datetime.timedelta(seconds=1))
    with pytest.raises(ValueError, match="needs a time zone"):
        new_run_name(datetime.datetime(2026, 11, 22))


def test_latest_run(tmp_path):
    assert latest_run(str(tmp_path)) is None
    (tmp_path / "LATEST").write_text(f"{_RUN}\n")
    assert latest_run(str(tmp_path)) == _RUN
    (tmp_path / "LATEST").write_text("../../somewhere")
    with pytest.raises(ValueError, match=r"holds '../../somewhere', which is no run's name; restore"):
        latest_run(str(tmp_path))


def test_what_is_known_of_a_photo(tmp_path):
    rows = [row(f"id {i}") for i in range(20)]
    store_run(tmp_path, rows)
    previous = loaded(tmp_path)
    assert len(previous) == 20 and len(previous.parts) == 3 and previous.schema.equals(_SCHEMA)
    known = previous.known(previous.positions([r["id"] for r in rows] + ["other"]))
    assert known.pop() is None
    for fact, expected in zip(known, rows, strict=True):
        assert fact == KnownPhoto(
            fact.part, fact.position, expected["source_uri"], _SHA, expected["source_version"], current=True
        )
        (table,) = carried_tables(str(tmp_path), [CarriedRows(0, fact.part, (fact.position,), {})], _SCHEMA)
        assert table.to_pylist() == [expected]


def test_without_a_previous_run():
    previous = load_previous("nowhere", None, fingerprint=_CONFIG, model_sha256=_MODEL)
    assert len(previous) == 0
    assert previous.known(previous.positions(["a", "b"])) == [None, None]
    plan = plan_refresh([WorkItem("in/a", None, 0, ("a",), "1"), WorkItem("in/b", None, 0, ("b",), "1")], previous)
    assert (plan.new, plan.known, len(plan.unmoved), len(plan.removed)) == (2, 0, 0, 0)
    assert not list(previous.carried(plan.unmoved, 1))


def test_a_missing_or_cut_table_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match=f"no catalogue table of run '{_RUN}'"):
        loaded(tmp_path)
    store_run(tmp_path, [row("a")], shards=1)
    part = tmp_path / "catalogue" / _RUN / "part-00000-of-00001.parquet"
    part.write_bytes(part.read_bytes()[:-20])
    with pytest.raises(ValueError, match="is not a whole Parquet file .* name an older run of this folder in LATEST"):
        loaded(tmp_path)


def test_positions_when_hashes_collide(monkeypatch):
    monkeypatch.setattr(refresh, "hash", lambda text: len(text), raising=False)
    rows = [row(photo_id) for photo_id in ("aa", "b", "cc", "dd", "e")]
    previous = in_memory(rows, parts=2)
    assert previous.positions(["dd", "ee", "aa", "e", "x"]).tolist() == [3, -1, 0, 4, -1]
    assert previous.missing_from(["cc", "b", "zz"]).tolist() == [0, 3, 4]


@pytest.mark.parametrize(
    "changes, options, current",
    [
        ({}, {}, True),
        ({"config_fingerprint": "0" * 64}, {}, False),
        ({"model_sha256": "0" * 64}, {}, False),
        ({}, {"fingerprint": "0" * 64}, False),
        ({}, {"full_refresh": True}, False),
    ],
)
def test_pictures_are_current_if_nothing_that_decides_them_changed(tmp_path, changes, options, current):
    store_run(tmp_path, [row("a", **changes), row("b", config_fingerprint="1" * 64)])
    previous = loaded(tmp_path, **options)
    assert [fact.current for fact in previous.known(previous.positions(["a", "b"]))] == [current, False]


@pytest.mark.parametrize("content", [None, b"six"])
def test_pictures_that_are_gone_or_cut_are_not_current(tmp_path, content):
    store_run(tmp_path, [row("a"), row("b")])
    path = tmp_path / "assets" / "mask" / "00" / "a.png"
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    previous = loaded(tmp_path)
    assert [fact.current for fact in previous.known(previous.positions(["a", "b"]))] == [False, True]


@pytest.mark.parametrize("prefix", ["", "file://"])
@pytest.mark.parametrize("suffix", ["", "/"])
def test_assets_are_found_however_the_folder_is_written(tmp_path, prefix, suffix):
    store_run(tmp_path, [row("a")])
    assert loaded(f"{prefix}{tmp_path}{suffix}").current.all()


def test_rows_of_an_older_version_are_not_current(tmp_path):
    schema = pa.schema([field for field in _SCHEMA if field.name != "colour_shift"])
    older = {name: value for name, value in row("a").items() if name != "colour_shift"}
    store_run(tmp_path, [older], schema=schema)
    assert not loaded(tmp_path).current.any()


def test_rows_from_before_versions_were_kept_are_read_again(tmp_path):
    schema = pa.schema([field for field in _SCHEMA if field.name != "source_version"])
    store_run(tmp_path, [{name: value for name, value in row("a").items() if name != "source_version"}], schema=schema)
    previous = loaded(tmp_path)
    (fact,) = previous.known(previous.positions(["a"]))
    assert fact.current and fact.source_version is None
    plan = plan_refresh([WorkItem("old/a.jpg", None, 0, ("a",), "v a")], previous)
    assert (plan.known, len(plan.unmoved)) == (1, 0)


def test_categories_come_along_where_pictures_depend_on_them(tmp_path):
    store_run(tmp_path, [row("a"), row("b", category=None)])
    previous = loaded(tmp_path, category_column="category")
    assert [fact.category for fact in previous.known(previous.positions(["a", "b"]))] == ["shirt", None]


def test_only_a_photo_that_storage_shows_unmoved_is_passed_over():
    previous = in_memory([row(i) for i in "abcde"], parts=2, current=np.array([1, 1, 1, 0, 1], bool))
    items = [
        WorkItem("old/a.jpg", None, 0, ("a",), "v a"),  # as it was
        WorkItem("new/b.jpg", None, 0, ("b",), "v b"),  # elsewhere
        WorkItem("old/c.jpg", None, 0, ("c",), "v 2"),  # touched
        WorkItem("old/d.jpg", None, 0, ("d",), "v d"),  # to be made anew
        WorkItem("old/f.jpg", None, 0, ("f",), "v f"),  # new
    ]
    plan = plan_refresh(items, previous)
    assert [planned.ids() for planned in plan.items] == [["b"], ["c"], ["d"], ["f"]]
    assert (plan.new, plan.known, plan.unmoved.tolist(), plan.removed.tolist()) == (1, 3, [0], [4])
    assert plan.items[0].known["b"].part == "part 0" and plan.items[3].known == {}
    careful = plan_refresh(items, previous, trust_storage=False)
    assert (len(careful.items), careful.known, len(careful.unmoved)) == (5, 4, 0)


def test_rows_of_a_file_are_passed_over_one_by_one():
    rows = [row(i, source_uri=f"f.parquet#{n}", source_version="v#image") for n, i in enumerate("abcd")]
    previous = in_memory(rows, current=np.array([1, 0, 1, 1], bool))
    plan = plan_refresh([WorkItem("f.parquet", 0, 0, ("a", "b", "x", "c"), "v#image")], previous)
    (planned,) = plan.items
    assert planned.ids() == ["b", "x", "c"]  # c stands in another row than before
    assert plan.unmoved.tolist() == [0] and plan.removed.tolist() == [3]


def test_a_replay_reads_nothing_but_what_it_was_asked_for():
    previous = in_memory([row(i) for i in "abc"])
    items = [WorkItem(f"old/{i}.jpg", None, 0, (i,), "touched") for i in "abxyz"]
    plan = plan_refresh(items, previous, only=frozenset("xz"))
    assert [planned.ids() for planned in plan.items] == [["x"], ["z"]]
    assert plan.unmoved.tolist() == [0, 1, 2] and not len(plan.removed)


@settings(max_examples=50, deadline=None)
@given(
    st.sets(st.text("abc", max_size=3), max_size=20),
    st.dictionaries(st.text("abc", max_size=3), st.booleans(), max_size=20),
    st.integers(1, 3),
)
def test_a_plan_accounts_for_every_photo(now, then, parts):
    order = sorted(then)
    previous = in_memory([row(i) for i in order], parts, np.array([then[i] for i in order], bool))
    items = [WorkItem(f"old/{i}.jpg", None, 0, (i,), f"v {i}") for i in sorted(now)]
    plan = plan_refresh(items, previous)
    unmoved = set(previous.ids(plan.unmoved))
    assert unmoved == {i for i in now if then.get(i)}
    assert {i for planned in plan.items for i in planned.ids()} == now - unmoved
    assert plan.new == len(now - then.keys())
    assert plan.new + plan.known + len(plan.unmoved) == len(now)
    assert set(previous.ids(plan.removed)) == then.keys() - now


@given(st.integers(1, 60), st.sets(st.integers(0, 59)), st.integers(1, 20))
def test_a_large_group_is_cut_into_pieces(size, passed_over, rows):
    ids = tuple(map(str, range(size)))
    facts = {i: KnownPhoto("p", int(i), "u", _SHA, None, current=True) for i in ids[::3]}
    planned = PlannedItem(WorkItem("f", 0, 0, ids), facts, tuple(sorted(i for i in passed_over if i < size)))
    pieces = list(sliced(planned, rows))
    assert [i for piece in pieces for i in piece.ids()] == planned.ids()
    assert all(len(piece.ids()) <= rows for piece in pieces)
    assert len({len(piece.ids()) // 2 for piece in pieces}) <= 2
    assert all(facts[i] == piece.known[i] for piece in pieces for i in piece.ids() if i in facts)
    if len(pieces) > 1:
        assert sum(len(piece.known) for piece in pieces) == len(facts.keys() & set(planned.ids()))


@pytest.mark.parametrize("megabytes, pieces", [(0, 6), (10, 6), (128, 4), (500, 1), (5000, 1)])
def test_a_group_of_many_bytes_is_read_few_times(megabytes, pieces):
    item = WorkItem("f", 0, 0, tuple(map(str, range(60))), bytes=megabytes << 20)
    assert len(list(sliced(PlannedItem(item), 10))) == pieces


@pytest.mark.parametrize("shards", [1, 3, 4])
def test_carried_rows_are_named_by_their_new_shard(tmp_path, shards):
    rows = [row(f"id {i}") for i in range(30)]
    store_run(tmp_path, rows, shards=3)
    previous = loaded(tmp_path)
    taken = previous.positions([f"id {i}" for i in range(0, 30, 2)])
    found = []
    for carried in previous.carried(taken, shards, refresh="unchanged"):
        (table,) = carried_tables(str(tmp_path), [carried], _SCHEMA)
        assert all(shard_of(r["id"], shards) == carried.shard for r in table.to_pylist())
        found += table.to_pylist()
    expected = [{**r, "refresh": "unchanged"} for r in rows[::2]]
    assert sorted(found, key=lambda r: r["id"]) == sorted(expected, key=lambda r: r["id"])


def test_classify():
    known = KnownPhoto("part", 0, "uri", _SHA, None, current=True)
    assert classify(_SHA, None) == "new"
    assert classify(_SHA, known) == "unchanged"
    assert classify("0" * 64, known) == "changed"
    assert classify(_SHA, dataclasses.replace(known, current=False)) == "changed"
