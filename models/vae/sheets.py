"""Sheets of pictures by which a person sees what the autoencoder has learnt."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

_GAP = 2


class Codec(Protocol):
    """What makes latents of pictures and pictures of latents."""

    latent: int

    def encode(self, images: np.ndarray) -> np.ndarray:
        """From uint8 (n, size, size, 3), RGB, to the posteriors' means, float32 (n, latent)."""
        ...

    def decode(self, latents: np.ndarray) -> np.ndarray:
        """From float32 (n, latent) to uint8 (n, size, size, 3), RGB."""
        ...


def write_grid(path: Path, rows: list[np.ndarray]) -> None:
    """Writes pictures as one PNG.

    Args:
      path: of the file; its folder is made.
      rows: uint8 (n, size, size, 3), RGB, of one size and length.
    """
    lines = []
    for row in rows:
        padded = np.pad(row, ((0, 0), (0, _GAP), (0, _GAP), (0, 0)), constant_values=255)
        lines.append(np.concatenate(list(padded), axis=1))
    path.parent.mkdir(parents=True, exist_ok=True)
    if not cv2.imwrite(str(path), cv2.cvtColor(np.concatenate(lines), cv2.COLOR_RGB2BGR)):
        raise OSError(f"{str(path)!r} could not be written")


def reconstruction_sheet(path: Path, codec: Codec, images: np.ndarray, across: int = 16) -> None:
    """Writes pictures, each above what the autoencoder makes of it; arguments as for ``write_grid``."""
    made = codec.decode(codec.encode(images))
    rows = []
    for start in range(0, len(images) - len(images) % across or len(images), across):
        rows += [images[start : start + across], made[start : start + across]]
    write_grid(path, rows)


def sample_sheet(path: Path, codec: Codec, count: int = 96, across: int = 16, seed: int = 0) -> None:
    """Writes what the decoder makes of draws from the normal distribution."""
    made = codec.decode(np.random.default_rng(seed).normal(size=(count, codec.latent)).astype(np.float32))
    write_grid(path, [made[start : start + across] for start in range(0, count, across)])


def interpolation_sheet(path: Path, codec: Codec, images: np.ndarray, across: int = 12) -> None:
    """Writes the ways between two pictures each, along a great circle of the latent space.

    Args:
      path: of the file.
      codec: the autoencoder.
      images: uint8 (2n, size, size, 3): pairs of ends.
      across: pictures of a way, with the two originals at its ends.
    """
    latents = codec.encode(images)
    rows = []
    for index in range(0, len(images) - 1, 2):
        way = codec.decode(between(latents[index], latents[index + 1], across - 2))
        rows.append(np.concatenate([images[index : index + 1], way, images[index + 1 : index + 2]]))
    write_grid(path, rows)


def between(first: np.ndarray, second: np.ndarray, count: int) -> np.ndarray:
    """Returns points between two latents (Shoemake, SIGGRAPH 1985): a straight line would leave where latents lie.

    Args:
      first, second: float32 (latent,).
      count: points, both ends among them.

    Returns:
      float32 (count, latent).
    """
    cosine = np.dot(first, second) / max(1e-9, np.linalg.norm(first) * np.linalg.norm(second))
    angle = float(np.arccos(np.clip(cosine, -1, 1)))
    share = np.linspace(0, 1, count)[:, None]
    if np.sin(angle) < 1e-3:
        return ((1 - share) * first + share * second).astype(np.float32)
    points = np.sin((1 - share) * angle) * first + np.sin(share * angle) * second
    return (points / np.sin(angle)).astype(np.float32)
