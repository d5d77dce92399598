"""Training of the autoencoder, from pictures of articles to a weight file."""

from __future__ import annotations

import csv
import hashlib
import time
from pathlib import Path

import keras
import numpy as np
from keras import ops

from models.articles import DEVELOPMENT, TRAIN, Articles
from models.averaging import AveragingAdamW, averaged_weights
from models.draws import EpochDraws
from models.extras import imported_for_training
from models.precision import computing_in
from models.segmentation.progress import Checkpoints
from models.vae import losses, sheets
from models.vae.anomaly import Judge
from models.vae.augment import Batches, Variation
from models.vae.network import LOG_VARIANCE, Vae
from models.vae.settings import TrainingConfig
from models.vae.start import start_from_components

COLUMNS = ("run", "epoch", "seconds", "loss", "learning_rate", "development_mae", "development_ssim", "nats", "active")

NAME = "packshot-vae"

_SETTLING_STEPS = 60  # of batch statistics, to the averaged weights
_SHOWN = 64  # pictures on a sheet
_ACTIVE = 0.01  # variance of a dimension's means from which something is in it (Burda et al., ICLR 2016)
_BATCH = 128


class Trained(keras.Model):
    """The autoencoder with its loss, in the form that ``fit`` trains.

    Args:
      vae: the autoencoder.
      weights: of the loss.
      warm_up: steps over which the divergence comes to count in full.
    """

    def __init__(self, vae: Vae, weights: losses.LossWeights, warm_up: int):
        super().__init__(name="trained")
        self.vae, self._weights, self._warm_up = vae, weights, warm_up
        # an own count, a weight: it is right inside compiled steps, on all backends, and after a resume
        self.step = self.add_weight(shape=(), initializer="zeros", trainable=False, name="step")

    def call(self, image, training=None):
        if training:
            self.step.assign(self.step + 1)
        return self.vae(image, training=training)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """Returns the loss of ``losses.total``."""
        warmth = ops.minimum(1.0, self.step / max(1, self._warm_up))
        return losses.total(y, y_pred, self._weights, warmth)


class NetworkCodec:
    """Latents and pictures by a Keras autoencoder.

    Args:
      vae: the autoencoder.
    """

    def __init__(self, vae: Vae):
        self._vae = vae
        self.latent, self.size = vae.shape_of.latent, vae.shape_of.size

    def moments(self, images: np.ndarray) -> np.ndarray:
        """From uint8 (n, size, size, 3) to the posteriors' means and log-variances, float32 (n, 2 · latent)."""
        return self._vae.encoder.predict(images.astype(np.float32), batch_size=_BATCH, verbose=0)

    def encode(self, images: np.ndarray) -> np.ndarray:
        """From uint8 (n, size, size, 3), RGB, to the posteriors' means, float32 (n, latent)."""
        return self.moments(images)[:, : self.latent]

    def decode(self, latents: np.ndarray) -> np.ndarray:
        """From float32 (n, latent) to uint8 (n, size, size, 3), RGB."""
        made = self._vae.decoder.predict(latents, batch_size=_BATCH, verbose=0)
        return np.clip(255 * made + 0.5, 0, 255).astype(np.uint8)


def development_figures(codec: NetworkCodec, images: np.ndarray) -> dict[str, float]:
    """Measures an autoencoder on pictures that it was not trained on.

    Args:
      codec: the autoencoder.
      images: uint8 (n, size, size, 3), RGB.

    Returns:
      ``development_mae`` of 255, ``development_ssim``, ``nats`` a picture and ``active`` dimensions.
    """
    moments = codec.moments(images)
    mean, log_variance = moments[:, : codec.latent], moments[:, codec.latent :]
    made = codec.decode(mean)
    ssim = ops.convert_to_numpy(losses.ssim(images.astype(np.float32) / 255, made.astype(np.float32) / 255))
    log_variance = np.clip(log_variance, *LOG_VARIANCE)
    nats = 0.5 * (mean**2 + np.exp(log_variance) - 1 - log_variance)
    return {
        "development_mae": float(np.abs(images.astype(np.float32) - made).mean()),
        "development_ssim": float(ssim.mean()),
        "nats": float(nats.sum(axis=1).mean()),
        "active": float((mean.var(axis=0) > _ACTIVE).sum()),
    }


class Progress(keras.callbacks.Callback):
    """Adds a line to ``curves.csv`` after every epoch, now and then with figures and sheets of the averaged weights.

    Args:
      output: folder of the training.
      name: of the run: the fingerprint of its settings.
      first_epoch: where the run goes on, from 0.
      images: uint8 (n, size, size, 3), to measure and to show; empty for neither.
      every: epochs between two measurements.
    """

    def __init__(self, output: Path, name: str, first_epoch: int, images: np.ndarray, every: int):
        super().__init__()
        self._path, self._name, self._images, self._every = output / "curves.csv", name, images, every
        kept = []
        if self._path.exists():
            with self._path.open(newline="") as file:
                kept = [row for row in csv.DictReader(file) if row["run"] != name or int(row["epoch"]) < first_epoch]
        with self._path.open("w", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(kept)
        self._started = time.monotonic()

    def on_epoch_end(self, epoch, logs=None):
        line = {
            "run": self._name,
            "epoch": epoch,
            "seconds": round(time.monotonic() - self._started),
            "loss": f"{(logs or {}).get('loss', float('nan')):.5f}",
            "learning_rate": f"{float(ops.convert_to_numpy(self.model.optimizer.learning_rate)):.3g}",
        }
        last = epoch + 1 == self.params["epochs"]
        if len(self._images) and ((epoch + 1) % self._every == 0 or last):
            with averaged_weights(self.model):
                codec = NetworkCodec(self.model.vae)
                figures = development_figures(codec, self._images)
                write_sheets(codec, self._images, self._path.parent / "sheets", f"epoch{epoch + 1:04d}")
            line |= {name: f"{value:.4g}" for name, value in figures.items()}
        with self._path.open("a", newline="") as file:
            csv.DictWriter(file, COLUMNS).writerow(line)
        print(", ".join(f"{name} {value}" for name, value in line.items()), flush=True)


def write_sheets(codec: sheets.Codec, images: np.ndarray, folder: Path, name: str) -> None:
    """Writes sheets of reconstructions, samples and interpolations as ``<folder>/<name>-<kind>.png``.

    Args:
      codec: the autoencoder.
      images: uint8 (n, size, size, 3), to reconstruct and to go between; a few of them are shown, evenly spread.
      folder, name: where.
    """
    shown = images[np.linspace(0, len(images) - 1, min(_SHOWN, len(images))).astype(int)]
    sheets.reconstruction_sheet(folder / f"{name}-reconstruction.png", codec, shown)
    sheets.sample_sheet(folder / f"{name}-samples.png", codec)
    if len(shown) > 1:
        sheets.interpolation_sheet(folder / f"{name}-interpolation.png", codec, shown[:16])


def train(config: TrainingConfig) -> Path:
    """Trains the autoencoder and writes what serves.

    Args:
      config: all that decides the weights.

    Returns:
      Path of the LiteRT file; its memory lies beside it as ``.npz``, the Keras network as ``.keras``.

    Raises:
      FileNotFoundError, ValueError: the data or settings are not as they should be; nothing was trained.
    """
    with imported_for_training():
        from models.datasets.articles import load_articles
    splits = load_articles(config.articles, config.output)
    vae = train_network(config, splits)
    return export(config, vae, splits)


def export(config: TrainingConfig, vae: Vae, splits: dict[str, Articles]) -> Path:
    """Writes a trained autoencoder as LiteRT file, Keras file and memory, and sheets of it; returns as ``train``."""
    from models.vae.calibration import calibrated, measure_all, remember, spoil, unremembered
    from models.vae.codec import LiteRtCodec
    from models.vae.export import export_litert

    output, development = Path(config.output), splits[DEVELOPMENT]
    vae.save(output / f"{NAME}.keras")
    path = export_litert(vae, output / f"{NAME}.tflite")
    codec = LiteRtCodec.load(path)
    memory = remember(codec, splits[TRAIN], development, config.memory, config.seed)
    if len(development):
        others = unremembered(splits[TRAIN], config.spoilt, config.memory, config.seed)
        print(f"{len(development) + len(others):,} articles are spoilt, to weigh the measures by ...", flush=True)
        judge = Judge(codec, memory)
        learnt = [
            measure_all(judge, articles, spoil(config.articles, articles, config.seed))
            for articles in (development, others)
            if len(articles)
        ]
        memory = calibrated(memory, learnt, learnt[0])
        write_sheets(codec, development.images, output / "sheets", "exported")
    else:
        print("there are no development articles: the memory has no thresholds and cannot judge")
    path.with_suffix(".npz").write_bytes(memory.to_bytes())
    return path


def train_network(config: TrainingConfig, splits: dict[str, Articles]) -> Vae:
    """Trains the autoencoder; a run that was stopped goes on where it was.

    Args:
      config: all that decides the weights.
      splits: the articles of each split; ``train`` is learnt from, ``development`` is measured.

    Returns:
      The autoencoder with its averaged weights.
    """
    images = splits[TRAIN].images
    output = Path(config.output)
    (output / "rounds").mkdir(parents=True, exist_ok=True)
    name = config.fingerprint(hashlib.sha256(images.tobytes()).hexdigest())
    keras.utils.set_random_seed(config.seed)
    with computing_in(config.precision):
        vae = Vae(config.network, config.seed)
    finished = output / "rounds" / f"{name}.weights.h5"
    if finished.exists():
        print(f"trained before with the same settings, {finished} is used")
        vae.load_weights(finished)
        return vae
    start_from_components(vae, images)
    model = Trained(vae, config.loss, config.kl_warm_up)
    model.compile(optimizer=_optimizer(config))
    model(np.zeros((1, *images.shape[1:]), np.float32))  # builds it, which restoring a checkpoint asks for
    checkpoints = Checkpoints(finished.with_name(name))
    done = checkpoints.restore(model)
    epochs, steps = config.steps // config.steps_per_epoch, config.steps_per_epoch
    if done:
        print(f"goes on after epoch {done} of {epochs}")
    progress = Progress(output, name, done, splits[DEVELOPMENT].images, config.sheet_every)
    if done < epochs:
        stream = Batches(
            images, config.variation, config.batch_size, config.seed, done * steps, (epochs - done) * steps
        )
        model.fit(
            stream, epochs=epochs, initial_epoch=done, steps_per_epoch=steps, shuffle=False, verbose=0,
            callbacks=[EpochDraws(vae.draws, config.seed), progress, checkpoints],
        )  # fmt: skip
    model.optimizer.finalize_variable_values(model.trainable_variables)
    _settle(vae, images, config)
    vae.save_weights(finished)
    checkpoints.clear()
    return vae


def _settle(vae: Vae, images: np.ndarray, config: TrainingConfig) -> None:
    """Brings the batch statistics to the averaged weights, on pictures as they are."""
    count = min(_SETTLING_STEPS, config.steps)
    plain = Variation(spoilt=0.0, ground=config.variation.ground)
    for inputs, _ in Batches(images, plain, config.batch_size, config.seed + 1, 0, count):
        vae(inputs, training=True)


def _optimizer(config: TrainingConfig) -> keras.optimizers.Optimizer:
    warm_up = min(200, config.steps // 10)
    rate = keras.optimizers.schedules.CosineDecay(
        config.rate / 20, max(1, config.steps - warm_up), alpha=0.02, warmup_target=config.rate, warmup_steps=warm_up
    )
    optimizer = AveragingAdamW(
        rate, weight_decay=config.weight_decay, clipnorm=1.0, use_ema=True, ema_momentum=config.averaging
    )
    optimizer.exclude_from_weight_decay(var_names=["gamma", "beta", "bias"])
    return optimizer
