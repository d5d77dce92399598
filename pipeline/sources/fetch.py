"""Getting the bytes of a photo from wherever its URI points, within limits of size, time and trust."""

from __future__ import annotations

import dataclasses
import datetime
import email.utils
import functools
import hashlib
import time
import urllib.parse
from collections.abc import Callable

import apache_beam as beam
import requests
import urllib3

from pipeline.redaction import SECRET_WORDS
from pipeline.sinks import storage
from pipeline.sources.filesystem import beam_path, exists, open_file, scheme_of
from pipeline.sources.http_session import http_session
from transforms.reasons import PhotoError, RejectReason
from transforms.stage import PhotoStage

STAGE = "fetch"
_CHUNK_BYTES = 1 << 16
_FIRST_WAIT, _LONGEST_WAIT = 0.5, 30.0  # seconds
_MAX_REDIRECTS = 5
_TRANSIENT_STATUS = {408, 425, 429, 500, 502, 503, 504}
_GONE_STATUS = {404, 410}
_CONDITIONS = {"etag": "If-None-Match", "modified": "If-Modified-Since"}
# A server that sends a byte now and then never runs into the timeout of a single read.
_MAX_TIMEOUTS_A_FILE = 10
_SHOWN_CHARACTERS = 200


@dataclasses.dataclass(frozen=True)
class Fetched:
    """What a fetch brought.

    Attributes:
      content: the file's bytes, or None where they are those of the version that is known already.
      version: changes with the bytes: the ETag or the time of change of a web server, else as
        ``pipeline.sinks.storage.Entry`` has it; None where nothing of the kind is told.
    """

    content: bytes | None
    version: str | None


class _TransientError(Exception):
    """Something that may go better in a moment.

    Attributes:
      wait: seconds after which the server asked to be tried again, or None.
    """

    def __init__(self, what: str, wait: float | None = None):
        super().__init__(what)
        self.wait = wait


def fetch(
    uri: str,
    *,
    max_bytes: int,
    timeout: float,
    retries: int,
    allow_private_hosts: bool = False,
    known_version: str | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> Fetched:
    """Reads a whole file, unless it is known.

    Args:
      uri: local path, ``file://``, ``gs://``, ``s3://``, ``http://`` or ``https://``.
      max_bytes: a longer file is not read to its end.
      timeout: seconds for connecting to a web server and for each of its answers; a whole file may take ten times
        as long. The clients of the object stores have timeouts of their own.
      retries: how often a failure that may pass is tried again, after .5, 1, 2, 4 ... seconds, or after what the
        server asks for, 30 at most.
      allow_private_hosts: whether web addresses may lead to this machine or into the private network. Feeds come
        from strangers, so by default they may not, neither directly nor by a redirect.
      known_version: the version of an earlier fetch. If the file still is of that version, it is not read.
      sleep: waits for a number of seconds.

    Returns:
      The file's bytes and version.

    Raises:
      PhotoError: with reason ``not_found``, ``too_large`` or ``fetch_failed``. The detail has no credentials.
    """
    scheme = scheme_of(uri)
    web = scheme in ("http", "https")
    if uri.startswith("data:"):
        raise PhotoError(RejectReason.FETCH_FAILED, "data: URIs are not read; put the bytes into a bytes column")
    for attempt in range(retries + 1):
        try:
            if web:
                return _fetch_web(uri, max_bytes, timeout, allow_private_hosts, known_version)
            # Looked up before the file is read: should it change in between, the next run sees another version.
            version = _stored_version(uri)
            if version is not None and version == known_version:
                return Fetched(None, version)
            return Fetched(_fetch_file(uri, max_bytes), version)
        except _TransientError as error:
            failure = error
            if scheme == "file":
                break
            if attempt < retries:
                sleep(min(error.wait if error.wait is not None else _FIRST_WAIT * 2**attempt, _LONGEST_WAIT))
    tries = f"; tried {retries + 1} times" if retries and scheme != "file" else ""
    raise PhotoError(RejectReason.FETCH_FAILED, f"{_shown(uri)}: {failure}{tries}") from failure


def without_credentials(uri: str) -> str:
    """Returns a web address fit for tables and reports: without user and password, secret parameters blanked.

    Parameters that tell one photo from another stay; those whose name speaks of a signature, token or key do not.
    Other URIs come back unchanged, but for ``data:``, which is cut.
    """
    if uri.startswith("data:"):
        return uri.split(",", 1)[0][:_SHOWN_CHARACTERS] + ",..."
    if scheme_of(uri) not in ("http", "https"):
        return uri
    head, mark, query = uri.partition("?")
    scheme, slashes, rest = head.partition("://")
    host, slash, path = rest.partition("/")
    host = host.rpartition("@")[2]
    parameters = []
    for parameter in query.partition("#")[0].split("&"):
        name, equals, _ = parameter.partition("=")
        secret = any(word in urllib.parse.unquote(name).lower() for word in SECRET_WORDS)
        parameters.append(f"{name}{equals}..." if secret else parameter)
    return scheme + slashes + host + slash + path + mark + "&".join(parameters)


def _shown(uri: str) -> str:
    """Returns a URI for an error message: of a web address, only what cannot hold a secret."""
    if scheme_of(uri) in ("http", "https"):
        uri = without_credentials(uri).partition("?")[0].partition("#")[0]
    return uri if len(uri) <= _SHOWN_CHARACTERS else uri[: _SHOWN_CHARACTERS - 3] + "..."


def _stored_version(uri: str) -> str | None:
    try:
        return storage.file_version(beam_path(uri))
    except storage.StorageError:  # reading it will say what is wrong
        return None


def _fetch_file(uri: str, max_bytes: int) -> bytes:
    try:
        with open_file(uri) as stream:
            content = stream.read(max_bytes + 1)
            # Readers of object stores may give less than they were asked for, before the end.
            while 0 < len(content) <= max_bytes and (more := stream.read(max_bytes + 1 - len(content))):
                content += more
    except Exception as error:  # each store's client has exceptions of its own
        try:
            missing = isinstance(error, FileNotFoundError) or not exists(uri)
        except Exception:  # the store does not answer, or there is no such store
            missing = False
        if missing:
            raise PhotoError(RejectReason.NOT_FOUND, f"there is no file {_shown(uri)}") from error
        if isinstance(error, ValueError):  # a bucket, or a scheme that no installed file system knows
            detail = f"{_shown(uri)} is not the address of a file that can be read here"
            raise PhotoError(RejectReason.FETCH_FAILED, detail) from error
        raise _TransientError(f"{type(error).__name__} while reading") from error
    if len(content) > max_bytes:
        raise _too_large(uri, f"more than {max_bytes}", max_bytes)
    return content


def _fetch_web(
    uri: str, max_bytes: int, timeout: float, allow_private_hosts: bool, known_version: str | None
) -> Fetched:
    session = http_session(allow_private_hosts)
    kind, _, value = (known_version or "").partition(":")
    condition = {_CONDITIONS[kind]: value} if kind in _CONDITIONS else {}
    deadline = time.monotonic() + timeout * _MAX_TIMEOUTS_A_FILE
    address = uri
    try:
        for _ in range(_MAX_REDIRECTS + 1):
            with session.get(
                address, stream=True, allow_redirects=False, timeout=timeout, headers=condition
            ) as response:
                if not response.is_redirect:
                    version = _response_version(response)
                    if condition and (response.status_code == 304 or (response.ok and version == known_version)):
                        return Fetched(None, known_version)
                    return Fetched(_read_response(response, uri, max_bytes, deadline), version)
                address = urllib.parse.urljoin(address, session.get_redirect_target(response))
                if scheme_of(address) not in ("http", "https"):
                    detail = f"{_shown(uri)} redirects to an address that is neither http:// nor https://"
                    raise PhotoError(RejectReason.FETCH_FAILED, detail)
        detail = f"{_shown(uri)} redirects more than {_MAX_REDIRECTS} times"
        raise PhotoError(RejectReason.FETCH_FAILED, detail)
    # What the libraries say of an error quotes the address with all that is secret in it: it is left out.
    except requests.exceptions.SSLError as error:
        detail = f"{_shown(uri)}: no secure connection; the certificate may be invalid"
        raise PhotoError(RejectReason.FETCH_FAILED, detail) from error
    except (requests.Timeout, urllib3.exceptions.TimeoutError) as error:
        raise _TransientError(f"no answer within {timeout:g} seconds") from error
    except (requests.ConnectionError, urllib3.exceptions.ProtocolError) as error:
        raise _TransientError("the connection failed or broke off") from error
    except (requests.RequestException, urllib3.exceptions.HTTPError, ValueError) as error:
        detail = f"{_shown(uri)} cannot be fetched: {type(error).__name__}"
        raise PhotoError(RejectReason.FETCH_FAILED, detail) from error


def _response_version(response: requests.Response) -> str | None:
    """Returns what a web server says that changes with the file (RFC 9110, 8.8)."""
    for kind, header in (("etag", "ETag"), ("modified", "Last-Modified")):
        if value := response.headers.get(header):
            return f"{kind}:{value}"
    return None


def _read_response(response: requests.Response, uri: str, max_bytes: int, deadline: float) -> bytes:
    status = response.status_code
    if status in _TRANSIENT_STATUS:
        raise _TransientError(f"the server answered {status}", _retry_after(response.headers.get("Retry-After")))
    if status in _GONE_STATUS:
        raise PhotoError(RejectReason.NOT_FOUND, f"{_shown(uri)}: the server answered {status}")
    if status != 200:
        raise PhotoError(RejectReason.FETCH_FAILED, f"{_shown(uri)}: the server answered {status}")
    announced = response.headers.get("Content-Length", "")
    if announced.isdecimal() and int(announced) > max_bytes:
        raise _too_large(uri, announced, max_bytes)
    content = bytearray()
    while chunk := response.raw.read1(_CHUNK_BYTES, decode_content=True):
        content += chunk
        if len(content) > max_bytes:
            raise _too_large(uri, f"more than {max_bytes}", max_bytes)
        if time.monotonic() > deadline:
            raise _TransientError(f"the server sent only {len(content)} bytes in the time allowed")
    return bytes(content)


def _retry_after(value: str | None) -> float | None:
    """Returns the seconds that a Retry-After header asks for, as a number or as a date (RFC 9110, 10.2.3)."""
    if value is None:
        return None
    if value.strip().isdecimal():
        return float(value)
    try:
        date = email.utils.parsedate_to_datetime(value)
    except ValueError:
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=datetime.UTC)
    return max(0.0, (date - datetime.datetime.now(datetime.UTC)).total_seconds())


def _too_large(uri: str, size: str, max_bytes: int) -> PhotoError:
    detail = f"{_shown(uri)} has {size} bytes; the limit is {max_bytes} bytes"
    return PhotoError(RejectReason.TOO_LARGE, detail)


def fetch_photo(photo, *, verify_content: bool = False, **options):
    """Returns a photo with ``source_sha256`` and, unless its pictures can stay as they are, with ``content``.

    Args:
      photo: the photo; one that has content already is not fetched. Its ``source_uri`` comes back without credentials.
      verify_content: read every photo, also one that according to its storage has not changed.
      **options: as of ``fetch``.

    Raises:
      PhotoError: the photo cannot be fetched.
    """
    uri, known = without_credentials(photo.source_uri), photo.known
    if photo.content is not None:
        return photo.replace(source_sha256=hashlib.sha256(photo.content).hexdigest(), source_uri=uri)
    sparing = known is not None and known.current and known.source_uri == uri and not verify_content
    found = fetch(photo.source_uri, known_version=known.source_version if sparing else None, **options)
    digest = known.source_sha256 if found.content is None else hashlib.sha256(found.content).hexdigest()
    return photo.replace(
        content=found.content,
        source_sha256=digest,
        source_uri=uri,
        source_version=found.version or photo.source_version,
    )


class FetchPhotos(beam.PTransform):
    """Gives every photo its bytes and their digest; see ``fetch_photo``.

    Args:
      max_bytes, timeout, retries, allow_private_hosts: as of ``fetch``.
      verify_content: as of ``fetch_photo``.

    Returns (of ``expand``):
      Two PCollections, of photos and of rejections.
    """

    def __init__(
        self,
        *,
        max_bytes: int,
        timeout: float,
        retries: int,
        allow_private_hosts: bool = False,
        verify_content: bool = False,
    ):
        super().__init__()
        self._fetch = functools.partial(
            fetch_photo,
            max_bytes=max_bytes,
            timeout=timeout,
            retries=retries,
            allow_private_hosts=allow_private_hosts,
            verify_content=verify_content,
        )

    def expand(self, photos):
        fetched, rejected = photos | PhotoStage(STAGE, self._fetch)
        return fetched, rejected | "HideCredentials" >> beam.Map(_without_credentials)


def _without_credentials(rejection):
    return dataclasses.replace(rejection, source_uri=without_credentials(rejection.source_uri))
