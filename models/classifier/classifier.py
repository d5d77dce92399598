"""A trained classifier as it is used: probabilities of categories and colours, and features of pictures."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

import keras
import numpy as np

from models.articles import COLOUR_NAMES
from models.saving import COARSE, read_description, save_compactly

_WEIGHTS = Path(__file__).parent / "weights"
_BATCH = 256


@dataclasses.dataclass(frozen=True)
class ClassifierOutput:
    """What a classifier says of some pictures.

    Attributes:
      probabilities: float32 (n, categories), rows that sum to 1.
      colours: float32 (n, colours), likewise, of the main colour.
      features: float32 (n, d), what both are read from.
    """

    probabilities: np.ndarray
    colours: np.ndarray
    features: np.ndarray


class Classifier:
    """A classifier of catalogue pictures; ``load`` makes one.

    Attributes:
      size: side of the square pictures that it takes, pixels.
      category_names, colour_names: what the columns of its probabilities mean.
      name: of its file, without ending.
      sha256: of its file.
    """

    def __init__(self, network: keras.Model, category_names: tuple[str, ...], name: str, sha256: str):
        self.size: int = network.input_shape[1]
        self.category_names, self.colour_names = category_names, COLOUR_NAMES
        self.name, self.sha256 = name, sha256
        self._network = network

    @classmethod
    def load(cls, name_or_path: str | Path = "article-classifier") -> Classifier:
        """Reads a classifier that comes with Packshot, by name, or any ``.keras`` file that ``save_classifier`` wrote.

        Raises:
          ValueError: there is no such file, or it holds no classifier.
        """
        path = Path(name_or_path)
        if not path.suffix:
            path = _WEIGHTS / f"{name_or_path}.keras"
        if not path.is_file():
            shipped = ", ".join(sorted(file.stem for file in _WEIGHTS.glob("*.keras"))) or "none"
            raise ValueError(f"there is no classifier {str(name_or_path)!r}; give a .keras file, or one of {shipped}")
        categories = read_description(path).get("category_names")
        if not categories:
            raise ValueError(f"{str(path)!r} names no categories; give a file that packshot train classifier wrote")
        network = keras.models.load_model(path, compile=False)
        return cls(network, tuple(categories), path.stem, hashlib.sha256(path.read_bytes()).hexdigest())

    def outputs(self, images: np.ndarray) -> ClassifierOutput:
        """Looks at pictures.

        Args:
          images: uint8 or float32 0..255, shape (n, size, size, 3), RGB.

        Raises:
          ValueError: the pictures are of another shape.
        """
        if images.ndim != 4 or images.shape[1:] != (self.size, self.size, 3):
            raise ValueError(
                f"pictures of shape {images.shape} were given to {self.name}; they must be (n, {self.size}, "
                f"{self.size}, 3)"
            )
        found: dict[str, list[np.ndarray]] = {name: [] for name in ("category", "colour", "features")}
        for start in range(0, len(images), _BATCH):
            batch = images[start : start + _BATCH].astype(np.float32)
            # few shapes of batches, so that little is compiled
            missing = (1 << (len(batch) - 1).bit_length()) - len(batch)
            padded = np.concatenate([batch, np.zeros((missing, *batch.shape[1:]), np.float32)])
            said = self._network.predict_on_batch(padded)
            for name, parts in found.items():
                parts.append(np.asarray(said[name])[: len(batch)])
        empty = {name: np.zeros((0, self._network.output[name].shape[-1]), np.float32) for name in found}
        whole = {name: np.concatenate(parts) if parts else empty[name] for name, parts in found.items()}
        return ClassifierOutput(_softmax(whole["category"]), _softmax(whole["colour"]), whole["features"])

    def features_and_probabilities(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns both, as ``models.metrics.generation.Extractor`` has it; arguments as for ``outputs``."""
        output = self.outputs(images)
        return output.features, output.probabilities

    def probabilities(self, images: np.ndarray) -> np.ndarray:
        """Returns float32 (n, categories), rows that sum to 1; arguments as for ``outputs``."""
        return self.outputs(images).probabilities

    def features(self, images: np.ndarray) -> np.ndarray:
        """Returns float32 (n, d), at least 0; arguments as for ``outputs``."""
        return self.outputs(images).features


def _softmax(logits: np.ndarray) -> np.ndarray:
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True), np.float32)


def save_classifier(network: keras.Model, path: Path, category_names: tuple[str, ...]) -> None:
    """Writes a classifier with the names of its categories to a ``.keras`` file.

    Args:
      network: as ``build_network`` makes it.
      path: of the file.
      category_names: in the order of its logits.
    """
    save_compactly(network, path, {"category_names": list(category_names)}, mantissa=COARSE)
