"""The command ``packshot train gan``: its flags, and what it starts."""

from __future__ import annotations

import argparse

from pipeline.usage import OK, wrong_usage


def add_article_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the flags that say which articles a generative model learns from."""
    parser.add_argument("--catalogue", help="photos to learn from: Parquet file, folder or glob")
    parser.add_argument("--cutouts", help="output folder of packshot run --outputs cutout over the same catalogue")
    parser.add_argument("--id_column", help="the catalogue's column of ids (default: id)")
    parser.add_argument("--image_column", help="its column of images (default: image)")
    parser.add_argument("--group_column", help="its column of sellers, studios or shoots (default: seller)")
    parser.add_argument("--category_column", help="its column of categories (default: category)")


def add_gan_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of ``packshot train gan``; each takes the place of a setting in the file."""
    parser.description = (
        "Trains a generator of articles by category and main colour. A run that was stopped goes on where it was."
    )
    parser.add_argument(
        "--config", default="state-64",
        help="YAML file of settings, or the name of a recipe: state-64 (default), article-256 or dcgan-64",
    )  # fmt: skip
    add_article_arguments(parser)
    parser.add_argument("--output", help="folder for datasets, weights, checkpoints, curves and sheets")
    parser.add_argument("--steps", type=int, help="optimiser steps")
    parser.add_argument("--stop_after", type=int, help="epochs after which to end; the next command goes on from there")
    parser.add_argument("--batch_size", type=int, help="pictures a step")
    parser.add_argument("--limit", type=int, help="most articles to learn from")
    parser.add_argument("--precision", help="float32, mixed_bfloat16 or mixed_float16")
    parser.add_argument("--seed", type=int, help="of initial weights and all draws")
    parser.set_defaults(handle=_train_gan)


def _train_gan(parsed: argparse.Namespace, _: list[str]) -> int:
    from models.gan.settings import GanConfig, read_recipe
    from models.gan.train import train

    try:
        print(train(GanConfig.from_mapping(read_recipe(parsed.config, vars(parsed)))))
    except (ValueError, OSError) as error:
        return wrong_usage(error)
    return OK
