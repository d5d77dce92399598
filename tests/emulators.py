"""Object stores on this machine: servers that speak the protocols of Amazon S3 and Google Cloud Storage.

Each is started once a process, by whoever needs it first, and emptied afterwards; so one at a time may use it.
"""

import contextlib
import functools
import http
import json
import socket
import urllib.request
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions

# Found nowhere by chance: tests look for them in what a run prints and stores.
SECRETS = ("AKIAEMULATOR00000001", "hush/emulator+secret", "hush-emulator-token")
_KEYS = dict(zip(("aws_access_key_id", "aws_secret_access_key", "aws_session_token"), SECRETS, strict=True))
_REGION = "us-east-1"
_PAGE = 1000  # objects of a listing, at most, as the service has it


@functools.cache
def _s3_server() -> tuple[str, Any]:
    boto3 = pytest.importorskip("boto3")
    server = pytest.importorskip("moto.server").ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()  # in a thread that ends with the process
    host, port = server.get_host_and_port()
    address = f"http://{host}:{port}"
    return address, boto3.client("s3", endpoint_url=address, region_name=_REGION, **_KEYS)


@contextlib.contextmanager
def s3_server(bucket: str) -> Iterator[tuple[str, Any]]:
    """Gives an S3 server with an empty bucket.

    Yields:
      Its address, and a boto3 client of it.
    """
    address, client = _s3_server()
    client.create_bucket(Bucket=bucket)
    yield address, client
    urllib.request.urlopen(urllib.request.Request(f"{address}/moto-api/reset", method="POST")).close()


def s3_flags(endpoint: str) -> dict[str, str]:
    """Returns Beam's options for an S3 server at this address, by name."""
    keys = {name.replace("aws_", "s3_"): value for name, value in _KEYS.items()}
    return {"s3_endpoint_url": endpoint, "s3_region_name": _REGION, **keys}


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


@functools.cache
def _gs_server() -> tuple[str, Any]:
    server = pytest.importorskip("gcp_storage_emulator.server")
    _teach(server.HANDLERS)
    with contextlib.closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    emulator = server.create_server("127.0.0.1", port, in_memory=True)
    emulator._api.daemon = True  # Python waits for other threads before it calls what is to be done at its end
    emulator.start()
    return f"http://127.0.0.1:{port}", emulator


@contextlib.contextmanager
def gs_server(bucket: str) -> Iterator[tuple[str, Any]]:
    """Gives a Google Cloud Storage server with an empty bucket, and names it to clients by the environment.

    Yields:
      Its address, and a client of it.
    """
    storage = pytest.importorskip("google.cloud.storage")
    from apache_beam.internal.gcp import auth

    address, emulator = _gs_server()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STORAGE_EMULATOR_HOST", address)
        patch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
        # Otherwise Beam looks for credentials on the network for half a minute before it goes on without.
        patch.setattr(auth._Credentials, "_credentials_init", True)
        patch.setattr(auth._Credentials, "_credentials", None)
        client = storage.Client.create_anonymous_client()
        client.bucket(bucket).create()
        yield address, client
    emulator.wipe()


def fill(scheme: str, bucket: str, names: Iterable[str]) -> None:
    """Puts many objects of one byte into a bucket by the servers' back doors: a request each would take seconds."""
    if scheme == "s3":
        from moto.backends import get_backend
        from moto.core import DEFAULT_ACCOUNT_ID

        backend = get_backend("s3")[DEFAULT_ACCOUNT_ID]["aws"]
        for name in names:
            backend.put_object(bucket, name, b"x")
        return
    from gcp_storage_emulator.handlers import objects

    address, emulator = _gs_server()
    stored = emulator._storage.objects.setdefault(bucket, {})
    for name in names:
        stored[name] = objects._checksums(b"x", objects._make_object_resource(address, bucket, name, "text/plain", "1"))


def _teach(handlers: Any) -> None:
    """Teaches Google's emulator what it does not know: conditions on writes, pages of a listing, and proxies.

    It answers one request at a time, so nothing can come between the check of a condition and the write.
    """
    from gcp_storage_emulator.handlers import objects

    for _, methods in handlers:
        if methods.get("POST") is objects.insert:
            methods["POST"] = _insert_if
        if methods.get("GET") is objects.ls:
            methods["GET"] = _list_page
        if methods.get("GET") is objects.get:
            methods["GET"] = _get


def _insert_if(request, response, storage, *args, **kwargs) -> None:
    from gcp_storage_emulator.exceptions import NotFound
    from gcp_storage_emulator.handlers import objects

    wanted = request.query.get("ifGenerationMatch")
    if wanted and "upload_id" not in request.query:
        told = request.data or {}
        name = request.query.get("name", [told.get("name") or told.get("meta", {}).get("name")])[0]
        try:
            generation = storage.get_file_obj(request.params["bucket_name"], name)["generation"]
        except NotFound:
            generation = "0"
        if generation != wanted[0]:
            response.status = http.HTTPStatus.PRECONDITION_FAILED
            message = "At least one of the pre-conditions you specified did not hold."
            response.json({"error": {"code": 412, "message": message, "errors": [{"reason": "conditionNotMet"}]}})
            return
    objects.insert(request, response, storage, *args, **kwargs)


def _get(request, response, storage, *args, **kwargs) -> None:
    from gcp_storage_emulator.handlers import objects

    objects.get(request, response, storage, *args, **kwargs)
    if isinstance(response._content, str) and '"mediaLink"' in response._content:
        found = json.loads(response._content)
        # to the address that was asked, not to that by which it was written: readers stay behind the proxy they use
        found["mediaLink"] = request.base_url + "/download/" + found["mediaLink"].partition("/download/")[2]
        response.json(found)


def _list_page(request, response, storage, *args, **kwargs) -> None:
    from gcp_storage_emulator.handlers import objects

    objects.ls(request, response, storage, *args, **kwargs)
    if response.status != http.HTTPStatus.OK:
        return
    listing = json.loads(response._content)
    start = int(request.query.get("pageToken", ["0"])[0])
    size = min(_PAGE, int(request.query.get("maxResults", [_PAGE])[0]))
    items = sorted(listing["items"], key=lambda item: item["name"])
    listing["items"] = items[start : start + size]
    if start + size < len(items):
        listing["nextPageToken"] = str(start + size)
    response.json(listing)
