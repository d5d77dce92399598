"""Object stores to write to: servers on this machine that speak the services' protocols."""

import contextlib
import socket

import pytest
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions


@pytest.fixture(scope="module")
def s3_options():
    """Options of an S3 server with the bucket ``shop``."""
    boto3 = pytest.importorskip("boto3")
    server_module = pytest.importorskip("moto.server")
    server = server_module.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    options = {
        "s3_endpoint_url": f"http://{host}:{port}",
        "s3_access_key_id": "testing",
        "s3_secret_access_key": "testing",
        "s3_region_name": "us-east-1",
    }
    boto3.client(
        "s3",
        endpoint_url=options["s3_endpoint_url"],
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
        region_name="us-east-1",
    ).create_bucket(Bucket="shop")
    yield PipelineOptions.from_dictionary(options)
    server.stop()


@pytest.fixture(scope="module")
def gs_options():
    """Options of a Google Cloud Storage server with the bucket ``shop``."""
    server_module = pytest.importorskip("gcp_storage_emulator.server")
    storage = pytest.importorskip("google.cloud.storage")
    with contextlib.closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = server_module.create_server("127.0.0.1", port, in_memory=True)
    server.start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{port}")
        storage.Client.create_anonymous_client().bucket("shop").create()
        yield PipelineOptions()
    server.stop()


@pytest.fixture(params=["local", "s3", "gs"])
def output(request, tmp_path):
    """An output folder of each kind of storage, with FileSystems set up for it as a pipeline does."""
    if request.param == "local":
        yield str(tmp_path / "out")
        return
    options = request.getfixturevalue(f"{request.param}_options")
    before = FileSystems._pipeline_options
    FileSystems.set_options(options)
    yield f"{request.param}://shop/{tmp_path.name}/out"
    FileSystems.set_options(before)
