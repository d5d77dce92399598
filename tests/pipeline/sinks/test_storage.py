import contextlib
import errno
import hashlib
import io
import os
import signal
import subprocess
import sys
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.sinks import object_stores, storage
from pipeline.sinks.object_stores import S3Store


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    monkeypatch.setattr(storage, "_FIRST_PAUSE", 0.001)


def _files(folder):
    return sorted(os.path.join(root, name) for root, _, names in os.walk(folder) for name in names)


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
    assert storage.write_bytes(path, b"two").outcome in (
        "replaced",
        "written",
    )  # the emulator has no conditions
    assert storage.read_bytes(path) == b"two"
    if not output.startswith("gs://"):
        assert storage.write_bytes(path, b"two").outcome == "kept"
        assert "held other bytes" in caplog.text


def test_kept_file_is_not_touched(tmp_path):
    path = tmp_path / "a.bin"
    storage.write_bytes(str(path), b"one")
    os.utime(path, (1, 1))
    assert storage.write_bytes(str(path), b"one").outcome == "kept"
    assert path.stat().st_mtime == 1


def test_truncated_file_is_replaced(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"on")
    assert storage.write_bytes(str(path), b"one").outcome == "replaced"
    assert path.read_bytes() == b"one"


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
    found = list(storage.list_files(output, "folder"))
    assert [file.name for file in found] == names
    assert [file.size for file in found] == [24, 1, 1, 9]
    assert all(file.plain and abs(file.modified - began) < 60 for file in found)
    assert {file.name for file in storage.list_files(output)} == {*names, "folder2/d"}
    assert list(storage.list_files(output, "nothing")) == []
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


def test_more_files_than_a_request_may_name(s3_options, monkeypatch):
    monkeypatch.setattr(object_stores, "_S3_BATCH", 3)
    store = S3Store(s3_options)
    for number in range(7):
        store.write(f"s3://shop/many/{number}", b"x", _sha256(b"x"), "text/plain")
    store.delete("s3://shop/many", [str(number) for number in range(7)])
    assert list(store.walk("s3://shop/many", "")) == []


def test_what_a_store_does_not_delete_is_an_error(s3_options, monkeypatch):
    store = S3Store(s3_options)
    reply = {"Errors": [{"Key": "many/1", "Code": "AccessDenied"}]}
    monkeypatch.setattr(store._client, "delete_objects", lambda **request: reply)
    with pytest.raises(storage.MismatchError, match="1 of 2 objects were not deleted, first 'many/1': AccessDenied"):
        store.delete("s3://shop/many", ["1", "2"])


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


def test_removed_file_is_gone_and_one_that_is_not_there_is_no_error(output):
    path = storage.join(output, "unfinished/x")
    storage.write_bytes(path, b"one")
    storage.remove(path)
    storage.remove(path)
    assert not storage.exists(path)


def test_of_processes_that_replace_the_same_file_at_once_one_succeeds(tmp_path):
    paths = [str(tmp_path / f"LATEST{race}") for race in range(40)]
    wins = os.open(tmp_path / "wins", os.O_CREAT | os.O_APPEND | os.O_RDWR)
    contenders = []
    for _ in range(4):
        if (pid := os.fork()) == 0:
            for path in paths:
                with contextlib.suppress(storage.SupersededError):
                    storage.write_text_last(path, f"{os.getpid()}", expected=None)
                    os.write(wins, f"{path} {os.getpid()}\n".encode())
            os._exit(0)
        contenders.append(pid)
    assert all(os.waitpid(pid, 0)[1] == 0 for pid in contenders)
    won = [line.split() for line in (tmp_path / "wins").read_text().splitlines()]
    assert sorted(path for path, _ in won) == sorted(paths)
    assert all(storage.read_bytes(path).decode() == winner for path, winner in won)
    os.close(wins)


def test_a_claimed_folder_is_refused_until_its_holder_ends(tmp_path):
    folder = str(tmp_path / "out" / "runs")
    reader, writer = os.pipe()
    if (holder := os.fork()) == 0:
        with storage.claimed(folder):
            os.write(writer, b".")
            time.sleep(60)
        os._exit(1)
    os.read(reader, 1)
    with pytest.raises(storage.BusyError, match="another process .* at work on .*runs"), storage.claimed(folder):
        pass
    os.kill(holder, signal.SIGKILL)
    os.waitpid(holder, 0)
    with storage.claimed(folder):
        assert os.listdir(folder) == []


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


@pytest.mark.parametrize("output", ["s3", "gs"], indirect=True)
def test_missing_bucket_is_an_error_with_the_path(output):
    path = f"{output[:5]}no-such-bucket/x"
    with pytest.raises(storage.StorageError, match=f"{path}.*(NoSuchBucket|NotFound)"):
        storage.write_bytes(path, b"1")


def test_unknown_scheme_is_named():
    with pytest.raises(storage.StorageError, match="'ftp://'.*'gs://' or 's3://'"):
        storage.write_bytes("ftp://host/file", b"")


def test_disk_full_is_an_error_without_leftovers(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(storage.os, "fsync", full)
    with pytest.raises(storage.StorageError, match=r"could not write .*a\.bin' \(3 bytes\): OSError.*No space"):
        storage.write_bytes(str(tmp_path / "a.bin"), b"one")
    assert _files(tmp_path) == []


def test_transient_error_is_retried(tmp_path, monkeypatch):
    replace, failures = os.replace, [OSError(errno.ESTALE, "Stale file handle")] * 2

    def flaky(*paths):
        if failures:
            raise failures.pop()
        replace(*paths)

    monkeypatch.setattr(storage.os, "replace", flaky)
    assert storage.write_bytes(str(tmp_path / "a.bin"), b"one").outcome == "written"
    assert _files(tmp_path) == [str(tmp_path / "a.bin")]


def test_lasting_transient_error_says_how_often_it_was_tried(tmp_path, monkeypatch):
    def failing(*_):
        raise OSError(errno.ETIMEDOUT, "Connection timed out")

    monkeypatch.setattr(storage.os, "replace", failing)
    with pytest.raises(storage.StorageError, match="after 4 attempts"):
        storage.write_bytes(str(tmp_path / "a.bin"), b"one")


def test_lost_rename_is_noticed(tmp_path, monkeypatch):
    """What Beam's own file sink does not notice: the rename says nothing and does nothing."""
    monkeypatch.setattr(storage.os, "replace", lambda *_: None)
    with pytest.raises(storage.StorageError, match="after 4 attempts: MismatchError.*vanished"):
        storage.write_bytes(str(tmp_path / "a.bin"), b"one")


def test_bytes_lost_by_the_file_system_are_noticed(tmp_path, monkeypatch):
    replace = os.replace

    def lossy(source, target):
        os.truncate(source, 1)
        replace(source, target)

    monkeypatch.setattr(storage.os, "replace", lossy)
    with pytest.raises(storage.StorageError, match="3 bytes were written .* 1 other"):
        storage.write_bytes(str(tmp_path / "a.bin"), b"one")


def test_folder_removed_meanwhile_is_made_again(tmp_path):
    path = tmp_path / "folder" / "a.bin"
    storage.write_bytes(str(path), b"one")
    path.unlink()
    path.parent.rmdir()
    storage.write_bytes(str(path), b"one")
    assert path.read_bytes() == b"one"


def test_leftovers_of_dead_processes_are_removed_and_no_others(tmp_path):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    host = storage._host()
    abandoned = tmp_path / f".{host}-{dead.pid}-00000000.partial"
    old = tmp_path / ".elsewhere-1-00000000.partial"
    kept = [tmp_path / f".{host}-{os.getpid()}-00000000.partial", tmp_path / ".elsewhere-1-00000001.partial"]
    mine = tmp_path / "notes.partial"
    for path in (abandoned, old, mine, *kept):
        path.write_bytes(b"half")
    os.utime(old, (time.time() - 2 * 86400,) * 2)
    assert storage.file_names(str(tmp_path)) == ["notes.partial"]
    (tmp_path / "deeper").mkdir()
    (tmp_path / "deeper" / abandoned.name).write_bytes(b"half")
    assert storage.remove_abandoned(str(tmp_path)) == 3
    assert not abandoned.exists() and not old.exists() and not list((tmp_path / "deeper").iterdir())
    assert mine.exists() and all(path.exists() for path in kept)


def _content(path):
    return bytes([int(os.path.basename(path)[:-4]) % 256]) * 300_000


def _writing_process(paths):
    """Starts a process that writes the paths and says so on a pipe, path by path."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        for path in paths:
            storage.write_bytes(path, _content(path))
            os.write(writer, b".")
        os._exit(0)
    os.close(writer)
    return pid, reader


def test_killed_processes_leave_no_half_file_under_a_final_name(tmp_path):
    paths = [f"{tmp_path}/{i % 8:02d}/{i}.bin" for i in range(1000)]
    were_killed_writing = 0
    for attempt in range(12):
        pid, reader = _writing_process(paths)
        os.read(reader, 1)
        time.sleep(0.005 + 0.0007 * attempt)
        os.kill(pid, signal.SIGKILL)
        assert os.waitpid(pid, 0)[1] == signal.SIGKILL
        os.close(reader)
        finished = [path for path in _files(tmp_path) if not storage.is_partial(os.path.basename(path))]
        were_killed_writing += len(finished) < len(_files(tmp_path))
        for path in finished:
            assert storage.read_bytes(path) == _content(path)
    assert were_killed_writing  # or the test showed nothing
    storage.remove_abandoned(str(tmp_path))
    assert not [path for path in _files(tmp_path) if storage.is_partial(os.path.basename(path))]


@settings(max_examples=50, deadline=None)
@given(content=st.binary(max_size=2000))
def test_any_bytes_come_back(tmp_path_factory, content):
    path = str(tmp_path_factory.getbasetemp() / "any.bin")
    storage.write_bytes(path, content)
    assert storage.read_bytes(path) == content
