"""The commands ``packshot evaluate colour`` and ``packshot reference``: their flags, and what they start."""

from __future__ import annotations

import argparse

from pipeline.usage import OK, given, wrong_usage


def add_colour_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of ``packshot evaluate colour``; each is a field of ``ColourConfig``."""
    parser.description = "Puts known lights on photos and measures how the job, and classical methods, undo them."
    parser.add_argument("--photos", help="Parquet file or folder: id, image; seller makes groups")
    parser.add_argument("--split", help="keep the photos of this value in the column split, such as validation")
    parser.add_argument("--masks", help="Parquet file of hand-drawn masks: id, mask; other photos take the model's")
    parser.add_argument("--rendered", help="folder made by packshot samples")
    parser.add_argument("--made_count", type=int, help="composites of hand-drawn cut-outs (default: 120)")
    parser.add_argument("--reduced", type=float, help="also measure shades of grey at this strength on abstentions")
    parser.add_argument("--icc_profiles", help="folder of ICC profiles to measure beside Display P3 and Adobe RGB")
    parser.add_argument("--model", default="packshot-seg", help="model by name or path (default: packshot-seg)")
    parser.add_argument("--fit", action="store_true", help="fit the belief in backdrops on these photos instead")
    parser.add_argument("--limit", type=int, help="measure at most so many photos of each set")
    parser.add_argument("--seed", type=int, help="of lights and composites (default: 0)")
    parser.add_argument("--sheet", help="write contact sheets here; the set's name is added to the file's")
    parser.add_argument("--json", help="write all figures here")
    parser.set_defaults(handle=_evaluate_colour)


def add_reference_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of ``packshot reference``; each is a field of ``ReferenceConfig``."""
    parser.description = "Measures the grounds of photos, by category, for --colour_reference of packshot run."
    parser.add_argument("--input", required=True, help="photos of the wanted look: Parquet or images, as for a run")
    parser.add_argument("--output", required=True, help="JSON file to write")
    parser.add_argument("--category_column", help="Parquet column of the category (default: one look of all photos)")
    parser.add_argument("--id_column", help="Parquet column of the id (default: id)")
    parser.add_argument("--image_column", help="Parquet column of the image (default: found by itself)")
    parser.add_argument("--segmentation_model", help="model by name or path (default: packshot-seg)")
    parser.add_argument("--most", type=int, help="photos a category that are measured (default: 200)")
    parser.set_defaults(handle=_reference)


def _evaluate_colour(parsed: argparse.Namespace, _: list[str]) -> int:
    from pipeline.evaluation.colour import ColourConfig, evaluate_colour

    try:
        print(evaluate_colour(ColourConfig(**given(parsed, ColourConfig))))
    except (ValueError, OSError) as error:
        return wrong_usage(error)
    return OK


def _reference(parsed: argparse.Namespace, _: list[str]) -> int:
    from pipeline.colour_reference import ReferenceConfig, write_reference

    try:
        print(write_reference(ReferenceConfig(**given(parsed, ReferenceConfig))))
    except (ValueError, OSError) as error:
        return wrong_usage(error)
    return OK
