"""Training of the segmentation network, from labelled photos to a weight file.

Two rounds, each on the labels of a teacher: first GrabCut's, then the network's own predictions where
they are sure (self-training; Lee 2013, Xie et al., CVPR 2020), with the hand masks in both.
"""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import keras
import numpy as np

from models.export import export_litert
from models.metrics.segmentation import intersection_over_union
from models.segmentation import losses
from models.segmentation.augment import Mix, SampleMaker
from models.segmentation.examples import (
    Examples,
    hand_masks,
    held_out,
    product_cut_outs,
    rendered_photos,
    seller_photos,
    square,
)
from models.segmentation.network import NetworkConfig, build_network


@dataclasses.dataclass(frozen=True)
class Round:
    """One stretch of training at one picture size.

    Attributes:
      size: side of the training pictures in pixels.
      steps: optimiser steps.
      rate: learning rate at the start, falling to a fiftieth along a cosine.
      relabel: whether the network labels the seller photos anew before this round.
      rendered: whether rendered photos are among the samples.
    """

    size: int
    steps: int
    rate: float
    relabel: bool = False
    rendered: bool = False


@dataclasses.dataclass(frozen=True)
class TrainingConfig:
    """All that decides the weights.

    Attributes:
      clothing, products: folders of Parquet files; masks: Parquet file of hand masks.
      output: folder for weights, checkpoints, curves and caches.
      rendered: folder of rendered photos, from ``packshot samples --container parquet``; empty for none.
      rounds: what to train, in order.
      batch_size: pictures a step.
      weight_decay: of AdamW, decoupled.
      seed: of initial weights and of all samples.
      development_percent: share of the small sellers kept out of training to choose by.
      steps_per_epoch: steps between two lines of the curves and two checkpoints.
      mix: how often each kind of sample is drawn.
      network: the network's shape; its ``size`` is that of the exported model.
    """

    clothing: str
    products: str
    masks: str
    output: str
    rendered: str = ""
    rounds: tuple[Round, ...] = (
        Round(160, 1900, 1.2e-3),
        Round(192, 1200, 8e-4, relabel=True),
        Round(256, 350, 3e-4, relabel=True, rendered=True),
    )
    batch_size: int = 16
    weight_decay: float = 0.02
    seed: int = 7
    development_percent: int = 20
    steps_per_epoch: int = 50
    mix: Mix = dataclasses.field(default_factory=Mix)
    network: NetworkConfig = dataclasses.field(default_factory=lambda: NetworkConfig(size=256))

    @classmethod
    def from_mapping(cls, values: dict) -> TrainingConfig:
        """Builds a configuration from parsed JSON or YAML.

        Raises:
          ValueError: a key is unknown.
        """
        known = {field.name for field in dataclasses.fields(cls)}
        if unknown := sorted(set(values) - known):
            raise ValueError(f"unknown training settings {unknown}; known are {sorted(known)}")
        values = dict(values)
        if "rounds" in values:
            values["rounds"] = tuple(Round(**r) for r in values["rounds"])
        if "mix" in values:
            values["mix"] = Mix(**values["mix"])
        if "network" in values:
            shape: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values["network"].items()}
            values["network"] = NetworkConfig(**shape)
        return cls(**values)


_LARGE_SELLER = 40  # holding out a seller of more photos would cost training more than it tells


def _cached(path: Path, make: Callable[[], Examples]) -> Examples:
    if not path.exists():
        make().save(path)
    return Examples.load(path)


def load_examples(config: TrainingConfig) -> tuple[Examples, Examples, Examples, Examples]:
    """Prepares the training data, or reads it from the output folder's cache.

    Returns:
      Seller photos, hand masks and cut-outs to train on, and the development set: the hand masks of
      sellers of whom nothing is trained on.
    """
    cache = Path(config.output) / "cache"
    sellers = _cached(cache / "sellers.npz", lambda: seller_photos(Path(config.clothing)))
    hand = _cached(cache / "hand.npz", lambda: hand_masks(Path(config.clothing), Path(config.masks), "train"))
    cut_outs = _cached(cache / "products.npz", lambda: product_cut_outs(Path(config.products)))
    names, counts = np.unique(sellers.groups, return_counts=True)
    away = [
        name
        for name, count in zip(names.tolist(), counts.tolist(), strict=True)
        if count <= _LARGE_SELLER and held_out(name, config.development_percent)
    ]
    development = hand.take(np.isin(hand.groups, away))
    return (
        sellers.take(~np.isin(sellers.groups, away)),
        hand.take(~np.isin(hand.groups, away)),
        cut_outs,
        development,
    )


class Segmenter(keras.Model):
    """The network with its losses, in the form that ``fit`` trains."""

    def __init__(self, network: keras.Model):
        super().__init__(name="segmenter")
        self.network = network

    def call(self, image, training=None):
        return self.network(image, training=training)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """Returns the sum of mask, coarse and presence losses."""
        return (
            losses.mask_loss(y["mask"], y_pred["mask"])
            + 0.4 * losses.coarse_loss(y["mask"], y_pred["coarse"])
            + 0.2 * losses.presence_loss(y["presence"], y_pred["presence"])
        )


class SampleBatches(keras.utils.PyDataset):
    """Batches drawn afresh, each fixed by the seed and its place in the training."""

    def __init__(
        self, maker: SampleMaker, size: int, batch_size: int, seed: int, first_step: int, steps: int, epoch: int = 0
    ):
        super().__init__(workers=1, use_multiprocessing=False, max_queue_size=6)
        self._maker, self._size, self._batch_size = maker, size, batch_size
        self._seed, self._first, self._steps = seed, first_step, steps
        self._epoch = epoch

    def __len__(self) -> int:
        return self._steps

    def __getitem__(self, index: int):
        step = self._first + self._epoch * self._steps + index
        rng = np.random.default_rng((self._seed, step))
        images, targets, presences = zip(
            *(self._maker.sample(rng, self._size) for _ in range(self._batch_size)), strict=True
        )
        return np.stack(images).astype(np.float32), {"mask": np.stack(targets), "presence": np.stack(presences)}

    def on_epoch_end(self) -> None:
        """Goes on to the next stretch of the stream."""
        self._epoch += 1


def predict(network: keras.Model, images: np.ndarray, *, batch_size: int = 32, mirrored: bool = True) -> np.ndarray:
    """Predicts product probabilities.

    Args:
      network: as ``build_network`` makes it.
      images: uint8 (n, h, w, 3), any size.
      batch_size: pictures at a time.
      mirrored: whether to average with the prediction of the mirrored picture.

    Returns:
      float32 (n, size/2, size/2), 0..1.
    """
    size = network.input_shape[1]
    small = np.stack([square(image, size) for image in images]).astype(np.float32)

    def run(batch):
        logits = network.predict(batch, batch_size=batch_size, verbose=0)["mask"][..., 0]
        return 1 / (1 + np.exp(-logits))

    probability = run(small)
    if mirrored:
        probability = (probability + run(small[:, :, ::-1])[:, :, ::-1]) / 2
    return probability


def relabelled(sellers: Examples, network: keras.Model) -> Examples:
    """Labels the seller photos anew, by the network where it is sure of a photo, else by both teachers.

    Where the network is sure of most of a mask, its own label counts, weighted by how sure it is of each pixel.
    Else the label stays, and counts where the network agrees with it, if they agree by and large. All other
    photos get no weight. On hand masks of sellers never trained on, the first kind had IoU .96, the second .93,
    the rest .75.
    """
    labels, weights = sellers.labels.copy(), np.zeros_like(sellers.weights)
    for start in range(0, len(sellers), 256):
        part = slice(start, start + 256)
        for i, probability in enumerate(predict(network, sellers.images[part]), start):
            large = cv2.resize(probability, sellers.labels.shape[1:], interpolation=cv2.INTER_LINEAR)
            sure = np.abs(large - 0.5) * 2
            product, before = large > 0.5, sellers.labels[i] > 127
            unsure = np.mean(sure < 0.7) / max(product.mean(), 0.02)
            if unsure <= 0.25 and 0.03 < product.mean() < 0.93:
                # sharpened: the soft band that enlarging leaves must not be taught as softness
                labels[i] = np.clip((large - 0.5) * 4 + 0.5, 0, 1) * 255
                weights[i] = np.clip((sure - 0.2) / 0.5, 0, 1) * 255
            elif intersection_over_union(product, before) > 0.85:
                weights[i] = np.where(product == before, sellers.weights[i], 0)
    return Examples(sellers.ids, sellers.groups, sellers.images, labels, weights)


def development_score(network: keras.Model, development: Examples) -> float:
    """Mean IoU at the threshold one half on the development set, 0..1."""
    scores = []
    for probability, label in zip(
        predict(network, development.images, mirrored=False), development.labels, strict=True
    ):
        large = cv2.resize(probability, label.shape, interpolation=cv2.INTER_LINEAR)
        scores.append(intersection_over_union(large > 0.5, label > 127))
    return float(np.mean(scores))


class _Progress(keras.callbacks.Callback):
    """Writes the curves and, with the averaged weights in place, the development score."""

    def __init__(self, path: Path, stage: int, development: Examples, every: int):
        super().__init__()
        self._path, self._stage, self._development, self._every = path, stage, development, every
        self._started = time.time()

    def on_epoch_end(self, epoch, logs=None):
        line = {"round": self._stage, "epoch": epoch, "seconds": round(time.time() - self._started), **(logs or {})}
        if (epoch + 1) % self._every == 0:
            own = [w.numpy() if hasattr(w, "numpy") else np.asarray(w) for w in self.model.trainable_variables]
            self.model.optimizer.finalize_variable_values(self.model.trainable_variables)
            line["development_iou"] = development_score(self.model.network, self._development)
            self.model.network.save_weights(self._path.with_name("averaged.weights.h5"))
            for variable, value in zip(self.model.trainable_variables, own, strict=True):
                variable.assign(value)
        with self._path.open("a") as curves:
            curves.write(json.dumps(line) + "\n")
        print(line, flush=True)


def _with_size(network: keras.Model, config: NetworkConfig, size: int) -> keras.Model:
    resized = build_network(dataclasses.replace(config, size=size))
    resized.set_weights(network.get_weights())
    return resized


def train(config: TrainingConfig) -> Path:
    """Trains the network; a run that was stopped goes on after its last finished round.

    Args:
      config: all that decides the weights.

    Returns:
      Path of the exported LiteRT model, with the averaged weights; the ``.keras`` file lies beside it.
    """
    keras.utils.set_random_seed(config.seed)
    output = Path(config.output)
    output.mkdir(parents=True, exist_ok=True)
    sellers, hand, cut_outs, development = load_examples(config)
    print(f"{len(sellers)} seller photos, {len(hand)} hand masks, {len(cut_outs)} cut-outs")
    print(f"{len(development)} hand masks to choose by")
    network = build_network(dataclasses.replace(config.network, size=config.rounds[0].size))
    first_step = 0
    for number, stage in enumerate(config.rounds):
        finished = output / f"round{number}.weights.h5"
        network = _with_size(network, config.network, stage.size)
        if finished.exists():
            network.load_weights(finished)
            first_step += stage.steps
            continue
        labelled = relabelled(sellers, network) if stage.relabel else sellers
        rendered = rendered_photos(Path(config.rendered)) if stage.rendered and config.rendered else None
        maker = SampleMaker(labelled, hand, cut_outs, config.mix, rendered)
        _fit(network, stage, number, maker, development, config, first_step)
        network.save_weights(finished)
        first_step += stage.steps
    network = _with_size(network, config.network, config.network.size)
    network.save(output / "packshot-seg.keras")
    print(f"development IoU at {config.network.size}: {development_score(network, development):.4f}")
    return export_litert(network, output / "packshot-seg.tflite")


def _fit(network, stage: Round, number: int, maker, development, config: TrainingConfig, first_step: int) -> None:
    epochs = max(1, stage.steps // config.steps_per_epoch)
    steps = stage.steps // epochs
    model = Segmenter(network)
    warm_up = min(200, stage.steps // 10)
    rate = keras.optimizers.schedules.CosineDecay(
        stage.rate / 20, stage.steps - warm_up, alpha=0.02, warmup_target=stage.rate, warmup_steps=warm_up
    )
    optimizer = keras.optimizers.AdamW(
        rate, weight_decay=config.weight_decay, clipnorm=1.0, use_ema=True, ema_momentum=0.998
    )
    optimizer.exclude_from_weight_decay(var_names=["gamma", "beta", "bias"])
    model.compile(optimizer=optimizer)
    model(np.zeros((1, stage.size, stage.size, 3), np.float32))  # builds it, which restoring a checkpoint asks for
    backup = Path(config.output) / f"backup{number}"
    done = backup / "training_metadata.json"
    epoch = json.loads(done.read_text())["epoch"] if done.exists() else 0
    batches = SampleBatches(maker, stage.size, config.batch_size, config.seed, first_step, steps, epoch)
    curves = Path(config.output) / "curves.jsonl"
    callbacks = [
        keras.callbacks.BackupAndRestore(str(backup), delete_checkpoint=False),
        _Progress(curves, number, development, every=5),
    ]
    model.fit(batches, epochs=epochs, verbose=0, callbacks=callbacks)
    # fit leaves the averaged weights in place; one more epoch without learning brings the batch statistics to them
    model.compile(optimizer=keras.optimizers.SGD(0.0))
    model.fit(
        SampleBatches(maker, stage.size, config.batch_size, config.seed + 1, first_step, min(60, steps)), verbose=0
    )
