"""Cut-outs set on grounds where they never stood: pictures whose alpha and colours are known exactly.

Every picture is ``alpha * foreground + (1 - alpha) * ground``, rounded once. Shadows are part of the ground.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import cv2
import numpy as np

from pipeline.evaluation.cases import ALL, Case, appearance
from pipeline.evaluation.cutouts import CutOut
from pipeline.evaluation.grounds import Ground, plain_ground, sweep_ground

REAL, PLAIN, SWEEP, WHITE = "real ground", "plain ground", "sweep", "white on white"
# one round of kinds: shares hold for any count
_ROUND = (REAL, WHITE, PLAIN, REAL, SWEEP, REAL, WHITE, PLAIN, REAL, SWEEP)
_LONGEST = 640
_ENLARGED = 2.5  # crops are not enlarged more than this: a blurred ground gives the product away
_LIGHT = 80.0  # CIELAB lightness from which a product counts as white enough by itself


def composite_cases(
    name: str, cut_outs: Sequence[CutOut], grounds: Sequence[Ground], *, count: int, seed: int
) -> Iterator[Case]:
    """Yields composites; every cut-out is used before one is used again.

    Args:
      name: of the set.
      cut_outs: at least one.
      grounds: real ones, at least one.
      count: of composites.
      seed: the same seed gives the same pictures.

    Raises:
      ValueError: there is no cut-out or no ground.
    """
    if not cut_outs or not grounds:
        raise ValueError(f"composites need cut-outs and grounds; there are {len(cut_outs)} and {len(grounds)}")
    order = np.random.default_rng([seed, 1]).permutation(len(cut_outs))
    for index in range(count):
        rng = np.random.default_rng([seed, 2, index])
        cut_out = cut_outs[order[index % len(cut_outs)]]
        # shifted every time around, so that a product meets other kinds of ground
        kind = _ROUND[(index + index // len(cut_outs)) % len(_ROUND)]
        yield _compose(rng, f"{index:04d} {cut_out.id}", name, cut_out, kind, grounds)


def _compose(
    rng: np.random.Generator, id: str, name: str, cut_out: CutOut, kind: str, grounds: Sequence[Ground]
) -> Case:
    if kind == REAL:
        others = [ground for ground in grounds if ground.group not in (cut_out.source, cut_out.id)] or list(grounds)
        ground = _enlarged(_trimmed(rng, others[rng.integers(len(others))].image))
    else:
        shape = _frame(rng, cut_out)
        paint = plain_ground if kind == PLAIN or (kind == WHITE and rng.random() < 0.5) else sweep_ground
        ground = paint(rng, shape, white=kind == WHITE)
    foreground, alpha = _placed(rng, cut_out, ground.shape[:2], upright=kind == SWEEP)
    if kind == WHITE:
        foreground = _whitened(rng, foreground, alpha)
    elif kind == REAL:
        # a studio's product in a dim bedroom looks pasted: half of the way to the room's exposure
        foreground = foreground * np.clip((ground.mean() / 150) ** 0.5, 0.65, 1.0)
    foreground = foreground + rng.normal(0, rng.uniform(0.3, 2.0), alpha.shape).astype(np.float32)[..., None]
    foreground = np.clip(foreground, 0, 255).round()
    ground = _shaded(rng, ground, alpha, always=kind == WHITE)
    share = np.float32(1 / 255) * alpha[..., None]
    image = np.clip(share * foreground + (1 - share) * ground + 0.5, 0, 255).astype(np.uint8)
    slices = (ALL, kind, *cut_out.slices, *appearance(image, alpha > 127))
    return Case(
        id=id,
        set=name,
        group=cut_out.id,
        image=image,
        alpha=alpha,
        slices=slices,
        soft=True,
        foreground=foreground.astype(np.uint8),
    )


def _frame(rng: np.random.Generator, cut_out: CutOut) -> tuple[int, int]:
    """Draws height and width of a painted ground: a small product would be lost in a large one."""
    _, _, across, down = cv2.boundingRect((cut_out.alpha > 2).astype(np.uint8))
    longest = int(np.clip(1.7 * max(across, down), 320, _LONGEST))
    height, width = ((1.0, 0.75), (0.75, 1.0), (0.88, 0.88))[rng.integers(3)]
    return round(longest * height), round(longest * width)


def _trimmed(rng: np.random.Generator, crop: np.ndarray) -> np.ndarray:
    """Takes a part no longer than 4:3, as photos are."""
    height, width = crop.shape[:2]
    rows, columns = min(height, round(4 / 3 * width)), min(width, round(4 / 3 * height))
    top, left = rng.integers(height - rows + 1), rng.integers(width - columns + 1)
    return crop[top : top + rows, left : left + columns]


def _enlarged(crop: np.ndarray) -> np.ndarray:
    scale = min(_ENLARGED, _LONGEST / max(crop.shape[:2]))
    method = cv2.INTER_CUBIC if scale > 1 else cv2.INTER_AREA
    return np.clip(cv2.resize(crop.astype(np.float32), None, fx=scale, fy=scale, interpolation=method), 0, 255)


def _placed(
    rng: np.random.Generator, cut_out: CutOut, shape: tuple[int, int], *, upright: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Moves a cut-out into the frame; returns its colours, float32 (h, w, 3), and its alpha, uint8 (h, w)."""
    height, width = shape
    left, top, across, down = cv2.boundingRect((cut_out.alpha > 2).astype(np.uint8))
    angle = 0.0 if upright else float(rng.normal(0, 8))
    turn = np.radians(angle)
    box = (
        across * abs(np.cos(turn)) + down * abs(np.sin(turn)),
        across * abs(np.sin(turn)) + down * abs(np.cos(turn)),
    )
    scale = min(1.0, rng.uniform(0.55, 0.92) * min(width / box[0], height / box[1]))
    colours, alpha = cut_out.foreground, cut_out.alpha
    if scale < 1:  # averaged first: sampling a large picture sparsely would make its edge jagged
        size = (max(1, round(alpha.shape[1] * scale)), max(1, round(alpha.shape[0] * scale)))
        colours, alpha = (cv2.resize(plane, size, interpolation=cv2.INTER_AREA) for plane in (colours, alpha))
    centre = np.array([left + across / 2, top + down / 2]) * scale
    slack = np.maximum(0, np.array([width, height]) - np.array(box) * scale) / 2
    target = np.array([width, height]) / 2 + rng.uniform(-0.8, 0.8, 2) * slack
    matrix = cv2.getRotationMatrix2D((float(centre[0]), float(centre[1])), angle, 1.0)
    if rng.random() < 0.5:
        matrix = matrix @ np.array([[-1, 0, 2 * centre[0]], [0, 1, 0], [0, 0, 1]])
    matrix[:, 2] += target - centre
    colours = cv2.warpAffine(
        colours, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    ).astype(np.float32)
    return colours, cv2.warpAffine(alpha, matrix, (width, height), flags=cv2.INTER_LINEAR)


def _whitened(rng: np.random.Generator, colours: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Makes a white product of one that is not: its folds and prints stay, fainter."""
    pixels = colours[alpha > 127]
    if not len(pixels):
        return colours
    lightness = cv2.cvtColor(pixels[None] / 255, cv2.COLOR_RGB2LAB)[0, :, 0]
    if float(np.median(lightness)) >= _LIGHT:
        return colours
    grey = colours.mean(axis=2, keepdims=True)
    pale = grey + 0.3 * (colours - grey)
    low = np.percentile(pale[alpha > 127], 5)
    contrast = rng.uniform(20, 55) / max(255 - low, 1)
    return 255 - rng.uniform(0, 12) - (255 - np.maximum(pale, low)) * contrast


def _shaded(rng: np.random.Generator, ground: np.ndarray, alpha: np.ndarray, *, always: bool) -> np.ndarray:
    """Darkens the ground by a contact shadow and perhaps a cast one."""
    if not always and rng.random() < 0.15:
        return ground
    unit = max(alpha.shape) / 640
    soft = alpha.astype(np.float32) / 255
    near = cv2.GaussianBlur(soft, (0, 0), unit * rng.uniform(2, 6)) * rng.uniform(0.15, 0.4)
    shadow = near
    if rng.random() < 0.6:
        angle, distance = rng.uniform(0, np.pi), unit * rng.uniform(5, 22)
        shift = np.array([[1, 0, distance * np.cos(angle)], [0, 1, distance * np.sin(angle)]])
        cast = cv2.GaussianBlur(cv2.warpAffine(soft, shift, soft.shape[::-1]), (0, 0), unit * rng.uniform(4, 14))
        shadow = np.maximum(near, cast * rng.uniform(0.15, 0.45))
    return ground * (1 - shadow[..., None])
