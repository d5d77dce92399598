import datetime
import json
import os

import apache_beam as beam
import pytest
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.testing.util import assert_that, equal_to

from pipeline.ledger import Ledger, LedgerError
from pipeline.sinks import storage
from pipeline.sinks.commit import Commit, CommitConflict, SumStages, commit_run, committed_run
from pipeline.sinks.write_table import ShardSummary

_FIRST, _SECOND, _THIRD = (f"2026112{day}T223000Z-00000{day}" for day in (1, 2, 3))
_BALANCED = Ledger(read=2, ready=2, assets_written=4)


def _write_report(output, run, run_json):
    path = storage.join(output, "runs", run, "report.html")
    storage.write_bytes(path, f"<p>{run_json['read']}".encode())


def _failing_report(output, run, run_json):
    raise RuntimeError("the report could not be drawn")


def _latest(output):
    path = storage.join(output, "LATEST")
    return storage.read_bytes(path) if storage.exists(path) else None


def test_commit_names_the_run_last(output):
    def report(*arguments):
        assert storage.exists(storage.join(output, "runs", _FIRST, "run.json"))
        assert _latest(output) is None
        _write_report(*arguments)

    commit_run(output, _FIRST, _BALANCED, {"read": 2}, expected_latest=None, write_report=report)
    assert _latest(output) == f"{_FIRST}\n".encode()
    assert committed_run(output) == _FIRST
    assert json.loads(storage.read_bytes(storage.join(output, "runs", _FIRST, "run.json"))) == {"read": 2}
    commit_run(output, _SECOND, _BALANCED, {"read": 2}, expected_latest=_FIRST)
    assert committed_run(output) == _SECOND


def test_committing_again_changes_nothing(tmp_path):
    output = str(tmp_path)
    commit_run(output, _FIRST, _BALANCED, {"try": 1}, expected_latest=None)
    commit_run(output, _FIRST, _BALANCED, {"try": 2}, expected_latest=None, write_report=_failing_report)
    assert json.loads((tmp_path / "runs" / _FIRST / "run.json").read_text()) == {"try": 1}


def test_unbalanced_ledger_leaves_latest_alone(tmp_path):
    output = str(tmp_path)
    commit_run(output, _FIRST, _BALANCED, {}, expected_latest=None)
    with pytest.raises(LedgerError, match="1 were lost"):
        commit_run(output, _SECOND, Ledger(read=2, ready=1), {}, expected_latest=_FIRST)
    assert _latest(output) == f"{_FIRST}\n".encode()
    assert not (tmp_path / "runs" / _SECOND).exists()


def test_failing_report_leaves_latest_alone(tmp_path):
    output = str(tmp_path)
    commit_run(output, _FIRST, _BALANCED, {}, expected_latest=None)
    with pytest.raises(RuntimeError, match="could not be drawn"):
        commit_run(output, _SECOND, _BALANCED, {}, expected_latest=_FIRST, write_report=_failing_report)
    assert _latest(output) == f"{_FIRST}\n".encode()


def test_run_committed_since_planning_is_a_conflict(output):
    commit_run(output, _FIRST, _BALANCED, {}, expected_latest=None)
    sentence = f"'{_SECOND}' was not committed .* no run was the committed one, now run '{_FIRST}' is"
    with pytest.raises(CommitConflict, match=sentence):
        commit_run(output, _SECOND, _BALANCED, {}, expected_latest=None)
    with pytest.raises(CommitConflict, match=f"run '{_THIRD}' was the committed one"):
        commit_run(output, _SECOND, _BALANCED, {}, expected_latest=_THIRD)
    assert committed_run(output) == _FIRST


@pytest.mark.parametrize("output", ["local", "s3"], indirect=True)
def test_run_committed_while_the_report_is_drawn_is_a_conflict(output):
    def overtaken(*_):
        commit_run(output, _THIRD, _BALANCED, {}, expected_latest=None)

    with pytest.raises(CommitConflict, match=f"now run '{_THIRD}' is"):
        commit_run(output, _SECOND, _BALANCED, {}, expected_latest=None, write_report=overtaken)
    assert committed_run(output) == _THIRD


def test_run_that_was_taken_for_abandoned_is_not_committed(output):
    marker = storage.join(output, "runs", _FIRST, "started.json")
    with pytest.raises(CommitConflict, match="started.json' is gone, so it was taken for abandoned"):
        commit_run(output, _FIRST, _BALANCED, {}, expected_latest=None, marker=marker)
    assert _latest(output) is None
    storage.write_bytes(marker, b"{}")
    commit_run(output, _FIRST, _BALANCED, {}, expected_latest=None, marker=marker)
    assert committed_run(output) == _FIRST
    assert not storage.exists(marker)  # whoever left it may have ended before the run began


def test_latest_restored_by_hand_without_a_line_end(tmp_path):
    (tmp_path / "LATEST").write_text(_FIRST)
    commit_run(str(tmp_path), _SECOND, _BALANCED, {}, expected_latest=_FIRST)
    assert (tmp_path / "LATEST").read_text() == f"{_SECOND}\n"


def test_description_must_be_json(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        commit_run(str(tmp_path), _FIRST, _BALANCED, {"seconds": float("nan")}, expected_latest=None)
    assert _latest(str(tmp_path)) is None


def test_stage_sums_do_not_depend_on_how_they_are_merged():
    photos = [{"decode": 1.0, "matte": 2.0}, {"decode": 3.0}, {}, {"decode": 5.0, "write": 0.5}]
    sums = SumStages()
    whole = sums.create_accumulator()
    for photo in photos:
        whole = sums.add_input(whole, photo)
    parts = [sums.add_input(sums.create_accumulator(), photo) for photo in photos]
    assert whole == sums.merge_accumulators(reversed(parts)) == {
        "decode": (9.0, 3), "matte": (2.0, 1), "write": (0.5, 1),
    }  # fmt: skip


_SHARDS = [
    ShardSummary("catalogue", 0, 2, 2, {"ready": 1, "review": 1}, {"new": 2}, {}, 4, ""),
    ShardSummary("catalogue", 1, 2, 1, {"ready": 1}, {"unchanged": 1}, {}, 0, ""),
    ShardSummary("rejections", 0, 1, 1, {}, {}, {"empty": 1}, 0, ""),
    ShardSummary("near_duplicates", 0, 1, 2, {}, {}, {}, 0, ""),
    ShardSummary("removed", 0, 1, 5, {"ready": 5}, {}, {}, 0, ""),
]


def _run_commit(output, read, repeat=0, timings=({"decode": 2.0}, {"decode": 4.0}), check=None):
    with beam.Pipeline(runner=FnApiRunner(bundle_repeat=repeat)) as p:
        committed = (
            p | "Summaries" >> beam.Create(_SHARDS),
            p | "Timings" >> beam.Create(list(timings)),
        ) | Commit(
            str(output),
            _FIRST,
            read=read,
            removed=5,
            started=datetime.datetime.now(datetime.UTC),
            expected_latest=None,
            config={"profile": "white-square"},
            model={"name": "m"},
            versions={"packshot": "0.1"},
            write_report=_write_report,
        )
        if check:
            assert_that(committed, check)


@pytest.mark.parametrize("repeat", [0, 2])
def test_commit_in_a_pipeline(tmp_path, repeat):
    ledger = Ledger(
        read=4,
        ready=2,
        review=1,
        rejected=1,
        unchanged=1,
        removed=5,
        assets_written=4,
        rejections={"empty": 1},
        near_duplicates=2,
    )
    _run_commit(tmp_path, read=4, repeat=repeat, check=equal_to([ledger]))
    described = json.loads((tmp_path / "runs" / _FIRST / "run.json").read_text())
    assert described["stages"] == {"decode": 3.0}
    assert described["removed"] == 5
    assert sorted(os.listdir(tmp_path / "runs" / _FIRST)) == ["report.html", "run.json"]
    assert (tmp_path / "LATEST").read_text() == f"{_FIRST}\n"


def test_commit_without_any_timing(tmp_path):
    _run_commit(tmp_path, read=4, timings=())
    assert json.loads((tmp_path / "runs" / _FIRST / "run.json").read_text())["stages"] == {}


def test_pipeline_fails_when_a_photo_was_lost(tmp_path):
    with pytest.raises(Exception, match="5 photos were read, but .* = 4; 1 were lost"):
        _run_commit(tmp_path, read=5)
    assert not (tmp_path / "LATEST").exists()
