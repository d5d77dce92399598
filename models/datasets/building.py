"""Writing datasets with Beam and reading them back: what all builders of this package share."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import json
import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import apache_beam as beam
import tensorflow_datasets as tfds
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions

from models.datasets.local_threads import threads_runner

LEFT_OUT = "left_out"

_Builder = TypeVar("_Builder", bound=tfds.core.DatasetBuilder)

logging.getLogger("absl").setLevel(logging.ERROR)  # it warns of every configuration that is not built in


def write_left_out(entries: beam.PCollection, data_dir: str) -> None:
    """Adds the steps that write ``{"id", "reason"}`` of what gave no example to ``left_out.json``."""
    _ = (
        entries
        | "CollectLeftOut" >> beam.combiners.ToList()
        | "WriteLeftOut" >> beam.Map(_write_json, f"{data_dir}/{LEFT_OUT}.json")
    )


def _write_json(entries: list[dict[str, str]], path: str) -> None:
    with FileSystems.create(path, mime_type="application/json") as file:
        file.write(json.dumps(sorted(entries, key=lambda entry: entry["id"]), indent=1).encode())


def write_dataset(
    make_builder: Callable[[str], _Builder],
    described: str,
    *,
    workers: int = 2,
    file_format: str | None = None,
    options: PipelineOptions | None = None,
) -> _Builder:
    """Builds a dataset, or finds it built.

    Args:
      make_builder: from a file format to the builder.
      described: what it is built from, for messages.
      workers: threads of a local build.
      file_format: ``tfrecord`` or ``array_record``; None for the first where TensorFlow is installed.
      options: Beam's options for a build elsewhere.

    Raises:
      ValueError: not one photo of a split could be used.
    """
    if file_format is None:
        file_format = "tfrecord" if importlib.util.find_spec("tensorflow") else "array_record"
    runner = None if options else threads_runner()
    options = options or PipelineOptions([f"--direct_num_workers={workers}"])
    builder = make_builder(file_format)
    tfds.disable_progress_bar()
    download = tfds.download.DownloadConfig(beam_options=options, beam_runner=runner, try_download_gcs=False)
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # it speaks of downloads, of which there are none
            builder.download_and_prepare(download_config=download)
    except Exception as error:
        if "number of generated examples is 0" in str(error):  # raised inside a worker, so its type is lost
            raise ValueError(
                f"none of {described} could be used; look at them, or leave them out of the configuration"
            ) from error
        raise
    return builder


def records(builder: tfds.core.DatasetBuilder, split: str, *, pictures: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Yields the examples of a split in the dataset's order, with pictures as the bytes that are stored."""
    decoders = {name: tfds.decode.SkipDecoding() for name in pictures}  # OpenCV is faster, and exact for JPEG
    if builder.info.file_format is tfds.core.FileFormat.ARRAY_RECORD:
        yield from builder.as_data_source(split, decoders=decoders)
    else:
        in_order = tfds.ReadConfig(interleave_cycle_length=1, try_autocache=False)
        yield from tfds.as_numpy(builder.as_dataset(split=split, decoders=decoders, read_config=in_order))


def text(value: bytes | str) -> str:
    """Returns a text feature's value, which is bytes in some formats."""
    return value.decode() if isinstance(value, bytes) else value
