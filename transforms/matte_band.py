"""Alpha inside the band where a coarse mask may be wrong, as a linear model of colour around every pixel.

Each pixel of the band learns from a window around it: a linear model of the three channels fitted to
the confident pixels of both sides tells product from ground (a local linear discriminant), a second,
tighter fit to its outcome follows the edge, and a third is the guided filter proper.
"""

from __future__ import annotations

import cv2
import numpy as np

from transforms.foreground import sample_planes
from transforms.local_regression import Colours, box_mean, colour_moments, dot, regress_on_colour, solve_symmetric, take

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


def _find_thin_parts(mask: np.ndarray, disc: np.ndarray) -> np.ndarray:
    """Finds faint ridges of the coarse mask: straps and laces thinner than its cells.

    A faint area is something else, the network's doubt; opening keeps areas and takes ridges away.
    """
    return cv2.dilate(cv2.subtract(mask, cv2.morphologyEx(mask, cv2.MORPH_OPEN, disc)), disc)


def _seed_thin_parts(
    colours: Colours, ridges: np.ndarray, product: np.ndarray, ground: np.ndarray, reach: int
) -> tuple[np.ndarray, np.ndarray]:
    """Marks straps and laces: too thin for confident pixels of their own, unlike the ground around.

    Args:
      colours: of the picture.
      ridges: faint ridges of the coarse mask, widened by what it may be wrong, uint8 (h, w).
      product, ground: the confident pixels, bool (h, w).
      reach: how far the coarse mask may be wrong, pixels.

    Returns:
      Where there are thin parts only, (n,), and how surely a pixel belongs to one, float32 (n,), 0..1.
    """
    thin = ~(product | ground) & (ridges > 255 * _FAINT)
    where = np.flatnonzero(thin)
    if not len(where):
        return where, np.zeros(0, np.float32)
    radius = 2 * reach
    near_product = take(box_mean(product.view(np.uint8), radius), where)
    near_ground = take(box_mean(ground.view(np.uint8), radius), where)
    where = where[(near_product < 0.03 * near_ground) & (near_ground > 0.05)]
    if not len(where):
        return where, np.zeros(0, np.float32)
    moments = colour_moments(colours, ground.astype(np.float32), radius, where)
    offset = take(colours.linear, where)[1:] - moments.means
    distance = dot(offset, solve_symmetric(moments.covariances, offset, 6e-4))  # Mahalanobis, squared
    return where, _ramp(distance, 4, 16) * _ramp(take(ridges, where) * (1 / 255), _FAINT, 3 * _FAINT)


def _drop_specks(target: np.ndarray, mask: np.ndarray, product: np.ndarray, ground: np.ndarray, reach: int) -> None:
    """Clears small islands, and fills small pinholes, that the coarse mask does not vouch for.

    An island as long as a strap stays even where the mask is faint: it was too thin for more.
    """
    for sure, vouched, present, value in (
        (product, mask > 0.8 * 255, target > 0.25, 0.0),
        (ground, mask < 0.5 * 255, target < 0.75, 1.0),
    ):
        parts = (present | sure).view(np.uint8)
        count, labels, stats, _ = cv2.connectedComponentsWithStats(parts, connectivity=8)
        if count <= 2:
            continue
        long = np.maximum(stats[:, cv2.CC_STAT_WIDTH], stats[:, cv2.CC_STAT_HEIGHT]) > 4 * reach
        small = ~long & (stats[:, cv2.CC_STAT_AREA] < _SPECK * target.size)
        small[0] = False
        if small.any():
            small &= np.bincount(labels[sure | vouched], minlength=count) == 0
            target[small[labels]] = value


def _regress_at_half(
    colours: Colours, target: np.ndarray, weight: np.ndarray, radius: int, band: np.ndarray, where: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """``regress_on_colour`` for wide windows: ``colours`` are of half the size, the rest of the full one."""
    height, width = band.shape
    half = colours.linear.shape[1::-1]
    target, weight = (cv2.resize(plane, half, interpolation=cv2.INTER_AREA) for plane in (target, weight))
    # one pixel more all around, so that reading between pixels finds a model on both sides
    wanted = cv2.resize(cv2.dilate(band.view(np.uint8), np.ones((5, 5), np.uint8)), half)
    there = np.flatnonzero(wanted)
    model, explained = regress_on_colour(colours, target, weight, max(1, radius // 2), 2e-4, there)
    planes = np.zeros((*target.shape, 4), np.float32)
    planes.reshape(-1, 4)[there] = model.T
    trust = np.zeros((*target.shape, 1), np.float32)
    trust.reshape(-1)[there] = explained
    scale = (half[1] / height, half[0] / width)
    rows, columns = np.divmod(where, width)
    return sample_planes(planes, rows, columns, scale).T, sample_planes(trust, rows, columns, scale)[:, 0]


def solve_band(image: np.ndarray, mask: np.ndarray, reach: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Finds the linear model of alpha around every pixel of the uncertain band.

    Args:
      image: uint8 (h, w, 3), RGB.
      mask: the coarse mask at the image's size, uint8 (h, w), 0 ground to 255 product.
      reach: how far the coarse mask may be wrong, pixels.

    Returns:
      The models, float32 (h, w, 4): the offset and three slopes; the uncertain band, bool (h, w); the
      confident product, bool (h, w).
    """
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    # a doubt of the network's is no veil in the picture: all but the steepest part of its edges is decided
    prior = np.clip(0.5 + _DECISION * (mask * np.float32(1 / 255) - 0.5), 0, 1)
    ridges = _find_thin_parts(mask, disc)
    product = cv2.erode((prior > 0.85).view(np.uint8), disc) > 0
    ground = (cv2.erode((prior < 0.15).view(np.uint8), disc) > 0) & (ridges < 255 * _FAINT)
    band = ~(product | ground)
    models = np.zeros((*mask.shape, 4), np.float32)
    models[..., 0] = product
    box = cv2.boundingRect(band.view(np.uint8))
    if box[2]:
        # as far as a window reaches and a pixel of half the size, from an even row and column
        margin = 2 * reach + 2
        top, left = (max(0, start - margin) & ~1 for start in (box[1], box[0]))
        crop = np.s_[top : box[1] + box[3] + margin, left : box[0] + box[2] + margin]
        planes = (np.ascontiguousarray(plane[crop]) for plane in (image, mask, prior, ridges, product, ground, band))
        models[crop][band[crop]] = _solve(reach, *planes)
    return box_mean(models, 2), band, product


def _solve(
    reach: int,
    image: np.ndarray,
    mask: np.ndarray,
    prior: np.ndarray,
    ridges: np.ndarray,
    product: np.ndarray,
    ground: np.ndarray,
    band: np.ndarray,
) -> np.ndarray:
    """Returns the models of the n pixels of the band, (n, 4)."""
    colours = Colours.of(image)
    half = max(1, image.shape[1] // 2), max(1, image.shape[0] // 2)
    halved = Colours.of(cv2.resize(image, half, interpolation=cv2.INTER_AREA))
    where = np.flatnonzero(band)
    target = np.where(band, prior, product).astype(np.float32)
    weight = np.where(band, np.float32(0.02), np.float32(1))
    target_of, weight_of = target.reshape(-1), weight.reshape(-1)  # the same, by place
    leaning = _LEANING * (box_mean(prior, reach // 2) - 0.5)
    thin, seeds = _seed_thin_parts(colours, ridges, product, ground, reach)
    target_of[thin], weight_of[thin], leaning.reshape(-1)[thin] = seeds, 0.3, 0

    features, prior, leaning = take(colours.linear, where), take(prior, where), take(leaning, where)

    def decide(model, explained):
        alpha = np.einsum("cn,cn->n", model, features)
        alpha = np.clip(0.5 + _STEEPNESS * (alpha - 0.5) + leaning, 0, 1)
        trust = _ramp(explained, 0.2, 0.8)  # same colours on both sides: only the coarse mask knows
        target_of[where] = trust * alpha + (1 - trust) * prior
        return trust

    trust = decide(*_regress_at_half(halved, target, weight, 2 * reach, band, where))
    weight_of[where] = 0.3 * trust + 0.02
    decide(*_regress_at_half(halved, target, weight, reach, band, where))
    _drop_specks(target, mask, product, ground, reach)
    model, _ = regress_on_colour(colours, target, None, 2, 1e-3, where)
    return model.T
