"""Foreground colours at the matte's edge, so that nothing of the old ground shines through.

Blur fusion after Forte, "Approximate Fast Foreground Colour Estimation" (ICIP 2021): the product's
colour is carried outwards and the ground's inwards by means of windows, then both are corrected so that they
compose to the picture; coarse to fine, as in Germer et al., "Fast Multi-Level Foreground Estimation"
(ICPR 2020). Three things differ: means are of the confident pixels where a window holds any, which
measured better than means weighted by alpha; they are taken on small pictures, as they vary slowly;
and but for tables of sums nothing is computed but at the pixels near the edge, of each picture.
"""

from __future__ import annotations

import cv2
import numpy as np

_FINE_SIDE = 720  # the larger of the two small pictures is at most this long; the other is half of it
_WIDE, _TIGHT = (12, 6), (2, 1)  # radii of the windows on the coarse and the fine picture, in its pixels
_SURE = 245  # from this alpha on a pixel's colour counts as the product's, and up to 255 less this as the ground's
_ENOUGH = 3.0  # confident pixels that a window has to hold to count in full
_DAMPING = 0.1  # of the final correction: keeps noise out of the colours
_ROWS_OF_REMAP = 1024


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
    edge = cv2.inRange(edge, 1, 255)
    edge[alpha == 255] = 0
    box = cv2.boundingRect(edge)
    if box[2] == 0:
        return foreground
    margin = max(8, max(alpha.shape) // 32)
    top, left = max(0, box[1] - margin), max(0, box[0] - margin)
    crop = np.s_[top : box[1] + box[3] + margin, left : box[0] + box[2] + margin]
    foreground[crop] = _estimate(image[crop], alpha[crop], edge[crop])
    return foreground


def _halved(plane: np.ndarray) -> np.ndarray:
    """Returns the mean of every 2 x 2 pixels, uint8; a side of odd length is continued by its last pixel."""
    height, width = plane.shape[:2]
    if height % 2 or width % 2:
        plane = cv2.copyMakeBorder(plane, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
    return cv2.resize(plane, (-(-width // 2), -(-height // 2)), interpolation=cv2.INTER_AREA)


def _window_sums(colours: np.ndarray, weight: np.ndarray, near: tuple, radii: tuple[int, ...]) -> list[np.ndarray]:
    """Sums weighted colours and the weights themselves in windows, from a summed-area table (Crow 1984).

    Args:
      colours: uint8 (h, w, 3).
      weight: uint8 (h, w), 0..255 for 0..1.
      near: rows and columns of the n pixels in the middle of a window.
      radii: of the windows.

    Returns:
      For each radius the sums of the colours and, last, of the weights in 255ths, float32 (n, 4).
    """
    height, width = weight.shape
    opaque = cv2.cvtColor(colours, cv2.COLOR_RGB2RGBA)
    table = cv2.integral(cv2.multiply(opaque, cv2.merge([weight] * 4), scale=1 / 255)).reshape(-1, 4)
    found = []
    for radius in radii:
        top, left = (np.maximum(place - radius, 0) for place in near)
        bottom = np.minimum(near[0] + radius + 1, height) * (width + 1)
        right = np.minimum(near[1] + radius + 1, width)
        top *= width + 1
        corners = (table.take(row + column, axis=0) for row in (top, bottom) for column in (left, right))
        top_left, top_right, bottom_left, bottom_right = corners
        found.append((bottom_right - bottom_left - top_right + top_left).astype(np.float32))
    return found


def _carry(
    guess: np.ndarray | None, colours: np.ndarray, weight: np.ndarray, radii: tuple[int, ...], near: tuple
) -> np.ndarray:
    """Replaces guessed colours by the mean of confident pixels, from as near as there are some.

    Args:
      guess: float32 (n, 3), or None on the coarsest picture.
      colours: uint8 (h, w, 3).
      weight: alpha of the side whose colours are wanted, uint8 (h, w).
      radii: of the windows, wide to tight.
      near: rows and columns of n pixels.

    Returns:
      float32 (n, 3), 0..255.
    """
    if guess is None:
        # gauze has no confident pixel anywhere near: alpha's own weights are all there is
        # (and where even that is rounded to nothing, the pixel's own colour)
        (total,) = _window_sums(colours, weight, near, radii[:1])
        guess = (total[:, :3] + 0.01 * colours[near]) / (total[:, 3:] * (1 / 255) + 0.01)
    sure = cv2.inRange(weight, _SURE, 255)
    for total in _window_sums(colours, sure, near, radii):
        pixels = total[:, 3:] * (1 / 255)
        mean = total[:, :3] / np.maximum(pixels, 1)
        guess = guess + np.minimum(pixels * (1 / _ENOUGH), 1) * (mean - guess)
    return guess


def _estimate(image: np.ndarray, alpha: np.ndarray, edge: np.ndarray) -> np.ndarray:
    fine = 0  # times that the picture is halved
    while max(alpha.shape) > _FINE_SIDE << fine:
        fine += 1
    pyramid = [(image, alpha, edge)]
    for _ in range(fine + 1):
        colours, product, edges = (_halved(plane) for plane in pyramid[-1])
        pyramid.append((colours, product, cv2.inRange(edges, 1, 255)))

    carried: dict[str, np.ndarray] = {}
    for level, radii in ((fine + 1, _WIDE), (fine, _TIGHT)):
        colours, product, edges = pyramid[level]
        # one pixel more, so that reading between pixels finds a colour on both sides
        near = np.nonzero(cv2.dilate(edges, np.ones((3, 3), np.uint8)))
        for side, weight in (("product", product), ("ground", 255 - product)):
            guess = sample_planes(carried[side], near[0], near[1], (0.5, 0.5)) if side in carried else None
            carried[side] = np.zeros(colours.shape, np.float32)
            carried[side][near] = _carry(guess, colours, weight, radii, near)

    where = np.flatnonzero(edge.view(bool))
    rows, columns = np.divmod(where, alpha.shape[1])
    scale = 0.5**fine
    product, ground = (sample_planes(carried[side], rows, columns, (scale, scale)) for side in ("product", "ground"))
    share = alpha[rows, columns].astype(np.float32)[:, None] * (1 / 255)
    # the least change of both colours that makes them compose to the picture
    rest = image[rows, columns].astype(np.float32) - share * product - (1 - share) * ground
    product += share * rest / (share * share + (1 - share) * (1 - share) + _DAMPING)
    foreground = image.copy()
    foreground[rows, columns] = np.clip(product + 0.5, 0, 255)
    return foreground
