"""Anomalies: products unlike those that an autoencoder has learnt, and unlike the category that they are listed in."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import apache_beam as beam
import cv2
import numpy as np
from apache_beam.ml.inference.base import RunInference

from models.handlers.anomaly import Anomaly, AnomalyHandler, Example, fit_product
from models.handlers.segmentation import PhotoKeyedHandler
from transforms.reasons import ReviewReason
from transforms.shrinking import shrink

STAGE = "anomaly"

_ENOUGH = 4  # pixels of the product for each of the model's, along a side: more change nothing


def product_picture(foreground: np.ndarray, alpha: np.ndarray, size: int) -> np.ndarray | None:
    """Sets a product in the middle of a plain light square, as the autoencoder has learnt them.

    Args:
      foreground: uint8 (h, w, 3), RGB: the product's colours without the old ground's.
      alpha: uint8 (h, w), 0 ground to 255 product.
      size: side of the square in pixels.

    Returns:
      uint8 (size, size, 3), or None where there is no product.
    """
    x, y, width, height = cv2.boundingRect((alpha > 0).view(np.uint8))
    if not width:
        return None
    crop = np.dstack([foreground, alpha])[y : y + height, x : x + width]
    scale = _ENOUGH * size / max(width, height)
    if scale < 1:
        crop = shrink(crop, (max(1, round(width * scale)), max(1, round(height * scale))))
    try:
        return fit_product(crop, size)[0]
    except ValueError:
        return None


def judged(photo: Any, found: Anomaly) -> Any:
    """Returns a photo with what the autoencoder says of it."""
    reasons = []
    if found.unusual:
        reasons.append(ReviewReason.UNUSUAL_PRODUCT)
    if found.unlike_category:
        reasons.append(ReviewReason.UNLIKE_ITS_CATEGORY)
    return photo.replace(anomaly=found.score, category_doubt=found.category_doubt).flagged(*reasons)


class FindAnomalies(beam.PTransform):
    """Adds ``anomaly`` and ``category_doubt`` to every photo that shows a product, and perhaps review reasons.

    The photo is the key of its prediction, as in ``SegmentPhotos``: it stays in the fused stage. A photo that the model
    fails on goes on without a score: that is no reason to lose it.

    Args:
      handler: the model.
      size: side of the model's square in pixels.
      category_column: the attribute that tells the category; a photo without it is judged by its looks alone.

    Returns (of ``expand``):
      A PCollection of photos. Nothing is rejected, and nothing is parted: photos without a product go the same way, for
      merging two ways would end the fused stage.
    """

    def __init__(self, handler: AnomalyHandler, size: int, category_column: str):
        super().__init__()
        self._handler = PhotoKeyedHandler(handler)
        self._size, self._category_column = size, category_column

    def expand(self, photos):
        return (
            photos
            | "FitProduct" >> beam.ParDo(_FitDoFn(self._size, self._category_column))  # (photo, Example)
            | "RunInference" >> RunInference(self._handler)  # (photo, Anomaly)
            | "AddAnomaly" >> beam.Map(_add)  # photo
        )


class _FitDoFn(beam.DoFn):
    def __init__(self, size: int, category_column: str):
        self._size, self._category_column = size, category_column

    def process(self, photo) -> Iterator[Any]:
        started = time.perf_counter()
        picture = None
        if photo.foreground is not None and ReviewReason.NO_PRODUCT not in photo.review_reasons:
            picture = product_picture(photo.foreground, photo.alpha, self._size)
        category = photo.attributes.get(self._category_column)
        example = Example(picture, None if category is None else str(category))
        yield photo.timed(STAGE, 1000 * (time.perf_counter() - started)), example


def _add(prediction: tuple[Any, Anomaly]) -> Any:
    photo, found = prediction
    return judged(photo, found).timed(STAGE, found.milliseconds)
