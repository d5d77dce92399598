"""Grounds without a product: crops of real photos beside it, plain colours and studio sweeps."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import cv2
import numpy as np

from pipeline.evaluation.cases import ALL, EMPTY, Case

_GRID = 32  # cells along the longer side in which free rectangles are looked for
_MARGIN = 0.02  # kept between product and crop, of the photo's longer side: soft edges, contact shadows
_ASPECT = 1.8  # longer crops tell nothing: no shop has such photos


@dataclasses.dataclass(frozen=True, eq=False)
class Ground:
    """A picture without a product.

    Attributes:
      id: what it was made of.
      group: the seller, for real ones.
      kind: ``real``, ``plain`` or ``sweep``.
      image: uint8 (h, w, 3), RGB.
    """

    id: str
    group: str
    kind: str
    image: np.ndarray


def free_rectangles(truth: np.ndarray, *, most: int = 3, least: float = 0.22) -> list[tuple[int, int, int, int]]:
    """Finds rectangles beside the product, the largest first and none over another.

    Args:
      truth: product pixels, bool (h, w).
      most: how many to look for.
      least: smallest side worth having, as a fraction of the frame's shorter one.

    Returns:
      Top, left, height, width of each in pixels; none longer than 1.8 times its breadth.
    """
    height, width = truth.shape
    cell = max(1, round(max(height, width) / _GRID))
    reach = 2 * round(_MARGIN * max(height, width)) + 1
    near = cv2.dilate(truth.astype(np.uint8), np.ones((reach, reach), np.uint8))
    rows, columns = height // cell, width // cell
    taken: np.ndarray = near[: rows * cell, : columns * cell].reshape(rows, cell, columns, cell).max(axis=(1, 3)) > 0
    found: list[tuple[int, int, int, int]] = []
    while len(found) < most:
        top, left, down, across = _largest_free(taken)
        if min(down, across) * cell < least * min(height, width):
            break
        taken[top : top + down, left : left + across] = True
        found.append((top * cell, left * cell, down * cell, across * cell))
    return found


def _largest_free(taken: np.ndarray) -> tuple[int, int, int, int]:
    """Tries every span of rows; between them the longest run of free columns counts, up to the aspect allowed."""
    rows, columns = taken.shape
    best, found = 0, (0, 0, 0, 0)
    for top in range(rows):
        blocked = np.zeros(columns, bool)
        for bottom in range(top, rows):
            blocked |= taken[bottom]
            if blocked.all():
                break
            stops = np.flatnonzero(np.concatenate([[True], blocked, [True]]))
            run = int(np.argmax(np.diff(stops)))
            down, across = bottom - top + 1, int(np.diff(stops)[run]) - 1
            across = min(across, int(_ASPECT * down))
            if down <= _ASPECT * across and down * across > best:
                best, found = down * across, (top, int(stops[run]), down, across)
    return found


def real_grounds(photos: Iterator[Case] | list[Case], *, most: int = 3) -> list[Ground]:
    """Cuts product-free crops out of photos with hand-drawn masks.

    Args:
      photos: with their truth; floors, beds, walls and cloths around it become grounds.
      most: crops of one photo.
    """
    grounds = []
    for photo in photos:
        for index, (top, left, height, width) in enumerate(free_rectangles(photo.truth, most=most)):
            crop = photo.image[top : top + height, left : left + width].copy()
            grounds.append(Ground(f"{photo.id}#{index}", photo.group, "real", crop))
    return grounds


def plain_ground(rng: np.random.Generator, shape: tuple[int, int], *, white: bool = False) -> np.ndarray:
    """Paints one colour under slightly uneven light, with a camera's grain.

    Args:
      rng: source of randomness.
      shape: height and width in pixels.
      white: whether it is near white.

    Returns:
      float32 (h, w, 3), 0..255, RGB.
    """
    colour = _colour(rng, white)
    light = rng.uniform(0.96 if white else 0.85, 1, (2, 2)).astype(np.float32)
    return _lit(rng, np.broadcast_to(colour, (*shape, 3)), light / light.max(), shape)


def sweep_ground(rng: np.random.Generator, shape: tuple[int, int], *, white: bool = False) -> np.ndarray:
    """Paints a studio sweep: paper that runs from a lit floor up a darker or lighter wall without an edge.

    Args:
      rng: source of randomness.
      shape: height and width in pixels.
      white: whether it is near white.

    Returns:
      float32 (h, w, 3), 0..255, RGB.
    """
    height = shape[0]
    colour = _colour(rng, white)
    wall = colour * (rng.uniform(0.93, 1.0) if white else rng.uniform(0.7, 1.1))
    bend, reach = rng.uniform(0.45, 0.75) * height, rng.uniform(0.1, 0.35) * height
    t = np.clip((np.arange(height, dtype=np.float32) - bend) / reach + 0.5, 0, 1)[:, None, None]
    t = t * t * (3 - 2 * t)
    ground = np.broadcast_to(wall + (colour - wall) * t, (*shape, 3))
    light = rng.uniform(0.95 if white else 0.8, 1, (3, 3)).astype(np.float32)
    return _lit(rng, ground, light / light.max(), shape)


def _colour(rng: np.random.Generator, white: bool) -> np.ndarray:
    if white:
        return np.clip(rng.uniform(236, 255) + rng.uniform(-3, 3, 3), 0, 255).astype(np.float32)
    if rng.random() < 0.5:
        return np.clip(rng.uniform(70, 250) + rng.uniform(-8, 8, 3), 0, 255).astype(np.float32)
    return rng.uniform(30, 250, 3).astype(np.float32)


def _lit(rng: np.random.Generator, ground: np.ndarray, light: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    field = cv2.resize(light, shape[::-1], interpolation=cv2.INTER_CUBIC)
    lit = ground.astype(np.float32) * field[..., None]
    lit += rng.normal(0, rng.uniform(0.3, 2.0), shape).astype(np.float32)[..., None]
    return np.clip(lit, 0, 255)


def empty_cases(grounds: list[Ground], *, painted: int, seed: int) -> Iterator[Case]:
    """Yields pictures in which nothing is on sale.

    Args:
      grounds: real ones.
      painted: how many plain grounds and sweeps to add, half of each.
      seed: of the painted ones.
    """
    for ground in grounds:
        yield _empty(ground)
    for index in range(painted):
        rng = np.random.default_rng([seed, 7, index])
        shape = ((640, 480), (480, 640), (512, 512))[index % 3]
        white = rng.random() < 0.3
        kind, paint = ("plain", plain_ground) if index % 2 else ("sweep", sweep_ground)
        image = paint(rng, shape, white=white).round().astype(np.uint8)
        yield _empty(Ground(f"{kind}-{index}", f"{kind}-{index}", kind, image))


def _empty(ground: Ground) -> Case:
    names = {"real": "crops of real photos", "plain": "plain grounds", "sweep": "studio sweeps"}
    truth = np.zeros(ground.image.shape[:2], np.uint8)
    return Case(ground.id, EMPTY, ground.group, ground.image, truth, (ALL, names[ground.kind]))
