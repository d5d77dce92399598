"""The command ``packshot export segmentation``: its flags, and what it starts."""

from __future__ import annotations

import argparse

from pipeline.usage import OK, given, wrong_usage

FORMS = ("float16", "float32", "int8", "dynamic", "saved_model")


def add_export_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of ``packshot export segmentation``."""
    parser.add_argument("--model", required=True, help="trained network, a .keras file")
    parser.add_argument("--output", required=True, help="folder to write to")
    parser.add_argument(
        "--weights", dest="forms", default="float16,saved_model", help=f"of {','.join(FORMS)} (default: %(default)s)"
    )
    parser.add_argument("--size", type=int, help="side of the input in pixels (default: the network's own)")
    parser.add_argument("--calibration", help="photos for int8's ranges: a folder of them or of Parquet files")
    parser.add_argument("--calibration_count", type=int, default=128, help="how many of them (default: %(default)s)")
    parser.add_argument("--photos", help="measure: folder of Parquet files, id, image")
    parser.add_argument("--masks", help="measure: Parquet file, id, mask")
    parser.set_defaults(handle=_export_segmentation)


def _export_segmentation(parsed: argparse.Namespace, _: list[str]) -> int:
    from pipeline.exporting import ExportConfig, export_segmentation

    values = given(parsed, ExportConfig)
    values["forms"] = tuple(form.strip() for form in parsed.forms.split(",") if form.strip())
    try:
        print(export_segmentation(ExportConfig(**values)))
    except (ValueError, OSError) as error:
        return wrong_usage(error)
    return OK
