"""A generator and a classifier without networks: plain pictures whose colour tells what they are."""

import numpy as np

CATEGORIES = ("boots", "hat", "shirt")
COLOURS = ("red", "green")


class FakeGenerator:
    """Draws a plain picture: red tells the category, green the colour, blue is random by seed."""

    name, sha256, size = "fake", "f" * 64, 8
    category_names, colour_names = CATEGORIES, COLOURS

    def sample(self, seeds, categories, colours):
        images = np.zeros((len(seeds), self.size, self.size, 3), np.uint8)
        images[..., 0] = (80 * categories.astype(np.uint8))[:, None, None]
        images[..., 1] = (100 * colours.astype(np.uint8))[:, None, None]
        images[..., 2] = (seeds % np.uint64(251)).astype(np.uint8)[:, None, None]
        return images

    def score(self, images, categories, colours):
        return images[:, 0, 0, 2].astype(np.float32) / 250


class FakeClassifier:
    """Knows the categories by red, in another order than the generator's; features are the blue level."""

    sha256, size = "c" * 64, 8
    category_names = ("shirt", "hat", "boots")

    def features_and_probabilities(self, images):
        categories = images[:, 0, 0, 0] // 80
        probabilities = np.full((len(images), 3), 0.05, np.float32)
        probabilities[np.arange(len(images)), 2 - categories] = 0.9
        return images[:, 0, 0, 2:].astype(np.float32), probabilities
