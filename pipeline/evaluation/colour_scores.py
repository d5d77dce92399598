"""Figures of a corrected photo, and what a set of them adds up to."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from pipeline.evaluation.colour_cases import ColourCase, relight
from pipeline.evaluation.colour_methods import Correction
from transforms.colour import ciede2000, srgb8_to_lab
from transforms.illuminant import recovery_error, reproduction_error

RECOVERY, REPRODUCTION, DELTA_E, DELTA_E_FULL = "recovery", "reproduction", "delta_e", "delta_e_full"
ACTED, WORSE = "acted", "worse"
WORSE_BY = 1.0  # CIEDE2000
_SAMPLES = 1500  # product pixels a difference is averaged over


@dataclasses.dataclass(frozen=True)
class ColourScore:
    """One photo's figures by one method.

    Attributes:
      id, set, group, slices: the case's.
      abstention: why nothing was done, or None.
      figures: angular errors in degrees (``RECOVERY``, ``REPRODUCTION``); mean CIEDE2000 of the product against the
        truth of equal exposure (``DELTA_E``) and at the exposure before it was changed (``DELTA_E_FULL``); 0 or 1
        for whether the method acted (``ACTED``) and whether the product came out worse by more than 1 CIEDE2000
        (``WORSE``).
    """

    id: str
    set: str
    group: str
    slices: tuple[str, ...]
    abstention: str | None
    figures: dict[str, float]


class ColourScorer:
    """Compares corrections of one case; what they share is computed once.

    Args:
      case: with its truth.
    """

    def __init__(self, case: ColourCase):
        self._case = case
        pixels = np.flatnonzero(case.product)
        self._pixels = pixels[:: max(1, -(-len(pixels) // _SAMPLES))]
        self._image = self._sampled(case.image)
        self._truth = self._sampled(case.truth)
        self._before = self._difference(self._image, self._truth)

    def score(self, correction: Correction) -> ColourScore:
        """Returns the figures of a correction of the case's image."""
        case, gains = self._case, np.asarray(correction.gains, float)
        acted = correction.abstention is None
        after = relight(self._image[None], gains)[0] if acted else self._image
        # a lifted photo is compared with a truth that is as light
        difference = self._difference(after, self._lit(correction.exposure))
        figures = {
            RECOVERY: recovery_error(case.light, 1 / gains),
            REPRODUCTION: reproduction_error(case.light, gains),
            DELTA_E: difference,
            DELTA_E_FULL: self._difference(after, self._lit(1 / case.exposure)),
            ACTED: float(acted),
            WORSE: float(difference > self._before + WORSE_BY),
        }
        return ColourScore(case.id, case.set, case.group, case.slices, correction.abstention, figures)

    def _sampled(self, image: np.ndarray) -> np.ndarray:
        return image.reshape(-1, 3)[self._pixels]

    def _lit(self, exposure: float) -> np.ndarray:
        return self._truth if exposure == 1 else relight(self._truth[None], [exposure] * 3)[0]

    @staticmethod
    def _difference(pixels: np.ndarray, others: np.ndarray) -> float:
        return float(ciede2000(srgb8_to_lab(pixels), srgb8_to_lab(others)).mean()) if len(pixels) else 0.0


@dataclasses.dataclass(frozen=True)
class Interval:
    """A statistic of a set of photos with its 95 % bootstrap interval."""

    value: float
    low: float
    high: float


def mean(values: np.ndarray, weights: np.ndarray) -> float:
    """Returns the weighted mean of float (n,)."""
    return float(values @ weights / weights.sum())


def percentile95(values: np.ndarray, weights: np.ndarray) -> float:
    """Returns the 95th percentile of float (n,) in which every value counts as often as its weight says."""
    order = np.argsort(values)
    reached = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(reached, 0.95 * reached[-1])])


def interval(
    scores: Sequence[ColourScore], figure: str, statistic: Callable[[np.ndarray, np.ndarray], float] = mean,
    *, draws: int = 1000,
) -> Interval | None:  # fmt: skip
    """Returns a statistic and its percentile bootstrap interval (Efron 1979), or None of no scores.

    Args:
      scores: of one method; whole groups are drawn, because one seller's photos share floor and lamp.
      figure: a key of ``ColourScore.figures``.
      statistic: of values and weights.
      draws: resamples.
    """
    if not scores:
        return None
    values = np.array([score.figures[figure] for score in scores])
    _, member = np.unique([score.group for score in scores], return_inverse=True)
    groups = int(member.max()) + 1
    counts = np.random.default_rng(0).multinomial(groups, np.full(groups, 1 / groups), draws)
    drawn = [statistic(values, weights) for row in counts if (weights := row[member].astype(float)).any()]
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Interval(statistic(values, np.ones(len(values))), float(low), float(high))
