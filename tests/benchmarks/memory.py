"""Section ``memory``: whether memory grows with the catalogue, and what a large row group takes to read.

``python -m tests.benchmarks.memory FILE`` reads a Parquet file as the job does; the section runs that.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from pipeline.config import RunConfig
from pipeline.planning import plan_run
from pipeline.records import Photo
from tests.benchmarks import photos
from tests.benchmarks.bench import WITHOUT_NEAR_DUPLICATES, Bench
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
    small = run_job(bench.catalogue(sizes.small), bench.scratch("small"), WITHOUT_NEAR_DUPLICATES)
    _, large = bench.large_run
    ratio = large.usage.peak_mb / small.usage.peak_mb
    rows = [
        (f"{count:,} photos", f"{job.usage.peak_mb:.0f}", f"{job.usage.peak_mb / small.usage.peak_mb:.3f}")
        for count, job in ((sizes.small, small), (sizes.large, large))
    ]
    noise = np.random.default_rng(0).bytes(_LARGE_BYTES)  # packs as little as pictures do
    padded = [content + noise[len(content) :] for content in bench.pictures]
    module = "tests.benchmarks.memory"
    layouts = {
        "pages of 16 rows": photos.PAGES_OF_FEW_ROWS,
        "as pyarrow writes it": {},
        "the same in Snappy": {"compression": "snappy"},
    }
    reading = {}
    for name, layout in layouts.items():
        path = bench.scratch("row-group") / "one.parquet"
        photos.write_parquet(padded, path, _LARGE_ROWS, row_group=_LARGE_ROWS, layout=layout)
        reading[name] = run_command([sys.executable, "-m", module, str(path)])
        path.unlink()
    idle = run_command([sys.executable, "-c", f"import {module}"])
    rows_read = [(name, f"{usage.peak_mb:.0f}", f"{usage.wall:.1f}") for name, usage in reading.items()]
    rows_read.append(("nothing, the libraries alone", f"{idle.peak_mb:.0f}", f"{idle.wall:.1f}"))
    text = "\n\n".join(
        [
            "Resident memory of the command with all its processes, looked at 20 times a second.",
            markdown_table(("", "peak MB", "ratio"), rows),
            f"{_LARGE_ROWS} photos of {_LARGE_BYTES / 1e6:g} MB in one row group, read and hashed one after the other. "
            "pyarrow by default writes all of them into one page, in Snappy; here such a page goes through a file.",
            markdown_table(("", "peak MB", "s"), rows_read),
        ]
    )
    how = f"{sizes.large:,} photos against {sizes.small:,}"
    bars = (
        Bar("peak memory, large run against small", ratio, 1.1, 1.02, how, True, " ×"),
        *(
            Bar(f"600 × 1 MB in one row group, {name}", usage.peak_mb * 2**20 / 1e9, 0.6, 0.4, "read", True, " GB")
            for name, usage in reading.items()
        ),
    )
    figures = {
        "photos": [sizes.small, sizes.large],
        "peak_mb": [small.usage.peak_mb, large.usage.peak_mb],
        "row_group": {name: vars(usage) for name, usage in reading.items()},
        "libraries_mb": idle.peak_mb,
    }
    return Section("memory", "Memory", text, figures, bars)


if __name__ == "__main__":
    print(read_all(str(Path(sys.argv[1]))))
