"""Photos under a known light: what colour normalisation is measured on.

A photo's own light is not known. But where its backdrop is nearly neutral as the camera left it, correcting what little
tint it has gives a picture under neutral light, and a light that is then put on is known exactly. Where the backdrop is
tinted, the paint may be or the light: there the photo as it is counts as the truth, and moving it as an error.
"""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Callable, Iterator, Sequence

import cv2
import numpy as np
from PIL import Image

from pipeline.evaluation.cases import ALL, Case, read_mask, read_picture, read_rows
from pipeline.evaluation.composites import REAL, composite_cases
from pipeline.evaluation.cutouts import CutOut
from pipeline.evaluation.grounds import Ground
from transforms.backdrop import measure_backdrop
from transforms.colour import LUMINANCE, decode_srgb8, linear_to_srgb
from transforms.illuminant import tint

NEUTRAL, PALE, COLOURED = "neutral backdrop", "pale backdrop", "coloured backdrop"
MADE_NEUTRAL, MADE_COLOURED = "made neutral backdrop", "made coloured backdrop"
_MADE = {NEUTRAL: MADE_NEUTRAL, PALE: MADE_COLOURED, COLOURED: MADE_COLOURED}
SETS = (NEUTRAL, PALE, COLOURED, MADE_NEUTRAL, MADE_COLOURED)
AS_IT_IS, UNDER_A_CAST = "as it is", "under a cast"
# tint of a backdrop as the camera left it, length of (warmth, greenness): a sheet of up to .10 (some 2.4 degrees) looks
# white or grey; from .35 (8 degrees) on it looks coloured; between lie cream walls, beige tiles, and lamplight
NEUTRAL_TINT, COLOURED_TINT = 0.10, 0.35
_FULL = 251  # a sensor that is full stays full under any light
_QUALITY = (80, 96)


@dataclasses.dataclass(frozen=True, eq=False)
class ColourCase:
    """A photo under a known light.

    Attributes:
      id: unique within its set.
      set: one of ``SETS``.
      group: seller or product; intervals resample whole groups.
      slices: ``ALL`` and what else it belongs to.
      image: the photo, uint8 (h, w, 3), RGB, through JPEG.
      truth: the same under neutral light, of the same exposure, through the same JPEG.
      exposure: factor by which both were made lighter than the photo that they were made of.
      light: linear R, G, B of a neutral surface in ``image``, luminance 1; (1, 1, 1) for no cast.
      product: product pixels, bool (h, w).
    """

    id: str
    set: str
    group: str
    slices: tuple[str, ...]
    image: np.ndarray
    truth: np.ndarray
    exposure: float
    light: np.ndarray
    product: np.ndarray


def draw_light(rng: np.random.Generator) -> np.ndarray:
    """Draws the cast of a wrong white balance.

    Half are warm, ln R/B .1 to .6, half cool, .1 to .4; across that axis greenness has a deviation of .03. That is 2 to
    14 degrees, 7 on average.

    Returns:
      Linear R, G, B of a neutral surface at luminance 1.
    """
    warmth = rng.uniform(0.1, 0.6) if rng.random() < 0.5 else -rng.uniform(0.1, 0.4)
    green = rng.normal(0, 0.03)
    light = np.exp([warmth / 2 - green / 3, 2 * green / 3, -warmth / 2 - green / 3])
    return light / (light @ LUMINANCE)


def relight(image: np.ndarray, factors: Sequence[float] | np.ndarray) -> np.ndarray:
    """Multiplies the channels in linear light; what was burnt out stays so.

    Args:
      image: uint8 (h, w, 3), sRGB.
      factors: for R, G, B.
    """
    codes = np.arange(256, dtype=np.uint8)
    table = np.stack([255 * linear_to_srgb(decode_srgb8(codes) * factor) for factor in factors], axis=-1)
    table = np.round(table).astype(np.uint8)
    table[_FULL:] = np.maximum(table[_FULL:], codes[_FULL:, None])
    return cv2.LUT(image, table[None])


def through_jpeg(image: np.ndarray, quality: int) -> np.ndarray:
    """Returns what is left of a picture, uint8 (h, w, 3), after JPEG with halved colour resolution."""
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "JPEG", quality=quality, subsampling="4:2:0")
    return np.asarray(Image.open(stream).convert("RGB"))


def photo_cases(
    photos: str, masks: dict[str, dict], cut_out: Callable[[np.ndarray], np.ndarray], *, split: str | None, seed: int,
    limit: int | None = None,
) -> Iterator[ColourCase]:  # fmt: skip
    """Yields every photo as it is and under a cast.

    Args:
      photos: Parquet file or folder with columns ``id, image`` and perhaps ``seller, category, split``.
      masks: rows of hand-drawn masks by id, from ``read_drawn``; these photos come first.
      cut_out: says where the product is, as alpha, in photos without such a mask.
      split: value of the column ``split`` to keep, or None for all rows.
      seed: of lights and exposures.
      limit: at most this many photos of each set, or None.
    """
    rows = [
        row
        for row in read_rows(photos, ["id", "image"], ["seller", "category", "split"])
        if split is None or row.get("split") == split
    ]
    rows.sort(key=lambda row: row["id"] not in masks)
    kept: dict[str, int] = {}
    for index, row in enumerate(rows):
        if limit is not None and all(kept.get(set, 0) >= limit for set in (NEUTRAL, PALE, COLOURED)):
            return
        image = read_picture(row["image"], f"photo {row['id']!r}").image
        drawn = masks.get(row["id"])
        alpha = cut_out(image) if drawn is None else read_mask(drawn["mask"], row["id"], image).astype(np.uint8) * 255
        set, own = _backdrop_set(image, alpha)
        if not set or (limit is not None and kept.get(set, 0) >= limit):
            continue
        kept[set] = kept.get(set, 0) + 1
        rng = np.random.default_rng([seed, index])
        by = "mask by hand" if drawn else "mask by the model"
        slices = (ALL, by, *((f"category {row['category']}",) if row.get("category") else ()))
        truth = relight(image, own)
        yield from _both_ways(rng, set, row["id"], str(row.get("seller") or row["id"]), slices, truth, own, alpha > 127)


def _backdrop_set(image: np.ndarray, alpha: np.ndarray) -> tuple[str, np.ndarray]:
    """Returns the set that a photo belongs to, and the gains that make it the truth."""
    measured = measure_backdrop(image, alpha)
    if measured.colour is None:
        return "", np.ones(3)
    length = float(np.hypot(*tint(measured.colour)))
    if length <= NEUTRAL_TINT:
        return NEUTRAL, (measured.colour @ LUMINANCE) / measured.colour
    return (COLOURED if length >= COLOURED_TINT else PALE), np.ones(3)


def _both_ways(
    rng: np.random.Generator, set: str, id: str, group: str, slices: tuple[str, ...], truth: np.ndarray,
    own: np.ndarray, product: np.ndarray,
) -> Iterator[ColourCase]:  # fmt: skip
    """Yields a picture as the camera left it, and under a drawn light; ``own`` are the gains that made its truth."""
    left = 1 / own
    for name, light, exposure in (
        (AS_IT_IS, left / (left @ LUMINANCE), 1.0),
        (UNDER_A_CAST, draw_light(rng), float(2 ** rng.uniform(-0.5, 0.1))),
    ):
        quality = int(rng.integers(*_QUALITY))
        image = through_jpeg(relight(truth, light * exposure), quality)
        right = through_jpeg(relight(truth, [exposure] * 3), quality)
        yield ColourCase(f"{id}, {name}", set, group, (*slices, name), image, right, exposure, light, product)


def made_cases(cut_outs: Sequence[CutOut], grounds: Sequence[Ground], *, count: int, seed: int) -> Iterator[ColourCase]:
    """Yields real cut-outs on painted and real grounds of which the tint is known, under a known light.

    Plain grounds and sweeps are made exactly neutral, or given paint of a tint of .15 to 1.2 in any direction; real
    grounds count by the tint that they have.

    Args:
      cut_outs: with a colour that counts as true.
      grounds: real ones.
      count: of composites, half of them on neutral paint.
      seed: of everything drawn.
    """
    for index, case in enumerate(composite_cases("made", cut_outs, grounds, count=count, seed=seed)):
        rng = np.random.default_rng([seed, 11, index])
        painted = _painted(rng, case, neutral=index % 2 == 0)
        made = _MADE.get(_backdrop_set(painted, case.alpha)[0])
        # a real ground brings its own light, which was not the product's
        if made is None or (made == MADE_NEUTRAL and REAL in case.slices):
            continue
        slices = tuple(name for name in case.slices if not name.startswith("category"))
        yield from _both_ways(rng, made, case.id, case.group, slices, painted, np.ones(3), case.alpha > 127)


def _painted(rng: np.random.Generator, case: Case, *, neutral: bool) -> np.ndarray:
    """Gives a painted ground an exactly neutral or a clearly tinted colour; real grounds stay as they are."""
    if REAL in case.slices or case.foreground is None:
        return case.image
    linear = decode_srgb8(case.image).astype(np.float32)
    share = case.alpha[..., None].astype(np.float32) / 255
    grey = (linear @ LUMINANCE.astype(np.float32))[..., None]
    paint = np.ones(3, np.float32)
    if not neutral:
        length, turn = rng.uniform(0.15, 1.2), rng.uniform(0, 2 * np.pi)
        warmth, green = length * np.cos(turn), 0.6 * length * np.sin(turn)
        paint = np.exp([warmth / 2 - green / 3, 2 * green / 3, -warmth / 2 - green / 3]).astype(np.float32)
        paint /= paint.max()
    ground = np.round(255 * linear_to_srgb(grey * paint))
    return np.clip(share * case.foreground + (1 - share) * ground + 0.5, 0, 255).astype(np.uint8)
