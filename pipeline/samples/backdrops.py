"""What products lie on, stand on or hang before: floors, bedding, carpets, walls, paper."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import cv2
import numpy as np

from pipeline.samples import fabric, folds, noise, palette


@dataclasses.dataclass
class Ground:
    """A flat stretch of backdrop seen from straight above.

    Attributes:
      albedo: linear RGB, float32 (h, w, 3).
      relief: height in pixels, float32 (h, w).
      gloss: reflectance of a varnish, 0 to 0.06.
    """

    albedo: np.ndarray
    relief: np.ndarray
    gloss: float = 0.0

    def __post_init__(self):
        self.albedo = np.clip(self.albedo, 0.004, 0.92).astype(np.float32)
        self.relief = self.relief.astype(np.float32)


Size = tuple[int, int]


def _flat(size: Size, colour: np.ndarray) -> np.ndarray:
    return np.broadcast_to(colour, (*size, 3)).astype(np.float32).copy()


_WOODS = ((196, 158, 112), (214, 182, 138), (168, 122, 78), (120, 82, 52), (146, 134, 118), (92, 78, 66),
    (206, 196, 180),
          (178, 132, 84))  # fmt: skip


def _wood(
    rng: np.random.Generator, size: Size, px: float, tone: str | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns (base colour, dark grain colour, grain 0..1 along x)."""
    base = palette.linear(_WOODS[rng.integers(len(_WOODS))]) * rng.uniform(0.85, 1.1)
    if tone == "light":
        base = palette.linear((226, 221, 212)) * rng.uniform(0.9, 1.0)
    elif tone == "dark":
        base = palette.linear((70, 50, 38)) * rng.uniform(0.7, 1.2)
    # Year rings: level lines of a height field much longer than wide; pores: short dark dashes.
    rings = noise.smooth(rng, size, (60 * px, 3.2 * px)) + 0.35 * noise.smooth(rng, size, (14 * px, 1.3 * px))
    bands = 0.5 + 0.5 * np.sin(rings * rng.uniform(5, 11))
    pores = noise.smooth(rng, size, (3.0 * px, max(1.0, 0.10 * px)))
    grain = np.clip(0.45 * bands**2 + 0.16 * pores + 0.25, 0, 1)
    return base, base * rng.uniform(0.42, 0.72), grain.astype(np.float32)


def planks(rng: np.random.Generator, size: Size, px: float, tone: str | None = None) -> Ground:
    """Laminate or floorboards, long joints and staggered butt joints."""
    wide = rng.uniform(7, 20) * px
    long = wide * rng.uniform(5, 9)
    base, dark, grain = _wood(rng, size, px, tone)
    y, x = np.mgrid[0 : size[0], 0 : size[1]].astype(np.float32)
    row = np.floor(y / wide).astype(np.int32)
    shift = rng.uniform(0, long, row.max() + 1).astype(np.float32)[row]
    column = np.floor((x + shift) / long).astype(np.int32)
    board = (row * 37 + column * 11) % 97
    # Each board is cut elsewhere from the log: read the grain at its own offset.
    offsets = rng.integers(0, 400, (97, 2)).astype(np.float32)[board]
    grain = cv2.remap(
        grain, (x + offsets[..., 0] * 3) % (size[1] - 1), (y + offsets[..., 1]) % (size[0] - 1), cv2.INTER_LINEAR
    )
    contrast = rng.uniform(0.5, 1.1)
    albedo = base + (dark - base) * (grain * contrast)[..., None]
    albedo *= np.exp(rng.normal(0, rng.uniform(0.03, 0.16), 97)).astype(np.float32)[board][..., None]
    fy, fx = y / wide - row, (x + shift) / long - column
    edge = np.minimum(np.minimum(fy, 1 - fy) * wide, np.minimum(fx, 1 - fx) * long)
    gap = max(0.8, rng.uniform(0.05, 0.16) * px)
    groove = np.exp(-((edge / gap) ** 2))
    albedo *= (1 - rng.uniform(0.35, 0.8) * groove)[..., None]
    return Ground(albedo, -1.2 * gap * groove, gloss=rng.uniform(0.0, 0.05))


def parquet(rng: np.random.Generator, size: Size, px: float, tone: str | None = None) -> Ground:
    """Mosaic parquet: squares of strips laid crosswise."""
    strip = rng.uniform(2.2, 5) * px
    count = int(rng.integers(4, 7))
    square = strip * count
    base, dark, grain = _wood(rng, size, px * 0.6, tone)
    _, _, upright = _wood(rng, (size[1], size[0]), px * 0.6, tone)
    y, x = np.mgrid[0 : size[0], 0 : size[1]].astype(np.float32)
    column, row = np.floor(x / square).astype(np.int32), np.floor(y / square).astype(np.int32)
    lying = (column + row) % 2 == 0
    across = np.where(lying, y, x) / strip
    index = np.floor(across).astype(np.int32)
    board = (column * 31 + row * 17 + index * 7) % 89
    grain = np.where(lying, grain, upright.T)
    albedo = base + (dark - base) * (0.8 * grain)[..., None]
    albedo *= np.exp(rng.normal(0, 0.14, 89)).astype(np.float32)[board][..., None]
    f = across - index
    edge = np.minimum(f, 1 - f) * strip
    for value in (x / square, y / square):
        g = value - np.floor(value)
        edge = np.minimum(edge, np.minimum(g, 1 - g) * square)
    groove = np.exp(-((edge / max(0.7, 0.06 * px)) ** 2))
    return Ground(albedo * (1 - 0.55 * groove)[..., None], -0.08 * px * groove, gloss=rng.uniform(0.01, 0.05))


def tiles(rng: np.random.Generator, size: Size, px: float, tone: str | None = None) -> Ground:
    """Ceramic tiles with grout, often marbled."""
    side = rng.uniform(18, 40) * px
    aspect = rng.choice([1.0, 1.0, 2.0])
    colour = palette.toned(rng, tone, "cream", "beige", "silver", "grey", "white", "camel", "brown")
    colour = colour * 0.7 + 0.3 * colour.mean()
    y, x = np.mgrid[0 : size[0], 0 : size[1]].astype(np.float32)
    y, x = y + rng.uniform(0, 300), x + rng.uniform(0, 300)
    row = np.floor(y / side).astype(np.int32)
    x = x + (0.5 * side * aspect * (row % 2) if aspect > 1 else 0)
    column = np.floor(x / (side * aspect)).astype(np.int32)
    fx, fy = (x / (side * aspect) - column), (y / side - row)
    edge = np.minimum(np.minimum(fx, 1 - fx) * side * aspect, np.minimum(fy, 1 - fy) * side)
    cloud = noise.fractal(rng, size, 9 * px, 5, 0.6)
    veins = np.exp(-((noise.fractal(rng, size, 16 * px, 4) / 0.05) ** 2))
    shade = rng.uniform(0.01, 0.10) * cloud - rng.uniform(0, 0.25) * veins * (rng.random() < 0.4)
    tile = (row * 13 + column * 29) % 53
    shade = shade + rng.normal(0, 0.03, 53)[tile]
    albedo = _flat(size, colour) * np.exp(shade)[..., None].astype(np.float32)
    gap = rng.uniform(0.12, 0.3) * px
    grout = noise.smoothstep(gap * 1.4, gap * 0.7, edge)
    tint = palette.colour(rng, "grey", "silver", "charcoal", "beige", spread=0.1)
    albedo += (tint - albedo) * (0.85 * grout)[..., None]
    return Ground(albedo, -0.25 * px * noise.smoothstep(gap * 2.2, gap * 0.6, edge), gloss=rng.uniform(0.01, 0.06))


def sheet(rng: np.random.Generator, size: Size, px: float, tone: str | None = None) -> Ground:
    """Bed sheet or cloth thrown over something: folds, often one strong colour."""
    side = max(size)
    kinds = {"poplin": 0.5, "satin": 0.2, "jersey": 0.3}
    cloth = fabric.choose(rng, side, px, tone, kinds, {"stripes": 0.05, "floral": 0.06, "dots": 0.03, "plaid": 0.03})
    albedo = cloth.albedo[: size[0], : size[1]]
    # Bedding is printed more softly than clothes.
    albedo = albedo + rng.uniform(0.2, 0.6) * (cloth.base - albedo)
    if tone is None and rng.random() < 0.35:
        albedo = albedo / cloth.base * palette.colour(rng, "white", "cream", "silver")
    scale = rng.uniform(9, 26) * px
    strength = rng.uniform(0.02, 0.06)
    relief = strength * scale * folds.creases(rng, size, scale, rng.uniform(0.2, 0.9), 4)
    relief += 0.10 * 26 * px * noise.smooth(rng, size, 26 * px)
    return Ground(albedo, relief + 0.5 * cloth.relief[: size[0], : size[1]])


def quilt(rng: np.random.Generator, size: Size, px: float, tone: str | None = None) -> Ground:
    """Quilted bedspread: padded diamonds, squares or waves with stitched seams."""
    cell = rng.uniform(5, 14) * px
    colour = palette.toned(
        rng, tone, "pink", "cream", "lavender", "grey", "silver", "sky", "beige", "burgundy", "white", "mint"
    )
    y, x = np.mgrid[0 : size[0], 0 : size[1]].astype(np.float32)
    bend = 0.06 * cell
    y = y + bend * noise.smooth(rng, size, 3 * cell)
    x = x + bend * noise.smooth(rng, size, 3 * cell)
    if rng.random() < 0.6:
        a, b = (x + y) / (1.414 * cell), (x - y) / (1.414 * cell)
    else:
        a, b = x / cell, (y + 0.3 * cell * np.sin(x / cell * np.pi)) / cell
    pad = np.sqrt(np.abs(np.sin(np.pi * a) * np.sin(np.pi * b)) + 0.003)
    seam = np.exp(-((pad / 0.13) ** 2))
    relief = 0.13 * cell * pad + 0.02 * cell * noise.smooth(rng, size, 0.35 * cell) * (1 - pad) * 2
    relief += 0.02 * 20 * px * folds.creases(rng, size, 20 * px, 0.3, 2)
    albedo = _flat(size, colour) * np.exp(0.04 * noise.smooth(rng, size, 1.3))[..., None]
    return Ground(albedo * (1 - 0.2 * seam)[..., None], relief)


def carpet(rng: np.random.Generator, size: Size, px: float, tone: str | None = None) -> Ground:
    """Carpet or rug pile: fine, tufted or shaggy, with footprints."""
    colour = palette.toned(
        rng, tone, "grey", "beige", "silver", "charcoal", "camel", "cream", "brown", "blue", "burgundy", "olive"
    )
    shaggy = rng.random() < 0.3
    tuft = (rng.uniform(0.8, 1.6) if shaggy else rng.uniform(0.16, 0.5)) * px
    tuft = min(tuft, 12.0)
    pile = noise.fractal(rng, size, max(1.6, tuft), 3, 0.75)
    trodden = noise.smooth(rng, size, 14 * px)
    speck = 0.10 * noise.smooth(rng, size, 1.6)
    albedo = _flat(size, colour) * np.exp(rng.uniform(0.08, 0.18) * pile + 0.06 * trodden + speck)[..., None]
    if tone is None and rng.random() < 0.3:  # flecked yarn
        fleck = noise.smoothstep(0.6, 1.0, noise.smooth(rng, size, max(1.5, 1.3 * tuft)))
        albedo += (palette.colour(rng) - albedo) * (0.6 * fleck)[..., None]
    return Ground(albedo, (0.35 if shaggy else 0.18) * tuft * pile + 0.3 * px * trodden)


def rug(rng: np.random.Generator, size: Size, px: float, tone: str | None = None) -> Ground:
    """Patterned rug: mirrored ornaments in bands and medallions, woven coarsely."""
    cell = int(rng.uniform(18, 40) * px)
    cell += cell % 2
    half = cell // 2
    field = noise.smooth(rng, (half, half), half / rng.uniform(3, 5)) + 0.6 * noise.smooth(rng, (half, half), half / 9)
    field = field + field.T
    quarter = np.concatenate([field, field[:, ::-1]], 1)
    motif = np.concatenate([quarter, quarter[::-1]], 0)
    levels = [palette.colour(rng, "burgundy", "red", "navy", "teal", "brown"),
        palette.colour(rng, "cream", "beige", "camel"),
              palette.colour(rng, "navy", "black", "forest", "chocolate"),
                  palette.colour(rng, "orange", "mustard", "sky", "rose")]  # fmt: skip
    order = np.argsort(rng.random(4))
    picture = _flat(motif.shape, levels[order[0]])
    for k, low in ((1, 0.35), (2, 1.1), (3, 1.7)):
        share = noise.smoothstep(low - 0.06, low + 0.06, motif) * noise.smoothstep(low + 1.0, low + 0.9, motif)
        picture += (levels[order[k]] - picture) * share[..., None]
    copies = (-(-size[0] // cell), -(-size[1] // cell))
    albedo = np.tile(picture, (*copies, 1))[: size[0], : size[1]]
    weave = noise.smooth(rng, size, (max(1.5, 0.35 * px), max(1.2, 0.18 * px)))
    albedo = albedo * np.exp(0.18 * weave + 0.06 * noise.smooth(rng, size, 12 * px))[..., None]
    return Ground(albedo.astype(np.float32), 0.05 * px * weave + 0.25 * px * noise.smooth(rng, size, 20 * px))


def terrazzo(rng: np.random.Generator, size: Size, px: float, tone: str | None = None) -> Ground:
    """Terrazzo or granite: chips of stone in a ground."""
    base = palette.toned(rng, tone, "silver", "grey", "cream", "beige", "charcoal")
    albedo = _flat(size, base) * np.exp(0.04 * noise.fractal(rng, size, 6 * px, 4))[..., None]
    for scale in (rng.uniform(0.8, 1.8), rng.uniform(0.4, 0.8), 0.25):
        for _ in range(2):
            field = noise.smooth(rng, size, max(1.6, scale * px))
            chip = noise.smoothstep(1.15, 1.35, field)
            tint = (
                palette.colour(rng, "brown", "white", "charcoal", "camel", "grey", "burgundy")
                if tone is None
                else base * rng.uniform(0.75, 1.1)
            )
            albedo += (tint - albedo) * (0.45 * chip)[..., None]
    return Ground(albedo, np.zeros(size, np.float32), gloss=rng.uniform(0.01, 0.05))


def concrete(rng: np.random.Generator, size: Size, px: float, tone: str | None = None) -> Ground:
    """Concrete, plaster or slate: cloudy, stained, pitted."""
    base = palette.toned(rng, tone, "grey", "silver", "charcoal", "beige")
    base = 0.4 * base + 0.6 * base.mean()
    stain = noise.fractal(rng, size, 18 * px, 6, 0.6)
    pits = noise.smoothstep(2.2, 2.8, noise.smooth(rng, size, max(1.6, 0.3 * px)))
    albedo = _flat(size, base) * np.exp(rng.uniform(0.05, 0.14) * stain - 0.4 * pits)[..., None]
    return Ground(albedo, 0.12 * px * noise.fractal(rng, size, 2 * px, 4, 0.7) - 0.2 * px * pits)


def marble(rng: np.random.Generator, size: Size, px: float, tone: str | None = None) -> Ground:
    """Marble slab: pale ground with branching veins."""
    base = palette.toned(rng, tone, "white", "silver", "cream", "charcoal")
    bent = noise.displaced(
        noise.fractal(rng, size, 22 * px, 5, 0.55),
        5 * px * noise.smooth(rng, size, 15 * px),
        5 * px * noise.smooth(rng, size, 15 * px),
    )
    vein = np.exp(-((bent / 0.07) ** 2)) * noise.smoothstep(-0.6, 1.2, noise.smooth(rng, size, 14 * px))
    cloud = noise.fractal(rng, size, 14 * px, 4)
    factor = np.exp(0.05 * cloud - rng.uniform(0.2, 0.6) * vein * (1 if base.mean() > 0.2 else -0.7))
    return Ground(_flat(size, base) * factor[..., None].astype(np.float32), np.zeros(size, np.float32), gloss=0.05)


def paper(rng: np.random.Generator, size: Size, px: float, tone: str | None = None) -> Ground:
    """Studio paper or card in one colour, nearly flat."""
    colour = palette.toned(
        rng, tone, "white", "white", "silver", "cream", "pink", "sky", "mint", "beige", "grey", "lavender", "mustard"
    )
    albedo = _flat(size, colour) * np.exp(0.006 * noise.smooth(rng, size, 1.5))[..., None]
    return Ground(albedo, 0.5 * px * noise.smooth(rng, size, 30 * px))


def wall(rng: np.random.Generator, size: Size, px: float, tone: str | None = None) -> Ground:
    """Painted wall with roller texture, woodchip or plain plaster."""
    colour = palette.toned(rng, tone, "white", "cream", "silver", "beige", "sky", "mint", "grey", "lavender", "white")
    colour = 0.75 * colour + 0.25 * colour.mean()
    rough = rng.uniform(0.02, 0.35) * px
    texture = noise.fractal(rng, size, rng.uniform(0.3, 1.2) * px, 3)
    stain = 0.02 * noise.fractal(rng, size, 40 * px, 3)
    return Ground(_flat(size, colour) * np.exp(stain)[..., None], 0.25 * rough * texture)


def door(rng: np.random.Generator, size: Size, px: float, tone: str | None = None) -> Ground:
    """Wardrobe or room door: painted or veneered, with sunk panels."""
    y, x = np.mgrid[0 : size[0], 0 : size[1]].astype(np.float32)
    if rng.random() < 0.5:
        base, dark, grain = _wood(rng, (size[1], size[0]), px, tone)
        albedo = base + (dark - base) * (0.8 * grain.T)[..., None]
    else:
        albedo = _flat(size, palette.toned(rng, tone, "white", "cream", "silver", "beige", "grey"))
    wide, high = rng.uniform(26, 55) * px, rng.uniform(60, 110) * px
    u = np.abs((x + rng.uniform(0, wide)) % wide - wide / 2) - 0.38 * wide
    v = np.abs((y + rng.uniform(0, high)) % high - high / 2) - 0.44 * high
    outside = np.maximum(u, v)
    moulding = noise.smoothstep(-1.6 * px, 0, outside)
    relief = 1.1 * px * moulding + 0.5 * px * np.exp(-(((outside + 2.2 * px) / (0.5 * px)) ** 2))
    return Ground(albedo.astype(np.float32), relief, gloss=rng.uniform(0.0, 0.03))


def curtain(rng: np.random.Generator, size: Size, px: float, tone: str | None = None) -> Ground:
    """A curtain in upright folds."""
    cloth = fabric.choose(rng, max(size), px, tone, {"poplin": 0.6, "satin": 0.4}, {"floral": 0.15, "stripes": 0.1})
    fold = rng.uniform(5, 12) * px
    relief = 0.16 * fold * noise.smooth(rng, size, (fold, 120 * px)) + 0.05 * fold * noise.smooth(
        rng, size, (0.4 * fold, 60 * px)
    )
    return Ground(cloth.albedo[: size[0], : size[1]], relief)


LAID: dict[str, tuple[Callable[..., Ground], float]] = {
    "planks": (planks, 1.5), "parquet": (parquet, 0.8), "tiles": (tiles, 0.9), "sheet": (sheet, 2.4),
    "quilt": (quilt, 1.0), "carpet": (carpet, 1.4), "rug": (rug, 0.35), "terrazzo": (terrazzo, 0.15),
    "concrete": (concrete, 0.4), "paper": (paper, 1.0),
}  # fmt: skip
STOOD: dict[str, tuple[Callable[..., Ground], float]] = {
    "planks": (planks, 1.4), "paper": (paper, 2.2), "marble": (marble, 0.7), "sheet": (sheet, 0.7),
        "concrete": (concrete, 0.6),
    "tiles": (tiles, 0.3), "terrazzo": (terrazzo, 0.3), "carpet": (carpet, 0.4),
}  # fmt: skip
HUNG: dict[str, tuple[Callable[..., Ground], float]] = {
    "wall": (wall, 2.0), "door": (door, 1.2), "curtain": (curtain, 0.5), "planks": (planks, 0.4),
}  # fmt: skip
# Backdrops that are found in white as well; the others are seldom so light.
WHITE = {"sheet", "paper", "quilt", "wall", "door", "carpet", "tiles", "marble", "planks"}


def choose(rng: np.random.Generator, kinds: dict[str, tuple[Callable[..., Ground], float]], tone: str | None) -> str:
    """Returns the name of a backdrop, by weight; of those that exist in white when ``tone`` is ``light``."""
    names = [name for name in kinds if tone != "light" or name in WHITE]
    weights = np.array([kinds[name][1] for name in names])
    return names[rng.choice(len(names), p=weights / weights.sum())]
