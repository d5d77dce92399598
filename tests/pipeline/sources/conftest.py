"""Object stores to read from: servers on this machine that speak the services' protocols."""

import pytest
from apache_beam.options.pipeline_options import PipelineOptions

from tests import emulators


@pytest.fixture(scope="module")
def s3_client_and_options():
    with emulators.s3_server("feed") as (endpoint, client):
        yield client, emulators.s3_options(endpoint)


@pytest.fixture(scope="module")
def gs_client_and_options():
    with emulators.gs_server("feed") as (_, client):
        yield client, PipelineOptions()


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

    with emulators.file_systems(options):
        yield f"{request.param}://feed/{tmp_path.name}", put
