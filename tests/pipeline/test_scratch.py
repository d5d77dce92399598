import fcntl
import os

from pipeline import scratch


def test_the_folder_is_there_for_as_long_as_it_is_needed(tmp_path, monkeypatch):
    monkeypatch.setattr(scratch.tempfile, "tempdir", str(tmp_path))
    with scratch.scratch_folder() as folder:
        assert os.path.dirname(folder) == str(tmp_path)
        (tmp_path / os.path.basename(folder) / "rows").write_bytes(b"1")
    assert os.listdir(tmp_path) == []


def test_what_killed_runs_left_is_removed_and_nothing_else(tmp_path, monkeypatch):
    monkeypatch.setattr(scratch.tempfile, "tempdir", str(tmp_path))
    names = ("packshot-run-dead", "packshot-run-running", "packshot-run-fresh", "another")
    for name in names:
        (tmp_path / name).mkdir()
        (tmp_path / name / "rows").write_bytes(b"1")
        if name != "packshot-run-fresh":
            os.utime(tmp_path / name, (1, 1))
    (tmp_path / "packshot-run-link").symlink_to(tmp_path / "another")
    running = os.open(tmp_path / "packshot-run-running", os.O_RDONLY)
    fcntl.flock(running, fcntl.LOCK_EX)
    with scratch.scratch_folder():
        left = {*names, "packshot-run-link"} - {"packshot-run-dead"}
        assert left < set(os.listdir(tmp_path))
    os.close(running)
    assert (tmp_path / "another" / "rows").exists()
