"""Segmentation: where in the frame the product is, coarsely, and whether there is one."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import apache_beam as beam
import cv2
import numpy as np
from apache_beam.ml.inference.base import RunInference

from models.handlers.segmentation import (
    PhotoKeyedHandler,
    Segmentation,
    SegmentationFailure,
    SegmentationHandler,
    Segmenter,
)
from transforms.reasons import PhotoError, RejectReason
from transforms.stage import REJECTED

STAGE = "segment"


def resize_for_model(image: np.ndarray, size: int) -> np.ndarray:
    """Squashes a whole frame to the model's square.

    An axis that shrinks is averaged over the area, so that nothing aliases; one that grows is interpolated.

    Args:
      image: uint8 (h, w, 3), RGB.
      size: side of the square in pixels.

    Returns:
      uint8 (size, size, 3), RGB.
    """
    height, width = image.shape[:2]
    smaller = (min(width, size), min(height, size))
    if smaller != (width, height):
        image = cv2.resize(image, smaller, interpolation=cv2.INTER_AREA)
    if smaller != (size, size):
        image = cv2.resize(image, (size, size), interpolation=cv2.INTER_LINEAR)
    return np.ascontiguousarray(image)


def segment(image: np.ndarray, model: Segmenter) -> Segmentation:
    """Segments one image, without Beam.

    Args:
      image: uint8 (h, w, 3), RGB.
      model: from ``models.handlers.load_segmenter``.

    Returns:
      The mask, of the whole frame squashed to the model's square, and the presence.

    Raises:
      PhotoError: ``SEGMENTATION_FAILED``, the model failed on this image.
    """
    (result,) = model.segment([resize_for_model(image, model.size)])
    if isinstance(result, SegmentationFailure):
        raise PhotoError(RejectReason.SEGMENTATION_FAILED, result.detail)
    return result


class SegmentPhotos(beam.PTransform):
    """Adds ``coarse_mask`` and ``presence`` to every photo.

    The photo itself is the key of its prediction: all of it stays in one fused stage, and no pixel is encoded.

    Args:
      handler: the model.
      size: side of the model's square in pixels, ``ModelSpec.size``.
      waiting_bytes: how much memory the photos of one batch may take, roughly.

    Returns (of ``expand``):
      Two PCollections, of photos and of rejections.
    """

    def __init__(self, handler: SegmentationHandler, size: int, waiting_bytes: int = 192 << 20):
        super().__init__()
        self._handler = PhotoKeyedHandler(handler, waiting_bytes)
        self._size = size

    def expand(self, photos):
        resized = photos | "ResizeForModel" >> beam.ParDo(_ResizeDoFn(self._size)).with_outputs(
            REJECTED, main="examples"
        )
        segmented = (
            resized.examples  # (photo, uint8 (size, size, 3))
            | "RunInference" >> RunInference(self._handler)  # (photo, Segmentation or SegmentationFailure)
            | "AddMask" >> beam.ParDo(_AddMaskDoFn()).with_outputs(REJECTED, main="photos")
        )
        rejections = (resized[REJECTED], segmented[REJECTED]) | "MergeRejections" >> beam.Flatten()
        return segmented.photos, rejections


class _ResizeDoFn(beam.DoFn):
    def __init__(self, size: int):
        self._size = size

    def process(self, photo) -> Iterator[Any]:
        started = time.perf_counter()
        try:
            example = resize_for_model(photo.image, self._size)
        except Exception as error:  # one photo must never cost the bundle
            detail = f"{type(error).__name__}: {error}"
            yield beam.pvalue.TaggedOutput(REJECTED, photo.rejected(STAGE, RejectReason.INTERNAL, detail))
            return
        yield photo.timed(STAGE, 1000 * (time.perf_counter() - started)), example


class _AddMaskDoFn(beam.DoFn):
    def process(self, prediction) -> Iterator[Any]:
        photo, result = prediction
        if isinstance(result, SegmentationFailure):
            rejection = photo.rejected(STAGE, RejectReason.SEGMENTATION_FAILED, result.detail)
            yield beam.pvalue.TaggedOutput(REJECTED, rejection)
            return
        photo = photo.replace(coarse_mask=result.mask, presence=result.presence, model_share=result.share)
        yield photo.timed(STAGE, result.milliseconds)
