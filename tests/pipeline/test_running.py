"""Which workers a local run takes."""

import logging
import shlex
import sys

import pytest
from apache_beam.options.pipeline_options import PipelineOptions

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


def test_job_server_that_does_not_answer_is_told_before_anything_is_written():
    options = PipelineOptions(["--job_endpoint=localhost:1", "--job_server_timeout=1"])
    with pytest.raises(RuntimeError, match=r"no job server answers at --job_endpoint='localhost:1' within 1 s"):
        running._check_job_server(options)


@pytest.mark.parametrize("flags", [[], ["--job_endpoint=embed"]])
def test_no_job_server_is_asked_for_where_none_is_named(flags):
    running._check_job_server(PipelineOptions(flags))


def test_log_lines_are_written_without_credentials(monkeypatch, capsys):
    """Beam's workers log all options of the job."""
    monkeypatch.setattr(logging.root, "handlers", [])
    monkeypatch.setattr(logging.root, "level", logging.WARNING)
    monkeypatch.setattr(sys, "stderr", sys.stdout)
    running.silence_libraries(verbose=True)
    logging.getLogger("beam").info("Pipeline_options: %s", {"s3_secret_access_key": "hush", "runner": "DirectRunner"})
    said = capsys.readouterr().out
    assert "INFO beam: Pipeline_options" in said and "DirectRunner" in said and "hush" not in said
