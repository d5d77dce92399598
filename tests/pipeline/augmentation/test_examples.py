import apache_beam as beam
import numpy as np
import pytest
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

tfds = pytest.importorskip("tensorflow_datasets")

from pipeline.augmentation import examples  # noqa: E402
from pipeline.augmentation.asking import Sample  # noqa: E402
from pipeline.augmentation.examples import WriteExamples, dataset_folder, plan_files  # noqa: E402
from pipeline.augmentation.rows import refused_row, sample_row, store  # noqa: E402
from pipeline.records import AUGMENTED_SCHEMA  # noqa: E402
from pipeline.sinks.write_table import ShardSummary, WriteTable  # noqa: E402
from tests.pipeline.augmentation.catalogue import FIRST, photo_of  # noqa: E402
from transforms.source_type import SourceType  # noqa: E402


def row_of(output, number):
    image, alpha = photo_of(number)
    kind = "product" if number == 3 else "variant"
    sample = Sample(kind, number, f"{number:020x}", number)
    told = {"generator": "classical", "category": "hat", "fingerprint": "f"}
    if number == 4:
        return refused_row(sample, "not_found", parents=["p"], **told)
    stored = store(
        sample, image, None if kind == "product" else alpha, SourceType.COMPOSITE, output=output, picture_format="png",
        origin="0" * 64,
    )  # fmt: skip
    return sample_row(sample, stored, purpose="training", source_type=SourceType.COMPOSITE, parents=["p"], **told)


def test_a_training_job_reads_the_samples_by_tensorflow_datasets_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(examples, "SAMPLES_A_FILE", 2)
    output = str(tmp_path)
    rows = [row_of(output, number) for number in range(5)]
    with beam.Pipeline(runner=FnApiRunner()) as pipeline:
        summaries = pipeline | beam.Create(rows) | WriteTable(output, "augmented", FIRST, AUGMENTED_SCHEMA, 1)
        _ = summaries | WriteExamples(output, FIRST)
    builder = tfds.builder_from_directory(dataset_folder(output, FIRST))
    assert builder.info.splits["train"].num_examples == 4 and builder.info.splits["train"].num_shards == 2
    found = {example["id"].decode(): example for example in tfds.as_numpy(builder.as_dataset("train"))}
    assert found.keys() == {row["id"] for row in rows if row["status"] == "accepted"}
    for number, row in enumerate(rows[:4]):
        example = found[row["id"]]
        image, alpha = photo_of(number)
        assert np.array_equal(example["image"], image)
        assert bool(example["has_mask"]) is (number != 3)
        if number != 3:
            assert np.array_equal(example["mask"][..., 0], alpha)
        assert example["category"] == b"hat" and example["colour"] == b"" and example["parents"].tolist() == [b"p"]


def test_files_are_counted_over_all_shards(monkeypatch):
    monkeypatch.setattr(examples, "SAMPLES_A_FILE", 2)
    told = [{("variant", "", "accepted"): 3, ("product", "", "replaced:memorised"): 9}, {}, {("x", "", "accepted"): 1}]
    summaries = [ShardSummary("augmented", n, 3, 0, {}, {}, {}, 0, "", samples) for n, samples in enumerate(told)]
    found = plan_files(summaries[::-1], "r")
    assert [(file.number, file.files, file.first, file.end) for file in found] == [
        (0, 3, 0, 2),
        (1, 3, 2, 3),
        (2, 3, 0, 1),
    ]
    assert [file.part[-23:] for file in found] == ["part-00000-of-00003.parquet"[-23:]] * 2 + [
        "part-00002-of-00003.parquet"[-23:]
    ]
