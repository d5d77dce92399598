import datetime
import os

import apache_beam as beam
import pyarrow as pa
import pytest
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.testing.util import assert_that, equal_to
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import refresh
from pipeline.records import TRAILING_COLUMNS, Asset, Photo, catalogue_row, catalogue_schema
from pipeline.refresh import (
    CarryOver,
    PreviousRows,
    carry_over,
    classify,
    latest_run,
    load_previous,
    new_run_name,
    plan_refresh,
)
from pipeline.sinks import storage
from pipeline.sinks.tables import WriteTable, encode_table, to_arrow

_SHA, _CONFIG, _MODEL = "a" * 64, "b" * 64, "c" * 64
_RUN = "20261122T223000Z-3f9a1c"
_SCHEMA = catalogue_schema(pa.schema([("category", pa.string())]))


def _photo(photo_id, **changes):
    fields = {"source_uri": f"old/{photo_id}.jpg", "source_sha256": _SHA, "attributes": {"category": "shirt"}}
    return Photo(id=photo_id, **{**fields, **changes})


def _row(photo_id):
    asset = Asset("mask", f"assets/mask/00/{photo_id}.png", 4, 5, 6, "d" * 64, "image/png")
    photo = _photo(photo_id, width=4, height=5, bbox=(1, 2, 3, 4), coverage=0.5, assets=(asset,))
    return catalogue_row(photo, model="m", model_sha256=_MODEL, config_fingerprint=_CONFIG, packshot_version="1")


def _store_asset(output, photo_id, content=b"sixsix"):
    storage.write_bytes(storage.join(str(output), f"assets/mask/00/{photo_id}.png"), content)


def _now(output):
    return {"output": str(output), "fingerprint": _CONFIG, "model_sha256": _MODEL}


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


def test_load_previous(tmp_path):
    assert load_previous(str(tmp_path), None) is None
    with pytest.raises(FileNotFoundError, match=f"no catalogue table of run '{_RUN}'"):
        load_previous(str(tmp_path), _RUN)
    rows = [_row(f"id {i}") for i in range(20)]
    with beam.Pipeline(runner=FnApiRunner()) as p:
        p | beam.Create(rows) | WriteTable(str(tmp_path), "catalogue", _RUN, _SCHEMA, 3)
    previous = PreviousRows(load_previous(str(tmp_path), _RUN))
    assert previous.rows([row["id"] for row in rows]) == rows


def test_rows_by_id():
    rows = [_row(f"id {i}") for i in range(100)]
    previous = PreviousRows(to_arrow(rows, _SCHEMA))
    assert len(previous) == 100
    assert previous.rows(["id 7", "other", "id 0", "id 7"]) == [rows[7], None, rows[0], rows[7]]
    assert previous.rows([]) == []
    assert previous.positions(["id 99", "", "id 3"]).tolist() == [99, -1, 3]


def test_rows_by_id_when_hashes_collide(monkeypatch):
    monkeypatch.setattr(refresh, "hash", lambda text: len(text), raising=False)
    rows = [_row(photo_id) for photo_id in ("aa", "b", "cc", "dd", "e")]
    previous = PreviousRows(to_arrow(rows, _SCHEMA))
    assert previous.rows(["dd", "ee", "aa", "e", "x"]) == [rows[3], None, rows[0], rows[4], None]
    assert previous.missing_from(["cc", "b", "zz"]) == ["aa", "dd", "e"]


def test_without_a_previous_run():
    previous = PreviousRows(None)
    assert previous.rows(["a", "b"]) == [None, None]
    plan = plan_refresh(["a", "b"], previous)
    assert (plan.new, plan.known, plan.removed) == (2, 0, ())


@settings(max_examples=50, deadline=None)
@given(st.sets(st.text(max_size=3), max_size=20), st.sets(st.text(max_size=3), max_size=20))
def test_plan_agrees_with_sets(now, then):
    table = pa.table({"id": pa.array(sorted(then), pa.string())})
    plan = plan_refresh(sorted(now), PreviousRows(table))
    assert plan.new == len(now - then)
    assert plan.known == len(now & then)
    assert list(plan.removed) == sorted(then - now)


@pytest.mark.parametrize(
    "now, there, expected",
    [
        ((_SHA, _CONFIG, _MODEL), True, "unchanged"),
        ((_SHA, _CONFIG, _MODEL), False, "changed"),
        (("0" * 64, _CONFIG, _MODEL), True, "changed"),
        ((_SHA, "0" * 64, _MODEL), True, "changed"),
        ((_SHA, _CONFIG, "0" * 64), True, "changed"),
    ],
)
def test_classify(now, there, expected):
    assert classify(*now, _row("a"), lambda: there) == expected
    assert classify(*now, None, lambda: there) == "new"


def test_storage_is_not_asked_in_vain():
    def ask():
        raise AssertionError("asked")

    assert classify("0" * 64, _CONFIG, _MODEL, _row("a"), ask) == "changed"
    assert classify(_SHA, _CONFIG, _MODEL, None, ask) == "new"


def test_unchanged_photo_keeps_its_row_but_not_its_attributes(tmp_path):
    _store_asset(tmp_path, "a")
    photo = _photo("a", source_uri="new/a.jpg", attributes={"category": "dress"}, previous=_row("a"))
    done, row = carry_over(photo, **_now(tmp_path))
    assert done.refresh == "unchanged" and done.previous is None
    assert row == {**_row("a"), "refresh": "unchanged", "source_uri": "new/a.jpg", "category": "dress"}
    assert to_arrow([row], _SCHEMA).to_pylist() == [row]


def test_attribute_columns_are_those_of_now(tmp_path):
    _store_asset(tmp_path, "a")
    _, row = carry_over(_photo("a", attributes={"seller": 7}, previous=_row("a")), **_now(tmp_path))
    assert row["seller"] == 7
    assert "category" not in row


@pytest.mark.parametrize("content", [None, b"six"])
def test_missing_or_cut_asset_is_made_again(tmp_path, content):
    if content is not None:
        _store_asset(tmp_path, "a", content)
    photo, row = carry_over(_photo("a", previous=_row("a")), **_now(tmp_path))
    assert row is None
    assert photo.refresh == "changed" and photo.previous is None


def test_assets_that_cannot_be_looked_up_are_made_again(tmp_path, caplog):
    unreachable = {**_now(tmp_path), "output": "ftp://host/out"}
    photo, row = carry_over(_photo("a", previous=_row("a")), **unreachable)
    assert row is None and photo.refresh == "changed"
    assert "'a' is done again, because its assets cannot be looked up" in caplog.text


def test_full_refresh_does_everything_again(tmp_path):
    _store_asset(tmp_path, "a")
    photo, row = carry_over(_photo("a", previous=_row("a")), **_now(tmp_path), full_refresh=True)
    assert row is None and photo.refresh == "changed"


def test_row_of_an_older_version_is_made_again(tmp_path):
    _store_asset(tmp_path, "a")
    older = {name: value for name, value in _row("a").items() if name != "colour_shift"}
    assert carry_over(_photo("a", previous=older), **_now(tmp_path))[0].refresh == "changed"


def test_row_of_a_version_without_trailing_columns_is_carried_over_with_nulls(tmp_path):
    _store_asset(tmp_path, "a")
    older = {name: value for name, value in _row("a").items() if name not in TRAILING_COLUMNS}
    _, row = carry_over(_photo("a", previous=older), **_now(tmp_path))
    assert row == {**_row("a"), **dict.fromkeys(TRAILING_COLUMNS), "refresh": "unchanged"}
    assert list(to_arrow([row], _SCHEMA).column_names)[-len(TRAILING_COLUMNS) :] == list(TRAILING_COLUMNS)


def test_photos_are_parted_in_a_pipeline(tmp_path):
    _store_asset(tmp_path, "same")
    photos = [
        _photo("same", previous=_row("same")),
        _photo("other bytes", previous=_row("other bytes"), source_sha256="0" * 64),
        _photo("rejected last time"),
        _photo("unread", source_sha256=None),
    ]
    with beam.Pipeline(runner=FnApiRunner()) as p:
        work, rows, rejections = p | beam.Create(photos) | CarryOver(str(tmp_path), _CONFIG, _MODEL)
        work = work | "Work" >> beam.Map(lambda photo: (photo.id, photo.refresh))
        rows = rows | "Rows" >> beam.Map(lambda row: (row["id"], row["refresh"]))
        rejections = rejections | "Rejections" >> beam.Map(lambda r: (r.id, r.stage, r.reason))
        expected = [("other bytes", "changed"), ("rejected last time", "new")]
        assert_that(work, equal_to(expected), label="work")
        assert_that(rows, equal_to([("same", "unchanged")]), label="rows")
        assert_that(rejections, equal_to([("unread", "refresh", "internal")]), label="rejections")


def test_row_carried_over_twice_is_the_same(tmp_path):
    _store_asset(tmp_path, "a")
    photo = _photo("a", previous=_row("a"))
    second = carry_over(photo, **_now(tmp_path))[1]
    third = carry_over(photo.replace(previous=second), **_now(tmp_path))[1]
    assert encode_table(to_arrow([second], _SCHEMA)) == encode_table(to_arrow([third], _SCHEMA))
    assert os.listdir(tmp_path) == ["assets"]
