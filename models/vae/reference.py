"""The supervised network that features are held against: the encoder's own layers, trained to tell categories."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np

from models.articles import Articles
from models.averaging import AveragingAdamW
from models.vae.augment import Variation, varied
from models.vae.network import NetworkConfig, build_encoder

_BATCH = 32
_RATE = 2e-3
_SMOOTHING = 0.1


class _Labelled(keras.utils.PyDataset):
    """Pictures varied as in the autoencoder's training, with their categories; see ``augment.Batches``."""

    def __init__(self, train: Articles, variation: Variation, seed: int, count: int):
        super().__init__(workers=1, use_multiprocessing=False)
        self._train, self._variation, self._seed, self._count = train, variation, seed, count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng((self._seed, index))
        chosen = rng.integers(0, len(self._train), _BATCH)
        images = np.stack([varied(self._train.images[i], self._variation, rng) for i in chosen])
        return images.astype(np.float32), np.eye(len(self._train.category_names))[self._train.categories[chosen]]


def supervised_predictions(
    config: NetworkConfig, train: Articles, measured: list[Articles], *, steps: int, seed: int, folder: Path,
    variation: Variation | None = None,
) -> list[np.ndarray]:  # fmt: skip
    """Trains the encoder with a linear layer on top to tell categories.

    The same layers down to as many dimensions as the latent space has, the same pictures, varied in the same way, with
    averaged weights and smoothed labels. What was trained before with the same arguments is read from the folder.

    Args:
      config: the autoencoder's shape.
      train: what to learn from.
      measured: sets to tell the categories of.
      steps: optimiser steps of 32 pictures.
      seed: of initial weights and samples.
      folder: for the weights.
      variation: of the samples.

    Returns:
      The likeliest categories of each set, int (n,).
    """
    keras.utils.set_random_seed(seed)
    encoder = build_encoder(config)
    features = keras.layers.LeakyReLU(0.1)(encoder.output[:, : config.latent])
    features = keras.layers.Dropout(0.3, seed=seed)(features)
    classes = len(train.category_names)
    network = keras.Model(encoder.input, keras.layers.Dense(classes, dtype="float32")(features), name="reference")
    path = folder / f"reference-{config.size}-{len(train)}-{steps}-{seed}.weights.h5"
    if path.exists():
        network.load_weights(path)
    else:
        schedule = keras.optimizers.schedules.CosineDecay(
            _RATE / 20, max(1, steps - steps // 10), alpha=0.02, warmup_target=_RATE, warmup_steps=steps // 10
        )
        network.compile(
            AveragingAdamW(schedule, weight_decay=0.05, clipnorm=1.0, use_ema=True, ema_momentum=0.995),
            keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=_SMOOTHING),
        )
        network.fit(_Labelled(train, variation or Variation(), seed, steps), epochs=1, shuffle=False, verbose=0)
        network.optimizer.finalize_variable_values(network.trainable_variables)
        folder.mkdir(parents=True, exist_ok=True)
        network.save_weights(path)
    return [network.predict(s.images.astype(np.float32), verbose=0).argmax(axis=1) for s in measured]
