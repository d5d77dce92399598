"""Contact sheets of colour normalisation: the photo, what became of it, and the truth."""

from __future__ import annotations

import heapq
from pathlib import Path

import cv2
import numpy as np

from pipeline.evaluation.colour_cases import ColourCase, relight
from pipeline.evaluation.colour_methods import Correction
from pipeline.evaluation.colour_scores import ACTED, DELTA_E, REPRODUCTION, ColourScore
from pipeline.evaluation.sheets import write_tiles

_SIDE = 170
_ACROSS = 4
_KEPT = 20


class ColourSheet:
    """Keeps tiles of the photos that came out worst where the job acted, and of as many others as they come.

    Args:
      kept: how many of each.
    """

    def __init__(self, kept: int = _KEPT):
        self._kept = kept
        self._worst: list[tuple[float, int, np.ndarray]] = []
        self._first: list[np.ndarray] = []
        self._offered = 0

    def offer(self, case: ColourCase, correction: Correction, score: ColourScore) -> None:
        """Keeps a photo if it is among the worst so far, or among the first."""
        self._offered += 1
        urgency = score.figures[DELTA_E] if score.figures[ACTED] else -1.0
        is_worst = urgency >= 0 and (len(self._worst) < self._kept or urgency > self._worst[0][0])
        if not is_worst and len(self._first) >= self._kept:
            return
        tile = _drawn(case, correction, score)
        if is_worst:
            entry = (urgency, -self._offered, tile)
            (heapq.heappush if len(self._worst) < self._kept else heapq.heappushpop)(self._worst, entry)
        elif len(self._first) < self._kept:
            self._first.append(tile)

    def write(self, path: Path) -> bool:
        """Writes the sheet as PNG, the worst first; returns whether there was anything to write."""
        tiles = [tile for *_, tile in sorted(self._worst, key=lambda entry: entry[:2], reverse=True)] + self._first
        return write_tiles(path, tiles, _ACROSS)


def _drawn(case: ColourCase, correction: Correction, score: ColourScore) -> np.ndarray:
    done = relight(case.image, correction.gains) if score.figures[ACTED] else np.full_like(case.image, 40)
    tile = np.hstack([*map(_fit, (case.image, done, case.truth)), np.full((_SIDE, 6, 3), 255, np.uint8)])
    label = correction.abstention or f"{score.figures[REPRODUCTION]:.1f} deg  dE {score.figures[DELTA_E]:.1f}"
    for colour, width in (((0, 0, 0), 3), ((255, 255, 255), 1)):
        cv2.putText(tile, label, (_SIDE + 4, _SIDE - 6), cv2.FONT_HERSHEY_SIMPLEX, 0.36, colour, width, cv2.LINE_AA)
    return tile


def _fit(image: np.ndarray) -> np.ndarray:
    scale = _SIDE / max(image.shape[:2])
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)[:_SIDE, :_SIDE]
    tile = np.full((_SIDE, _SIDE, 3), 40, np.uint8)
    tile[: small.shape[0], : small.shape[1]] = small
    return tile
