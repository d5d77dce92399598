import errno
import os

import apache_beam as beam
import pytest
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from pipeline.sinks import packing, storage
from pipeline.sinks.packing import Aside, PackedRows, PackRows, SetAside, unpacked
from pipeline.sinks.write_table import WriteTable
from tests.pipeline.sinks.example_tables import RUN, SCHEMA, row, table_files, write_table


@pytest.mark.parametrize("set_aside", [False, True])
def test_packed_rows_give_the_same_bytes_however_bundles_fall(tmp_path, set_aside):
    rows = [row(i) for i in range(300)]  # more than a pack
    write_table(tmp_path / "plain", rows, shards=1)
    (tmp_path / "aside").mkdir()
    for runner in (FnApiRunner(), FnApiRunner(bundle_repeat=2)):
        output = tmp_path / f"packed-{len(os.listdir(tmp_path))}"
        with beam.Pipeline(runner=runner) as p:
            packed = p | beam.Create(rows) | PackRows(SCHEMA, 1, aside=str(tmp_path / "aside") if set_aside else None)
            unpacked = p | "Others" >> beam.Create([])
            _ = (packed, unpacked) | beam.Flatten() | WriteTable(str(output), "catalogue", RUN, SCHEMA, 1)
        assert table_files(output) == table_files(tmp_path / "plain")
    assert bool(os.listdir(tmp_path / "aside")) is set_aside


def test_rows_that_were_set_aside_and_are_gone_fail_the_job_by_name(tmp_path):
    gone = Aside(str(tmp_path / "gone.rows"), 0, 8)
    with pytest.raises(FileNotFoundError, match=r"gone\.rows"):
        unpacked(PackedRows(0, gone))


def test_rows_that_were_cut_short_are_not_taken_for_fewer(tmp_path):
    path = tmp_path / "a.rows"
    path.write_bytes(b"12345")
    with pytest.raises(storage.StorageError, match=r"a\.rows' lost rows"):
        unpacked(PackedRows(0, Aside(str(path), 0, 8)))


def test_a_full_disk_is_named_with_what_to_do(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    step = SetAside(str(tmp_path))
    step.setup()
    monkeypatch.setattr(packing.os, "write", full)
    with pytest.raises(storage.StorageError, match="No space left on device.*TMPDIR"):
        next(step.process(PackedRows(0, b"12345")))
    step.teardown()


def test_packing_names_a_value_that_does_not_fit():
    with (
        pytest.raises(Exception, match="row 'sku-3': 'much' does not fit column 'coverage'"),
        beam.Pipeline(runner=FnApiRunner()) as p,
    ):
        _ = p | beam.Create([row(3, coverage="much")]) | PackRows(SCHEMA, 2)
