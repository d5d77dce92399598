"""Box-shaped goods as surfaces: cartons and books."""

from __future__ import annotations

import numpy as np

from pipeline.samples import lettering, palette
from pipeline.samples.surfaces import Surface, lathe, turned


def _block(
    w: float, d: float, h: float, rounding: float, art: dict[str, np.ndarray], gloss: float, rough: float
) -> list[Surface]:
    """Returns a box with rounded vertical edges and a bevelled top; ``art`` gives front, side and top."""
    corners = 40.0 if rounding < 0.25 else 12.0
    bevel = rounding
    steps = [
        (w / 2 - bevel, 0.0),
        (w / 2, bevel),
        (w / 2, h - bevel),
        (w / 2 - 0.3 * bevel, h - 0.3 * bevel),
        (w / 2 - bevel, h),
    ]
    dense = np.concatenate(
        [np.linspace(a, b, 9)[:-1] for a, b in zip(steps[:-1], steps[1:], strict=True)] + [steps[-1:]]
    )
    segments = 160
    body = lathe(dense, segments, d / w, corners)
    # Resample so that the columns follow the perimeter: the art then lies undistorted on each side.
    ring = body[len(body) // 2]
    length = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(ring, axis=0), axis=1))])
    at = np.linspace(0, length[-1], segments + 1)
    index = np.interp(at, length, np.arange(segments + 1))
    low = np.minimum(index.astype(int), segments - 1)
    t = (index - low)[None, :, None]
    body = (body[:, low] * (1 - t) + body[:, low + 1] * t).astype(np.float32)
    # The seam is the middle of the back: half back, left side, front, right side, half back.
    height = 420
    scale = 1600 / (2 * (w + d))
    wide, deep = int(w * scale), int(d * scale)
    back, front, side = (_stretch(art[k], x, height) for k, x in (("side", wide), ("front", wide), ("side", deep)))
    wrap = np.concatenate([back[:, wide // 2 :], side, front, side, back[:, : wide // 2]], 1)
    u, v = np.linspace(-1, 1, 12), np.linspace(-1, 1, 12)
    lid = np.stack([*np.meshgrid(u * (w / 2 - bevel), v * (d / 2 - bevel)), np.full((12, 12), h)], -1).astype(
        np.float32
    )
    return [Surface(body, wrap[::-1], None, gloss, rough), Surface(lid, art["top"][::-1], None, gloss, rough)]


def _stretch(image: np.ndarray, width: int, height: int) -> np.ndarray:
    rows = (np.arange(height) * image.shape[0] // height)[:, None]
    columns = (np.arange(max(1, width)) * image.shape[1] // max(1, width))[None, :]
    return image[rows, columns]


def carton(rng: np.random.Generator, tone: str | None = None) -> list[Surface]:
    """Printed carton, shoe box or plain cardboard box."""
    w, d, h = rng.uniform(8, 22), rng.uniform(6, 16), rng.uniform(7, 26)
    if tone is None and rng.random() < 0.25:
        ground = palette.linear((176, 138, 98)) * rng.uniform(0.85, 1.1)
        art = {side: np.tile(ground, (420, 420, 1)).astype(np.float32) for side in ("front", "side", "top")}
        art["top"][195:225] = palette.linear((198, 168, 122))
    else:
        ground = palette.toned(rng, tone)
        front = lettering.design(rng, 420, 420, ground)
        art = {
            "front": front,
            "side": lettering.design(rng, 420, 420, ground),
            "top": lettering.design(rng, 420, 420, ground),
        }
    turn = rng.uniform(-0.7, 0.7)
    parts = _block(w, d, h, rng.uniform(0.06, 0.2), art, 0.04, rng.choice([0.3, 0.7]))
    for part in parts:
        part.points = turned(part.points, turn)
    return parts


def book(rng: np.random.Generator, tone: str | None = None) -> list[Surface]:
    """One to three books lying on one another."""
    parts, z = [], 0.0
    for k in range(int(rng.choice([1, 1, 2, 3]))):
        w, d, h = rng.uniform(12, 17), rng.uniform(18, 24), rng.uniform(1.2, 3.8)
        cover = lettering.design(rng, 360, 480, palette.toned(rng, tone) if tone else None)
        edge = np.broadcast_to(palette.linear((226, 216, 194)), (60, 400, 3)).astype(np.float32).copy()
        edge *= (1 + 0.12 * rng.standard_normal((60, 1))).astype(np.float32)[..., None]
        edge[:5] = edge[-5:] = cover[0, 0]
        art = {"front": edge, "side": edge, "top": cover}
        turn, shift = rng.uniform(-0.5, 0.5), rng.normal(0, 0.8 if k else 0, 2)
        for part in _block(w, d, h, 0.12, art, 0.045, 0.25):
            part.points = turned(part.points, turn, (shift[0], shift[1], z))
            parts.append(part)
        z += h
    return parts
