"""Curves and checkpoints of a round of training."""

from __future__ import annotations

import csv
import re
import time
from collections.abc import Callable
from pathlib import Path

import keras

from models.averaging import averaged_weights

COLUMNS = ("round", "epoch", "seconds", "loss", "learning_rate")


class Checkpoints(keras.callbacks.Callback):
    """Keeps the whole state of training after every epoch, so that a stopped round goes on where it was.

    A checkpoint is one file, put in its place by a rename: a run killed while writing loses one epoch at most.

    Args:
      stem: path without ending; the epochs done and ``.weights.h5`` are added.
    """

    def __init__(self, stem: Path):
        super().__init__()
        self._stem = stem

    def _found(self) -> dict[int, Path]:
        pattern = re.compile(re.escape(self._stem.name) + r"\.epoch(\d+)\.weights\.h5")
        matches = ((pattern.fullmatch(path.name), path) for path in self._stem.parent.iterdir())
        return {int(match[1]): path for match, path in matches if match}

    def restore(self, model: keras.Model) -> int:
        """Loads the last checkpoint, if there is one, into a compiled and built model; returns the epochs done."""
        found = self._found()
        if not found:
            return 0
        model.optimizer.build(model.trainable_variables)
        model.load_weights(found[max(found)])
        return max(found)

    def on_epoch_end(self, epoch, logs=None):
        older = self._found()
        partial = self._stem.with_name(f"{self._stem.name}.partial.weights.h5")
        self.model.save_weights(partial)
        partial.replace(self._stem.with_name(f"{self._stem.name}.epoch{epoch + 1}.weights.h5"))
        for done, path in older.items():
            if done != epoch + 1:
                path.unlink()

    def clear(self) -> None:
        """Removes the checkpoints of a finished round."""
        for path in self._found().values():
            path.unlink()


class Curves(keras.callbacks.Callback):
    """Adds a line to ``curves.csv`` after every epoch, now and then with the score of the averaged weights.

    Args:
      path: the CSV file; the round's lines from ``first_epoch`` on are taken out of it first.
      name: of the round, with the fingerprint of its settings.
      first_epoch: where the round goes on, from 0.
      score: measures the model as it is; None for nothing to measure by.
      every: epochs between two measurements.
      measure: the score's name, of its column.
    """

    def __init__(
        self,
        path: Path,
        name: str,
        first_epoch: int,
        score: Callable[[], float] | None,
        every: int = 5,
        measure: str = "development_iou",
    ):
        super().__init__()
        self._path, self._name, self._score, self._every, self._measure = path, name, score, every, measure
        self._columns = (*COLUMNS, measure)
        kept = []
        if path.exists():
            with path.open(newline="") as file:
                kept = [
                    line for line in csv.DictReader(file) if line["round"] != name or int(line["epoch"]) < first_epoch
                ]
        partial = path.with_suffix(".partial.csv")
        with partial.open("w", newline="") as file:
            writer = csv.DictWriter(file, self._columns)
            writer.writeheader()
            writer.writerows(kept)
        partial.replace(path)
        self._started = time.monotonic()

    def on_epoch_end(self, epoch, logs=None):
        line = {
            "round": self._name,
            "epoch": epoch,
            "seconds": round(time.monotonic() - self._started),
            "loss": f"{(logs or {}).get('loss', float('nan')):.5f}",
            "learning_rate": f"{float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate)):.3g}",
        }
        if self._score and ((epoch + 1) % self._every == 0 or epoch + 1 == self.params["epochs"]):
            with averaged_weights(self.model):
                line[self._measure] = f"{self._score():.4f}"
        with self._path.open("a", newline="") as file:
            csv.DictWriter(file, self._columns).writerow(line)
        print(", ".join(f"{name} {value}" for name, value in line.items()), flush=True)
