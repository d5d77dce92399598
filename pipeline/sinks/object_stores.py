"""Google Cloud Storage and Amazon S3 as stores: one conditional, checksummed request a write.

Both check the sent checksum before an object comes into being, and an object appears whole or not at all,
so no temporary name is needed. The clients are configured from the pipeline's options as Beam's own are
(endpoint, region, credentials), and kept for the life of the process: Beam itself makes a new one per call.
"""

from __future__ import annotations

import base64
import concurrent.futures
import hashlib
import logging
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions

from pipeline.redaction import hide
from pipeline.sinks.store import Entry, MismatchError, Outcome, StorageError, Store, SupersededError

_LOGGER = logging.getLogger(__name__)
_TIMEOUT = (10.0, 30.0)  # seconds to connect, and to wait for the next bytes; the clients' own is a minute
_S3_ATTEMPTS = 3  # of its client, for each of those of pipeline.sinks.storage
# Google's client pauses by chance up to these seconds, the double each time, and gives up; its own are 1, 60 and 120.
_GCS_FIRST_PAUSE, _GCS_LONGEST_PAUSE, _GCS_PATIENCE = 0.5, 20.0, 60.0
_CONNECT_LOCK = threading.Lock()
_connected: dict[str, tuple[Any, Store]] = {}  # scheme: (the options it was made from, store)


def connect(scheme: str, path: str) -> Store:
    """Returns the store of a scheme, ``gs`` or ``s3``, set up from the running pipeline's options.

    Raises:
      StorageError: the libraries for that storage are not installed.
    """
    # Driver and workers leave the job's options with FileSystems, which has no public way to ask for them.
    options = FileSystems._pipeline_options
    with _CONNECT_LOCK:
        known = _connected.get(scheme)
        if known is None or known[0] is not options:
            try:
                store = _STORES[scheme](options or PipelineOptions())
            except ImportError as error:
                extra = _EXTRAS[scheme]
                message = f"{path!r} needs the extra {extra!r}: pip install 'packshot[{extra}]'"
                raise StorageError(message) from error
            _connected[scheme] = known = (options, store)
        return known[1]


class S3Store:
    """Objects of Amazon S3 or of a service that speaks its protocol."""

    def __init__(self, options: PipelineOptions):
        self._client = _s3_client(options)

    def write(self, path: str, content: bytes, sha256: str, media_type: str, *, synced: bool = True) -> Outcome:
        bucket, key = _parts(path)
        checksum = base64.b64encode(bytes.fromhex(sha256)).decode()
        request = {
            "Bucket": bucket,
            "Key": key,
            "Body": content,
            "ContentType": media_type,
            "ChecksumAlgorithm": "SHA256",
            "ChecksumSHA256": checksum,
        }
        outcome: Outcome = "written"
        try:
            reply = self._put(request, IfNoneMatch="*")
        except self._client.exceptions.ClientError as error:
            if _s3_status(error) != 412:
                raise
            if self._holds(bucket, key, len(content), checksum):
                return "kept"
            outcome = "replaced"
            reply = self._client.put_object(**request)
        # The ETag is the MD5 that the service took of what it got, except under some kinds of encryption.
        seen = reply["ETag"].strip('"') == hashlib.md5(content, usedforsecurity=False).hexdigest()
        if not seen and not self._holds(bucket, key, len(content), checksum):
            raise MismatchError(f"{path!r} does not hold the {len(content)} bytes that were sent")
        return outcome

    def write_if(self, path: str, content: bytes, expected: bytes | None) -> None:
        bucket, key = _parts(path)
        try:
            reply = self._client.get_object(Bucket=bucket, Key=key)
            current, condition = reply["Body"].read(), {"IfMatch": reply["ETag"]}
        except self._client.exceptions.ClientError as error:
            if _s3_status(error) != 404:
                raise
            current, condition = None, {"IfNoneMatch": "*"}
        if current == content:
            return
        if current != expected:
            raise SupersededError(f"{path!r} holds {current!r}, not {expected!r}")
        try:
            request = {"Bucket": bucket, "Key": key, "Body": content, "ContentType": "text/plain"}
            self._put(request, **condition)
        except self._client.exceptions.ClientError as error:
            if _s3_status(error) in (404, 412):  # at 409 two met in mid-request: what is there now says who won
                if self.size(path) == len(content) and self.read(path) == content:
                    return  # ours: the reply to a first attempt was lost
                raise SupersededError(f"{path!r} was written by somebody else at the same moment") from error
            raise

    def read(self, path: str) -> bytes:
        bucket, key = _parts(path)
        try:
            return self._client.get_object(Bucket=bucket, Key=key)["Body"].read()
        except self._client.exceptions.ClientError as error:
            if _s3_status(error) == 404:
                raise FileNotFoundError(f"there is no object {path!r}") from error
            raise

    def size(self, path: str) -> int | None:
        bucket, key = _parts(path)
        try:
            return self._client.head_object(Bucket=bucket, Key=key)["ContentLength"]
        except self._client.exceptions.ClientError as error:
            if _s3_status(error) == 404:
                return None
            raise

    def names(self, folder: str) -> list[str]:
        bucket, prefix = _folder(folder)
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix, Delimiter="/")
        return [item["Key"][len(prefix) :] for page in pages for item in page.get("Contents", ())]

    def version(self, path: str) -> str | None:
        bucket, key = _parts(path)
        try:
            return self._client.head_object(Bucket=bucket, Key=key)["ETag"].strip('"')
        except self._client.exceptions.ClientError as error:
            if _s3_status(error) == 404:
                return None
            raise

    def walk(self, folder: str, prefix: str) -> Iterator[Entry]:
        bucket, root = _folder(folder)
        for page in self._client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=root + prefix):
            for item in page.get("Contents", ()):
                name, version = item["Key"].removeprefix(root), item["ETag"].strip('"')
                yield Entry(name, item["Size"], item["LastModified"].timestamp(), version=version)

    def delete(self, folder: str, names: Sequence[str]) -> None:
        bucket, root = _folder(folder)
        for start in range(0, len(names), _S3_BATCH):
            keys = [{"Key": root + name} for name in names[start : start + _S3_BATCH]]
            reply = self._client.delete_objects(Bucket=bucket, Delete={"Objects": keys, "Quiet": True})
            if failed := reply.get("Errors"):
                first = f"{failed[0].get('Key')!r}: {failed[0].get('Code')}"
                raise MismatchError(f"{len(failed)} of {len(keys)} objects were not deleted, first {first}")

    def is_transient(self, error: Exception) -> bool:
        from botocore import exceptions

        if isinstance(error, exceptions.ClientError):
            code = error.response.get("Error", {}).get("Code")
            return _s3_status(error) in (409, 429, 500, 502, 503, 504) or code in _S3_TRANSIENT_CODES
        broken_off = (exceptions.HTTPClientError, exceptions.ConnectionError, exceptions.IncompleteReadError)
        return isinstance(error, (*broken_off, ConnectionError))

    def is_throttled(self, error: Exception) -> bool:
        from botocore import exceptions

        if not isinstance(error, exceptions.ClientError):
            return False
        return _s3_status(error) in (429, 503) or error.response.get("Error", {}).get("Code") == "SlowDown"

    def _put(self, request: dict[str, Any], **condition: str) -> dict[str, Any]:
        try:
            return self._client.put_object(**request, **condition)
        except self._client.exceptions.ClientError as error:
            if _s3_status(error) == 501:  # a service without conditional writes
                _LOGGER.warning("This S3 service knows no conditional writes: let one run at a time write to it.")
                return self._client.put_object(**request)
            raise

    def _holds(self, bucket: str, key: str, size: int, checksum: str) -> bool:
        head = self._client.head_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED")
        if head["ContentLength"] != size:
            return False
        if "ChecksumSHA256" in head:
            return head["ChecksumSHA256"] == checksum
        body = self._client.get_object(Bucket=bucket, Key=key)["Body"].read()
        return base64.b64encode(hashlib.sha256(body).digest()).decode() == checksum


class GcsStore:
    """Objects of Google Cloud Storage."""

    def __init__(self, options: PipelineOptions):
        from apache_beam.io.gcp import gcsio
        from google.cloud.storage.retry import DEFAULT_RETRY

        # An emulator wants no credentials, and Beam looks for some for half a minute where there are none.
        emulated = "STORAGE_EMULATOR_HOST" in os.environ and "GOOGLE_APPLICATION_CREDENTIALS" not in os.environ
        self._client = gcsio.create_storage_client(options, use_credentials=not emulated)
        # All requests may be repeated: those that write name the generation that they replace.
        self._retry = DEFAULT_RETRY.with_delay(_GCS_FIRST_PAUSE, _GCS_LONGEST_PAUSE).with_timeout(_GCS_PATIENCE)

    def write(self, path: str, content: bytes, sha256: str, media_type: str, *, synced: bool = True) -> Outcome:
        from google.api_core import exceptions

        blob = self._blob(path)
        outcome: Outcome = "written"
        try:
            self._upload(blob, content, media_type, 0)
        except exceptions.PreconditionFailed:
            blob.reload(timeout=_TIMEOUT, retry=self._retry)
            if _gcs_holds(blob, content):
                return "kept"
            outcome = "replaced"
            self._upload(blob, content, media_type, blob.generation)
        if not _gcs_holds(blob, content):
            raise MismatchError(f"{path!r} does not hold the {len(content)} bytes that were sent")
        return outcome

    def write_if(self, path: str, content: bytes, expected: bytes | None) -> None:
        from google.api_core import exceptions

        blob = self._blob(path)
        try:
            blob.reload(timeout=_TIMEOUT, retry=self._retry)
            generation = blob.generation  # now: a download forgets it where the answer does not tell it
            current = blob.download_as_bytes(timeout=_TIMEOUT, retry=self._retry)
        except exceptions.NotFound:
            current, generation = None, 0
        if current == content:
            return
        if current != expected:
            raise SupersededError(f"{path!r} holds {current!r}, not {expected!r}")
        try:
            self._upload(blob, content, "text/plain", generation)
        except exceptions.PreconditionFailed as error:
            if self.size(path) == len(content) and self.read(path) == content:
                return  # ours: the reply to a first attempt was lost
            raise SupersededError(f"{path!r} was written by somebody else at the same moment") from error

    def read(self, path: str) -> bytes:
        from google.api_core import exceptions

        try:
            return self._blob(path).download_as_bytes(timeout=_TIMEOUT, retry=self._retry)
        except exceptions.NotFound as error:
            raise FileNotFoundError(f"there is no object {path!r}") from error

    def size(self, path: str) -> int | None:
        bucket, name = _parts(path)
        blob = self._client.bucket(bucket).get_blob(name, timeout=_TIMEOUT, retry=self._retry)
        return None if blob is None else blob.size

    def names(self, folder: str) -> list[str]:
        bucket, prefix = _folder(folder)
        blobs = self._client.list_blobs(bucket, prefix=prefix, delimiter="/", timeout=_TIMEOUT, retry=self._retry)
        return [blob.name[len(prefix) :] for blob in blobs]

    def version(self, path: str) -> str | None:
        bucket, name = _parts(path)
        blob = self._client.bucket(bucket).get_blob(name, timeout=_TIMEOUT, retry=self._retry)
        return None if blob is None else str(blob.generation)

    def walk(self, folder: str, prefix: str) -> Iterator[Entry]:
        bucket, root = _folder(folder)
        for blob in self._client.list_blobs(bucket, prefix=root + prefix, timeout=_TIMEOUT, retry=self._retry):
            name, version = blob.name.removeprefix(root), str(blob.generation)
            yield Entry(name, blob.size, blob.updated.timestamp(), version=version)

    def delete(self, folder: str, names: Sequence[str]) -> None:
        from google.api_core import exceptions

        bucket, root = _folder(folder)

        def remove(name: str) -> None:
            try:
                self._client.bucket(bucket).blob(root + name).delete(timeout=_TIMEOUT, retry=self._retry)
            except exceptions.NotFound:
                return

        with concurrent.futures.ThreadPoolExecutor(_GCS_DELETIONS) as pool:
            for _ in pool.map(remove, names):
                pass

    def is_transient(self, error: Exception) -> bool:
        import requests
        from google.api_core import exceptions, retry

        if isinstance(error, exceptions.GoogleAPICallError) and error.code in _GCS_TRANSIENT_STATUS:
            return True
        return retry.if_transient_error(error) or isinstance(error, (ConnectionError, requests.Timeout))

    def is_throttled(self, error: Exception) -> bool:
        return False  # Google's client has been patient already

    def _upload(self, blob, content: bytes, media_type: str, generation: int) -> None:
        # The service checks the MD5 itself: base64 of it travels with the request.
        blob.upload_from_string(
            content,
            content_type=media_type,
            if_generation_match=generation,
            checksum="md5",
            timeout=_TIMEOUT,
            retry=self._retry,
        )

    def _blob(self, path: str):
        bucket, name = _parts(path)
        return self._client.bucket(bucket).blob(name)


def _gcs_holds(blob, content: bytes) -> bool:
    md5 = base64.b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode()
    return blob.size == len(content) and blob.md5_hash == md5


def _parts(path: str) -> tuple[str, str]:
    bucket, _, key = path.split("://", 1)[1].partition("/")
    if not bucket:
        raise StorageError(f"{path!r} names no bucket; write it like 's3://bucket/folder'")
    return bucket, key


def _folder(path: str) -> tuple[str, str]:
    """Returns the bucket of a folder, and how the keys of all that is below it begin."""
    bucket, key = _parts(path)
    return bucket, key if not key or key.endswith("/") else f"{key}/"


def _s3_client(options: PipelineOptions):
    """Returns a client set up from the options as Beam's own is, which leaves the timeouts at a minute."""
    import boto3
    from apache_beam.options.pipeline_options import S3Options
    from botocore.config import Config

    given = options.view_as(S3Options)
    hide((given.s3_access_key_id, given.s3_secret_access_key, given.s3_session_token))  # in workers as well
    return boto3.session.Session().client(
        "s3",
        region_name=given.s3_region_name,
        api_version=given.s3_api_version,
        use_ssl=not given.s3_disable_ssl,
        verify=given.s3_verify,
        endpoint_url=given.s3_endpoint_url,
        aws_access_key_id=given.s3_access_key_id,
        aws_secret_access_key=given.s3_secret_access_key,
        aws_session_token=given.s3_session_token,
        config=Config(
            connect_timeout=_TIMEOUT[0],
            read_timeout=_TIMEOUT[1],
            retries={"mode": "standard", "total_max_attempts": _S3_ATTEMPTS},
        ),
    )


def _s3_status(error) -> int:
    return error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)


# Of status 400, yet no fault of the request: damaged or cut off on the way.
_S3_TRANSIENT_CODES = ("BadDigest", "XAmzContentChecksumMismatch", "IncompleteBody", "RequestTimeout")
_GCS_TRANSIENT_STATUS = (408, 429, 500, 502, 503, 504)
_S3_BATCH = 1000  # keys that one request may name
_GCS_DELETIONS = 8  # requests at a time; the client keeps ten connections
_STORES: dict[str, Callable[[PipelineOptions], Store]] = {"gs": GcsStore, "s3": S3Store}
_EXTRAS = {"gs": "gcp", "s3": "aws"}
