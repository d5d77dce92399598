"""Alpha inside the band where a coarse mask may be wrong, as a linear model of colour around every pixel.

Each pixel of the band learns from a window around it: a linear model of the three channels fitted to
the confident pixels of both sides tells product from ground (a local linear discriminant), a second,
tighter fit to its outcome follows the edge, and a third is the guided filter proper.
"""

from __future__ import annotations

import cv2
import numpy as np

from transforms.foreground import sample_planes
from transforms.local_regression import (
    Pixels,
    box_mean,
    colour_moments,
    colour_planes,
    dot,
    regress_on_colour,
    solve_symmetric,
)

# How much colour's verdict leans towards the coarse mask, which is seldom wrong by the whole band's width.
# On hand-drawn masks 0 let shadows and stripes of the ground leak in, 1.6 kept the coarse mask's dents.
_LEANING = 1.2
_STEEPNESS = 3.0  # a product is opaque nearly everywhere: alpha from colour is pushed to both ends
_DECISION = 2.5  # the coarse mask is taken for certain below 0.3 and above 0.7
_FAINT = 0.08  # how much of a cell a strap has to cover to be looked for
_SPECK = 0.01  # share of the frame up to which an island that the mask doubts is no product


def _ramp(x: np.ndarray, low: float, high: float) -> np.ndarray:
    t = np.clip((x - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def _find_thin_parts(mask: np.ndarray, reach: int) -> np.ndarray:
    """Finds faint ridges of the coarse mask: straps and laces thinner than its cells.

    A faint area is something else, the network's doubt; opening keeps areas and takes ridges away.
    """
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    ridges = mask - cv2.morphologyEx(mask, cv2.MORPH_OPEN, disc)
    return cv2.dilate(ridges, disc)


def _seed_thin_parts(
    colours: list[np.ndarray], ridges: np.ndarray, product: np.ndarray, ground: np.ndarray, reach: int
) -> tuple[np.ndarray, np.ndarray]:
    """Marks straps and laces: too thin for confident pixels of their own, unlike the ground around.

    Args:
      colours: three planes (h, w), float32 -0.5..0.5.
      ridges: faint ridges of the coarse mask, widened by what it may be wrong, float32 (h, w), 0..1.
      product, ground: the confident pixels, bool (h, w).
      reach: how far the coarse mask may be wrong, pixels.

    Returns:
      Where there are thin parts only (bool), and how surely a pixel belongs to one (float32, 0..1).
    """
    radius = 2 * reach
    near_product = box_mean(product.astype(np.float32), radius)
    near_ground = box_mean(ground.astype(np.float32), radius)
    thin = ~(product | ground) & (near_product < 0.03 * near_ground) & (near_ground > 0.05)
    thin &= ridges > _FAINT
    seeds = np.zeros(ridges.shape, np.float32)
    where = np.nonzero(thin)
    if len(where[0]):
        moments = colour_moments(colours, ground.astype(np.float32), radius, where)
        offset = [c[where] - m for c, m in zip(colours, moments.means, strict=True)]
        distance = dot(offset, solve_symmetric(moments.covariances, offset, 6e-4))  # Mahalanobis, squared
        seeds[where] = _ramp(distance, 4, 16) * _ramp(ridges[where], _FAINT, 3 * _FAINT)
    return thin, seeds


def _drop_specks(target: np.ndarray, mask: np.ndarray, product: np.ndarray, ground: np.ndarray, reach: int) -> None:
    """Clears small islands, and fills small pinholes, that the coarse mask does not vouch for.

    An island as long as a strap stays even where the mask is faint: it was too thin for more.
    """
    for sure, vouched, present, value in (
        (product, mask > 0.8, target > 0.25, 0.0),
        (ground, mask < 0.5, target < 0.75, 1.0),
    ):
        parts = (present | sure).astype(np.uint8)
        count, labels, stats, _ = cv2.connectedComponentsWithStats(parts, connectivity=8)
        if count <= 2:
            continue
        kept = np.bincount(labels[sure | vouched], minlength=count) > 0
        kept |= np.maximum(stats[:, cv2.CC_STAT_WIDTH], stats[:, cv2.CC_STAT_HEIGHT]) > 4 * reach
        spurious = ~kept & (stats[:, cv2.CC_STAT_AREA] < _SPECK * target.size)
        spurious[0] = False
        if spurious.any():
            target[spurious[labels]] = value


def _regress_at_half(
    colours: list[np.ndarray],
    target: np.ndarray,
    weight: np.ndarray,
    radius: int,
    band: np.ndarray,
    where: Pixels,
) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
    """``regress_on_colour`` for wide windows: solved at half the size, read at the pixels ``where``."""
    height, width = target.shape
    half = max(1, width // 2), max(1, height // 2)
    small = [cv2.resize(plane, half, interpolation=cv2.INTER_AREA) for plane in (*colours, target, weight)]
    # one pixel more all around, so that reading between pixels finds a model on both sides
    wanted = cv2.resize(cv2.dilate(band.astype(np.uint8), np.ones((5, 5), np.uint8)), half) > 0
    there = np.nonzero(wanted)
    slopes, offset, explained = regress_on_colour(small[:3], small[3], small[4], max(1, radius // 2), 2e-4, there)
    scale = (half[1] / height, half[0] / width)
    models = np.zeros((*wanted.shape, 4), np.float32)
    models[there] = np.stack([*slopes, offset], axis=-1)
    trust = np.zeros((*wanted.shape, 1), np.float32)
    trust[there] = explained[:, None]
    models = sample_planes(models, where[0], where[1], scale)
    return list(models[:, :3].T), models[:, 3], sample_planes(trust, where[0], where[1], scale)[:, 0]


def solve_band(image: np.ndarray, mask: np.ndarray, reach: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Finds the linear model of alpha around every pixel of the uncertain band.

    Args:
      image: uint8 (h, w, 3), RGB.
      mask: the coarse mask at the image's size, float32 (h, w), 0..1.
      reach: how far the coarse mask may be wrong, pixels.

    Returns:
      The models, float32 (h, w, 4): three slopes and the offset; the uncertain band, bool (h, w); the
      confident product, bool (h, w).
    """
    shape = mask.shape
    # a doubt of the network's is no veil in the picture: all but the steepest part of its edges is decided
    prior = np.clip(0.5 + _DECISION * (mask - 0.5), 0, 1)
    ridges = _find_thin_parts(mask, reach)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    product = cv2.erode((prior > 0.85).astype(np.uint8), disc) > 0
    ground = (cv2.erode((prior < 0.15).astype(np.uint8), disc) > 0) & (ridges < _FAINT)
    band = ~(product | ground)
    where = np.nonzero(band)
    models = np.zeros((*shape, 4), np.float32)
    models[..., 3] = product
    if not len(where[0]):
        return models, band, product

    colours = colour_planes(image)
    target = np.where(band, prior, product).astype(np.float32)
    weight = np.where(band, 0.02, 1).astype(np.float32)
    thin, seeds = _seed_thin_parts(colours, ridges, product, ground, reach)
    target[thin] = seeds[thin]
    weight[thin] = 0.3
    in_band = [c[where] for c in colours]
    leaning = np.where(thin, 0, _LEANING * (box_mean(prior, reach // 2) - 0.5))[where]

    def decide(slopes, offset, explained):
        alpha = 0.5 + _STEEPNESS * (dot(slopes, in_band) + offset - 0.5) + leaning
        trust = _ramp(explained, 0.2, 0.8)  # same colours on both sides: only the coarse mask knows
        target[where] = trust * np.clip(alpha, 0, 1) + (1 - trust) * prior[where]
        return trust

    trust = decide(*_regress_at_half(colours, target, weight, 2 * reach, band, where))
    weight[where] = 0.3 * trust + 0.02
    decide(*regress_on_colour(colours, target, weight, reach, 2e-4, where))
    _drop_specks(target, mask, product, ground, reach)

    slopes, offset, _ = regress_on_colour(colours, target, np.ones(shape, np.float32), 2, 1e-3, where)
    models[where] = np.stack([*slopes, offset], axis=-1)
    return box_mean(models, 2), band, product
