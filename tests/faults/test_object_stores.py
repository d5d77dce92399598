"""Object stores that break one request in ten, each time in another way; the servers and the clients are real."""

import pyarrow.parquet as pq
import pytest
from apache_beam.io.filesystems import FileSystems

from pipeline.sinks import object_stores, storage
from tests import emulators
from tests.faults.proxy import FaultyProxy, serving


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    monkeypatch.setattr(object_stores, "_TIMEOUT", (1.0, 1.0))
    monkeypatch.setattr(storage, "_FIRST_PAUSE", 0.05)
    monkeypatch.setattr(object_stores, "_connected", {})
    before = FileSystems._pipeline_options
    yield
    FileSystems.set_options(before)


def _s3_flags(endpoint):
    return [f"--{name}={value}" for name, value in emulators.s3_flags(endpoint).items()]


def _objects(client, prefix):
    pages = client.get_paginator("list_objects_v2").paginate(Bucket="shop", Prefix=prefix)
    keys = [item["Key"] for page in pages for item in page.get("Contents", ())]
    return {key[len(prefix) :]: client.get_object(Bucket="shop", Key=key)["Body"].read() for key in keys}


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


def test_s3_breaks_one_request_in_ten(shop, committed):
    with emulators.s3_server("shop") as (server, client):
        proxy = FaultyProxy(server, every=10)
        with serving(proxy) as address:
            status, said = shop.run("s3://shop/out", *_s3_flags(address), photos=shop.some)
        assert status == 0, said
        objects = _objects(client, "out/")
    _, tables, assets = _split(objects)
    assert tables == committed.tables() and assets == committed.assets()
    assert not any(name.startswith("unfinished/") for name in objects)
    assert len(set(proxy.broken)) >= 4, (proxy.requests, proxy.broken)


def test_gs_breaks_one_request_in_ten(shop, committed, monkeypatch):
    with emulators.gs_server("shop") as (server, client):
        proxy = FaultyProxy(server, every=10)
        with serving(proxy) as address:
            monkeypatch.setenv("STORAGE_EMULATOR_HOST", address)
            status, said = shop.run("gs://shop/out", photos=shop.some)
        assert status == 0, said
        bucket = client.bucket("shop")
        names = [blob.name for blob in client.list_blobs("shop", prefix="out/")]
        # by name: what a listing gives leads to the address under which an object was written, the proxy's
        objects = {name[len("out/") :]: bucket.blob(name).download_as_bytes() for name in names}
    _, tables, assets = _split(objects)
    assert tables == committed.tables() and assets == committed.assets()
    assert not any(name.startswith("unfinished/") for name in objects)
    assert len(set(proxy.broken)) >= 4, (proxy.requests, proxy.broken)


def test_s3_never_takes_one_asset(shop, committed, tmp_path):
    asset = min(name for name in committed.assets() if "/packshot/" in name)
    with emulators.s3_server("shop") as (server, client):
        proxy = FaultyProxy(server, every=1, faults=("503",), only=asset)
        with serving(proxy) as address:
            flags = (*_s3_flags(address), "--max_rejected_fraction", "0")
            status, said = shop.run("s3://shop/once", *flags, photos=shop.some)
        assert status == 3, said
        run, _, _ = _split(_objects(client, "once/"))
        client.download_file("shop", f"once/rejections/{run}/part-00000-of-00001.parquet", str(tmp_path / "rejected"))
        (row,) = pq.read_table(tmp_path / "rejected").to_pylist()
        assert row["reason"] == "write_failed" and asset in row["detail"]
        status, said = shop.run("s3://shop/once", *_s3_flags(server), photos=shop.some)  # and now it does
        assert status == 0, said
        _, _, assets = _split(_objects(client, "once/"))
        assert assets == committed.assets()


def test_s3_goes_down_for_good(shop):
    """From some request on nothing is answered: the job ends in one line, and nothing is committed."""
    with emulators.s3_server("shop") as (server, client):
        proxy = FaultyProxy(server, every=0, faults=("reset",), down_after=25)
        with serving(proxy) as address:
            status, said = shop.run("s3://shop/down", *_s3_flags(address), photos=shop.some)
        assert status == 1, said
        (line,) = [line for line in said.splitlines() if line.startswith("packshot:")]
        assert "could not" in line and "s3://shop/down" in line
        assert "LATEST" not in _objects(client, "down/")
