"""Colours that goods and rooms really have, as linear-light RGB."""

from __future__ import annotations

import numpy as np

# sRGB, 8 bit. Dyes, paints and woods are duller than pure primaries.
_DYES = {
    "black": (27, 27, 30), "charcoal": (58, 58, 62), "grey": (128, 129, 132), "silver": (180, 181, 184),
    "white": (236, 235, 232), "cream": (232, 223, 203), "beige": (203, 184, 155), "camel": (178, 138, 92),
    "brown": (92, 64, 46), "chocolate": (58, 41, 34), "olive": (98, 99, 62), "forest": (40, 72, 54),
    "green": (52, 122, 74), "mint": (168, 211, 190), "teal": (32, 112, 118), "turquoise": (58, 166, 172),
    "sky": (142, 182, 214), "blue": (46, 92, 160), "royal": (36, 58, 138), "navy": (29, 36, 62),
    "lavender": (176, 164, 204), "purple": (98, 58, 118), "plum": (84, 36, 62), "pink": (228, 172, 182),
    "rose": (196, 98, 118), "fuchsia": (190, 40, 108), "red": (176, 32, 38), "burgundy": (98, 24, 38),
    "coral": (226, 108, 90), "orange": (214, 104, 36), "mustard": (196, 148, 46), "yellow": (228, 200, 72),
}  # fmt: skip
LIGHT = ("white", "white", "cream", "white", "silver")
DARK = ("black", "black", "charcoal", "navy", "chocolate", "burgundy", "forest")
COLOURS = tuple(_DYES)
# How often sellers' wardrobes show a colour: dark, blue and plain ones first.
_WEIGHTS = {"black": 7, "navy": 6, "charcoal": 4, "grey": 4, "white": 5, "blue": 3, "red": 3, "pink": 3, "beige": 2.5}


def linear(srgb: np.ndarray | tuple) -> np.ndarray:
    """Returns linear-light values in 0..1 of 8-bit sRGB values (IEC 61966-2-1)."""
    value = np.asarray(srgb, np.float32) / 255
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4).astype(np.float32)


def colour(rng: np.random.Generator, *names: str, spread: float = 0.08) -> np.ndarray:
    """Returns a linear RGB colour: one of the named ones (any when none is named), a little off.

    Args:
      rng: source of randomness.
      *names: of dyes; see ``COLOURS``.
      spread: relative standard deviation of the deviation, per channel and over all.
    """
    if names:
        name = names[rng.integers(len(names))]
    else:
        weights = np.array([_WEIGHTS.get(dye, 1.0) for dye in COLOURS])
        name = COLOURS[rng.choice(len(COLOURS), p=weights / weights.sum())]
    base = linear(_DYES[name])
    return np.clip(base * np.exp(rng.normal(0, spread) + rng.normal(0, spread / 2, 3)), 0.006, 0.88).astype(np.float32)


def toned(rng: np.random.Generator, tone: str | None, *names: str) -> np.ndarray:
    """Returns a colour among ``LIGHT`` or ``DARK`` ones where ``tone`` is ``light`` or ``dark``, else of ``names``."""
    return colour(rng, *{"light": LIGHT, "dark": DARK}.get(tone or "", names))


def contrasting(rng: np.random.Generator, ground: np.ndarray) -> np.ndarray:
    """Returns a colour that shows on a ground colour, both linear RGB."""
    luminance = float(ground @ np.array([0.21, 0.72, 0.07], np.float32))
    for _ in range(12):
        other = colour(rng)
        if abs(np.log((float(other @ np.array([0.21, 0.72, 0.07], np.float32)) + 0.02) / (luminance + 0.02))) > 0.9:
            return other
    return colour(rng, "white" if luminance < 0.3 else "black")
