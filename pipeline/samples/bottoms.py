"""Garments for the lower body, laid flat: jeans, trousers, leggings, shorts, skirts."""

from __future__ import annotations

import numpy as np

from pipeline.samples import fabric, folds, outlines, palette
from pipeline.samples.tailor import Goods, Tailor


def trousers(rng: np.random.Generator, px: float, tone: str | None = None) -> Goods:
    """Jeans, chinos, joggers or shorts."""
    style = rng.choice(["jeans", "chinos", "joggers", "shorts"], p=[0.4, 0.2, 0.2, 0.2])
    short = style == "shorts"
    waist, hip = rng.uniform(17, 22), rng.uniform(22, 27)
    rise = rng.uniform(24, 30)
    length = rise + (rng.uniform(14, 26) if short else rng.uniform(66, 78))
    cuff = rng.uniform(9.5, 12) if short else rng.uniform(7.0, 11.0)
    spread = rng.uniform(0.3, 2.0) if short else rng.uniform(0.5, 7.0)
    tailor = Tailor(rng, (length + 8, 2 * (hip + spread + 10)), px)
    cloths: dict[str, dict[str, float]] = {
        "jeans": {"denim": 1},
        "chinos": {"poplin": 1},
        "joggers": {"jersey": 0.6, "fleece": 0.4},
        "shorts": {"denim": 0.4, "poplin": 0.35, "jersey": 0.25},
    }
    kinds = cloths[str(style)]
    prints = {"camouflage": 0.05, "plaid": 0.06, "floral": 0.04 if short else 0.0}
    cloth = fabric.choose(rng, int(70 * px), px, tone, kinds, prints)
    jeans = kinds.get("denim", 0) and cloth.loft == 0.7
    relief = tailor.wrinkles(cloth, rng.uniform(0.7, 1.15))
    top = 3.0
    crotch = (rng.normal(0, 0.5), top + rise)
    folds.fan(rng, relief, tailor.pixels(crotch), -np.pi / 2 - 0.9, 0.3, 5, 15 * px, 0.7 * px)
    folds.fan(rng, relief, tailor.pixels(crotch), -np.pi / 2 + 0.9, 0.3, 5, 15 * px, 0.7 * px)
    tailor.piece(
        [(-waist, top + 0.4, True), (0, top - 1.4), (waist, top + 0.4, True), (waist, top + 5, True),
            (-waist, top + 5, True)],
        cloth, darken=0.5,
    )  # fmt: skip
    tailor.label(rng.normal(0, 1), top + 1.5, 3.4, 2.0)
    thread = palette.linear((196, 132, 62)) if jeans and rng.random() < 0.75 else cloth.base * 0.55
    order = (-1, 1) if rng.random() < 0.5 else (1, -1)
    legs = {}
    for side in order:
        lean = spread * rng.uniform(0.7, 1.3)
        out = side * (hip * 0.62 + lean)
        knee = top + rise + 0.42 * (length - rise)
        thigh = hip * rng.uniform(0.5, 0.56)
        knots = [
            (side * -1.2, top + 1.5, True),
            (side * waist, top + 0.6, True),
            (side * (hip * 0.97), top + 0.55 * rise),
            (side * (hip * 0.98 + 0.2 * lean), top + rise),
            *([] if short else [(out + side * (0.55 * thigh + 0.45 * cuff) * 0.98 - side * 0.25 * lean, knee)]),
            (out + side * cuff, top + length - 0.8, True),
            (out - side * cuff * 0.98, top + length + rng.normal(0, 0.5), True),
            *([] if short else [(out - side * (0.55 * thigh + 0.45 * cuff) * 0.95 - side * 0.3 * lean, knee)]),
            (crotch[0] + side * 0.9, crotch[1] + 3.0),
            (crotch[0] - side * 1.0, crotch[1] - 1.5, True),
        ]
        own = relief.copy()
        if not short:
            middle = tailor.pixels([out - 0.2 * side * lean, knee])
            folds.fan(
                rng,
                own,
                middle + (rng.normal(0, 3 * px), 0),
                np.pi / 2 * rng.choice([-1, 1]) + 1.2,
                0.7,
                7,
                11 * px,
                0.5 * px,
            )
            end = tailor.pixels([out, top + length - 6])
            folds.fan(rng, own, end - (cuff * px * 0.5, 0), rng.normal(0.2, 0.3), 0.35, 4, 9 * px, 0.5 * px)
            if style in ("jeans", "chinos") and rng.random() < 0.5:  # the pressed crease
                x, y = tailor.pixels([side * hip * 0.5, top + rise])
                dx, dy = tailor.pixels([out, top + length]) - (x, y)
                folds.add_fold(own, x, y, np.arctan2(dy, dx), np.hypot(dx, dy), 1.2 * px, 0.35 * px, 0.0)
        mask = tailor.piece(knots, cloth, angle=side * -0.03, relief=own, lift=0.14, edge=0.7, unevenness=0.22)
        legs[side] = mask
        if style == "joggers":
            ribbed = np.array([(out + side * cuff, top + length - 1), (out - side * cuff, top + length - 0.6),
                               (out - side * cuff * 0.8, top + length + 4),
                             (out + side * cuff * 0.8, top + length + 3.6)])  # fmt: skip
            tailor.ribbing(tailor.piece([(*p, True) for p in ribbed], cloth, lift=0.1, darken=0.93), 0.0)
        else:
            for inset in (1.4, 1.8) if not jeans else (1.5,):
                ends = [(out + side * cuff, top + length - 0.8 - inset), (out - side * cuff, top + length - inset)]
                tailor.seam(ends, depth=0.05, within=mask)
                if jeans:
                    tailor.topstitch(ends, thread, within=mask)
        if rng.random() < 0.8 and style != "joggers":
            tailor.seam([(side * hip * 0.9, top + 12), (side * (hip * 0.93 + 0.2 * lean), top + rise),
                (out + side * cuff * 0.93, top + length)],
                        depth=0.05, within=mask)  # fmt: skip
    both = np.maximum(legs[1], legs[-1])
    tailor.seam([(0, top + 3), (0.3, top + 0.6 * rise), crotch], within=both, depth=0.1)
    if jeans or style == "chinos":
        for side in (-1, 1):
            if jeans:
                pocket = [
                    (side * waist * 0.42, top + 4),
                    (side * waist * 0.55, top + 8.5),
                    (side * waist * 0.85, top + 10.5),
                    (side * hip * 0.93, top + 10),
                ]
            else:
                pocket = [(side * waist * 0.68, top + 4), (side * hip * 0.96, top + 18)]
            tailor.seam(pocket, within=both, depth=0.12)
            tailor.topstitch([(x + side * -0.35, y + 0.35) for x, y in pocket], thread, within=both)
        fly = [(1.0, top + 4), (4.0, top + 4.5), (4.1, top + 0.55 * rise), (1.2, top + 0.72 * rise)]
        tailor.topstitch(fly[1:], thread, within=both)
    band = [(-waist - 0.2, top + 0.4, True), (0, top + 1.6), (waist + 0.2, top + 0.4, True),
            (waist + 0.7, top + 4.2, True), (0, top + 5.4), (-waist - 0.7, top + 4.2, True)]  # fmt: skip
    belt = tailor.piece(
        band, cloth, angle=0.0 if style == "joggers" else np.pi / 2, lift=0.14, unevenness=0.08, darken=0.97
    )
    if style == "joggers" or (short and not jeans and rng.random() < 0.6):
        tailor.ribbing(belt, 0.0, 0.7)
        cord = fabric.jersey(rng, 200, px, palette.contrasting(rng, cloth.base))
        for side in (-1, 1):
            cord_line = outlines.spline(
                [
                    (side * 0.8, top + 3.4),
                    (side * rng.uniform(1, 2.5), top + 8),
                    (side * rng.uniform(0.5, 4), top + rng.uniform(11, 16)),
                ],
                closed=False,
            )
            tailor.piece(outlines.ribbon(cord_line, 0.7), cord, lift=0.25, edge=0.3, unevenness=0.02, occlude=0.4)
    else:
        for row in (0.9, 3.7):
            line = [(-waist, top + row), (0, top + row + 1.1), (waist, top + row)]
            tailor.topstitch(line, thread, within=belt)
        for x in (-0.72, -0.3, 0.4, 0.75):
            loop = [
                (waist * x - 0.5, top + 0.4, True),
                (waist * x + 0.5, top + 0.4, True),
                (waist * x + 0.5, top + 5.4, True),
                (waist * x - 0.5, top + 5.4, True),
            ]
            tailor.piece(loop, cloth, angle=0.1, lift=0.2, unevenness=0.03)
        tailor.button(
            0.4, top + 3.2, 0.8, palette.linear((150, 128, 98)) if jeans else palette.colour(rng, "brown", "black")
        )
    return tailor.finish(cloth)


def skirt(rng: np.random.Generator, px: float, tone: str | None = None) -> Goods:
    """Pencil, A-line or pleated skirt."""
    waist = rng.uniform(16, 20)
    length = rng.uniform(36, 72)
    flare = rng.choice([rng.uniform(1.15, 1.45), rng.uniform(1.6, 2.5)])
    hem = waist * flare
    tailor = Tailor(rng, (length + 10, 2 * (hem + 8)), px)
    prints = {"floral": 0.2, "dots": 0.12, "plaid": 0.12, "leopard": 0.1, "stripes": 0.06}
    kinds = {"poplin": 0.35, "jersey": 0.25, "denim": 0.15, "satin": 0.15, "leather": 0.1}
    cloth = fabric.choose(rng, int(70 * px), px, tone, kinds, prints)
    top = 3.0
    relief = tailor.wrinkles(cloth, 0.9)
    if flare > 1.5:
        drape = folds.pleats(rng, tailor.shape, int(rng.integers(6, 15)), 1 / flare, rng.uniform(0.6, 1.3) * px)
        relief = 0.6 * relief + drape
    for x in np.linspace(-0.8, 0.8, 8):
        folds.fan(rng, relief, tailor.pixels([waist * x, top + 4]), np.pi / 2 - 0.35 * x, 0.1, 1, 16 * px, 0.5 * px)
    tailor.piece(
        [(-waist, top, True), (0, top - 1.2), (waist, top, True), (waist, top + 4, True), (-waist, top + 4, True)],
        cloth,
        darken=0.5,
    )
    tailor.label(0, top + 0.8, 3, 1.6)
    sag = rng.uniform(1.0, 4.0) * (flare - 0.9)
    body = [
        (0, top + 1.2), (waist, top + 0.2, True), (waist + 0.45 * (hem - waist) + 1.2, top + 0.4 * length),
        (hem, top + length - sag, True), (hem * 0.55, top + length - 0.2 * sag), (0, top + length),
    ]  # fmt: skip
    front = tailor.piece(outlines.mirrored(body), cloth, relief=relief, lift=0.1, unevenness=0.3)
    band = [
        (-waist - 0.1, top, True),
        (0, top + 1.1),
        (waist + 0.1, top, True),
        (waist + 0.7, top + 3.6, True),
        (0, top + 4.7),
        (-waist - 0.7, top + 3.6, True),
    ]
    tailor.piece(band, cloth, angle=np.pi / 2, lift=0.12, unevenness=0.08, darken=0.95)
    tailor.seam([(-hem, top + length - sag - 1.8), (-hem * 0.55, top + length - 0.2 * sag - 1.8),
        (0, top + length - 1.8),
                 (hem * 0.55, top + length - 0.2 * sag - 1.8),
                 (hem, top + length - sag - 1.8)], within=front, depth=0.05)  # fmt: skip
    if rng.random() < 0.35:
        horn = palette.colour(rng, "brown", "black", "cream", "white")
        for y in np.arange(top + 7, top + length - 3, 5):
            tailor.button(0.4, y, 0.7, horn)
    return tailor.finish(cloth)
