"""From a trained network to a model that serves: uint8 pixels in, uint8 mask and presence out.

Scaling, the sigmoid and the enlargement of the mask to the input's size are part of the exported graph, so
that only small integers travel. Batch normalisation is folded into the convolution before it; the auxiliary
output is dropped.
"""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Iterable, Iterator
from typing import Literal

import keras
import numpy as np
import tensorflow as tf

Weights = Literal["float16", "float32", "int8", "dynamic"]

CALIBRATION_MINIMUM = 8


def fold_batch_normalisation(model: keras.Model) -> keras.Model:
    """Returns the same function with every batch normalisation folded into the convolution before it.

    With a convolution's kernel w and y = gamma * (w * x - mean) / sqrt(variance + epsilon) + beta, the scale
    goes into the kernel and the rest becomes a bias (Jacob et al., CVPR 2018, section 3.2).

    Args:
      model: a functional model. A normalisation is folded where it alone reads a convolution without
        activation; others stay as they are.

    Returns:
      A new functional model for inference; ``model`` and its weights are left alone.
    """
    folded = {}  # convolution's name -> its normalisation
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            (source,) = layer._inbound_nodes[0].parent_nodes
            convolution = source.operation
            alone = len(convolution._outbound_nodes) == 1 and len(convolution._inbound_nodes) == 1
            if (
                isinstance(convolution, keras.layers.Conv2D)
                and alone
                and convolution.activation is keras.activations.linear
            ):
                folded[convolution.name] = layer
    normalisations = {layer.name for layer in folded.values()}

    def clone(layer):
        if layer.name in normalisations:
            return keras.layers.Identity(name=layer.name)
        config = layer.get_config()
        if layer.name in folded:
            config["use_bias"] = True
        return type(layer).from_config(config)

    def call(layer, *args, **kwargs):
        # a normalisation is called with mask=None, which its stand-in does not take
        return layer(*args, **{name: value for name, value in kwargs.items() if value is not None})

    result = keras.models.clone_model(model, clone_function=clone, call_function=call)
    for layer in model.layers:
        if layer.name in normalisations:
            continue
        weights = layer.get_weights()
        if layer.name in folded:
            norm = folded[layer.name]
            scale = 1 / np.sqrt(np.asarray(norm.moving_variance, np.float64) + norm.epsilon)
            if norm.scale:
                scale *= np.asarray(norm.gamma)
            kernel, bias = weights if layer.use_bias else (weights[0], 0.0)
            shift = (bias - np.asarray(norm.moving_mean)) * scale
            if norm.center:
                shift += np.asarray(norm.beta)
            weights = [(kernel * scale).astype(np.float32), shift.astype(np.float32)]
        if weights:
            result.get_layer(layer.name).set_weights(weights)
    return result


def in_half_precision(model: keras.Model) -> keras.Model:
    """Returns the same functional model with every layer computing in float16, its weights in float32."""

    def clone(layer):
        return type(layer).from_config({**layer.get_config(), "dtype": "mixed_float16"})

    result = keras.models.clone_model(model, clone_function=clone)
    result.set_weights(model.get_weights())
    return result


def resized(model: keras.Model, size: int) -> keras.Model:
    """Returns a trained network for pictures of another size, with the same weights.

    Args:
      model: of ``build_network``, in the shape that ``NetworkConfig`` has by default.
      size: side of the square input in pixels, a multiple of 32.

    Raises:
      ValueError: the network has another shape, or the size does not fit.
    """
    from models.segmentation.network import NetworkConfig, with_size

    config = NetworkConfig(size=size)
    try:
        return with_size(model, config, size)
    except ValueError as error:
        raise ValueError(
            f"the model {model.name!r} cannot be rebuilt for size {size}: its weights are not those of the default "
            f"NetworkConfig; export it at its own size, {model.input.shape[1]}"
        ) from error


class ServingModule(tf.Module):
    """The graph that serves: a network between uint8 pixels and uint8 answers.

    Args:
      model: a trained model of ``build_network``; its outputs are the logits ``mask`` (batch, h, w, 1) and
        ``presence`` (batch, 1), others are dropped.
      batch: fixed batch size, or None for any.
      half_precision: whether the network computes in float16; for GPUs.

    Attributes:
      size: side of the square input in pixels.
      serve: tf.function from ``image`` uint8 (batch, size, size, 3), RGB, to a dict of ``mask``
        uint8 (batch, size, size), 0 ground to 255 product, and ``presence`` uint8 (batch,), 0 to 255.

    Raises:
      ValueError: the model has other inputs or outputs, or Keras does not run on TensorFlow.
    """

    def __init__(self, model: keras.Model, batch: int | None = None, half_precision: bool = False):
        super().__init__(name="packshot")
        if keras.backend.backend() != "tensorflow":
            raise ValueError(
                f"Keras runs on {keras.backend.backend()!r}; a model is exported and served on TensorFlow: "
                f"set KERAS_BACKEND=tensorflow"
            )
        outputs = model.output if isinstance(model.output, dict) else {}
        if not {"mask", "presence"} <= outputs.keys():
            raise ValueError(
                f"the model {model.name!r} gives {sorted(outputs) or type(model.output).__name__!r}; "
                f"to export it, it must give a dict with 'mask' and 'presence'"
            )
        shape = model.input.shape
        if len(shape) != 4 or shape[1] is None or shape[1] != shape[2] or shape[3] != 3:
            raise ValueError(
                f"the model {model.name!r} takes {shape}; to export it, it must take (batch, size, size, 3)"
            )
        self.size = shape[1]
        pruned = keras.Model(model.input, {name: outputs[name] for name in ("mask", "presence")})
        network = fold_batch_normalisation(pruned)
        if half_precision:
            network = in_half_precision(network)
        # weights as constants: no variables to restore, and the converter can fold what it likes
        trainable = [variable.numpy() for variable in network.trainable_variables]
        others = [variable.numpy() for variable in network.non_trainable_variables]
        self._logits = lambda pixels: network.stateless_call(trainable, others, pixels, training=False)[0]
        signature = tf.TensorSpec((batch, self.size, self.size, 3), tf.uint8, name="image")
        self.serve = tf.function(self._serve, input_signature=[signature])

    def _serve(self, image):
        logits = self._logits(tf.cast(image, tf.float32))
        mask = tf.image.resize(logits["mask"], (self.size, self.size), method="bilinear")  # float32 whatever comes in
        presence = tf.cast(logits["presence"], tf.float32)
        return {"mask": _to_uint8(mask)[..., 0], "presence": _to_uint8(presence)[..., 0]}


def _to_uint8(logits):
    # the cast cuts off, so half is added first; tf.round would leave XNNPACK for another kernel
    return tf.cast(tf.sigmoid(logits) * 255.0 + 0.5, tf.uint8)


def export_litert(
    model: keras.Model,
    path: str | pathlib.Path,
    *,
    weights: Weights = "float16",
    calibration: Callable[[], Iterable[np.ndarray]] | None = None,
) -> pathlib.Path:
    """Writes a LiteRT model, for the CPU through XNNPACK.

    The batch is fixed at one image: on a CPU more images at once are no faster, take more memory, and could
    let an image's neighbours touch its last bit.

    Args:
      model: a trained model of ``build_network``.
      path: the file to write, ``*.tflite``.
      weights: ``float16`` halves the file and computes in float32; ``float32``; ``int8`` computes in integers
        as well, which costs accuracy; ``dynamic`` keeps int8 weights and finds the activations' ranges as it
        runs.
      calibration: for ``int8``: gives typical images, uint8 (size, size, 3), RGB, to find the ranges from.

    Returns:
      The path.

    Raises:
      ValueError: ``weights`` is none of these, or ``int8`` without enough calibration images.
    """
    module = ServingModule(model, batch=1)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([module.serve.get_concrete_function()], module)
    if weights == "float16":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_types = [tf.float16]
    elif weights == "int8":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = _representative(calibration, module.size)
    elif weights == "dynamic":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    elif weights != "float32":
        raise ValueError(f"weights={weights!r} must be 'float16', 'float32', 'int8' or 'dynamic'")
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(converter.convert())
    return path


def _representative(calibration, size: int) -> Callable[[], Iterator[list[np.ndarray]]]:
    images = [] if calibration is None else list(calibration())
    if len(images) < CALIBRATION_MINIMUM:
        raise ValueError(
            f"weights='int8' needs at least {CALIBRATION_MINIMUM} calibration images to find the ranges from; "
            f"there are {len(images)}"
        )
    for image in images:
        if image.shape != (size, size, 3) or image.dtype != np.uint8:
            raise ValueError(f"a calibration image is {image.dtype} {image.shape}; it must be uint8 {(size, size, 3)}")
    return lambda: ([image[None]] for image in images)


def export_saved_model(model: keras.Model, path: str | pathlib.Path) -> pathlib.Path:
    """Writes a TensorFlow SavedModel for any batch size, for the GPU.

    Args:
      model: a trained model of ``build_network``.
      path: the folder to write.

    Returns:
      The path.
    """
    module = ServingModule(model)
    tf.saved_model.save(module, str(path), signatures={"serving_default": module.serve})
    return pathlib.Path(path)


def largest_difference(model: keras.Model, segmenter, images: np.ndarray) -> int:
    """Returns how far an exported model's answers are from the trained model's, at the worst pixel, of 255.

    Args:
      model: the trained model.
      segmenter: the exported one, loaded: an object with ``predict`` as in ``models.handlers.backends``.
      images: uint8 (n, size, size, 3), RGB.
    """
    logits = model.predict_on_batch(images.astype(np.float32))
    enlarged = tf.image.resize(logits["mask"], images.shape[1:3], method="bilinear")
    mask = 255 * tf.sigmoid(enlarged).numpy()[..., 0]
    presence = 255 * tf.sigmoid(logits["presence"]).numpy()[:, 0]
    masks, presences = segmenter.predict(images)
    worst = max(np.abs(masks - mask).max(), np.abs(presences - presence).max())
    return int(np.ceil(worst - 0.5))
