"""Backdrops that nobody photographed, and real products composed on them, for training other models.

Surfaces are procedural (value noise after Perlin, "An Image Synthesizer", SIGGRAPH 1985; its octaves are summed, which
is fractal noise): no network makes them, and none of their pixels is anybody's photo. In IPTC's words a product on one
is ``compositeSynthetic``. The product itself is not touched.

Everything is measured in the picture's shorter side, so a seed shows the same scene at any size of one aspect ratio.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from transforms.shadow import contact_shadow, drop_shadow

_LEAST_SIDE = 8

# Colours, sRGB 0..255, from light to dark, that each surface is had in.
_TONES = {
    "sweep": ((243, 243, 242), (228, 224, 218), (206, 212, 218), (222, 206, 196), (190, 198, 186), (150, 152, 156)),
    "paper": ((244, 241, 235), (232, 226, 214), (214, 222, 226), (232, 214, 210), (204, 190, 166), (176, 184, 174)),
    "felt": ((226, 222, 214), (178, 176, 172), (146, 158, 172), (168, 142, 128), (112, 122, 112), (84, 84, 90)),
    "linen": ((236, 230, 220), (214, 204, 186), (196, 200, 202), (178, 168, 150), (140, 150, 160), (110, 104, 98)),
    "wood": ((216, 190, 158), (200, 168, 128), (178, 138, 98), (150, 112, 80), (116, 84, 60), (190, 180, 168)),
    "concrete": ((204, 202, 198), (182, 180, 176), (160, 160, 160), (136, 136, 138), (112, 114, 116), (190, 184, 174)),
    "marble": ((240, 239, 237), (230, 228, 224), (222, 216, 208), (206, 208, 212), (90, 92, 94), (64, 74, 70)),
}
KINDS = tuple(_TONES)


class _Surface:
    """What the makers of surfaces draw with.

    Args:
      rng: of all that is random in a scene.
      height, width: of the picture in pixels.

    Attributes:
      shorter: its shorter side in pixels.
      x, y: where each pixel lies, float32 (height, width), in shorter sides from the upper left.
    """

    def __init__(self, rng: np.random.Generator, height: int, width: int):
        self.rng = rng
        self.shape = (height, width)
        self.shorter = min(height, width)
        self.y, self.x = (axis / np.float32(self.shorter) for axis in np.mgrid[:height, :width].astype(np.float32))

    def noise(self, down: float, across: float | None = None) -> np.ndarray:
        """Returns smooth noise, float32 (height, width), about -1..1, of so many cells to a shorter side."""
        across = down if across is None else across
        needed = ((down, self.shape[0]), (across, self.shape[1]))
        rows, columns = (int(np.ceil(count * side / self.shorter)) + 4 for count, side in needed)
        cells = self.rng.uniform(-1, 1, (rows, columns)).astype(np.float32)
        offset = self.rng.uniform(1, 2, 2)
        to_cells = np.array([[across / self.shorter, 0, offset[0]], [0, down / self.shorter, offset[1]]])
        flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
        return cv2.warpAffine(cells, to_cells, self.shape[::-1], flags=flags, borderMode=cv2.BORDER_REFLECT)

    def fractal(self, down: float, across: float | None = None, octaves: int = 4, falling: float = 0.5) -> np.ndarray:
        """Returns noise of several octaves, each of twice the cells and ``falling`` times the strength."""
        across = down if across is None else across
        total = np.zeros(self.shape, np.float32)
        for octave in range(octaves):
            total += falling**octave * self.noise(down * 2**octave, across * 2**octave)
        return total

    def coloured(self, kind: str, shade: np.ndarray, warmth: np.ndarray | None = None) -> np.ndarray:
        """Returns a surface in one of its tones, float32 (height, width, 3), linear in code values.

        Args:
          kind: of ``KINDS``.
          shade: float32 (height, width), by how much lighter or darker than the tone, as a share of it.
          warmth: the same, by how much redder and less blue; None for none.
        """
        tones = np.array(_TONES[kind], np.float32)
        one, other = tones[self.rng.integers(len(tones))], tones[self.rng.integers(len(tones))]
        tone = one + self.rng.uniform(0, 0.25) * (other - one) + self.rng.normal(0, 1, 3).astype(np.float32)
        colours = tone * (1 + shade)[..., None]
        if warmth is not None:
            colours += np.float32(128) * warmth[..., None] * np.array((1, 0.1, -1), np.float32)
        return colours


def generate_backdrop(kind: str, seed: int, height: int, width: int) -> np.ndarray:
    """Makes a backdrop.

    Args:
      kind: of ``KINDS``: a studio ``sweep``, or a surface seen from above: ``paper``, ``felt``, ``linen``, ``wood``,
        ``concrete`` or ``marble``.
      seed: 0 or more; the same seed gives the same bytes.
      height, width: in pixels, 8 or more.

    Returns:
      uint8 (height, width, 3), sRGB, RGB.

    Raises:
      ValueError: the kind is unknown, the seed negative or the size too small.
    """
    if kind not in _MAKERS:
        raise ValueError(f"kind={kind!r} must be one of {', '.join(KINDS)}")
    if seed < 0:
        raise ValueError(f"seed={seed!r} must not be negative")
    if min(height, width) < _LEAST_SIDE:
        raise ValueError(f"a backdrop of {width} x {height} is too small; each side needs {_LEAST_SIDE} pixels")
    surface = _Surface(np.random.default_rng((seed, KINDS.index(kind))), height, width)
    colours = _MAKERS[kind](surface) * _light(surface)[..., None]
    grain = surface.rng.normal(0, surface.rng.uniform(0.5, 1.6), (height, width, 1)).astype(np.float32)  # a sensor's
    return np.clip(np.round(colours + grain), 0, 255).astype(np.uint8)


def compose_on_backdrop(
    foreground: np.ndarray, alpha: np.ndarray, backdrop: np.ndarray, shadow: str = "contact"
) -> np.ndarray:
    """Composes a product on a backdrop, with a shadow under it.

    Args:
      foreground: the product's colours, uint8 (h, w, 3), RGB; what lies under alpha 0 has no influence.
      alpha: uint8 (h, w), 0 ground to 255 product.
      backdrop: uint8 (h, w, 3), RGB.
      shadow: ``contact`` for a product that stands, ``drop`` for one that lies, ``none``.

    Returns:
      uint8 (h, w, 3): bit by bit the foreground where alpha is 255.

    Raises:
      ValueError: the arrays do not fit together, or the shadow is unknown.
    """
    if foreground.shape != backdrop.shape or foreground.shape != (*alpha.shape, 3):
        raise ValueError(
            f"foreground {foreground.shape}, alpha {alpha.shape} and backdrop {backdrop.shape} have to be of one size"
        )
    if shadow not in _SHADOWS:
        raise ValueError(f"shadow={shadow!r} must be one of {', '.join(_SHADOWS)}")
    light = 1 - _SHADOWS[shadow](alpha)[..., None]
    share = alpha.astype(np.float32)[..., None] / 255
    composite = foreground * share + backdrop * light * (1 - share)
    composite = np.clip(np.round(composite), 0, 255).astype(np.uint8)
    return np.where(alpha[..., None] == 255, foreground, composite)


_SHADOWS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "contact": contact_shadow,
    "drop": drop_shadow,
    "none": lambda alpha: np.zeros(alpha.shape, np.float32),
}


def _light(surface: _Surface) -> np.ndarray:
    """Returns how a room's light falls on a surface: from one side, less towards the edges; float32, about 1."""
    rng = surface.rng
    angle, strength = rng.uniform(0, 2 * np.pi), rng.uniform(0.02, 0.14)
    centre_x, centre_y = (rng.uniform(0.3, 0.7) * side / surface.shorter for side in surface.shape[::-1])
    away_x, away_y = surface.x - centre_x, surface.y - centre_y
    slope = strength * (np.cos(angle) * away_x + np.sin(angle) * away_y)
    vignette = rng.uniform(0.02, 0.10) * (away_x**2 + away_y**2)
    return (1 + slope - vignette + 0.015 * surface.noise(2)).astype(np.float32)


def _sweep(surface: _Surface) -> np.ndarray:
    """A studio's paper hanging down and running out under the product: floor and wall part softly."""
    rng, length = surface.rng, surface.shape[0] / surface.shorter
    horizon, bend = rng.uniform(0.45, 0.75) * length, rng.uniform(0.05, 0.18)
    floor = 0.5 + 0.5 * np.tanh((surface.y - horizon) / (2 * bend))
    shade = rng.uniform(0.02, 0.08) * floor + rng.uniform(0.02, 0.08) * floor * (surface.y - horizon)
    shade -= rng.uniform(0.02, 0.07) * np.exp(-(((surface.y - horizon) / (1.5 * bend)) ** 2))
    return surface.coloured("sweep", shade.astype(np.float32))


def _paper(surface: _Surface) -> np.ndarray:
    fibres = 0.008 * surface.fractal(120, octaves=2) + 0.012 * surface.fractal(3)
    return surface.coloured("paper", fibres)


def _felt(surface: _Surface) -> np.ndarray:
    hairs = surface.noise(260, 90) + surface.noise(90, 260) + surface.noise(300)
    return surface.coloured("felt", 0.035 * hairs + 0.03 * surface.fractal(5))


def _linen(surface: _Surface) -> np.ndarray:
    """Threads over and under each other, of uneven thickness, with a slub here and there, and soft folds."""
    rng = surface.rng
    count = rng.uniform(70, 130)
    warp = surface.x * count + 0.25 * surface.noise(8) + 0.15 * surface.noise(60)
    weft = surface.y * count + 0.25 * surface.noise(8) + 0.15 * surface.noise(60)
    over = np.cos(np.pi * np.floor(warp)) * np.cos(np.pi * np.floor(weft)) > 0
    round_warp, round_weft = (np.sqrt(np.abs(np.sin(np.pi * thread))) for thread in (warp, weft))
    threads = np.where(over, round_warp, 0.92 * round_weft)
    slubs = surface.noise(count, 5) * over + surface.noise(5, count) * ~over
    folds = surface.fractal(1.6, octaves=2)
    return surface.coloured("linen", 0.16 * (threads - 0.75) + 0.05 * slubs + 0.07 * folds)


def _wood(surface: _Surface) -> np.ndarray:
    """Planks side by side, each cut from another place of the tree."""
    rng = surface.rng
    x, y = (surface.x, surface.y) if rng.random() < 0.5 else (surface.y, surface.x)
    planks = rng.uniform(2.5, 6)
    place = y * planks
    number = np.floor(place).astype(int)
    own = rng.uniform(-1, 1, (int(number.max()) + 1, 3)).astype(np.float32)[number]
    lengthwise = x is surface.x
    along, across = (2.0, 40.0) if lengthwise else (40.0, 2.0)
    grain = surface.fractal(across, along, octaves=3)
    waves = surface.fractal(*((3.0, 0.7) if lengthwise else (0.7, 3.0)), octaves=2)
    rings = np.sin(2 * np.pi * (place * rng.uniform(1.5, 3.5) + 1.6 * waves + 5 * own[..., 0] + 0.15 * grain))
    gap = np.minimum(place - number, number + 1 - place) / planks  # from the nearest joint, in shorter sides
    joint = np.exp(-((gap / 0.0035) ** 2))
    shade = 0.05 * rings + 0.06 * grain + 0.07 * own[..., 1] - 0.55 * joint
    return surface.coloured("wood", shade, 0.02 * own[..., 2] + 0.015 * rings)


def _concrete(surface: _Surface) -> np.ndarray:
    """Clouds of lighter and darker cement, with pores."""
    clouds = 0.07 * surface.fractal(2.5, octaves=6, falling=0.6)
    pores = np.clip(surface.noise(70) * surface.noise(45) - 0.44, 0, 1)
    return surface.coloured("concrete", clouds - 0.5 * pores, 0.008 * surface.noise(3))


def _marble(surface: _Surface) -> np.ndarray:
    """Veins where bent stripes turn, some broad and faint, some thin."""
    rng = surface.rng
    angle = rng.uniform(0, np.pi)
    across = np.cos(angle) * surface.x + np.sin(angle) * surface.y
    bent = 0.55 * surface.fractal(2.2, octaves=5, falling=0.55)
    broad = np.exp(-np.abs(np.sin(np.pi * (rng.uniform(1.2, 2.2) * across + bent))) * 6)
    thin = np.exp(-np.abs(np.sin(np.pi * (rng.uniform(2.5, 4) * across + 1.7 * bent + surface.noise(1.5)))) * 26)
    strength = np.clip(0.5 + surface.fractal(1.5, octaves=2), 0, 1)
    veins = (0.16 * broad + 0.2 * thin) * strength
    tones = rng.choice((-1.0, 1.0), p=(0.8, 0.2))
    return surface.coloured("marble", (tones * veins + 0.02 * surface.fractal(4)).astype(np.float32))


_MAKERS: dict[str, Callable[[_Surface], np.ndarray]] = {
    "sweep": _sweep,
    "paper": _paper,
    "felt": _felt,
    "linen": _linen,
    "wood": _wood,
    "concrete": _concrete,
    "marble": _marble,
}
