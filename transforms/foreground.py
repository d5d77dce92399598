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

from transforms.shrinking import halve

_FINE_SIDE = (
    720  # the finer of the two small pictures is at most this long, and half the photo; the other is half of it
)
_WIDE, _TIGHT = (6, 2, 1), (1,)  # radii of the windows on the coarse and the fine picture, in its pixels
_SURE = 232  # from this alpha on a pixel's colour counts as the product's, and up to 255 less this as the ground's
_ENOUGH = 1.0  # confident pixels, of that picture, that a window has to hold to count in full
_LEAST = 0.1  # of a confident pixel: with less, a mean of rounded colours would be noise
_DAMPING = 0.1  # of the final correction: keeps noise out of the colours
_LEAST_ROWS, _MOST_COLUMNS = 64, 32_000  # of a folded list of pixels; cv2.remap takes no row longer than 32,766
_ALIGNED = 8  # pixels that the box around the edge is aligned to: sides that can be halved need no padding
_NEXT = np.ones((3, 3), np.uint8)
_SHARE = np.arange(256, dtype=np.float32) * np.float32(1 / 255)  # of the product in a pixel, by its alpha
_CORRECTION = _SHARE / (_SHARE**2 + (1 - _SHARE) ** 2 + np.float32(_DAMPING))


def sample_planes(planes: np.ndarray, rows: np.ndarray, columns: np.ndarray, scale: tuple[float, float]) -> np.ndarray:
    """Reads small planes bilinearly at pixels of the full picture.

    Args:
      planes: float32 (h, w, channels), channels <= 4.
      rows, columns: (n,), pixels of the full picture.
      scale: the planes' height and width as a fraction of the full picture's.

    Returns:
      float32 (channels, n).
    """
    count = len(rows)
    folded = max(_LEAST_ROWS, -(-count // _MOST_COLUMNS))
    padded = -(-count // folded) * folded
    maps = np.zeros((2, padded), np.float32)
    for axis, places, step in ((0, columns, scale[1]), (1, rows, scale[0])):
        maps[axis, :count] = places.astype(np.float32) * step + (step / 2 - 0.5)
    x, y = maps.reshape(2, folded, -1)
    sampled = cv2.remap(planes, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.ascontiguousarray(sampled.reshape(padded, -1)[:count].T)


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
    near = cv2.dilate(alpha, np.ones((5, 5), np.uint8))
    edge = cv2.bitwise_and(cv2.inRange(near, 1, 255), cv2.inRange(alpha, 0, 254))
    x, y, width, height = cv2.boundingRect(edge)
    if not width:
        return foreground
    margin = max(8, max(alpha.shape) // 32)
    top, left = max(0, y - margin) & -_ALIGNED, max(0, x - margin) & -_ALIGNED
    bottom, right = (-(-(end + margin) // _ALIGNED) * _ALIGNED for end in (y + height, x + width))
    crop = np.s_[top:bottom, left:right]
    halvings, carried = _carry_colours(image[crop], alpha[crop], edge[crop])

    where = np.flatnonzero(edge != 0).astype(np.int32)
    rows = where // alpha.shape[1]
    columns = where - rows * alpha.shape[1]
    scale = 0.5**halvings
    product, ground = (sample_planes(plane, rows - top, columns - left, (scale, scale)) for plane in carried)
    share = alpha.reshape(-1).take(where)
    own = image.reshape(-1, 3).take(where, axis=0).T
    # the least change of both colours that makes them compose to the picture
    product += _CORRECTION.take(share) * (own - ground - _SHARE.take(share) * (product - ground))
    foreground.reshape(-1, 3)[where] = np.clip(product + np.float32(0.5), 0, 255).astype(np.uint8).T
    return foreground


def _window_sums(colours: np.ndarray, radius: int, near: np.ndarray) -> np.ndarray:
    """Sums weighted colours and the weights themselves in windows; nothing lies beyond the frame.

    Args:
      colours: R, G, B times weight, and weight, uint8 (h, w, 4).
      radius: of the windows, 7 at most: sums have to fit into 16 bits.
      near: places in the flattened picture, (n,), of the pixels in the middle of a window.

    Returns:
      The sums of R, G, B times weight, 0..255 each, and of the weights, 0..1 each, float32 (4, n).
    """
    size = (2 * radius + 1, 2 * radius + 1)
    sums = cv2.boxFilter(colours, cv2.CV_16U, size, normalize=False, borderType=cv2.BORDER_CONSTANT)
    total = sums.reshape(-1, 4).take(near, axis=0).T.astype(np.float32, order="C")
    total[3] *= np.float32(1 / 255)
    return total


def _confident_mean(sure: np.ndarray, radius: int, near: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean of the confident pixels of each window, and how much it counts.

    Args:
      sure: R, G, B and 255 of the confident pixels, averaged with 0 for the others, uint8 (h, w, 4).
      radius: of the windows.
      near: places in the flattened picture, (n,).

    Returns:
      float32 (3, n), 0..255, and float32 (n,), 0..1.
    """
    total = _window_sums(sure, radius, near)
    return total[:3] / np.maximum(total[3], _LEAST), np.minimum(total[3] * np.float32(1 / _ENOUGH), 1)


def _carry(guess: np.ndarray, sure: np.ndarray, radii: tuple[int, ...], near: np.ndarray) -> np.ndarray:
    """Replaces guessed colours, float32 (3, n), by means of confident pixels, from as near as there are some."""
    for radius in radii:
        mean, share = _confident_mean(sure, radius, near)
        guess = guess + share * (mean - guess)
    return guess


def _guess(colours: np.ndarray, weight: np.ndarray, halvings: int, near: np.ndarray) -> np.ndarray:
    """Means weighted by alpha: gauze has no confident pixel anywhere near, so that they are all there is.

    Where even alpha is rounded to nothing, it is the pixel's own colour.

    Args:
      colours: R, G, B and 255, uint8 (h, w, 4).
      weight: alpha, or what it leaves to the ground, uint8 (h, w).
      halvings: how many times the picture is halved for this.
      near: places in the flattened picture so halved, (n,).

    Returns:
      float32 (3, n), 0..255.
    """
    colours, weight = halve(colours), halve(weight)
    weighted = cv2.multiply(colours, cv2.merge([weight] * 4), scale=1 / 255)
    for _ in range(halvings - 1):
        colours, weighted = halve(colours), halve(weighted)
    total = _window_sums(weighted, _WIDE[0], near)
    own = colours.reshape(-1, 4).take(near, axis=0).T[:3]
    return (total[:3] + np.float32(0.01) * own) / (total[3] + np.float32(0.01))


def _spread(colours: np.ndarray, near: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Puts colours, (3, n), in their places of a picture that is 0 elsewhere, float32 (h, w, 3)."""
    picture = np.zeros((*shape, 3), np.float32)
    picture.reshape(-1, 3)[near] = colours.T
    return picture


def _carry_colours(image: np.ndarray, alpha: np.ndarray, edge: np.ndarray) -> tuple[int, tuple[np.ndarray, ...]]:
    """Carries the product's and the ground's colours over the edge, on small pictures.

    Args:
      image: uint8 (h, w, 3), RGB.
      alpha: uint8 (h, w).
      edge: where colours are wanted, 255 there and 0 elsewhere, uint8 (h, w).

    Returns:
      How many times the pictures that follow are halved, and the colours of product and ground, float32
      (h', w', 3) each, 0 far from the edge.
    """
    fine = 1  # times that the picture is halved
    while max(alpha.shape) > _FINE_SIDE << fine:
        fine += 1
    colours = cv2.cvtColor(image, cv2.COLOR_RGB2RGBA)
    planes = {
        "edge": edge,
        "product": cv2.copyTo(colours, cv2.inRange(alpha, _SURE, 255)),
        "ground": cv2.copyTo(colours, cv2.inRange(alpha, 0, 255 - _SURE)),
    }
    planes = {name: halve(plane) for name, plane in planes.items()}
    pyramid = [planes]
    for _ in range(fine):
        pyramid.append({name: halve(plane) for name, plane in pyramid[-1].items()})
    coarse, planes = pyramid[fine], pyramid[fine - 1]

    carried = {}
    # one pixel more, so that reading between pixels finds a colour on both sides
    near, close = (np.flatnonzero(cv2.dilate(level["edge"], _NEXT) != 0) for level in (coarse, planes))
    rows, columns = np.divmod(close, planes["edge"].shape[1])
    for side, weight in (("product", alpha), ("ground", cv2.bitwise_not(alpha))):
        guess, share = _confident_mean(coarse[side], _WIDE[0], near)
        lacking = np.flatnonzero(share < 1)
        if len(lacking):
            guess[:, lacking] *= share[lacking]
            guess[:, lacking] += (1 - share[lacking]) * _guess(colours, weight, fine + 1, near[lacking])
        guess = _carry(guess, coarse[side], _WIDE[1:], near)
        spread = _spread(guess, near, coarse["edge"].shape)
        guess = _carry(sample_planes(spread, rows, columns, (0.5, 0.5)), planes[side], _TIGHT, close)
        carried[side] = _spread(guess, close, planes["edge"].shape)
    return fine, (carried["product"], carried["ground"])
