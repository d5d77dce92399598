"""``packshot train classifier``, ``packshot evaluate gan`` and ``augmentation``: their flags, and what they start."""

from __future__ import annotations

import argparse
import os

from pipeline.usage import OK, given, wrong_usage


def add_classifier_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of ``packshot train classifier``; each is a setting of ``ClassifierConfig``."""
    parser.description = "Trains the network whose features and probabilities judge generated pictures."
    parser.add_argument(
        "--config",
        default="article-classifier",
        help="YAML file of settings, or a recipe's name (default: %(default)s)",
    )
    parser.add_argument("--output", help="folder for datasets, weights, checkpoints and curves")
    parser.add_argument("--fits", help="of product, frame and crop, parted by commas (default: product,frame)")
    parser.add_argument("--seed", type=int, help="of initial weights, draws and variations")
    _add_catalogue(parser, required=False)
    parser.set_defaults(handle=_train_classifier)


def add_generation_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of ``packshot evaluate gan``; each is a field of ``GenerationConfig``."""
    parser.description = (
        "Measures generated pictures against real ones: Fréchet and kernel distance, Inception-type score, precision, "
        "recall, density, coverage, memorisation, agreement with the category asked for, classification accuracy score."
    )
    parser.add_argument("--generator", help="file of a generator that packshot train gan wrote")
    parser.add_argument("--samples", help="instead: .npz with images, or folder of pictures, subfolders by category")
    _add_catalogue(parser, required=True)
    parser.add_argument("--fit", help="product, frame or crop: what the pictures are to be like (default: product)")
    parser.add_argument("--output", help="folder for the dataset and classifiers (default: build/evaluation)")
    parser.add_argument("--classifier", help="whose features count: name or .keras file (default: article-classifier)")
    parser.add_argument("--inception_weights", help="Keras file or SavedModel of Inception-v3, for FID, KID and IS too")
    parser.add_argument("--count", type=int, help="real pictures to compare with, and generated ones (default: 2000)")
    parser.add_argument("--k", type=int, help="neighbour that gives a picture's reach (default: 5)")
    parser.add_argument(
        "--spoilt", action="store_true", default=None, help="measure spoilt real pictures too: do the figures notice?"
    )
    parser.add_argument(
        "--classification_steps",
        type=int,
        help="train classifiers of so many steps for the accuracy score (default: 0)",
    )
    parser.add_argument("--seed", type=int, help="of pictures and classifiers (default: 0)")
    parser.add_argument("--sheet", help="write contact sheets here; what they show is added to the name")
    parser.add_argument("--json", help="write all figures here")
    parser.set_defaults(handle=_evaluate_gan)


def add_gain_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of ``packshot evaluate augmentation``; each is a field of ``GainConfig``."""
    parser.description = (
        "Trains classifiers on few real pictures with and without generated ones, and writes which categories gain. "
        "Finished trainings are kept: the same command goes on where it was stopped."
    )
    parser.add_argument("--generator", required=True, help="file of a generator that packshot train gan wrote")
    _add_catalogue(parser, required=True)
    parser.add_argument("--fit", help="product, frame or crop: what the pictures are to be like (default: product)")
    parser.add_argument("--output", help="folder for trainings.jsonl and enabled.yaml (default: build/gain)")
    parser.add_argument("--sizes", help="real pictures a category, parted by commas (default: 10,25,50,100)")
    parser.add_argument("--seeds", type=int, help="trainings of each kind (default: 5)")
    parser.add_argument("--generated", type=int, help="pictures made for each category (default: 200)")
    parser.add_argument("--share", type=float, help="of drawn pictures that are generated (default: 0.5)")
    parser.add_argument("--steps", type=int, help="of each training (default: 400)")
    parser.add_argument("--recipe", help="how to train: YAML file or name (default: article-classifier)")
    parser.add_argument("--decide_at", type=int, help="size that decides about categories (default: 25)")
    parser.add_argument("--json", help="write all figures here")
    parser.set_defaults(handle=_evaluate_gain)


def _add_catalogue(parser: argparse.ArgumentParser, *, required: bool) -> None:
    parser.add_argument("--catalogue", required=required, help="photos: Parquet file, folder or glob")
    parser.add_argument("--cutouts", help="output of packshot run --outputs cutout over them, for fit product")
    parser.add_argument("--id_column", help="the catalogue's column of ids (default: id)")
    parser.add_argument("--image_column", help="its column of images (default: image)")
    parser.add_argument("--group_column", help="its column of sellers, studios or shoots (default: seller)")
    parser.add_argument("--category_column", help="its column of categories (default: category)")


def _train_classifier(parsed: argparse.Namespace, _: list[str]) -> int:
    from models.classifier.settings import read_config
    from models.classifier.training import train_classifier

    flags = {**vars(parsed), "fits": _parts(parsed.fits)}
    try:
        print(train_classifier(read_config(parsed.config, flags)))
    except (ValueError, OSError) as error:
        return wrong_usage(error)
    return OK


def _train_faster() -> None:
    """Turns oneDNN on, as ``packshot train`` does, for evaluations that train; before TensorFlow is imported."""
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")


def _evaluate_gan(parsed: argparse.Namespace, _: list[str]) -> int:
    _train_faster()
    from pipeline.evaluation.generation import GenerationConfig, evaluate_generation

    try:
        print(evaluate_generation(GenerationConfig(**given(parsed, GenerationConfig))))
    except (ValueError, OSError) as error:
        return wrong_usage(error)
    return OK


def _evaluate_gain(parsed: argparse.Namespace, _: list[str]) -> int:
    _train_faster()
    from pipeline.evaluation.augmentation_gain import GainConfig, evaluate_gain

    values = given(parsed, GainConfig)
    try:
        if "sizes" in values:
            values["sizes"] = tuple(int(part) for part in _parts(parsed.sizes) or ())
        print(evaluate_gain(GainConfig(**values)))
    except (ValueError, OSError) as error:
        return wrong_usage(error)
    return OK


def _parts(text: str | None) -> tuple[str, ...] | None:
    return tuple(part.strip() for part in text.split(",") if part.strip()) if text is not None else None
