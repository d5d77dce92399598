"""Hard goods as surfaces: mugs, bottles, vases, bowls, jars, cartons, books, lamps, headphones, caps."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pipeline.samples import boxes, lettering, noise, outlines, palette
from pipeline.samples.surfaces import Surface, lathe, tube, turned


def profile(knots: list, count: int = 56) -> np.ndarray:
    """Returns an evenly spaced profile (count, 2) of radius and height through knots (see ``outlines``)."""
    line = outlines.spline(knots, closed=False).astype(float)
    length = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))])
    at = np.linspace(0, length[-1], count)
    return np.stack([np.interp(at, length, line[:, k]) for k in (0, 1)], 1)


def plain(colour: np.ndarray) -> np.ndarray:
    """Returns a plain albedo tile."""
    return np.broadcast_to(colour, (4, 4, 3)).astype(np.float32).copy()


def _glazed(rng: np.random.Generator, colour: np.ndarray, speckle: float, shape=(300, 600)) -> np.ndarray:
    tile = np.broadcast_to(colour, (*shape, 3)).astype(np.float32).copy()
    tile *= np.exp(0.05 * noise.fractal(rng, shape, 80, 3))[..., None]
    if speckle:
        dots = noise.smoothstep(2.1, 2.5, noise.smooth(rng, shape, 3)) * speckle
        tile += (palette.colour(rng, "chocolate", "black") - tile) * dots[..., None]
    return tile


def mug(rng: np.random.Generator, tone: str | None = None) -> list[Surface]:
    """Mug with a handle, plain, speckled or printed."""
    r, h = rng.uniform(3.6, 4.6), rng.uniform(8, 11.5)
    taper, wall = rng.uniform(0.82, 1.04), 0.3
    base = r * taper
    side = profile(
        [
            (0, 0.25),
            (base * 0.86, 0.25, True),
            (base * 0.9, 0, True),
            (base, 0.7),
            (0.5 * (base + r), 0.5 * h),
            (r, h - 0.25),
            (r - 0.12, h),
            (r - wall, h - 0.15),
        ]
    )
    inner = profile([(r - wall, h - 0.15, True), (base - wall, 1.2), (base * 0.6, 0.8), (0, 0.75)], 30)
    colour = palette.toned(rng, tone)
    tile = _glazed(rng, colour, 0.9 if rng.random() < 0.3 else 0.0)
    if rng.random() < 0.45:
        art = lettering.design(rng, 190, 170, colour)
        tile[60:230, 205:395] = art[::-1]
    elif rng.random() < 0.4:
        tile[-80:] = palette.colour(rng)
    gloss, rough = rng.uniform(0.035, 0.06), rng.choice([0.06, 0.12, 0.5])
    inside = palette.colour(rng, "white", "cream") if rng.random() < 0.5 else colour
    t = np.linspace(-np.pi / 2, np.pi / 2, 30)
    reach = rng.uniform(1.9, 2.7)
    power = rng.uniform(0.6, 1.0)
    path = np.stack([r * 0.95 + reach * np.cos(t) ** power, 0 * t, h * 0.53 + h * 0.31 * np.sin(t)], 1)
    turn = rng.choice([-1, 1]) * rng.uniform(-0.3, 0.6) + (np.pi if rng.random() < 0.5 else 0)
    handle = turned(tube(path, rng.uniform(0.4, 0.6), flat=rng.uniform(1.0, 1.6)), turn)
    return [
        Surface(lathe(side), tile, None, gloss, rough),
        Surface(lathe(inner), plain(inside), inside, gloss, rough),
        Surface(handle, plain(colour), colour, gloss, rough),
    ]


def bottle(rng: np.random.Generator, tone: str | None = None) -> list[Surface]:
    """Bottle or flask with a cap and a label."""
    r, h = rng.uniform(2.8, 4.2), rng.uniform(16, 26)
    neck, shoulder = r * rng.uniform(0.3, 0.55), rng.uniform(0.58, 0.78)
    square = rng.choice([2.0, 2.0, 5.0])
    body = profile(
        [
            (0, 0.3),
            (r * 0.85, 0.0, True),
            (r, 0.8),
            (r, shoulder * h * 0.6),
            (r, shoulder * h),
            (neck * 1.15, h * 0.87),
            (neck, h * 0.9),
            (neck, h),
        ],
        64,
    )
    colour = palette.toned(
        rng, tone, "forest", "brown", "navy", "white", "cream", "teal", "silver", "black", "rose", "grey", "coral"
    )
    tile = _glazed(rng, colour, 0.0, (600, 700))
    low, high = 110, int(110 + 600 * shoulder * rng.uniform(0.4, 0.62))
    paper = palette.colour(rng, "white", "cream", "beige", "black", "mustard")
    if rng.random() < 0.8:
        tile[low:high, 130:570] = lettering.design(rng, 440, high - low, paper)[::-1]
    cap_h = rng.uniform(1.6, 3.6)
    cap = profile(
        [
            (neck * 1.02, h - 0.5, True),
            (neck * 1.25, h - 0.4),
            (neck * 1.25, h + cap_h - 0.4),
            (neck * 1.12, h + cap_h),
            (0, h + cap_h + 0.05),
        ],
        26,
    )
    cap_colour = palette.colour(rng, "black", "white", "camel", "silver", "charcoal", "brown")
    metal = rng.random() < 0.3
    return [
        Surface(
            lathe(body, corners=square, squash=rng.choice([1.0, 1.0, 0.6])),
            tile,
            None,
            rng.uniform(0.04, 0.07),
            rng.choice([0.04, 0.1, 0.35]),
        ),
        Surface(lathe(cap), plain(cap_colour), None, 0.05, rng.uniform(0.15, 0.5), metal=metal),
    ]


def vase(rng: np.random.Generator, tone: str | None = None) -> list[Surface]:
    """Vase or flower pot of ceramic, with throwing rings or a band."""
    h = rng.uniform(14, 28)
    radii = [rng.uniform(3.2, 5), rng.uniform(4.5, 8), rng.uniform(4.5, 8), rng.uniform(1.8, 4), rng.uniform(2.4, 4.8)]
    knots = [
        (0, 0.2),
        (radii[0] * 0.92, 0.0, True),
        (radii[0], 0.4),
        (radii[1], h * 0.32),
        (radii[2], h * 0.55),
        (radii[3], h * 0.85),
        (radii[4], h - 0.2),
        (radii[4] - 0.25, h),
        (radii[4] - 0.5, h - 0.3),
    ]
    colour = palette.toned(
        rng, tone, "white", "cream", "teal", "blue", "camel", "charcoal", "mustard", "forest", "coral", "sky", "brown"
    )
    tile = _glazed(rng, colour, 0.8 if rng.random() < 0.35 else 0.0, (500, 600))
    y = np.arange(500, dtype=np.float32)[:, None]
    relief = np.zeros((500, 600), np.float32)
    style = rng.random()
    if style < 0.35:
        relief += 0.035 * np.sin(y * rng.uniform(0.12, 0.4)) + np.float32(0)
    elif style < 0.6:
        x = np.arange(600, dtype=np.float32)[None, :]
        relief += 0.10 * np.abs(np.sin(x * np.pi * round(rng.uniform(12, 30)) / 600)) + 0 * y
    if rng.random() < 0.4:
        other = palette.colour(rng)
        drip = rng.uniform(0.45, 0.75) * 500 + 25 * noise.fractal(rng, (1, 600), (90, 1), 3)
        tile += (other - tile) * np.clip((y - drip) / 6, 0, 1)[..., None]
    lip = profile(
        [(radii[4] - 0.5, h - 0.3, True), (radii[3] - 0.5, h * 0.85), (radii[2] - 0.6, h * 0.55), (0, h * 0.3)], 24
    )
    rough = rng.choice([0.08, 0.25, 0.6])
    return [
        Surface(lathe(profile(knots, 80)), tile, None, 0.045, rough, relief=relief),
        Surface(lathe(lip), plain(colour), colour * 0.7, 0.03, rough),
    ]


def bowl(rng: np.random.Generator, tone: str | None = None) -> list[Surface]:
    """Bowl, sometimes on a foot."""
    r, h = rng.uniform(6, 10), rng.uniform(4.5, 8)
    foot = r * rng.uniform(0.38, 0.55)
    outer = profile(
        [
            (0, 0.3),
            (foot * 0.9, 0, True),
            (foot, 0.1),
            (foot, 0.8, True),
            (r * 0.82, h * 0.5),
            (r, h - 0.1),
            (r - 0.15, h),
            (r - 0.4, h - 0.15),
        ]
    )
    inner = profile([(r - 0.4, h - 0.15, True), (r * 0.8, h * 0.5), (foot * 0.9, 1.4), (0, 1.1)], 40)
    colour = palette.toned(rng, tone)
    second = palette.colour(rng, "white", "cream", "sky", "mint") if rng.random() < 0.5 else colour
    tile = _glazed(rng, second, 0.7 if rng.random() < 0.3 else 0.0)
    if rng.random() < 0.5:
        tile[:: int(rng.integers(24, 60))] = palette.contrasting(rng, second)
    rough = rng.choice([0.06, 0.15, 0.5])
    return [
        Surface(lathe(outer), _glazed(rng, colour, 0.0), None, 0.045, rough),
        Surface(lathe(inner), tile, second, 0.045, rough),
    ]


def jar(rng: np.random.Generator, tone: str | None = None) -> list[Surface]:
    """Jar of cream, spice or candle wax: a labelled body and a lid."""
    r, h = rng.uniform(3.2, 5), rng.uniform(5, 11)
    body = profile([(0, 0.2), (r * 0.93, 0, True), (r, 0.5), (r, h * 0.5), (r, h - 0.5), (r * 0.9, h)])
    colour = palette.toned(rng, tone, "white", "brown", "black", "cream", "silver", "pink", "forest")
    tile = _glazed(rng, colour, 0.0, (400, 800))
    tile[60:330, 190:610] = lettering.design(rng, 420, 270)[::-1]
    top = rng.uniform(1.2, 2.4)
    lid = profile(
        [
            (r * 0.9, h - 0.2, True),
            (r * 1.03, h - 0.1, True),
            (r * 1.03, h + top - 0.3),
            (r * 0.95, h + top),
            (0, h + top + 0.02),
        ],
        30,
    )
    tone_lid = palette.colour(rng, "black", "white", "silver", "camel", "brown")
    ridge = np.zeros((20, 900), np.float32)
    if rng.random() < 0.5:
        ridge[:] = 0.04 * np.sin(np.arange(900, dtype=np.float32) * 2 * np.pi * 75 / 900)
        ridge[11:] = 0
    lid_tile = np.broadcast_to(tone_lid, (20, 900, 3)).astype(np.float32).copy()
    return [
        Surface(lathe(body), tile, None, 0.05, rng.choice([0.06, 0.3])),
        Surface(lathe(lid), lid_tile, None, 0.05, 0.3, metal=rng.random() < 0.3, relief=ridge),
    ]


def lamp(rng: np.random.Generator, tone: str | None = None) -> list[Surface]:
    """Table lamp: a turned base and a cloth shade, open at the top."""
    h = rng.uniform(16, 24)
    r = rng.uniform(4, 6.5)
    colour = palette.toned(rng, tone)
    base = profile(
        [
            (0, 0.2),
            (r, 0, True),
            (r, 0.6),
            (r * 0.3, 1.6),
            (r * rng.uniform(0.3, 1.0), h * 0.4),
            (r * 0.25, h * 0.75),
            (0.6, h),
        ],
        60,
    )
    low, high = rng.uniform(8, 11), rng.uniform(5, 7.5)
    tall = rng.uniform(10, 14)
    shade = lathe(profile([(low, h - 2), (high, h - 2 + tall)], 20))
    linen = (
        palette.colour(rng, "white", "cream", "beige", "grey", "sky")
        if tone != "dark"
        else palette.colour(rng, "charcoal", "navy")
    )
    tile = np.broadcast_to(linen, (300, 700, 3)).astype(np.float32).copy()
    tile *= np.exp(0.05 * noise.smooth(rng, (300, 700), (1.5, 12)) + 0.05 * noise.smooth(rng, (300, 700), (12, 1.5)))[
        ..., None
    ]
    tile[:6] *= 0.8
    tile[-6:] *= 0.8
    return [
        Surface(lathe(base), _glazed(rng, colour, 0.0), None, 0.05, rng.choice([0.08, 0.4])),
        Surface(shade, tile, linen * 0.9, 0.03, 0.9),
    ]


def headphones(rng: np.random.Generator, tone: str | None = None) -> list[Surface]:
    """Headphones standing on their cups: the ground shows through the band."""
    colour = palette.toned(rng, tone, "black", "white", "silver", "rose", "navy", "grey", "cream", "red")
    rough, r = rng.choice([0.2, 0.45, 0.7]), rng.uniform(3.4, 4.2)
    apart, high = rng.uniform(6.6, 8.0), rng.uniform(17, 20)
    t = np.linspace(-0.12 * np.pi, 1.12 * np.pi, 46)
    arc = np.stack([apart * 1.08 * np.cos(t), 0 * t, high - apart * 1.15 + apart * 1.15 * np.sin(t)], 1)
    band = tube(arc, np.interp(np.linspace(0, 1, 46), [0, 0.25, 0.5, 0.75, 1], [0.35, 0.5, 0.85, 0.5, 0.35]), 16, 1.7)
    parts = [Surface(band, plain(colour), colour, 0.05, rough)]
    swap = np.array([[0, 0, 1], [0, 1, 0], [-1, 0, 0]], float)
    for side in (-1, 1):
        for knots, tint, soft in (
            ([(r * 0.35, 1.2), (r * 0.9, 1.0), (r, 0.4), (r, -0.2), (r * 0.9, -0.6), (0, -0.7)], colour, rough),
            (
                [(0, 1.1), (r * 0.5, 1.2), (r * 1.0, 1.9), (r * 1.03, 1.2), (r * 0.9, 0.6)],
                palette.colour(rng, "black", "charcoal", "brown"),
                0.8,
            ),
        ):
            disc = lathe(profile(knots, 26)[::-1]) @ swap
            disc[..., 0] *= side
            if side < 0:
                disc = disc[:, ::-1]
            disc = turned(disc, 0.25 * side, (side * apart * 1.0 + side * 0.2, 0, r + 0.05))
            parts.append(Surface(disc, plain(tint), tint, 0.045, soft))
    turn = rng.uniform(-0.7, 0.7)
    for part in parts:
        part.points = turned(part.points, turn)
    return parts


def cap(rng: np.random.Generator, tone: str | None = None) -> list[Surface]:
    """Baseball cap, its peak towards the camera."""
    r, h = rng.uniform(9, 10), rng.uniform(10, 12.5)
    crown = lathe(
        profile([(r, 0.0), (r * 1.01, h * 0.3), (r * 0.86, h * 0.72), (r * 0.45, h * 0.96), (0.001, h)], 40), 90, 1.12
    )
    bump = 0.03 * noise.fractal(rng, crown.shape[:2], 12, 3)
    crown *= (1 + bump * np.linspace(1, 0.2, len(crown))[:, None])[..., None]
    crown[:, -1] = crown[:, 0]
    colour = palette.toned(rng, tone)
    second = palette.colour(rng) if rng.random() < 0.35 and tone is None else colour
    tile = np.broadcast_to(colour, (400, 800, 3)).astype(np.float32).copy()
    tile *= np.exp(0.07 * noise.smooth(rng, (400, 800), 2))[..., None]
    relief = 0.02 * noise.smooth(rng, (400, 800), 2)
    for x in (0, 133, 266, 400, 533, 666, 799):
        relief[:, max(0, x - 5) : x + 6] -= 0.06
        tile[:, max(0, x - 8)] *= 0.7
        tile[:, min(799, x + 8)] *= 0.7
    if rng.random() < 0.6:
        mark = lettering.line(rng, lettering.word(rng, 1).upper(), 190, 100, 0.14)
        lettering.print_on(tile, mark[::-1], 305, 105, palette.contrasting(rng, colour))
    t, s = np.linspace(-1.12, 1.12, 40)[None, :], np.linspace(0, 1, 16)[:, None]
    reach = rng.uniform(5.5, 7) * np.cos(t * 0.86) ** 0.75
    across = r * np.sin(t) * (1 + 0.02 * s)
    ahead = -(r * 1.12) * np.cos(t) - reach * s
    height = np.maximum(0.55 - 0.9 * s**1.5 + 1.1 * np.cos(t * 1.25), 0.05)
    brim = np.stack(np.broadcast_arrays(across, ahead, height), -1)
    turn = rng.uniform(-0.8, 0.8)
    peak = np.broadcast_to(second, (160, 300, 3)).astype(np.float32).copy()
    groove = np.zeros((160, 300), np.float32)
    groove[::18] = -0.04
    button = lathe(profile([(0.9, h - 0.15), (0.7, h + 0.2), (0.001, h + 0.35)], 8), 24)
    parts = [
        Surface(crown.astype(np.float32), tile, None, 0.03, 0.9, relief=relief),
        Surface(brim[::-1].astype(np.float32), peak, second * 0.7, 0.03, 0.9, relief=groove),
        Surface(button, plain(second), None, 0.03, 0.9),
    ]
    for part in parts:
        part.points = turned(part.points, turn)
    return parts


MAKERS: dict[str, Callable[..., list[Surface]]] = {
    "mug": mug, "bottle": bottle, "vase": vase, "bowl": bowl, "jar": jar, "carton": boxes.carton, "book": boxes.book,
    "lamp": lamp, "headphones": headphones, "cap": cap,
}  # fmt: skip
