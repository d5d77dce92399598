import pathlib

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.records import NEAR_DUPLICATES_SCHEMA
from pipeline.report import alike, build_report
from pipeline.report.alike import linked, near_duplicates


def pair(first, second, distance=2, colour=0.0, refresh=("unchanged", "unchanged")):
    return {
        "id_a": first, "id_b": second, "distance": distance, "detail_distance": 6 * distance, "colour_distance": colour,
        "hash_a": "0" * 16, "hash_b": "0" * 16, "refresh_a": refresh[0], "refresh_b": refresh[1],
        "source_uri_a": f"/feed/{first}.jpg", "source_uri_b": f"/feed/{second}.jpg", "more": False,
    }  # fmt: skip


def write(output, rows, parts=2):
    folder = pathlib.Path(output, "near_duplicates", "first")
    folder.mkdir(parents=True)
    for part in range(parts):
        table = pa.Table.from_pylist(rows[part::parts], schema=NEAR_DUPLICATES_SCHEMA)
        pq.write_table(table, folder / f"part-{part:05d}-of-{parts:05d}.parquet")


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)).filter(lambda ends: ends[0] != ends[1]), max_size=40))
def test_groups_are_what_pairs_link(ends):
    rows = [pair(f"p{a:02d}", f"p{b:02d}") for a, b in ends]
    groups = linked(rows)
    names = [name for group in groups for name in group.photos]
    assert len(names) == len(set(names))
    assert set(names) == {row[side] for row in rows for side in ("id_a", "id_b")}
    assert sum(len(group.pairs) for group in groups) == len(rows)
    for row in rows:
        assert any({row["id_a"], row["id_b"]} <= group.photos.keys() for group in groups)
    for group in groups:  # as few links as hold a group together
        assert len(group.pairs) >= len(group.photos) - 1


def test_news_come_first_then_copies_then_the_larger(tmp_path):
    write(
        tmp_path,
        [
            pair("a1", "a2"),
            pair("b1", "b2"), pair("b2", "b3"),
            pair("c1", "c2", colour=20.0), pair("c1", "c3", colour=30.0), pair("c1", "c4", colour=9.0),
            pair("d1", "d2", refresh=("unchanged", "new")),
        ],
    )  # fmt: skip
    found = near_duplicates(str(tmp_path), "first", lambda rows: ())
    assert [group["pictures"][0]["id"] for group in found["shown"]] == ["d1", "b1", "a1", "c1"]
    assert [group["recoloured"] for group in found["shown"]] == [False, False, False, True]
    assert (found["pairs"], found["groups"], found["photos"], found["partly"]) == ("7", "4", "11", "")


def test_section_stays_small(tmp_path, monkeypatch):
    monkeypatch.setattr(alike, "MOST_PAIRS", 150)
    write(tmp_path, [pair(f"g{n % 20:02d}-0", f"g{n % 20:02d}-{1 + n // 20:02d}") for n in range(200)], parts=1)
    found = near_duplicates(str(tmp_path), "first", lambda rows: ())
    assert found["pairs"] == "200" and found["partly"] == "150"
    assert len(found["shown"]) == alike.MOST_GROUPS
    for group in found["shown"]:
        assert len(group["pictures"]) == alike.MOST_PHOTOS
        assert int(group["more"]) == int(group["photos"]) - alike.MOST_PHOTOS


@pytest.mark.parametrize("budget, shown", [(alike.BUDGET, 2), (10, 0)])
def test_page_shows_the_photos_side_by_side(small_run, monkeypatch, budget, shown):
    monkeypatch.setattr(alike, "BUDGET", budget)
    names = sorted(row["id"] for row in small_run.rows)[:2]
    row = {**pair(*names), "source_uri_a": "/feed/a.jpg", "source_uri_b": "/feed/b.jpg"}
    write(small_run.output, [row], parts=1)
    text = build_report(small_run.output, "first", small_run.run_json, read_sources=small_run.read_sources)
    assert "2 photos in 1 group look the same" in text
    assert text.count('alt="Photo: photo-') == shown
    assert text.count("no picture") == 2 - shown


def test_run_without_the_table_or_without_pairs_says_so(small_run):
    def build():
        return build_report(small_run.output, "first", small_run.run_json)

    assert "The run has no table of near-duplicates." in build()
    write(small_run.output, [])
    assert "No two photos look the same" in build()


def test_photo_that_is_gone_leaves_a_gap(tmp_path):
    write(tmp_path, [pair("a", "b")])

    def read(rows):
        yield 1, b"no picture"
        raise FileNotFoundError(rows[0]["source_uri"])

    (group,) = near_duplicates(str(tmp_path), "first", read)["shown"]
    assert [picture["thumbnail"] for picture in group["pictures"]] == [None, None]
