"""Writes the Flex Template's ``metadata.json`` out of the settings of ``packshot run``.

``python -m deploy.dataflow.metadata`` does it; ``tests/deploy/test_dataflow_template.py`` fails while the file says
something else.
"""

from __future__ import annotations

import argparse
import json
import pathlib
from typing import Any

from apache_beam.options.pipeline_options import DebugOptions, GoogleCloudOptions, PipelineOptions

from pipeline.options import add_run_arguments
from pipeline.version import __version__

METADATA = pathlib.Path(__file__).with_name("metadata.json")

_STORED = r"^(gs|s3)://[^\n\r]+$"  # workers share no other storage
_PATTERNS = {"input": _STORED, "output": _STORED}
_NUMBER = r"^-?\d+(\.\d+)?$"
# the runner's own for which the template's launch has no field
_RUNNER_FLAGS: dict[str, type[PipelineOptions]] = {
    "dataflow_service_options": GoogleCloudOptions,
    "number_of_worker_harness_threads": DebugOptions,
}


def template_metadata() -> dict[str, Any]:
    """Returns what the template's console page shows and by what its parameters are checked."""
    run = argparse.ArgumentParser(add_help=False)
    add_run_arguments(run)
    parameters = [_parameter(action) for action in run._actions]
    for name, options in _RUNNER_FLAGS.items():
        parser = argparse.ArgumentParser(add_help=False)
        options._add_argparse_args(parser)  # type: ignore[arg-type]
        parameters.append(_parameter(next(action for action in parser._actions if action.dest == name)))
    return {
        "name": f"Packshot {__version__}",
        "description": "Batch pipeline from messy catalogue photos to marketplace-ready packshots",
        "parameters": parameters,
    }


def _parameter(action: argparse.Action) -> dict[str, Any]:
    name = action.dest
    parameter: dict[str, Any] = {
        "name": name,
        "label": name.replace("_", " ").capitalize(),
        "helpText": (action.help or "").replace("%%", "%"),
        "isOptional": name not in ("input", "output"),
        "paramType": "TEXT",
    }
    if isinstance(action.default, bool):
        return {**parameter, "paramType": "BOOLEAN", "defaultValue": "false"}
    if action.default not in (None, ""):
        parameter["defaultValue"] = str(action.default)
    if action.choices:
        choices = [{"value": choice, "label": choice} for choice in action.choices]
        return {**parameter, "paramType": "ENUM", "enumOptions": choices}
    pattern = _NUMBER if action.type in (int, float) else _PATTERNS.get(name)
    return {**parameter, "regexes": [pattern]} if pattern else parameter


def metadata_text() -> str:
    """Returns the file's content."""
    return json.dumps(template_metadata(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    METADATA.write_text(metadata_text(), encoding="utf-8")
