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

from pipeline.sources.filesystem import exists, open_file, scheme_of
from pipeline.sources.http_session import http_session
from transforms.reasons import PhotoError, RejectReason
from transforms.stage import PhotoStage

STAGE = "fetch"
_CHUNK_BYTES = 1 << 16
_FIRST_WAIT, _LONGEST_WAIT = 0.5, 30.0  # seconds
_MAX_REDIRECTS = 5
_TRANSIENT_STATUS = {408, 425, 429, 500, 502, 503, 504}
_GONE_STATUS = {404, 410}
# A server that sends a byte now and then never runs into the timeout of a single read.
_MAX_TIMEOUTS_A_FILE = 10
_SHOWN_CHARACTERS = 200
_SECRET_PARAMETERS = ("sig", "token", "key", "secret", "password", "passwd", "credential", "auth", "session", "policy")


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
    sleep: Callable[[float], None] = time.sleep,
) -> bytes:
    """Reads a whole file.

    Args:
      uri: local path, ``file://``, ``gs://``, ``s3://``, ``http://`` or ``https://``.
      max_bytes: a longer file is not read to its end.
      timeout: seconds for connecting to a web server and for each of its answers; a whole file may take ten times
        as long. The clients of the object stores have timeouts of their own.
      retries: how often a failure that may pass is tried again, after .5, 1, 2, 4 ... seconds, or after what the
        server asks for, 30 at most.
      allow_private_hosts: whether web addresses may lead to this machine or into the private network. Feeds come
        from strangers, so by default they may not, neither directly nor by a redirect.
      sleep: waits for a number of seconds.

    Returns:
      The file's bytes.

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
                return _fetch_web(uri, max_bytes, timeout, allow_private_hosts)
            return _fetch_file(uri, max_bytes)
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
        secret = any(word in urllib.parse.unquote(name).lower() for word in _SECRET_PARAMETERS)
        parameters.append(f"{name}{equals}..." if secret else parameter)
    return scheme + slashes + host + slash + path + mark + "&".join(parameters)


def _shown(uri: str) -> str:
    """Returns a URI for an error message: of a web address, only what cannot hold a secret."""
    if scheme_of(uri) in ("http", "https"):
        uri = without_credentials(uri).partition("?")[0].partition("#")[0]
    return uri if len(uri) <= _SHOWN_CHARACTERS else uri[: _SHOWN_CHARACTERS - 3] + "..."


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


def _fetch_web(uri: str, max_bytes: int, timeout: float, allow_private_hosts: bool) -> bytes:
    session = http_session(allow_private_hosts)
    deadline = time.monotonic() + timeout * _MAX_TIMEOUTS_A_FILE
    address = uri
    try:
        for _ in range(_MAX_REDIRECTS + 1):
            with session.get(address, stream=True, allow_redirects=False, timeout=timeout) as response:
                if not response.is_redirect:
                    return _read_response(response, uri, max_bytes, deadline)
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


def fetch_photo(photo, **options):
    """Returns a photo with ``content`` and ``source_sha256``; one that has content already is not fetched.

    Args:
      photo: the photo; its ``source_uri`` is fetched, and comes back without credentials.
      **options: as of ``fetch``.

    Raises:
      PhotoError: the photo cannot be fetched.
    """
    content = photo.content if photo.content is not None else fetch(photo.source_uri, **options)
    digest = hashlib.sha256(content).hexdigest()
    return photo.replace(content=content, source_sha256=digest, source_uri=without_credentials(photo.source_uri))


class FetchPhotos(beam.PTransform):
    """Gives every photo its bytes and their digest.

    Args:
      max_bytes, timeout, retries, allow_private_hosts: as of ``fetch``.

    Returns (of ``expand``):
      Two PCollections, of photos and of rejections.
    """

    def __init__(self, *, max_bytes: int, timeout: float, retries: int, allow_private_hosts: bool = False):
        super().__init__()
        self._fetch = functools.partial(
            fetch_photo, max_bytes=max_bytes, timeout=timeout, retries=retries, allow_private_hosts=allow_private_hosts
        )

    def expand(self, photos):
        fetched, rejected = photos | PhotoStage(STAGE, self._fetch)
        return fetched, rejected | "HideCredentials" >> beam.Map(_without_credentials)


def _without_credentials(rejection):
    return dataclasses.replace(rejection, source_uri=without_credentials(rejection.source_uri))
