"""Curves, sheets and alarms while a generator is trained."""

from __future__ import annotations

import csv
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import keras
import numpy as np
from scipy.spatial.distance import cdist

from models.articles import COLOUR_NAMES, Articles
from models.averaging import averaged_weights
from models.gan.sampling import Sampler

COLUMNS = (
    "epoch", "images", "seconds", "loss", "real_minus_fake", "generator_gradient", "discriminator_gradient",
    "coverage", "alarm",
)  # fmt: skip
_VANISHED, _EXPLODED = 1e-6, 1e4
_COLLAPSED = 0.1  # coverage below which most of the catalogue is never drawn
_LOOKED_AT = 512  # pictures that coverage is measured on
_NEIGHBOURS = 5
_SIDE = 8  # pixels that pictures are compared at: form and colour, not detail


class TrainingStopped(ValueError):
    """The weights are no numbers any more."""


def coarse_coverage(real: np.ndarray, fake: np.ndarray) -> float:
    """Share of the real pictures that have a generated one in their neighbourhood (Naeem et al., ICML 2020).

    Measured on thumbnails of 8 x 8 pixels: enough to see modes go missing, and cheap while training. What is reported
    of a generator is measured on a classifier's features instead.

    Args:
      real, fake: uint8 (n, s, s, 3).

    Returns:
      0..1; about 0.9 for as many other real pictures.
    """
    real_points, fake_points = (
        np.stack([cv2.resize(p, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA).ravel() for p in pictures]).astype(float)
        for pictures in (real, fake)
    )
    reach = np.sort(cdist(real_points, real_points), axis=1)[:, min(_NEIGHBOURS, len(real) - 1)]
    return float((cdist(real_points, fake_points).min(axis=1) <= reach).mean())


def sample_sheet(sampler: Sampler, columns: int = 12) -> np.ndarray:
    """Draws a row a category, each column with the same latent and colour: uint8 (h, w, 3), RGB."""
    rows = len(sampler.category_names)
    seeds = np.tile(np.arange(columns, dtype=np.uint64), rows)
    categories = np.repeat(np.arange(rows), columns)
    colours = np.tile(np.arange(columns) % len(sampler.colour_names), rows)
    pictures = sampler.sample(seeds, categories, colours)
    return np.concatenate(
        [np.concatenate(list(pictures[row * columns : (row + 1) * columns]), axis=1) for row in range(rows)]
    )


class Watch(keras.callbacks.Callback):
    """Gives every epoch its own draws, then a line in ``curves.csv``, a sheet of samples and, if need be, an alarm.

    Args:
      folder: of the curves and sheets.
      articles: real ones, for coverage.
      first_epoch: where the training goes on, from 0; later lines of a run that was stopped are taken out.
      epochs: of the whole training.
      images_per_epoch: real pictures shown in one.
      sampler: draws from the network as it is.
    """

    def __init__(
        self,
        folder: Path,
        articles: Articles,
        first_epoch: int,
        epochs: int,
        images_per_epoch: int,
        sampler: Callable[[], Sampler],
    ):
        super().__init__()
        self._folder, self._sampler, self._epochs, self._per_epoch = folder, sampler, epochs, images_per_epoch
        rng = np.random.default_rng(0)
        chosen = rng.permutation(len(articles))[:_LOOKED_AT]
        self._real = articles.take(chosen)
        self._path = folder / "curves.csv"
        kept = []
        if self._path.exists():
            with self._path.open(newline="") as file:
                kept = [line for line in csv.DictReader(file) if int(line["epoch"]) < first_epoch]
        with self._path.open("w", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(kept)
        (folder / "sheets").mkdir(exist_ok=True)
        self._started = time.monotonic()

    def on_epoch_begin(self, epoch, logs=None):
        self.model.begin_epoch(epoch, self._epochs)

    def on_epoch_end(self, epoch, logs=None):
        norms = {
            name: float(keras.ops.convert_to_numpy(getattr(self.model.optimizer, f"{name}_norm")))
            for name in ("generator", "discriminator")
        }
        with averaged_weights(self.model):
            sampler = self._sampler()
            seeds = np.arange(len(self._real), dtype=np.uint64)
            coverage = coarse_coverage(
                self._real.images, sampler.sample(seeds, self._real.categories, self._real.colours)
            )
            sheet = sample_sheet(sampler, columns=len(COLOUR_NAMES))
        cv2.imwrite(str(self._folder / "sheets" / f"{epoch + 1:04d}.png"), sheet[..., ::-1])
        raised = alarms(norms, coverage)
        line = {
            "epoch": epoch,
            "images": (epoch + 1) * self._per_epoch,
            "seconds": round(time.monotonic() - self._started),
            "loss": f"{(logs or {}).get('loss', float('nan')):.4f}",
            "real_minus_fake": f"{(logs or {}).get('real_minus_fake', float('nan')):.4f}",
            **{f"{name}_gradient": f"{norm:.3g}" for name, norm in norms.items()},
            "coverage": f"{coverage:.3f}",
            "alarm": "; ".join(raised),
        }
        with self._path.open("a", newline="") as file:
            csv.DictWriter(file, COLUMNS).writerow(line)
        print(", ".join(f"{name} {value}" for name, value in line.items() if value != ""), flush=True)
        if not np.isfinite(list(norms.values())).all():
            raise TrainingStopped(
                f"the gradients are no numbers any more after epoch {epoch + 1}; lower optimiser.rate, or set "
                "optimiser.clip, and start again from the last checkpoint"
            )


def alarms(norms: dict[str, float], coverage: float) -> list[str]:
    """Says what is going wrong.

    Args:
      norms: running mean of the norm of each network's gradient.
      coverage: as ``coarse_coverage`` gives it.
    """
    raised = []
    for name, norm in norms.items():
        if not np.isfinite(norm) or norm > _EXPLODED:
            raised.append(f"the {name}'s gradients explode")
        elif norm < _VANISHED:
            raised.append(f"the {name}'s gradients vanish")
    if coverage < _COLLAPSED:
        raised.append("few of the real articles are drawn: mode collapse, or an early epoch")
    return raised
