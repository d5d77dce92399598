"""Training of the super-resolution network, from photos to weight files."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import cv2
import keras
import numpy as np
from keras import ops

from models.articles import DEVELOPMENT, TRAIN
from models.averaging import AveragingAdamW
from models.metrics.superres import psnr
from models.segmentation.progress import Checkpoints, Curves
from models.superres.network import build_network
from models.superres.photos import read_photos
from models.superres.resampling import double, halve
from models.superres.samples import PatchBatches, PatchMaker, luma_of
from models.superres.settings import TrainingConfig

_CHOSEN_BY = 16  # development photos that the curves measure by: more would take as long as the steps between
_UNSEEN = 8  # pixels along a patch's edge, of which too little around is seen to be learnt from


def train(config: TrainingConfig) -> Path:
    """Trains the network; a run that was stopped goes on where it was.

    Args:
      config: all that decides the weights.

    Returns:
      Path of the exported LiteRT model, with the averaged weights; the ``.keras`` file lies beside it. Without
      TensorFlow, which LiteRT needs, the path of the latter.

    Raises:
      FileNotFoundError, ValueError: the data or settings are not as they should be; nothing was trained.
    """
    lumas, development = load_lumas(config)
    keras.utils.set_random_seed(config.seed)
    network = build_network(config.network)
    output = Path(config.output)
    output.mkdir(parents=True, exist_ok=True)
    maker = PatchMaker(lumas, config.patch, config.degradations)
    fit(network, maker, development[:_CHOSEN_BY], config)
    network.save_weights(output / "packshot-superres.weights.h5")
    return _export(network, output)


def load_lumas(config: TrainingConfig) -> tuple[np.ndarray, np.ndarray]:
    """Returns the luma of the photos to train on and to choose by, uint8 (n, size, size) each."""
    photos = read_photos(config.articles, (TRAIN, DEVELOPMENT))
    counts = ", ".join(f"{len(part):,} of split {split}" for split, part in photos.items())
    print(f"photos: {counts}", flush=True)
    if not len(photos[TRAIN]):
        raise ValueError(f"no photo of {config.articles.path!r} can be trained on")
    return luma_of(photos[TRAIN].images), luma_of(photos[DEVELOPMENT].images)


def fit(network: keras.Model, maker: PatchMaker, development: np.ndarray, config: TrainingConfig) -> None:
    """Trains a network, from the last checkpoint on if there is one, and leaves the averaged weights in it."""
    output = Path(config.output)
    network.compile(optimizer=_optimizer(config), loss=inner_difference)
    name = config.fingerprint()
    checkpoints = Checkpoints(output / name)  # the last one is kept, to go on from with a later stop_after
    done = checkpoints.restore(network)
    epochs = min(config.steps // config.steps_per_epoch, config.stop_after or config.steps)
    if done:
        print(f"goes on after epoch {done} of {epochs}", flush=True)
    score = (lambda: mean_gain(network, development)) if len(development) else None
    curves = Curves(output / "curves.csv", name, done, score, measure="development_gain_db")
    if done < epochs:
        first = done * config.steps_per_epoch
        stream = PatchBatches(maker, config.batch_size, config.seed, first, config.steps - first)
        network.fit(
            stream, epochs=epochs, initial_epoch=done, steps_per_epoch=config.steps_per_epoch, shuffle=False,
            verbose=0, callbacks=[curves, checkpoints],
        )  # fmt: skip
    network.optimizer.finalize_variable_values(network.trainable_variables)


def inner_difference(truth, enlarged):
    """Returns the mean absolute difference (L1) of float32 (batch, h, w, 1), 0..255, without the patch's edge."""
    inner = slice(_UNSEEN, -_UNSEEN)
    return ops.mean(ops.abs(truth - enlarged)[:, inner, inner])


def mean_gain(network: keras.Model, lumas: np.ndarray) -> float:
    """Returns by how many dB of PSNR a network is better than bicubic enlargement, on average.

    Args:
      network: of ``build_network``.
      lumas: uint8 (n, h, w) of even sides, the truth.
    """
    gains = []
    for truth in lumas:
        small = halve(truth)
        padded = cv2.copyMakeBorder(small, _UNSEEN, _UNSEEN, _UNSEEN, _UNSEEN, cv2.BORDER_REFLECT)
        enlarged = ops.convert_to_numpy(network.predict_on_batch(padded[None, :, :, None].astype(np.float32)))
        inner = slice(2 * _UNSEEN, -2 * _UNSEEN)
        enlarged = np.clip(enlarged[0, inner, inner, 0], 0, 255)
        gains.append(psnr(enlarged, truth, _UNSEEN) - psnr(double(small), truth, _UNSEEN))
    return float(np.mean(gains))


def _optimizer(config: TrainingConfig) -> keras.optimizers.Optimizer:
    warm_up = min(100, config.steps // 10)
    rate = keras.optimizers.schedules.CosineDecay(
        config.rate / 20, config.steps - warm_up, alpha=0.02, warmup_target=config.rate, warmup_steps=warm_up
    )
    # the gradient of a difference of code values is large: clipping alone would set the pace
    return AveragingAdamW(rate, weight_decay=0.0, global_clipnorm=20.0, use_ema=True, ema_momentum=config.averaging)


def _export(network: keras.Model, output: Path) -> Path:
    if not importlib.util.find_spec("tensorflow"):
        network.save(output / "packshot-superres.keras")
        print("no LiteRT model was written: that needs TensorFlow")
        return output / "packshot-superres.keras"
    from models.superres.export import export_litert, save_compactly

    save_compactly(network, output / "packshot-superres.keras")
    return export_litert(network, output / "packshot-superres.tflite")
