"""Contact sheets of enhancement: the photo as it was, spoilt, and mended."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from pipeline.evaluation.sheets import write_tiles

_SIDE = 220
_ACROSS = 2
_KEPT = 16


class MendingSheet:
    """Keeps the entries that most want a look, of those offered.

    Args:
      kept: how many.
    """

    def __init__(self, kept: int = _KEPT):
        self._kept = kept
        self._entries: list[tuple[float, int, np.ndarray]] = []
        self._offered = 0

    def offer(self, urgency: float, label: str, pictures: Sequence[np.ndarray], alpha: np.ndarray) -> None:
        """Keeps an entry if it is among the most urgent ones so far.

        Args:
          urgency: the higher the more it wants a look.
          label: drawn on it.
          pictures: uint8 (h, w, 3), RGB, side by side; those of the matte's size are cropped to the product.
          alpha: the product's matte, uint8 (h, w).
        """
        self._offered += 1
        if len(self._entries) == self._kept and urgency <= self._entries[0][0]:
            return
        x, y, width, height = cv2.boundingRect(alpha)
        crop = np.s_[y : y + max(1, height), x : x + max(1, width)]
        tiles = [_fit(picture[crop] if picture.shape[:2] == alpha.shape else picture) for picture in pictures]
        tile = np.hstack([*tiles, np.full((_SIDE, 6, 3), 255, np.uint8)])
        for colour, width in (((0, 0, 0), 3), ((255, 255, 255), 1)):
            cv2.putText(tile, label, (4, _SIDE - 6), cv2.FONT_HERSHEY_SIMPLEX, 0.4, colour, width, cv2.LINE_AA)
        entry = (urgency, -self._offered, tile)
        (heapq.heappushpop if len(self._entries) == self._kept else heapq.heappush)(self._entries, entry)

    def write(self, path: Path) -> bool:
        """Writes the sheet as PNG, the most urgent first; returns whether there was anything to write."""
        tiles = [tile for *_, tile in sorted(self._entries, key=lambda entry: entry[:2], reverse=True)]
        return write_tiles(path, tiles, _ACROSS)


def _fit(picture: np.ndarray) -> np.ndarray:
    scale = _SIDE / max(picture.shape[:2])
    size = (max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale)))
    tile = np.full((_SIDE, _SIDE, 3), 40, np.uint8)
    tile[: size[1], : size[0]] = cv2.resize(
        picture, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST
    )
    return tile
