"""Which workers a local run takes."""

import shlex

import pytest

from pipeline import running
from pipeline.running import workers_for


@pytest.mark.parametrize(
    ("photos", "cores", "expected"),
    [
        (0, 2, ("multi_threading", 2)),
        (999, 8, ("multi_threading", 8)),
        (1000, 8, ("multi_processing", 8)),
        (100_000, 1, ("in_memory", 1)),
    ],
)
def test_processes_are_taken_where_they_are_worth_their_start(photos, cores, expected):
    assert workers_for(photos, cores) == expected


def test_worker_is_started_from_any_folder(monkeypatch):
    monkeypatch.setattr(running.sys, "executable", "/home/my user/bin/python")
    assert shlex.split(running._worker_command())[0] == "/home/my user/bin/python"
