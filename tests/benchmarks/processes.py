"""Commands run in processes of their own, with what they took."""

from __future__ import annotations

import dataclasses
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.running import read_run

ROOT = Path(__file__).parents[2]
_LOOKS_A_SECOND = 20
_PAGE = os.sysconf("SC_PAGE_SIZE")
_QUANTILES = (0.1, 0.9)


@dataclasses.dataclass(frozen=True)
class Usage:
    """What a command took, with all the processes that it started.

    Attributes:
      wall: seconds from start to end.
      cpu: seconds of processor time.
      peak_mb: the most memory at one time, resident, 2**20 bytes.
    """

    wall: float
    cpu: float
    peak_mb: float


@dataclasses.dataclass(frozen=True)
class JobRun:
    """A run of the pipeline.

    Attributes:
      usage: of the whole command.
      run: the content of its run.json.
      steady: photos a second in between, see ``steady_rate``; 0 for fewer than ten photos.
    """

    usage: Usage
    run: dict[str, Any]
    steady: float


def run_command(command: Sequence[str], environment: dict[str, str] | None = None) -> Usage:
    """Runs a command to its end, in the repository's folder.

    Args:
      command: program and arguments.
      environment: variables beside those of this process; limits on threads are not passed on.

    Raises:
      RuntimeError: it ended with another status than 0; with the end of what it said.
    """
    inherited = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    started = time.perf_counter()
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env={**inherited, **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    watch = _MemoryWatch(process.pid)
    assert process.stdout is not None
    said = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    peak = watch.stop()
    if process.returncode:
        end = said.decode("utf-8", "replace")[-2000:]
        raise RuntimeError(f"{' '.join(command)} ended with status {process.returncode}: {end}")
    # not usage.ru_maxrss, which begins with what this process had when it forked
    return Usage(wall, usage.ru_utime + usage.ru_stime, peak / 2**20)


def run_job(photos: Path, output: Path, *flags: str, keep: bool = False, prefix: Sequence[str] = ()) -> JobRun:
    """Runs ``python -m pipeline run`` in a process of its own.

    Args:
      photos: the input.
      output: the output folder; emptied first unless ``keep``.
      *flags: further flags.
      keep: leave what is in the output folder: a refresh.
      prefix: a program that runs it.
    """
    if not keep:
        shutil.rmtree(output, ignore_errors=True)
    command = [sys.executable, "-m", "pipeline", "run", "--input", str(photos), "--output", str(output)]
    usage = run_command([*prefix, *command, "--max_rejected_fraction=1", *flags])
    run = read_run(str(output), (output / "LATEST").read_text().strip())
    return JobRun(usage, run, steady_rate(output / "assets" / "packshot"))


def steady_rate(folder: Path) -> float:
    """Returns files a second by when they were written, from the first tenth of them to the last.

    That leaves out how a program starts and ends; it is the same rule for every program.
    """
    times = np.sort([path.stat().st_mtime for path in folder.rglob("*") if path.is_file()])
    if len(times) < 10:
        return 0.0
    first, last = (int(q * (len(times) - 1)) for q in _QUANTILES)
    return float((last - first) / max(times[last] - times[first], 1e-9))


class _MemoryWatch:
    """Follows the resident memory of a process and its descendants, on Linux."""

    def __init__(self, pid: int):
        self._pid = pid
        self._peak = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def stop(self) -> int:
        """Returns the most that was seen, in bytes."""
        self._stop.set()
        self._thread.join()
        return self._peak

    def _watch(self) -> None:
        while not self._stop.wait(1 / _LOOKS_A_SECOND):
            self._peak = max(self._peak, _highest(self._pid), sum(map(_resident, _with_descendants(self._pid))))


def _resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
    except (OSError, IndexError):
        return 0


def _highest(pid: int) -> int:
    """Returns the most that a process has had since it began its program: nothing between two looks is missed."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), 0)


def _with_descendants(pid: int) -> list[int]:
    found, waiting = [], [pid]
    while waiting:
        parent = waiting.pop()
        found.append(parent)
        for children in Path(f"/proc/{parent}/task").glob("*/children"):
            try:
                waiting += map(int, children.read_text().split())
            except OSError:
                continue
    return found
