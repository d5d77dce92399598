"""Cloth by the metre: weaves and prints as tiles of albedo and fine relief, to be cut by the garments."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import cv2
import numpy as np

from pipeline.samples import noise, outlines, palette


@dataclasses.dataclass
class Cloth:
    """A flat tile of material.

    Attributes:
      albedo: linear RGB, float32 (n, n, 3), 0..1.
      relief: fine relief in pixels, float32 (n, n).
      gloss: strength of the mirror-like reflection, 0 for cotton to 0.6 for patent leather.
      sheen: brightening towards grazing angles, as of velvet or fleece.
      stiffness: 0 for jersey that hangs in soft waves, 1 for denim or leather with few sharp folds.
      loft: thickness of a layer in cm.
      base: its main colour, linear RGB.
    """

    albedo: np.ndarray
    relief: np.ndarray
    gloss: float = 0.0
    sheen: float = 0.05
    stiffness: float = 0.4
    loft: float = 0.5
    base: np.ndarray = dataclasses.field(default_factory=lambda: np.full(3, 0.5, np.float32))


def _plain(side: int, colour: np.ndarray) -> np.ndarray:
    return np.broadcast_to(colour, (side, side, 3)).astype(np.float32).copy()


def _mixed(a: np.ndarray, b: np.ndarray, share: np.ndarray) -> np.ndarray:
    return a + (b - a) * share[..., None]


def _yarn(rng: np.random.Generator, side: int, px: float, contrast: float) -> np.ndarray:
    """Returns the unevenness of yarn, a factor near 1."""
    fine = noise.smooth(rng, (side, side), max(1.0, 0.06 * px))
    slub = noise.smooth(rng, (side, side), (1.2 * px, max(1.0, 0.12 * px)))
    return np.exp(contrast * (0.8 * fine + 0.35 * slub))


def jersey(rng: np.random.Generator, side: int, px: float, colour: np.ndarray) -> Cloth:
    """Cotton T-shirt cloth, plain or heathered."""
    heather = rng.random() < 0.3
    albedo = _plain(side, colour) * _yarn(rng, side, px, 0.16 if heather else 0.035)[..., None]
    relief = 0.10 * noise.smooth(rng, (side, side), max(1.0, 0.08 * px))
    return Cloth(albedo, relief, stiffness=rng.uniform(0.1, 0.35), loft=0.35, base=colour)


def poplin(rng: np.random.Generator, side: int, px: float, colour: np.ndarray) -> Cloth:
    """Shirt cotton or linen: flat, crisp, easily wrinkled."""
    albedo = _plain(side, colour) * _yarn(rng, side, px, rng.uniform(0.02, 0.07))[..., None]
    relief = 0.06 * noise.smooth(rng, (side, side), 1.0)
    return Cloth(albedo, relief, stiffness=rng.uniform(0.6, 0.9), loft=0.25, base=colour)


def denim(rng: np.random.Generator, side: int, px: float, colour: np.ndarray | None = None) -> Cloth:
    """Indigo twill with worn, lighter patches."""
    if colour is None:
        colour = palette.linear(
            [(38, 48, 74), (62, 84, 120), (96, 124, 158), (34, 35, 40), (120, 148, 176)][rng.integers(5)]
        )
    y, x = np.mgrid[0:side, 0:side].astype(np.float32)
    period = max(2.4, 0.13 * px)
    twill = np.sin((x + y) * (2 * np.pi / period))
    warp = noise.smooth(rng, (side, side), (1.2, max(2.0, 0.5 * px)))
    worn = noise.smoothstep(-0.8, 2.6, noise.fractal(rng, (side, side), 14 * px, 4)) * rng.uniform(0.05, 0.4)
    albedo = _plain(side, colour) * np.exp(0.08 * twill + 0.085 * warp)[..., None]
    albedo = _mixed(albedo, palette.linear((176, 190, 205)), np.clip(worn + 0.04 * warp, 0, 1))
    return Cloth(albedo, 0.10 * twill + 0.08 * warp, stiffness=0.85, loft=0.7, base=colour)


def knit(rng: np.random.Generator, side: int, px: float, colour: np.ndarray) -> Cloth:
    """Knitted wool: columns of V stitches, sometimes cables or marl yarn."""
    gauge = max(3.2, rng.uniform(0.22, 0.6) * px)
    y, x = np.mgrid[0:side, 0:side].astype(np.float32)
    x = x + 0.25 * gauge * noise.smooth(rng, (side, side), 5 * gauge)
    y = y + 0.2 * gauge * noise.smooth(rng, (side, side), 5 * gauge)
    column = x / gauge
    across = column - np.floor(column) - 0.5
    stitch = np.sin(2 * np.pi * (y / (0.8 * gauge) + np.abs(across) * 1.3))
    rib = np.cos(2 * np.pi * across)
    relief = 0.11 * gauge * (0.6 * stitch * (0.4 + 0.6 * np.abs(rib)) - 0.5 * rib)
    if rng.random() < 0.3:
        wide = rng.integers(6, 11) * gauge
        phase = x / wide - np.floor(x / wide) - 0.5
        twist = np.sin(2 * np.pi * y / (1.3 * wide))
        relief += (
            0.35
            * gauge
            * (np.exp(-(((phase - 0.12 * twist) / 0.09) ** 2)) + np.exp(-(((phase + 0.12 * twist) / 0.09) ** 2)))
        )
    shade = 0.85 + 0.13 * stitch - 0.06 * rib
    marl = rng.uniform(0.03, 0.22)
    albedo = (
        _plain(side, colour) * (shade * np.exp(marl * noise.smooth(rng, (side, side), (gauge, 0.6 * gauge))))[..., None]
    )
    return Cloth(albedo, relief, sheen=0.12, stiffness=0.2, loft=1.0, base=colour)


def fleece(rng: np.random.Generator, side: int, px: float, colour: np.ndarray) -> Cloth:
    """Fleece, teddy or brushed sweatshirt: pile without a direction."""
    pile = noise.fractal(rng, (side, side), rng.uniform(0.15, 0.9) * px, 3, 0.7)
    albedo = _plain(side, colour) * np.exp(0.10 * pile)[..., None]
    return Cloth(albedo, rng.uniform(0.15, 0.5) * pile, sheen=0.18, stiffness=0.35, loft=1.1, base=colour)


def leather(rng: np.random.Generator, side: int, px: float, colour: np.ndarray) -> Cloth:
    """Leather: pebbled grain, gloss, uneven dye."""
    grain = np.abs(noise.fractal(rng, (side, side), max(2.0, 0.22 * px), 2))
    dye = noise.fractal(rng, (side, side), 6 * px, 3)
    albedo = _plain(side, colour) * np.exp(0.08 * dye - 0.10 * grain)[..., None]
    return Cloth(albedo, -0.22 * grain, gloss=rng.uniform(0.16, 0.4), sheen=0.0, stiffness=0.95, loft=0.9, base=colour)


def satin(rng: np.random.Generator, side: int, px: float, colour: np.ndarray) -> Cloth:
    """Satin, nylon or lining: smooth and shiny, full of small soft folds."""
    albedo = _plain(side, colour) * _yarn(rng, side, px, 0.02)[..., None]
    relief = np.zeros((side, side), np.float32)
    return Cloth(albedo, relief, gloss=rng.uniform(0.08, 0.2), sheen=0.02, stiffness=0.5, loft=0.3, base=colour)


def puffer(rng: np.random.Generator, side: int, px: float, colour: np.ndarray) -> Cloth:
    """Down jacket: horizontal chambers that bulge between seams and pucker along them."""
    chamber = rng.uniform(4.5, 8.5) * px
    y = np.arange(side, dtype=np.float32)[:, None] + 0.25 * px * noise.smooth(rng, (side, side), 6 * px)
    phase = y / chamber - np.floor(y / chamber)
    bulge = np.sqrt(np.clip(1 - (2 * phase - 1) ** 2, 0, 1))
    pucker = noise.smooth(rng, (side, side), (0.9 * px, 2.6 * px)) * (1 - bulge) * 2.0
    soft = noise.smooth(rng, (side, side), (2.6 * px, 2.0 * px)) * bulge
    relief = px * (0.85 * bulge + 0.13 * pucker + 0.10 * soft)
    albedo = _plain(side, colour) * (0.86 + 0.14 * np.sqrt(bulge))[..., None]
    return Cloth(albedo, relief, gloss=rng.uniform(0.03, 0.16), sheen=0.03, stiffness=0.7, loft=2.4, base=colour)


def _stripes(rng: np.random.Generator, cloth: Cloth, px: float) -> None:
    side = len(cloth.albedo)
    colours = [cloth.base, palette.contrasting(rng, cloth.base)]
    if rng.random() < 0.35:
        colours.append(palette.colour(rng))
    widths = rng.uniform(0.5, 2.6, len(colours)) * px * rng.uniform(0.5, 1.6)
    if rng.random() < 0.5:
        widths[:] = widths[0]
    edges = np.cumsum(widths)
    position = np.arange(side, dtype=np.float32) % edges[-1]
    band = np.zeros((side, 3), np.float32)
    for i, tone in enumerate(colours):
        low = edges[i] - widths[i]
        share = np.clip(position - low + 0.5, 0, 1) * np.clip(edges[i] - position + 0.5, 0, 1)
        band += share[:, None] * tone
    factor = cloth.albedo / cloth.base
    rows = band[:, None, :] if rng.random() < 0.8 else band[None, :, :]
    cloth.albedo = factor * rows


def _plaid(rng: np.random.Generator, cloth: Cloth, px: float) -> None:
    side = len(cloth.albedo)
    period = rng.uniform(2.5, 8) * px
    tones = [palette.contrasting(rng, cloth.base), palette.colour(rng), palette.colour(rng, "black", "white", "navy")]
    factor = cloth.albedo / cloth.base

    def sett() -> np.ndarray:
        line = np.broadcast_to(cloth.base, (side, 3)).astype(np.float32).copy()
        position = np.arange(side, dtype=np.float32) / period
        for tone, width, at in zip(
            tones, (rng.uniform(0.25, 0.5), rng.uniform(0.06, 0.15), 0.05), rng.uniform(0, 1, 3), strict=True
        ):
            distance = np.abs((position - at + 0.5) % 1 - 0.5)
            share = np.clip((width / 2 - distance) * period + 0.5, 0, 1)[:, None]
            line = line * (1 - share) + tone * share
        return line

    across = sett()
    down = across if rng.random() < 0.6 else sett()
    cloth.albedo = factor * (0.5 * across[:, None, :] + 0.5 * down[None, :, :])


def _motif(rng: np.random.Generator, kind: str, radius: float) -> list[np.ndarray]:
    turn = rng.uniform(0, 2 * np.pi)
    t = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    if kind == "dot":
        return [radius * np.stack([np.cos(t), np.sin(t)], 1)]
    if kind == "leaf":
        line = np.stack([np.cos(t), 0.38 * np.sin(t) * (1 + 0.5 * np.cos(t))], 1)
    elif kind == "spot":
        line = np.stack([np.cos(t), np.sin(t)], 1) * (1 + 0.45 * np.sin(3 * t + turn) * rng.random())[:, None]
        line[:, 1] *= rng.uniform(0.5, 1)
    else:  # a flower
        petals = rng.integers(4, 7)
        t = np.linspace(0, 2 * np.pi, 44, endpoint=False)
        line = np.stack([np.cos(t), np.sin(t)], 1) * (0.62 + 0.38 * np.cos(petals * t))[:, None]
    c, s = np.cos(turn), np.sin(turn)
    return [radius * line @ np.array([[c, s], [-s, c]])]


def _scatter(rng: np.random.Generator, cloth: Cloth, px: float, kind: str) -> None:
    side = len(cloth.albedo)
    # One repeat is drawn and tiled: printed cloth repeats, and it costs little.
    repeat = int(min(side, rng.uniform(11, 18) * px))
    spacing = {"dot": rng.uniform(1.1, 3.5), "leopard": rng.uniform(1.3, 2.6)}.get(kind, rng.uniform(2.2, 4.5)) * px
    count = max(2, round(repeat / spacing))
    spacing = repeat / count
    canvas = np.zeros((repeat, repeat, 3), np.float32)
    cover = np.zeros((repeat, repeat), np.float32)
    tones = [palette.contrasting(rng, cloth.base), palette.colour(rng), palette.colour(rng, "green", "olive", "forest")]
    if kind == "leopard":
        tones = [palette.colour(rng, "black", "chocolate"), cloth.base * 0.55]
    regular = kind == "dot"
    for row in range(count):
        for column in range(count):
            offset = 0.5 * (row % 2) if count % 2 == 0 else 0.0
            x = (column + 0.5 + offset) * spacing + (0 if regular else rng.normal(0, 0.28) * spacing)
            y = (row + 0.5) * spacing + (0 if regular else rng.normal(0, 0.28) * spacing)
            layers = {"dot": (("dot", 0.24, 0),), "leopard": (("spot", 0.42, 0), ("spot", 0.24, 1))}.get(
                kind,
                (
                    ("leaf", 0.5, 2),
                    ("leaf", 0.45, 2),
                    ("flower", rng.uniform(0.28, 0.46), rng.integers(2)),
                    ("dot", 0.08, 1),
                ),
            )
            for shape, size, tone in layers:
                for line in _motif(rng, shape, size * spacing * (1 if regular else rng.uniform(0.7, 1.2))):
                    low = np.floor(line.min(0) + (x, y)).astype(int) - 1
                    patch = np.ceil(line.max(0) + (x, y)).astype(int) + 2 - low
                    mask = outlines.fill((int(patch[1]), int(patch[0])), line + (x, y) - low)[..., None]
                    rows = (np.arange(patch[1]) + low[1])[:, None] % repeat
                    columns = (np.arange(patch[0]) + low[0])[None, :] % repeat
                    canvas[rows, columns] = canvas[rows, columns] * (1 - mask) + tones[tone] * mask
                    cover[rows, columns] = np.maximum(cover[rows, columns], mask[..., 0])
    copies = -(-side // repeat)
    canvas = np.tile(canvas, (copies, copies, 1))[:side, :side]
    cover = np.tile(cover, (copies, copies))[:side, :side, None]
    factor = np.clip(cloth.albedo / cloth.base, 0.5, 1.6)
    # ``canvas`` starts black, so uncovered parts of a half-covered pixel are already weighted.
    cloth.albedo = cloth.albedo * (1 - cover) + factor * np.where(cover > 0, canvas, 0)


def _camouflage(rng: np.random.Generator, cloth: Cloth, px: float) -> None:
    side = len(cloth.albedo)
    factor = cloth.albedo / cloth.base
    ground = _plain(side, palette.colour(rng, "olive", "beige", "grey"))
    for name in ("forest", "brown", "black", "camel")[: rng.integers(2, 5)]:
        field = noise.fractal(rng, (side, side), (rng.uniform(4, 8) * px, 4 * px), 3, 0.6)
        ground = _mixed(ground, palette.colour(rng, name), noise.smoothstep(0.55, 0.62, field))
    cloth.albedo = factor * ground


def _tie_dye(rng: np.random.Generator, cloth: Cloth, px: float) -> None:
    side = len(cloth.albedo)
    factor = cloth.albedo / cloth.base
    field = noise.fractal(rng, (side, side), 16 * px, 5, 0.6)
    tone = _mixed(_plain(side, cloth.base), palette.contrasting(rng, cloth.base), noise.smoothstep(-0.8, 1.4, field))
    cloth.albedo = factor * tone


_PRINTS: dict[str, Callable[[np.random.Generator, Cloth, float], None]] = {
    "stripes": _stripes,
    "plaid": _plaid,
    "dots": lambda rng, cloth, px: _scatter(rng, cloth, px, "dot"),
    "floral": lambda rng, cloth, px: _scatter(rng, cloth, px, "floral"),
    "leopard": lambda rng, cloth, px: _scatter(rng, cloth, px, "leopard"),
    "camouflage": _camouflage,
    "tie_dye": _tie_dye,
}
PRINTS = tuple(_PRINTS)


def printed(rng: np.random.Generator, cloth: Cloth, px: float, kind: str) -> Cloth:
    """Returns the cloth with a print; ``kind`` is one of ``PRINTS``, ``px`` is pixels per cm."""
    _PRINTS[kind](rng, cloth, px)
    cloth.albedo = np.clip(cloth.albedo, 0.004, 0.92)
    return cloth


_WEAVES: dict[str, Callable[[np.random.Generator, int, float, np.ndarray], Cloth]] = {
    "jersey": jersey, "poplin": poplin, "denim": denim, "knit": knit, "fleece": fleece, "leather": leather,
    "satin": satin, "puffer": puffer,
}  # fmt: skip


def choose(
    rng: np.random.Generator, side: int, px: float, tone: str | None, kinds: dict[str, float], prints: dict[str, float]
) -> Cloth:
    """Returns cloth of one of some kinds, perhaps printed.

    Args:
      rng: source of randomness.
      side: of the tile in pixels.
      px: pixels per cm.
      tone: ``light``, ``dark`` or None for any colour.
      kinds: weight of each weave by name.
      prints: probability of each of ``PRINTS``; what is left of 1 stays plain.
    """
    names = list(kinds)
    weights = np.array([kinds[name] for name in names], float)
    kind = names[rng.choice(len(names), p=weights / weights.sum())]
    colour = palette.toned(rng, tone)
    cloth = denim(rng, side, px) if kind == "denim" and tone is None else _WEAVES[kind](rng, side, px, colour)
    if tone is None and kind not in ("denim", "leather", "puffer"):
        draw = rng.random()
        for name, share in prints.items():
            if draw < share:
                return printed(rng, cloth, px, name)
            draw -= share
    return cloth


def cut(
    cloth: Cloth, shape: tuple[int, int], angle: float, shift: tuple[float, float]
) -> tuple[np.ndarray, np.ndarray]:
    """Returns a piece of cloth laid at an angle.

    Args:
      cloth: the tile; it is mirrored where it ends.
      shape: height and width of the piece in pixels.
      angle: of the cloth's grain, radians.
      shift: where on the tile the piece's top left corner lies, pixels.

    Returns:
      albedo float32 (h, w, 3) and relief float32 (h, w).
    """
    c, s = np.cos(angle), np.sin(angle)
    transform = np.array([[c, s, shift[0]], [-s, c, shift[1]]], np.float32)
    size = (shape[1], shape[0])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    albedo = cv2.warpAffine(cloth.albedo, transform, size, flags=flags, borderMode=cv2.BORDER_REFLECT_101)
    relief = cv2.warpAffine(cloth.relief, transform, size, flags=flags, borderMode=cv2.BORDER_REFLECT_101)
    return np.asarray(albedo), np.asarray(relief)
