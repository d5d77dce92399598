"""Sections ``loop`` and ``floor``: what the pipeline costs over a plain loop, and over what cannot be left out."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path

import cv2
from apache_beam.options.pipeline_options import PipelineOptions

from pipeline.config import RunConfig
from pipeline.planning import RunPlan, plan_run
from pipeline.running import run_job
from tests.benchmarks.bench import Bench, fastest
from tests.benchmarks.plain_loop import PlainLoop
from tests.benchmarks.results import Bar, Section, markdown_table

ONE_WORKER = ("--direct_running_mode=in_memory", "--direct_num_workers=1")
_FLOOR = ("decode", "segment", "encode")


@dataclasses.dataclass(frozen=True)
class Pass:
    """One pass over the photos in this process.

    Attributes:
      wall, cpu: seconds, of all threads.
      stages: milliseconds a photo by stage.
      report: of ``wall``, seconds for the report, which a loop has not.
    """

    wall: float
    cpu: float
    stages: dict[str, float]
    report: float = 0.0

    @property
    def without_report(self) -> float:
        return self.wall - self.report


def one_worker_plan(photos: Path, output: Path) -> RunPlan:
    """Returns the plan of a first run with a model of one thread."""
    return plan_run(RunConfig(input=str(photos), output=str(output), model_threads=1, max_rejected_fraction=1.0))


def looped(plan: RunPlan) -> Pass:
    """Processes a plan's photos by a plain loop."""
    return _timed(lambda: _loop_stages(PlainLoop(plan)))


def piped(plan: RunPlan) -> Pass:
    """Processes a plan's photos by the pipeline, one worker in this process."""
    options = PipelineOptions(list(ONE_WORKER))
    return _timed(lambda: run_job(plan, options, all_cores=False, show_progress=False)["stages"], plan)


def _loop_stages(loop: PlainLoop) -> dict[str, float]:
    loop.run()
    return {name: 1000 * seconds / loop.photos for name, seconds in loop.spent.items()}


def _timed(work: Callable[[], dict[str, float]], plan: RunPlan | None = None) -> Pass:
    wall, cpu = time.perf_counter(), time.process_time()
    stages = work()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    report = 0.0
    if plan is not None:
        folder = Path(plan.config.output)
        run_json = folder / "runs" / plan.run / "run.json"
        report = max(0.0, (folder / "LATEST").stat().st_mtime - run_json.stat().st_mtime)
    return Pass(wall, cpu, stages, report)


def loop_section(bench: Bench) -> Section:
    """Compares the pipeline with a plain loop over the same functions, both one thread of one process."""
    cv2.setNumThreads(1)
    photos, count = bench.catalogue(bench.sizes.loop), bench.sizes.loop
    for run in (looped, piped):  # warm-up: imports, first use of every library
        run(one_worker_plan(bench.catalogue(8), bench.scratch(f"warm-{run.__name__}")))
    runs = {
        run.__name__: lambda run=run: run(one_worker_plan(photos, bench.scratch(run.__name__)))
        for run in (looped, piped)
    }
    best = fastest(bench.sizes.rounds, runs, lambda found: found.without_report)
    loop, pipeline = best["looped"], best["piped"]
    rows = [
        ("plain loop", *_per_photo(loop, count), "1.00"),
        ("pipeline, one worker", *_per_photo(pipeline, count), f"{loop.wall / pipeline.without_report:.3f}"),
    ]
    text = "\n\n".join(
        [
            f"{count} photos, in turn, least of {bench.sizes.rounds}; both in one process that has done a few photos "
            "before, the model on one thread. The loop calls the functions that stand in the graph, and reads and "
            "stores as the job does; tables, ledger and Beam are the pipeline's alone.",
            markdown_table(("", "ms a photo", "of processor time", "speed"), rows),
            f"The report, once a run and not counted above: {pipeline.report:.1f} s.",
            _stage_table(loop, pipeline),
        ]
    )
    ratio = loop.wall / pipeline.without_report
    bar = Bar("pipeline against a plain loop, one process", ratio, 0.93, 0.98, f"{count} photos, without the report")
    figures = {"photos": count, "loop": dataclasses.asdict(loop), "pipeline": dataclasses.asdict(pipeline)}
    return Section("loop", "The pipeline beside a plain loop", text, figures, (bar,))


def _per_photo(run: Pass, count: int) -> tuple[str, str]:
    return f"{1000 * run.without_report / count:.1f}", f"{1000 * run.cpu / count:.1f}"


def _stage_table(loop: Pass, pipeline: Pass) -> str:
    total = sum(loop.stages.values())
    rows = [
        (name, f"{spent:.1f}", f"{spent / total:.0%}", f"{pipeline.stages.get(name, 0.0):.1f}")
        for name, spent in loop.stages.items()
    ]
    rows.append(("all", f"{total:.1f}", "", f"{sum(pipeline.stages.values()):.1f}"))
    return markdown_table(("stage", "ms a photo, loop", "share", "pipeline (run.json)"), rows)


def floor_section(bench: Bench) -> Section:
    """Compares a whole run of one worker with decoding, inference and encoding alone."""
    cv2.setNumThreads(1)
    photos, count = bench.catalogue(bench.sizes.loop), bench.sizes.loop
    loop = PlainLoop(one_worker_plan(photos, bench.scratch("floor")))
    kept = []
    for photo in loop.read():  # what decode and encode get, ready-made
        inputs = {}
        for name, stage in loop.stages.items():
            if name in _FLOOR:
                inputs[name] = photo
            if name == "write":
                break
            photo = stage(photo)
        kept.append(inputs)
        if len(kept) == min(count, len(bench.pictures)):
            break

    def floor() -> Pass:
        return _timed(lambda: _floor_stages(loop, kept))

    runs = {"floor": floor, "piped": lambda: piped(one_worker_plan(photos, bench.scratch("floor-piped")))}
    best = fastest(max(2, bench.sizes.rounds), runs, lambda found: found.without_report)
    lowest = 1000 * best["floor"].wall / len(kept)
    whole = 1000 * best["piped"].without_report / count
    rows = [(f"{name} alone", f"{spent:.1f}") for name, spent in best["floor"].stages.items()]
    rows += [("the floor: their sum", f"{lowest:.1f}"), ("end to end, one worker", f"{whole:.1f}")]
    text = "\n\n".join(
        [
            f"{count} photos; one worker and the model on one thread. *Alone*: the same three functions in a loop of "
            "their own, with everything else kept ready; the rest is what the picture gains by.",
            markdown_table(("", "ms a photo"), rows),
        ]
    )
    bar = Bar("end to end against decode + inference + encode alone", lowest / whole, 0.6, 0.85, f"{count} photos")
    figures = {"photos": count, "floor": best["floor"].stages, "floor_ms": lowest, "whole_ms": whole}
    return Section("floor", "The floor", text, figures, (bar,))


def _floor_stages(loop: PlainLoop, kept: list[dict]) -> dict[str, float]:
    spent = dict.fromkeys(_FLOOR, 0.0)
    for inputs in kept:
        for name in _FLOOR:
            started = time.perf_counter()
            loop.stages[name](inputs[name])
            spent[name] += 1000 * (time.perf_counter() - started) / len(kept)
    return spent
