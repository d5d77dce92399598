"""An object store of either kind, as tests see it from both sides: through the job's clients, and directly."""

import contextlib
import dataclasses
from collections.abc import Iterator
from typing import Any

import pytest
from apache_beam.options.pipeline_options import PipelineOptions

from pipeline.sinks import object_stores
from tests import emulators
from tests.faults.proxy import FaultyProxy, serving

BUCKET = "shop"


@dataclasses.dataclass(frozen=True)
class Service:
    """A server with an empty bucket.

    Attributes:
      scheme: ``s3`` or ``gs``.
      address: of the server.
      client: of its own library, which goes past all proxies.
    """

    scheme: str
    address: str
    client: Any

    def uri(self, name: str) -> str:
        return f"{self.scheme}://{BUCKET}/{name}"

    def put(self, name: str, content: bytes) -> None:
        if self.scheme == "s3":
            self.client.put_object(Bucket=BUCKET, Key=name, Body=content)
        else:
            self.client.bucket(BUCKET).blob(name).upload_from_string(content)

    def objects(self, prefix: str = "") -> dict[str, bytes]:
        """Returns the bytes of all objects whose names begin so, by the rest of the name."""
        if self.scheme == "s3":
            pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
            names = [item["Key"] for page in pages for item in page.get("Contents", ())]
            read = {name: self.client.get_object(Bucket=BUCKET, Key=name)["Body"].read() for name in names}
        else:
            # by name: what a listing gives leads to the address under which an object was written, a proxy's
            names = [blob.name for blob in self.client.list_blobs(BUCKET, prefix=prefix)]
            read = {name: self.client.bucket(BUCKET).blob(name).download_as_bytes() for name in names}
        return {name.removeprefix(prefix): content for name, content in read.items()}

    def flags(self, address: str) -> list[str]:
        """Returns the flags of a command that uses this service at an address."""
        return [f"--{k}={v}" for k, v in emulators.s3_flags(address).items()] if self.scheme == "s3" else []

    @contextlib.contextmanager
    def behind(self, **faults: Any) -> Iterator[tuple[FaultyProxy, list[str]]]:
        """Puts a proxy before the service and has this process use it.

        Yields:
          The proxy, and the flags of a command that is to use it.
        """
        proxy = FaultyProxy(self.address, **faults)
        with serving(proxy) as address, pytest.MonkeyPatch.context() as patch:
            patch.setattr(object_stores, "_connected", {})
            if self.scheme == "gs":
                patch.setenv("STORAGE_EMULATOR_HOST", address)
            flags = self.flags(address)
            with emulators.file_systems(PipelineOptions(flags)):
                yield proxy, flags

    def reads(self, asked: list[tuple[str, str, str]]) -> list[str]:
        """Returns the paths of those requests that are for an object's content: no listings, no metadata."""
        mark = "alt=media" if self.scheme == "gs" else f"/{BUCKET}/"
        return [p for method, p, _ in asked if method == "GET" and mark in p and "list-type" not in p]


def writes(name: str, method: str, path: str, body: bytes) -> bool:
    """Whether a request writes an object whose name ends so; on ``gs://`` the name stands in the body."""
    told = f'{name}"'.encode() in body[:1000]
    return method in ("PUT", "POST") and (told or path.partition("?")[0].endswith(f"/{name}"))


@contextlib.contextmanager
def running(scheme: str) -> Iterator[Service]:
    """Gives a service of a scheme."""
    with getattr(emulators, f"{scheme}_server")(BUCKET) as (address, client):
        yield Service(scheme, address, client)
