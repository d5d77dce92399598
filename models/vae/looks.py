"""What a picture's looks say of faults: what its reconstruction leaves over, strokes upon it, and cuts through it.

A watermark is of thin strokes all over the product, a print of strokes in one place: so strokes are found by top and
black hats (Meyer, 1979; Serra, 1982) of what the reconstruction leaves over, and looked at part by part. What was cut
off by the frame or stands beside another product touches the sides of its box along straight lines.
"""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np

from models.vae.residuals import RESIDUALS, product_of, residual_measures

_MAPS = ("light", "dark", "light_all", "dark_all", "light_all_fine", "dark_all_fine", "left_over", "colour_left_over")
STROKES = tuple(f"{name}_{part}" for name in _MAPS for part in ("mean", "most", "middle", "even"))
SIDES = tuple(f"{side}_{part}" for side in ("top", "bottom", "left", "right") for part in ("touched", "straight"))
LOOKS = (*RESIDUALS, *STROKES, "colourless", *SIDES)

_CELLS = 4  # along the product's width and height
_ENOUGH = 12  # pixels of the product in a cell that counts
_MOST = 0.9  # quantile
_NEAR = 5  # a share of the product's depth


def looks(images: np.ndarray, made: np.ndarray) -> np.ndarray:
    """Measures all that is seen without the category and without the latents.

    Args:
      images: uint8 (n, size, size, 3), RGB.
      made: their reconstructions, of the same shape.

    Returns:
      float32 (n, 48), in the order of ``LOOKS``: the residuals; logarithms of levels of strokes; how much of each side
      of its box the product touches, 0..1.
    """
    strokes = [stroke_measures(*pair) for pair in zip(images, made, strict=True)]
    sides = [side_measures(image) for image in images]
    parts = (
        residual_measures(images, made),
        np.reshape(strokes, (len(images), len(STROKES) + 1)),
        np.reshape(sides, (len(images), len(SIDES))),
    )
    return np.concatenate(parts, axis=1, dtype=np.float32)


def stroke_measures(image: np.ndarray, made: np.ndarray) -> list[float]:
    """Measures thin strokes that the reconstruction lacks, over the product and over its parts.

    Args:
      image: uint8 (size, size, 3).
      made: its reconstruction.

    Returns:
      For each map of strokes, in the order of ``STROKES``: the logarithms of its mean, of its 90th percentile and of
      the median of the means of the product's parts, 4 x 4 cells of its box; and how even these are, their lower
      quartile over their mean. At last how strokes go with saturation, -1..1: white and black letters take it away.
    """
    product = product_of(image)
    cells = _cells(product)
    counts = np.bincount(cells, minlength=_CELLS**2)
    found, light = [], np.zeros(0)
    maps = _stroke_maps(image.astype(np.float32), made.astype(np.float32))
    for name, levels in zip(_MAPS, maps, strict=True):
        here = levels[product]
        light = here if name == "light" else light
        means = np.bincount(cells, weights=here, minlength=_CELLS**2)
        parts = means[counts >= _ENOUGH] / counts[counts >= _ENOUGH]
        parts = parts if len(parts) else here.mean(keepdims=True)
        found += [
            float(np.log1p(max(value, 0.0))) for value in (here.mean(), np.quantile(here, _MOST), np.median(parts))
        ]
        found.append(float(np.quantile(parts, 0.25) / (np.abs(parts).mean() + 1)))
    saturation = np.ptp(image.astype(np.float32), axis=-1)[product]
    return [*found, _correlation(light, saturation)]


def _correlation(first: np.ndarray, second: np.ndarray) -> float:
    spreads = first.std(), second.std()
    if min(spreads) < 1:  # a level: nothing to go together
        return 0.0
    return float(((first - first.mean()) * (second - second.mean())).mean() / (spreads[0] * spreads[1]))


def _cells(product: np.ndarray) -> np.ndarray:
    """Returns for each pixel of the product which cell of its box it lies in."""
    rows, columns = np.nonzero(product)
    place = [(along - along.min()) * _CELLS // (np.ptp(along) + 1) for along in (rows, columns)]
    return place[0] * _CELLS + place[1]


def _stroke_maps(image: np.ndarray, made: np.ndarray) -> Iterator[np.ndarray]:
    """Yields, in the order of ``_MAPS``, float32 (size, size): strokes of the picture less those of the other."""
    wide, thin = np.ones((5, 5), np.uint8), np.ones((3, 3), np.uint8)
    grey, lightest, darkest = (lambda x: x.mean(axis=-1)), (lambda x: x.max(axis=-1)), (lambda x: x.min(axis=-1))
    for plane, hat, window in (
        (grey, cv2.MORPH_TOPHAT, wide), (grey, cv2.MORPH_BLACKHAT, wide),
        # white and black letters change all colours, a print's often one
        (darkest, cv2.MORPH_TOPHAT, wide), (lightest, cv2.MORPH_BLACKHAT, wide),
        (darkest, cv2.MORPH_TOPHAT, thin), (lightest, cv2.MORPH_BLACKHAT, thin),
    ):  # fmt: skip
        yield cv2.morphologyEx(plane(image), hat, window) - cv2.morphologyEx(plane(made), hat, window)
    residual = image - made
    yield np.abs(grey(residual))
    yield np.abs(residual - residual.mean(axis=-1, keepdims=True)).mean(axis=-1)


def side_measures(image: np.ndarray) -> list[float]:
    """Measures along which share of each side of its box the product touches it.

    Args:
      image: uint8 (size, size, 3), on the plain ground.

    Returns:
      For top, bottom, left and right: the share of the side that is touched to two pixels, and that share over the
      product's breadth near this side; 0..1. In the order of ``SIDES``.
    """
    product = product_of(image, inside=False)
    rows, columns = np.nonzero(product)
    box = product[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    found = []
    for turned in (box, box[::-1], box.T, box.T[::-1]):
        touched = turned[:2].any(axis=0).mean()
        broad = turned[: max(2, len(turned) // _NEAR)].any(axis=0).mean()
        found += [float(touched), float(touched / broad)]
    return found
