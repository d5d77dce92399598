"""Shoes as surfaces: sneakers, ballet flats, loafers, ankle boots, sandals; always a pair."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from pipeline.samples import noise, outlines, palette
from pipeline.samples.hardgoods import plain
from pipeline.samples.surfaces import Surface, tube, turned

_AROUND = 96
_BLACK_TO_CAMEL = ("black", "brown", "chocolate", "camel")


@dataclasses.dataclass(frozen=True)
class _Form:
    """Measures of a style of shoe: cm, but ``opening`` and ``mouth`` in parts of its length and width."""

    sole: float
    opening: float
    mouth: float
    heel: float
    throat: float
    dip: float
    toe: float
    binding: float = 0.22
    sole_colours: tuple[str, ...] = _BLACK_TO_CAMEL


_FORMS = {
    "sneaker": _Form(2.6, 0.52, 0.30, 7.5, 9.0, 1.2, 2.0, 0.45, ("white", "white", "cream", "black", "camel")),
    "ballet": _Form(0.8, 0.72, 0.36, 5.0, 3.4, 0.8, 1.2),
    "loafer": _Form(1.5, 0.55, 0.30, 6.5, 7.2, 1.2, 1.4),
    "boot": _Form(2.2, 0.46, 0.33, 13.0, 13.5, 0.3, 2.0, 0.35),
    "sandal": _Form(2.2, 0.50, 0.30, 6.0, 6.0, 1.0, 1.5),
}


def _ring(knots: list) -> np.ndarray:
    """Returns a closed outline at even steps, (_AROUND + 1, 2), from the heel's middle, running left first."""
    line = outlines.spline(knots)
    line = np.concatenate([line, line[:1]])
    length = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))])
    at = np.linspace(0, length[-1], _AROUND + 1)
    return np.stack([np.interp(at, length, line[:, k]) for k in (0, 1)], 1)


def _outline(long: float, wide: float, pointed: float) -> np.ndarray:
    """Returns the sole of a left shoe seen from above, toe towards +y, heel at y = 0."""
    w = wide / 2
    toe = w * (0.62 - 0.4 * pointed)
    knots = [
        (0, 0), (w * 0.66, 0.06 * long), (w * 0.68, 0.25 * long), (w * 0.62, 0.42 * long), (w * 0.98, 0.70 * long),
        (toe + 0.05 * wide, 0.92 * long), (0.12 * wide, long), (-toe * 0.7, 0.95 * long), (-w * 1.0, 0.72 * long),
        (-w * 0.86, 0.42 * long), (-w * 0.72, 0.22 * long), (-w * 0.62, 0.05 * long),
    ]  # fmt: skip
    return _ring(knots)


def _prism(ring: np.ndarray, heights: list[tuple[float, float]]) -> np.ndarray:
    """Returns walls over a ring: (height, scale about its centre) from bottom to top."""
    centre = ring.mean(0)
    rows = [np.concatenate([centre + (ring - centre) * s, np.full((len(ring), 1), z)], 1) for z, s in heights]
    return np.stack(rows).astype(np.float32)


def _footbed_tile(lining: np.ndarray, shaded: bool) -> np.ndarray:
    """Returns the lining's colour over the footbed, in the shade of the upper at its rim and towards the toe."""
    light: np.ndarray = np.ones((7, _AROUND + 1))
    if shaded:
        inwards = np.linspace(0, 1, 7)[:, None] ** 0.7
        toe = np.sin(np.linspace(0, np.pi, _AROUND + 1))[None, :] ** 2
        light = (0.25 + 0.5 * inwards) * (1 - 0.5 * toe * (1 - 0.5 * inwards))
    return (light[..., None] * lining).astype(np.float32)


def _shoe(rng: np.random.Generator, style: str, look: dict) -> list[Surface]:
    long, wide = look["long"], look["wide"]
    ring = _outline(long, wide, look["pointed"])
    sole_h, colour, sole_colour, lining = look["sole"], look["colour"], look["sole_colour"], look["lining"]
    sole = _prism(
        ring,
        [
            (0.0, 0.955),
            (0.15, 0.985),
            (0.5 * sole_h, 1.0),
            (sole_h * 0.92, 1.0),
            (sole_h, 0.985),
            (sole_h, 0.85),
        ],
    )
    tread = np.broadcast_to(sole_colour, (90, 600, 3)).astype(np.float32).copy()
    tread *= (1 + 0.05 * rng.standard_normal((90, 600, 1))).astype(np.float32)
    if style == "sneaker" and rng.random() < 0.5:
        tread[18:24] = colour
    groove = np.zeros((90, 600), np.float32)
    groove[::7] = -0.05
    parts = [Surface(sole, tread, None, 0.04, 0.6, relief=groove)]
    footbed = _prism(ring, [(sole_h + 0.15, scale) for scale in (0.9, 0.75, 0.6, 0.45, 0.3, 0.15, 0.01)])
    parts.append(Surface(footbed, _footbed_tile(lining, shaded=style != "sandal"), lining, 0.03, 0.8))
    phase = np.linspace(0, 1, _AROUND + 1)
    forward = (ring[:, 1] / long)[None, :]  # 0 at the heel, 1 at the toe
    if style == "sandal":
        return parts + _straps(rng, look, ring)
    reach = look["opening"]  # how far forward the opening runs
    t = phase * 2 * np.pi
    # The opening: an ellipse over the rear of the sole.
    centre_y, half = long * (0.03 + 0.5 * reach), long * 0.5 * reach
    mouth = np.stack([-np.sin(-t) * wide * look["mouth"], centre_y - half * np.cos(t)], 1)
    # Match the mouth's points to the sole's, angle by angle.
    rim = look["rim"]
    back, front = rim["heel"], rim["throat"]
    along = np.clip((mouth[:, 1] - (centre_y - half)) / (2 * half), 0, 1)
    mouth_z = back + (front - back) * along**0.7 - rim["dip"] * np.sin(np.pi * along) ** 2
    s = np.linspace(0, 1, 26)[:, None]
    # Walls go up first, then over: more so at the toe, where the upper is a long vamp.
    over = 1.35 + 2.2 * forward
    q = s**over
    rise = np.sin(s * np.pi / 2) ** 0.85
    start = sole_h * 0.8
    xy = (ring * 0.985)[None] * (1 - q[..., None]) + mouth[None] * q[..., None]
    toe_box = look["toe"] * np.sin(np.pi * np.clip(s * 0.9, 0, 1)) * np.clip((forward - 0.62) / 0.38, 0, 1)
    z = start + (mouth_z[None] - start) * rise + toe_box
    swell = 0.045 * np.sin(np.pi * s) * wide
    away = (ring - ring.mean(0)) / np.maximum(np.linalg.norm(ring - ring.mean(0), axis=1, keepdims=True), 1e-6)
    xy = xy + swell[..., None] * away[None] * (1 - 0.7 * forward[..., None])
    upper = np.concatenate([xy, z[..., None]], -1)
    wobble = noise.smooth(rng, upper.shape[:2], 14) * 0.05 * np.sin(np.pi * s)
    upper[..., 2] += wobble
    upper[:, -1] = upper[:, 0]
    parts.append(
        Surface(upper.astype(np.float32), look["tile"], lining, look["gloss"], look["rough"], relief=look["relief"])
    )
    binding = np.concatenate([upper[-1], upper[-1][1:2]])
    parts.append(Surface(tube(binding, look["binding"], 8), plain(look["trim"]), look["trim"], 0.03, 0.8))
    if look["laces"]:
        parts += _laces(upper, look, rng)
    if style == "ballet" and look["bow"]:
        tip = upper[-1][np.argmax(upper[-1][:, 1])] + (0, 0.5, 0.25)
        for side in (-1, 1):
            loop = np.array(
                [[0, 0, 0], [side * 0.9, 0.5, 0.35], [side * 1.6, 0.1, 0.25], [side * 1.2, -0.5, 0.15], [0, 0, 0]]
            )
            path = tip + np.stack([np.interp(np.linspace(0, 4, 22), np.arange(5), loop[:, k]) for k in range(3)], 1)
            parts.append(Surface(tube(path, 0.22, 8), plain(look["trim"]), look["trim"], 0.03, 0.6))
    return parts


def _laces(upper: np.ndarray, look: dict, rng: np.random.Generator) -> list[Surface]:
    """Returns a tongue and laces across the throat."""
    rim = upper[-1]
    tip = rim[np.argmax(rim[:, 1])]
    parts = []
    wide, long = look["wide"], look["long"]
    span = 0.24 * long
    rows, columns = 14, 12
    u, v = np.linspace(-1, 1, columns), np.linspace(0, 1, rows)
    gx, gv = np.meshgrid(u, v)
    rise = look["rim"]["throat"]
    z = rise + 1.3 - gv * (rise + 1.0 - look["sole"] - look["toe"] * 0.55 - 1.1) - 0.5 * gx**2 + 0.12
    tongue = np.stack([gx * wide * (0.24 - 0.04 * gv), tip[1] - 2.2 + gv * (span + 1.2), z], -1)
    parts.append(Surface(tongue[::-1].astype(np.float32), plain(look["tongue"]), look["lining"], 0.03, 0.9))
    count = int(rng.integers(4, 7))
    for k in range(count):
        at = (k + 0.6) / count
        y = tip[1] - 1.0 + at * span
        zz = float(np.interp(at, v, z[:, columns // 2])) + 0.15
        for sign in (1,) if rng.random() < 0.5 else (1, -1):
            path = np.stack(
                [
                    np.linspace(-1, 1, 16) * wide * 0.25,
                    y + sign * np.linspace(-0.45, 0.45, 16),
                    zz - 0.55 * np.linspace(-1, 1, 16) ** 2,
                ],
                1,
            )
            parts.append(Surface(tube(path, 0.24, 8, 0.6), plain(look["lace"]), look["lace"], 0.03, 0.9))
    for side in (-1, 1):  # the bow
        w = np.linspace(0, 1, 20)
        path = np.stack(
            [
                side * (0.3 + 2.2 * np.sin(np.pi * w * 0.95)),
                tip[1] - 0.6 + side * 0.3 - 2.0 * w * (1 - w) * 3,
                rise + 1.1 - 1.4 * w * np.abs(np.sin(np.pi * w)),
            ],
            1,
        )
        parts.append(Surface(tube(path, 0.2, 8), plain(look["lace"]), look["lace"], 0.03, 0.9))
    return parts


def _straps(rng: np.random.Generator, look: dict, ring: np.ndarray) -> list[Surface]:
    long, wide, parts = look["long"], look["wide"], []
    places = [(0.78, 2.6), (0.62, 2.9), (0.2, 3.4)] if rng.random() < 0.5 else [(0.74, 3.1), (0.18, 3.8)]
    for place, high in places:
        left, right = (ring[np.argmin(np.hypot(ring[:, 0] - s * wide / 2, ring[:, 1] - place * long))] for s in (-1, 1))
        t = np.linspace(0, 1, 24)
        cross = rng.normal(0, 0.6)
        path = np.stack(
            [
                left[0] + (right[0] - left[0]) * t,
                left[1] + (right[1] - left[1]) * t + cross * np.sin(np.pi * t),
                look["sole"] + high * np.sin(np.pi * t) ** 0.7,
            ],
            1,
        )
        parts.append(
            Surface(
                tube(path, 0.22, 12, flat=rng.uniform(3.0, 5.5)),
                plain(look["colour"]),
                look["colour"],
                look["gloss"],
                look["rough"],
            )
        )
    t = np.linspace(-1, 1, 24)
    path = np.stack([0.34 * wide * t, 0.21 * long - (0.21 * long - 0.4) * (1 - t * t) ** 0.6], 1)
    lifted = np.concatenate([path, np.full((24, 1), look["sole"] + 3.4)], 1)
    parts.append(
        Surface(tube(lifted, 0.16, 12, flat=3.5), plain(look["colour"]), look["colour"], look["gloss"], look["rough"])
    )
    return parts


def shoes(rng: np.random.Generator, tone: str | None = None) -> list[Surface]:
    """A pair of shoes of one of five styles, toes towards or away from the camera, or side-on."""
    style = str(rng.choice(["sneaker", "ballet", "loafer", "boot", "sandal"], p=[0.38, 0.14, 0.16, 0.2, 0.12]))
    colour = palette.toned(rng, tone)
    leather = style != "sneaker" or rng.random() < 0.4
    shape = (300, 900)
    tile = np.broadcast_to(colour, (*shape, 3)).astype(np.float32).copy()
    tile *= np.exp((0.06 if leather else 0.12) * noise.fractal(rng, shape, 40 if leather else 2.5, 3))[..., None]
    relief = 0.012 * noise.smooth(rng, shape, 2.5)
    second = palette.contrasting(rng, colour) if rng.random() < 0.5 and tone is None else colour * 0.8
    u = np.linspace(0, 1, shape[1])
    side_on = np.abs(u - 0.5)
    if style == "sneaker":
        for k in range(int(rng.integers(0, 3))):  # slanting bands on both sides
            for where in (0.30, 0.70):
                x = where + (k - 1) * 0.035
                for row in range(40, 230):
                    lean = (row - 40) * 0.00035 * (1 if where < 0.5 else -1)
                    low = int((x + lean) * shape[1])
                    tile[row, low : low + 14] = second
        tile[:45, (side_on < 0.10)] = second  # toe cap
        relief[45:48, (side_on < 0.10)] -= 0.05
    tile[:, (side_on > 0.46)] *= 0.85
    relief[:, (side_on > 0.455) & (side_on < 0.465)] -= 0.06
    long = rng.uniform(25, 29)
    lining = palette.colour(rng, "beige", "grey", "white", "black", "camel", "cream")
    form = _FORMS[style]
    look: dict[str, Any] = {
        "long": long,
        "wide": long * rng.uniform(0.355, 0.40),
        "pointed": {"ballet": rng.uniform(0.2, 1.0), "loafer": rng.uniform(0.1, 0.6)}.get(style, rng.uniform(0, 0.25)),
        "sole": form.sole * (rng.uniform(0.85, 1.3) if style == "sneaker" else 1.0),
        "colour": colour,
        "sole_colour": palette.colour(rng, *form.sole_colours),
        "lining": lining,
        "opening": form.opening * rng.uniform(0.94, 1.06),
        "mouth": form.mouth,
        "rim": {
            "heel": form.heel * rng.uniform(0.92, 1.1),
            "throat": form.throat * rng.uniform(0.95, 1.08),
            "dip": form.dip,
        },
        "toe": form.toe,
        "tile": tile,
        "relief": relief,
        "gloss": 0.05 if leather else 0.03,
        "rough": rng.uniform(0.15, 0.6) if leather else 0.95,
        "binding": form.binding,
        "trim": colour * 0.75 if rng.random() < 0.7 else second,
        "laces": style == "sneaker" or (style == "boot" and rng.random() < 0.7),
        "lace": palette.colour(rng, "white", "black", "cream") if style == "sneaker" else colour * 0.5,
        "tongue": colour * 0.9,
        "bow": rng.random() < 0.6,
    }  # fmt: skip
    turn = (
        rng.choice([0.0, np.pi, 0.0]) + rng.normal(0, 0.3)
        if rng.random() < 0.65
        else rng.choice([-1, 1]) * rng.uniform(0.9, 1.7)
    )
    gap = look["wide"] * rng.uniform(0.62, 0.85)
    first = _shoe(rng, style, look)
    pair = []
    for side in (-1, 1):
        lean, ahead = rng.normal(0, 0.09), rng.normal(0, 0.8)
        for part in first:
            points = part.points - np.array((0, long / 2, 0), np.float32)
            picture, relief_map = part.albedo, part.relief
            if side > 0:  # the other foot is the mirror image, its columns turned to face outwards again
                points = (points * np.array((-1, 1, 1), np.float32))[:, ::-1]
                picture = picture[:, ::-1].copy()
                relief_map = None if relief_map is None else relief_map[:, ::-1].copy()
            points = turned(turned(points, lean, (side * gap, ahead, 0)), turn)
            pair.append(Surface(points, picture, part.inside, part.gloss, part.roughness, part.metal, relief_map))
    return pair
