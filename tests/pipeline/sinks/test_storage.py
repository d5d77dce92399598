import hashlib
import os
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.sinks import storage


def test_write_then_read(output):
    path = storage.join(output, "assets/mask/0a", "x.png")
    assert not storage.exists(path)
    stored = storage.write_bytes(path, b"picture", media_type="image/png")
    assert (stored.size, stored.outcome) == (7, "written")
    assert stored.sha256 == hashlib.sha256(b"picture").hexdigest()
    assert storage.read_bytes(path) == b"picture"
    assert storage.file_size(path) == 7


def test_same_bytes_are_kept_and_others_replaced(output, caplog):
    path = storage.join(output, "a.bin")
    storage.write_bytes(path, b"one")
    assert storage.write_bytes(path, b"two").outcome == "replaced"
    assert storage.read_bytes(path) == b"two"
    assert storage.write_bytes(path, b"two").outcome == "kept"
    assert "held other bytes" in caplog.text


def test_missing_file(output):
    path = storage.join(output, "nothing/here")
    assert storage.file_size(path) is None
    with pytest.raises(FileNotFoundError):
        storage.read_bytes(path)
    assert storage.file_names(storage.join(output, "nothing")) == []


def test_file_names_are_sorted_and_of_this_folder_only(output):
    for name in ("b", "a", "deeper/c"):
        storage.write_bytes(storage.join(output, "folder", name), name.encode())
    assert storage.file_names(storage.join(output, "folder")) == ["a", "b"]


def test_listing_tells_what_is_stored_at_any_depth(output):
    began = time.time()
    for name in ("b", "a", "deep/er/c", ".host-1-0123abcd.partial"):
        storage.write_bytes(storage.join(output, "folder", name), name.encode())
    storage.write_bytes(storage.join(output, "folder2", "d"), b"d")
    names = [f"folder/{name}" for name in (".host-1-0123abcd.partial", "a", "b", "deep/er/c")]
    found = list(storage.list_files(output, "folder/"))
    assert [file.name for file in found] == names
    assert [file.size for file in found] == [24, 1, 1, 9]
    assert [file.version for file in found] == [storage.file_version(storage.join(output, name)) for name in names]
    assert all(file.plain and abs(file.modified - began) < 60 for file in found)
    for prefix in ("", "fold", "folder"):
        assert {file.name for file in storage.list_files(output, prefix)} == {*names, "folder2/d"}
    assert [file.name for file in storage.list_files(output, "folder/de")] == ["folder/deep/er/c"]
    assert list(storage.list_files(output, "nothing/")) == []
    assert list(storage.list_files(storage.join(output, "nothing"))) == []


def test_deleting(output):
    for name in ("a/b/c", "a/d", "e"):
        storage.write_bytes(storage.join(output, name), b"x")
    storage.delete_files(output, ["a/b/c", "e", "nothing/here"])
    storage.delete_files(output, [])
    assert [file.name for file in storage.list_files(output)] == ["a/d"]
    if "://" not in output:
        assert os.listdir(os.path.join(output, "a")) == ["d"]
    for name in ("../a/d", "/etc/passwd", "a/../../x", "a//d", ""):
        with pytest.raises(ValueError, match="is no path below"):
            storage.delete_files(output, [name])


def test_write_text_last(output):
    path = storage.join(output, "LATEST")
    storage.write_text_last(path, "first\n", expected=None)
    storage.write_text_last(path, "second\n", expected="first\n")
    storage.write_text_last(path, "second\n", expected="first\n")  # a replay
    with pytest.raises(storage.SupersededError, match="second"):
        storage.write_text_last(path, "third\n", expected="first\n")
    with pytest.raises(storage.SupersededError):
        storage.write_text_last(path, "third\n", expected=None)
    with pytest.raises(storage.SupersededError):
        storage.write_text_last(storage.join(output, "OTHER"), "x", expected="y")
    assert storage.read_bytes(path) == b"second\n"


def test_unknown_scheme_is_named():
    with pytest.raises(storage.StorageError, match="'ftp://'.*'gs://' or 's3://'"):
        storage.write_bytes("ftp://host/file", b"")


@settings(max_examples=50, deadline=None)
@given(content=st.binary(max_size=2000))
def test_any_bytes_come_back(tmp_path_factory, content):
    path = str(tmp_path_factory.getbasetemp() / "any.bin")
    storage.write_bytes(path, content)
    assert storage.read_bytes(path) == content
