"""Classical figure-ground segmentation: the first teacher and the baselines to beat.

GrabCut (Rother, Kolmogorov, Blake: "GrabCut", SIGGRAPH 2004) started from the frame's border needs
no training data, so it labels the photos that the first round of the network learns from, and it is
one of the baselines in ``packshot evaluate segmentation``.
"""

from __future__ import annotations

import cv2
import numpy as np

_NO_RECTANGLE = (0, 0, 0, 0)  # GrabCut starts from labels here


def _fit(image: np.ndarray, longest: int) -> np.ndarray:
    height, width = image.shape[:2]
    scale = longest / max(height, width)
    if scale >= 1:
        return image
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def grabcut_from_border(
    image: np.ndarray, *, border: float = 0.03, iterations: int = 5, longest: int = 320, seed: int = 0
) -> np.ndarray:
    """Segments the product by GrabCut, taking the frame's border as certain background.

    Args:
      image: RGB photo, uint8, shape (height, width, 3).
      border: width of the certain background as a fraction of the shorter side, above 0 and below 0.5.
      iterations: GrabCut iterations, at least 1.
      longest: the photo is shrunk to this longest side in pixels before GrabCut runs.
      seed: seed of OpenCV's generator, on which the colour clusters depend.

    Returns:
      Mask, uint8, 0 ground or 255 product, shape (height, width).
    """
    small = _fit(image, longest)
    height, width = small.shape[:2]
    margin = max(1, round(border * min(height, width)))
    labels = np.full((height, width), cv2.GC_PR_FGD, np.uint8)
    labels[:margin] = labels[-margin:] = cv2.GC_BGD
    labels[:, :margin] = labels[:, -margin:] = cv2.GC_BGD
    if (labels == cv2.GC_PR_FGD).sum() < 16 or np.ptp(small) == 0:
        return np.zeros(image.shape[:2], np.uint8)  # nothing for a colour model to be fitted to
    cv2.setRNGSeed(seed)
    background, foreground = np.zeros((1, 65)), np.zeros((1, 65))
    bgr = np.ascontiguousarray(small[..., ::-1])
    cv2.grabCut(bgr, labels, _NO_RECTANGLE, background, foreground, iterations, cv2.GC_INIT_WITH_MASK)
    mask = np.isin(labels, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.uint8) * 255
    return cv2.resize(mask, image.shape[1::-1], interpolation=cv2.INTER_NEAREST)


def refine_by_grabcut(image: np.ndarray, probability: np.ndarray, *, iterations: int = 3, seed: int = 0) -> np.ndarray:
    """Lets GrabCut move the boundary of a predicted mask inside its uncertain band.

    Args:
      image: RGB photo, uint8, shape (height, width, 3).
      probability: product probability, uint8 0..255, shape (height, width).
      iterations: GrabCut iterations, at least 1.
      seed: seed of OpenCV's generator.

    Returns:
      Mask, uint8, 0 or 255, shape (height, width); the thresholded prediction where it has no
      certain product or no certain ground to learn colours from.
    """
    product = probability > 127
    radius = max(2, round(0.02 * min(image.shape[:2])))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    inner = cv2.erode(product.astype(np.uint8), kernel).astype(bool) & (probability > 230)
    outer = ~cv2.dilate(product.astype(np.uint8), kernel).astype(bool) & (probability < 25)
    if inner.sum() < 64 or outer.sum() < 64:
        return product.astype(np.uint8) * 255
    labels = np.where(product, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    labels[inner], labels[outer] = cv2.GC_FGD, cv2.GC_BGD
    cv2.setRNGSeed(seed)
    background, foreground = np.zeros((1, 65)), np.zeros((1, 65))
    bgr = np.ascontiguousarray(image[..., ::-1])
    cv2.grabCut(bgr, labels, _NO_RECTANGLE, background, foreground, iterations, cv2.GC_INIT_WITH_MASK)
    return np.isin(labels, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.uint8) * 255


def flood_from_border(image: np.ndarray, *, tolerance: float = 8.0) -> np.ndarray:
    """Marks as ground what is joined to the border by small CIELAB steps from the border's colour.

    Args:
      image: RGB photo, uint8, shape (height, width, 3).
      tolerance: largest CIE76 distance from the border's median colour that still is ground.

    Returns:
      Mask, uint8, 0 ground or 255 product, shape (height, width).
    """
    lab = cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    edge = np.concatenate([lab[0], lab[-1], lab[:, 0], lab[:, -1]])
    near = np.linalg.norm(lab - np.median(edge, axis=0), axis=2) <= tolerance
    _, regions = cv2.connectedComponents(near.astype(np.uint8), connectivity=4)
    rim = np.concatenate([regions[0], regions[-1], regions[:, 0], regions[:, -1]])
    ground = np.isin(regions, np.unique(rim[rim > 0]))
    return np.where(ground, 0, 255).astype(np.uint8)
