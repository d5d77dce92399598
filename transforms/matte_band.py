"""Alpha inside the band where a coarse mask may be wrong, as a linear model of colour around every pixel.

Each pixel of the band learns from a window around it: a linear model of the three channels fitted to
the confident pixels of both sides tells product from ground (a local linear discriminant), a second,
tighter fit to its outcome follows the edge, and a third is the guided filter proper.

A coarse mask holds no more detail than it has cells, and models of colour vary slowly: they are found on a
*small* picture about as fine as those cells, those of the widest windows at half its size. Only where the second
leaves alpha open is its outcome looked at on the *fine* picture of twice the size; the third is fitted to the
means of that, where there is an edge.
"""

from __future__ import annotations

import cv2
import numpy as np

from transforms.local_regression import (
    Colours,
    apply_models,
    box_mean,
    colour_moments,
    dot,
    fit_colour,
    regress_on_colour,
    solve_symmetric,
    take,
    take_pixels,
)
from transforms.shrinking import halve

# How much colour's verdict leans towards the coarse mask, which is seldom wrong by the whole band's width.
# On hand-drawn masks 0 let shadows and stripes of the ground leak in, 1.6 kept the coarse mask's dents.
_LEANING = 1.2
_STEEPNESS = 3.0  # a product is opaque nearly everywhere: alpha from colour is pushed to both ends
_DECISION = 2.5  # the coarse mask is taken for certain below 0.3 and above 0.7
_FAINT = 0.08  # how much of a cell a strap has to cover to be looked for
_CLOSE = 1.5  # as far from an even verdict a cell is looked at closely: farther off its pixels all agree
_SETTLED = 0.02  # of a window's pixels on one side of the edge: fewer make no edge
_SPECK = 0.01  # share of the frame up to which an island that the mask doubts is no product
# a doubt of the network's is no veil in the picture: all but the steepest part of its edges is decided
_DECIDED = np.clip(0.5 + _DECISION * (np.arange(256) / 255 - 0.5), 0, 1).astype(np.float32)


def _ramp(x: np.ndarray, low: float, high: float) -> np.ndarray:
    t = np.clip((x - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def _find_thin_parts(mask: np.ndarray, disc: np.ndarray) -> np.ndarray:
    """Finds faint ridges of the coarse mask: straps and laces thinner than its cells.

    A faint area is something else, the network's doubt; opening keeps areas and takes ridges away.
    """
    return cv2.dilate(cv2.subtract(mask, cv2.morphologyEx(mask, cv2.MORPH_OPEN, disc)), disc)


def _seed_thin_parts(
    colours: Colours, halved: Colours, ridges: np.ndarray, product: np.ndarray, ground: np.ndarray, reach: int
) -> tuple[np.ndarray, np.ndarray]:
    """Marks straps and laces: too thin for confident pixels of their own, unlike the ground around.

    Args:
      colours: of the picture.
      halved: of the picture at half the size.
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
    rows, columns = np.divmod(where, ground.shape[1])
    moments = colour_moments(halved, halve(ground.astype(np.float32)), reach, _halved_places(rows, columns, halved))
    offset = take(colours.linear, where)[1:] - moments.means
    distance = dot(offset, solve_symmetric(moments.covariances, offset, 6e-4))  # Mahalanobis, squared
    return where, _ramp(distance, 4, 16) * _ramp(take(ridges, where) * (1 / 255), _FAINT, 3 * _FAINT)


def _find_specks(
    target: np.ndarray, mask: np.ndarray, product: np.ndarray, ground: np.ndarray, reach: int, speck: float
) -> list[tuple[np.ndarray, float]]:
    """Finds small islands, and small pinholes, that the coarse mask does not vouch for.

    An island as long as a strap stays even where the mask is faint: it was too thin for more.

    Returns:
      What to clear and what to fill: where, bool (h, w), and by which value.
    """
    found = []
    for sure, vouched, present, value in (
        (product, mask > 0.8 * 255, target > 0.25, 0.0),
        (ground, mask < 0.5 * 255, target < 0.75, 1.0),
    ):
        parts = (present | sure).view(np.uint8)
        if cv2.connectedComponents(parts, connectivity=8)[0] <= 2:  # counting is much faster than measuring
            continue
        count, labels, stats, _ = cv2.connectedComponentsWithStats(parts, connectivity=8)
        long = np.maximum(stats[:, cv2.CC_STAT_WIDTH], stats[:, cv2.CC_STAT_HEIGHT]) > 4 * reach
        small = ~long & (stats[:, cv2.CC_STAT_AREA] < speck)
        small[0] = False
        if small.any():
            small &= np.bincount(labels[sure | vouched], minlength=count) == 0
            if small.any():
                found.append((small[labels], value))
    return found


def _halved_places(rows: np.ndarray, columns: np.ndarray, halved: Colours) -> np.ndarray:
    """Places of pixels in the flattened picture of half the size."""
    return rows // 2 * halved.linear.shape[1] + columns // 2


def solve_band(image: np.ndarray, mask: np.ndarray, reach: int) -> np.ndarray:
    """Finds a linear model of alpha around every pixel of a coarse mask.

    Args:
      image: uint8 (2h, 2w, 3), RGB.
      mask: the coarse mask at half the image's size, uint8 (h, w), 0 ground to 255 product.
      reach: how far the coarse mask may be wrong, in its pixels.

    Returns:
      float32 (h, w, 4): factors for R, G and B of 0..1, and an offset. Where alpha is certain, the factors are 0
      and the offset is 0 or 1.
    """
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    prior = cv2.LUT(mask, _DECIDED)
    ridges = _find_thin_parts(mask, disc)
    product = cv2.erode((prior > 0.85).view(np.uint8), disc) > 0
    ground = (cv2.erode((prior < 0.15).view(np.uint8), disc) > 0) & (ridges < 255 * _FAINT)
    models = np.zeros((*mask.shape, 4), np.float32)
    models[..., 3] = product
    x, y, width, height = cv2.boundingRect((~(product | ground)).view(np.uint8))
    if not width:
        return models
    # no window around a pixel of the band reaches farther than twice the mask's error
    rows, columns = (
        slice(max(0, start - 2 * reach), min(start + size + 2 * reach, side))
        for start, size, side in ((y, height, mask.shape[0]), (x, width, mask.shape[1]))
    )
    crop, fine = np.s_[rows, columns], np.s_[2 * rows.start : 2 * rows.stop, 2 * columns.start : 2 * columns.stop]
    image = np.ascontiguousarray(image[fine])
    small = cv2.resize(image, (columns.stop - columns.start, rows.stop - rows.start), interpolation=cv2.INTER_AREA)
    mask_here, prior, ridges, product, ground = (
        np.ascontiguousarray(plane[crop]) for plane in (mask, prior, ridges, product, ground)
    )
    where = np.flatnonzero(~(product | ground))
    colours, halved = Colours.of(small), Colours.of(halve(small))
    target = _decide(image, colours, halved, prior, ridges, product, ground, where, reach)
    _clear_specks(target, _find_specks(target, mask_here, product, ground, reach, speck=_SPECK * mask.size))
    around = box_mean(target, 1).reshape(-1).take(where)
    soft = where[(around > _SETTLED) & (around < 1 - _SETTLED)]
    offset, *slopes = fit_colour(colours, target, 1, 1.5e-4, soft)
    solved = np.zeros((*target.shape, 4), np.float32)
    solved[..., 3] = target > 0.5
    solved.reshape(-1, 4)[soft] = np.stack([*slopes, offset - 0.5 * sum(slopes)], axis=1)
    models[crop] = solved
    return models


def _decide(
    image: np.ndarray,
    colours: Colours,
    halved: Colours,
    prior: np.ndarray,
    ridges: np.ndarray,
    product: np.ndarray,
    ground: np.ndarray,
    where: np.ndarray,
    reach: int,
) -> np.ndarray:
    """Decides what is product and what is ground: alpha as colour tells it in the fine picture, halved.

    Args:
      image, reach: as for ``solve_band``.
      colours, halved: of the image at half its size, and at a quarter.
      prior: what the mask says by itself, float32 (h, w), 0..1.
      ridges: as for ``_seed_thin_parts``.
      product, ground: what is certain, bool (h, w).
      where: the rest, (n,).

    Returns:
      float32 (h, w), 0..1.
    """
    width = prior.shape[1]
    rows, columns = np.divmod(where, width)
    target = product.astype(np.float32)
    weight = np.ones_like(target)
    target_of, weight_of = target.reshape(-1), weight.reshape(-1)  # the same, by place
    here = prior.reshape(-1).take(where)
    target_of[where], weight_of[where] = here, 0.02
    doubt = np.stack([np.zeros_like(target), target], axis=2)  # colour's share in the decision, and the mask's word
    leaning = _LEANING * (box_mean(prior, reach // 2) - 0.5)
    thin, seeds = _seed_thin_parts(colours, halved, ridges, product, ground, reach)
    target_of[thin], weight_of[thin], leaning.reshape(-1)[thin] = seeds, 0.3, 0
    leaning = leaning.reshape(-1).take(where)

    def discriminant(
        colours: Colours, target: np.ndarray, weight: np.ndarray, radius: int, places: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        model, explained = regress_on_colour(colours, target, weight, radius, 1e-4, places)
        model *= _STEEPNESS
        model[0] += 0.5 - 0.5 * _STEEPNESS + leaning
        return model, _ramp(explained, 0.2, 0.8)  # same colours on both sides: only the coarse mask knows

    # wide windows differ little from a pixel to the next: half the size will do
    coarse_weight = halve(weight)
    coarse_target = halve(target * weight) / coarse_weight
    places = _halved_places(rows, columns, halved)
    model, trust = discriminant(halved, coarse_target, coarse_weight, reach, places)
    features = take(colours.linear, where)
    alpha = np.clip(model[0] + dot(model[1:], features[1:]), 0, 1)
    target_of[where] = here + trust * (alpha - here)
    weight_of[where] = 0.3 * trust + 0.02
    model, trust = discriminant(colours, target, weight, reach, where)
    said = model[0] + dot(model[1:], features[1:])
    target_of[where] = here + trust * (np.clip(said, 0, 1) - here)
    open_ = np.flatnonzero(np.abs(said - 0.5) < _CLOSE)
    doubt.reshape(-1, 2)[where, 0] = trust
    models = np.zeros((*prior.shape, 4), np.float32)
    models.reshape(-1, 4)[where] = np.stack([*model[1:], model[0] - 0.5 * model[1:].sum(axis=0)], axis=1)
    if len(open_):
        target_of[where[open_]] = _look_closely(image, models, doubt, rows[open_], columns[open_])
    return target


def _look_closely(
    image: np.ndarray, models: np.ndarray, doubt: np.ndarray, rows: np.ndarray, columns: np.ndarray
) -> np.ndarray:
    """Alpha of blocks of 2 x 2 pixels, each clipped by itself: an edge through a block is sharper than its mean.

    Args:
      image: uint8 (2h, 2w, 3), RGB.
      models: float32 (h, w, 4): factors for R, G and B of 0..1, and an offset.
      doubt: how far to trust the models, and what to say instead, float32 (h, w, 2), 0..1.
      rows, columns: the blocks, (n,).

    Returns:
      float32 (n,), 0..1.
    """
    down, right = np.array([[0, 0, 1, 1], [0, 1, 0, 1]])[..., None]
    places = (2 * rows + down) * image.shape[1] + 2 * columns + right  # (4, n)
    y, x = (rows + 0.5 * down - 0.25).astype(np.float32), (columns + 0.5 * right - 0.25).astype(np.float32)
    pixels = take_pixels(cv2.cvtColor(image, cv2.COLOR_RGB2RGBA), places)
    alpha = np.clip(apply_models(models, pixels, x, y) * np.float32(1 / 255), 0, 1)
    trusted, said = cv2.split(cv2.remap(doubt, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))
    return (said + trusted * (alpha - said)).mean(axis=0)


def _clear_specks(alpha: np.ndarray, specks: list[tuple[np.ndarray, float]]) -> None:
    """Clears and fills what was found, and what of it the next pixels hold."""
    for where, value in specks:
        alpha[cv2.dilate(where.view(np.uint8), np.ones((3, 3), np.uint8)).view(bool)] = value
