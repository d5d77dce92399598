"""Rows of both tables, and their writing, for the tests of tables."""

import os

import apache_beam as beam
import pyarrow as pa
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.testing.util import assert_that

from pipeline.records import Asset, Photo, catalogue_row, catalogue_schema
from pipeline.sinks.write_table import WriteTable

RUN = "20261122T223000Z-3f9a1c"
SCHEMA = catalogue_schema(pa.schema([("category", pa.string()), ("price", pa.float64())]))


def row(number, **changes):
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


def rejection(number):
    return {
        "id": f"bad-{number}", "source_uri": "in", "source_sha256": None, "stage": "decode",
        "reason": "truncated" if number % 2 else "empty", "detail": "…", "config_fingerprint": "b" * 64,
    }  # fmt: skip


def write_table(output, rows, table="catalogue", schema=SCHEMA, shards=3, runner=None, options=None, check=None):
    with beam.Pipeline(runner=runner or FnApiRunner(), options=options) as p:
        summaries = p | beam.Create(rows) | WriteTable(str(output), table, RUN, schema, shards)
        if check:
            assert_that(summaries, check)


def table_files(output, table="catalogue"):
    folder = os.path.join(output, table, RUN)
    return {name: open(os.path.join(folder, name), "rb").read() for name in sorted(os.listdir(folder))}
