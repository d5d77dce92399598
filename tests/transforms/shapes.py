"""Mattes and pictures that are simple to reason about."""

import cv2
import numpy as np


def ellipse(width, height, *, frame=(160, 120), blur=1.0):
    """A soft elliptic matte in the middle of a frame of (height, width)."""
    alpha = np.zeros(frame, np.uint8)
    cv2.ellipse(alpha, (frame[1] // 2, frame[0] // 2), (width // 2, height // 2), 0, 0, 360, 255, -1, cv2.LINE_AA)
    return cv2.GaussianBlur(alpha, (0, 0), blur)


def rectangle(left, top, right, bottom, *, frame=(160, 120)):
    alpha = np.zeros(frame, np.uint8)
    alpha[top:bottom, left:right] = 255
    return alpha


def noise(shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (*shape, 3), np.uint8)
