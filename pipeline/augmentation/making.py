"""Samples made of one photo: classical variants, and the product on other grounds."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator, Sequence
from typing import Any

import apache_beam as beam
import cv2
import numpy as np

from models.main_colour import COLOUR_NAMES, main_colour
from pipeline.augmentation.asking import Parent, PhotoSamples, Sample
from pipeline.augmentation.prepared import Augmentation
from pipeline.augmentation.reading import read_again
from pipeline.augmentation.rows import refused_row, sample_row, store
from pipeline.credentials import Credentials
from pipeline.sinks import storage
from pipeline.sources.items import SourceOptions
from transforms.augment import vary
from transforms.decode import DecodeLimits, decode
from transforms.faces import blur_face, find_faces
from transforms.foreground import estimate_foreground
from transforms.generated_backdrop import compose_on_backdrop, generate_backdrop
from transforms.memory import keep_freed_memory
from transforms.privacy import read_labels
from transforms.reasons import PhotoError, RejectReason
from transforms.source_type import SourceType, product_type, strongest

GENERATORS = {"variant": "classical", "backdrop": "backdrop"}


@dataclasses.dataclass(frozen=True, eq=False)
class ParentPixels:
    """A photo as its samples are made of it.

    Attributes:
      image: uint8 (h, w, 3), RGB, as the photo shows it.
      alpha: the run's matte of it, uint8 (h, w).
      source_type: what the photo says it is.
    """

    image: np.ndarray
    alpha: np.ndarray
    source_type: SourceType | None


@dataclasses.dataclass(frozen=True, eq=False)
class Made:
    """A sample's pixels and what is told of them.

    Attributes:
      image: uint8 (h, w, 3), RGB.
      alpha: uint8 (h, w).
      operations: what was done.
      source_type: what it has become.
    """

    image: np.ndarray
    alpha: np.ndarray
    operations: tuple[str, ...]
    source_type: SourceType


def open_parent(
    content: bytes, mask: bytes, *, limits: DecodeLimits, longest_side: int, blur_faces: bool
) -> ParentPixels:
    """Decodes a photo and its matte.

    Args:
      content: the photo's file.
      mask: the file of its mask, 8-bit grey, or of its cut-out, with alpha.
      limits: of what is decoded.
      longest_side: in pixels; larger photos are shrunk.
      blur_faces: whether faces are made unrecognisable; in the whole frame, since samples show all of it.

    Raises:
      PhotoError: one of the two is no picture.
    """
    decoded = decode(content, limits=limits, wanted=longest_side)
    height, width = decoded.image.shape[:2]
    scale = min(1.0, longest_side / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    image = decoded.image if scale == 1 else cv2.resize(decoded.image, size, interpolation=cv2.INTER_AREA)
    read = cv2.imdecode(np.frombuffer(mask, np.uint8), cv2.IMREAD_UNCHANGED)
    if read is None:
        raise PhotoError(RejectReason.CORRUPT, "the stored mask is no picture")
    alpha = read if read.ndim == 2 else read[..., 3]
    if alpha.shape != image.shape[:2]:
        alpha = cv2.resize(alpha, size, interpolation=cv2.INTER_AREA)
    if blur_faces:
        everywhere = np.full(image.shape[:2], 255, np.uint8)
        for box in find_faces(image, everywhere):
            image = blur_face(image, everywhere, box)
    return ParentPixels(image, np.ascontiguousarray(alpha), read_labels(content).source_type)


def make(sample: Sample, pixels: ParentPixels, augmentation: Augmentation) -> Made:
    """Makes one sample of a photo."""
    plan = augmentation.plan
    product = product_type(pixels.source_type)
    if sample.kind == "variant":
        assert plan.variants is not None
        varied = vary(pixels.image, pixels.alpha, plan.variants.operations, sample.seed)
        return Made(varied.image, varied.alpha, varied.done, product)
    assert plan.backdrops is not None
    kinds = plan.backdrops.kinds
    first = int(sample.digest[:8], 16)  # these digits are the photo's: its samples take the kinds in turn
    kind = kinds[(first + sample.index) % len(kinds)]
    ground = generate_backdrop(kind, sample.seed, *pixels.alpha.shape)
    foreground = estimate_foreground(pixels.image, pixels.alpha)
    image = compose_on_backdrop(foreground, pixels.alpha, ground, plan.backdrops.shadow)
    composed = strongest(product, SourceType.COMPOSITE_SYNTHETIC) or product
    return Made(image, pixels.alpha, (f"backdrop {kind}",), composed)


class MakeSamples(beam.DoFn):
    """Makes, stores and describes the samples of photos; the pixels stay in here.

    Yields rows of the table, and on the output ``times`` ``((kind, "", "microseconds"), n)``.

    Args:
      output: the output folder.
      augmentation: what is asked for.
      options: the columns that the run reads.
      fetching: options of ``pipeline.sources.fetch.fetch``.
      limits: of what is decoded.
      blur_faces: as in the run's configuration.
      credentials: who signs, or None.
    """

    def __init__(
        self, output: str, augmentation: Augmentation, options: SourceOptions, fetching: dict[str, Any],
        limits: DecodeLimits, blur_faces: bool, credentials: Credentials | None,
    ):  # fmt: skip
        self._output, self._augmentation, self._options = output, augmentation, options
        self._fetching, self._limits = fetching, limits
        self._blur_faces, self._credentials = blur_faces, credentials

    def setup(self):
        keep_freed_memory()

    def process(self, works: Sequence[PhotoSamples]) -> Iterator[Any]:
        for work, content in read_again(works, self._options, self._fetching):
            try:
                if isinstance(content, PhotoError):
                    raise content
                pixels = self._open(work.parent, content)
            except Exception as error:
                for sample in work.samples:
                    yield self._refused(sample, work.parent, error)
                continue
            colour = COLOUR_NAMES[main_colour(pixels.image, pixels.alpha)]
            for sample in work.samples:
                started = time.perf_counter()
                try:
                    yield self._row(sample, work.parent, pixels, colour)
                except Exception as error:  # one sample must never cost the bundle
                    yield self._refused(sample, work.parent, error)
                spent = round(1e6 * (time.perf_counter() - started))
                yield beam.pvalue.TaggedOutput("times", ((sample.kind, "", "microseconds"), spent))

    def _open(self, parent: Parent, content: bytes) -> ParentPixels:
        if not parent.mask_uri:
            raise PhotoError(RejectReason.NOT_FOUND, "the catalogue's row names neither mask nor cut-out")
        mask = storage.read_bytes(storage.join(self._output, parent.mask_uri))
        plan = self._augmentation.plan
        return open_parent(
            content, mask, limits=self._limits, longest_side=plan.longest_side, blur_faces=self._blur_faces
        )

    def _row(self, sample: Sample, parent: Parent, pixels: ParentPixels, colour: str) -> dict[str, Any]:
        made = make(sample, pixels, self._augmentation)
        stored = store(
            sample, made.image, made.alpha, made.source_type, output=self._output,
            picture_format=self._augmentation.plan.format, origin=parent.source_sha256, credentials=self._credentials,
        )  # fmt: skip
        return sample_row(
            sample, stored, parents=[parent.id], generator=GENERATORS[sample.kind], category=parent.category,
            colour=colour, purpose="training", source_type=made.source_type, operations=made.operations,
            fingerprint=self._augmentation.fingerprints[sample.kind],
        )  # fmt: skip

    def _refused(self, sample: Sample, parent: Parent, error: Exception) -> dict[str, Any]:
        reason = str(error.reason) if isinstance(error, PhotoError) else str(RejectReason.INTERNAL)
        return refused_row(
            sample, reason, parents=[parent.id], generator=GENERATORS[sample.kind], category=parent.category,
            fingerprint=self._augmentation.fingerprints[sample.kind],
        )  # fmt: skip
