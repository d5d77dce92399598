"""Garments on straps, laid flat: tank tops and summer dresses."""

from __future__ import annotations

import numpy as np

from pipeline.samples import fabric, folds, outlines
from pipeline.samples.tailor import Goods, Tailor


def tank(rng: np.random.Generator, px: float, tone: str | None = None) -> Goods:
    """Sleeveless top on straps; thin straps leave openings."""
    return _strapped(rng, px, tone, dress=False)


def dress(rng: np.random.Generator, px: float, tone: str | None = None) -> Goods:
    """Summer dress on straps, gathered at the waist."""
    return _strapped(rng, px, tone, dress=True)


def _strapped(rng: np.random.Generator, px: float, tone: str | None, dress: bool) -> Goods:
    chest, top = rng.uniform(19, 24), rng.uniform(13, 17)
    length = rng.uniform(75, 92) if dress else rng.uniform(44, 54)
    tailor = Tailor(rng, (length + top + 4, 2 * (chest + (24 if dress else 9))), px)
    prints = {"floral": 0.28, "dots": 0.1, "stripes": 0.12, "leopard": 0.06, "tie_dye": 0.04}
    cloth = fabric.choose(rng, int(70 * px), px, tone, {"jersey": 0.5, "satin": 0.25, "poplin": 0.25}, prints)
    relief = tailor.wrinkles(cloth, 0.9)
    thin = rng.random() < 0.6
    strap_x, wide = chest * rng.uniform(0.42, 0.6), (rng.uniform(0.9, 1.6) if thin else rng.uniform(3.5, 5))
    if not thin:
        tailor.piece([(-strap_x - 2, 5), (0, 8), (strap_x + 2, 5), (chest * 0.8, top + 8, True),
            (-chest * 0.8, top + 8, True)],
                     cloth, darken=0.5)  # fmt: skip
    for side in (-1, 1):
        lean = rng.normal(0, 1.2)
        for back in (True, False):
            x = side * strap_x
            line = outlines.spline(
                [(x + side * (0.8 if back else -0.5), top + 3), (x + lean + side * 0.6, top * 0.45), (x + lean, 2.2)],
                closed=False,
            )
            tailor.piece(
                outlines.ribbon(line, wide), cloth, darken=0.75 if back else 1.0, lift=0.1, unevenness=0.05, occlude=0.4
            )
    waist = chest * rng.uniform(0.8, 0.92)
    hem = chest * (rng.uniform(1.5, 1.95) if dress else rng.uniform(0.98, 1.12))
    bottom = top + length
    front = tailor.piece(
        outlines.mirrored(
            [
                (0, top + rng.uniform(1, 5)), (strap_x * 0.6, top + 0.8), (strap_x + wide * 0.5, top - 0.6, True),
                (chest * 0.95, top + 8), (chest, top + 10, True), (waist, top + 27),
                (hem * 0.8 + waist * 0.2, top + 27 + 0.6 * (length - 27)),
                (hem, bottom - 2.5, True), (hem * 0.5, bottom), (0, bottom + 0.5),
            ]
        ),
        cloth, relief=relief, lift=0.1,
    )  # fmt: skip
    if dress:
        y0 = int((top + 25) * px)
        drape = folds.pleats(rng, (tailor.shape[0] - y0, tailor.shape[1]), int(rng.integers(6, 13)), 0.45, 0.8 * px)
        tailor.relief[y0:] += drape * front[y0:]
        tailor.seam(
            [(-waist * 1.03, top + 25.5), (0, top + 26.5), (waist * 1.03, top + 25.5)], within=front, depth=0.12
        )
    for inset in (1.3, 1.7):
        tailor.seam([(-hem, bottom - inset - 2.4), (-hem * 0.5, bottom - inset), (hem * 0.5, bottom - inset),
            (hem, bottom - inset - 2.4)],
                    depth=0.03, within=front)  # fmt: skip
    return tailor.finish(cloth)
