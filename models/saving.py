"""Weight files of half the usual size and less, with a description of what the outputs mean."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import keras
import numpy as np

BFLOAT16, COARSE = 7, 4  # bits of mantissa kept of 23: an error of .4 % and of 3 % at most in each weight
_DESCRIPTION = "packshot.json"  # an entry of the archive that Keras does not look at


def save_compactly(
    network: keras.Model, path: Path, description: dict[str, Any] | None = None, *, mantissa: int = BFLOAT16
) -> None:
    """Writes a ``.keras`` file of less than half the usual size, with rounded weights.

    What the rounding leaves empty is packed away. bfloat16's precision is what GPUs compute in. ``COARSE`` saves
    another quarter, and is for networks whose figures were measured with it: the errors of many weights average out.

    Args:
      network: any model; its own weights stay as they are.
      path: of the file.
      description: what ``read_description`` is to give back; values that JSON has.
      mantissa: bits kept of each weight's 23.
    """
    kept = network.get_weights()
    network.set_weights([_rounded(w, mantissa) for w in kept])
    loose = path.with_suffix(".loose.keras")
    network.save(loose)
    network.set_weights(kept)
    with zipfile.ZipFile(loose) as read, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as packed:
        for entry in read.infolist():
            packed.writestr(entry.filename, read.read(entry))
        if description is not None:
            packed.writestr(_DESCRIPTION, json.dumps(description, sort_keys=True))
    loose.unlink()


def read_description(path: Path) -> dict[str, Any]:
    """Returns the description that a file was saved with, or an empty one.

    Raises:
      ValueError: it is no ``.keras`` file.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return json.loads(archive.read(_DESCRIPTION)) if _DESCRIPTION in archive.namelist() else {}
    except zipfile.BadZipFile as error:
        raise ValueError(f"{str(path)!r} is no .keras file") from error


def _rounded(weights: np.ndarray, mantissa: int) -> np.ndarray:
    """Rounds float32 to the nearest of the values with so many bits of mantissa, ties to even."""
    lost = 23 - mantissa
    bits = np.ascontiguousarray(weights, np.float32).view(np.uint32)
    even = (bits >> lost) & 1
    rounded = (bits + np.uint32((1 << (lost - 1)) - 1) + even) >> lost << lost
    return rounded.astype(np.uint32).view(np.float32).reshape(weights.shape)
