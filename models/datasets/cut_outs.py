"""The dataset of labelled cut-outs: a TensorFlow Datasets builder whose examples Beam makes.

catalogue.parquet ─ row groups ─ reshuffle ─ read, label ─┬─ train ──────── tfds writer
                                                          ├─ development ── tfds writer
                                                          └─ left out ───── left_out.json
"""

from __future__ import annotations

import json
import posixpath
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apache_beam as beam
import cv2
import numpy as np
import tensorflow_datasets as tfds
from apache_beam.options.pipeline_options import PipelineOptions

from models.datasets import labelling, parquet
from models.datasets.building import LEFT_OUT, records, text, write_dataset, write_left_out
from models.datasets.labelling import Labelled, NoPlainGround, Unusable
from models.datasets.parquet import RowGroup
from models.datasets.plan import DEVELOPMENT, TRAIN, Photo, Plan
from models.segmentation.examples import WORKING_SIZE, Examples

_PICTURES = ("image", "label", "weight")


class LabelPhotos(beam.DoFn):
    """Reads a row group and labels its photos.

    Yields ``(key, example)`` to the output of the photo's split, and ``{"id", "reason"}`` to the output ``left_out``
    for what cannot be used. A product shot that no rule can cut out goes to both: its example has no label that
    counts, until somebody gives it one (``models.datasets.reviewed``).

    Args:
      plan: what to read and how to label it.
    """

    def __init__(self, plan: Plan):
        self._plan = plan
        self._read = beam.metrics.Metrics.counter("cut_outs", f"{plan.kind}_photos")
        self._unusable = beam.metrics.Metrics.counter("cut_outs", f"{plan.kind}_left_out")

    def process(self, element: RowGroup, masks: dict[str, dict[str, Any]] | None = None):
        plan = self._plan
        for photo in plan.photos(parquet.read_rows(element, list(plan.columns.values()))):
            if masks is not None and photo.id not in masks:
                continue
            self._read.inc()
            try:
                labelled = self._label(photo, element.uri, masks)
            except (Unusable, OSError, cv2.error) as error:
                self._unusable.inc()
                yield beam.pvalue.TaggedOutput(LEFT_OUT, {"id": photo.id, "reason": " ".join(str(error).split())})
                if not isinstance(error, NoPlainGround):
                    continue
                labelled = error.unlabelled
            example = {"id": photo.id, "group": photo.group, "kind": plan.kind, **_encoded(labelled)}
            yield beam.pvalue.TaggedOutput(plan.split_of(photo.group), (f"{plan.kind}/{photo.id}", example))

    def _label(self, photo: Photo, uri: str, masks: dict[str, dict[str, Any]] | None) -> Labelled:
        content = parquet.picture_bytes(photo.row[self._plan.columns["image"]], uri)
        match self._plan.kind:
            case "seller":
                return labelling.label_by_agreement(content)
            case "hand":
                assert masks is not None
                mask = masks[photo.id]
                return labelling.label_by_hand(content, mask["mask"] or b"", doubtful=bool(mask.get("doubtful")))
            case "product":
                return labelling.cut_out(content, white_ground=self._plan.is_white_ground(photo))
            case "rendered":
                alpha = posixpath.join(self._plan.beside, "truth", "alpha", f"{photo.id}.png")
                return labelling.label_by_alpha(content, parquet.read_file(alpha))


def _encoded(labelled: Labelled) -> dict[str, bytes]:
    # full chroma: the edges of coloured products are what is to be learnt
    quality = [
        *(cv2.IMWRITE_JPEG_QUALITY, 95),
        *(cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444),
    ]
    bgr = np.ascontiguousarray(labelled.image[..., ::-1])
    return {
        "image": cv2.imencode(".jpg", bgr, quality)[1].tobytes(),
        "label": cv2.imencode(".png", labelled.label)[1].tobytes(),
        "weight": cv2.imencode(".png", labelled.weight)[1].tobytes(),
    }


class PackshotCutOuts(tfds.core.GeneratorBasedBuilder):
    """Photos with the label of every pixel, product or ground, and how far the label is to be trusted.

    Args:
      plan: what to build from; its kind and fingerprint name the dataset's configuration.
      data_dir: folder of datasets.
      file_format: ``tfrecord``, or ``array_record``, which can be read without TensorFlow.
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First version."}

    def __init__(self, *, plan: Plan, data_dir: str, file_format: str = "tfrecord"):
        self._plan = plan
        config = tfds.core.BuilderConfig(name=f"{plan.kind}-{plan.fingerprint}", description=f"kind {plan.kind}")
        super().__init__(data_dir=data_dir, config=config, file_format=file_format)

    def _info(self) -> tfds.core.DatasetInfo:
        plane = (WORKING_SIZE, WORKING_SIZE, 1)
        return self.dataset_info_from_configs(
            description="Catalogue photos with masks of the product, squashed to a square.",
            features=tfds.features.FeaturesDict({
                "id": tfds.features.Text(),
                "group": tfds.features.Text(),
                "kind": tfds.features.Text(),
                "image": tfds.features.Image(shape=(WORKING_SIZE, WORKING_SIZE, 3), encoding_format="jpeg"),
                "label": tfds.features.Image(shape=plane, encoding_format="png"),
                "weight": tfds.features.Image(shape=plane, encoding_format="png"),
            }),
        )  # fmt: skip

    def _split_generators(self, dl_manager, pipeline: beam.Pipeline) -> dict[str, beam.PCollection]:
        plan = self._plan
        masks = {}
        if plan.kind == "hand":
            drawn = (
                pipeline
                | "ListMasks" >> beam.Create(parquet.row_groups(parquet.find_parquet(plan.beside)))  # RowGroup
                | "ReadMasks" >> beam.FlatMap(_masks_by_id)  # (id, {"mask", "doubtful"})
            )
            masks["masks"] = beam.pvalue.AsDict(drawn)
        labelled = (
            pipeline
            | "ListRowGroups" >> beam.Create(plan.groups_of_rows)  # RowGroup
            | "SpreadRowGroups" >> beam.Reshuffle()
            | "LabelPhotos" >> beam.ParDo(LabelPhotos(plan), **masks).with_outputs(TRAIN, DEVELOPMENT, LEFT_OUT)
        )
        write_left_out(labelled[LEFT_OUT], self.data_dir)
        return {split: labelled[split] for split in (TRAIN, DEVELOPMENT) if plan.counts.get(split)}

    def _generate_examples(self):
        raise NotImplementedError("the examples of all splits are made together, in _split_generators")

    def left_out(self) -> list[dict[str, str]]:
        """Returns ``{"id", "reason"}`` of each photo of a built dataset that gave no example, by id."""
        return json.loads(parquet.read_file(f"{self.data_dir}/{LEFT_OUT}.json"))


def _masks_by_id(group: RowGroup) -> Iterator[tuple[str, dict[str, Any]]]:
    names = parquet.column_names([group.uri], needed={})
    for row in parquet.read_rows(group, [name for name in ("id", "mask", "doubtful") if name in names]):
        yield str(row["id"]), {"mask": row["mask"], "doubtful": row.get("doubtful")}


def build_dataset(
    plan: Plan,
    data_dir: str,
    *,
    workers: int = 2,
    file_format: str | None = None,
    options: PipelineOptions | None = None,
) -> PackshotCutOuts:
    """Builds a dataset, or finds it built: the same photos and settings give the same examples in the same order.

    Args:
      plan: what to build from.
      data_dir: folder of datasets; the dataset lies below it as ``packshot_cut_outs/<kind>-<fingerprint>/1.0.0``.
      workers: threads of a local build.
      file_format: ``tfrecord`` or ``array_record``; None for the first where TensorFlow is installed.
      options: Beam's options for a build elsewhere, such as on Dataflow; ``data_dir`` is then in cloud storage.

    Returns:
      The builder, with ``as_dataset`` and ``left_out``.

    Raises:
      ValueError: not one photo of a split could be used.
    """
    return write_dataset(
        lambda form: PackshotCutOuts(plan=plan, data_dir=data_dir, file_format=form),
        f"the {plan.kind} photos of a split of {dict(plan.counts)}",
        workers=workers,
        file_format=file_format,
        options=options,
    )


def read_examples(builder: PackshotCutOuts, split: str) -> Examples:
    """Reads a split into memory, in the dataset's order.

    Args:
      builder: of a built dataset.
      split: ``train`` or ``development``; a split that the dataset lacks is empty.
    """
    if split not in builder.info.splits:
        return Examples.empty()
    count = builder.info.splits[split].num_examples
    found = Examples.empty()
    found.images = np.empty((count, *found.images.shape[1:]), np.uint8)
    found.labels, found.weights = (np.empty((count, *found.labels.shape[1:]), np.uint8) for _ in range(2))
    ids, groups = [], []
    for i, record in enumerate(records(builder, split, pictures=_PICTURES)):
        ids.append(text(record["id"]))
        groups.append(text(record["group"]))
        found.images[i] = _decoded(record["image"], cv2.IMREAD_COLOR_RGB)
        found.labels[i] = _decoded(record["label"], cv2.IMREAD_GRAYSCALE)
        found.weights[i] = _decoded(record["weight"], cv2.IMREAD_GRAYSCALE)
    return Examples(np.array(ids), np.array(groups), found.images, found.labels, found.weights)


def _decoded(content: bytes, flags: int) -> np.ndarray:
    return np.asarray(cv2.imdecode(np.frombuffer(content, np.uint8), flags))


def default_data_dir(output: str) -> str:
    """Returns the folder of datasets of a training's output folder."""
    return str(Path(output) / "datasets")
