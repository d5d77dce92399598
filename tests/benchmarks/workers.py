"""Section ``workers``: what a second worker brings, as a thread and as a process."""

from __future__ import annotations

from tests.benchmarks.bench import Bench, fastest
from tests.benchmarks.looping import ONE_WORKER
from tests.benchmarks.processes import JobRun, run_job
from tests.benchmarks.results import Bar, Section, markdown_table

_SETTINGS = {
    "1 worker": ONE_WORKER,
    "2 threads": ("--direct_running_mode=multi_threading", "--direct_num_workers=2"),
    "2 processes": ("--direct_running_mode=multi_processing", "--direct_num_workers=2"),
}


def workers_section(bench: Bench) -> Section:
    """Compares one worker with two of either kind, every one a command of its own."""
    count = bench.sizes.job
    photos = bench.catalogue(count)
    best = fastest(
        bench.sizes.rounds,
        {
            name: lambda name=name, flags=flags: run_job(photos, bench.scratch(name.replace(" ", "-")), *flags)
            for name, flags in _SETTINGS.items()
        },
        lambda job: -_rate(job),
    )
    one = best["1 worker"]
    rows = [
        (
            name,
            f"{_rate(job):.1f}",
            f"{_rate(job) / _rate(one):.2f}",
            f"{job.run['images_per_second']:.1f}",
            f"{job.usage.wall:.1f}",
            f"{1000 * job.usage.cpu / count:.0f}",
            f"{job.usage.peak_mb:.0f}",
        )
        for name, job in best.items()
    ]
    winner = max(("2 threads", "2 processes"), key=lambda name: _rate(best[name]))
    text = "\n\n".join(
        [
            f"{count} photos, in turn, fastest of {bench.sizes.rounds}. *Steady*: from the first tenth of the "
            "packshots to the last, by their files' times. The best of two workers here: " + winner + ".",
            markdown_table(
                ("", "steady, images/s", "against 1", "run.json", "command, s", "processor ms a photo", "peak MB"), rows
            ),
        ]
    )
    figures = {"photos": count, **{name: _as_json(job) for name, job in best.items()}}
    bar = Bar("2 workers against 1", _rate(best[winner]) / _rate(one), 1.7, 1.9, f"{winner}, {count} photos", unit=" ×")
    return Section("workers", "Two workers", text, figures, (bar,))


def _rate(job: JobRun) -> float:
    return job.steady or job.run["images_per_second"]


def _as_json(job: JobRun) -> dict:
    return {"steady": job.steady, "seconds": job.run["seconds"], **vars(job.usage), "stages": job.run["stages"]}
