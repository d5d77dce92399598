import json
import os
import socket
import subprocess
import sys
import threading
import time

import pytest

from pipeline import markers
from pipeline.markers import Marker, OutputBusy, Pruning, marking_run, run_marker, runs_in_progress
from pipeline.sinks import storage
from tests.pipeline.sinks.conftest import gs_options, output, s3_options  # noqa: F401

_RUN = "20261122T223000Z-3f9a1c"


def _leave(output, run, **changes):  # noqa: F811
    values = {**json.loads(Marker.mine().text()), **changes}
    storage.write_bytes(run_marker(output, run), json.dumps(values).encode())


def _ended_process():
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_a_run_is_marked_from_its_start_to_its_end(output):  # noqa: F811
    with marking_run(output, _RUN) as path:
        assert storage.exists(path)
        (marker,) = runs_in_progress(output, within=0).values()
        assert (marker.host, marker.pid) == (socket.gethostname(), os.getpid())
    assert runs_in_progress(output, within=1e9) == {}
    assert list(storage.list_files(output)) == []


def test_a_run_that_begins_elsewhere_stays_marked(tmp_path):
    with marking_run(str(tmp_path), _RUN, local=False, handed_over=True):
        pass
    assert runs_in_progress(str(tmp_path), within=60).keys() == {_RUN}


def test_a_failed_run_is_marked_only_if_workers_elsewhere_may_go_on(tmp_path):
    for local, left in ((True, set()), (False, {_RUN})):
        with pytest.raises(RuntimeError), marking_run(str(tmp_path), _RUN, local=local):
            raise RuntimeError("the runner failed")
        assert runs_in_progress(str(tmp_path), within=60).keys() == left


@pytest.mark.parametrize(
    ("changes", "active"),
    [
        ({}, True),
        ({"renewed": 0}, True),  # the process is there, however long it slept
        ({"pid": None}, False),  # one that has ended
        ({"pid": None, "local": False}, True),  # its workers may go on
        ({"pid": None, "local": False, "renewed": 0}, False),
        ({"host": "another", "pid": None}, True),
        ({"host": "another", "renewed": 0}, False),
    ],
)
def test_who_is_taken_for_alive(tmp_path, changes, active):
    if "pid" in changes:
        changes = {**changes, "pid": _ended_process()}
    _leave(str(tmp_path), _RUN, **changes)
    assert bool(runs_in_progress(str(tmp_path), within=3600)) == active


def test_a_marker_that_says_nothing_is_not_overlooked(tmp_path):
    storage.write_bytes(run_marker(str(tmp_path), _RUN), b"{}")
    with pytest.raises(OutputBusy, match="not who.*delete that file if nobody is"):
        runs_in_progress(str(tmp_path), within=0)


def test_one_pruning_at_a_time(output):  # noqa: F811
    with Pruning(output).held(), pytest.raises(OutputBusy, match=f"pruned already by process {os.getpid()}"):
        Pruning(output).held().__enter__()
    with Pruning(output).held():
        pass
    assert list(storage.list_files(output)) == []


def test_a_dead_pruning_is_taken_over(tmp_path):
    marker = {**json.loads(Marker.mine().text()), "pid": _ended_process()}
    (tmp_path / "PRUNING").write_text(json.dumps(marker))
    with Pruning(str(tmp_path)).held():
        assert json.loads((tmp_path / "PRUNING").read_text())["pid"] == os.getpid()


def test_a_run_waits_for_a_pruning(tmp_path, caplog):
    output = str(tmp_path)  # noqa: F811
    order = []

    def run():
        with marking_run(output, _RUN, poll=0.01):
            order.append("run")

    with Pruning(output).held():
        thread = threading.Thread(target=run)
        thread.start()
        while not runs_in_progress(output, within=0) or not caplog.text:
            time.sleep(0.01)
        order.append("pruned")
    thread.join()
    assert order == ["pruned", "run"]
    assert "The run waits" in caplog.text


def test_a_run_does_not_wait_for_a_dead_pruning_which_then_stops(tmp_path):
    pruning = Pruning(str(tmp_path))
    with pruning.held():
        marker = {**json.loads((tmp_path / "PRUNING").read_text()), "host": "another", "renewed": 0}
        (tmp_path / "PRUNING").write_text(json.dumps(marker))
        with marking_run(str(tmp_path), _RUN, poll=60), pytest.raises(OutputBusy, match="taken for dead and stops"):
            pruning.check()


def test_markers_are_renewed_but_not_made_again(tmp_path, monkeypatch):
    monkeypatch.setattr(markers, "_RENEWED_EVERY", 0.02)
    with marking_run(str(tmp_path), _RUN) as path:
        first = Marker.parse(storage.read_bytes(path), path)
        while Marker.parse(storage.read_bytes(path), path).renewed == first.renewed:
            time.sleep(0.01)
        os.unlink(path)
        time.sleep(0.1)
        assert not os.path.exists(path)
