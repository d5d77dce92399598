"""Fetching over HTTP and from files: limits, retries, private hosts, secrets."""

import dataclasses
import email.utils
import gzip
import hashlib
import http.server
import socket
import threading
import time

import apache_beam as beam
import pytest
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.testing.util import assert_that

from pipeline.records import KnownPhoto, Photo
from pipeline.sources import FetchPhotos, fetch, http_session
from pipeline.sources.fetch import Fetched, fetch_photo, without_credentials
from transforms.reasons import PhotoError, RejectReason

BODY = bytes(range(256)) * 20
VERSION = '"v1, of 2026"'


class _Shop(http.server.BaseHTTPRequestHandler):
    """Answers by path; remembers what was asked."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        path, _, query = self.path.partition("?")
        self.server.asked.append(self.path)
        self.server.authorizations.append(self.headers.get("Authorization"))
        getattr(self, path.strip("/").replace("-", "_").replace(".", "_"))(query)

    def answer(self, status: int, body: bytes = b"", **headers: str):
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def ok(self, query):
        self.answer(200, BODY)

    def status(self, query):
        self.answer(int(query))

    def versioned(self, query):
        """Answers a conditional request; of a query ``ignorant``, as a server that does not know of such requests."""
        header, _, name = query.partition("&")
        condition = {"ETag": "If-None-Match", "Last-Modified": "If-Modified-Since"}[header]
        self.server.conditions.append(self.headers.get(condition))
        if self.headers.get(condition) == VERSION and name != "ignorant":
            self.answer(304, **{header: VERSION})
        else:
            self.answer(200, BODY, **{header: VERSION})

    def redirect(self, query):
        self.answer(302, Location=query)

    def loop(self, query):
        self.answer(302, Location="/loop")

    def flaky(self, query):
        if len(self.server.asked) <= int(query):
            self.answer(503)
        else:
            self.ok(query)

    def busy(self, query):
        self.answer(429, Retry_After=query.replace("%20", " "))

    def announced_large(self, query):
        self.send_response(200)
        self.send_header("Content-Length", str(10**12))
        self.end_headers()
        self.close_connection = True

    def endless(self, query):
        self.send_response(200)
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        try:
            for _ in range(10_000):
                self.wfile.write(bytes(10_000))
        except OSError:
            self.server.gave_up.set()

    def promises_more(self, query):
        self.send_response(200)
        self.send_header("Content-Length", str(len(BODY) + 100))
        self.end_headers()
        self.wfile.write(BODY)
        self.close_connection = True

    def gzip_bomb(self, query):
        self.answer(200, gzip.compress(bytes(10**7)), Content_Encoding="gzip")

    def silent(self, query):
        self.server.released.wait(5)
        self.close_connection = True

    def drip(self, query):
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        self.close_connection = True
        while not self.server.released.wait(0.03):
            try:
                self.wfile.write(b"x")
            except OSError:
                return

    def log_message(self, *args):
        pass


@pytest.fixture
def shop():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Shop)
    server.asked, server.authorizations, server.conditions = [], [], []
    server.gave_up, server.released = threading.Event(), threading.Event()
    server.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield server
    server.released.set()
    server.shutdown()
    server.server_close()
    thread.join()


def get(uri, **options):
    waits = []
    settings = {"max_bytes": 10_000, "timeout": 5, "retries": 2, "allow_private_hosts": True, "sleep": waits.append}
    try:
        return fetch(uri, **settings | options).content, waits
    except PhotoError as error:
        return error, waits


# --- versions ---


@pytest.mark.parametrize("header, kind", [("ETag", "etag"), ("Last-Modified", "modified")])
@pytest.mark.parametrize("server", ["knowing", "ignorant"])
def test_a_known_version_is_not_fetched_from_the_web_again(shop, header, kind, server):
    uri = f"{shop.url}/versioned?{header}&{server}"
    options = {"max_bytes": 10_000, "timeout": 5, "retries": 0, "allow_private_hosts": True}
    first = fetch(uri, **options)
    assert (first.content, first.version) == (BODY, f"{kind}:{VERSION}")
    assert fetch(uri, **options, known_version=first.version) == Fetched(None, first.version)
    assert fetch(uri, **options, known_version=f"{kind}:other").content == BODY
    assert shop.conditions == [None, VERSION, "other"]


def test_a_server_without_versions_is_read_each_time(shop):
    options = {"max_bytes": 10_000, "timeout": 5, "retries": 0, "allow_private_hosts": True}
    assert fetch(f"{shop.url}/ok", **options) == Fetched(BODY, None)
    assert fetch(f"{shop.url}/ok", **options, known_version="12:34").content == BODY


def test_a_known_file_is_not_read_again(tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(b"abc")
    options = {"max_bytes": 100, "timeout": 1, "retries": 0}
    first = fetch(str(path), **options)
    assert first.content == b"abc" and first.version is not None
    assert fetch(str(path), **options, known_version=first.version) == Fetched(None, first.version)
    path.write_bytes(b"abcd")
    assert fetch(str(path), **options, known_version=first.version).content == b"abcd"


KNOWN = KnownPhoto("part", 0, "", "5" * 64, None, current=True)


@pytest.mark.parametrize(
    "changes, options, read",
    [
        ({}, {}, False),
        ({"current": False}, {}, True),
        ({"source_uri": "elsewhere"}, {}, True),
        ({"source_version": "1:1"}, {}, True),
        ({}, {"verify_content": True}, True),
    ],
)
def test_a_photo_is_spared_only_if_its_pictures_are_current(tmp_path, changes, options, read):
    path = tmp_path / "a.jpg"
    path.write_bytes(b"abc")
    version = fetch(str(path), max_bytes=9, timeout=1, retries=0).version
    known = dataclasses.replace(KNOWN, **{"source_uri": str(path), "source_version": version, **changes})
    photo = fetch_photo(Photo("a", str(path), known=known), max_bytes=9, timeout=1, retries=0, **options)
    assert photo.content == (b"abc" if read else None)
    assert photo.source_sha256 == (hashlib.sha256(b"abc").hexdigest() if read else "5" * 64)
    assert photo.source_version == version


# --- the web ---


def test_a_file_from_the_web(shop):
    assert get(shop.url + "/ok") == (BODY, [])
    assert get(shop.url + "/redirect?/ok") == (BODY, [])
    assert get(shop.url + "/ok", max_bytes=len(BODY)) == (BODY, [])


@pytest.mark.parametrize("status", [404, 410])
def test_what_is_not_there(shop, status):
    error, waits = get(f"{shop.url}/status?{status}")
    assert error.reason == RejectReason.NOT_FOUND
    assert str(status) in error.detail
    assert waits == []


@pytest.mark.parametrize("status", [400, 401, 403, 501, 204])
def test_what_will_not_get_better_is_not_tried_again(shop, status):
    error, _ = get(f"{shop.url}/status?{status}")
    assert error.reason == RejectReason.FETCH_FAILED
    assert len(shop.asked) == 1


def test_what_may_get_better_is_tried_again(shop):
    assert get(shop.url + "/flaky?2") == (BODY, [0.5, 1.0])
    shop.asked.clear()
    error, waits = get(shop.url + "/flaky?9", retries=4)
    assert (error.reason, waits) == (RejectReason.FETCH_FAILED, [0.5, 1.0, 2.0, 4.0])
    assert "answered 503; tried 5 times" in error.detail


def test_the_server_says_when(shop):
    assert get(shop.url + "/busy?7", retries=1)[1] == [7.0]
    assert get(shop.url + "/busy?86400", retries=1)[1] == [30.0]
    assert get(shop.url + "/busy?soon", retries=1)[1] == [0.5]
    date = email.utils.formatdate(time.time() + 20, usegmt=True).replace(" ", "%20")
    (wait,) = get(f"{shop.url}/busy?{date}", retries=1)[1]
    assert 15 < wait <= 20


def test_size_limits(shop):
    for path in ("ok", "announced-large", "endless", "gzip-bomb"):
        error, waits = get(f"{shop.url}/{path}", max_bytes=5000)
        assert error.reason == RejectReason.TOO_LARGE, path
        assert "5000 bytes" in error.detail
        assert waits == []
    assert shop.gave_up.wait(5)  # the endless one was cut off


def test_a_broken_promise_of_length(shop):
    error, waits = get(shop.url + "/promises-more")
    assert error.reason == RejectReason.FETCH_FAILED
    assert "broke off" in error.detail
    assert len(waits) == 2


def test_timeouts(shop):
    for path in ("silent", "drip"):
        started = time.monotonic()
        error, _ = get(f"{shop.url}/{path}", timeout=0.1, retries=0)
        assert error.reason == RejectReason.FETCH_FAILED
        assert time.monotonic() - started < 3


def test_endless_redirects(shop):
    error, _ = get(shop.url + "/loop")
    assert error.reason == RejectReason.FETCH_FAILED
    assert "redirects more than 5 times" in error.detail


def test_redirects_stay_on_the_web(shop, tmp_path):
    error, _ = get(f"{shop.url}/redirect?file://{tmp_path}")
    assert error.reason == RejectReason.FETCH_FAILED
    assert "neither http:// nor https://" in error.detail


def test_nobody_listens():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    error, waits = get(f"http://127.0.0.1:{port}/x.png", retries=1)
    assert (error.reason, waits) == (RejectReason.FETCH_FAILED, [0.5])


@pytest.mark.parametrize("uri", ["http://", "http://[::1", "http://x:y/z", "https://" + "a" * 300, "http://exa mple/"])
@pytest.mark.parametrize("private", [True, False])
def test_malformed_addresses(uri, private):
    error, _ = get(uri, allow_private_hosts=private, retries=0)
    assert error.reason == RejectReason.FETCH_FAILED
    assert len(error.detail) < 400


# --- private hosts ---


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.1", "2130706433", "[::1]", "[::ffff:127.0.0.1]"])
def test_this_machine_is_refused(shop, host):
    error, waits = get(f"http://{host}:{shop.server_port}/ok", allow_private_hosts=False)
    assert error.reason == RejectReason.FETCH_FAILED
    assert "not on the public internet" in error.detail or "unknown" in error.detail
    assert shop.asked == [] and waits == []


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True),
        ("2606:4700::1111", True),
        ("10.0.0.1", False),
        ("172.16.3.4", False),
        ("192.168.1.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("::1", False),
        ("fe80::1%eth0", False),
        ("fd00::1", False),
        ("::ffff:10.0.0.1", False),
        ("2002:7f00:1::", False),
        ("64:ff9b::a00:1", False),
    ],
)
def test_public_addresses(address, public):
    assert http_session.is_public(address) == public


def test_a_redirect_to_a_private_host_is_refused(shop, monkeypatch):
    monkeypatch.setattr(http_session, "is_public", lambda address: address == "127.0.0.1")
    error, _ = get(f"{shop.url}/redirect?http://127.0.0.2:{shop.server_port}/ok", allow_private_hosts=False)
    assert error.reason == RejectReason.FETCH_FAILED
    assert "not on the public internet" in error.detail
    assert len(shop.asked) == 1


def test_the_address_that_was_checked_is_the_one_connected_to(shop, monkeypatch):
    looked_up = []
    real = socket.getaddrinfo

    def getaddrinfo(host, port, *args, **kwargs):
        if host != "shop.example":
            return real(host, port, *args, **kwargs)
        looked_up.append(host)  # a second look-up would lead elsewhere
        return real("127.0.0.1" if len(looked_up) == 1 else "127.0.0.3", port, *args, **kwargs)

    monkeypatch.setattr(http_session, "is_public", lambda address: address == "127.0.0.1")
    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    assert get(f"http://shop.example:{shop.server_port}/ok", allow_private_hosts=False)[0] == BODY
    assert looked_up == ["shop.example"]


def test_one_private_address_among_several_is_enough(monkeypatch):
    def getaddrinfo(host, port, *args, **kwargs):
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, port)) for ip in ("8.8.8.8", "10.0.0.1")]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    error, _ = get("http://shop.example/a.png", allow_private_hosts=False)
    assert "not on the public internet" in error.detail


@pytest.mark.parametrize(("number", "tries"), [(socket.EAI_NONAME, 1), (socket.EAI_AGAIN, 3)])
def test_unknown_hosts(monkeypatch, number, tries):
    asked = []

    def getaddrinfo(host, *args, **kwargs):
        asked.append(host)
        raise socket.gaierror(number, "no")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    error, _ = get("http://nowhere.example/a.png", allow_private_hosts=False)
    assert error.reason == RejectReason.FETCH_FAILED
    assert len(asked) == tries


# --- secrets ---


@pytest.mark.parametrize(
    "path", ["ok", "status?403&sig=s3cret", "status?404&token=s3cret", "loop", "announced-large?k=s3cret"]
)
def test_credentials_are_used_but_not_told(shop, path):
    uri = f"http://user:s3cret@127.0.0.1:{shop.server_port}/{path}"
    result, _ = get(uri, retries=0)
    assert shop.authorizations[0].startswith("Basic ")
    if isinstance(result, PhotoError):
        assert "s3cret" not in str(result) and "user" not in result.detail


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("https://u:p@h/a.jpg", "https://h/a.jpg"),
        ("https://h:8080/a.jpg?id=5&w=100", "https://h:8080/a.jpg?id=5&w=100"),
        ("https://h/a?X-Amz-Signature=abc&id=5", "https://h/a?X-Amz-Signature=...&id=5"),
        ("https://h/a?id=5&access_token=abc#x", "https://h/a?id=5&access_token=..."),
        ("https://h/a?%73ig=abc", "https://h/a?%73ig=..."),
        ("gs://bucket/a?b@c", "gs://bucket/a?b@c"),
        ("feed.parquet#12", "feed.parquet#12"),
        ("data:image/png;base64,AAAA", "data:image/png;base64,..."),
    ],
)
def test_addresses_fit_for_tables(uri, expected):
    assert without_credentials(uri) == expected


# --- files ---


def test_files_of_every_store(store):
    place, put = store
    put("a b.png", BODY)
    put("empty.png", b"")
    assert get(f"{place}/a b.png") == (BODY, [])
    assert get(f"{place}/a b.png", max_bytes=len(BODY)) == (BODY, [])
    assert get(f"{place}/empty.png") == (b"", [])
    error, _ = get(f"{place}/a b.png", max_bytes=100)
    assert (error.reason, "limit is 100 bytes" in error.detail) == (RejectReason.TOO_LARGE, True)
    error, waits = get(f"{place}/nothing.png")
    assert (error.reason, waits) == (RejectReason.NOT_FOUND, [])


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("nfs://server/a.png", "fetch_failed"),
        ("data:image/png;base64,AAAA", "fetch_failed"),
        ("s3://bucket", "not_found"),
        ("gs://bucket/", "not_found"),
    ],
)
def test_what_cannot_be_read(uri, reason):
    error, waits = get(uri)
    assert (error.reason, waits) == (reason, [])


def test_a_folder_is_no_file(tmp_path):
    error, waits = get(str(tmp_path))
    assert (error.reason, waits) == (RejectReason.FETCH_FAILED, [])


# --- stage ---


def test_the_stage_fetches_and_digests(shop, tmp_path):
    (tmp_path / "a.png").write_bytes(BODY)
    photos = [
        Photo("file", str(tmp_path / "a.png")),
        Photo("row", "feed.parquet#3", content=b"xyz"),
        Photo("web", f"http://u:pw@127.0.0.1:{shop.server_port}/ok?sig=pw&id=1"),
        Photo("gone", f"http://u:pw@127.0.0.1:{shop.server_port}/status?404"),
    ]

    def check_photos(found):
        digests = {p.id: (p.content, p.source_sha256) for p in found}
        assert digests == {
            "file": (BODY, hashlib.sha256(BODY).hexdigest()),
            "row": (b"xyz", hashlib.sha256(b"xyz").hexdigest()),
            "web": (BODY, hashlib.sha256(BODY).hexdigest()),
        }
        assert not any("pw" in p.source_uri for p in found)

    def check_rejections(found):
        (rejection,) = found
        assert (rejection.id, rejection.stage, rejection.reason) == ("gone", "fetch", "not_found")
        assert "pw" not in rejection.source_uri + rejection.detail

    with beam.Pipeline(runner=FnApiRunner()) as pipeline:
        stage = FetchPhotos(max_bytes=10_000, timeout=5, retries=0, allow_private_hosts=True)
        fetched, rejected = pipeline | beam.Create(photos) | stage
        assert_that(fetched, check_photos, label="photos")
        assert_that(rejected, check_rejections, label="rejections")
