"""The command ``packshot``."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from pipeline.version import __version__

OK, FAILED, USAGE, TOO_MANY_REJECTED, INTERRUPTED = 0, 1, 2, 3, 130


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        sys.stderr.write(f"{self.prog}: {message} (see {self.prog} --help)\n")
        sys.exit(USAGE)


def _parser() -> argparse.ArgumentParser:
    from pipeline.options import add_run_arguments

    parser = _Parser(
        prog="packshot", description="Turns a catalogue of messy product photos into packshots.", allow_abbrev=False
    )
    parser.add_argument("--version", action="version", version=f"packshot {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=_Parser)

    run = commands.add_parser(
        "run", help="process a catalogue", allow_abbrev=False,
        description="Reads a catalogue, makes pictures of every photo and commits them with tables and a report.",
        epilog="Further flags go to Beam and its runner, for example --runner, --direct_num_workers. "
        "Exit status: 0 all accounted for; 1 the job failed; 2 wrong usage; 3 too many rejected.",
    )  # fmt: skip
    add_run_arguments(run)
    run.add_argument("--dry_run", action="store_true", help="say what would be done, as packshot plan does")
    run.add_argument("--verbose", action="store_true", help="show the libraries' own log lines and full tracebacks")
    run.set_defaults(handle=_run)

    plan = commands.add_parser("plan", help="say what a run would do", allow_abbrev=False)
    add_run_arguments(plan)
    plan.add_argument("--verbose", action="store_true", help="show full tracebacks")
    plan.set_defaults(handle=_plan)

    report = commands.add_parser("report", help="write a run's report anew", allow_abbrev=False)
    report.add_argument("--output", required=True, help="the run's output folder")
    report.add_argument("--run", help="the run's name (default: the last committed one)")
    report.set_defaults(handle=_report)

    samples = commands.add_parser("samples", help="render a catalogue with known truth", allow_abbrev=False)
    samples.add_argument("directory", help="folder to write to")
    samples.add_argument("--count", type=int, default=64, help="photos (default: 64)")
    samples.add_argument("--seed", type=int, default=0, help="the same seed gives the same bytes (default: 0)")
    samples.add_argument("--broken", type=int, default=0, help="broken files among them (default: 0)")
    samples.add_argument("--container", choices=("folder", "parquet"), default="folder", help="(default: folder)")
    samples.set_defaults(handle=_samples)

    train = commands.add_parser("train", help="train a model", allow_abbrev=False)
    models = train.add_subparsers(dest="model", required=True, metavar="MODEL", parser_class=_Parser)
    segmentation = models.add_parser("segmentation", help="the segmentation network", allow_abbrev=False)
    segmentation.add_argument("--clothing", required=True, help="folder of Parquet files: id, seller, split, image")
    segmentation.add_argument("--products", required=True, help="folder of Parquet files: id, source, kind, image")
    segmentation.add_argument("--masks", required=True, help="Parquet file: id, mask, doubtful")
    segmentation.add_argument("--output", required=True, help="folder for weights, checkpoints and curves")
    segmentation.add_argument("--rendered", default="", help="folder made by packshot samples --container parquet")
    segmentation.add_argument("--config", help="YAML file of training settings (default: those of the shipped weights)")
    segmentation.set_defaults(handle=_train_segmentation)

    evaluate = commands.add_parser("evaluate", help="measure a model", allow_abbrev=False)
    subjects = evaluate.add_subparsers(dest="subject", required=True, metavar="SUBJECT", parser_class=_Parser)
    masks = subjects.add_parser("segmentation", help="masks against masks drawn by hand", allow_abbrev=False)
    masks.add_argument("--photos", required=True, help="folder of Parquet files: id, category, image")
    masks.add_argument("--masks", required=True, help="Parquet file: id, mask; seller_seen and doubtful make slices")
    masks.add_argument("--model", default="packshot-seg", help="model by name or path (default: packshot-seg)")
    masks.add_argument("--baselines", action="store_true", help="measure GrabCut and flood fill on the same photos")
    masks.add_argument("--sheet", help="write a PNG of the worst masks here")
    masks.add_argument("--json", help="write all figures here")
    masks.set_defaults(handle=_evaluate_segmentation)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command.

    Args:
      arguments: without the program's name; those of the process by default.

    Returns:
      The exit status, as DESIGN has it: 0, 1, 2, 3, or 130 when interrupted.
    """
    parser = _parser()
    try:
        parsed, rest = parser.parse_known_args(arguments)
        if rest and parsed.handle not in (_run, _plan):
            parser.error(f"unknown arguments {' '.join(rest)}")
        return parsed.handle(parsed, rest)
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else FAILED
    except KeyboardInterrupt:
        sys.stderr.write("\npackshot: interrupted\n")
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED


def _wrong_usage(error: Exception) -> int:
    sys.stderr.write(f"packshot: {' '.join(str(error).split())}\n")
    return USAGE


def _planned(parsed: argparse.Namespace, rest: list[str]) -> tuple[Any, Any]:
    """Returns the plan and Beam's options."""
    from apache_beam.io.filesystems import FileSystems
    from apache_beam.options.pipeline_options import PipelineOptions

    from pipeline.config import RunConfig
    from pipeline.options import unknown_flags
    from pipeline.planning import plan_run
    from pipeline.running import silence_libraries

    silence_libraries(parsed.verbose)
    if unknown := unknown_flags(rest):
        raise ValueError(f"unknown arguments {' '.join(unknown)}; see packshot {parsed.command} --help")
    for name in ("input", "output"):
        if not getattr(parsed, name):
            raise ValueError(f"--{name} is missing; see packshot {parsed.command} --help")
    options = PipelineOptions(rest)
    FileSystems.set_options(options)  # planning reads cloud storage before any pipeline exists
    return plan_run(RunConfig.from_mapping(vars(parsed))), options


def _run(parsed: argparse.Namespace, rest: list[str]) -> int:
    from pipeline.ledger import Ledger, exit_status
    from pipeline.planning import describe_plan
    from pipeline.running import EXPECTED_ERRORS, run_job
    from pipeline.sinks import storage

    try:
        plan, options = _planned(parsed, rest)
    except (ValueError, OSError) as error:
        return _wrong_usage(error)
    print(describe_plan(plan), flush=True)
    if parsed.dry_run:
        return OK
    try:
        run = run_job(plan, options, all_cores=not any(flag.startswith("--direct_") for flag in rest))
    except EXPECTED_ERRORS as error:
        sys.stderr.write(f"packshot: {error}\n")
        return FAILED
    except Exception as error:
        if parsed.verbose:
            raise
        sys.stderr.write(f"packshot: the job failed: {_last_line(error)} (--verbose shows all)\n")
        return FAILED
    print(_ledger_lines(run))
    print(f"report    {storage.join(plan.config.output, 'runs', plan.run, 'report.html')}")
    counts = {field: run[field] for field in ("read", "ready", "review", "rejected")}
    status = exit_status(Ledger(**counts), plan.config.max_rejected_fraction)
    if status == TOO_MANY_REJECTED:
        allowed = f"{plan.config.max_rejected_fraction:.1%}"
        sys.stderr.write(
            f"packshot: {run['rejected']:,} of {run['read']:,} photos were rejected, more than {allowed}\n"
        )
    return status


def _plan(parsed: argparse.Namespace, rest: list[str]) -> int:
    from pipeline.planning import describe_plan

    try:
        plan, _ = _planned(parsed, rest)
    except (ValueError, OSError) as error:
        return _wrong_usage(error)
    print(describe_plan(plan))
    return OK


def _report(parsed: argparse.Namespace, _: list[str]) -> int:
    from pipeline.refresh import latest_run
    from pipeline.report import write_report
    from pipeline.running import read_run
    from pipeline.sinks import storage
    from pipeline.sources.lookup import SourceReader

    try:
        run = parsed.run or latest_run(parsed.output)
        if run is None:
            raise ValueError(f"{parsed.output!r} holds no committed run; name the --output of a finished run")
        run_json = read_run(parsed.output, run)
        reader = SourceReader(run_json["config"]["id_column"], run_json["config"]["image_column"])
        write_report(parsed.output, run, run_json, read_source=reader, previous_run=run_json["previous_run"])
    except (ValueError, OSError) as error:
        return _wrong_usage(error)
    print(storage.join(parsed.output, "runs", run, "report.html"))
    return OK


def _samples(parsed: argparse.Namespace, _: list[str]) -> int:
    from pipeline.samples import render_samples

    try:
        render_samples(
            parsed.directory, count=parsed.count, seed=parsed.seed, broken=parsed.broken, container=parsed.container
        )
    except ValueError as error:
        return _wrong_usage(error)
    print(f"{parsed.count:,} photos in {parsed.directory}, {parsed.broken:,} of them broken")
    return OK


def _train_segmentation(parsed: argparse.Namespace, _: list[str]) -> int:
    import yaml

    from models.segmentation.train import TrainingConfig, train

    try:
        settings = yaml.safe_load(Path(parsed.config).read_text()) if parsed.config else {}
        places = {name: getattr(parsed, name) for name in ("clothing", "products", "masks", "output", "rendered")}
        config = TrainingConfig.from_mapping({**(settings or {}), **places})
        path = train(config)
    except (ValueError, OSError) as error:
        return _wrong_usage(error)
    print(path)
    return OK


def _evaluate_segmentation(parsed: argparse.Namespace, _: list[str]) -> int:
    from pipeline.evaluate import evaluate_segmentation

    try:
        print(evaluate_segmentation(parsed.photos, parsed.masks, parsed.model, baselines=parsed.baselines,
                                    sheet=parsed.sheet, figures=parsed.json))  # fmt: skip
    except (ValueError, OSError) as error:
        return _wrong_usage(error)
    return OK


def _ledger_lines(run: dict[str, Any]) -> str:
    accounted = f"{run['ready']:,} ready + {run['review']:,} review + {run['rejected']:,} rejected"
    lines = [
        f"ledger    {run['read']:,} read = {accounted}",
        f"          {run['unchanged']:,} unchanged, {run['duplicate']:,} duplicate, {run['removed']:,} removed, "
        f"{run['assets_written']:,} assets written",
    ]
    if reasons := run.get("rejections"):
        lines.append("rejected  " + ", ".join(f"{count:,} {reason}" for reason, count in reasons.items()))
    lines.append(f"speed     {run['seconds']:.1f} s, {run['images_per_second']:.1f} images/s")
    return "\n".join(lines)


def _last_line(error: Exception) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[-1].strip() if lines else type(error).__name__
