"""A Flink cluster: the same graph, the same bytes, whatever is killed."""

import subprocess

import pytest

from tests.runners.conftest import assert_same_bytes, finish, wait_until


@pytest.fixture(scope="module")
def finished(flink, catalogue, tmp_path_factory):
    """A run that nothing disturbs; first of all, for the others end a part of the cluster."""
    return catalogue.run(tmp_path_factory.mktemp("undisturbed") / "out", *flink.flags)


def test_flink_leaves_the_same_bytes(flink, direct, finished):
    assert_same_bytes(direct, finished)


def test_both_taskmanagers_worked(flink, finished):
    assert flink.log("pool").count("works for") >= 2


def test_run_goes_on_when_a_taskmanager_is_killed(flink, catalogue, direct, finished, tmp_path):
    process = catalogue.start(tmp_path / "out", *flink.flags)
    output = type(direct)(tmp_path / "out")
    wait_until(lambda: output.assets() >= direct.assets() * 0.4, process)
    flink.kill("taskmanager-1")
    there = output.assets()
    assert there < direct.assets(), "it was too late to disturb anything"
    assert_same_bytes(direct, finish(process, output.path))
    run = output.run_json()
    assert run["read"] == run["ready"] + run["review"] + run["rejected"] == direct.run_json()["read"]
    assert not list(output.path.rglob(".*")), "something is left of what the killed one was writing"
    assert "to RESTARTING" in flink.log("jobmanager")
    print(f"killed with {there} of {direct.assets()} assets stored")


def test_job_server_that_is_not_there(catalogue, tmp_path):
    flags = ("--runner", "FlinkRunner", "--job_endpoint", "localhost:1", "--job_server_timeout", "1")
    process = catalogue.start(tmp_path / "out", *flags, "--environment_type", "LOOPBACK")
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "localhost:1" in said and "Traceback" not in said


def test_cluster_says_how_it_is_used():
    said = subprocess.run(["deploy/flink/cluster.sh"], capture_output=True, text=True, check=False)
    assert said.returncode == 2
    assert "cluster.sh start" in said.stderr
