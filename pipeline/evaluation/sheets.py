"""Contact sheets: a number that looks good over bad pictures is a bug in the number."""

from __future__ import annotations

import heapq
from pathlib import Path

import cv2
import numpy as np

from pipeline.evaluation.cases import Case
from pipeline.evaluation.methods import Prediction
from transforms.foreground import estimate_foreground

_SIDE = 190  # of a tile, pixels
_ACROSS = 3  # entries side by side
_KEPT = 24
_MAGENTA = np.array([255, 0, 255], np.float32)


class ContactSheet:
    """Keeps the pictures that most want a look; holds tiles alone, never whole pictures.

    An entry shows the picture, the true cut-out and the predicted one on magenta, and a line of text.

    Args:
      kept: how many.
    """

    def __init__(self, kept: int = _KEPT):
        self._kept = kept
        self._entries: list[tuple[float, int, np.ndarray]] = []
        self._offered = 0

    def offer(self, urgency: float, label: str, case: Case, prediction: Prediction) -> None:
        """Keeps a picture if it is among the most urgent ones so far.

        Args:
          urgency: the higher the more it wants a look.
          label: drawn on the prediction.
          case, prediction: what is shown.
        """
        self._offered += 1
        if len(self._entries) == self._kept and urgency <= self._entries[0][0]:
            return
        entry = (urgency, -self._offered, _drawn(label, case, prediction))
        (heapq.heappushpop if len(self._entries) == self._kept else heapq.heappush)(self._entries, entry)

    def write(self, path: Path) -> bool:
        """Writes the sheet as PNG, the most urgent first; returns whether there was anything to write."""
        tiles = [tile for _, _, tile in sorted(self._entries, key=lambda entry: entry[:2], reverse=True)]
        return write_tiles(path, tiles, _ACROSS)


def write_tiles(path: Path, tiles: list[np.ndarray], across: int) -> bool:
    """Writes tiles as one PNG, row by row.

    Args:
      path: of the file.
      tiles: uint8 (h, w, 3), RGB, all of one size.
      across: tiles side by side.

    Returns:
      Whether there was anything to write.
    """
    if not tiles:
        return False
    tiles = tiles + [np.zeros_like(tiles[0])] * (-len(tiles) % across)
    rows = [np.hstack(tiles[start : start + across]) for start in range(0, len(tiles), across)]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(".png", cv2.cvtColor(np.vstack(rows), cv2.COLOR_RGB2BGR))[1].tobytes())
    return True


def _drawn(label: str, case: Case, prediction: Prediction) -> np.ndarray:
    colours = prediction.foreground
    if colours is None:
        colours = estimate_foreground(case.image, prediction.alpha)
    truth = case.image if case.foreground is None else case.foreground
    tiles = [_fit(case.image), _fit(_on_magenta(truth, case.alpha)), _fit(_on_magenta(colours, prediction.alpha))]
    drawn = np.hstack([*tiles, np.full((_SIDE, 6, 3), 255, np.uint8)])
    place = (2 * _SIDE + 4, _SIDE - 6)
    for colour, width in (((0, 0, 0), 3), ((255, 255, 255), 1)):
        cv2.putText(drawn, label[:32], place, cv2.FONT_HERSHEY_SIMPLEX, 0.34, colour, width, cv2.LINE_AA)
    return drawn


def _on_magenta(colours: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    share = alpha.astype(np.float32)[..., None] / 255
    return (colours * share + _MAGENTA * (1 - share)).astype(np.uint8)


def _fit(image: np.ndarray) -> np.ndarray:
    scale = _SIDE / max(image.shape[:2])
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    tile = np.full((_SIDE, _SIDE, 3), 40, np.uint8)
    tile[: size[1], : size[0]] = cv2.resize(
        image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    )
    return tile
