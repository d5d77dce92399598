"""Object stores on this machine: servers that speak the protocols of Amazon S3 and Google Cloud Storage."""

import contextlib
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions

_KEYS = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing", "region_name": "us-east-1"}


@contextlib.contextmanager
def s3_server(bucket: str) -> Iterator[tuple[str, Any]]:
    """Starts an S3 server with an empty bucket.

    Yields:
      Its address, and a boto3 client of it.
    """
    boto3 = pytest.importorskip("boto3")
    server = pytest.importorskip("moto.server").ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    client = boto3.client("s3", endpoint_url=f"http://{host}:{port}", **_KEYS)
    client.create_bucket(Bucket=bucket)
    yield f"http://{host}:{port}", client
    server.stop()


def s3_flags(endpoint: str) -> dict[str, str]:
    """Returns Beam's options for an S3 server at this address, by name."""
    return {
        "s3_endpoint_url": endpoint,
        "s3_access_key_id": _KEYS["aws_access_key_id"],
        "s3_secret_access_key": _KEYS["aws_secret_access_key"],
        "s3_region_name": _KEYS["region_name"],
    }


def s3_options(endpoint: str) -> PipelineOptions:
    """Returns Beam's options for an S3 server at this address."""
    return PipelineOptions.from_dictionary(s3_flags(endpoint))


@contextlib.contextmanager
def file_systems(options: PipelineOptions) -> Iterator[None]:
    """Sets FileSystems up with these options while the body runs, as a pipeline does."""
    before = FileSystems._pipeline_options
    FileSystems.set_options(options)
    yield
    FileSystems.set_options(before)


@contextlib.contextmanager
def gs_server(bucket: str) -> Iterator[tuple[str, Any]]:
    """Starts a Google Cloud Storage server with an empty bucket, and names it to clients by the environment.

    Yields:
      Its address, and a client of it.
    """
    emulator = pytest.importorskip("gcp_storage_emulator.server")
    storage = pytest.importorskip("google.cloud.storage")
    with contextlib.closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = emulator.create_server("127.0.0.1", port, in_memory=True)
    server.start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{port}")
        client = storage.Client.create_anonymous_client()
        client.bucket(bucket).create()
        yield f"http://127.0.0.1:{port}", client
    server.stop()
