"""Work items and the check that ids are unique."""

import pickle
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.records import KnownPhoto
from pipeline.sources.items import PlannedItem, SourceError, WorkItem, check_unique


def test_items_are_light_and_picklable():
    planned = PlannedItem(
        WorkItem("a.parquet", 2, 100, ("x", "y")), {"x": KnownPhoto("p", 1, "u", "s", None, True)}, (1,)
    )
    assert pickle.loads(pickle.dumps(planned)) == planned
    assert planned.item.place(1) == "a.parquet#101"
    assert WorkItem("a.png", None, 0, ("a.png",)).place(0) == "a.png"


def test_duplicates_are_named_with_both_places():
    items = [
        WorkItem("a.parquet", 0, 0, ("p", "q")),
        WorkItem("a.parquet", 1, 2, ("r", "q")),
        WorkItem("b.parquet", 0, 0, ("s", "q")),
    ]
    with pytest.raises(SourceError) as caught:
        check_unique(items)
    assert str(caught.value) == (
        "1 id is used more than once, and each must name one photo: 'q' at a.parquet#1 and a.parquet#3 and 1 more"
    )


def test_only_the_first_few_duplicates_are_named():
    ids = tuple(f"id{i}" for i in range(20))
    with pytest.raises(
        SourceError, match="20 ids are used .*'id0' at a#0 and b#0.*'id4' .*; and 15 more ids$"
    ) as caught:
        check_unique([WorkItem("a", 0, 0, ids), WorkItem("b", 0, 0, ids)])
    assert "\n" not in str(caught.value)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.lists(st.text(max_size=3), max_size=6), max_size=6))
def test_an_error_means_duplicates_and_the_other_way_round(groups):
    items = [WorkItem("f", index, 0, tuple(group)) for index, group in enumerate(groups)]
    ids = [name for group in groups for name in group]
    if len(set(ids)) == len(ids):
        check_unique(items)
    else:
        with pytest.raises(SourceError):
            check_unique(items)


def test_many_ids_take_little_memory():
    items = [WorkItem("f", group, 0, tuple(f"{group}-{i}" for i in range(1000))) for group in range(200)]
    tracemalloc.start()
    check_unique(items)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 40 * 200_000  # a set of the ids takes more than 100 bytes each
