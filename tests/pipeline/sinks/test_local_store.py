import contextlib
import errno
import os
import signal
import subprocess
import sys
import time

import pytest

from pipeline.sinks import local_store, storage
from pipeline.sinks.store import BusyError


def _files(folder):
    return sorted(os.path.join(root, name) for root, _, names in os.walk(folder) for name in names)


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
    with pytest.raises(BusyError, match="another process .* at work on .*runs"), storage.claimed(folder):
        pass
    os.kill(holder, signal.SIGKILL)
    os.waitpid(holder, 0)
    with storage.claimed(folder):
        assert os.listdir(folder) == []


def test_disk_full_is_an_error_without_leftovers(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(local_store.os, "fsync", full)
    with pytest.raises(storage.StorageError, match=r"could not write .*a\.bin' \(3 bytes\): OSError.*No space"):
        storage.write_bytes(str(tmp_path / "a.bin"), b"one")
    assert _files(tmp_path) == []


def test_syncing_can_be_left_to_the_caller_but_not_of_what_is_replaced(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(local_store.os, "fsync", lambda _: synced.append("file"))
    storage.write_bytes(str(tmp_path / "a.bin"), b"one", synced=False)
    assert synced == [] and storage.read_bytes(str(tmp_path / "a.bin")) == b"one"
    storage.write_bytes(str(tmp_path / "b.bin"), b"two")
    assert synced == ["file", "file"]  # and its folder
    storage.write_bytes(str(tmp_path / "a.bin"), b"two", synced=False)  # the last run's, perhaps
    assert synced == ["file"] * 4


def test_transient_error_is_retried(tmp_path, monkeypatch):
    replace, failures = os.replace, [OSError(errno.ESTALE, "Stale file handle")] * 2

    def flaky(*paths):
        if failures:
            raise failures.pop()
        replace(*paths)

    monkeypatch.setattr(local_store.os, "replace", flaky)
    assert storage.write_bytes(str(tmp_path / "a.bin"), b"one").outcome == "written"
    assert _files(tmp_path) == [str(tmp_path / "a.bin")]


def test_lasting_transient_error_says_how_often_it_was_tried(tmp_path, monkeypatch):
    def failing(*_):
        raise OSError(errno.ETIMEDOUT, "Connection timed out")

    monkeypatch.setattr(local_store.os, "replace", failing)
    with pytest.raises(storage.StorageError, match="after 4 attempts"):
        storage.write_bytes(str(tmp_path / "a.bin"), b"one")


def test_lost_rename_is_noticed(tmp_path, monkeypatch):
    """What Beam's own file sink does not notice: the rename says nothing and does nothing."""
    monkeypatch.setattr(local_store.os, "replace", lambda *_: None)
    with pytest.raises(storage.StorageError, match="after 4 attempts: MismatchError.*vanished"):
        storage.write_bytes(str(tmp_path / "a.bin"), b"one")


def test_bytes_lost_by_the_file_system_are_noticed(tmp_path, monkeypatch):
    replace = os.replace

    def lossy(source, target):
        os.truncate(source, 1)
        replace(source, target)

    monkeypatch.setattr(local_store.os, "replace", lossy)
    with pytest.raises(storage.StorageError, match="3 bytes were written .* 1 other"):
        storage.write_bytes(str(tmp_path / "a.bin"), b"one")


def test_folder_removed_meanwhile_is_made_again_without_waiting(tmp_path, monkeypatch):
    monkeypatch.setattr(storage.time, "sleep", lambda seconds: pytest.fail("that was no fault of the store's"))
    path = tmp_path / "folder" / "a.bin"
    storage.write_bytes(str(path), b"one")
    path.unlink()
    path.parent.rmdir()
    storage.write_bytes(str(path), b"one")
    assert path.read_bytes() == b"one"


def test_leftovers_of_dead_processes_are_removed_and_no_others(tmp_path):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    host = local_store._host()
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


def test_leftovers_of_a_killed_process_nobody_waited_for_are_removed(tmp_path):
    killed = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    leftover = tmp_path / f".{local_store._host()}-{killed.pid}-00000000.partial"
    leftover.write_bytes(b"half")
    assert storage.remove_abandoned(str(tmp_path)) == 0
    killed.kill()
    os.waitid(os.P_PID, killed.pid, os.WEXITED | os.WNOWAIT)  # dead, and still in the table of processes
    assert storage.remove_abandoned(str(tmp_path)) == 1
    killed.wait()
    assert not leftover.exists()


def test_a_link_is_listed_as_the_file_it_leads_to_and_not_followed_to_a_folder(tmp_path):
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "a").write_bytes(b"four")
    storage.write_bytes(str(out / "b"), b"one")
    (out / "file").symlink_to(elsewhere / "a")
    (out / "folder").symlink_to(elsewhere)
    (out / "nowhere").symlink_to("nothing")
    found = {file.name: file for file in storage.list_files(str(out))}
    assert {name: file.plain for name, file in found.items()} == {
        "b": True, "file": False, "folder": False, "nowhere": False
    }  # fmt: skip
    assert (found["file"].size, found["file"].version) == (4, storage.file_version(str(elsewhere / "a")))
    assert [(file.name, file.plain) for file in storage.list_files(str(out), "folder/")] == [("folder", False)]
    assert [file.name for file in storage.list_files(str(out / "folder"))] == ["a"]


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
