"""A network of a few thousand weights, and articles that tell of nothing: what tests need."""

import numpy as np

from models.articles import Articles
from models.vae.network import NetworkConfig

TINY = NetworkConfig(size=16, patch=2, latent=4, widths=(4, 6), decoder=(6, 4), neck=3)
NAMES = ("Dress", "Hat", "Shoes")


def articles(count, seed=0, size=16):
    """Discs, bars and rings in three colours on a light ground; the shape is the category."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:size, :size] - (size - 1) / 2
    images = np.full((count, size, size, 3), 243, np.uint8)
    categories = np.arange(count) % len(NAMES)
    for image, category in zip(images, categories, strict=True):
        radius = np.hypot(rows, columns)
        shape = (radius < size * 0.4, np.abs(columns) < size * 0.15, np.abs(radius - size * 0.3) < size * 0.1)[category]
        image[shape] = rng.integers(20, 200, 3)
    ids = np.array([f"a{seed}-{i}" for i in range(count)])
    groups = np.array([f"g{seed}-{i % 4}" for i in range(count)])
    return Articles(ids, groups, categories.astype(np.int32), np.zeros(count, np.int32), images, NAMES)
