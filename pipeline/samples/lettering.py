"""Lettering of invented words, and flat designs for labels, covers and cartons."""

from __future__ import annotations

import cv2
import numpy as np

from pipeline.samples import noise, palette

_ONSETS = [
    "b",
    "br",
    "c",
    "d",
    "dr",
    "f",
    "fl",
    "g",
    "h",
    "j",
    "k",
    "l",
    "m",
    "n",
    "p",
    "pl",
    "r",
    "s",
    "st",
    "t",
    "tr",
    "v",
    "w",
    "z",
]
_VOWELS = ["a", "e", "i", "o", "u", "ai", "ea", "o", "a", "e"]
_CODAS = ["", "", "n", "r", "l", "s", "m", "th", "x"]
_FONTS = (cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_TRIPLEX, cv2.FONT_HERSHEY_COMPLEX, cv2.FONT_HERSHEY_SIMPLEX)


def word(rng: np.random.Generator, syllables: int | None = None) -> str:
    """Returns an invented word of one to three syllables; it names no brand on purpose."""
    count = syllables or int(rng.integers(1, 4))
    pick = lambda options: options[rng.integers(len(options))]  # noqa: E731
    return "".join(pick(_ONSETS) + pick(_VOWELS) for _ in range(count)) + pick(_CODAS)


def line(rng: np.random.Generator, text: str, width: int, height: int, weight: float = 0.1) -> np.ndarray:
    """Returns a line of text fitted into a box, as a mask.

    Args:
      rng: chooses the typeface.
      text: ASCII.
      width, height: of the box in pixels.
      weight: thickness of a stroke as a fraction of the height.

    Returns:
      float32 (height, width), 0..1.
    """
    font = _FONTS[rng.integers(len(_FONTS))]
    (w, h), base = cv2.getTextSize(text, font, 4.0, 4)
    scale = 4.0 * min(width * 0.96 / max(1, w), height * 0.8 / max(1, h))
    thick = max(1, round(weight * height * 0.8))
    (w, h), base = cv2.getTextSize(text, font, scale, thick)
    mask = np.zeros((height, width), np.uint8)
    cv2.putText(mask, text, ((width - w) // 2, (height + h) // 2), font, scale, 255, thick, cv2.LINE_AA)
    return mask.astype(np.float32) * (1 / 255)


def print_on(image: np.ndarray, mask: np.ndarray, x: int, y: int, colour: np.ndarray) -> None:
    """Prints a colour through a mask at x, y on an image, in place; what runs over the edge is lost."""
    height, width = image.shape[:2]
    x0, y0 = max(0, x), max(0, y)
    x1, y1 = min(width, x + mask.shape[1]), min(height, y + mask.shape[0])
    if x1 > x0 and y1 > y0:
        share = mask[y0 - y : y1 - y, x0 - x : x1 - x, None]
        image[y0:y1, x0:x1] += (colour - image[y0:y1, x0:x1]) * share


def design(rng: np.random.Generator, width: int, height: int, ground: np.ndarray | None = None) -> np.ndarray:
    """Returns a printed front: a ground, a picture or shapes, a title, small print.

    Args:
      rng: source of randomness.
      width, height: pixels.
      ground: linear RGB of the ground; drawn when None.

    Returns:
      linear RGB, float32 (height, width, 3).
    """
    ground = palette.colour(rng) if ground is None else ground
    image = np.broadcast_to(ground, (height, width, 3)).astype(np.float32).copy()
    ink = palette.contrasting(rng, ground)
    style = rng.integers(4)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    if style == 0:  # a landscape
        top, low = int(height * rng.uniform(0.25, 0.4)), int(height * rng.uniform(0.75, 0.95))
        sky = palette.colour(rng, "sky", "coral", "lavender", "cream")
        image[top:low] = sky
        for k, name in enumerate(("teal", "forest", "navy")):
            ridge = (
                top
                + (low - top) * (0.3 + 0.22 * k)
                + 0.1 * height * noise.fractal(rng, (1, width), (width / 3, 1), 3)[0]
            )
            hill = np.clip(y - ridge[None, :], 0, 1) * (y < low)
            image += (palette.colour(rng, name) - image) * hill[..., None]
    elif style == 1:  # circles
        for _ in range(rng.integers(1, 5)):
            r = width * rng.uniform(0.08, 0.4)
            disc = np.clip(r - np.hypot(x - rng.uniform(0, width), y - rng.uniform(0.3, 1) * height) + 0.5, 0, 1)
            image += (palette.colour(rng) - image) * disc[..., None]
    elif style == 2:  # bands
        edge = rng.uniform(0.35, 0.75) * height + rng.normal(0, 0.4) * (x - width / 2)
        image += (palette.colour(rng) - image) * np.clip(y - edge, 0, 1)[..., None]
    else:  # a marbled field
        field = noise.smoothstep(-0.2, 0.2, np.sin(3 * noise.fractal(rng, (height, width), width / 2, 3)))
        image += (palette.colour(rng) - image) * (0.8 * field * (y > 0.3 * height))[..., None]
    row = int(height * rng.uniform(0.06, 0.14))
    for k in range(rng.integers(1, 3)):
        high = max(6, int(height * rng.uniform(0.08, 0.15) / (1 + 0.5 * k)))
        text = word(rng).upper() if rng.random() < 0.6 else word(rng).title()
        print_on(image, line(rng, text, int(width * 0.84), high), int(width * 0.08), row, ink)
        row += int(high * 1.3)
    small = max(4, int(height * 0.025))
    row = int(height * rng.uniform(0.78, 0.86))
    for _ in range(rng.integers(1, 4)):
        text = " ".join(word(rng) for _ in range(rng.integers(3, 6)))
        print_on(image, line(rng, text, int(width * 0.7), small, 0.08) * 0.8, int(width * 0.15), row, ink)
        row += int(small * 1.6)
    return image
