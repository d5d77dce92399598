"""Generation inside Beam's RunInference: wanted products in, gated pictures out."""

from __future__ import annotations

import collections
import dataclasses
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from apache_beam.metrics import Metrics
from apache_beam.ml.inference.base import ModelHandler

from models.gating import BATCH, Draw, GatedGenerator

NAMESPACE = "generation"

_LOGGER = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class GenerationRequest:
    """A product that is wanted.

    Attributes:
      category: by name, one of the generator's.
      seeds: to try, one after the other, until a picture passes the gate.
    """

    category: str
    seeds: tuple[int, ...]


class GenerationHandler(ModelHandler[GenerationRequest, tuple[Draw, ...], GatedGenerator]):
    """Generates products, 64 at a time.

    Predictions are what was drawn for a request: refused pictures, and last the one that passed, if any did. A batch on
    which the generator fails comes back as refused, too: the photos of the job must not be lost to it.

    Args:
      load: makes the generator with its gate; called once a process.
    """

    def __init__(self, load: Callable[[], GatedGenerator]):
        super().__init__(min_batch_size=BATCH, max_batch_size=BATCH)
        self._load = load

    def load_model(self) -> GatedGenerator:
        return self._load()

    def run_inference(
        self,
        batch: Sequence[GenerationRequest],
        model: GatedGenerator,
        inference_args: Mapping[str, Any] | None = None,
    ) -> Iterable[tuple[Draw, ...]]:
        try:
            drawn = [tuple(draws) for draws in model.draw([(request.category, request.seeds) for request in batch])]
        except Exception as error:
            _LOGGER.warning("The generator failed on %d products: %s: %s", len(batch), type(error).__name__, error)
            drawn = [(Draw(request.seeds[0], "", None, "generation_failed"),) for request in batch]
        for verdict, count in collections.Counter(d.refused or "accepted" for draws in drawn for d in draws).items():
            Metrics.counter(NAMESPACE, verdict).inc(count)
        return drawn

    def get_num_bytes(self, batch: Sequence[GenerationRequest]) -> int:
        return sum(8 * len(request.seeds) for request in batch)

    def get_metrics_namespace(self) -> str:
        return NAMESPACE
