"""The command ``packshot prune``: its flags, and what it says."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from pipeline.redaction import flag_names, without_secrets
from pipeline.usage import FAILED, OK, wrong_usage

if TYPE_CHECKING:
    from pipeline.pruning import Note, PrunePlan, Tally


def add_prune_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of ``packshot prune``."""
    parser.description = (
        "Says what of an output folder no kept run names, or deletes it: pictures, and tables and reports of older "
        "runs. Files that Packshot did not put there are left."
    )
    parser.epilog = (
        "Further flags go to Beam, for example --s3_endpoint_url. Exit status: 0 shown or deleted; 1 a file could not "
        "be deleted; 2 refused: nothing was deleted."
    )
    parser.add_argument("--output", required=True, help="the runs' output folder; local, gs:// or s3://")
    parser.add_argument(
        "--keep_runs", type=int, default=7, metavar="N", help="keep the last N committed runs (default: %(default)s)"
    )
    parser.add_argument(
        "--min_age", type=float, default=24.0, metavar="HOURS",
        help="what is younger and was never named by a committed run stays (default: %(default)g)",
    )  # fmt: skip
    parser.add_argument("--delete", action="store_true", help="delete it; without, it is only shown")
    parser.add_argument("--list", metavar="FILE", help="write every file that goes here: kind, bytes, name")
    parser.set_defaults(handle=_prune)


def describe_prune(plan: PrunePlan, tally: Tally, *, deleted: bool) -> str:
    """Returns what was kept and what goes, for a person."""
    from pipeline.pruning import Verdict

    kept = f"{_count(len(plan.kept), 'run')}: {plan.kept[0]}" + (f" back to {plan.kept[-1]}" if plan.kept[1:] else "")
    lines = [f"{'keeps':<10}{kept}, {len(plan.named):,} pictures"]
    if tally.missing:
        lines.append(f"{'':<10}{tally.missing:,} of these are missing; the next run makes them again")
    going = tally.going()
    for key in going:
        verb = "deleted" if deleted else "goes"
        size = _size(tally.bytes[key])
        lines.append(f"{verb:<10}{key}: {_count(tally.files[key], 'file')}, {size}; e.g. {tally.examples[key][0]}")
    runs = len(plan.dropped) + len(plan.unfinished)
    total = f"{_count(sum(tally.files[key] for key in going), 'file')}, {_size(sum(tally.bytes[key] for key in going))}"
    lines.append(f"{'in all':<10}{total}, of {_count(runs, 'run')} not kept")
    for verdict, why in (
        (Verdict.YOUNG, "too young to be known for waste: see --min_age"),
        (Verdict.FOREIGN, "not Packshot's"),
    ):
        if count := tally.files[verdict.value]:
            lines.append(f"{'stays':<10}{_count(count, 'file')} {why}; e.g. {tally.examples[verdict.value][0]}")
    return "\n".join(lines)


def _prune(parsed: argparse.Namespace, rest: list[str]) -> int:
    from apache_beam.io.filesystems import FileSystems
    from apache_beam.options.pipeline_options import PipelineOptions

    from pipeline.markers import OutputBusy
    from pipeline.options import unknown_flags
    from pipeline.pruning import in_progress, prune, show
    from pipeline.running import silence_libraries
    from pipeline.sinks import storage

    silence_libraries(verbose=False)
    try:
        if unknown := unknown_flags(rest):
            raise ValueError(f"unknown arguments {flag_names(unknown)}; see packshot prune --help")
        if not parsed.min_age >= 0:
            raise ValueError(f"--min_age={parsed.min_age!r} must be at least 0 hours")
        FileSystems.set_options(PipelineOptions(rest))
        min_age = 3600 * parsed.min_age
        with _listing(parsed.list) as note:
            work = prune if parsed.delete else show
            plan, tally = work(parsed.output, keep_runs=parsed.keep_runs, min_age=min_age, note=note)
        print(describe_prune(plan, tally, deleted=parsed.delete))
        if not parsed.delete:
            for run, marker in in_progress(parsed.output, plan, min_age).items():
                print(f"busy      run {run} may be in progress ({marker}): --delete would refuse")
            print("          nothing was deleted; --delete does it")
    except (ValueError, OutputBusy, OSError) as error:
        return wrong_usage(error)
    except storage.StorageError as error:
        sys.stderr.write(f"packshot: {' '.join(without_secrets(str(error)).split())}; start again to go on from here\n")
        return FAILED
    return OK


@contextlib.contextmanager
def _listing(path: str | None) -> Iterator[Note | None]:
    if path is None:
        yield None
        return
    with open(path, "w", encoding="utf-8", errors="surrogateescape") as file:
        yield lambda listed, verdict: print(verdict.value, listed.size, listed.name, sep="\t", file=file) and None


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def _size(count: int) -> str:
    for unit, scale in (("GB", 1e9), ("MB", 1e6)):
        if count >= scale:
            return f"{count / scale:,.1f} {unit}"
    return f"{count / 1e3:,.0f} kB"
