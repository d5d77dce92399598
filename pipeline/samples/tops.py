"""Garments for the upper body, laid flat: T-shirts, sweaters, shirts."""

from __future__ import annotations

import numpy as np

from pipeline.samples import fabric, lettering, outlines, palette
from pipeline.samples.bodice import Bodice, sew_sleeves, strain
from pipeline.samples.tailor import Goods, Tailor


def _graphic(tailor: Tailor, cloth: fabric.Cloth, body: Bodice, mask: np.ndarray) -> None:
    """Prints a chest graphic without any brand: bands, a badge, a landscape, a letter-like mark."""
    rng = tailor.rng
    ink, second = palette.contrasting(rng, cloth.base), palette.colour(rng)
    y = body.top + rng.uniform(0.30, 0.42) * body.length
    wide = body.chest * rng.uniform(0.3, 0.62)
    turn = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    circle = np.stack([np.cos(turn), np.sin(turn)], 1)
    worn = np.clip(0.9 + 0.12 * rng.standard_normal(tailor.shape, dtype=np.float32), 0, 1) * mask
    kind = rng.choice(["bands", "sunset", "letters", "badge", "block"])
    if kind == "bands":
        for row in range(rng.integers(1, 4)):
            high = rng.uniform(1.5, 5)
            line = tailor.pixels([[-40, y], [40, y], [40, y + high], [-40, y + high]])
            tailor.paint(outlines.fill(tailor.shape, line) * mask, (ink, second)[row % 2], 0.97)
            y += high + rng.uniform(0.8, 3)
    elif kind == "sunset":
        disc = outlines.fill(tailor.shape, tailor.pixels(circle * wide * 0.7 + (0, y)))
        tailor.paint(disc * worn, second)
        x = np.linspace(-wide, wide, 40)
        for tone, base in ((ink, 0.25), (ink * 0.5 + second * 0.2, 0.55)):
            ridge = y + wide * base - wide * 0.35 * np.abs(np.interp(x, np.linspace(-wide, wide, 8), rng.random(8)))
            hill = np.concatenate([np.stack([x, ridge], 1), [[wide, y + wide * 0.75], [-wide, y + wide * 0.75]]])
            tailor.paint(outlines.fill(tailor.shape, tailor.pixels(hill)) * worn, tone)
    elif kind == "letters":
        for row in range(rng.integers(1, 4)):
            high = wide * rng.uniform(0.3, 0.6) / (1 + 0.5 * row)
            text = lettering.word(rng).upper() if rng.random() < 0.7 else lettering.word(rng).title()
            box = (int(2 * wide * tailor.px), max(8, int(high * tailor.px)))
            left, upper = tailor.pixels([-wide, y]).astype(int)
            printed = np.zeros(tailor.shape, np.float32)
            mark = lettering.line(rng, text, *box, 0.13)
            lettering.print_on(printed[..., None], mark, left, upper, np.ones(1, np.float32))
            tailor.paint(printed * worn, ink if row == 0 else second)
            y += high * 1.25
    elif kind == "badge":
        centre = (rng.choice([-1, 1]) * body.chest * 0.42, y - 3)
        small = rng.uniform(1.8, 3.4)
        tailor.paint(outlines.fill(tailor.shape, tailor.pixels(circle * small + centre)) * mask, ink)
        tailor.paint(outlines.fill(tailor.shape, tailor.pixels(circle * small * 0.7 + centre)) * mask, second)
    else:
        square = np.array([[-1, -0.7], [1, -0.7], [1, 0.9], [-1, 0.9]]) * wide * 0.8 + (0, y + 4)
        block = outlines.fill(tailor.shape, tailor.pixels(square))
        tailor.paint(block * worn, second)
        for _ in range(5):
            blob = (
                outlines.uneven(rng, circle * wide * rng.uniform(0.15, 0.5), 4, 0.8)
                + rng.normal(0, 0.35, 2) * wide
                + (0, y + 4)
            )
            tailor.paint(outlines.fill(tailor.shape, tailor.pixels(blob)) * block * worn, palette.colour(rng))


def tee(rng: np.random.Generator, px: float, tone: str | None = None) -> Goods:
    """T-shirt, long-sleeved top, sweatshirt or sweater: pulled over the head, with a neckband."""
    style = rng.choice(["tee", "longsleeve", "sweater", "sweatshirt"], p=[0.5, 0.15, 0.2, 0.15])
    cloths: dict[str, dict[str, float]] = {
        "tee": {"jersey": 1},
        "longsleeve": {"jersey": 1},
        "sweater": {"knit": 1},
        "sweatshirt": {"fleece": 0.6, "jersey": 0.4},
    }
    kinds = cloths[str(style)]
    body = Bodice(rng, length=64, ease=1.08 if style in ("sweater", "sweatshirt") else 1.0, fitted=rng.random() * 0.8)
    tailor = Tailor(rng, (body.length + 22, 2 * (body.chest + 46) if style != "tee" else 2 * (body.chest + 22)), px)
    prints = {"stripes": 0.14, "floral": 0.05, "dots": 0.03, "camouflage": 0.03, "tie_dye": 0.02}
    cloth = fabric.choose(rng, int(70 * px), px, tone, kinds, prints)
    depth, vee = rng.uniform(7.5, 13), rng.random() < 0.2
    relief = tailor.wrinkles(cloth, 1.0 if style != "sweater" else 0.7)
    strain(tailor, body, relief, rng.uniform(0.35, 0.75))
    tailor.piece(body.back(depth), cloth, darken=0.42, relief=relief, lift=0.02)
    trim = cloth
    if rng.random() < 0.25 and tone is None:
        trim = fabric.jersey(rng, 400, px, palette.contrasting(rng, cloth.base))
    backline = outlines.spline([(-body.neck, body.top), (-body.neck * 0.6, body.top + 1.2), (0, body.top + 1.8),
                                (body.neck * 0.6, body.top + 1.2), (body.neck, body.top)], closed=False)  # fmt: skip
    band_width = rng.uniform(1.6, 2.6)
    back_band = tailor.piece(outlines.ribbon(backline, band_width), trim, darken=0.72, lift=0.08, unevenness=0.04)
    tailor.label(rng.normal(0, 0.4), body.top + 3.6, rng.uniform(2.2, 3.6), rng.uniform(1.4, 2.8), rng.normal(0, 0.06))
    sew_sleeves(
        tailor,
        body,
        cloth,
        relief,
        "short" if style == "tee" else "long",
        "hem" if style in ("tee", "longsleeve") else "rib",
    )
    front = tailor.piece(
        body.outline(depth, vee), cloth, angle=rng.normal(0, 0.02), relief=relief, lift=0.06, occlude=0.34
    )
    right = [knot[:2] for knot in body.outline(depth, vee)][: 4 if not vee else 2]
    curve = [(-x, y) for x, y in reversed(right) if abs(x) > 1e-9] + right
    if vee:
        curve = [(x, y, abs(x) < 1e-9) for x, y in curve]
    neckline = outlines.spline(curve, closed=False)
    band = tailor.piece(outlines.ribbon(neckline, band_width), trim, lift=0.12, unevenness=0.04)
    if style != "tee" or rng.random() < 0.6:
        tailor.ribbing(np.maximum(band, back_band * (1 - front)), 0.0, 0.3)
    if style in ("sweater", "sweatshirt"):
        hem = [(-body.hem, body.top + body.length - 1, True), (body.hem, body.top + body.length - 1, True),
               (body.hem * 0.93, body.top + body.length + 5, True),
               (-body.hem * 0.93, body.top + body.length + 5, True)]  # fmt: skip
        tailor.ribbing(tailor.piece(hem, cloth, darken=0.94, lift=0.1), 0.0)
    else:
        for inset in (1.6, 2.0):
            y = body.top + body.length - inset
            tailor.seam([(-body.hem, y - 0.5), (0, y), (body.hem, y - 0.5)], depth=0.03, within=front)
    if style != "sweater" and rng.random() < 0.55:
        _graphic(tailor, cloth, body, front * (1 - band))
    return tailor.finish(cloth)


def shirt(rng: np.random.Generator, px: float, tone: str | None = None) -> Goods:
    """Buttoned shirt, blouse or polo shirt, with a collar and a pocket."""
    polo = rng.random() < 0.3
    body = Bodice(rng, length=70, fitted=rng.random() * 0.7)
    style = "short" if polo else rng.choice(["short", "long"], p=[0.4, 0.6])
    tailor = Tailor(rng, (body.length + 20, 2 * (body.chest + (22 if style == "short" else 46))), px)
    kinds: dict[str, float] = {"jersey": 1} if polo else {"poplin": 0.75, "denim": 0.15, "satin": 0.1}
    prints = {"plaid": 0.3, "stripes": 0.12, "floral": 0.1, "dots": 0.07}
    cloth = fabric.choose(rng, int(70 * px), px, tone, kinds, prints if not polo else {"stripes": 0.2})
    relief = tailor.wrinkles(cloth, 1.1)
    strain(tailor, body, relief, rng.uniform(0.35, 0.7))
    t, neck = body.top, body.neck
    tailor.piece(body.back(9), cloth, darken=0.5, lift=0.02)
    stand = [
        (-neck - 0.4, t - 0.6),
        (0, t - 2.2),
        (neck + 0.4, t - 0.6),
        (neck * 0.9, t + 3, True),
        (0, t + 3.4),
        (-neck * 0.9, t + 3, True),
    ]
    tailor.piece(stand, cloth, darken=0.78, lift=0.12)
    tailor.label(0, t + 2.0, 3.2, 1.6)
    sew_sleeves(tailor, body, cloth, relief, style, "hem" if style == "short" else "cuff")
    front = tailor.piece(body.outline(8.5, vee=True), cloth, relief=relief, lift=0.06)
    bottom = t + (22 if polo else body.length - 0.6)
    placket = [(-1.6, t + 8, True), (1.6, t + 8, True), (1.7, bottom, True), (-1.5, bottom, True)]
    tailor.piece(placket, cloth, lift=0.10, unevenness=0.05, relief=relief)
    tone_button = palette.colour(rng, "white", "cream", "black", "brown")
    for y in np.arange(t + 10.5, bottom - 1.5, 4.2 if polo else rng.uniform(8.2, 9.6)):
        tailor.button(rng.normal(0.05, 0.07), y, 0.55, tone_button)
    if rng.random() < 0.6 and not polo:
        side = 1
        for side in (1, -1) if rng.random() < 0.4 else (1,):
            x0, x1, y0 = side * 7.0, side * 18.5, t + 21
            tailor.piece([(x0, y0, True), (x1, y0, True), (x1, y0 + 11), (0.5 * (x0 + x1), y0 + 13.2, True),
                (x0, y0 + 11)],
                         cloth, relief=relief, lift=0.10, unevenness=0.06)  # fmt: skip
    reach = rng.uniform(6.0, 8.5)
    for side in (-1, 1):
        flap = [(side * 0.2, t + 7.6, True), (side * neck * 0.75, t + 1.4), (side * (neck + 0.6), t - 0.8, True),
                (side * (neck + 2.8), t + 2.2), (side * reach * 1.15, t + 7.2 + reach * 0.55, True),
                (side * 3.2, t + 9.4)]  # fmt: skip
        tailor.piece(flap, cloth, angle=side * 0.5, lift=0.28, edge=0.6, unevenness=0.08, occlude=0.42)
    for inset in (0.9, 1.3):
        tailor.seam([(-body.hem, t + body.length - inset - 0.6), (0, t + body.length - inset),
            (body.hem, t + body.length - inset - 0.6)],
                    depth=0.03, within=front)  # fmt: skip
    return tailor.finish(cloth)
