import json
from pathlib import Path

import pytest

from pipeline.running import read_run
from tests.benchmarks import photos
from tests.benchmarks.looping import looped, one_worker_plan, piped


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("bench")
    pictures = photos.base_photos(folder, count=2)
    return photos.write_parquet(pictures, folder / "three.parquet", 3, row_group=2)


def _assets(output: Path) -> dict[str, bytes]:
    return {p.relative_to(output).as_posix(): p.read_bytes() for p in (output / "assets").rglob("*") if p.is_file()}


def test_loop_does_what_the_job_does(catalogue, tmp_path):
    plans = {name: one_worker_plan(catalogue, tmp_path / name) for name in ("loop", "job")}
    loop, job = looped(plans["loop"]), piped(plans["job"])
    assert _assets(tmp_path / "loop") == _assets(tmp_path / "job") and len(_assets(tmp_path / "job")) == 6
    run = read_run(str(tmp_path / "job"), plans["job"].run)
    assert list(loop.stages) == list(run["stages"]) == list(job.stages)  # no stage was forgotten
    assert run["read"] == 3 and json.dumps(loop.stages)
