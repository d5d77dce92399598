"""The accepted samples of a run as a TensorFlow dataset, written before the run is committed.

    tfds.builder_from_directory("OUT/runs/<run>/tfds/packshot_augmented/1.0.0").as_dataset("train")

It lies among the run's own files, so it is pruned with the run. What TensorFlow Datasets must know of it beforehand is
how many files there are: so it is written when the table is, in files of some hundred samples each.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from typing import Any

import apache_beam as beam

from pipeline.augmentation.counts import ACCEPTED, SampleCount
from pipeline.sinks import storage
from pipeline.sinks.tables import part_name, read_part
from pipeline.sinks.write_table import ShardSummary

SAMPLES_A_FILE = 256  # of up to a megapixel: their bytes are held together


@dataclasses.dataclass(frozen=True)
class ExampleFile:
    """One file of the dataset.

    Attributes:
      number, files: which one of how many.
      part: file of the table, below the output folder.
      first, end: which of its accepted samples.
    """

    number: int
    files: int
    part: str
    first: int
    end: int


def plan_files(summaries: Iterable[ShardSummary], run: str) -> list[ExampleFile]:
    """Returns the files that the samples of a table are written in.

    Args:
      summaries: of all files of the table ``augmented``, in any order.
      run: the run's name.
    """
    found = []
    for summary in sorted(summaries, key=lambda summary: summary.shard):
        part = storage.join("augmented", run, part_name(summary.shard, summary.shards))
        accepted = sum(count for (*_, outcome), count in summary.samples.items() if outcome == ACCEPTED)
        for first in range(0, accepted, SAMPLES_A_FILE):
            found.append((part, first, min(first + SAMPLES_A_FILE, accepted)))
    return [ExampleFile(number, len(found), *place) for number, place in enumerate(found)]


def dataset_folder(output: str, run: str) -> str:
    """Returns the folder of a run's dataset."""
    from models.datasets import samples

    return storage.join(output, "runs", run, "tfds", samples.NAME, samples.VERSION)


def write_file(file: ExampleFile, output: str, run: str) -> tuple[int, int, int]:
    """Writes one file of the dataset.

    Returns:
      Its number, its examples and its bytes.
    """
    from models.datasets import samples

    table = read_part(output, file.part)
    accepted = [row for row in table.to_pylist() if row["status"] == ACCEPTED][file.first : file.end]

    def read(uri: str | None) -> bytes | None:
        return None if uri is None else storage.read_bytes(storage.join(output, uri))

    def with_files() -> Iterator[tuple[dict[str, Any], bytes, bytes | None]]:
        for row in accepted:
            yield row, storage.read_bytes(storage.join(output, row["uri"])), read(row["mask_uri"])

    content = samples.tfrecord(with_files())
    path = storage.join(dataset_folder(output, run), samples.shard_name(file.number, file.files))
    storage.write_bytes(path, content)
    return file.number, len(accepted), len(content)


def write_metadata(written: Iterable[tuple[int, int, int]], output: str, run: str) -> SampleCount:
    """Writes what tells TensorFlow Datasets what the files hold; nothing where there is none."""
    from models.datasets import samples

    files = sorted(written)
    lengths, sizes = [length for _, length, _ in files], [size for *_, size in files]
    if files:
        for name, content in samples.metadata(lengths, sizes).items():
            path = storage.join(dataset_folder(output, run), name)
            storage.write_bytes(path, content, media_type="application/json")
    return SampleCount("", "", "examples", sum(lengths))


class WriteExamples(beam.PTransform):
    """Writes the accepted samples as a TensorFlow dataset.

    Applied to the ``ShardSummary`` of each file of the table.

    Args:
      output: the output folder.
      run: the run's name.

    Returns (of ``expand``):
      One ``SampleCount`` of the examples written.
    """

    def __init__(self, output: str, run: str):
        super().__init__()
        self._output, self._run = output, run

    def expand(self, summaries):
        return (
            summaries
            | "GatherParts" >> beam.combiners.ToList()  # [ShardSummary]
            | "PlanFiles" >> beam.FlatMap(plan_files, self._run)  # ExampleFile
            | "SpreadFiles" >> beam.Reshuffle()
            | "WriteFiles" >> beam.Map(write_file, self._output, self._run)  # (number, examples, bytes)
            | "GatherFiles" >> beam.combiners.ToList()
            | "WriteMetadata" >> beam.Map(write_metadata, self._output, self._run)  # SampleCount
        )
