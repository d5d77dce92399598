import hashlib
import io

import pytest

from pipeline.sinks import object_stores, storage
from pipeline.sinks.object_stores import S3Store


@pytest.fixture(scope="module")
def s3(s3_options):
    return S3Store(s3_options)


def _sha256(content):
    return hashlib.sha256(content).hexdigest()


def test_s3_itself_refuses_a_race(s3, monkeypatch):
    path = "s3://shop/race/LATEST"
    s3.write_if(path, b"first", None)
    get = s3._client.get_object

    def get_then_be_overtaken(**request):
        reply = get(**request)
        s3._client.put_object(**request, Body=b"rival")
        return reply

    monkeypatch.setattr(s3._client, "get_object", get_then_be_overtaken)
    with pytest.raises(storage.SupersededError, match="same moment"):
        s3.write_if(path, b"second", b"first")
    monkeypatch.undo()
    assert s3.read(path) == b"rival"


def test_s3_media_type_and_checksum_are_stored(s3):
    assert s3.write("s3://shop/typed.jpg", b"jpeg", _sha256(b"jpeg"), "image/jpeg") == "written"
    head = s3._client.head_object(Bucket="shop", Key="typed.jpg", ChecksumMode="ENABLED")
    assert head["ContentType"] == "image/jpeg"
    assert head["ChecksumSHA256"]


def test_s3_object_without_a_checksum_is_compared_by_its_bytes(s3):
    s3._client.put_object(Bucket="shop", Key="foreign", Body=b"same")
    assert s3.write("s3://shop/foreign", b"same", _sha256(b"same"), "text/plain") == "kept"
    assert s3.write("s3://shop/foreign", b"else", _sha256(b"else"), "text/plain") == "replaced"


def test_s3_bytes_lost_on_the_way_are_noticed(s3):
    def cut(request, **_):
        request.data = io.BytesIO(request.data.read()[:3])

    s3._client.meta.events.register("before-sign.s3.PutObject", cut)
    try:
        with pytest.raises(storage.MismatchError, match="does not hold the 7 bytes"):
            s3.write("s3://shop/cut", b"picture", _sha256(b"picture"), "image/jpeg")
    finally:
        s3._client.meta.events.unregister("before-sign.s3.PutObject", cut)


def test_more_files_than_a_request_may_name(s3, monkeypatch):
    monkeypatch.setattr(object_stores, "_S3_BATCH", 3)
    for number in range(7):
        s3.write(f"s3://shop/many/{number}", b"x", _sha256(b"x"), "text/plain")
    s3.delete("s3://shop/many", [str(number) for number in range(7)])
    assert list(s3.walk("s3://shop/many", "")) == []


def test_what_a_store_does_not_delete_is_an_error(s3, monkeypatch):
    reply = {"Errors": [{"Key": "many/1", "Code": "AccessDenied"}]}
    monkeypatch.setattr(s3._client, "delete_objects", lambda **request: reply)
    with pytest.raises(storage.MismatchError, match="1 of 2 objects were not deleted, first 'many/1': AccessDenied"):
        s3.delete("s3://shop/many", ["1", "2"])


@pytest.mark.parametrize("output", ["s3", "gs"], indirect=True)
def test_missing_bucket_is_an_error_with_the_path(output):
    path = f"{output[:5]}no-such-bucket/x"
    with pytest.raises(storage.StorageError, match=f"{path}.*(NoSuchBucket|NotFound)"):
        storage.write_bytes(path, b"1")
