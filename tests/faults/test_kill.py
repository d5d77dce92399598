"""Processes killed by SIGKILL: the run itself at several points, and a worker of it."""

import os
import re
import signal
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.faults.conftest import PHOTOS, kill, wait_until

# A run of two seconds has nothing to lose; one that notes each photo as it is finished shows the same. Not every few
# hundredths of a second: how many photos that is depends on the machine, and on how long its disk takes.
_NOTING_AT_ONCE = "import pipeline.sinks.journal as journal; journal._SHORTEST = journal._SHARE = 0"


def _noted(output) -> set[str]:
    """Returns the ids that a killed run has noted as finished."""
    return {
        name
        for file in (output.path / "unfinished").glob("*.parquet")
        for name in pq.read_table(file)["id"].to_pylist()
    }


def _finished(output, before: int) -> int:
    """Returns how many photos have all their assets, beside those of the run before."""
    return len(list(output.path.glob("assets/*/*/*.*"))) // 2 - before


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_run_killed_at_a_share_of_the_photos(shop, output, check, share):
    before = _finished(output, 0)
    to_do = _finished(check.undisturbed, before)
    process = shop.start(output.path, first=_NOTING_AT_ONCE)
    wait_until(lambda: _finished(output, before) >= share * to_do, process)
    kill(process)
    check.previous_run_is_untouched(output)
    finished, noted = _finished(output, before), _noted(output)
    status, said = shop.run(output.path)
    assert status == 0, said
    check.ended_as_if_undisturbed(output)
    # What was noted is not done again; what was not is what each of two threads had in hand.
    assert output.run_json()["resumed"] == len(noted) >= finished - 4
    print(f"killed with {finished} of {to_do} photos finished, {len(noted)} of them noted")


def _workers(parent: int) -> list[int]:
    """Returns the processes of Beam's workers below a process."""
    below = [parent]
    for number in below:
        for children in Path("/proc").glob(f"{number}/task/*/children"):
            below += [int(child) for child in children.read_text().split()]
    commands = {pid: Path(f"/proc/{pid}/cmdline").read_bytes() for pid in below[1:]}
    return [pid for pid, command in commands.items() if command.split(b"\0")[0] != b"/bin/sh"]


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_worker_killed(shop, output, check):
    flags = ("--direct_running_mode", "multi_processing", "--direct_num_workers", "2")
    before = _finished(output, 0)
    process = shop.start(output.path, *flags)
    wait_until(lambda: _finished(output, before) >= 4, process)
    workers = _workers(process.pid)
    assert len(workers) == 2
    os.kill(workers[0], signal.SIGKILL)
    status, said = shop.ended(process)
    assert status == 1
    (line,) = [line for line in said.splitlines() if line.startswith("packshot:")]
    assert re.search("a worker process was killed by SIGKILL.*last committed run is untouched", line)
    assert "Traceback" not in said
    assert not any(_is_alive(worker) for worker in workers)
    check.previous_run_is_untouched(output)
    assert shop.run(output.path)[0] == 0
    check.ended_as_if_undisturbed(output)


def test_every_bundle_replayed(shop, output, check):
    assert shop.run(output.path, "--direct_runner_bundle_repeat", "1")[0] == 0
    check.ended_as_if_undisturbed(output)
    assert output.run_json()["read"] == PHOTOS
