"""Small soft goods laid flat: beanies, socks, gloves, scarves, bags with handles, belts."""

from __future__ import annotations

import numpy as np

from pipeline.samples import fabric, folds, noise, outlines, palette
from pipeline.samples.tailor import Goods, Tailor


def beanie(rng: np.random.Generator, px: float, tone: str | None = None) -> Goods:
    """Knitted hat with a turned-up brim, sometimes a pompom."""
    wide, high = rng.uniform(10.5, 12.5), rng.uniform(15, 20)
    top = 8.0
    tailor = Tailor(rng, (high + 20, 2 * wide + 8), px)
    cloth = fabric.choose(rng, int(45 * px), px, tone, {"knit": 0.8, "fleece": 0.2}, {"stripes": 0.25})
    relief = tailor.wrinkles(cloth, 0.6)
    folds.fan(rng, relief, tailor.pixels([0, top + 1]), np.pi / 2, 0.5, 8, 11 * px, 0.5 * px)
    if rng.random() < 0.45:
        pom = fabric.fleece(rng, 400, px, palette.colour(rng) if tone is None else cloth.base)
        turn = np.linspace(0, 2 * np.pi, 90, endpoint=False)
        ball = np.stack([np.cos(turn), np.sin(turn)], 1) * (3.6 + rng.normal(0, 0.28, 90))[:, None] + (0.2, top - 2.2)
        tailor.piece(ball.astype(np.float32), pom, lift=1.0, edge=1.6, unevenness=0.1)
    crown = [
        (0, top),
        (wide * 0.55, top + 1.2),
        (wide * 0.93, top + 0.42 * high),
        (wide, top + high, True),
        (0, top + high + 0.8),
    ]
    tailor.piece(outlines.mirrored(crown), cloth, relief=relief, lift=0.5, edge=2.0)
    deep = rng.uniform(5.5, 7.5)
    brim = [(-wide - 0.4, top + high - deep, True), (0, top + high - deep + 0.9), (wide + 0.4, top + high - deep, True),
            (wide + 0.5, top + high + 0.6), (0, top + high + 1.6), (-wide - 0.5, top + high + 0.6)]  # fmt: skip
    tailor.ribbing(tailor.piece(brim, cloth, relief=relief, lift=0.5, edge=0.8), 0.0, rng.uniform(0.5, 0.9))
    if rng.random() < 0.6:
        tailor.label(rng.uniform(-5, 5), top + high - 0.4 * deep, 3.2, 1.8)
    return tailor.finish(cloth)


def socks(rng: np.random.Generator, px: float, tone: str | None = None) -> Goods:
    """A pair of socks, one partly on the other or side by side."""
    apart = rng.uniform(4, 13)
    tailor = Tailor(rng, (44, 62), px)
    prints = {"stripes": 0.35, "dots": 0.2, "floral": 0.05}
    cloth = fabric.choose(rng, int(45 * px), px, tone, {"jersey": 0.6, "knit": 0.4}, prints)
    trim = fabric.jersey(
        rng, 400, px, palette.contrasting(rng, cloth.base) if tone is None and rng.random() < 0.5 else cloth.base
    )
    tall = rng.uniform(10, 20)
    for x in (-apart, apart * 0.8):
        y, lean = 4 + rng.normal(0, 1.0), rng.normal(0, 0.6)
        relief = tailor.wrinkles(cloth, 0.55)
        foot = [(x - 4.4, y, True), (x + 4.4, y + 0.2, True), (x + 4.6 + lean, y + tall), (x + 9, y + tall + 7),
            (x + 16.5, y + tall + 8.5),
                (x + 18.5, y + tall + 12), (x + 15, y + tall + 15.4), (x + 4, y + tall + 15),
                (x - 4.2, y + tall + 12.8), (x - 5.2 + lean, y + tall + 5)]  # fmt: skip
        folds.fan(rng, relief, tailor.pixels([x + 4, y + tall + 5]), np.pi * 0.8, 0.5, 6, 8 * px, 0.4 * px)
        leg = tailor.piece(foot, cloth, angle=rng.normal(0, 0.05), relief=relief, lift=0.3, edge=0.8, occlude=0.45)
        cuff = [(x - 4.5, y - 0.3, True), (x + 4.5, y - 0.1, True), (x + 4.6, y + 3.4, True), (x - 4.5, y + 3.2, True)]
        tailor.ribbing(tailor.piece(cuff, trim, lift=0.12), 0.0)
        toe = outlines.fill(
            tailor.shape,
            tailor.pixels(
                outlines.spline(
                    [(x + 14.2, y + tall + 7), (x + 20, y + tall + 9), (x + 20, y + tall + 16), (x + 13, y + tall + 16)]
                )
            ),
        )
        heel = outlines.fill(
            tailor.shape,
            tailor.pixels(
                outlines.spline(
                    [(x - 6, y + tall + 6), (x + 0.5, y + tall + 9), (x - 1, y + tall + 16), (x - 7, y + tall + 14)]
                )
            ),
        )
        tailor.paint(np.maximum(toe, heel) * leg, trim.base, 0.9)
    return tailor.finish(cloth)


def gloves(rng: np.random.Generator, px: float, tone: str | None = None) -> Goods:
    """A pair of gloves or mittens."""
    mitten = rng.random() < 0.4
    tailor = Tailor(rng, (36, 52), px)
    cloth = fabric.choose(rng, int(45 * px), px, tone, {"knit": 0.5, "fleece": 0.2, "leather": 0.3}, {"stripes": 0.2})
    relief = tailor.wrinkles(cloth, 0.6)
    for side in (-1, 1):
        x, y = side * rng.uniform(9.5, 12), rng.uniform(4, 6)
        if mitten:
            hand = [
                (x - 5, y + 8),
                (x - 3.5, y + 1.5),
                (x, y),
                (x + 3.6, y + 1.6),
                (x + 5, y + 8),
                (x + 4.4, y + 19),
                (x + 4.2, y + 22, True),
                (x - 4.2, y + 22, True),
                (x - 4.4, y + 18),
            ]
            tailor.piece(hand, cloth, relief=relief, lift=0.5, edge=1.4)
        else:
            for k, (reach, lean) in enumerate(((6.6, -0.22), (8.2, -0.06), (7.8, 0.07), (6.0, 0.24))):
                root = np.array([x + side * (k - 1.5) * 2.15, y + 12])
                tip = root + reach * 1.25 * np.array([side * lean + rng.normal(0, 0.04), -1])
                line = outlines.spline(
                    [tuple(root + (0, 2)), tuple(0.5 * (root + tip) + rng.normal(0, 0.15, 2)), tuple(tip)], closed=False
                )
                wide = np.interp(np.linspace(0, 1, len(line)), [0, 0.8, 0.93, 1], [2.5, 2.25, 1.7, 0.5])
                tailor.piece(outlines.ribbon(line, wide), cloth, relief=relief, lift=0.4, edge=0.7, unevenness=0.05)
            hand = [
                (x - 4.5, y + 11),
                (x, y + 10.6),
                (x + 4.5, y + 11),
                (x + 4.3, y + 17),
                (x + 3.9, y + 22, True),
                (x - 3.9, y + 22, True),
                (x - 4.3, y + 17),
            ]
            tailor.piece(hand, cloth, relief=relief, lift=0.3, edge=1.2, occlude=0.15)
        thumb = outlines.spline(
            [(x - side * 2.5, y + 18), (x - side * 5.2, y + 13.5), (x - side * 6.2, y + 9.5)], closed=False
        )
        wide = np.interp(np.linspace(0, 1, len(thumb)), [0, 0.75, 0.93, 1], [3.6, 2.6, 2.0, 0.6])
        tailor.piece(
            outlines.ribbon(thumb, wide), cloth, angle=0.6, relief=relief, lift=0.35, edge=0.8, unevenness=0.05
        )
        cuff = [(x - 4.1, y + 21, True), (x + 4.1, y + 21, True), (x + 4.5, y + 27.5, True), (x - 4.5, y + 27.5, True)]
        band = tailor.piece(cuff, cloth, relief=relief, lift=0.25)
        if cloth.gloss < 0.1:
            tailor.ribbing(band, 0.0, 0.5)
    return tailor.finish(cloth)


def bag(rng: np.random.Generator, px: float, tone: str | None = None) -> Goods:
    """Tote bag or handbag, its handles standing off so that the ground shows through."""
    tote = rng.random() < 0.55
    wide = rng.uniform(15, 20) if tote else rng.uniform(12, 17)
    high = wide * (rng.uniform(1.9, 2.2) if tote else rng.uniform(1.2, 1.5))
    drop = rng.uniform(14, 24) if tote else rng.uniform(9, 15)
    tailor = Tailor(rng, (high + drop + 6, 2 * wide + 10), px)
    kinds = {"poplin": 0.8, "denim": 0.2} if tote else {"leather": 0.85, "satin": 0.15}
    cloth = fabric.choose(
        rng, int(45 * px), px, tone, kinds, {"stripes": 0.12, "floral": 0.12, "dots": 0.06, "leopard": 0.05}
    )
    strap = (
        cloth if rng.random() < 0.6 else fabric.leather(rng, 400, px, palette.colour(rng, "brown", "black", "camel"))
    )
    top = drop + 3
    relief = tailor.wrinkles(cloth, 1.0 if tote else 0.5)
    spread = wide * rng.uniform(0.42, 0.55)
    for back in (True, False):
        lean = rng.normal(0, 1.5)
        arch = [(-spread, top + 4), (-spread * 0.96 + 0.3 * lean, top - 0.45 * drop),
            (-spread * 0.4 + lean, top - drop * rng.uniform(0.85, 0.97)),
                (spread * 0.45 + lean, top - drop * rng.uniform(0.85, 0.97)),
                (spread * 0.97 + 0.3 * lean, top - 0.45 * drop), (spread, top + 4)]  # fmt: skip
        line = outlines.spline(arch, closed=False)
        handle = outlines.ribbon(line, rng.uniform(2.0, 2.8) if tote else rng.uniform(1.2, 1.9))
        tailor.piece(
            handle, strap, angle=0.3, lift=0.2, edge=0.5, unevenness=0.04, darken=0.75 if back else 1.0, occlude=0.45
        )
        if back:
            rim = [
                (-wide * 0.95, top, True),
                (0, top - 1.2),
                (wide * 0.95, top, True),
                (wide * 0.9, top + 3, True),
                (-wide * 0.9, top + 3, True),
            ]
            tailor.piece(rim, cloth, darken=0.5)
    low = top + high
    bulge = 1.0 if tote else rng.uniform(1.02, 1.14)
    body = [
        (0, top + 0.7),
        (wide * 0.96, top, True),
        (wide * bulge, top + 0.6 * high),
        (wide * 0.99, low - 1.5),
        (wide * 0.9, low, not tote),
        (0, low + 0.5),
    ]
    front = tailor.piece(
        outlines.mirrored(body), cloth, relief=relief, lift=0.3, edge=1.0 if tote else 2.2, unevenness=0.25
    )
    tailor.seam([(-wide, top + 3), (0, top + 3.6), (wide, top + 3)], within=front, depth=0.06)
    if tote:
        for side in (-1, 1):
            x = side * spread
            patch = [
                (x - 1.2, top + 0.2, True),
                (x + 1.2, top + 0.2, True),
                (x + 1.2, top + 5.2, True),
                (x - 1.2, top + 5.2, True),
            ]
            tailor.piece(patch, strap, lift=0.15, unevenness=0.04)
        if rng.random() < 0.6:
            turn = np.linspace(0, 2 * np.pi, 60, endpoint=False)
            for _ in range(rng.integers(1, 4)):
                blob = np.stack([np.cos(turn), np.sin(turn)], 1) * wide * rng.uniform(0.15, 0.5)
                blob = outlines.uneven(rng, blob.astype(np.float32), 6, 0.7) + (
                    rng.normal(0, 0.25) * wide,
                    top + high * rng.uniform(0.45, 0.65),
                )
                tailor.paint(
                    outlines.fill(tailor.shape, tailor.pixels(blob)) * front, palette.contrasting(rng, cloth.base), 0.9
                )
    else:
        depth = rng.uniform(0.42, 0.66) * high
        flap = [
            (-wide * 0.97, top, True),
            (0, top - 0.3),
            (wide * 0.97, top, True),
            (wide * 0.92, top + 0.7 * depth),
            (0, top + depth),
            (-wide * 0.92, top + 0.7 * depth),
        ]
        tailor.piece(flap, cloth, angle=0.2, lift=0.5, edge=0.8, unevenness=0.1, occlude=0.5)
        tailor.button(0, top + depth - 2.2, 1.3, palette.linear((196, 164, 96)))
        thread = cloth.base * 0.6
        tailor.topstitch(
            [
                (-wide * 0.87, top + 1),
                (-wide * 0.83, top + 0.66 * depth),
                (0, top + depth - 0.8),
                (wide * 0.83, top + 0.66 * depth),
                (wide * 0.87, top + 1),
            ],
            thread,
        )
    return tailor.finish(cloth)


def scarf(rng: np.random.Generator, px: float, tone: str | None = None) -> Goods:
    """A scarf folded once, with fringes."""
    wide, long = rng.uniform(12, 17), rng.uniform(55, 72)
    tailor = Tailor(rng, (long + 14, 2 * wide + 26), px)
    cloth = fabric.choose(
        rng,
        int(45 * px),
        px,
        tone,
        {"knit": 0.5, "fleece": 0.2, "satin": 0.3},
        {"plaid": 0.4, "stripes": 0.2, "floral": 0.1},
    )
    for layer in range(2):
        lean, x, low = rng.normal(0, 3), rng.normal(0, 4), 4 + long - layer * rng.uniform(4, 14)
        relief = tailor.wrinkles(cloth, 0.8)
        relief = relief + 0.6 * px * noise.directed(rng, tailor.shape, np.pi / 2, 40 * px, 4 * px)
        fringe = []
        for u in np.linspace(-0.95, 0.95, 26):
            root = np.array([x + lean + u * wide * 0.92, low - 0.5])
            fringe.append(
                outlines.ribbon(
                    np.array(
                        [root, root + (rng.normal(0, 0.5), 3), root + (rng.normal(0, 1.1), rng.uniform(5, 7))],
                        np.float32,
                    ),
                    0.55,
                )
            )
        for strand in fringe:
            tailor.piece(strand, cloth, lift=0.2, edge=0.3, unevenness=0.02, occlude=0.2)
        body = [
            (x - wide * 0.8, 4, True),
            (x, 3.2),
            (x + wide * 0.8, 4, True),
            (x + wide + 0.5 * lean, 0.5 * long),
            (x + wide * 0.96 + lean, low, True),
            (x - wide * 0.96 + lean, low, True),
            (x - wide + 0.5 * lean, 0.5 * long),
        ]
        tailor.piece(
            body, cloth, angle=rng.normal(0, 0.04), relief=relief, lift=0.5, edge=1.0, unevenness=0.35, occlude=0.45
        )
    return tailor.finish(cloth)
