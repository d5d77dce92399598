"""An exported autoencoder: latents and pictures by LiteRT."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np

_NEEDED = {"reconstruct", "decode"}


class LiteRtCodec:
    """A ``.tflite`` file of ``models.vae.export`` on the LiteRT interpreter; one call at a time.

    Args:
      content: the file's bytes.
      threads: CPU threads of a call.

    Attributes:
      size: side of the square picture in pixels.
      latent: dimensions of the latent space.

    Raises:
      ValueError: the bytes are no such model.
    """

    def __init__(self, content: bytes, threads: int = 1):
        from ai_edge_litert.interpreter import Interpreter

        try:
            interpreter = Interpreter(model_content=content, num_threads=threads)
        except ValueError as error:
            raise ValueError(f"it is no LiteRT model ({' '.join(str(error).split())[:200]})") from error
        signatures = interpreter.get_signature_list()
        if not signatures.keys() >= _NEEDED:
            raise ValueError(f"it has the signatures {sorted(signatures)}; an autoencoder has {sorted(_NEEDED)}")
        self._interpreter = interpreter  # the runners below do not keep it
        self._reconstruct = interpreter.get_signature_runner("reconstruct")
        self._decode = interpreter.get_signature_runner("decode")
        self._lock = threading.Lock()
        self.size = int(self._reconstruct.get_input_details()["image"]["shape"][1])
        self.latent = int(self._decode.get_input_details()["latent"]["shape"][1])

    @classmethod
    def load(cls, path: str | Path, threads: int = 1) -> LiteRtCodec:
        """Reads a file.

        Raises:
          ValueError: it is no exported autoencoder; it is named.
          OSError: it cannot be read.
        """
        try:
            return cls(Path(path).read_bytes(), threads)
        except ValueError as error:
            raise ValueError(f"autoencoder {str(path)!r} cannot be read: {error}") from error

    def reconstruct(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Encodes pictures and decodes them again.

        Args:
          images: uint8 (n, size, size, 3), RGB.

        Returns:
          The posteriors' means, float32 (n, latent), and the reconstructions, uint8 (n, size, size, 3).
        """
        latents = np.empty((len(images), self.latent), np.float32)
        made = np.empty((len(images), self.size, self.size, 3), np.uint8)
        with self._lock:
            for index in range(len(images)):
                answer = self._reconstruct(image=images[index : index + 1])
                latents[index], made[index] = answer["latent"][0], answer["image"][0]
        return latents, made

    def encode(self, images: np.ndarray) -> np.ndarray:
        """Returns the first of what ``reconstruct`` does."""
        return self.reconstruct(images)[0]

    def decode(self, latents: np.ndarray) -> np.ndarray:
        """From float32 (n, latent) to uint8 (n, size, size, 3), RGB."""
        made = np.empty((len(latents), self.size, self.size, 3), np.uint8)
        with self._lock:
            for index in range(len(latents)):
                made[index] = self._decode(latent=latents[index : index + 1].astype(np.float32))["image"][0]
        return made
