"""Weight files of half the usual size, with a description of what the outputs mean."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import keras
import numpy as np

_DESCRIPTION = "packshot.json"  # an entry of the archive that Keras does not look at


def save_compactly(network: keras.Model, path: Path, description: dict[str, Any] | None = None) -> None:
    """Writes a ``.keras`` file of less than half the usual size, with weights of bfloat16's precision.

    That is what GPUs compute in; what the rounding leaves empty is packed away.

    Args:
      network: any model; its own weights stay as they are.
      path: of the file.
      description: what ``read_description`` is to give back; values that JSON has.
    """
    kept = network.get_weights()
    network.set_weights([_as_bfloat16(w) for w in kept])
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


def _as_bfloat16(weights: np.ndarray) -> np.ndarray:
    """Rounds float32 to the nearest value that bfloat16 has, in float32."""
    bits = np.ascontiguousarray(weights, np.float32).view(np.uint32)
    even = (bits >> 16) & 1
    return ((bits + 0x7FFF + even) & np.uint32(0xFFFF0000)).astype(np.uint32).view(np.float32).reshape(weights.shape)
