"""Segmentation inside Beam's RunInference: batches in, light results out, and no photo lost to another's fault."""

from __future__ import annotations

import collections
import dataclasses
import functools
import logging
import re
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from apache_beam.metrics import Metrics
from apache_beam.ml.inference import base as beam_inference
from apache_beam.ml.inference.base import KeyedModelHandler, ModelHandler

from models.handlers import backends
from models.handlers.occupancy import Occupancy, Share
from models.handlers.second_look import DOUBTFUL, VIEWS, measure_doubt, merge_masks, other_views
from models.registry import DEFAULT_MODEL, ModelSpec, resolve_model

NAMESPACE = "segmentation"

_LOGGER = logging.getLogger(__name__)

_RUNTIMES_OWN_ERRORS = ("InternalError", "UnknownError", "RuntimeException", "Fail")  # TensorFlow's, ONNX Runtime's

try:
    import resource
except ImportError:  # not on Windows
    pass
else:
    # Beam 2.77 forgets about it where PyTorch is missing, and then warns of that at every model it loads
    beam_inference.resource = resource

# The last two are what TensorFlow says where a batch does not fit into the GPU, or cuDNN's workspace beside it.
_OUT_OF_MEMORY = re.compile(
    r"out[ _]of[ _]memory|\boom\b|failed to allocate|bad[_ ]alloc(ation)?|dst tensor is not initialized|alloc_failed",
    re.IGNORECASE,
)


@dataclasses.dataclass(frozen=True, eq=False)
class Segmentation:
    """What the model says of one image.

    Attributes:
      mask: uint8 (size, size), 0 ground to 255 product, of the whole frame squashed to the model's square.
      presence: 0..1, how sure the model is that there is a product.
      milliseconds: this image's share of the time its batch took, and the time of its second look.
      share: of the model's time and places; None outside of Beam.
    """

    mask: np.ndarray
    presence: float
    milliseconds: float = 0.0
    share: Share | None = None


@dataclasses.dataclass(frozen=True)
class SegmentationFailure:
    """The model failed on one image, and on that one alone.

    Attributes:
      detail: one sentence for a person.
    """

    detail: str


@dataclasses.dataclass(frozen=True)
class SegmentedBatch:
    """What became of a batch.

    Attributes:
      results: for each image, in their order.
      mishaps: as of ``Segmenter.segment``.
      busy, waited: seconds of the model, as ``Occupancy`` counts them.
      places: for images in the calls that the batch took, if all had gone well, less those of second looks.
    """

    results: list[Segmentation | SegmentationFailure]
    mishaps: collections.Counter
    busy: float
    waited: float
    places: int


class Segmenter:
    """A loaded model that survives a bad image and a lack of memory; may be shared by threads.

    Args:
      backend: the model on its runtime.
      batch_size: the most images to give the backend at once, at least 1.
      second_look: whether an image whose mask is in doubt is looked at again, in other views; the answer is their mean.

    Attributes:
      size: side of the square input in pixels.
      batch_size: the most images at once by now: halved whenever memory ran out, for the rest of the process.
    """

    def __init__(self, backend: backends.Backend, batch_size: int = 8, *, second_look: bool = True):
        if batch_size < 1:
            raise ValueError(f"batch_size={batch_size!r} must be at least 1")
        self._backend = backend
        self._second_look = second_look
        self._lock = threading.Lock()
        self._occupancy = Occupancy()
        self.size = backend.size
        self.batch_size = batch_size

    def warm_up(self) -> None:
        """Runs one batch of black images where shapes are compiled, so that no photo waits for that.

        Memory that is too small for the batch shows here, too. What the model waits is counted from now on.
        """
        if self._backend.fixed_batch:
            self._look([np.zeros((self.size, self.size, 3), np.uint8)] * self.batch_size, collections.Counter())
        self._occupancy = Occupancy()

    def segment_batch(self, images: Sequence[np.ndarray]) -> SegmentedBatch:
        """Segments images and tells all there is to tell at once: the model may live in another process.

        Args:
          images: at least one, as of ``segment``.
        """
        mishaps: collections.Counter = collections.Counter()
        limit = self.batch_size
        waited = self._occupancy.begin()
        try:
            results = self.segment(images, mishaps)
        finally:
            busy = self._occupancy.end()
        places = -(-len(images) // limit) * limit
        share = Share(1000 * busy / len(images), 1000 * waited / len(images), places / len(images))
        shared = [dataclasses.replace(r, share=share) if isinstance(r, Segmentation) else r for r in results]
        return SegmentedBatch(shared, mishaps, busy, waited, places)

    def predict(self, images: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Segments images in one call of the backend; any failure is the caller's.

        Args:
          images: uint8 (size, size, 3) each, RGB.

        Returns:
          The masks, uint8 (n, size, size), and the presences, uint8 (n,), 0 to 255.
        """
        for image in images:
            if image.shape != (self.size, self.size, 3) or image.dtype != np.uint8:
                raise ValueError(
                    f"the image is {image.dtype} {image.shape}; the model takes uint8 {(self.size, self.size, 3)}"
                )
        return self._predict(np.stack(images), self.batch_size)

    def _predict(self, batch: np.ndarray, padded_to: int) -> tuple[np.ndarray, np.ndarray]:
        if not self._backend.fixed_batch:
            return self._backend.predict(batch)
        masks, presences = self._backend.predict(backends.pad_batch(batch, max(padded_to, len(batch))))
        return masks[: len(batch)], presences[: len(batch)]

    def segment(
        self, images: Sequence[np.ndarray], mishaps: collections.Counter | None = None
    ) -> list[Segmentation | SegmentationFailure]:
        """Segments images; a batch that fails is parted until the images at fault are found.

        Args:
          images: any number of uint8 (size, size, 3), RGB.
          mishaps: to count in: ``failed_images``; ``split_batches``, parted to find the image at fault;
            ``out_of_memory_retreats``; and, which is none, ``second_looks``.

        Returns:
          A result for each image, in their order.
        """
        mishaps = collections.Counter() if mishaps is None else mishaps
        results = self._look(images, mishaps)
        if self._second_look:
            self._look_again(images, results, mishaps)
        return results

    def _look_again(
        self,
        images: Sequence[np.ndarray],
        results: list[Segmentation | SegmentationFailure],
        mishaps: collections.Counter,
    ) -> None:
        """Replaces masks that are in doubt, and what goes with them, by the mean over several views."""
        doubtful = [
            index
            for index, result in enumerate(results)
            if isinstance(result, Segmentation) and measure_doubt(result.mask) > DOUBTFUL
        ]
        if not doubtful:
            return
        mishaps["second_looks"] += len(doubtful)
        mishaps_of_views: collections.Counter = collections.Counter()
        found = self._look([view for index in doubtful for view in other_views(images[index])], mishaps_of_views)
        del mishaps_of_views["failed_images"]  # the image itself has not failed
        mishaps.update(mishaps_of_views)
        for number, index in enumerate(doubtful):
            others = [r for r in found[VIEWS * number : VIEWS * (number + 1)] if isinstance(r, Segmentation)]
            first = results[index]
            if isinstance(first, Segmentation) and len(others) == VIEWS:  # else the first look stands
                results[index] = dataclasses.replace(
                    first,
                    mask=merge_masks(first.mask, [other.mask for other in others]),
                    presence=(first.presence + sum(other.presence for other in others)) / (1 + VIEWS),
                    milliseconds=first.milliseconds + sum(other.milliseconds for other in others),
                )

    def _look(
        self, images: Sequence[np.ndarray], mishaps: collections.Counter
    ) -> list[Segmentation | SegmentationFailure]:
        results: dict[int, Segmentation | SegmentationFailure] = {}
        waiting = [range(len(images))] if images else []
        while waiting:
            part = waiting.pop()
            limit = self.batch_size
            if len(part) > limit:
                waiting += [part[limit:], part[:limit]]
                continue
            started = time.perf_counter()
            try:
                masks, presences = self.predict([images[index] for index in part])
            except Exception as error:
                waiting += self._after(error, part, limit, results, mishaps)
                continue
            share = 1000 * (time.perf_counter() - started) / len(part)
            for index, mask, presence in zip(part, masks, presences, strict=True):
                # a copy: a view would keep the whole batch alive as long as one photo of it
                results[index] = Segmentation(mask.copy(), float(presence) / 255, share)
        return [results[index] for index in range(len(images))]

    def _after(
        self, error: Exception, part: range, limit: int, results: dict, mishaps: collections.Counter
    ) -> list[range]:
        """Records a failed call and returns what to try next; each answer is smaller than what failed."""
        if out_of_memory(error) and limit > 1:
            mishaps["out_of_memory_retreats"] += 1
            with self._lock:
                # another thread may have gone further back already
                self.batch_size = min(self.batch_size, limit // 2)
            _LOGGER.warning("Out of memory with %d images at once; going on with %d.", limit, self.batch_size)
            return [part]
        if len(part) == 1:
            text = " ".join(str(error).split())[:500]
            results[part[0]] = SegmentationFailure(f"the model failed on this photo: {type(error).__name__}: {text}")
            mishaps["failed_images"] += 1
            return []
        mishaps["split_batches"] += 1
        middle = len(part) // 2
        return [part[middle:], part[:middle]]


def out_of_memory(error: BaseException) -> bool:
    """Returns whether an error says that memory ran out, on any of the runtimes."""
    # by name, as the runtime that defines the class need not be there
    if isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError":
        return True
    if not isinstance(error, RuntimeError) and type(error).__name__ not in _RUNTIMES_OWN_ERRORS:
        return False
    return bool(_OUT_OF_MEMORY.search(str(error)))


def load_segmenter(
    model: str | ModelSpec = DEFAULT_MODEL,
    *,
    batch_size: int = 8,
    threads: int | None = None,
    second_look: bool = True,
) -> Segmenter:
    """Loads a model for use outside of Beam.

    Args:
      model: registry name, path, or what ``resolve_model`` gave.
      batch_size: the most images at once.
      threads: CPU threads; by default one for each CPU, four at most.
      second_look: as of ``Segmenter``.

    Raises:
      ValueError: there is no such model, or it cannot be read.
    """
    spec = model if isinstance(model, ModelSpec) else resolve_model(model)
    return Segmenter(backends.load_backend(spec, threads), batch_size, second_look=second_look)


class SegmentationHandler(ModelHandler[np.ndarray, Segmentation | SegmentationFailure, Segmenter]):
    """Runs a segmentation model on uint8 RGB images of its size.

    Examples are uint8 (size, size, 3); predictions are ``Segmentation``, or ``SegmentationFailure`` for an image
    that the model fails on. The model is loaded once a process and shared by its threads.

    Args:
      model: registry name, path or URI; resolved again in the worker, whose package may lie elsewhere.
      batch_size: images at once. Matters for the GPU; on the CPU it bounds how many photos wait for each other.
      threads: CPU threads of one run; by default one for each CPU, four at most. Give 1 where the runner starts
        a process for each CPU.
      sha256: what the worker's model must hash to; by default it is not compared.
      share_model: one model a machine, in one of its worker processes, for all of them: for a GPU, whose memory the
        model would otherwise take once a process. Batches then travel between processes.
      half_precision: compute in 16 bits where a GPU runs the model; see ``backends.TensorFlowBackend``.
      second_look: as of ``Segmenter``.
      load: from a model's description and a number of threads to the loaded model; ``backends.load_backend`` by
        default.

    Raises:
      ValueError: a batch size or number of threads below 1.
    """

    def __init__(
        self,
        model: str = DEFAULT_MODEL,
        *,
        batch_size: int = 8,
        threads: int | None = None,
        sha256: str | None = None,
        share_model: bool = False,
        half_precision: bool = False,
        second_look: bool = True,
        load: Callable[[ModelSpec, int | None], backends.Backend] | None = None,
    ):
        if batch_size < 1:
            raise ValueError(f"batch_size={batch_size!r} must be at least 1")
        if threads is not None and threads < 1:
            raise ValueError(f"threads={threads!r} must be at least 1, or None for one for each CPU")
        # equal sizes: Beam would otherwise time the stages behind it and choose a size of its own
        super().__init__(min_batch_size=batch_size, max_batch_size=batch_size, large_model=share_model)
        self._model = model
        self._batch_size = batch_size
        self._threads = threads
        self._sha256 = sha256
        self._second_look = second_look
        self._load = load or functools.partial(backends.load_backend, half_precision=half_precision)

    def load_model(self) -> Segmenter:
        spec = resolve_model(self._model)
        if self._sha256 not in (None, spec.sha256):
            raise ValueError(
                f"segmentation model {self._model!r} has sha256 {spec.sha256} here and {self._sha256} where the job "
                f"was started; the same Packshot and the same model must be installed on every worker"
            )
        segmenter = Segmenter(self._load(spec, self._threads), self._batch_size, second_look=self._second_look)
        segmenter.warm_up()
        return segmenter

    def run_inference(
        self,
        batch: Sequence[np.ndarray],
        model: Segmenter,
        inference_args: Mapping[str, Any] | None = None,
    ) -> Iterable[Segmentation | SegmentationFailure]:
        done = model.segment_batch(batch)
        for name, count in done.mishaps.items():
            Metrics.counter(NAMESPACE, name).inc(count)
        for name, value in (
            ("batch_fill_percent", 100 * len(batch) / done.places),
            ("model_busy_msecs", 1000 * done.busy),
            ("model_waited_msecs", 1000 * done.waited),
        ):
            Metrics.distribution(NAMESPACE, name).update(round(value))
        return done.results

    def get_num_bytes(self, batch: Sequence[np.ndarray]) -> int:
        return sum(image.nbytes for image in batch)

    def get_metrics_namespace(self) -> str:
        return NAMESPACE


class PhotoKeyedHandler(KeyedModelHandler):
    """A ``KeyedModelHandler`` whose keys are whole photos, pixels and all.

    Beam's own pickles the keys of every batch to report how large it was; this one does not. Nothing else there
    looks at the keys of a single model's handler. A batch also ends early when the photos that wait in it take
    too much memory.

    Args:
      handler: the handler of the examples.
      waiting_bytes: how much memory the ``image`` arrays of one batch may take, roughly.
    """

    def __init__(self, handler: ModelHandler, waiting_bytes: int = 192 << 20):
        super().__init__(handler)
        self._handler = handler
        self._waiting_bytes = waiting_bytes

    def batch_elements_kwargs(self) -> Mapping[str, Any]:
        kwargs = self._handler.batch_elements_kwargs()
        size = functools.partial(
            _batch_share, places=kwargs["max_batch_size"], bytes_each=self._waiting_bytes // kwargs["max_batch_size"]
        )
        return {**kwargs, "element_size_fn": size}

    def get_num_bytes(self, batch: Sequence[tuple[Any, np.ndarray]]) -> int:
        return self._handler.get_num_bytes([example for _, example in batch])


def _batch_share(element: tuple[Any, np.ndarray], places: int, bytes_each: int) -> int:
    # never more than the whole batch: BatchElements would emit an empty one before it
    return min(places, 1 + element[0].image.nbytes // bytes_each)
