import threading

import pytest

from pipeline.supervision import describe_death, watching_workers


@pytest.mark.parametrize(
    ("message", "says"),
    [
        ("Worker subprocess exited with return code 137", "killed by SIGKILL; it may have run out of memory"),
        ("Worker subprocess exited with return code -9", "killed by SIGKILL; it may have run out of memory"),
        ("Worker subprocess exited with return code 139", "killed by SIGSEGV"),
        ("Worker subprocess exited with return code 1", "ended with status 1"),
        ("something else", "ended with status 1"),
    ],
)
def test_how_a_worker_ended(message, says):
    assert says in describe_death(message)


def _raise(error):
    raise error


def _in_thread(name, error):
    thread = threading.Thread(target=_raise, args=(error,), name=name)
    thread.start()
    thread.join()


def test_the_job_is_ended_once_and_other_threads_fail_as_ever(monkeypatch):
    deaths, others = [], []
    monkeypatch.setattr(threading, "excepthook", others.append)
    before = threading.excepthook
    with watching_workers(deaths.append):
        _in_thread("beam_control_read", RuntimeError("connection"))
        _in_thread("run_worker", RuntimeError("Worker subprocess exited with return code 143"))
        _in_thread("run_worker", RuntimeError("Worker subprocess exited with return code 143"))
        _in_thread("somebody's", ValueError("of another kind"))
    assert deaths == ["a worker process was killed by SIGTERM"]
    assert [str(failure.exc_value) for failure in others] == ["of another kind"]
    assert threading.excepthook == before
