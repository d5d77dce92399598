"""Section ``refresh``: a run over a catalogue that hardly changed, beside the full run before it."""

from __future__ import annotations

import apache_beam as beam
from apache_beam.metrics import MetricsFilter

from models.handlers.segmentation import NAMESPACE
from pipeline.config import RunConfig
from pipeline.graph import build_graph
from pipeline.planning import plan_run
from pipeline.running import read_run
from tests.benchmarks.bench import WITHOUT_NEAR_DUPLICATES, Bench
from tests.benchmarks.processes import run_job
from tests.benchmarks.results import Bar, Section, markdown_table

_CHANGED = 0.01


def count_work(photos: str, output: str) -> dict[str, int]:
    """Runs a refresh in this process and counts what was done.

    Returns:
      ``unchanged`` photos; ``decodes``, photos that came out of the decoder or were refused by it; ``inferences``,
      as Beam's RunInference counts them.
    """
    plan = plan_run(RunConfig(input=photos, output=output, max_rejected_fraction=1.0, near_duplicate_distance=-1))
    pipeline = beam.Pipeline(runner="FnApiRunner")
    build_graph(pipeline, plan)
    result = pipeline.run()
    result.wait_until_finish()
    counters = result.metrics().query(MetricsFilter().with_namespace(NAMESPACE).with_name("num_inferences"))
    run = read_run(output, plan.run)
    worked = run["read"] - run["unchanged"] - run["duplicate"]
    return {
        "unchanged": run["unchanged"],
        "decodes": worked if "decode" in run["stages"] or run["rejected"] else 0,
        "inferences": sum(counter.committed or 0 for counter in counters["counters"]),
    }


def refresh_section(bench: Bench) -> Section:
    """Compares a refresh with 1 % changed photos, and one with none, with the full run."""
    count = bench.sizes.large
    output, full = bench.large_run
    nothing = run_job(bench.catalogue(count), output, WITHOUT_NEAR_DUPLICATES, keep=True)
    work = count_work(str(bench.catalogue(count)), str(output))
    changed = round(count * _CHANGED)
    some = run_job(bench.catalogue(count, changed), output, WITHOUT_NEAR_DUPLICATES, keep=True)
    jobs = {"full run": full, "nothing changed": nothing, f"{changed:,} changed": some}
    rows = [
        (
            name,
            f"{job.run['unchanged']:,}",
            f"{job.usage.wall:.1f}",
            f"{job.usage.wall / full.usage.wall:.2%}",
            f"{job.run['seconds']:.1f}",
            f"{job.run['seconds'] / full.run['seconds']:.2%}",
            f"{job.usage.cpu:.1f}",
        )
        for name, job in jobs.items()
    ]
    head = ("", "unchanged", "command, s", "of the full run", "run.json, s", "of the full run", "processor, s")
    text = "\n\n".join(
        [
            f"{count:,} photos in one Parquet file. The command's time has its start and its report, which take as "
            "long for one photo as for a million. Near-duplicates are not searched for: few pictures make up this "
            "catalogue, some hundred times each.",
            markdown_table(head, rows),
            f"With nothing changed: {work['decodes']} photos decoded, {work['inferences']} inferences, "
            f"{work['unchanged']:,} rows carried over.",
        ]
    )
    how = f"{count:,} photos, whole command"
    bars = (
        Bar(
            "refresh with 1 % changed against a full run",
            100 * some.usage.wall / full.usage.wall,
            3,
            1.5,
            how,
            True,
            " %",
        ),
        Bar("nothing changed: decodes", work["decodes"], 0, 0, how, True),
        Bar("nothing changed: inferences", work["inferences"], 0, 0, how, True),
    )
    figures = {
        "photos": count,
        "work": work,
        **{name: {"seconds": job.run["seconds"], **vars(job.usage)} for name, job in jobs.items()},
    }
    return Section("refresh", "Refresh", text, figures, bars)
