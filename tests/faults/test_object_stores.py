"""Whole runs from and to object stores that break one request in ten; the servers and the clients are real."""

import dataclasses
import io
import json
import urllib.parse

import pyarrow.parquet as pq
import pytest

from pipeline.sinks import object_stores, storage
from tests import emulators
from tests.faults import services
from tests.faults.proxy import FaultyProxy


@pytest.fixture(scope="module", autouse=True)
def _impatient():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(object_stores, "_TIMEOUT", (1.0, 1.0))
        patch.setattr(object_stores, "_GCS_FIRST_PAUSE", 0.05)
        patch.setattr(storage, "_FIRST_PAUSE", 0.05)
        patch.setattr(storage, "_LONGEST_PAUSE", 0.2)
        yield


@dataclasses.dataclass(frozen=True)
class Fed:
    """A service with photos, and the output of a run over them during which one request in ten broke."""

    service: services.Service
    proxy: FaultyProxy
    status: int
    said: str


@pytest.fixture(scope="module", params=["s3", "gs"])
def fed(request, shop):
    with services.running(request.param) as service:
        for photo in shop.some.iterdir():
            service.put(f"photos/{photo.name}", photo.read_bytes())
        with service.behind(every=10) as (proxy, flags):
            status, said = shop.run(service.uri("out"), *flags, photos=service.uri("photos"))
        yield Fed(service, proxy, status, said)


def _split(objects):
    """Returns the committed run, its tables by file, and the assets."""
    run = objects["LATEST"].decode().strip()
    tables = {
        f"{table}/{name.rsplit('/', 1)[1]}": content
        for table in ("catalogue", "rejections")
        for name, content in objects.items()
        if name.startswith(f"{table}/{run}/")
    }
    return run, tables, {name: content for name, content in objects.items() if name.startswith("assets/")}


def _rows(tables):
    """Returns the rows of tables by file, without what tells where the photos lie."""
    read = {name: pq.read_table(io.BytesIO(content)) for name, content in tables.items()}
    places = ("source_uri", "source_version")
    return {name: t.drop_columns([c for c in places if c in t.column_names]).to_pylist() for name, t in read.items()}


def _line(said):
    (line,) = [line for line in said.splitlines() if line.startswith("packshot:")]
    return line


def test_s3_never_takes_one_asset(shop, committed, monkeypatch):
    monkeypatch.setattr(object_stores, "_S3_ATTEMPTS", 1)
    asset = min(name for name in committed.assets() if "/packshot/" in name)
    with services.running("s3") as service:
        with service.behind(every=1, faults=("503",), only=asset) as (_, flags):
            flags = (*flags, "--max_rejected_fraction", "0")
            status, said = shop.run("s3://shop/once", *flags, photos=shop.some)
        assert status == 3, said
        _, tables, _ = _split(service.objects("once/"))
        (row,) = _rows(tables)["rejections/part-00000-of-00001.parquet"]
        assert row["reason"] == "write_failed" and asset in row["detail"]
        with service.behind() as (_, flags):
            status, said = shop.run("s3://shop/once", *flags, photos=shop.some)  # and now it does
        assert status == 0, said
        _, _, assets = _split(service.objects("once/"))
        assert assets == committed.assets()


def test_one_request_in_ten_breaks(fed, committed):
    assert fed.status == 0, fed.said
    objects = fed.service.objects("out/")
    _, tables, assets = _split(objects)
    assert assets == committed.assets()
    assert _rows(tables) == _rows(committed.tables())
    assert not any(name.startswith("unfinished/") for name in objects)
    assert len(set(fed.proxy.broken)) >= 4, (len(fed.proxy.asked), fed.proxy.broken)


@pytest.mark.parametrize("fed", ["s3"], indirect=True)
def test_nothing_tells_the_credentials(fed):
    assert any(f"Credential={emulators.SECRETS[0]}/" in header for _, _, header in fed.proxy.asked)
    objects = fed.service.objects("out/")
    _, tables, _ = _split(objects)
    told = [fed.said.encode(), repr(_rows(tables)).encode(), *objects.values()]
    assert not [secret for secret in emulators.SECRETS if any(secret.encode() in content for content in told)]


def test_next_run_reads_no_photo_and_gives_way_to_one_that_came_first(fed, shop):
    """Nothing changed, so storage's own versions suffice; and while it commits, somebody else does."""
    rival = "20260101T000000Z-aaaaaa"
    asked = []  # before run.json: the report behind it shows some photos

    def overtake(method, path, body):
        if services.writes("run.json", method, path, body):
            asked.extend(proxy.asked)
        if services.writes("LATEST", method, path, body):
            fed.service.put("out/LATEST", f"{rival}\n".encode())

    before = fed.service.objects("out/")
    with fed.service.behind(before=overtake) as (proxy, flags):
        status, said = shop.run(fed.service.uri("out"), *flags, photos=fed.service.uri("photos"))
    assert status == 1
    assert f"now run '{rival}' is. Start it again; finished pictures are kept." in _line(said)
    after = fed.service.objects("out/")
    assert after["LATEST"] == f"{rival}\n".encode()
    (run_json,) = [name for name in after.keys() - before.keys() if name.endswith("run.json")]
    told = json.loads(after[run_json])
    assert told["unchanged"] == told["read"] == len(list(shop.some.iterdir()))
    read = [path for path in fed.service.reads(asked) if "photos/" in urllib.parse.unquote(path)]
    assert asked and not read


def test_store_goes_down_for_good(fed, shop, monkeypatch):
    """From some request on nothing is answered: the job ends in one line, and nothing is committed."""
    monkeypatch.setattr(object_stores, "_S3_ATTEMPTS", 1)
    monkeypatch.setattr(object_stores, "_GCS_PATIENCE", 0.3)  # seconds
    with fed.service.behind(faults=("reset",), down_after=25) as (_, flags):
        status, said = shop.run(fed.service.uri("down"), *flags, photos=shop.some)
    assert status == 1, said
    assert "could not" in _line(said) and fed.service.uri("down") in _line(said)
    assert "LATEST" not in fed.service.objects("down/")
