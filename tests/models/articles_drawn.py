"""Articles drawn by the test: coloured shapes on a light ground, whose category is the shape."""

import cv2
import numpy as np

from models.articles import Articles

SHAPES = ("disc", "cross", "bar")
_COLOURS = {3: (190, 28, 40), 6: (52, 110, 62), 7: (44, 78, 140)}  # positions in COLOUR_NAMES


def drawn(count, size=16, seed=0, groups=4):
    """Returns articles, their categories and colours in turn, places and sizes by chance."""
    rng = np.random.default_rng(seed)
    categories = (np.arange(count) % len(SHAPES)).astype(np.int32)
    colours = np.array([list(_COLOURS)[i // len(SHAPES) % len(_COLOURS)] for i in range(count)], np.int32)
    images = np.full((count, size, size, 3), 243, np.uint8)
    for image, category, colour in zip(images, categories, colours, strict=True):
        x, y = (int(v) for v in rng.integers(size // 2 - 2, size // 2 + 2, 2))
        reach = int(rng.integers(size // 4, size // 3 + 1))
        shade = tuple(int(v) for v in np.clip(np.array(_COLOURS[int(colour)]) + rng.integers(-15, 15, 3), 0, 255))
        if category == 0:
            cv2.circle(image, (x, y), reach, shade, -1)
        if category > 0:
            cv2.rectangle(image, (x - reach, y - 1), (x + reach, y + 1), shade, -1)
        if category == 1:
            cv2.rectangle(image, (x - 1, y - reach), (x + 1, y + reach), shade, -1)
    ids = np.array([f"{seed}-{i}" for i in range(count)])
    sellers = np.array([f"{seed}-{i % groups}" for i in range(count)])
    return Articles(ids, sellers, categories, colours, images, SHAPES)
