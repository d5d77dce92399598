"""Section ``memory``: whether memory grows with the catalogue, and what a large row group takes to read.

``python -m tests.benchmarks.memory FILE`` reads a Parquet file as the job does; the section runs that.
"""

from __future__ import annotations

import sys
from pathlib import Path

from pipeline.config import RunConfig
from pipeline.planning import plan_run
from pipeline.records import Photo
from tests.benchmarks import photos
from tests.benchmarks.bench import Bench
from tests.benchmarks.plain_loop import PlainLoop
from tests.benchmarks.processes import run_command, run_job
from tests.benchmarks.results import Bar, Section, markdown_table

_LARGE_BYTES = 1_000_000
_LARGE_ROWS = 600


def read_all(path: str) -> int:
    """Reads every photo of a catalogue and computes its digest, as the job does; returns their number."""
    loop = PlainLoop(plan_run(RunConfig(input=path, output=f"{path}-output")))
    count = 0
    for photo in loop.read():
        fetched = loop.stages["fetch"](photo)
        assert isinstance(fetched, Photo) and fetched.source_sha256
        count += 1
    return count


def memory_section(bench: Bench) -> Section:
    """Compares the peaks of a small and a large run, and reads large photos out of one row group."""
    sizes = bench.sizes
    small = run_job(bench.catalogue(sizes.small), bench.scratch("small"))
    _, large = bench.large_run
    ratio = large.usage.peak_mb / small.usage.peak_mb
    rows = [
        (f"{count:,} photos", f"{job.usage.peak_mb:.0f}", f"{job.usage.peak_mb / small.usage.peak_mb:.3f}")
        for count, job in ((sizes.small, small), (sizes.large, large))
    ]
    padded = [content + b"\0" * (_LARGE_BYTES - len(content)) for content in bench.pictures]
    path = photos.write_parquet(padded, bench.scratch("row-group") / "one.parquet", _LARGE_ROWS, row_group=_LARGE_ROWS)
    module = "tests.benchmarks.memory"
    reading = run_command([sys.executable, "-m", module, str(path)])
    idle = run_command([sys.executable, "-c", f"import {module}"])
    path.unlink()
    text = "\n\n".join(
        [
            "Resident memory of the command with all its processes, looked at 20 times a second.",
            markdown_table(("", "peak MB", "ratio"), rows),
            f"{_LARGE_ROWS} photos of {_LARGE_BYTES / 1e6:g} MB in one row group, read and hashed one after the other: "
            f"peak {reading.peak_mb:.0f} MB, of which {idle.peak_mb:.0f} MB are the libraries alone.",
        ]
    )
    how = f"{sizes.large:,} photos against {sizes.small:,}"
    bars = (
        Bar("peak memory, large run against small", ratio, 1.1, 1.02, how, True, " ×"),
        Bar("600 × 1 MB in one row group, read", reading.peak_mb * 2**20 / 1e9, 0.6, 0.4, "whole process", True, " GB"),
    )
    figures = {
        "photos": [sizes.small, sizes.large],
        "peak_mb": [small.usage.peak_mb, large.usage.peak_mb],
        "row_group_mb": reading.peak_mb,
        "libraries_mb": idle.peak_mb,
    }
    return Section("memory", "Memory", text, figures, bars)


if __name__ == "__main__":
    print(read_all(str(Path(sys.argv[1]))))
