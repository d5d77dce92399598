"""The commands ``packshot train vae`` and ``packshot evaluate vae``: their flags, and what they start."""

from __future__ import annotations

import argparse

from pipeline.usage import OK, given, wrong_usage


def add_vae_training_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of ``packshot train vae``; they override the configuration file."""
    parser.description = "Trains a variational autoencoder on articles: features, samples, and the anomaly score."
    parser.add_argument(
        "--config", default="product-64",
        help="YAML file of settings, or the name of a recipe: product-64 (default), product-128 or frame-64",
    )  # fmt: skip
    parser.add_argument("--output", help="folder for datasets, weights, checkpoints, curves and sheets")
    parser.add_argument("--catalogue", help="photos to learn from: Parquet file, folder or glob")
    parser.add_argument("--cutouts", help="output folder of packshot run --outputs cutout over the same catalogue")
    for name, noun in (("id", "ids"), ("image", "images"), ("group", "sellers or shoots"), ("category", "categories")):
        parser.add_argument(f"--{name}_column", help=f"the catalogue's column of {noun}")
    parser.add_argument("--steps", type=int, help="optimiser steps")
    parser.add_argument("--precision", help="float32, mixed_bfloat16 or mixed_float16")
    parser.add_argument("--seed", type=int, help="of initial weights, samples and draws")
    parser.set_defaults(handle=_train_vae)


def add_vae_evaluation_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of ``packshot evaluate vae``; each is a field of ``VaeEvaluation``."""
    parser.description = "Measures an autoencoder: reconstruction, linear probe, anomaly score on spoilt photos."
    parser.add_argument("--catalogue", required=True, help="the photos it was trained on: Parquet file, folder or glob")
    parser.add_argument("--cutouts", help="output folder of packshot run --outputs cutout over the same catalogue")
    parser.add_argument("--fit", help="product or frame, as in its training (default: product)")
    parser.add_argument("--output", required=True, help="folder for datasets, the reference network and sheets")
    parser.add_argument("--model", help="packshot-vae (default), or a .tflite file of packshot train vae")
    parser.add_argument(
        "--reference_steps", type=int, help="of the supervised network; 0 leaves it out (default: 1000)"
    )
    parser.add_argument("--seed", type=int, help="of faults and of the reference network (default: 0)")
    parser.add_argument("--json", help="write all figures here")
    parser.set_defaults(handle=_evaluate_vae)


def _train_vae(parsed: argparse.Namespace, _: list[str]) -> int:
    from models.vae.settings import TrainingConfig, override, read_recipe
    from models.vae.train import train

    try:
        path = train(TrainingConfig.from_mapping(override(read_recipe(parsed.config), vars(parsed))))
    except (ValueError, OSError) as error:
        return wrong_usage(error)
    print(path)
    return OK


def _evaluate_vae(parsed: argparse.Namespace, _: list[str]) -> int:
    from pipeline.evaluation.vae import VaeEvaluation, evaluate_vae

    try:
        print(evaluate_vae(VaeEvaluation(**given(parsed, VaeEvaluation))))
    except (ValueError, OSError) as error:
        return wrong_usage(error)
    return OK
