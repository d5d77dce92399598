"""Segmentation models on the runtimes that can run them, behind one small interface.

Every backend is loaded from what ``models.registry`` resolved, imports its runtime only then, and may be
called from several threads at once.
"""

from __future__ import annotations

import os
import queue
import threading
from typing import Protocol

import cv2
import numpy as np

from models.handlers import files
from models.registry import ONNX_PIXELS, ModelSpec, SaliencySettings


class Backend(Protocol):
    """A loaded segmentation model.

    Attributes:
      size: side of the square input in pixels.
      fixed_batch: whether ``predict`` runs fastest (or only) with always the same number of images, so that a
        short batch should be padded before the call.
    """

    size: int
    fixed_batch: bool

    def predict(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Segments images.

        Args:
          images: uint8 (n, size, size, 3), RGB.

        Returns:
          The masks, uint8 (n, size, size), 0 ground to 255 product, and the presences, uint8 (n,), 0 to 255.
        """
        ...


def available_threads() -> int:
    """Returns how many CPUs this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class LiteRtBackend:
    """A ``.tflite`` file on the LiteRT interpreter, with XNNPACK.

    The batch in the file (one image, as ``models.export`` writes it) is fixed; more images run one after
    another, so that the result of one cannot depend on the others. An interpreter serves one thread at a
    time: a few are kept, as many as the CPUs can feed, made when first needed.

    Args:
      content: the file's bytes.
      threads: threads of one interpreter; by default one for each CPU, four at most.
    """

    fixed_batch = False

    def __init__(self, content: bytes, threads: int | None = None):
        self._content = content
        self._threads = threads or min(4, available_threads())
        self._idle: queue.LifoQueue = queue.LifoQueue()
        self._unmade = max(1, available_threads() // self._threads)
        self._lock = threading.Lock()
        first = self._make_interpreter()
        self._unmade -= 1
        runner = first.get_signature_runner()
        self._input = next(iter(runner.get_input_details().values()))["index"]
        self._outputs = {name: detail["index"] for name, detail in runner.get_output_details().items()}
        self._batch, self.size = (int(n) for n in first.get_input_details()[0]["shape"][:2])
        self._idle.put(first)

    def _make_interpreter(self):
        from ai_edge_litert.interpreter import Interpreter

        interpreter = Interpreter(model_content=self._content, num_threads=self._threads)
        interpreter.allocate_tensors()
        return interpreter

    def _take_interpreter(self):
        try:
            return self._idle.get_nowait()
        except queue.Empty:
            pass
        with self._lock:
            make = self._unmade > 0
            self._unmade -= make
        if not make:
            return self._idle.get()
        try:
            return self._make_interpreter()
        except BaseException:
            with self._lock:
                self._unmade += 1
            raise

    def predict(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        masks = np.empty(images.shape[:3], np.uint8)
        presences = np.empty(len(images), np.uint8)
        interpreter = self._take_interpreter()
        try:
            for start in range(0, len(images), self._batch):
                chunk = images[start : start + self._batch]
                interpreter.set_tensor(self._input, pad_batch(chunk, self._batch))
                interpreter.invoke()
                stop = start + len(chunk)
                masks[start:stop] = interpreter.get_tensor(self._outputs["mask"])[: len(chunk)]
                presences[start:stop] = interpreter.get_tensor(self._outputs["presence"])[: len(chunk)]
        finally:
            self._idle.put(interpreter)
        return masks, presences


class TensorFlowBackend:
    """A SavedModel or ``.keras`` network as a compiled ``tf.function``, on the GPU where there is one.

    Args:
      spec: the model; its ``path`` is local.
      half_precision: compute in float16 from the pixels to the logits, with weights and answers as they are. Masks
        then differ in their last digits. Only of a ``.keras`` network: a SavedModel computes as it was exported.
    """

    fixed_batch = True

    def __init__(self, spec: ModelSpec, half_precision: bool = False):
        tensorflow = _import_tensorflow()
        if spec.format == "keras":
            import keras

            from models.export import ServingModule

            network = keras.models.load_model(spec.path, compile=False)
            self._function = ServingModule(network, half_precision=half_precision).serve
        else:
            # the signature does not keep its model alive, so the model is kept here
            self._loaded = tensorflow.saved_model.load(spec.path)
            self._function = self._loaded.signatures["serving_default"]
        self._constant = tensorflow.constant
        self.size = spec.size

    def predict(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        answer = self._function(image=self._constant(images))
        return answer["mask"].numpy(), answer["presence"].numpy()


def _import_tensorflow():
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # it tells of every start at length
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    import tensorflow

    # several processes share a GPU: take memory as it is needed. Only possible before the first operation,
    # and whoever used TensorFlow before us has decided it
    for device in tensorflow.config.list_physical_devices("GPU"):
        try:
            tensorflow.config.experimental.set_memory_growth(device, True)
        except RuntimeError:
            break
    # the same kernels every time: cuDNN otherwise picks whichever was fastest at that moment
    tensorflow.config.experimental.enable_op_determinism()
    return tensorflow


class OnnxBackend:
    """A saliency network in ONNX: one square RGB image in, one map of the foreground out.

    Such networks have no presence output; the mean of the mask's hundredth part with the highest values stands
    in for it.

    Args:
      content: the file's bytes.
      settings: how the network wants its input and gives its output.
      threads: threads of one run; by default one for each CPU, four at most.
    """

    fixed_batch = False

    def __init__(self, content: bytes, settings: SaliencySettings, threads: int | None = None):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or min(4, available_threads())
        options.log_severity_level = 3
        options.use_deterministic_compute = True
        available = onnxruntime.get_available_providers()
        providers = [name for name in ("CUDAExecutionProvider", "CPUExecutionProvider") if name in available]
        self._session = onnxruntime.InferenceSession(content, options, providers)
        image = self._session.get_inputs()[0]
        self._input, self._type = image.name, np.dtype(ONNX_PIXELS[image.type])
        self._output = settings.output_name or self._session.get_outputs()[0].name
        self._settings = settings
        self.size = settings.size

    def predict(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        masks = np.stack([self._mask(image) for image in images])
        top = max(1, self.size**2 // 100)
        flat = masks.reshape(len(masks), -1)
        strongest = np.partition(flat, flat.shape[1] - top, axis=1)[:, -top:]
        return masks, np.rint(strongest.mean(axis=1)).astype(np.uint8)

    def _mask(self, image: np.ndarray) -> np.ndarray:
        settings = self._settings
        pixels = (image.astype(np.float32) / settings.scale - settings.mean) / settings.std
        if self._type == np.uint8:  # the network normalises for itself
            pixels = image
        pixels = pixels[None].astype(self._type)
        if settings.layout == "nchw":
            pixels = pixels.transpose(0, 3, 1, 2)
        (answer,) = self._session.run([self._output], {self._input: np.ascontiguousarray(pixels)})
        answer = np.squeeze(answer).astype(np.float32)
        if answer.ndim != 2:
            raise ValueError(f"the output {self._output!r} is of shape {answer.shape!r}; it must be one map, (h, w)")
        if answer.shape != (self.size, self.size):
            answer = cv2.resize(answer, (self.size, self.size), interpolation=cv2.INTER_LINEAR)
        if settings.output == "logit":
            answer = 1 / (1 + np.exp(-np.clip(answer, -80, 80)))
        return np.rint(255 * np.clip(answer, 0, 1)).astype(np.uint8)


def pad_batch(images: np.ndarray, size: int) -> np.ndarray:
    """Returns the batch with black images added up to ``size``, so that the shape is always the same."""
    if len(images) == size:
        return images
    padded = np.zeros((size, *images.shape[1:]), images.dtype)
    padded[: len(images)] = images
    return padded


def gpu_present() -> bool:
    """Returns whether an NVIDIA GPU can be seen, without loading a runtime to ask."""
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
    return os.path.exists("/dev/nvidiactl") and (hidden is None or hidden.strip() not in ("", "-1", "NoDevFiles"))


def _on_gpu() -> bool:
    return gpu_present() and _tensorflow_sees_gpu()


def _tensorflow_sees_gpu() -> bool:
    try:
        return bool(_import_tensorflow().config.list_physical_devices("GPU"))
    except ImportError:
        return False


def load_backend(spec: ModelSpec, threads: int | None = None, half_precision: bool = False) -> Backend:
    """Loads a model on the runtime that suits it and this machine.

    Args:
      spec: the model, from ``models.registry.resolve_model``.
      threads: CPU threads of one run; by default one for each CPU, four at most.
      half_precision: compute in float16 where a GPU runs it; a CPU is slower with it, not faster.
    """
    if spec.accelerated and _on_gpu():
        return TensorFlowBackend(spec.accelerated_spec(), half_precision)
    if spec.format == "tflite":
        return LiteRtBackend(files.read_bytes(spec.path), threads)
    if spec.saliency:
        return OnnxBackend(files.read_bytes(spec.path), spec.saliency, threads)
    with files.local_copy(spec.path) as path:
        return TensorFlowBackend(spec.at(path), half_precision and _on_gpu())
