"""What the graph promises: pixels stay inside one fused stage, and replayed bundles change nothing."""

import dataclasses
import pickle

import apache_beam as beam
import numpy as np
import pyarrow.parquet as pq
import pytest
from apache_beam.runners.portability.fn_api_runner import FnApiRunner, translations

from models.vae.anomaly import JudgeSpec
from pipeline import plan_lists
from pipeline.config import RunConfig
from pipeline.graph import build_graph
from pipeline.planning import plan_run
from pipeline.records import Asset, Photo, Rejection, catalogue_row
from pipeline.samples import render_samples


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    render_samples(folder, count=6, seed=4, broken=1)
    return folder / "images"


def execute(photos, output, runner):
    plan = plan_run(RunConfig(input=str(photos), output=str(output), max_rejected_fraction=1))
    pipeline = beam.Pipeline(runner=runner)
    build_graph(pipeline, plan)
    pipeline.run().wait_until_finish()
    return plan


def files(output, *folders):
    return {
        path.relative_to(output).as_posix(): path.read_bytes()
        for folder in folders
        for path in sorted((output / folder).rglob("*"))
        if path.is_file()
    }


PIXEL_STEPS = (
    "ReadPhotos", "TakeTwins", "FetchPhotos", "CarryOver", "ReadLabels", "DecodePhotos", "HashPhotos", "SegmentPhotos",
    "MattePhotos", "NormaliseColour", "FindAnomalies", "ComposePackshot", "EncodeAssets", "SealAssets", "WriteAssets",
    "MakeRows",
)  # fmt: skip


# whose elements are rows, references to rows, or timings
LIGHT_TAGS = {"rejected", "carried", "leading", "twins"}
LIGHT_STEPS = {"MakeRows", "CountDone", "NoteFinished", "CountCarried", "Commit", "TakeTimings", "KeyTwins",
               "LeadingRows", "LeadingRejections", "FollowLeaders", "PackRows"}  # fmt: skip


@pytest.fixture(scope="module")
def stages(photos, tmp_path_factory):
    """The graph as the runner executes it: steps fused into stages, between which elements are encoded."""
    output = tmp_path_factory.mktemp("graph")
    pipeline = beam.Pipeline(runner=FnApiRunner())
    plan = plan_run(RunConfig(input=str(photos), output=str(output)))
    # with every optional step that takes a batch: those are the ones that could end the stage
    build_graph(pipeline, dataclasses.replace(plan, anomaly=JudgeSpec("packshot-vae", 64, "0" * 64)))
    primitives = translations.common_urns.primitives
    _, fused = translations.create_and_optimize_stages(
        pipeline.to_runner_api(),
        phases=translations.standard_optimize_phases(),
        known_runner_urns=frozenset([primitives.GROUP_BY_KEY.urn, primitives.IMPULSE.urn]),
    )
    return fused


def test_from_reading_to_rows_is_one_fused_stage(stages):
    holders = {
        step: {i for i, stage in enumerate(stages) for t in stage.transforms if t.unique_name.split("/")[0] == step}
        for step in PIXEL_STEPS
    }
    merge = {i for i, stage in enumerate(stages) if stage.transforms[0].unique_name == "SegmentPhotos/MergeRejections"}
    assert len(set.union(*holders.values()) - merge) == 1, holders


def test_only_rejections_rows_and_timings_leave_the_stage_with_the_pixels(stages):
    (stage,) = [s for s in stages if any(t.unique_name.startswith("DecodePhotos") for t in s.transforms)]
    used_elsewhere = {i for s in stages if s is not stage for t in s.transforms for i in t.inputs.values()}
    leaving = [
        (t.unique_name, tag)
        for t in stage.transforms
        for tag, collection in t.outputs.items()
        if collection in used_elsewhere
    ]
    assert leaving
    for name, tag in leaving:
        step = name.split("/")[0]
        harmless = tag in LIGHT_TAGS or step in LIGHT_STEPS or step.startswith("CountRefused")
        assert harmless or name.startswith("FetchPhotos/HideCredentials"), (name, tag)


def test_what_leaves_holds_no_array():
    for kind in (Rejection, Asset):
        assert not any("ndarray" in str(field.type) or "bytes" in str(field.type) for field in dataclasses.fields(kind))
    finished = Photo("a", "b", source_sha256="c", image=np.zeros((9, 9, 3), np.uint8), content=b"x")
    row = catalogue_row(finished, model="m", model_sha256="s", config_fingerprint="f", packshot_version="v")
    assert not any(isinstance(value, np.ndarray | bytes) for value in row.values())


def test_only_references_cross_the_shuffle(photos, tmp_path):
    """What is spread over the workers is small, whatever the photos weigh."""
    plan = plan_run(RunConfig(input=str(photos), output=str(tmp_path)))
    assert plan.refresh.items
    for planned in plan.refresh.items:
        assert len(pickle.dumps(planned)) < 2000


def test_neither_replayed_bundles_nor_a_plan_in_files_changes_anything(photos, tmp_path, monkeypatch):
    once = execute(photos, tmp_path / "once", FnApiRunner())
    monkeypatch.setattr(plan_lists, "IN_GRAPH", 0)
    twice = execute(photos, tmp_path / "twice", FnApiRunner(bundle_repeat=2))
    assert files(tmp_path / "once", "assets") == files(tmp_path / "twice", "assets")
    for table in ("catalogue", "rejections", "near_duplicates"):
        a = files(tmp_path / "once" / table / once.run, ".")
        assert a and a == files(tmp_path / "twice" / table / twice.run, ".")
    assert pq.read_table(tmp_path / "once" / "catalogue" / once.run).num_rows == 5
