"""Drawing articles from a trained generator."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path

import keras
import numpy as np

import models.gan.network  # noqa: F401  # registers the layers that a generator's file names


@dataclasses.dataclass(frozen=True)
class Sampler:
    """A generator and what it can draw.

    Attributes:
      network: of ``models.gan.network.build_generator``.
      category_names, colour_names: what the labels mean, in order.
      name: of the generator.
      sha256: of its file, or empty for one in memory.
      discriminator: that was trained with it, if it lies beside it.
    """

    network: keras.Model
    category_names: tuple[str, ...]
    colour_names: tuple[str, ...]
    name: str
    sha256: str = ""
    discriminator: keras.Model | None = None

    @property
    def size(self) -> int:
        """Side of the pictures in pixels."""
        return self.network.output_shape[1]

    @property
    def latent(self) -> int:
        """How many numbers a picture is drawn from."""
        return self.network.input_shape[0][1]

    @classmethod
    def load(cls, path: str | Path) -> Sampler:
        """Loads a generator that ``packshot train gan`` wrote: ``.keras``, with a ``.json`` of its labels beside it.

        Raises:
          ValueError: the file is missing or is none.
        """
        file = Path(path)
        try:
            labels = json.loads(file.with_suffix(".json").read_text(encoding="utf-8"))
            network = keras.models.load_model(file, compile=False)
            beside = discriminator_path(file)
            discriminator = keras.models.load_model(beside, compile=False) if beside.is_file() else None
        except (OSError, ValueError) as error:
            reason = " ".join(str(error).split())[:200]
            raise ValueError(
                f"{str(path)!r} is no generator of packshot train gan, a .keras file with a .json beside it: {reason}"
            ) from error
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        return cls(network, tuple(labels["categories"]), tuple(labels["colours"]), file.stem, digest, discriminator)

    def latents(self, seeds: np.ndarray) -> np.ndarray:
        """Returns the latent of each seed: uint64 (n,) to float32 (n, latent), standard normal."""
        drawn = [np.random.default_rng(int(seed)).standard_normal(self.latent, np.float32) for seed in seeds]
        return np.stack(drawn) if drawn else np.zeros((0, self.latent), np.float32)

    def from_latents(
        self, latents: np.ndarray, categories: np.ndarray, colours: np.ndarray, *, batch_size: int = 64
    ) -> np.ndarray:
        """Draws pictures.

        Args:
          latents: float32 (n, latent).
          categories, colours: int (n,), positions in the names.
          batch_size: pictures at a time. A last smaller batch is filled up, so that a picture does not depend on how
            many are asked for.

        Returns:
          uint8 (n, size, size, 3), RGB.

        Raises:
          ValueError: there is no such category or colour.
        """
        for name, values, names in (
            ("category", categories, self.category_names), ("colour", colours, self.colour_names),
        ):  # fmt: skip
            if len(values) and not 0 <= int(np.min(values)) <= int(np.max(values)) < len(names):
                raise ValueError(f"{name} {int(np.max(values))} is none of the {len(names)} that {self.name!r} knows")
        drawn = []
        for start in range(0, len(latents), batch_size):
            part = slice(start, start + batch_size)
            inputs = [latents[part], np.asarray(categories[part], np.int32), np.asarray(colours[part], np.int32)]
            count = len(inputs[0])
            filled = [np.concatenate([values, np.repeat(values[-1:], batch_size - count, axis=0)]) for values in inputs]
            picture = self.network.predict_on_batch(filled)[:count]
            drawn.append(np.clip(np.rint(picture * 127.5 + 127.5), 0, 255).astype(np.uint8))
        return np.concatenate(drawn) if drawn else np.zeros((0, self.size, self.size, 3), np.uint8)

    def sample(self, seeds: np.ndarray, categories: np.ndarray, colours: np.ndarray) -> np.ndarray:
        """Draws a picture for each seed: uint64 (n,) and labels as above, to uint8 (n, size, size, 3)."""
        return self.from_latents(self.latents(seeds), categories, colours)

    def score(self, pictures: np.ndarray, categories: np.ndarray, colours: np.ndarray) -> np.ndarray:
        """Says how real pictures look to the discriminator, for their labels.

        Args:
          pictures: uint8 (n, size, size, 3).
          categories, colours: int (n,).

        Returns:
          float32 (n,), logits: higher for what looks more real.

        Raises:
          ValueError: the discriminator does not lie beside the generator.
        """
        if self.discriminator is None:
            raise ValueError(f"the discriminator of {self.name!r} is missing; it belongs beside the generator's file")
        scaled = pictures.astype(np.float32) / 127.5 - 1
        inputs = [scaled, np.asarray(categories, np.int32), np.asarray(colours, np.int32)]
        return np.asarray(self.discriminator.predict(inputs, batch_size=64, verbose=0))


def discriminator_path(generator: Path) -> Path:
    """Returns the place of the discriminator that was trained with a generator."""
    return generator.with_name(f"{generator.stem}-discriminator.keras")


def write_labels(path: Path, category_names: tuple[str, ...], colour_names: tuple[str, ...]) -> None:
    """Writes what a generator's labels mean beside its file."""
    names = {"categories": list(category_names), "colours": list(colour_names)}
    path.with_suffix(".json").write_text(json.dumps(names, indent=1) + "\n", encoding="utf-8")
