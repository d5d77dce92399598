"""Figures of one prediction, and what a set of them adds up to."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Sequence

import numpy as np

from models.metrics import matting
from models.metrics import segmentation as masks
from models.metrics.bootstrap import bootstrap_interval, tail_mean
from pipeline.evaluation.cases import EMPTY, Case
from pipeline.evaluation.methods import Prediction
from transforms.foreground import estimate_foreground
from transforms.reasons import ReviewReason

BLACK, GREEN = (0, 0, 0), (0, 255, 0)
WORST_TENTH = "worst_tenth_iou"
TRUE_ALPHA, TRUE_ALPHA_BARE = "true alpha, our edge colours", "true alpha, the photo's colours"


@dataclasses.dataclass(frozen=True)
class Score:
    """One picture's figures by one method.

    Attributes:
      id, set, group, slices: the case's.
      presence: the method's, or None.
      reasons: why the job would send the picture to review.
      figures: by name; a figure that makes no sense for the picture is missing.
      milliseconds: that the prediction took.
    """

    id: str
    set: str
    group: str
    slices: tuple[str, ...]
    presence: float | None
    reasons: tuple[str, ...]
    figures: dict[str, float]
    milliseconds: float = 0.0

    @property
    def flagged(self) -> bool:
        """Whether the job says that nothing, or perhaps nothing, is on sale here."""
        return bool({ReviewReason.NO_PRODUCT, ReviewReason.LOW_PRESENCE} & set(self.reasons))


def score(case: Case, prediction: Prediction, milliseconds: float = 0.0) -> Score:
    """Compares a prediction with the truth.

    Args:
      case: with its truth.
      prediction: of its image.
      milliseconds: that the prediction took.

    Raises:
      ValueError: the predicted alpha is not of the picture's size.
    """
    alpha = prediction.alpha
    if alpha.shape != case.alpha.shape:
        raise ValueError(f"the prediction of {case.id!r} has shape {alpha.shape!r}; its picture {case.alpha.shape!r}")
    soft, truth = alpha / 255.0, case.alpha / 255.0
    if case.set == EMPTY:
        figures = {"coverage": float(soft.mean())}
    else:
        figures = {
            "iou": masks.intersection_over_union(alpha > 127, case.truth),
            "mae": masks.mean_absolute_error(soft, truth),
            "max_f": masks.max_f_measure(alpha, case.truth),
            "s_measure": masks.s_measure(alpha, case.truth),
        }
        if not case.doubtful:
            figures["boundary_iou"] = masks.boundary_iou(alpha > 127, case.truth)
    if case.soft:
        figures["sad"] = matting.sum_of_absolute_differences(soft, truth)
        figures["mse"] = matting.mean_squared_error(soft, truth)
        figures["gradient"] = matting.gradient_error(soft, truth)
        figures["connectivity"] = matting.connectivity_error(soft, truth)
    if case.foreground is not None:
        colours = prediction.foreground
        if colours is None:
            colours = estimate_foreground(case.image, alpha)
        figures |= _edge_colours(case, colours, soft)
    return Score(
        id=case.id,
        set=case.set,
        group=case.group,
        slices=case.slices,
        presence=prediction.presence,
        reasons=tuple(str(reason) for reason in prediction.reasons),
        figures=figures,
        milliseconds=milliseconds,
    )


def score_true_alpha(case: Case, *, estimated: bool) -> Score | None:
    """Measures edge colours alone, the alpha being right.

    Args:
      case: with its truth.
      estimated: whether colours are estimated as in the job, or left as the photo has them.

    Returns:
      The score; None where the true colours are not known.
    """
    if case.foreground is None:
        return None
    colours = estimate_foreground(case.image, case.alpha) if estimated else case.image
    figures = _edge_colours(case, colours, case.alpha / 255.0)
    return Score(case.id, case.set, case.group, case.slices, None, (), figures)


def _edge_colours(case: Case, colours: np.ndarray, alpha: np.ndarray) -> dict[str, float]:
    if case.foreground is None:
        raise AssertionError("edge colours are measured against known ones")
    truth = case.alpha / 255.0
    found = {
        "edge_on_black": matting.edge_colour_error(colours, alpha, case.foreground, truth, BLACK),
        "edge_on_green": matting.edge_colour_error(colours, alpha, case.foreground, truth, GREEN),
    }
    return {name: value for name, value in found.items() if not math.isnan(value)}


@dataclasses.dataclass(frozen=True)
class Summary:
    """A figure of a set of pictures.

    Attributes:
      value: the mean, or for ``WORST_TENTH`` the mean of the lowest tenth.
      low, high: its 95 % bootstrap interval, drawn by group.
      count: of pictures.
    """

    value: float
    low: float
    high: float
    count: int


def summarise(scores: Sequence[Score], figure: str) -> Summary | None:
    """Returns what a figure comes to, or None where no picture has it.

    Args:
      scores: of one method.
      figure: a name in ``Score.figures``, or ``WORST_TENTH``.
    """
    tail = 0.1 if figure == WORST_TENTH else None
    name = "iou" if figure == WORST_TENTH else figure
    chosen = [s for s in scores if name in s.figures]
    if not chosen:
        return None
    values = np.array([s.figures[name] for s in chosen])
    low, high = bootstrap_interval(values, groups=[s.group for s in chosen], tail=tail)
    return Summary(float(values.mean()) if tail is None else tail_mean(values, tail), low, high, len(values))


def slices_of(scores: Iterable[Score]) -> list[str]:
    """Returns the names of all slices, ``all`` first."""
    return sorted({name for s in scores for name in s.slices}, key=lambda name: (name != "all", name))
