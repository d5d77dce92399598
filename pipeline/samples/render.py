"""Rendering one numbered sample: everything about it follows from the seed and its number."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import cv2
import numpy as np

from pipeline.samples import broken, camera, lettering, scene

# One irrational step for each property: a catalogue of any size then has nearly the stated shares, which
# independent draws give only for large ones.
_STEPS = {"products": 2, "cut": 3, "tone": 5, "format": 7, "large": 11, "orientation": 13}
_SHARES = {"none": 0.05, "two": 0.05, "cut": 0.08, "light": 0.20, "dark": 0.06, "large": 0.05, "turned": 0.30}
# How often a frame is upright, by what it shows.
_UPRIGHT = {"trousers": 0.92, "dress": 0.9, "skirt": 0.75, "t-shirt": 0.5, "jacket": 0.5, "shirt": 0.5, "scarf": 0.9,
            "lamp": 0.85, "bottle": 0.85, "vase": 0.85, "bowl": 0.3, "socks": 0.3, "gloves": 0.35,
                "shoes": 0.5}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Sample:
    """A rendered sample and its truth.

    Attributes:
      id: path below ``images/``, with forward slashes.
      content: the file.
      alpha: the true alpha as an 8-bit PNG at the size of the upright frame; None for a broken file.
      category, seller: as a catalogue would have them.
      width, height: of the upright frame; 0 for a broken file.
      format: a key of ``camera.EXTENSIONS``, or the kind of breakage.
      orientation: EXIF orientation of the file.
      illuminant: linear RGB of a neutral surface in the photo, green = 1.
      staging: ``laid``, ``hung`` or ``stood``.
      backdrop: its kind.
      tone: ``light`` for light on light, ``dark`` for dark goods on a dark ground, else None.
      products: how many are shown; 0 for a broken file.
      cut_by_frame: whether the true alpha reaches the frame's edge.
      coverage: fraction of the frame under the true alpha.
      product_rgb: mean linear RGB of the product without the cast, or None.
      broken: the reason code with which it should be rejected, or None.
    """

    id: str
    content: bytes
    category: str
    seller: str
    format: str
    orientation: int
    illuminant: tuple[float, float, float]
    staging: str
    backdrop: str
    tone: str | None
    alpha: bytes | None = None
    width: int = 0
    height: int = 0
    products: int = 0
    cut_by_frame: bool = False
    coverage: float = 0.0
    product_rgb: tuple[float, float, float] | None = None
    broken: str | None = None


def _place(seed: int, index: int, step: str) -> float:
    """Returns where a sample stands in 0..1 for one property."""
    prime = _STEPS[step]
    start = np.random.default_rng([seed, prime]).random()
    return (start + index * math.sqrt(prime)) % 1.0


def _format(place: float, products: int) -> str:
    for kind, share in camera.FORMATS.items():
        if place < share:
            return kind if products or kind != "alpha_png" else "png"
        place -= share
    return "jpeg"


def _size(rng: np.random.Generator, category: str, large: bool) -> tuple[int, int]:
    long = int(rng.integers(1600, 3001)) if large else int(np.clip(rng.normal(680, 150), 400, 1000))
    short = round(long * rng.choice([3 / 4, 3 / 4, 2 / 3, 9 / 16, 1.0], p=[0.45, 0.25, 0.14, 0.04, 0.12]))
    return (short, long) if rng.random() < _UPRIGHT.get(category, 0.55) else (long, short)


def render(seed: int, index: int, breakage: int | None = None) -> Sample:
    """Renders one sample.

    Args:
      seed: of the catalogue.
      index: number of the sample.
      breakage: index into ``broken.KINDS`` for a broken file, or None for a photo.
    """
    rng = np.random.default_rng([seed, index])
    amount, hue = _place(seed, index, "products"), _place(seed, index, "tone")
    products = 0 if amount < _SHARES["none"] else 2 if amount > 1 - _SHARES["two"] else 1
    tone = "light" if hue < _SHARES["light"] else "dark" if hue > 1 - _SHARES["dark"] else None
    cut = products == 1 and _place(seed, index, "cut") < _SHARES["cut"]
    plan = scene.draw_plan(rng, tone=tone, products=products, cut=cut)
    large = breakage is None and _place(seed, index, "large") < _SHARES["large"]
    width, height = _size(rng, plan.category, large)
    seller = lettering.word(np.random.default_rng([seed, 977, int(rng.integers(24))]), 2)
    kind = "jpeg" if breakage is not None else _format(_place(seed, index, "format"), products)
    orientation, turned = 1, _place(seed, index, "orientation") / _SHARES["turned"]
    if kind == "jpeg" and turned < 1 and breakage is None:
        orientation = (6, 6, 3, 8, 6, 8, 2, 4, 5, 7)[int(turned * 10)]
    illuminant = (1.0, 1.0, 1.0) if kind == "grey_jpeg" else camera.draw_illuminant(rng)
    # Small photos are rendered larger and shrunk, as a camera does; very large ones at half their size.
    scale = 0.5 if large else max(1.0, min(2.0, 950 / max(width, height)))
    if plan.staging == "stood" and not large:
        scale = 1.0  # these are oversampled by their own renderer

    def take() -> camera.Photo:
        view = scene.build(rng, plan, (round(height * scale), round(width * scale)))
        return camera.develop(rng, view.radiance, view.alpha, (width, height), illuminant)

    identity: dict[str, Any] = {
        "category": plan.category,
        "seller": seller,
        "orientation": orientation,
        "illuminant": illuminant,
        "staging": plan.staging,
        "backdrop": plan.backdrop,
        "tone": plan.tone,
    }
    name = f"{plan.category}/{lettering.word(rng, 2)}-{index:05d}"
    if breakage is not None:
        maker, extension, reason = broken.KINDS[breakage % len(broken.KINDS)]
        content = maker(rng, lambda: camera.encode(rng, take(), "jpeg", 1))
        return Sample(id=f"{name}.{extension}", content=content, format=maker.__name__, broken=str(reason), **identity)
    photo = take()
    alpha = np.round(photo.alpha * 255).astype(np.uint8)
    rim = np.concatenate([alpha[0], alpha[-1], alpha[:, 0], alpha[:, -1]])
    return Sample(
        id=f"{name}.{camera.EXTENSIONS[kind]}",
        content=camera.encode(rng, photo, kind, orientation),
        format=kind,
        alpha=cv2.imencode(".png", alpha)[1].tobytes(),
        width=width,
        height=height,
        products=products,
        cut_by_frame=bool((rim > 127).any()),
        coverage=float(alpha.mean() / 255),
        product_rgb=photo.product,
        **identity,
    )
