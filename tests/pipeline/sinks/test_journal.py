import errno
import logging
import os
import sys

import apache_beam as beam
import pytest
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from pipeline.records import Asset, Photo, catalogue_row, catalogue_schema
from pipeline.sinks import disk, storage
from pipeline.sinks.journal import FOLDER, FinishedRows, NoteFinished, clear_journal, journal_key, noted_files
from pipeline.sinks.tables import to_arrow

_RUNS = [f"2026112{day}T223000Z-00000{day}" for day in range(1, 5)]
_KEY = journal_key("f" * 16, "m" * 64, False)


def _row(name, **changes):
    assets = (Asset("mask", f"assets/mask/00/{name}.png", 4, 5, 6, "d" * 64, "image/png"),)
    photo = Photo(name, f"in/{name}.jpg", source_sha256="a" * 64, width=4, height=5, coverage=0.1, assets=assets)
    row = catalogue_row(photo, model="m", model_sha256="m" * 64, config_fingerprint="f" * 16, packshot_version="1")
    return {**row, **changes}


def _note(output, run, *rows, key=_KEY):
    step = NoteFinished(str(output), run, key)
    step.setup()
    assert [passed for row in rows for passed in step.process(row)] == list(rows)
    step.finish_bundle()


def _find(output, photo_id, sha256="a" * 64, after=None):
    return FinishedRows(str(output), noted_files(str(output), _KEY, after)).find(photo_id, sha256)


def _store(output, *names):
    for name in names:
        storage.write_bytes(storage.join(str(output), f"assets/mask/00/{name}.png"), b"sixsix")


def test_noted_rows_come_back_as_they_were(output):
    rows = [_row(f"p{number}", presence=number / 8) for number in range(5)]
    _note(output, _RUNS[1], *rows[:3])
    _note(output, _RUNS[1], *rows[3:])
    _store(output, *(row["id"] for row in rows))
    for row in rows:
        found = _find(output, row["id"])
        assert found == to_arrow([row], catalogue_schema()).to_pylist()[0]
        assert {name: found[name] for name in ("id", "assets", "presence")} == {
            name: row[name] for name in ("id", "assets", "presence")
        }
    assert _find(output, "p9") is None


def test_attributes_are_not_noted_because_they_are_read_anew(tmp_path):
    _note(tmp_path, _RUNS[1], _row("p", category="shirt"))
    _store(tmp_path, "p")
    assert "category" not in _find(tmp_path, "p")


def test_row_of_other_bytes_or_without_its_assets_does_not_count(tmp_path):
    _note(tmp_path, _RUNS[1], _row("p"))
    assert _find(tmp_path, "p") is None
    _store(tmp_path, "p")
    assert _find(tmp_path, "p", "0" * 64) is None
    (tmp_path / "assets/mask/00/p.png").write_bytes(b"six")
    assert _find(tmp_path, "p") is None


def test_rows_of_other_settings_and_of_runs_before_the_committed_one_are_left_out(tmp_path):
    _note(tmp_path, _RUNS[0], _row("old"))
    _note(tmp_path, _RUNS[2], _row("here"))
    _note(tmp_path, _RUNS[2], _row("other"), key=journal_key("f" * 16, "m" * 64, True))
    assert [name[:23] for name in noted_files(str(tmp_path), _KEY, _RUNS[1])] == [_RUNS[2]]
    assert noted_files(str(tmp_path), _KEY, _RUNS[3]) == ()
    assert noted_files(str(tmp_path / "nothing"), _KEY, None) == ()


def test_of_an_id_noted_twice_the_later_run_counts(tmp_path):
    _note(tmp_path, _RUNS[2], _row("a", coverage=0.5))
    _note(tmp_path, _RUNS[1], _row("a", coverage=0.25))
    _store(tmp_path, "a")
    assert _find(tmp_path, "a")["coverage"] == 0.5


def test_a_damaged_file_costs_its_own_rows_only(tmp_path, caplog):
    _note(tmp_path, _RUNS[1], _row("a"))
    (file,) = (tmp_path / FOLDER).iterdir()
    file.write_bytes(file.read_bytes()[:-200])
    _note(tmp_path, _RUNS[1], _row("b"))
    _store(tmp_path, "a", "b")
    assert _find(tmp_path, "a") is None and _find(tmp_path, "b") is not None
    assert file.name in caplog.text


def test_a_commit_deletes_what_it_made_useless(output):
    for run in _RUNS[:3]:
        _note(output, run, _row("p"))
    storage.write_bytes(storage.join(output, FOLDER, "README"), b"somebody else's")
    clear_journal(output, _RUNS[1])
    names = storage.file_names(storage.join(output, FOLDER))
    assert [name[:23] for name in names] == [_RUNS[2][:23], "README"]


def test_a_worker_notes_by_the_clock_and_at_the_end_of_a_bundle(tmp_path):
    clock = iter([0, 0.5, 0.9, 1.0, 1.0, 1.2, 1.2, 101, 101, 103, 105, 107, 107])
    step = NoteFinished(str(tmp_path), _RUNS[1], _KEY, lambda: next(clock))
    step.setup()

    def files_after(name):
        list(step.process(_row(name)))
        return len(list((tmp_path / FOLDER).glob("*"))) if (tmp_path / FOLDER).exists() else 0

    assert [files_after(name) for name in "abc"] == [0, 0, 1]  # after a second
    step.finish_bundle()  # nothing to note, no file
    assert [files_after(name) for name in "defgh"] == [1, 2, 2, 2, 3]  # 101 - 1.2 is long ago; then 5 % of 107
    _store(tmp_path, *"abcdefgh")
    assert all(_find(tmp_path, name) for name in "abcdefgh")


def test_what_cannot_be_noted_is_a_warning(tmp_path, caplog):
    (tmp_path / FOLDER).write_bytes(b"a file where the folder should be")
    with caplog.at_level(logging.WARNING):
        _note(tmp_path, _RUNS[1], _row("p"))
    assert "1 finished photos were not noted" in caplog.text


def test_assets_that_cannot_be_brought_to_disk_end_the_job_and_are_made_again(tmp_path, monkeypatch):
    def full(self):
        raise OSError(errno.EIO, "Input/output error", str(tmp_path))

    monkeypatch.setattr(disk.FileSystem, "sync", full)
    _store(tmp_path, "old", "new")
    paths = {name: tmp_path / _row(name)["assets"][0]["uri"] for name in ("old", "new")}
    os.utime(paths["old"], (1, 1))  # of a run before this one, which found it there
    step = NoteFinished(str(tmp_path), _RUNS[1], _KEY, syncs=True)
    step.setup()
    for name in paths:
        list(step.process(_row(name)))
    with pytest.raises(storage.StorageError, match="could not be brought to disk: .*output error.* last 1 assets"):
        step.finish_bundle()
    step.teardown()
    assert paths["old"].exists() and not paths["new"].exists()
    assert not (tmp_path / FOLDER).exists()


@pytest.mark.skipif(sys.platform != "linux", reason="needs syncfs")
def test_assets_are_brought_to_disk_before_they_are_noted(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(disk.FileSystem, "sync", lambda self: seen.append((tmp_path / FOLDER).exists()))
    _store(tmp_path, "p")
    step = NoteFinished(str(tmp_path), _RUNS[1], _KEY, syncs=True)
    step.setup()
    list(step.process(_row("p")))
    step.finish_bundle()
    step.finish_bundle()  # of no photo
    step.teardown()
    assert seen == [False] and _find(tmp_path, "p")


def test_replayed_bundles_note_the_same_rows(tmp_path):
    with beam.Pipeline(runner=FnApiRunner(bundle_repeat=2)) as p:
        _ = p | beam.Create([_row("a"), _row("b")]) | beam.ParDo(NoteFinished(str(tmp_path), _RUNS[1], _KEY))
    _store(tmp_path, "a", "b")
    assert _find(tmp_path, "a") and _find(tmp_path, "b")
