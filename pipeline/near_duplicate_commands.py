"""The command ``packshot evaluate near_duplicates``: its flags, and what it starts."""

from __future__ import annotations

import argparse

from pipeline.usage import OK, given, wrong_usage


def add_near_duplicate_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of ``packshot evaluate near_duplicates``; each is a field of ``NearDuplicatesConfig``."""
    parser.description = "Makes copies of photos in known ways and counts which are found, and which other pairs are."
    parser.add_argument("--photos", required=True, help="Parquet file or folder: id, image")
    parser.add_argument("--split", help="keep the photos of this value in the column split, such as validation")
    parser.add_argument("--copies", type=int, help="photos that copies are made of (default: 200)")
    parser.add_argument("--limit", type=int, help="read at most so many photos")
    parser.add_argument("--seed", type=int, help="of crops and texts (default: 0)")
    parser.add_argument("--sheet", help="write contact sheets of the pairs here; the distance is added to the name")
    parser.add_argument("--json", help="write all figures here")
    parser.set_defaults(handle=_evaluate_near_duplicates)


def _evaluate_near_duplicates(parsed: argparse.Namespace, _: list[str]) -> int:
    from pipeline.evaluation.near_duplicates import NearDuplicatesConfig, evaluate_near_duplicates

    try:
        print(evaluate_near_duplicates(NearDuplicatesConfig(**given(parsed, NearDuplicatesConfig))))
    except (ValueError, OSError) as error:
        return wrong_usage(error)
    return OK
