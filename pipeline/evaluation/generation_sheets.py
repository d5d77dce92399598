"""Contact sheets of generated pictures: by category, beside their nearest training pictures, and on the way between."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from models.articles import Articles
from models.metrics.memorisation import Memorisation
from pipeline.evaluation.generators import Generated, Generator
from pipeline.evaluation.sheets import write_tiles

_SIDE = 112  # of a tile, pixels
_ACROSS = 10  # samples of a category
_NEIGHBOURS = 30  # generated pictures with theirs: the nearest, and some in the middle
_STEPS = 9  # of an interpolation
_WAYS = 10  # interpolations


def tile(image: np.ndarray, label: str = "") -> np.ndarray:
    """Enlarges or shrinks a picture to a tile, with a line of text."""
    method = cv2.INTER_CUBIC if len(image) < _SIDE else cv2.INTER_AREA
    drawn = np.full((_SIDE + 12, _SIDE + 4, 3), 255, np.uint8)
    drawn[:_SIDE, 2:-2] = cv2.resize(image, (_SIDE, _SIDE), interpolation=method)
    if label:
        cv2.putText(drawn, label[:18], (3, _SIDE + 9), cv2.FONT_HERSHEY_SIMPLEX, 0.34, (0, 0, 0), 1, cv2.LINE_AA)
    return drawn


def write_samples(path: Path, generated: Generated, category_names: tuple[str, ...]) -> None:
    """Writes the first samples of each category, a row each; of all alike where no category was asked for."""
    tiles = []
    for number in sorted(set(generated.categories.tolist())):
        chosen = np.flatnonzero(generated.categories == number)[: _ACROSS if number >= 0 else _ACROSS * _ACROSS]
        name = category_names[number] if number >= 0 else ""
        row = [tile(generated.images[i], name) for i in chosen]
        tiles += row + [tile(np.full((8, 8, 3), 255, np.uint8))] * (-len(row) % _ACROSS)
    write_tiles(path, tiles, _ACROSS)


def write_neighbours(path: Path, generated: Generated, train: Articles, memorised: dict[str, Memorisation]) -> None:
    """Writes generated pictures beside the nearest training picture by each comparison, most suspicious first."""
    blank = np.full((_SIDE + 12, 6, 3), 255, np.uint8)
    entries = []
    for i in suspects(memorised):
        pair = [tile(generated.images[i], "generated")]
        for name, one in memorised.items():
            near = one.distances[i] / one.threshold if one.threshold else np.inf
            pair.append(tile(train.images[one.positions[i]], f"{name} {near:.2f}"))
        entries.append(np.hstack([*pair, blank]))
    write_tiles(path, entries, 3)


def suspects(memorised: dict[str, Memorisation]) -> np.ndarray:
    """Returns the pictures to look at: half the nearest to training by any comparison, half in the middle."""
    nearness = np.min([one.distances / max(one.threshold, 1e-12) for one in memorised.values()], axis=0)
    order = np.argsort(nearness, kind="stable")
    half = min(_NEIGHBOURS, len(order)) // 2
    middle = order[len(order) // 2 :][: min(_NEIGHBOURS, len(order)) - half]
    return np.concatenate([order[:half], middle])


def between(start: np.ndarray, end: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Goes from one latent to another along the sphere, where a Gaussian's draws lie (White 2016).

    Args:
      start, end: float (d,).
      share: float (n,), 0..1.

    Returns:
      float32 (n, d).
    """
    lengths = np.linalg.norm(start), np.linalg.norm(end)
    angle = np.arccos(np.clip(start @ end / max(lengths[0] * lengths[1], 1e-12), -1, 1))
    share = share[:, None]
    if np.sin(angle) < 1e-6:
        return np.asarray((1 - share) * start + share * end, np.float32)
    return np.asarray((np.sin((1 - share) * angle) * start + np.sin(share * angle) * end) / np.sin(angle), np.float32)


def write_interpolations(path: Path, generator: Generator, *, seed: int = 0) -> None:
    """Writes ways from one latent to another, a row each, the category and colour staying."""
    tiles = []
    for way in range(_WAYS):
        ends = generator.latents(np.array([2 * way, 2 * way + 1], np.uint64) + np.uint64(seed << 32))
        z = between(ends[0], ends[1], np.linspace(0, 1, _STEPS))
        category, colour = way % len(generator.category_names), way % len(generator.colour_names)
        images = generator.from_latents(z, np.full(_STEPS, category, np.int32), np.full(_STEPS, colour, np.int32))
        label = f"{generator.category_names[category]} {generator.colour_names[colour]}"
        tiles += [tile(image, label if i == 0 else "") for i, image in enumerate(images)]
    write_tiles(path, tiles, _STEPS)
