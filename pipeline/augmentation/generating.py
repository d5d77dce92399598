"""Generated products: batched inference, the gate's verdicts, and files that say what they are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import apache_beam as beam
from apache_beam.ml.inference.base import KeyedModelHandler, RunInference

from models.gating import Draw, GatedGenerator
from models.handlers.generation import GenerationHandler, GenerationRequest
from pipeline.augmentation.asking import Sample, Slot
from pipeline.augmentation.prepared import Augmentation
from pipeline.augmentation.rows import TRAINING_ONLY, sample_row, store
from pipeline.credentials import Credentials
from transforms.reasons import PhotoError
from transforms.source_type import SourceType


class GenerateProducts(beam.PTransform):
    """Makes the generated products that are asked for; pictures stay in one fused stage with the network.

    Args:
      output: the output folder.
      augmentation: what is asked for.
      load: makes the generator with its gate.
      credentials: who signs, or None.

    Returns (of ``expand``):
      Rows of the table, from ``Slot``: one for every picture drawn.
    """

    def __init__(
        self,
        output: str,
        augmentation: Augmentation,
        load: Callable[[], GatedGenerator],
        credentials: Credentials | None = None,
    ):
        super().__init__()
        self._handler: KeyedModelHandler = KeyedModelHandler(GenerationHandler(load))
        self._writer = _WriteProducts(output, augmentation, credentials)

    def expand(self, slots):
        return (
            slots
            | "MakeRequests" >> beam.Map(_request)  # (Slot, GenerationRequest)
            | "RunInference" >> RunInference(self._handler)  # (Slot, (Draw, ...))
            | "WriteProducts" >> beam.ParDo(self._writer)  # augmented row
        )


def _request(slot: Slot) -> tuple[Slot, GenerationRequest]:
    return slot, GenerationRequest(slot.category, tuple(draw.seed for draw in slot.draws))


class _WriteProducts(beam.DoFn):
    def __init__(self, output: str, augmentation: Augmentation, credentials: Credentials | None):
        self._output, self._augmentation, self._credentials = output, augmentation, credentials

    def process(self, prediction: tuple[Slot, tuple[Draw, ...]]) -> Iterator[dict[str, Any]]:
        slot, draws = prediction
        for number, (sample, draw) in enumerate(zip(slot.draws, draws, strict=False), 1):
            yield self._row(sample, slot.category, draw, final=number == len(draws))

    def _row(self, sample: Sample, category: str, draw: Draw, *, final: bool) -> dict[str, Any]:
        generator = self._augmentation.generator
        assert generator is not None
        term, refused, stored = SourceType.TRAINED_ALGORITHMIC_MEDIA, draw.refused, None
        if draw.image is not None:
            try:
                stored = store(
                    sample, draw.image, None, term, output=self._output, picture_format="png",
                    origin=generator.sha256, training_only=True, refused=refused is not None,
                    credentials=self._credentials,
                )  # fmt: skip
            except PhotoError as error:
                refused = str(error.reason)
        return sample_row(
            sample, stored, generator=generator.name, generator_sha256=generator.sha256, purpose=TRAINING_ONLY,
            source_type=term, fingerprint=self._augmentation.fingerprints["product"], category=category,
            colour=draw.colour or None, refused=refused, final=final, scores=draw.scores,
        )  # fmt: skip
