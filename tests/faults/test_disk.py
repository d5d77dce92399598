"""A local disk that is full, or that says a file was renamed when it was not."""

import resource
import shutil
import subprocess

import pyarrow.parquet as pq
import pytest

from tests.faults.conftest import Output

_LYING_RENAME = """
import os
rename, renames = os.replace, []
def lie(source, target):
    renames.append(target)
    if len(renames) % 10 == 3:
        return
    if len(renames) % 10 == 6:
        os.truncate(source, 5)
    rename(source, target)
os.replace = lie
"""
_LYING_ABOUT_ONE = """
import os
rename = os.replace
os.replace = lambda source, target: None if {name!r} in target else rename(source, target)
"""
_IMPATIENT = "import pipeline.sinks.storage as storage; storage._FIRST_PAUSE = 0.01"


def test_one_in_five_renames_is_a_lie(shop, output, check):
    status, said = shop.ended(shop.start(output.path, first=_LYING_RENAME + _IMPATIENT))
    assert status == 0, said
    check.ended_as_if_undisturbed(output)


def test_a_file_that_is_never_renamed_is_its_photos_rejection(shop, output, check, undisturbed):
    asset = next(name for name in sorted(undisturbed.assets()) if name not in output.assets() and "/mask/" in name)
    name = asset.rsplit("/", 1)[1]
    lie = _LYING_ABOUT_ONE.format(name=name)
    status, said = shop.ended(shop.start(output.path, "--max_rejected_fraction", "0.05", first=lie + _IMPATIENT))
    assert status == 3, said
    check.previous_run_is_untouched(output, latest=False)
    rejected = pq.read_table(output.path / "rejections" / output.latest).to_pylist()
    (lost,) = [row for row in rejected if row["reason"] == "write_failed"]
    assert lost["stage"] == "write" and name in lost["detail"]
    run = output.run_json()
    assert run["read"] == run["ready"] + run["review"] + run["rejected"] == undisturbed.run_json()["read"]
    assert output.leftovers() == []
    assert shop.run(output.path)[0] == 0  # the rejected photo is new to the next run
    assert output.assets() == undisturbed.assets()
    assert output.run_json()["rejected"] == undisturbed.run_json()["rejected"]


@pytest.fixture
def small_disk(committed, tmp_path):
    """A disk of its own with the committed run on it, and room for some more files."""
    disk = tmp_path / "disk"
    disk.mkdir()
    used = sum(-(-file.stat().st_size // 4096) * 4096 + 4096 for file in committed.path.rglob("*")) >> 10
    mount = ["mount", "-t", "tmpfs", "-o", f"size={used + 80}k,mode=700", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting a small disk is not permitted here")
    try:
        shutil.copytree(committed.path, disk / "out")
        yield disk
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


_PROCESSES = ("--direct_running_mode=multi_processing", "--direct_num_workers=2")  # as large runs have


@pytest.mark.parametrize("workers", [(), _PROCESSES], ids=["threads", "processes"])
def test_disk_full(shop, small_disk, check, workers):
    output = Output(small_disk / "out")
    status, said = shop.ended(shop.start(output.path, *workers))
    assert status == 1
    assert "Traceback" not in said
    (line,) = [line for line in said.splitlines() if line.startswith("packshot:")]
    assert "No space left on device" in line
    check.previous_run_is_untouched(output)
    subprocess.run(["mount", "-o", "remount,size=50m", str(small_disk)], check=True)
    status, said = shop.run(output.path)
    assert status == 0, said
    check.ended_as_if_undisturbed(output)


def test_files_may_not_grow(shop, output, check):
    """A quota as every system has it: no file over 4 kB."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        process = shop.start(output.path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    status, said = shop.ended(process)
    assert status == 1
    assert "File too large" in said and "Traceback" not in said
    check.previous_run_is_untouched(output)
    assert shop.run(output.path)[0] == 0
    check.ended_as_if_undisturbed(output)
