"""Single requests to object stores that refuse them, break them, or let somebody else come first."""

import io
import json
import types

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from apache_beam.internal.gcp import auth
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from pipeline.sinks import object_stores, storage
from pipeline.sources import fetch, open_source
from pipeline.sources.filesystem import find_files, open_file
from pipeline.sources.items import PlannedItem
from pipeline.sources.read import read_photos
from tests import emulators
from tests.faults import services
from tests.faults.proxy import FaultyProxy, serving


@pytest.fixture(autouse=True)
def pauses(monkeypatch) -> list[float]:
    """Lets nobody wait for long; gives the seconds that ``storage`` would have waited."""
    waited: list[float] = []
    monkeypatch.setattr(object_stores, "_S3_ATTEMPTS", 1)
    monkeypatch.setattr(object_stores, "_GCS_FIRST_PAUSE", 0.01)
    monkeypatch.setattr(storage, "time", types.SimpleNamespace(sleep=waited.append))
    return waited


@pytest.fixture(params=["s3", "gs"])
def service(request):
    with services.running(request.param) as service:
        yield service


@pytest.fixture
def s3():
    with services.running("s3") as service:
        yield service


@pytest.fixture
def gs():
    with services.running("gs") as service:
        yield service


def test_throttling_is_waited_out_with_growing_pauses(service, pauses):
    with service.behind(every=1, faults=("503", "429"), up_after=6) as (proxy, _):
        assert storage.write_bytes(service.uri("a.jpg"), b"picture").outcome == "written"
    assert proxy.broken == ["503", "429"] * 3
    assert service.objects() == {"a.jpg": b"picture"}
    if service.scheme == "s3":  # Google's client pauses by itself
        most = [0.2, 0.4, 0.8, 1.6, 3.2, 6.4]
        assert len(pauses) == 6 and all(m / 2 <= pause <= m for m, pause in zip(most, pauses, strict=True))


def test_throttling_without_end_is_an_error_in_the_end(service, pauses, monkeypatch):
    monkeypatch.setattr(object_stores, "_GCS_PATIENCE", 1.0)
    with service.behind(every=1, faults=("503",)) as (proxy, _):
        with pytest.raises(storage.StorageError, match=r"could not write '.*a\.jpg' \(7 bytes\).*503"):
            storage.write_bytes(service.uri("a.jpg"), b"picture")
        assert len(proxy.broken) >= 4 and sum(pauses) < 60
    assert service.objects() == {}


def test_a_connection_that_breaks_half_way_leaves_nothing_or_all(service, monkeypatch):
    size = 9_000_000 if service.scheme == "gs" else 300_000  # above 8 MB, gs:// takes several requests
    content, uri = bytes(range(250)) * (size // 250), service.uri("large.png")
    with service.behind(every=1, faults=("cut",)) as (proxy, _), monkeypatch.context() as patch:
        patch.setattr(object_stores, "_GCS_PATIENCE", 1.0)
        with pytest.raises(storage.StorageError, match="could not write"):
            storage.write_bytes(uri, content)
        assert proxy.broken
    assert service.objects() == {}
    with service.behind(every=2, faults=("cut",), up_after=4) as (proxy, _):
        storage.write_bytes(uri, content)
        storage.write_bytes(uri + "2", content)
        assert proxy.broken
    assert service.objects() == {"large.png": content, "large.png2": content}


def test_of_two_who_replace_a_file_the_store_lets_one(service):
    uri = service.uri("LATEST")

    def overtake(method, path, body):
        if services.writes("LATEST", method, path, body) and service.objects().get("LATEST") == b"first\n":
            service.put("LATEST", b"rival\n")

    with service.behind(before=overtake):
        storage.write_text_last(uri, "first\n", expected=None)
        with pytest.raises(storage.SupersededError, match=r"LATEST' was written by somebody else at the same moment"):
            storage.write_text_last(uri, "second\n", expected="first\n")
    assert service.objects() == {"LATEST": b"rival\n"}


def test_where_two_meet_in_mid_request_the_writer_looks_again(s3):
    """S3 answers 409 then, and neither may have won."""
    with s3.behind(every=2, faults=("409",), up_after=2) as (proxy, _):
        storage.write_text_last(s3.uri("LATEST"), "first\n", expected=None)
    assert proxy.broken == ["409"] and s3.objects() == {"LATEST": b"first\n"}


def test_more_objects_than_a_page_holds(service):
    names = [f"{number:04d}.jpg" for number in range(1050)]
    emulators.fill(service.scheme, services.BUCKET, [f"photos/{name}" for name in names])
    with service.behind() as (proxy, _):
        assert [file.relative for file in find_files(service.uri("photos"))] == names
        assert len(proxy.asked) >= 2
        assert storage.file_names(service.uri("photos")) == names
        if service.scheme == "s3":  # more than one request may delete
            storage.delete_files(service.uri("photos"), names)
            assert service.objects() == {}


def test_rows_of_parquet_are_read_however_requests_break(service):
    pictures = [bytes([number]) * 40_000 for number in range(12)]
    stream = io.BytesIO()
    pq.write_table(pa.table({"id": [str(n) for n in range(12)], "image": pictures}), stream, row_group_size=4)
    service.put("feed/a.parquet", stream.getvalue())
    with service.behind(every=4, stall=0.2) as (proxy, _):
        source = open_source(service.uri("feed"))
        found = [p.content for item in source.items() for p in read_photos(PlannedItem(item), source.options)]
    assert found == pictures
    assert len(set(proxy.broken)) >= 2, proxy.broken


def test_a_version_that_is_known_is_not_read(service):
    service.put("a.jpg", b"picture")
    options = {"max_bytes": 100, "timeout": 1.0, "retries": 0}
    with service.behind() as (proxy, _):
        first = fetch(service.uri("a.jpg"), **options)
        assert first.content == b"picture" and service.reads(proxy.asked)
        proxy.asked.clear()
        assert fetch(service.uri("a.jpg"), known_version=first.version, **options).content is None
        assert proxy.asked and not service.reads(proxy.asked)
        service.put("a.jpg", b"another")
        assert fetch(service.uri("a.jpg"), known_version=first.version, **options).content == b"another"


def test_an_error_that_quotes_credentials_is_told_without_them(service):
    key, secret, token = emulators.SECRETS
    quoted = f"key {key} secret {secret} token {token} Authorization: Bearer ya29.abcdef-0123456789"
    answer = {
        "s3": f"<Error><Code>InvalidAccessKeyId</Code><Message>{quoted}</Message></Error>",
        "gs": json.dumps({"error": {"code": 403, "message": quoted}}),
    }
    object_stores.hide(emulators.SECRETS)
    with service.behind(every=1, faults=("403",), body=answer[service.scheme].encode()) as (proxy, _):
        for attempt in (
            lambda: storage.write_bytes(service.uri("a.jpg"), b"picture"),
            lambda: list(storage.list_files(service.uri("photos"))),
            lambda: storage.write_text_last(service.uri("LATEST"), "x", expected=None),
        ):
            with pytest.raises(storage.StorageError, match=r"could not .*key \.\.\. secret \.\.\. token") as caught:
                attempt()
            assert not any(word in str(caught.value) for word in (*emulators.SECRETS, "ya29."))
        assert len(set(proxy.asked)) == len(proxy.asked)  # a refusal is not tried again


@pytest.mark.parametrize("how", ["environment", "profile"])
def test_s3_takes_credentials_and_endpoint_from_where_all_aws_clients_do(s3, monkeypatch, tmp_path, how):
    s3.put("a.jpg", b"picture")
    keys = {"aws_access_key_id": "AKIAPERSONAL00000001", "aws_secret_access_key": "mine"}
    if how == "environment":
        for name, value in keys.items():
            monkeypatch.setenv(name.upper(), value)
    else:
        file = tmp_path / "credentials"
        file.write_text("[shop]\n" + "".join(f"{name} = {value}\n" for name, value in keys.items()))
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
        monkeypatch.setenv("AWS_PROFILE", "shop")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    proxy = FaultyProxy(s3.address)
    monkeypatch.setattr(object_stores, "_connected", {})
    with serving(proxy) as address, emulators.file_systems(services.PipelineOptions([])):
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", address)
        storage.write_bytes(s3.uri("b.jpg"), b"made")
        with open_file(s3.uri("a.jpg")) as stream:  # by Beam's client
            assert stream.read() == b"picture"
    assert {method for method, _, _ in proxy.asked} >= {"PUT", "GET"}
    assert all("Credential=AKIAPERSONAL00000001/" in header for _, _, header in proxy.asked)
    assert s3.objects() == {"a.jpg": b"picture", "b.jpg": b"made"}


def test_gs_takes_application_default_credentials(gs, monkeypatch, tmp_path):
    """A service account's key file, exchanged for a token as Google has it; the services stand on this machine."""
    gs.put("a.jpg", b"picture")
    token = json.dumps({"access_token": "ya29.borrowed-token", "expires_in": 3600, "token_type": "Bearer"}).encode()
    key = rsa.generate_private_key(65537, 2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    monkeypatch.setattr(auth._Credentials, "_credentials_init", False)
    with serving(FaultyProxy("", every=1, faults=("200",), body=token)) as tokens:
        account = {
            "type": "service_account", "client_email": "packshot@shop.iam.gserviceaccount.com", "project_id": "shop",
            "private_key": key.decode(), "private_key_id": "1", "client_id": "1", "token_uri": f"{tokens}/token",
        }  # fmt: skip
        (tmp_path / "key.json").write_text(json.dumps(account))
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "key.json"))
        with gs.behind() as (proxy, _):
            storage.write_bytes(gs.uri("b.jpg"), b"made")
            with open_file(gs.uri("a.jpg")) as stream:  # by Beam's client
                assert stream.read() == b"picture"
    assert proxy.asked and all(header == "Bearer ya29.borrowed-token" for _, _, header in proxy.asked)
