"""Segmentation: where in the frame the product is, coarsely, and whether there is one."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
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
from transforms.closer_look import merge_closer_look, part_to_enlarge
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
    found = model.segment([resize_for_model(image, model.size)])
    (result,) = _look_closer([image], found, model.size, model.segment)
    if isinstance(result, SegmentationFailure):
        raise PhotoError(RejectReason.SEGMENTATION_FAILED, result.detail)
    return result


def _look_closer(
    images: Sequence[np.ndarray],
    results: list[Segmentation | SegmentationFailure],
    size: int,
    run: Callable[[list[np.ndarray]], Iterable[Segmentation | SegmentationFailure]],
) -> list[Segmentation | SegmentationFailure]:
    """Has small products looked at again; where that fails, the first look stands.

    Args:
      images: uint8 (h, w, 3) each, RGB.
      results: of each.
      size: side of the model's square in pixels.
      run: the model.

    Returns:
      The results, in their order.
    """
    parts = {}
    for index, (image, result) in enumerate(zip(images, results, strict=True)):
        if isinstance(result, Segmentation):
            part = part_to_enlarge(result.mask, image.shape[1], image.shape[0])
            if part is not None:
                parts[index] = part
    if not parts:
        return results
    closer = run([resize_for_model(images[i][part.of(*images[i].shape[1::-1])], size) for i, part in parts.items()])
    merged = list(results)
    for (index, part), seen in zip(parts.items(), closer, strict=True):
        found = results[index]
        if isinstance(found, Segmentation) and isinstance(seen, Segmentation):
            merged[index] = merge_closer_look(found, part, seen)
    return merged


class CloserLookHandler(PhotoKeyedHandler):
    """Has the model look at small products twice: as the whole frame shows them, and enlarged.

    The photo is at hand, being the key. The model is called from here, so that of a model which all processes of a
    machine share nothing but its squares travels.

    Args:
      handler: of the model.
      size: side of the model's square in pixels.
      waiting_bytes: as of ``PhotoKeyedHandler``.
    """

    def __init__(self, handler: SegmentationHandler, size: int, waiting_bytes: int = 192 << 20):
        super().__init__(handler, waiting_bytes)
        self._size = size

    def run_inference(
        self,
        batch: Sequence[tuple[Any, np.ndarray]],
        model: Any,
        inference_args: dict[str, Any] | None = None,
    ) -> Iterable[tuple[Any, Segmentation | SegmentationFailure]]:
        run = functools.partial(self._handler.run_inference, model=model, inference_args=inference_args)
        photos = [photo for photo, _ in batch]
        found = list(run([square for _, square in batch]))
        return zip(photos, _look_closer([photo.image for photo in photos], found, self._size, run), strict=True)


class SegmentPhotos(beam.PTransform):
    """Adds ``coarse_mask`` and ``presence`` to every photo.

    The photo itself is the key of its prediction: all of it stays in one fused stage, and no pixel is encoded.

    Args:
      handler: the model.
      size: side of the model's square in pixels, ``ModelSpec.size``.
      waiting_bytes: how much memory the photos of one batch may take, roughly.
      closer_look: whether products that are small in their frame are looked at again, enlarged.

    Returns (of ``expand``):
      Two PCollections, of photos and of rejections.
    """

    def __init__(
        self, handler: SegmentationHandler, size: int, waiting_bytes: int = 192 << 20, *, closer_look: bool = True
    ):
        super().__init__()
        keyed = CloserLookHandler(handler, size, waiting_bytes)
        self._handler = keyed if closer_look else PhotoKeyedHandler(handler, waiting_bytes)
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
