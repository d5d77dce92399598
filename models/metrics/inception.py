"""Inception-v3 as the extractor, from a file of the user's own: then the distances are FID and KID, the score is IS.

Nothing is downloaded and nothing ships. Published figures mostly come from the weights of 2015; Keras' own (2016) give
other figures for the same pictures, so say which file it was.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np

POOLED = 2048  # numbers of the layer that FID is measured on
CLASSES = (1000, 1001, 1008)
_SIZE = 299  # pixels
_BATCH = 32

_WANTED = (
    f"it must take pictures (n, {_SIZE}, {_SIZE}, 3), float32 -1..1, and give pooled features (n, {POOLED}) and logits "
    f"or probabilities (n, {' or '.join(map(str, CLASSES))})"
)


class Inception:
    """An Inception-v3 network; ``load`` makes one.

    Attributes:
      name: of its file.
      sha256: of the file, or of all files of a SavedModel.
      size: side of the pictures it takes, pixels.
    """

    def __init__(self, answer: Callable[[np.ndarray], tuple[Any, Any]], name: str, sha256: str):
        self.name, self.sha256, self.size = name, sha256, _SIZE
        self._answer = answer

    @classmethod
    def load(cls, path: str | Path) -> Inception:
        """Reads a Keras file (``keras.applications.InceptionV3(weights=...)`` saved whole, or a model with both
        outputs) or the folder of a TensorFlow SavedModel with both outputs.

        Raises:
          ValueError: there is no such file, or its shapes are not Inception's.
        """
        path = Path(path)
        if path.is_dir():
            return cls(_saved_model(path), path.name, _digest(sorted(p for p in path.rglob("*") if p.is_file())))
        if not path.is_file():
            raise ValueError(f"inception_weights={str(path)!r} is no Keras file and no folder of a SavedModel")
        return cls(_keras_file(path), path.stem, _digest([path]))

    def features_and_probabilities(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Looks at pictures.

        Args:
          images: uint8 (n, 299, 299, 3), RGB.

        Returns:
          float32 (n, 2048) and (n, classes), rows of the latter summing to 1.
        """
        pooled, classes = [], []
        for start in range(0, len(images), _BATCH):
            features, answers = self._answer(images[start : start + _BATCH].astype(np.float32) / 127.5 - 1)
            pooled.append(np.asarray(features).reshape(-1, POOLED))
            classes.append(_probabilities(np.asarray(answers)))
        return np.concatenate(pooled), np.concatenate(classes)


def _digest(files: list[Path]) -> str:
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _probabilities(answers: np.ndarray) -> np.ndarray:
    if answers.min() >= 0 and np.abs(answers.sum(axis=1) - 1).max() < 1e-3:
        return answers
    shifted = np.exp(answers - answers.max(axis=1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True))


def _keras_file(path: Path) -> Callable[[np.ndarray], tuple[Any, Any]]:
    try:
        model = keras.models.load_model(path, compile=False)
    except (ValueError, OSError) as error:
        raise ValueError(f"inception_weights={str(path)!r} cannot be read: {' '.join(str(error).split())}") from error
    outputs = list(model.outputs)
    if len(outputs) == 1 and any(layer.name == "avg_pool" for layer in model.layers):
        outputs.append(model.get_layer("avg_pool").output)
    if tuple(model.input_shape[1:]) not in ((_SIZE, _SIZE, 3), (None, None, 3)):
        raise ValueError(f"inception_weights={str(path)!r} takes {model.input_shape}; {_WANTED}")
    order = _both({index: output.shape for index, output in enumerate(outputs)}, path)
    network = keras.Model(model.inputs, [outputs[index] for index in order])
    return lambda pixels: tuple(network.predict_on_batch(pixels))


def _saved_model(path: Path) -> Callable[[np.ndarray], tuple[Any, Any]]:
    import tensorflow as tf  # the format is TensorFlow's

    try:
        serve = tf.saved_model.load(str(path)).signatures["serving_default"]
    except (OSError, KeyError) as error:
        raise ValueError(f"inception_weights={str(path)!r} is no SavedModel that serves: {error}") from error
    pooled, classes = _both(serve.structured_outputs, path)
    (argument,) = serve.structured_input_signature[1]

    def answer(pixels: np.ndarray) -> tuple[Any, Any]:
        said = serve(**{argument: tf.constant(pixels)})
        return said[pooled].numpy(), said[classes].numpy()

    answer.kept = serve  # type: ignore[attr-defined]  # its variables live as long as it does
    return answer


def _both(outputs: dict[Any, Any], path: Path) -> tuple[Any, Any]:
    """Finds the pooled features and the classes among outputs by their shapes."""
    widths = {key: _width(getattr(output, "shape", output)) for key, output in outputs.items()}
    pooled = [key for key, width in widths.items() if width == POOLED]
    classes = [key for key, width in widths.items() if width in CLASSES]
    if len(pooled) != 1 or len(classes) != 1:
        given = ", ".join(str(width) for width in widths.values())
        raise ValueError(f"inception_weights={str(path)!r} gives outputs of {given} numbers; {_WANTED}")
    return pooled[0], classes[0]


def _width(shape: Any) -> int:
    return int(np.prod([side or 1 for side in tuple(shape)[1:]]))
