"""Foreground colours at the matte's edge, so that nothing of the old ground shines through.

Blur fusion after Forte, "Approximate Fast Foreground Colour Estimation" (ICIP 2021): the product's
colour is carried outwards and the ground's inwards by weighted box means, then both are corrected so
that they compose to the picture; coarse to fine, as in Germer et al., "Fast Multi-Level Foreground
Estimation" (ICPR 2020). Two things differ: means are of the confident pixels where a window holds
any, which measured better than means weighted by alpha, and they are taken on small pictures, as they
vary slowly; only the correction is made at full size, for the pixels of the edge alone.
"""

from __future__ import annotations

import cv2
import numpy as np

# (longest side of the picture that means are taken on, radii of the windows in its pixels, wide to tight)
_LEVELS = ((256, (12, 6)), (640, (2,)))
_SURE = 0.96  # from here on a pixel's colour counts as the product's, and below 1 - this as the ground's
_ROWS_OF_REMAP = 1024


def _mean(colours: np.ndarray, weight: np.ndarray, radius: int) -> tuple[np.ndarray, np.ndarray]:
    """Weighted mean of the colours in a window, and the pixels' worth of weight that it holds."""
    size = (2 * radius + 1, 2 * radius + 1)
    total = cv2.boxFilter(weight, -1, size, borderType=cv2.BORDER_REFLECT)
    mean = cv2.boxFilter(colours * weight[..., None], -1, size, borderType=cv2.BORDER_REFLECT)
    return mean / (total[..., None] + 1e-5), total * size[0] * size[1]


def _carry(colours: np.ndarray, alpha: np.ndarray, guess: np.ndarray, radii: tuple[int, ...]) -> np.ndarray:
    """Replaces the guess by the mean of confident pixels, from as near as there are some."""
    sure = (alpha > _SURE).astype(np.float32)
    for radius in radii:
        mean, pixels = _mean(colours, sure, radius)
        known = np.clip(pixels * (1 / 3), 0, 1)[..., None]
        guess = guess + known * (mean - guess)
    return guess


def sample_planes(planes: np.ndarray, rows: np.ndarray, columns: np.ndarray, scale: tuple[float, float]) -> np.ndarray:
    """Reads small planes bilinearly at pixels of the full picture.

    Args:
      planes: float32 (h, w, channels), channels <= 4.
      rows, columns: (n,), pixels of the full picture.
      scale: the planes' height and width as a fraction of the full picture's.

    Returns:
      float32 (n, channels).
    """
    if scale == (1.0, 1.0):
        return planes[rows, columns]
    # cv2.remap takes no row longer than 32,766: the list of pixels is folded
    count = len(rows)
    padded = -(-count // _ROWS_OF_REMAP) * _ROWS_OF_REMAP
    maps = np.zeros((2, padded), np.float32)
    maps[0, :count] = (columns + 0.5) * scale[1] - 0.5
    maps[1, :count] = (rows + 0.5) * scale[0] - 0.5
    x, y = maps.reshape(2, _ROWS_OF_REMAP, -1)
    sampled = cv2.remap(planes, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return sampled.reshape(padded, -1)[:count]


def estimate_foreground(image: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Estimates the product's own colours under a soft edge.

    Args:
      image: uint8 (h, w, 3), RGB.
      alpha: uint8 (h, w), 0 ground to 255 product.

    Returns:
      uint8 (h, w, 3), straight (not premultiplied) RGB: the image where alpha is 255; the product's
      colour where it is soft and in the pixels next to it, so that scaling brings no old ground in;
      the image elsewhere, where alpha is 0 and colour means nothing.

    Raises:
      ValueError: the two sizes differ.
    """
    if image.shape[:2] != alpha.shape:
        raise ValueError(
            f"alpha of shape {alpha.shape!r} does not belong to an image of shape {image.shape!r}; "
            f"it has to be of the image's height and width"
        )
    foreground = image.copy()
    edge = cv2.dilate(alpha, np.ones((5, 5), np.uint8))
    edge[alpha == 255] = 0
    box = cv2.boundingRect(edge)
    if box[2] == 0:
        return foreground
    margin = max(8, max(alpha.shape) // 32)
    top, left = max(0, box[1] - margin), max(0, box[0] - margin)
    crop = np.s_[top : box[1] + box[3] + margin, left : box[0] + box[2] + margin]
    foreground[crop] = _estimate(image[crop], alpha[crop], edge[crop])
    return foreground


def _estimate(image: np.ndarray, alpha: np.ndarray, edge: np.ndarray) -> np.ndarray:
    height, width = alpha.shape
    product = ground = image
    for level, (side, radii) in enumerate(_LEVELS):
        scale = min(1.0, side / max(height, width))
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        colours, weight = image, alpha
        if size != (width, height):
            colours = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
            weight = cv2.resize(alpha, size, interpolation=cv2.INTER_AREA)
        colours, weight = colours.astype(np.float32), weight.astype(np.float32) * (1 / 255)
        if level == 0:
            # gauze has no confident pixel anywhere near: alpha's own weights are all there is
            product, _ = _mean(colours, weight + 1e-4, radii[0])
            ground, _ = _mean(colours, 1.0001 - weight, radii[0])
        else:
            product, ground = (cv2.resize(x, size, interpolation=cv2.INTER_LINEAR) for x in (product, ground))
        product, ground = _carry(colours, weight, product, radii), _carry(colours, 1 - weight, ground, radii)

    rows, columns = np.nonzero(edge)
    scale = (product.shape[0] / height, product.shape[1] / width)
    product = sample_planes(product, rows, columns, scale)
    ground = sample_planes(ground, rows, columns, scale)
    share = alpha[rows, columns].astype(np.float32)[:, None] * (1 / 255)
    # the least change of both colours that makes them compose to the picture; the constant keeps noise out
    rest = image[rows, columns].astype(np.float32) - share * product - (1 - share) * ground
    product += share * rest / (share * share + (1 - share) * (1 - share) + 0.1)
    foreground = image.copy()
    foreground[rows, columns] = np.clip(product + 0.5, 0, 255)
    return foreground
