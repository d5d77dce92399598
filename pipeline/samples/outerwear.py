"""Jackets, laid flat: hooded, denim, leather, down, windbreakers."""

from __future__ import annotations

import numpy as np

from pipeline.samples import fabric, outlines, palette
from pipeline.samples.bodice import Bodice, sew_sleeves, strain
from pipeline.samples.tailor import Goods, Tailor


def jacket(rng: np.random.Generator, px: float, tone: str | None = None) -> Goods:
    """Zipped jacket, hooded sweatshirt, denim or leather jacket, down jacket."""
    style = rng.choice(["hoodie", "denim", "leather", "puffer", "windbreaker"])
    body = Bodice(rng, length=63, ease=1.12)
    body.neck += 1.0
    tailor = Tailor(rng, (body.length + 40, 2 * (body.chest + 46)), px)
    body.top = 20.0 if style in ("hoodie", "windbreaker") else 8.0
    kind = {"hoodie": "fleece", "windbreaker": "satin"}.get(style, style)
    cloth = fabric.choose(
        rng, int(70 * px), px, tone, {kind: 1}, {"camouflage": 0.08} if style == "windbreaker" else {}
    )
    relief = tailor.wrinkles(cloth, 1.0 if style != "puffer" else 0.4)
    strain(tailor, body, relief, rng.uniform(0.45, 0.85))
    t, neck, chest = body.top, body.neck, body.chest
    lining = fabric.satin(rng, 500, px, palette.colour(rng))
    if t > 10:
        hood = [
            (-neck - 2.5, t + 3, True),
            (-neck - 5, t - 6),
            (-neck * 0.55, t - 16.5),
            (neck * 0.55, t - 16.8),
            (neck + 5, t - 6),
            (neck + 2.5, t + 3, True),
        ]
        tailor.piece(hood, cloth, relief=relief, lift=0.3, edge=1.5)
        mouth = [
            (-neck + 0.5, t + 2),
            (-neck * 0.75, t - 8),
            (0, t - 11.5),
            (neck * 0.75, t - 8),
            (neck - 0.5, t + 2),
            (0, t + 8),
        ]
        tailor.piece(mouth, lining if rng.random() < 0.5 else cloth, darken=0.5, lift=-0.2, relief=relief)
    else:
        tailor.piece(body.back(10), lining, darken=0.55)
    tailor.label(0, t + 3.2, 4, 2)
    sew_sleeves(tailor, body, cloth, relief, "long", "hem" if style in ("leather", "denim") else "rib")
    front = tailor.piece(body.outline(9, vee=True), cloth, relief=relief, lift=0.1, edge=0.6)
    thread = palette.linear((190, 128, 62)) if style == "denim" else cloth.base * 0.6
    middle = rng.normal(0, 0.5)
    if style == "denim":
        strip = [(-2, t + 9, True), (2, t + 9, True), (2.1, t + body.length, True), (-1.9, t + body.length, True)]
        tailor.piece(strip, cloth, relief=relief, lift=0.12, unevenness=0.05)
        for x in (-1.6, 1.7):
            tailor.topstitch([(x, t + 9.5), (x, t + body.length - 0.5)], thread)
        for y in np.arange(t + 11.5, t + body.length - 1, 9):
            tailor.button(0, y, 0.8, palette.linear((140, 126, 104)))
    else:
        tailor.zip([(middle * 0.3, t + 8.5), (middle, t + 0.5 * body.length), (middle * 0.6, t + body.length - 0.4)],
                   palette.colour(rng, "black", "charcoal") if rng.random() < 0.7 else cloth.base)  # fmt: skip
    for side in (-1, 1):
        if style == "denim":
            flap = [
                (side * 6, t + 17, True),
                (side * 18, t + 17, True),
                (side * 18, t + 20.5, True),
                (side * 12, t + 22.5, True),
                (side * 6, t + 20.5, True),
            ]
            tailor.seam([(side * 3, t + 15.5), (side * chest * 0.86, t + 15.5)], within=front)
            tailor.piece(flap, cloth, lift=0.2, unevenness=0.05)
            tailor.button(side * 12, t + 20.8, 0.7, palette.linear((140, 126, 104)))
            tailor.seam([(side * 7, t + 23), (side * 5, t + body.length - 5)], within=front)
            tailor.seam([(side * 17, t + 23), (side * 14, t + body.length - 5)], within=front)
        elif style == "hoodie":
            pocket = [(side * 1.4, t + body.length - 22, True), (side * 9, t + body.length - 22, True),
                (side * 16, t + body.length - 10, True),
                      (side * 16, t + body.length - 2, True), (side * 1.4, t + body.length - 2, True)]  # fmt: skip
            tailor.piece(pocket, cloth, relief=relief, lift=0.2, unevenness=0.1)
        else:
            y = t + rng.uniform(0.58, 0.66) * body.length
            tailor.zip([(side * 10, y), (side * 14.5, y + 13)], cloth.base * 0.5, width=0.5)
        if style in ("leather", "windbreaker"):
            tailor.seam([(side * 4, t + 14), (side * chest * 0.9, t + 17)], within=front, depth=0.08)
        if style == "leather" and rng.random() < 0.8:
            lapel = [
                (side * 0.4, t + 22, True),
                (side * 2, t + 8),
                (side * neck, t - 1, True),
                (side * (neck + 4), t + 4),
                (side * 14.5, t + 11, True),
            ]
            tailor.piece(lapel, cloth, angle=side * 0.4, lift=0.3, edge=0.8)
        elif t <= 10:
            collar = [(side * 0.4, t + 8.5, True), (side * neck * 0.8, t + 1), (side * (neck + 0.8), t - 2, True),
                (side * (neck + 4), t + 2.5),
                      (side * 9.5, t + 11.5, True), (side * 4, t + 10)]  # fmt: skip
            tailor.piece(collar, cloth, angle=side * 0.5, lift=0.3, edge=0.7)
    low = t + body.length
    waist = [
        (-body.hem, low - 1.5, True),
        (body.hem, low - 1.5, True),
        (body.hem * 0.97, low + 3.6, True),
        (-body.hem * 0.97, low + 3.6, True),
    ]
    if style in ("hoodie", "denim", "windbreaker"):
        band = tailor.piece(waist, cloth, angle=np.pi / 2 if style == "denim" else 0.0, lift=0.12)
        if style == "hoodie":
            tailor.ribbing(band, 0.0)
        tailor.seam([(middle * 0.6, low - 1.5), (middle * 0.6, low + 3.6)], depth=0.1)
    if style == "hoodie" and rng.random() < 0.7:
        cord = fabric.jersey(rng, 200, px, palette.colour(rng, "white", "black", "grey"))
        for side in (-1, 1):
            x = side * rng.uniform(3.5, 5)
            line = outlines.spline(
                [(x * 1.2, t + 5), (x, t + 12), (x + rng.normal(0, 1.5), t + rng.uniform(20, 28))], closed=False
            )
            tailor.piece(outlines.ribbon(line, 0.75), cord, lift=0.3, edge=0.3, unevenness=0.02, occlude=0.4)
    return tailor.finish(cloth)
