"""Section ``million``: what planning and committing take of memory and time where a catalogue has a million photos.

No photo is there: feeds are of addresses, and the listings of photos and assets are made up (``tests.benchmarks.
made_up``). All else is the command's own: ``python -m tests.benchmarks.million STEP FOLDER COUNT`` makes one step in a
process of its own.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import io
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import mock

import apache_beam as beam
import numpy as np
import pyarrow as pa
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from pipeline import cli
from pipeline.config import RunConfig
from pipeline.graph import build_graph
from pipeline.planning import plan_run, shards_of
from pipeline.records import (
    NEAR_DUPLICATES_KEY,
    NEAR_DUPLICATES_SCHEMA,
    REJECTIONS_SCHEMA,
    REMOVED_SCHEMA,
    catalogue_schema,
)
from pipeline.report import write_report
from pipeline.sinks import storage
from pipeline.sinks.commit import Commit
from pipeline.sinks.packing import PackedRows, SetAside
from pipeline.sinks.tables import shard_of
from pipeline.sinks.write_table import WriteTable
from tests.benchmarks import made_up
from tests.benchmarks.bench import WITHOUT_NEAR_DUPLICATES, Bench
from tests.benchmarks.processes import run_command
from tests.benchmarks.results import Bar, Section, markdown_table

_ROWS_A_PACK = 256  # as of ``pipeline.sinks.packing``
_STAGES = {"decode": 1.8, "segment": 19.4, "matte": 8.4, "write": 3.3}  # what the sum of timings is made of

Step = Callable[[Path, int], object]


def write_feeds(folder: Path, count: int) -> None:
    """Writes the feeds of the first night and of the second."""
    for changed in (False, True):
        made_up.write_feed(Path(_config(folder, "feed", changed=changed).input), count, changed)


def commit_first(folder: Path, count: int) -> None:
    """Writes and commits all tables of a first run, whose rows come packed, as they leave the workers.

    These are the last steps of ``pipeline.graph``; those before them make pictures.
    """
    config = _config(folder, "feed")
    plan = plan_run(config)
    schema, shards, output = catalogue_schema(), shards_of(count), config.output
    with tempfile.TemporaryDirectory() as aside, beam.Pipeline(FnApiRunner()) as pipeline:
        packs = (
            pipeline
            | beam.Create(range(0, count, made_up.AT_ONCE))
            | "PackRows" >> beam.FlatMap(packed, count, config, shards)  # PackedRows
            | "SetAside" >> beam.ParDo(SetAside(aside))  # as a run on this machine does
        )
        tables = [packs | "Write catalogue" >> WriteTable(output, "catalogue", plan.run, schema, shards)]
        for name, of, key in (
            ("rejections", REJECTIONS_SCHEMA, ("id",)),
            ("removed", REMOVED_SCHEMA, ("id",)),
            ("near_duplicates", NEAR_DUPLICATES_SCHEMA, NEAR_DUPLICATES_KEY),
        ):
            empty = pipeline | f"No {name}" >> beam.Create([], reshuffle=False)
            tables.append(empty | f"Write {name}" >> WriteTable(output, name, plan.run, of, shards, key))
        summaries = tables | beam.Flatten()
        timings = pipeline | "Timings" >> beam.Create([_STAGES])
        _ = (summaries, timings) | Commit(
            output, plan.run, read=count, removed=0, started=plan.started, expected_latest=None,
            config=config.as_dict(), model={"name": plan.model.name, "sha256": plan.model.sha256}, versions={},
            write_report=write_report,
        )  # fmt: skip


def packed(start: int, count: int, config: RunConfig, shards: int) -> Iterator[PackedRows]:
    """Yields the rows of some photos as ``PackRows`` does, without having been dicts."""
    table = made_up.rows(config, np.arange(start, min(count, start + made_up.AT_ONCE)))
    shard_of_row = np.array([shard_of(photo_id, shards) for photo_id in table.column("id").to_pylist()])
    for shard in range(shards):
        members = table.take(np.flatnonzero(shard_of_row == shard)).combine_chunks()
        for first in range(0, len(members), _ROWS_A_PACK):
            sink = io.BytesIO()
            with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
                writer.write_table(members.slice(first, _ROWS_A_PACK))
            yield PackedRows(shard, sink.getvalue())


def list_assets(folder: Path, count: int) -> None:
    """Makes up the listing of the assets, which the other steps go through once where there is a last run."""
    for _ in made_up.listed_assets(count):
        pass


def plan_feed(folder: Path, count: int, *, first: bool) -> None:
    """``packshot plan`` on a feed of addresses."""
    config = _config(folder, "feed", changed=not first, first=first)
    with _made_up_listings(config, count, changed=not first):
        _command("plan", config)


def launch(folder: Path, count: int, *, kind: str, first: bool) -> None:
    """What ``packshot run`` does before anything is processed: it plans, and builds the graph with its long lists."""
    config = _config(folder, kind, changed=not first, first=first)
    with _made_up_listings(config, count, changed=not first):
        plan = plan_run(config)
        build_graph(beam.Pipeline(FnApiRunner()), plan)
    print(f"{plan.read:,} photos, {plan.refresh.new:,} new, {plan.refresh.known:,} known")
    print(f"{len(plan.refresh.unmoved):,} unmoved, {len(plan.refresh.items):,} pieces, {plan.shards} shards")


def run_changed(folder: Path, count: int) -> None:
    """``packshot run`` on a folder of which a hundredth changed; those photos are not there, and so rejected."""
    config = _config(folder, "folder", changed=True)
    with _made_up_listings(config, count, changed=True):
        _command("run", config)


STEPS: dict[str, Step] = {
    "feeds": write_feeds,
    "assets": list_assets,
    "commit-first": commit_first,
    "plan-feed-first": functools.partial(plan_feed, first=True),
    "plan-feed-changed": functools.partial(plan_feed, first=False),
    "launch-feed-first": functools.partial(launch, kind="feed", first=True),
    "launch-feed-changed": functools.partial(launch, kind="feed", first=False),
    "launch-folder-first": functools.partial(launch, kind="folder", first=True),
    "launch-folder-changed": functools.partial(launch, kind="folder", first=False),
    "run-folder-changed": run_changed,
}


_SHOWN = {
    "feeds": "(two feeds written)",
    "assets": "(the listing of the assets made up)",
    "launch-feed-first": "a feed, first night: planned, its lists stored",
    "commit-first": "its tables, report and commit",
    "launch-feed-changed": "the feed, second night: planned, its lists stored",
    "plan-feed-changed": "the same as `packshot plan` tells it",
    "launch-folder-changed": "a folder, second night: planned, its lists stored",
    "run-folder-changed": "the same run to its end",
}
_MOST_GB, _MOST_SECONDS = 2.0, 600.0
_OF_PLANNING_AND_COMMIT = ("launch-feed-first", "commit-first", "launch-feed-changed", "launch-folder-changed")


def million_section(bench: Bench) -> Section:
    """Makes every step in a process of its own and tells what it took."""
    count, folder = bench.sizes.rows, bench.scratch("million")
    module = [sys.executable, "-m", "tests.benchmarks.million"]
    found = {step: run_command([*module, step, str(folder), str(count)]) for step in _SHOWN}
    idle = run_command([sys.executable, "-c", "import tests.benchmarks.million"])
    rows = [(_SHOWN[step], f"{used.cpu:.1f}", f"{used.peak_mb:.0f}") for step, used in found.items()]
    rows.append(("nothing, the libraries alone", f"{idle.cpu:.1f}", f"{idle.peak_mb:.0f}"))
    text = "\n\n".join(
        [
            f"{count:,} photos that are not there: a feed of addresses in one row group, or a made-up listing of a "
            "folder; of the second night a hundredth changed. Near-duplicates are not searched for. Processor time and "
            "resident memory of each command with all its processes.",
            markdown_table(("", "processor, s", "peak MB"), rows),
        ]
    )
    worst = {step: found[step] for step in _OF_PLANNING_AND_COMMIT}
    how = f"{count:,} rows"
    memory, time = (max(getattr(used, name) for used in worst.values()) for name in ("peak_mb", "cpu"))
    bars = (
        Bar("planning and commit: memory", memory * 2**20 / 1e9, _MOST_GB, _MOST_GB, how, True, " GB"),
        Bar("planning and commit: longest step's processor time", time, _MOST_SECONDS, _MOST_SECONDS, how, True, " s"),
    )
    figures = {"rows": count, "steps": {step: vars(used) for step, used in found.items()}, "libraries": vars(idle)}
    return Section("million", "Planning and committing without a photo", text, figures, bars)


def _config(folder: Path, kind: str, *, changed: bool = False, first: bool = False) -> RunConfig:
    feed = folder / ("feed-changed.parquet" if changed else "feed.parquet")
    return RunConfig(
        input=str(feed) if kind == "feed" else made_up.ROOT,
        output=str(folder / ("nothing" if first else "output")),
        near_duplicate_distance=-1,
        max_rejected_fraction=1.0,
    )


def _command(name: str, config: RunConfig) -> None:
    flags = ["--input", config.input, "--output", config.output, WITHOUT_NEAR_DUPLICATES, "--max_rejected_fraction=1"]
    if status := cli.main([name, *flags]):
        raise SystemExit(status)


@contextlib.contextmanager
def _made_up_listings(config: RunConfig, count: int, changed: bool) -> Iterator[None]:
    """Lets the folder of photos and that of the assets hold what they are said to hold."""
    listing = storage.list_files

    def list_files(folder, prefix=""):
        if folder != storage.join(config.output, "assets"):
            return listing(folder, prefix)
        # asked for in parts: all of it for the first of them, as there is no way to make up a part alone
        return made_up.listed_assets(count) if prefix == "mask/0" else iter(())

    def find_files(place):
        return made_up.listed_photos(count, changed)

    with contextlib.ExitStack() as stack:
        stack.enter_context(mock.patch.object(storage, "list_files", list_files))
        if config.input == made_up.ROOT:
            stack.enter_context(mock.patch("pipeline.sources.listing.find_files", find_files))
        yield


def main(arguments: list[str] | None = None) -> None:
    """Makes one step."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.million", description=main.__doc__)
    parser.add_argument("step", choices=STEPS)
    parser.add_argument("folder", type=Path)
    parser.add_argument("count", type=int)
    parsed = parser.parse_args(arguments)
    STEPS[parsed.step](parsed.folder, parsed.count)


if __name__ == "__main__":
    main(sys.argv[1:])
