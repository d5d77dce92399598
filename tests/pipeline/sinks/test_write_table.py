import gc
import hashlib
import random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from pipeline.records import REJECTIONS_SCHEMA
from pipeline.sinks.tables import read_table, shard_of
from pipeline.sinks.write_table import ShardSummary
from tests.pipeline.sinks.example_tables import RUN, SCHEMA, rejection, row, table_files, write_table


def test_rows_come_back_sorted_within_shards(tmp_path):
    rows = [row(i) for i in range(40)]
    write_table(tmp_path, random.Random(1).sample(rows, 40))
    assert list(table_files(tmp_path)) == [f"part-{i:05d}-of-00003.parquet" for i in range(3)]
    table = read_table(str(tmp_path), "catalogue", RUN)
    assert table.column_names == SCHEMA.names
    expected = sorted(rows, key=lambda row: (shard_of(row["id"], 3), row["id"]))
    assert [row["id"] for row in table.to_pylist()] == [row["id"] for row in expected]
    single = row(3)
    found = next(row for row in table.to_pylist() if row["id"] == single["id"])
    assert found == {**single, "coverage": pytest.approx(single["coverage"])}


def test_schema_of_every_file_is_the_pinned_one(tmp_path):
    write_table(tmp_path, [row(1)])
    for name in table_files(tmp_path):
        assert pq.read_schema(tmp_path / "catalogue" / RUN / name).equals(SCHEMA)


def test_bytes_do_not_depend_on_order_bundles_or_workers(tmp_path):
    rows = [row(i) for i in range(60)]
    shuffled = random.Random(2).sample(rows, 60)
    two_workers = PipelineOptions(direct_num_workers=2, direct_running_mode="multi_threading")
    write_table(tmp_path / "plain", rows)
    write_table(tmp_path / "shuffled", shuffled)
    write_table(tmp_path / "repeated", shuffled, runner=FnApiRunner(bundle_repeat=2))
    write_table(tmp_path / "workers", shuffled, options=two_workers)
    plain = table_files(tmp_path / "plain")
    assert plain == table_files(tmp_path / "shuffled")
    assert plain == table_files(tmp_path / "repeated")
    assert plain == table_files(tmp_path / "workers")


def test_a_table_takes_the_memory_of_one_of_its_files(tmp_path):
    rows, usual, pools = [row(i) for i in range(800)], pa.default_memory_pool(), {}
    try:
        for shards in (1, 10):
            pools[shards] = pa.proxy_memory_pool(usual)
            pa.set_memory_pool(pools[shards])
            write_table(tmp_path / str(shards), rows, shards=shards)
    finally:
        pa.set_memory_pool(usual)
        gc.collect()  # nothing of a pool may outlive it
    assert 0 < pools[10].max_memory() < pools[1].max_memory() / 4


def test_empty_table_has_its_schema(tmp_path):
    write_table(tmp_path, [], table="rejections", schema=REJECTIONS_SCHEMA, shards=2)
    assert len(table_files(tmp_path, "rejections")) == 2
    table = read_table(str(tmp_path), "rejections", RUN)
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
        content = table_files(tmp_path)
        for s in summaries:
            name = f"part-{s.shard:05d}-of-00003.parquet"
            assert s.sha256 == hashlib.sha256(content[name]).hexdigest()

    write_table(tmp_path, [row(i) for i in range(20)], check=check)


def test_rejections_are_counted_by_reason(tmp_path):
    def check(summaries):
        assert sum(s.reasons.get("empty", 0) for s in summaries) == 3
        assert sum(s.reasons.get("truncated", 0) for s in summaries) == 2

    write_table(tmp_path, map(rejection, range(5)), table="rejections", schema=REJECTIONS_SCHEMA, check=check)


def test_duplicate_id_is_an_error(tmp_path):
    rows = [row(1), row(2), row(1, source_uri="other.parquet#9")]
    with pytest.raises(Exception, match=r"'sku-1' is twice in the catalogue table, from .*in.parquet#1.*other"):
        write_table(tmp_path, rows)


def test_table_on_s3(s3_options, tmp_path):
    output = f"s3://shop/{tmp_path.name}"
    write_table(tmp_path, [row(i) for i in range(9)])
    write_table(output, [row(i) for i in range(9)], options=s3_options)  # also leaves the options for reading
    there, here = (read_table(place, "catalogue", RUN) for place in (output, str(tmp_path)))
    assert there.equals(here)
