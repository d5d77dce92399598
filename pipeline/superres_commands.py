"""The commands ``packshot train superres`` and ``packshot evaluate superres``: their flags, and what they start."""

from __future__ import annotations

import argparse

from pipeline.usage import OK, given, wrong_usage


def add_superres_training_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of ``packshot train superres``; they take the place of settings in the file."""
    parser.add_argument(
        "--config", default="packshot-superres", help="YAML file of settings, or a recipe's name (default: %(default)s)"
    )
    parser.add_argument("--catalogue", help="photos to learn from: Parquet file, folder or glob")
    parser.add_argument("--output", help="folder for weights, checkpoints and curves")
    parser.add_argument("--steps", type=int, help="optimiser steps")
    parser.add_argument("--stop_after", type=int, help="epochs after which to end, whatever the steps; may be raised")
    parser.add_argument("--seed", type=int, help="of initial weights and all samples")
    parser.set_defaults(handle=_train_superres)


def _train_superres(parsed: argparse.Namespace, _: list[str]) -> int:
    from models.superres.settings import read_config
    from models.superres.train import train

    try:
        flags = {name: getattr(parsed, name) for name in ("output", "steps", "stop_after", "seed")}
        config = read_config(parsed.config, parsed.catalogue, **flags)
        path = train(config)
    except (ValueError, OSError) as error:
        return wrong_usage(error)
    print(path)
    return OK


def add_superres_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of ``packshot evaluate superres``; each is a field of ``SuperresConfig``."""
    parser.description = "Halves photos of sellers that no training has seen, and enlarges them again."
    parser.add_argument("--catalogue", required=True, help="photos: Parquet file, folder or glob, as for training")
    parser.add_argument("--model", help="a .tflite file (default: the one that comes with Packshot)")
    parser.add_argument("--split", choices=("development", "test"), help="whose photos (default: test)")
    parser.add_argument("--limit", type=int, help="measure at most so many photos")
    parser.add_argument("--sheet", help="write a contact sheet of crops here")
    parser.add_argument("--json", help="write all figures here")
    parser.set_defaults(handle=_evaluate_superres)


def _evaluate_superres(parsed: argparse.Namespace, _: list[str]) -> int:
    from pipeline.evaluation.superres import SuperresConfig, evaluate_superres

    try:
        print(evaluate_superres(SuperresConfig(**given(parsed, SuperresConfig))))
    except (ValueError, OSError) as error:
        return wrong_usage(error)
    return OK
