"""A small catalogue as a run leaves it, without the run: photos, masks, and the table that names them."""

import hashlib

import apache_beam as beam
import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from models.gating import Gate, GatedGenerator, GateSettings
from pipeline.augmentation.augmenting import AugmentCatalogue, SamplePlaces
from pipeline.augmentation.counts import SampleCount, SampleLedger
from pipeline.augmentation.prepared import prepare
from pipeline.config import RunConfig
from pipeline.records import Asset, Photo, catalogue_row, catalogue_schema
from pipeline.sinks.tables import encode_table, to_arrow
from pipeline.sinks.write_table import ShardSummary
from pipeline.sources.items import SourceOptions
from tests.models.fakes_of_generation import FakeGenerator
from transforms.decode import DecodeLimits

SCHEMA = catalogue_schema(pa.schema([("category", pa.string())]))
FIRST, SECOND = "20261122T223000Z-000001", "20261123T223000Z-000002"
SIDE = 24


def photo_of(number):
    """A square of a colour of its own on another ground, and its matte."""
    draw = np.random.default_rng(number)
    alpha = np.zeros((SIDE, SIDE + 4), np.uint8)
    alpha[6:18, 8:20] = 255
    image = np.empty((*alpha.shape, 3), np.uint8)
    image[:] = draw.integers(0, 255, 3)
    image[alpha > 0] = draw.integers(0, 255, 3)
    return image, alpha


def encoded(pixels):
    return cv2.imencode(".png", pixels if pixels.ndim == 2 else pixels[..., ::-1])[1].tobytes()


def write_catalogue(folder, numbers, run=FIRST, categories=("hat", "shirt"), statuses=("ready",)):
    """Writes photos, masks and the catalogue's file; returns its summary."""
    rows = []
    for place, number in enumerate(numbers):
        image, alpha = photo_of(number)
        (folder / "in").mkdir(exist_ok=True)
        path, content, mask = folder / "in" / f"{number}.png", encoded(image), encoded(alpha)
        path.write_bytes(content)
        uri = f"assets/mask/00/{number}-00{'0' * 18}.png"
        (folder / "out" / uri).parent.mkdir(parents=True, exist_ok=True)
        (folder / "out" / uri).write_bytes(mask)
        photo = Photo(
            id=f"sku-{number}", source_uri=str(path), source_sha256=hashlib.sha256(content).hexdigest(),
            attributes={"category": categories[place % len(categories)]}, width=SIDE + 4, height=SIDE,
            assets=(Asset("mask", uri, SIDE + 4, SIDE, len(mask), hashlib.sha256(mask).hexdigest(), "image/png"),),
        )  # fmt: skip
        row = catalogue_row(photo, model="m", model_sha256="m", config_fingerprint="f", packshot_version="1")
        rows.append({**row, "status": statuses[place % len(statuses)]})
    part = folder / "out" / "catalogue" / run / "part-00000-of-00001.parquet"
    part.parent.mkdir(parents=True, exist_ok=True)
    part.write_bytes(encode_table(to_arrow(rows, SCHEMA)))
    return ShardSummary("catalogue", 0, 1, len(rows), {}, {}, {}, 0, "")


def prepared(folder, plan, previous=None, **settings):
    """Reads a plan, given as the text of its file."""
    path = folder / "plan.yaml"
    path.write_text(plan)
    config = RunConfig(
        input="in", output=str(folder / "out"), augment=str(path), attribute_columns="category", **settings
    )
    return prepare(config, version="1", photos=6, previous_run=previous, load=lambda name: FakeGenerator())


def load_gated():
    return GatedGenerator(FakeGenerator(), Gate(GateSettings(open=True), None, None), None)


class Augmented:
    """What augmentation left: rows by id, what became of them, and all files of the output."""

    def __init__(self, folder, run, counts):
        table = pq.read_table(folder / "out" / "augmented" / run)
        self.rows = {row["id"]: row for row in table.to_pylist()}
        self.counts = counts
        root = folder / "out" / "assets"
        self.files = {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}
        self.tables = [path.read_bytes() for path in sorted((folder / "out" / "augmented" / run).iterdir())]

    def of_kind(self, kind):
        return [row for row in self.rows.values() if row["kind"] == kind]


def augment(folder, summary, augmentation, run=FIRST, load=load_gated, runner=None):
    """Runs the graph of augmentation over a catalogue."""
    places = SamplePlaces(
        str(folder / "out"), run, SourceOptions(), {"max_bytes": 1 << 20, "timeout": 1.0, "retries": 0}, DecodeLimits()
    )
    told = folder / f"told-{run}"
    load = load if augmentation.generator else None
    with beam.Pipeline(runner=runner or FnApiRunner()) as pipeline:
        summaries = pipeline | "Catalogue" >> beam.Create([summary], reshuffle=False)
        table, counts = summaries | AugmentCatalogue(places, augmentation, load)
        gathered = (table, counts) | beam.Flatten() | beam.combiners.ToList()
        _ = gathered | "Tell" >> beam.Map(lambda found: told.write_text(repr(found)))
    found = eval(told.read_text(), {"SampleCount": SampleCount, "ShardSummary": ShardSummary})
    shards = (part.samples for part in found if isinstance(part, ShardSummary))
    return Augmented(folder, run, SampleLedger.of(shards, (c for c in found if isinstance(c, SampleCount))))
