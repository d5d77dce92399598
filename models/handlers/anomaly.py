"""The anomaly score inside Beam's RunInference: light results out, and no photo lost to another's fault."""

from __future__ import annotations

import dataclasses
import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from apache_beam.metrics import Metrics
from apache_beam.ml.inference.base import ModelHandler

from models.datasets.fitting import fit_product
from models.vae.anomaly import Judge, load_judge

__all__ = ["NAMESPACE", "Anomaly", "AnomalyHandler", "Example", "fit_product"]

NAMESPACE = "anomaly"

_LOGGER = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, eq=False)
class Example:
    """A product to judge.

    Attributes:
      picture: uint8 (size, size, 3), RGB, the product on the plain ground; None where there is none.
      category: what it is listed as, or None.
    """

    picture: np.ndarray | None
    category: str | None = None


@dataclasses.dataclass(frozen=True)
class Anomaly:
    """What the model says of one product.

    Attributes:
      score: how unlike what it has learnt, as ``models.vae.anomaly.Judge`` has it; None where it was not judged.
      category_doubt: how unlike its category; None where the model does not know that category.
      unusual, unlike_category: whether they are above the model's thresholds.
      milliseconds: this picture's share of the time its batch took.
    """

    score: float | None = None
    category_doubt: float | None = None
    unusual: bool = False
    unlike_category: bool = False
    milliseconds: float = 0.0


class AnomalyHandler(ModelHandler[Example, Anomaly, Judge]):
    """Judges products by an autoencoder and its memory.

    The model is loaded once a process and shared by its threads.

    Args:
      model: path or URI of the ``.tflite`` file, with the memory beside it; resolved again in the worker.
      batch_size: products at once.
      threads: CPU threads of one run.
      sha256: what the worker's model must hash to; by default it is not compared.

    Raises:
      ValueError: a batch size or number of threads below 1.
    """

    def __init__(self, model: str, *, batch_size: int = 8, threads: int = 1, sha256: str | None = None):
        for name, value in (("batch_size", batch_size), ("threads", threads)):
            if value < 1:
                raise ValueError(f"{name}={value!r} must be at least 1")
        super().__init__(min_batch_size=batch_size, max_batch_size=batch_size)
        self._model, self._threads, self._sha256 = model, threads, sha256

    def load_model(self) -> Judge:
        judge = load_judge(self._model, self._threads)
        if self._sha256 not in (None, judge.sha256):
            raise ValueError(
                f"anomaly model {self._model!r} has sha256 {judge.sha256} here and {self._sha256} where the job was "
                "started; the same model must be installed on every worker"
            )
        return judge

    def run_inference(
        self, batch: Sequence[Example], model: Judge, inference_args: Mapping[str, Any] | None = None
    ) -> Iterable[Anomaly]:
        started = time.perf_counter()
        try:
            answers = _answers(batch, model)
        except Exception:  # one picture must not cost the others their scores: each by itself
            answers = [self._alone(example, model) for example in batch]
        share = 1000 * (time.perf_counter() - started) / len(batch)
        return [dataclasses.replace(answer, milliseconds=share) for answer in answers]

    def _alone(self, example: Example, model: Judge) -> Anomaly:
        try:
            return _answers([example], model)[0]
        except Exception as error:  # a photo without a score is better than no photo
            Metrics.counter(NAMESPACE, "failed_images").inc()
            _LOGGER.warning("A product could not be judged: %s: %s", type(error).__name__, error)
            return Anomaly()

    def get_num_bytes(self, batch: Sequence[Example]) -> int:
        return sum(0 if example.picture is None else example.picture.nbytes for example in batch)

    def get_metrics_namespace(self) -> str:
        return NAMESPACE


def _answers(batch: Sequence[Example], model: Judge) -> list[Anomaly]:
    answers = [Anomaly()] * len(batch)
    there = [index for index, example in enumerate(batch) if example.picture is not None]
    if not there:
        return answers
    pictures = np.stack([batch[index].picture for index in there])  # type: ignore[misc]
    found = model.judge(pictures, [batch[index].category for index in there])
    general, full = model.memory.general, model.memory.full
    assert general is not None and full is not None  # or the judge would have said so
    for index, score, doubt in zip(there, found.score, found.category_doubt, strict=True):
        answers[index] = Anomaly(
            float(score),
            None if np.isnan(doubt) else float(doubt),
            bool(score > general.threshold),
            bool(doubt > full.threshold),
        )
    return answers
