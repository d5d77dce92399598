"""The Flex Template: its parameters are the settings, in Google's own message; the launcher takes what it is given."""

import dataclasses
import json
import re

import pytest

from deploy.dataflow.launch import as_flags
from deploy.dataflow.metadata import METADATA, metadata_text
from pipeline.config import RunConfig


@pytest.fixture(scope="module")
def parameters():
    return {parameter["name"]: parameter for parameter in json.loads(METADATA.read_text())["parameters"]}


def test_file_is_what_the_settings_say():
    assert METADATA.read_text(encoding="utf-8") == metadata_text(), "python -m deploy.dataflow.metadata writes it anew"


def test_every_setting_is_a_parameter(parameters):
    fields = {field.name: field for field in dataclasses.fields(RunConfig)}
    assert fields.keys() <= parameters.keys()
    required = {name for name, field in fields.items() if field.default is dataclasses.MISSING}
    assert {name for name, parameter in parameters.items() if not parameter["isOptional"]} == required
    assert all(parameter["helpText"] for parameter in parameters.values())


def test_google_understands_the_metadata():
    types = pytest.importorskip("google.cloud.dataflow_v1beta3.types")
    metadata = types.TemplateMetadata.from_json(METADATA.read_text())
    assert [parameter.name for parameter in metadata.parameters][:2] == ["input", "output"]
    kinds = {parameter.name: parameter.param_type.name for parameter in metadata.parameters}
    assert (kinds["full_refresh"], kinds["cutout_format"], kinds["input"]) == ("BOOLEAN", "ENUM", "TEXT")


def test_defaults_pass_their_own_patterns(parameters):
    for parameter in parameters.values():
        if "defaultValue" in parameter:
            assert all(re.match(pattern, parameter["defaultValue"]) for pattern in parameter.get("regexes", ()))
    (stored,) = parameters["input"]["regexes"]
    assert re.match(stored, "gs://bucket/feed/*.parquet") and not re.match(stored, "/mnt/photos")


@pytest.mark.parametrize(
    "given, expected",
    [
        (
            ["--full_refresh=true", "--blur_faces=false", "--verify_content=True"],
            ["--full_refresh", "--verify_content"],
        ),
        (["--profile=amazon", "--background="], ["--profile=amazon"]),
        (["--no_use_public_ips", "--accelerator=type:nvidia-l4;count:1"],) * 2,
        (["--full_refresh=yes"],) * 2,  # for the parser to refuse
    ],
)
def test_parameters_become_flags(given, expected):
    assert list(as_flags(given)) == expected
