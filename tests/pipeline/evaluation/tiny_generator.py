"""A generator network of a few thousand weights that was really taught to draw, behind the sampler's interface."""

import keras
import numpy as np
from keras import layers

from models.articles import COLOUR_NAMES

LATENT = 4


def network(categories, size):
    latent, category = keras.Input((LATENT,)), keras.Input((categories,))
    x = layers.Dense(64, activation="relu")(layers.Concatenate()([latent, category]))
    x = layers.Dense(size * size * 3, activation="sigmoid")(x)
    return keras.Model([latent, category], layers.Reshape((size, size, 3))(x))


class TinySampler:
    """Draws from a network that learnt each picture by heart from a latent of its own."""

    name, sha256 = "tiny", "0" * 64
    colour_names = COLOUR_NAMES

    def __init__(self, articles):
        self.size, self.category_names = articles.images.shape[1], articles.category_names
        keras.utils.set_random_seed(0)
        self._network = network(len(self.category_names), self.size)
        self._network.compile("adam", "mse", run_eagerly=True)
        z = np.random.default_rng(0).normal(size=(len(articles), LATENT)).astype(np.float32)
        wishes = np.eye(len(self.category_names), dtype=np.float32)[articles.categories]
        for _ in range(25):
            self._network.train_on_batch([z, wishes], articles.images.astype(np.float32) / 255)

    def latents(self, seeds):
        return np.stack([np.random.default_rng(int(s)).normal(size=LATENT) for s in seeds]).astype(np.float32)

    def from_latents(self, latents, categories, colours):
        wishes = np.eye(len(self.category_names), dtype=np.float32)[categories]
        return np.asarray(np.asarray(self._network([latents, wishes])) * 255).round().astype(np.uint8)

    def sample(self, seeds, categories, colours):
        return self.from_latents(self.latents(seeds), categories, colours)
