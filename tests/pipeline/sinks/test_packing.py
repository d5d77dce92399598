import os

import apache_beam as beam
import pytest
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from pipeline.sinks.packing import PackRows
from pipeline.sinks.write_table import WriteTable
from tests.pipeline.sinks.example_tables import RUN, SCHEMA, row, table_files, write_table


def test_packed_rows_give_the_same_bytes_however_bundles_fall(tmp_path):
    rows = [row(i) for i in range(300)]  # more than a pack
    write_table(tmp_path / "plain", rows, shards=1)
    for runner in (FnApiRunner(), FnApiRunner(bundle_repeat=2)):
        output = tmp_path / f"packed-{len(os.listdir(tmp_path))}"
        with beam.Pipeline(runner=runner) as p:
            packed = p | beam.Create(rows) | PackRows(SCHEMA, 1)
            unpacked = p | "Others" >> beam.Create([])
            _ = (packed, unpacked) | beam.Flatten() | WriteTable(str(output), "catalogue", RUN, SCHEMA, 1)
        assert table_files(output) == table_files(tmp_path / "plain")


def test_packing_names_a_value_that_does_not_fit():
    with (
        pytest.raises(Exception, match="row 'sku-3': 'much' does not fit column 'coverage'"),
        beam.Pipeline(runner=FnApiRunner()) as p,
    ):
        _ = p | beam.Create([row(3, coverage="much")]) | PackRows(SCHEMA, 2)
