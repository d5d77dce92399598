"""The commands ``packshot train segmentation`` and ``evaluate segmentation``: their flags, and what they start."""

from __future__ import annotations

import argparse

from pipeline.usage import OK, given, wrong_usage


def add_segmentation_training_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of ``packshot train segmentation``; each takes the place of a setting in the file."""
    parser.add_argument(
        "--config", default="packshot-seg",
        help="YAML file of settings, or the name of a recipe: packshot-seg (default) or fine-tune",
    )  # fmt: skip
    parser.add_argument("--output", help="folder for datasets, weights, checkpoints and curves")
    parser.add_argument(
        "--catalogue", "--clothing", dest="catalogue", help="photos to learn from: Parquet file, folder or glob"
    )
    parser.add_argument("--id_column", help="the catalogue's column of ids (default: id)")
    parser.add_argument("--image_column", help="its column of images (default: image)")
    parser.add_argument("--group_column", help="its column of sellers, studios or shoots (default: seller)")
    parser.add_argument("--masks", help="Parquet file of masks drawn by hand: id, mask, doubtful")
    parser.add_argument("--products", help="clean product shots to cut out: Parquet with id, source, kind, image")
    parser.add_argument("--rendered", help="folder made by packshot samples --container parquet")
    parser.add_argument("--reviewed", help="Parquet file of reviewed labels: id, mask, weight, verdict")
    parser.add_argument("--init", help="weights to start from: packshot-seg, or a .keras or .weights.h5 file")
    parser.add_argument("--precision", help="float32, mixed_bfloat16 or mixed_float16")
    parser.add_argument("--seed", type=int, help="of initial weights and all samples")
    parser.add_argument("--workers", type=int, help="threads that label photos and make samples (default: 2)")
    parser.add_argument("--tensorboard", action="store_true", default=None, help="write curves for TensorBoard")
    parser.set_defaults(handle=_train_segmentation)


def add_segmentation_evaluation_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of ``packshot evaluate segmentation``."""
    parser.description = "Measures a segmentation model as the job runs it, on whatever of these is given."
    parser.add_argument("--photos", help="folder of Parquet files: id, image; seller, category and source make slices")
    parser.add_argument("--masks", help="Parquet file: id, mask; verdict, seller_seen and doubtful are heeded")
    parser.add_argument("--composites", help="folder of Parquet files of clean product shots: id, source, image")
    parser.add_argument("--composite_sources", help="sources no training has seen, parted by commas")
    parser.add_argument("--composite_without", help="ids of product shots to leave out, parted by commas")
    parser.add_argument("--composite_masks", help="hand-drawn masks of product shots: id, mask, verdict; no rule then")
    parser.add_argument("--composite_count", type=int, help="composites of each kind of cut-out (default: 160)")
    parser.add_argument("--grounds", help="photos with masks whose empty parts become grounds (default: --photos)")
    parser.add_argument("--rendered", help="folder made by packshot samples, of a seed that no training has seen")
    parser.add_argument("--sets", help="of hand,composites,hand_composites,rendered,empty (default: all there is for)")
    parser.add_argument("--model", default="packshot-seg", help="model by name or path (default: packshot-seg)")
    parser.add_argument("--compare", action="append", metavar="MODEL", help="measure this one too; may be repeated")
    parser.add_argument("--baselines", action="store_true", help="measure GrabCut and flood fill on the same pictures")
    parser.add_argument("--limit", type=int, help="measure at most so many pictures of each set")
    parser.add_argument("--seed", type=int, help="of the composites (default: 0)")
    parser.add_argument("--sheet", help="write contact sheets here; the set's name is added to the file's")
    parser.add_argument("--json", help="write all figures here")
    parser.set_defaults(handle=_evaluate_segmentation)


def _train_segmentation(parsed: argparse.Namespace, _: list[str]) -> int:
    from models.segmentation.settings import TrainingConfig, override, read_recipe
    from models.segmentation.train import train

    try:
        config = TrainingConfig.from_mapping(override(read_recipe(parsed.config), vars(parsed)))
        path = train(config)
    except (ValueError, OSError) as error:
        return wrong_usage(error)
    print(path)
    return OK


def _evaluate_segmentation(parsed: argparse.Namespace, _: list[str]) -> int:
    from pipeline.evaluation import EvaluationConfig, evaluate_segmentation

    values = given(parsed, EvaluationConfig)
    for name in ("composite_sources", "composite_without", "sets"):
        values[name] = tuple(part.strip() for part in values.get(name, "").split(",") if part.strip())
    values["compare"] = tuple(values.get("compare", ()))
    try:
        print(evaluate_segmentation(EvaluationConfig(**values)))
    except (ValueError, OSError) as error:
        return wrong_usage(error)
    return OK
