"""How every step of the job runs: one record in, the same record with more fields out, or a rejection."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import apache_beam as beam

from transforms.memory import keep_freed_memory
from transforms.reasons import PhotoError, RejectReason

REJECTED = "rejected"


class _PhotoDoFn(beam.DoFn):
    def __init__(self, stage: str, function: Callable[[Any], Any]):
        self._stage = stage
        self._function = function

    def setup(self):
        keep_freed_memory()

    def process(self, photo):
        started = time.perf_counter()
        try:
            photo = self._function(photo)
        except PhotoError as error:
            yield beam.pvalue.TaggedOutput(REJECTED, photo.rejected(self._stage, error.reason, error.detail))
            return
        except Exception as error:  # one photo must never cost the bundle; the ledger still counts it
            detail = f"{type(error).__name__}: {error}"
            yield beam.pvalue.TaggedOutput(REJECTED, photo.rejected(self._stage, RejectReason.INTERNAL, detail))
            return
        yield photo.timed(self._stage, 1000 * (time.perf_counter() - started))


class PhotoStage(beam.PTransform):
    """Applies a plain function to every photo, timing it, and parts what it refuses.

    Args:
      stage: the stage's name in rejections, timings and the report.
      function: from photo to photo; raises ``PhotoError`` for one that cannot be processed.

    Returns (of ``expand``):
      Two PCollections, of photos and of rejections.
    """

    def __init__(self, stage: str, function: Callable[[Any], Any]):
        super().__init__()
        self._stage = stage
        self._function = function

    def expand(self, photos):
        done = photos | beam.ParDo(_PhotoDoFn(self._stage, self._function)).with_outputs(REJECTED, main="photos")
        return done.photos, done[REJECTED]
