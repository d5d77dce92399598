import dataclasses
import datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.previous import load_previous
from pipeline.records import KnownPhoto
from pipeline.refresh import classify, latest_run, new_run_name, plan_refresh, sliced
from pipeline.sources.items import PlannedItem, WorkItem
from tests.pipeline.previous_run import CONFIG, MODEL, RUN, SHA, in_memory, row


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
    (tmp_path / "LATEST").write_text(f"{RUN}\n")
    assert latest_run(str(tmp_path)) == RUN
    (tmp_path / "LATEST").write_text("../../somewhere")
    with pytest.raises(ValueError, match=r"holds '../../somewhere', which is no run's name; restore"):
        latest_run(str(tmp_path))


def test_without_a_previous_run():
    previous = load_previous("nowhere", None, fingerprint=CONFIG, model_sha256=MODEL)
    assert len(previous) == 0
    assert previous.known(previous.positions(["a", "b"])) == [None, None]
    plan = plan_refresh([WorkItem("in/a", None, 0, ("a",), "1"), WorkItem("in/b", None, 0, ("b",), "1")], previous)
    assert (plan.new, plan.known, len(plan.unmoved), len(plan.removed)) == (2, 0, 0, 0)
    assert not list(previous.carried(plan.unmoved, 1))


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
    assert plan.outdated == 1
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
    facts = {i: KnownPhoto("p", int(i), "u", SHA, None, current=True) for i in ids[::3]}
    planned = PlannedItem(WorkItem("f", 0, 0, ids), facts, tuple(sorted(i for i in passed_over if i < size)))
    pieces = list(sliced(planned, rows))
    assert [i for piece in pieces for i in piece.ids()] == planned.ids()
    assert all(len(piece.ids()) <= rows for piece in pieces)
    assert len({len(piece.ids()) // 2 for piece in pieces}) <= 2
    assert all(facts[i] == piece.known[i] for piece in pieces for i in piece.ids() if i in facts)
    # each names the rows from its first photo to its last, and where they begin
    assert all(piece.item.first_row == piece.item.skipped for piece in pieces)
    named = [i for piece in pieces for i in range(piece.item.skipped, piece.item.skipped + len(piece.item.ids))]
    assert [ids[i] for i in named] == [i for piece in pieces for i in piece.item.ids] and len(set(named)) == len(named)
    if len(pieces) > 1:
        assert sum(len(piece.known) for piece in pieces) == len(facts.keys() & set(planned.ids()))


@pytest.mark.parametrize("megabytes, pieces", [(0, 6), (10, 6), (128, 4), (500, 1), (5000, 1)])
def test_a_group_of_many_bytes_is_read_few_times(megabytes, pieces):
    item = WorkItem("f", 0, 0, tuple(map(str, range(60))), bytes=megabytes << 20)
    assert len(list(sliced(PlannedItem(item), 10))) == pieces


def test_a_feed_of_references_keeps_many_workers_busy():
    # a million addresses in one row group, as pyarrow writes them; scaled down by ten, bytes and all
    ids = tuple(map(str, range(100_000)))
    plan = plan_refresh([WorkItem("feed.parquet", 0, 0, ids, bytes=11 << 20)], in_memory([]))
    assert len(plan.items) == 100 and sum(len(piece.item.ids) for piece in plan.items) == len(ids)


def test_classify():
    known = KnownPhoto("part", 0, "uri", SHA, None, current=True)
    assert classify(SHA, None) == "new"
    assert classify(SHA, known) == "unchanged"
    assert classify("0" * 64, known) == "changed"
    assert classify(SHA, dataclasses.replace(known, current=False)) == "changed"
