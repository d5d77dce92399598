"""A committed run with rows of its own, for the tests of what the next run makes of it."""

import itertools

import apache_beam as beam
import numpy as np
import pyarrow as pa
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from pipeline.previous import PreviousRows
from pipeline.records import Asset, Photo, catalogue_row, catalogue_schema
from pipeline.sinks import storage
from pipeline.sinks.tables import to_arrow
from pipeline.sinks.write_table import WriteTable

SHA, CONFIG, MODEL = "a" * 64, "b" * 64, "c" * 64
RUN = "20261122T223000Z-3f9a1c"
SCHEMA = catalogue_schema(pa.schema([("category", pa.string())]))


def row(photo_id, **changes):
    asset = Asset("mask", f"assets/mask/00/{photo_id}.png", 4, 5, 6, "d" * 64, "image/png")
    photo = Photo(
        photo_id, f"old/{photo_id}.jpg", source_sha256=SHA, source_version=f"v {photo_id}", assets=(asset,),
        attributes={"category": "shirt"}, width=4, height=5, bbox=(1, 2, 3, 4), coverage=0.5,
    )  # fmt: skip
    made = {"model": "m", "model_sha256": MODEL, "config_fingerprint": CONFIG, "packshot_version": "1"}
    return {**catalogue_row(photo, **made), **changes}


def store_run(output, rows, *, shards=3, schema=SCHEMA, assets=True):
    with beam.Pipeline(runner=FnApiRunner()) as p:
        p | beam.Create(rows) | WriteTable(str(output), "catalogue", RUN, schema, shards)
    for asset in itertools.chain.from_iterable(row["assets"] for row in rows if assets):
        storage.write_bytes(storage.join(str(output), asset["uri"]), b"sixsix")


def in_memory(rows, parts=1, current=None):
    """Rows as if they stood in some files, one after the other."""
    tables = [to_arrow(part.tolist(), SCHEMA) for part in np.array_split(np.array(rows, object), parts)]
    return PreviousRows([f"part {i}" for i in range(parts)], tables, current, schema=SCHEMA)
