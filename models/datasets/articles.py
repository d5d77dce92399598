"""The dataset of articles: a TensorFlow Datasets builder whose examples Beam makes.

catalogue.parquet ─ row groups ─ reshuffle ─ read, fit ─┬─ train, development, test ── tfds writer
                                 cut-outs ─┘            └─ left out ── left_out.json
"""

from __future__ import annotations

import posixpath
from typing import Any

import apache_beam as beam
import cv2
import numpy as np
import tensorflow_datasets as tfds

from models.articles import COLOUR_NAMES, SPLITS, Articles, ArticleSource
from models.datasets import fitting, parquet
from models.datasets.article_plan import ArticlePlan, describe, plan_articles, train_rows
from models.datasets.building import LEFT_OUT, records, text, write_dataset, write_left_out
from models.datasets.parquet import RowGroup
from models.main_colour import main_colour


class FitArticles(beam.DoFn):
    """Reads a row group and fits its photos, or their cut-outs, to a square.

    Yields ``(id, example)`` to the output of the photo's split, and ``{"id", "reason"}`` to the output ``left_out``
    for what cannot be used.

    Args:
      plan: what to read and how to fit it.
    """

    def __init__(self, plan: ArticlePlan):
        self._plan = plan

    def process(self, element: RowGroup):
        source = self._plan.source
        for split, row in train_rows(self._plan, parquet.read_rows(element, self._plan.columns)):
            id = str(row[source.id_column])
            try:
                image, colour = self._fitted(id, row, element.uri)
            except (ValueError, OSError, cv2.error) as error:
                yield beam.pvalue.TaggedOutput(LEFT_OUT, {"id": id, "reason": " ".join(str(error).split())})
                continue
            example = {
                "id": id,
                "group": str(row[source.group_column]),
                "category": str(row[source.category_column]),
                "colour": COLOUR_NAMES[colour],
                # encoded here: arrays of this size are heavy between steps
                "image": cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))[1].tobytes(),
            }
            yield beam.pvalue.TaggedOutput(split, (id, example))

    def _fitted(self, id: str, row: dict[str, Any], uri: str) -> tuple[np.ndarray, int]:
        source = self._plan.source
        if source.fit == "product":
            cutout = _decoded(parquet.read_file(self._plan.cutouts[id]), cv2.IMREAD_UNCHANGED)
            if cutout.ndim != 3 or cutout.shape[2] != 4:
                raise ValueError("its cut-out has no alpha")
            image, alpha = fitting.fit_product(cv2.cvtColor(cutout, cv2.COLOR_BGRA2RGBA), source.size)
            return image, main_colour(image, alpha)
        photo = _decoded(parquet.picture_bytes(row[source.image_column], uri), cv2.IMREAD_COLOR_RGB)
        fit = fitting.fit_frame if source.fit == "frame" else fitting.fit_crop
        return fit(photo, source.size), main_colour(photo)


def _decoded(content: bytes, flags: int) -> np.ndarray:
    picture = cv2.imdecode(np.frombuffer(content, np.uint8), flags) if content else None
    if picture is None:
        raise ValueError(f"its photo of {len(content)} bytes cannot be decoded")
    return np.asarray(picture)


class PackshotArticles(tfds.core.GeneratorBasedBuilder):
    """Articles fitted to a square, with category and main colour, in splits that share no seller.

    Args:
      plan: what to build from; its fingerprint names the dataset's configuration.
      data_dir: folder of datasets.
      file_format: ``tfrecord``, or ``array_record``, which can be read without TensorFlow.
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First version."}

    def __init__(self, *, plan: ArticlePlan, data_dir: str, file_format: str = "tfrecord"):
        self._plan = plan
        config = tfds.core.BuilderConfig(name=f"{plan.source.fit}-{plan.fingerprint}", description=describe(plan))
        super().__init__(data_dir=data_dir, config=config, file_format=file_format)

    def _info(self) -> tfds.core.DatasetInfo:
        size = self._plan.source.size
        return self.dataset_info_from_configs(
            description="Articles of a catalogue, each fitted to a square.",
            features=tfds.features.FeaturesDict({
                "id": tfds.features.Text(),
                "group": tfds.features.Text(),
                "category": tfds.features.ClassLabel(names=self._plan.category_names),
                "colour": tfds.features.ClassLabel(names=COLOUR_NAMES),
                "image": tfds.features.Image(shape=(size, size, 3), encoding_format="png"),
            }),
        )  # fmt: skip

    def _split_generators(self, dl_manager, pipeline: beam.Pipeline) -> dict[str, beam.PCollection]:
        fitted = (
            pipeline
            | "ListRowGroups" >> beam.Create(self._plan.groups_of_rows)  # RowGroup
            | "SpreadRowGroups" >> beam.Reshuffle()
            | "FitArticles" >> beam.ParDo(FitArticles(self._plan)).with_outputs(*SPLITS, LEFT_OUT)
        )
        write_left_out(fitted[LEFT_OUT], self.data_dir)
        return {split: fitted[split] for split in SPLITS if self._plan.counts.get(split)}

    def _generate_examples(self):
        raise NotImplementedError("the examples of all splits are made together, in _split_generators")


def load_articles(source: ArticleSource, output: str, *, workers: int = 2) -> dict[str, Articles]:
    """Builds the dataset of a source, or finds it built, and reads it.

    Args:
      source: where the articles come from.
      output: folder of a training or evaluation; the datasets lie in ``datasets`` below it.
      workers: threads of the build.

    Returns:
      The articles of each of ``SPLITS``, in the dataset's order. Development and test may be empty.

    Raises:
      FileNotFoundError, ValueError: the data are not as the source says.
    """
    plan = plan_articles(source)
    print(describe(plan), flush=True)
    data_dir = posixpath.join(output, "datasets")
    builder = write_dataset(
        lambda file_format: PackshotArticles(plan=plan, data_dir=data_dir, file_format=file_format),
        f"the photos of a split of {plan.counts}",
        workers=workers,
    )
    return {split: _articles(builder, split, plan) for split in SPLITS}


def _articles(builder: PackshotArticles, split: str, plan: ArticlePlan) -> Articles:
    rows = list(records(builder, split, pictures=("image",))) if split in builder.info.splits else []
    size = plan.source.size
    images = np.zeros((len(rows), size, size, 3), np.uint8)
    for i, row in enumerate(rows):
        images[i] = _decoded(row["image"], cv2.IMREAD_COLOR_RGB)
    return Articles(
        np.array([text(row["id"]) for row in rows], str),
        np.array([text(row["group"]) for row in rows], str),
        np.array([row["category"] for row in rows], np.int32),
        np.array([row["colour"] for row in rows], np.int32),
        images,
        plan.category_names,
    )
