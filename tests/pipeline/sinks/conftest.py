"""Object stores to write to: servers on this machine that speak the services' protocols."""

import pytest
from apache_beam.options.pipeline_options import PipelineOptions

from pipeline.sinks import storage
from tests import emulators


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    monkeypatch.setattr(storage, "_FIRST_PAUSE", 0.001)


@pytest.fixture(scope="module")
def s3_options():
    """Options of an S3 server with the bucket ``shop``."""
    with emulators.s3_server("shop") as (endpoint, _):
        yield emulators.s3_options(endpoint)


@pytest.fixture(scope="module")
def gs_options():
    """Options of a Google Cloud Storage server with the bucket ``shop``."""
    with emulators.gs_server("shop"):
        yield PipelineOptions()


@pytest.fixture(params=["local", "s3", "gs"])
def output(request, tmp_path):
    """An output folder of each kind of storage, with FileSystems set up for it as a pipeline does."""
    if request.param == "local":
        yield str(tmp_path / "out")
        return
    with emulators.file_systems(request.getfixturevalue(f"{request.param}_options")):
        yield f"{request.param}://shop/{tmp_path.name}/out"
