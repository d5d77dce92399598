"""Ways to cut a product out: models as the job runs them, and the classical baselines."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import cv2
import numpy as np

from models.handlers import load_segmenter
from models.registry import ModelSpec, resolve_model
from models.segmentation import teacher
from pipeline.records import Photo
from transforms.matte import MatteThresholds, matte_photo, measure_matte
from transforms.reasons import ReviewReason
from transforms.segment import segment

NOT_REFINED = ", not refined"


@dataclasses.dataclass(frozen=True, eq=False)
class Prediction:
    """What a method makes of a picture.

    Attributes:
      alpha: uint8 (h, w), 0 ground to 255 product.
      foreground: straight colours, uint8 (h, w, 3), or None where the method leaves them to ours.
      presence: 0..1, or None where the method has no opinion.
      reasons: why the job would send the picture to review.
    """

    alpha: np.ndarray
    foreground: np.ndarray | None = None
    presence: float | None = None
    reasons: tuple[ReviewReason, ...] = ()


@dataclasses.dataclass(frozen=True)
class Method:
    """A named way to cut a product out.

    Attributes:
      name: in tables; unique.
      predict: takes an image, uint8 (h, w, 3) RGB.
    """

    name: str
    predict: Callable[[np.ndarray], Prediction]


def choose_methods(model: str, compare: tuple[str, ...] = (), *, baselines: bool = False) -> list[Method]:
    """Loads what is to be measured; the model itself comes first, its bare mask second.

    Args:
      model: registry name or path.
      compare: further models by name or path.
      baselines: whether to add GrabCut from the border and flood fill.

    Raises:
      ValueError: there is no such model, or one is named twice.
    """
    specs = [resolve_model(name) for name in (model, *compare)]
    names = [spec.name for spec in specs]
    # a file may be called as another in another folder, or as one of the registry
    labels = [
        spec.name if names.count(spec.name) == 1 else f"{spec.name} ({spec.sha256[:8]}, {spec.format})"
        for spec in specs
    ]
    if len(set(labels)) < len(labels):
        raise ValueError(f"the same model is given twice among {', '.join((model, *compare))}")
    methods = []
    for index, (spec, label) in enumerate(zip(specs, labels, strict=True)):
        network = _Network(spec)
        methods.append(Method(label, network.as_in_the_job))
        if index == 0:
            methods.append(Method(f"{label}{NOT_REFINED}", network.not_refined))
    if baselines:
        methods.append(Method("GrabCut from the border", lambda image: _classical(teacher.grabcut_from_border(image))))
        methods.append(Method("flood fill in CIELAB", lambda image: _classical(teacher.flood_from_border(image))))
    return methods


class _Network:
    """A model; its last answer is kept, for the method that shows the bare mask."""

    def __init__(self, spec: ModelSpec):
        self._segmenter = load_segmenter(spec)
        self._last: tuple[np.ndarray | None, Photo | None] = (None, None)

    def _segmented(self, image: np.ndarray) -> Photo:
        last, photo = self._last
        if last is not image or photo is None:
            found = segment(image, self._segmenter)
            height, width = image.shape[:2]
            photo = Photo(
                id="", source_uri="", width=width, height=height, image=image, coarse_mask=found.mask,
                presence=found.presence,
            )  # fmt: skip
            self._last = image, photo
        return photo

    def as_in_the_job(self, image: np.ndarray) -> Prediction:
        photo = matte_photo(self._segmented(image))
        return Prediction(photo.alpha, photo.foreground, photo.presence, photo.review_reasons)

    def not_refined(self, image: np.ndarray) -> Prediction:
        photo = self._segmented(image)
        mask = photo.coarse_mask
        if mask is None:
            raise AssertionError("a segmented photo has a mask")
        return Prediction(cv2.resize(mask, image.shape[1::-1], interpolation=cv2.INTER_LINEAR), presence=photo.presence)


def _classical(mask: np.ndarray) -> Prediction:
    empty = measure_matte(mask).coverage < MatteThresholds.empty
    return Prediction(mask, reasons=(ReviewReason.NO_PRODUCT,) if empty else ())
