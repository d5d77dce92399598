"""The command ``packshot``."""

from __future__ import annotations

import argparse
import gc
import os
import sys
import traceback
from collections.abc import Sequence
from typing import Any, NoReturn

from pipeline.redaction import flag_names, hide_given, start_logging, without_secrets
from pipeline.usage import FAILED, INTERRUPTED, OK, TOO_MANY_REJECTED, USAGE, given, wrong_usage
from pipeline.version import __version__


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        sys.stderr.write(f"{self.prog}: {message} (see {self.prog} --help)\n")
        sys.exit(USAGE)


def _parser() -> argparse.ArgumentParser:
    from pipeline.colour_commands import add_colour_arguments, add_reference_arguments
    from pipeline.compliance_commands import add_compliance_arguments, add_gate_arguments
    from pipeline.export_command import add_export_arguments
    from pipeline.gan_commands import add_gan_arguments
    from pipeline.gate_commands import add_gate_file_arguments
    from pipeline.generation_commands import add_classifier_arguments, add_gain_arguments, add_generation_arguments
    from pipeline.near_duplicate_commands import add_near_duplicate_arguments
    from pipeline.options import add_run_arguments
    from pipeline.prune_command import add_prune_arguments
    from pipeline.segmentation_commands import (
        add_segmentation_evaluation_arguments,
        add_segmentation_training_arguments,
    )
    from pipeline.superres_commands import add_superres_arguments, add_superres_training_arguments
    from pipeline.vae_commands import add_vae_evaluation_arguments, add_vae_training_arguments

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

    replay = commands.add_parser(
        "replay", help="run again over what the last run rejected", allow_abbrev=False,
        description="Runs again over photos that the last run rejected, with the settings of that run. All other "
        "photos stay as that run left them, whether or not the input has changed.",
        epilog="Further flags are those of packshot run and take the place of that run's settings.",
    )  # fmt: skip
    replay.add_argument("--reason", help="comma-separated list of reasons, such as fetch_failed (default: all)")
    add_run_arguments(replay, defaults=False)
    replay.add_argument("--dry_run", action="store_true", help="say what would be done")
    replay.add_argument("--verbose", action="store_true", help="show the libraries' own log lines and full tracebacks")
    replay.set_defaults(handle=_run)

    report = commands.add_parser("report", help="write a run's report anew", allow_abbrev=False)
    report.add_argument("--output", required=True, help="the run's output folder")
    report.add_argument("--run", help="the run's name (default: the last committed one)")
    report.set_defaults(handle=_report)

    add_prune_arguments(commands.add_parser("prune", help="delete what no kept run names", allow_abbrev=False))

    samples = commands.add_parser("samples", help="render a catalogue with known truth", allow_abbrev=False)
    samples.add_argument("directory", help="folder to write to")
    samples.add_argument("--count", type=int, default=64, help="photos (default: 64)")
    samples.add_argument("--seed", type=int, default=0, help="the same seed gives the same bytes (default: 0)")
    samples.add_argument("--broken", type=int, default=0, help="broken files among them (default: 0)")
    samples.add_argument("--container", choices=("folder", "parquet"), default="folder", help="(default: folder)")
    samples.set_defaults(handle=_samples)

    train = commands.add_parser("train", help="train a model", allow_abbrev=False)
    models = train.add_subparsers(dest="model", required=True, metavar="MODEL", parser_class=_Parser)
    add_segmentation_training_arguments(
        models.add_parser("segmentation", help="the segmentation network", allow_abbrev=False)
    )
    add_gan_arguments(models.add_parser("gan", help="a generator of articles", allow_abbrev=False))
    add_classifier_arguments(models.add_parser("classifier", help="what judges generated pictures", allow_abbrev=False))
    add_superres_training_arguments(models.add_parser("superres", help="the super-resolution", allow_abbrev=False))

    add_vae_training_arguments(models.add_parser("vae", help="the autoencoder", allow_abbrev=False))
    add_gate_file_arguments(models.add_parser("gate", help="what judges generated products", allow_abbrev=False))

    evaluate = commands.add_parser("evaluate", help="measure a model", allow_abbrev=False)
    subjects = evaluate.add_subparsers(dest="subject", required=True, metavar="SUBJECT", parser_class=_Parser)
    add_segmentation_evaluation_arguments(
        subjects.add_parser("segmentation", help="masks, mattes and empty photos against truth", allow_abbrev=False)
    )

    add_colour_arguments(subjects.add_parser("colour", help="colour normalisation against truth", allow_abbrev=False))
    add_compliance_arguments(
        subjects.add_parser("compliance", help="stored pictures against a profile's rules", allow_abbrev=False)
    )
    add_gate_arguments(subjects.add_parser("gates", help="quality gates on photos spoilt", allow_abbrev=False))

    add_generation_arguments(
        subjects.add_parser("gan", help="generated pictures against real ones", allow_abbrev=False)
    )
    add_gain_arguments(
        subjects.add_parser("augmentation", help="whether generated pictures help to train", allow_abbrev=False)
    )
    add_near_duplicate_arguments(
        subjects.add_parser("near_duplicates", help="perceptual hashes on copies of photos", allow_abbrev=False)
    )

    add_superres_arguments(subjects.add_parser("superres", help="super-resolution against truth", allow_abbrev=False))
    add_vae_evaluation_arguments(subjects.add_parser("vae", help="the autoencoder", allow_abbrev=False))

    reference = commands.add_parser("reference", help="measure the looks for --colour_reference", allow_abbrev=False)
    add_reference_arguments(reference)

    mending = subjects.add_parser(
        "enhancement", help="denoising, sharpening, exposure and straightening on photos spoilt in known ways",
        allow_abbrev=False,
    )  # fmt: skip
    mending.add_argument("--photos", required=True, help="folder of Parquet files: id, image; seller makes groups")
    mending.add_argument("--masks", required=True, help="Parquet file: id, mask")
    mending.add_argument("--model", default="packshot-seg", help="whose mattes are straightened, too")
    mending.add_argument("--limit", type=int, help="measure at most so many photos")
    mending.add_argument("--seed", type=int, default=0, help="of the noise (default: 0)")
    mending.add_argument("--sheet", help="write contact sheets here; the step's name is added to the file's")
    mending.add_argument("--json", help="write all figures here")
    mending.set_defaults(handle=_evaluate_enhancement)

    export = commands.add_parser("export", help="turn a trained network into files that serve", allow_abbrev=False)
    networks = export.add_subparsers(dest="network", required=True, metavar="MODEL", parser_class=_Parser)
    add_export_arguments(networks.add_parser("segmentation", help="the segmentation network", allow_abbrev=False))
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command.

    Args:
      arguments: without the program's name; those of the process by default.

    Returns:
      The exit status, as DESIGN has it: 0, 1, 2, 3, or 130 when interrupted.
    """
    start_logging()
    parser = _parser()
    try:
        parsed, rest = parser.parse_known_args(arguments)
        if rest and parsed.command not in ("run", "plan", "replay", "prune"):
            parser.error(f"unknown arguments {flag_names(rest)}")
        if parsed.command == "train":  # TensorFlow leaves it off on many CPUs, where it trains half as fast again
            os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
        hide_given(rest)
        return parsed.handle(parsed, rest)
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else FAILED
    except KeyboardInterrupt:
        sys.stderr.write("\npackshot: interrupted\n")
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED


def command() -> int:
    """Runs the command as a process's last work; see ``main``."""
    status = main()
    gc.freeze()  # else the interpreter collects garbage among all that was imported before it ends: .3 s
    return status


def _planned(parsed: argparse.Namespace, rest: list[str]) -> tuple[Any, Any]:
    """Returns the plan and Beam's options."""
    from apache_beam.io.filesystems import FileSystems

    from pipeline.config import RunConfig
    from pipeline.options import RememberingOptions, unknown_flags
    from pipeline.planning import plan_replay, plan_run
    from pipeline.running import silence_libraries

    silence_libraries(parsed.verbose)
    if unknown := unknown_flags(rest):
        raise ValueError(f"unknown arguments {flag_names(unknown)}; see packshot {parsed.command} --help")
    for name in ("output",) if parsed.command == "replay" else ("input", "output"):
        if not getattr(parsed, name, None):
            raise ValueError(f"--{name} is missing; see packshot {parsed.command} --help")
    options = RememberingOptions(rest)
    FileSystems.set_options(options)  # planning reads cloud storage before any pipeline exists
    if parsed.command == "replay":
        reasons = [reason.strip() for reason in (parsed.reason or "").split(",") if reason.strip()]
        return plan_replay(parsed.output, reasons, given(parsed, RunConfig)), options
    return plan_run(RunConfig.from_mapping(vars(parsed))), options


def _run(parsed: argparse.Namespace, rest: list[str]) -> int:
    from pipeline.ledger import Ledger, exit_status
    from pipeline.planning import describe_plan
    from pipeline.prune_command import describe_prune
    from pipeline.pruning import prune_after_run
    from pipeline.running import EXPECTED_ERRORS, run_job
    from pipeline.sinks import storage

    if parsed.dry_run:
        return _plan(parsed, rest)
    try:
        plan, options = _planned(parsed, rest)
    except (ValueError, OSError) as error:
        return wrong_usage(error)
    except EXPECTED_ERRORS as error:
        return _failed(error)
    print(describe_plan(plan), flush=True)
    try:
        run = run_job(plan, options, all_cores=not any(flag.startswith("--direct_") for flag in rest))
    except EXPECTED_ERRORS as error:
        return _failed(error)
    except Exception as error:
        if parsed.verbose:
            sys.stderr.write(without_secrets(traceback.format_exc()))
        return _failed(f"the job failed: {_last_line(error)} (--verbose shows all)")
    if run is None:
        print(f"launched  run {plan.run}; {storage.join(plan.config.output, 'runs', plan.run, 'run.json')} will tell")
        return OK
    print(_ledger_lines(run))
    if pruned := prune_after_run(plan.config.output, plan.config.keep_runs):
        print(describe_prune(*pruned, deleted=True))
    print(f"report    {storage.join(plan.config.output, 'runs', plan.run, 'report.html')}")
    counts = {field: run[field] for field in ("read", "ready", "review", "rejected")}
    status = exit_status(Ledger(**counts), plan.config.max_rejected_fraction)
    if status == TOO_MANY_REJECTED:
        allowed = f"{plan.config.max_rejected_fraction:.1%}"
        sys.stderr.write(
            f"packshot: {run['rejected']:,} of {run['read']:,} photos were rejected, more than {allowed}\n"
        )
    return status


def _failed(error: Exception | str) -> int:
    sys.stderr.write(f"packshot: {' '.join(without_secrets(str(error)).split())}\n")
    return FAILED


def _plan(parsed: argparse.Namespace, rest: list[str]) -> int:
    from pipeline.planning import describe_plan
    from pipeline.running import EXPECTED_ERRORS
    from pipeline.survey import describe_survey, survey

    try:
        plan, _ = _planned(parsed, rest)
        print(describe_plan(plan), flush=True)
        print(describe_survey(survey(plan)))
    except (ValueError, OSError) as error:
        return wrong_usage(error)
    except EXPECTED_ERRORS as error:
        return _failed(error)
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
        write_report(parsed.output, run, run_json, read_sources=reader, previous_run=run_json["previous_run"])
    except (ValueError, OSError) as error:
        return wrong_usage(error)
    print(storage.join(parsed.output, "runs", run, "report.html"))
    return OK


def _samples(parsed: argparse.Namespace, _: list[str]) -> int:
    from pipeline.samples import render_samples

    try:
        render_samples(
            parsed.directory, count=parsed.count, seed=parsed.seed, broken=parsed.broken, container=parsed.container
        )
    except ValueError as error:
        return wrong_usage(error)
    print(f"{parsed.count:,} photos in {parsed.directory}, {parsed.broken:,} of them broken")
    return OK


def _evaluate_enhancement(parsed: argparse.Namespace, _: list[str]) -> int:
    from pipeline.evaluation.enhancement import EnhancementConfig, evaluate_enhancement

    try:
        print(evaluate_enhancement(EnhancementConfig(**given(parsed, EnhancementConfig))))
    except (ValueError, OSError) as error:
        return wrong_usage(error)
    return OK


def _ledger_lines(run: dict[str, Any]) -> str:
    accounted = f"{run['ready']:,} ready + {run['review']:,} review + {run['rejected']:,} rejected"
    lines = [
        f"ledger    {run['read']:,} read = {accounted}",
        f"          {run['unchanged']:,} unchanged, {run['duplicate']:,} duplicate, {run['removed']:,} removed, "
        f"{run['assets_written']:,} assets written",
    ]
    if resumed := run.get("resumed"):
        lines.append(f"          {resumed:,} of them finished before by a run that did not end")
    if made := run.get("augmented"):
        lines.append(
            f"samples   {made['asked']:,} asked = {made['accepted']:,} accepted + {made['missing']:,} missing; "
            f"{made['carried']:,} of them carried over, {sum(made['refused'].values()):,} pictures refused"
        )
    if reasons := run.get("rejections"):
        lines.append("rejected  " + ", ".join(f"{count:,} {reason}" for reason, count in reasons.items()))
    rate = run["images_per_second"]
    lines.append(f"speed     {run['seconds']:.1f} s, {f'{rate:.1f} images/s' if rate else 'no photo worked on'}")
    return "\n".join(lines)


def _last_line(error: Exception) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[-1].strip() if lines else type(error).__name__
