import hashlib
import os
import random

import apache_beam as beam
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.testing.util import assert_that
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.records import REJECTIONS_SCHEMA, Asset, Photo, catalogue_row, catalogue_schema
from pipeline.sinks.tables import PackRows, ShardSummary, WriteTable, encode_table, read_table, shard_of, to_arrow

_RUN = "20261122T223000Z-3f9a1c"
_SCHEMA = catalogue_schema(pa.schema([("category", pa.string()), ("price", pa.float64())]))


def _row(number, **changes):
    asset = Asset("mask", f"assets/mask/00/{number}.png", 400, 533, 10_000 + number, "d" * 64, "image/png")
    photo = Photo(
        id=f"sku-{number}",
        source_uri=f"in.parquet#{number}",
        source_sha256="a" * 64,
        attributes={"category": "shirt" if number % 2 else None, "price": number / 3},
        refresh="unchanged" if number % 5 == 0 else "new",
        width=400,
        height=533,
        bbox=None if number % 7 == 0 else (1, 2, 3, 4),
        coverage=number / 100,
        assets=(asset,),
    )
    row = catalogue_row(photo, model="m", model_sha256="c" * 64, config_fingerprint="b" * 64, packshot_version="1")
    return {**row, **changes}


def _rejection(number):
    return {
        "id": f"bad-{number}", "source_uri": "in", "source_sha256": None, "stage": "decode",
        "reason": "truncated" if number % 2 else "empty", "detail": "…", "config_fingerprint": "b" * 64,
    }  # fmt: skip


def _write(output, rows, table="catalogue", schema=_SCHEMA, shards=3, runner=None, options=None, check=None):
    with beam.Pipeline(runner=runner or FnApiRunner(), options=options) as p:
        summaries = p | beam.Create(rows) | WriteTable(str(output), table, _RUN, schema, shards)
        if check:
            assert_that(summaries, check)


def _files(output, table="catalogue"):
    folder = os.path.join(output, table, _RUN)
    return {name: open(os.path.join(folder, name), "rb").read() for name in sorted(os.listdir(folder))}


def test_rows_come_back_sorted_within_shards(tmp_path):
    rows = [_row(i) for i in range(40)]
    _write(tmp_path, random.Random(1).sample(rows, 40))
    assert list(_files(tmp_path)) == [f"part-{i:05d}-of-00003.parquet" for i in range(3)]
    table = read_table(str(tmp_path), "catalogue", _RUN)
    assert table.column_names == _SCHEMA.names
    expected = sorted(rows, key=lambda row: (shard_of(row["id"], 3), row["id"]))
    assert [row["id"] for row in table.to_pylist()] == [row["id"] for row in expected]
    single = _row(3)
    found = next(row for row in table.to_pylist() if row["id"] == single["id"])
    assert found == {**single, "coverage": pytest.approx(single["coverage"])}


def test_only_some_columns_are_read(tmp_path):
    _write(tmp_path, [_row(i) for i in range(4)])
    table = read_table(str(tmp_path), "catalogue", _RUN, columns=["id", "status"])
    assert table.column_names == ["id", "status"]
    assert table.num_rows == 4


def test_schema_of_every_file_is_the_pinned_one(tmp_path):
    _write(tmp_path, [_row(1)])
    for name in _files(tmp_path):
        assert pq.read_schema(tmp_path / "catalogue" / _RUN / name).equals(_SCHEMA)


def test_bytes_do_not_depend_on_order_bundles_or_workers(tmp_path):
    rows = [_row(i) for i in range(60)]
    shuffled = random.Random(2).sample(rows, 60)
    two_workers = PipelineOptions(direct_num_workers=2, direct_running_mode="multi_threading")
    _write(tmp_path / "plain", rows)
    _write(tmp_path / "shuffled", shuffled)
    _write(tmp_path / "repeated", shuffled, runner=FnApiRunner(bundle_repeat=2))
    _write(tmp_path / "workers", shuffled, options=two_workers)
    plain = _files(tmp_path / "plain")
    assert plain == _files(tmp_path / "shuffled")
    assert plain == _files(tmp_path / "repeated")
    assert plain == _files(tmp_path / "workers")


def test_packed_rows_give_the_same_bytes_however_bundles_fall(tmp_path):
    rows = [_row(i) for i in range(300)]  # more than a pack
    _write(tmp_path / "plain", rows, shards=1)
    for runner in (FnApiRunner(), FnApiRunner(bundle_repeat=2)):
        output = tmp_path / f"packed-{len(os.listdir(tmp_path))}"
        with beam.Pipeline(runner=runner) as p:
            packed = p | beam.Create(rows) | PackRows(_SCHEMA, 1)
            unpacked = p | "Others" >> beam.Create([])
            _ = (packed, unpacked) | beam.Flatten() | WriteTable(str(output), "catalogue", _RUN, _SCHEMA, 1)
        assert _files(output) == _files(tmp_path / "plain")


def test_packing_names_a_value_that_does_not_fit():
    with (
        pytest.raises(Exception, match="row 'sku-3': 'much' does not fit column 'coverage'"),
        beam.Pipeline(runner=FnApiRunner()) as p,
    ):
        _ = p | beam.Create([_row(3, coverage="much")]) | PackRows(_SCHEMA, 2)


def test_empty_table_has_its_schema(tmp_path):
    _write(tmp_path, [], table="rejections", schema=REJECTIONS_SCHEMA, shards=2)
    assert len(_files(tmp_path, "rejections")) == 2
    table = read_table(str(tmp_path), "rejections", _RUN)
    assert table.num_rows == 0
    assert table.column_names == REJECTIONS_SCHEMA.names


def test_summaries_count_what_was_written(tmp_path):
    def check(summaries):
        assert all(isinstance(s, ShardSummary) for s in summaries)
        assert sorted(s.shard for s in summaries) == [0, 1, 2]
        assert sum(s.rows for s in summaries) == 20
        assert sum(s.refresh.get("unchanged", 0) for s in summaries) == 4
        assert sum(s.status.get("ready", 0) for s in summaries) == 20
        assert sum(s.assets_written for s in summaries) == 16
        content = _files(tmp_path)
        for s in summaries:
            name = f"part-{s.shard:05d}-of-00003.parquet"
            assert s.sha256 == hashlib.sha256(content[name]).hexdigest()

    _write(tmp_path, [_row(i) for i in range(20)], check=check)


def test_rejections_are_counted_by_reason(tmp_path):
    def check(summaries):
        assert sum(s.reasons.get("empty", 0) for s in summaries) == 3
        assert sum(s.reasons.get("truncated", 0) for s in summaries) == 2

    _write(tmp_path, map(_rejection, range(5)), table="rejections", schema=REJECTIONS_SCHEMA, check=check)


def test_duplicate_id_is_an_error(tmp_path):
    rows = [_row(1), _row(2), _row(1, source_uri="other.parquet#9")]
    with pytest.raises(Exception, match=r"'sku-1' is twice in the catalogue table, from .*in.parquet#1.*other"):
        _write(tmp_path, rows)


@pytest.mark.parametrize(
    "column, value, sentence",
    [
        ("width", "wide", "row 'sku-1': 'wide' does not fit column 'width' of type int32"),
        ("width", 2**40, "does not fit column 'width'"),
        ("width", 1.5, "1.5 does not fit column 'width'"),
        ("model", 7, "7 does not fit column 'model' of type string"),
        ("status", None, "row 'sku-1': column 'status' must not be null"),
        ("price", "cheap", "'cheap' does not fit column 'price' of type double"),
    ],
)
def test_value_that_does_not_fit_is_named(column, value, sentence):
    with pytest.raises(ValueError, match=sentence):
        to_arrow([_row(0), _row(1, **{column: value}), _row(2)], _SCHEMA)


def test_missing_and_unknown_columns_are_named():
    incomplete = {name: value for name, value in _row(1).items() if name != "model"}
    with pytest.raises(ValueError, match=r"'sku-1'.*missing=\['model'\], unknown=\[\]"):
        to_arrow([incomplete], _SCHEMA)
    with pytest.raises(ValueError, match=r"missing=\[\], unknown=\['colour'\]"):
        to_arrow([_row(1, colour="red")], _SCHEMA)


def test_missing_file_of_a_table_is_an_error(tmp_path):
    _write(tmp_path, [_row(i) for i in range(9)])
    os.remove(tmp_path / "catalogue" / _RUN / "part-00001-of-00003.parquet")
    with pytest.raises(ValueError, match="should hold 3 files"):
        read_table(str(tmp_path), "catalogue", _RUN)
    with pytest.raises(FileNotFoundError, match="no rejections table of run"):
        read_table(str(tmp_path), "rejections", _RUN)


def test_table_on_s3(s3_options, tmp_path):
    output = f"s3://shop/{tmp_path.name}"
    _write(tmp_path, [_row(i) for i in range(9)])
    _write(output, [_row(i) for i in range(9)], options=s3_options)  # also leaves the options for reading
    there, here = (read_table(place, "catalogue", _RUN) for place in (output, str(tmp_path)))
    assert there.equals(here)


@settings(max_examples=50, deadline=None)
@given(row_id=st.text(st.characters(codec="utf-8")), shards=st.integers(1, 64))
def test_shard_is_stable_and_in_range(row_id, shards):
    assert shard_of(row_id, shards) == shard_of(row_id, shards)
    assert 0 <= shard_of(row_id, shards) < shards


def test_shard_of_an_id_never_changes():
    assert [shard_of(i, 16) for i in ("sku-1", "sku-2", "日本語")] == [5, 10, 3]


def test_encoded_table_is_deterministic():
    table = to_arrow([_row(i) for i in range(100)], _SCHEMA)
    assert encode_table(table) == encode_table(table)
