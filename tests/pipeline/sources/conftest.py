"""Object stores to read from: servers on this machine that speak the services' protocols."""

import contextlib
import socket

import pytest
from apache_beam.internal.gcp import auth
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions


@pytest.fixture(scope="module")
def s3_client_and_options():
    boto3 = pytest.importorskip("boto3")
    server = pytest.importorskip("moto.server").ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    client = boto3.client(
        "s3",
        endpoint_url=endpoint,
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
        region_name="us-east-1",
    )
    client.create_bucket(Bucket="feed")
    options = {"endpoint_url": endpoint, "access_key_id": "testing", "secret_access_key": "testing"}
    options = {f"s3_{name}": value for name, value in options.items()} | {"s3_region_name": "us-east-1"}
    yield client, PipelineOptions.from_dictionary(options)
    server.stop()


@pytest.fixture(scope="module")
def gs_client_and_options():
    server_module = pytest.importorskip("gcp_storage_emulator.server")
    storage = pytest.importorskip("google.cloud.storage")
    with contextlib.closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = server_module.create_server("127.0.0.1", port, in_memory=True)
    server.start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{port}")
        # Otherwise Beam looks for credentials on the network for half a minute before it goes on without.
        patch.setattr(auth._Credentials, "_credentials_init", True)
        patch.setattr(auth._Credentials, "_credentials", None)
        client = storage.Client.create_anonymous_client()
        client.bucket("feed").create()
        yield client, PipelineOptions()
    server.stop()


@pytest.fixture(params=["local", "s3", "gs"])
def store(request, tmp_path):
    """A folder in each kind of storage: its URI, and a function that puts a file of some bytes there."""
    if request.param == "local":

        def put(name: str, content: bytes) -> None:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_bytes(content)

        yield str(tmp_path), put
        return
    client, options = request.getfixturevalue(f"{request.param}_client_and_options")

    def put(name: str, content: bytes) -> None:
        key = f"{tmp_path.name}/{name}"
        if request.param == "s3":
            client.put_object(Bucket="feed", Key=key, Body=content)
        else:
            client.bucket("feed").blob(key).upload_from_string(content)

    before = FileSystems._pipeline_options
    FileSystems.set_options(options)
    yield f"{request.param}://feed/{tmp_path.name}", put
    FileSystems.set_options(before)
