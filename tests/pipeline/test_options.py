import argparse
import dataclasses

import pytest
from apache_beam.options.pipeline_options import PipelineOptions

from pipeline.config import RunConfig
from pipeline.options import PackshotOptions, add_run_arguments, only_written_down, unknown_flags


def test_every_setting_is_a_flag_and_every_flag_a_setting():
    parser = argparse.ArgumentParser(add_help=False)
    add_run_arguments(parser)
    flags = {action.dest for action in parser._actions}
    assert flags == {field.name for field in dataclasses.fields(RunConfig)}
    assert all(action.help for action in parser._actions)


def test_flags_round_trip_through_beam_options():
    options = PackshotOptions(
        ["--input=a", "--output=b", "--outputs=mask,cutout", "--full_refresh", "--max_rejected_fraction=0.2",
         "--attribute_columns=category", "--runner=FnApiRunner"]
    )  # fmt: skip
    assert options.run_config() == RunConfig(
        input="a", output="b", outputs=("mask", "cutout"), full_refresh=True, max_rejected_fraction=0.2,
        attribute_columns=("category",),
    )  # fmt: skip


def test_defaults_are_those_of_the_configuration():
    assert PackshotOptions(["--input=a", "--output=b"]).run_config() == RunConfig(input="a", output="b")


def test_a_missing_input_is_named():
    with pytest.raises(ValueError, match="--input is missing"):
        PackshotOptions(["--output=b"]).run_config()


def test_only_dataflow_writes_a_job_down_for_later():
    place = "--template_location=gs://b/job"
    assert only_written_down(PipelineOptions(["--runner=DataflowRunner", place]))
    assert not only_written_down(PipelineOptions(["--runner=DataflowRunner"]))
    assert not only_written_down(PipelineOptions([place]))


def test_beams_flags_are_known_and_slips_are_not():
    known = ["--runner=FlinkRunner", "--direct_num_workers=2", "--direct_running_mode=multi_processing",
             "--project=p", "--region", "r", "--temp_location=gs://b/t", "--save_main_session"]  # fmt: skip
    assert unknown_flags(known) == []
    assert unknown_flags([*known, "--proflie=amazon"]) == ["--proflie=amazon"]
