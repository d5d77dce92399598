import dataclasses

import cv2
import numpy as np
import pytest

from pipeline.evaluation.cases import COMPOSITES, EMPTY, HAND, Case
from pipeline.evaluation.methods import Prediction
from pipeline.evaluation.scores import WORST_TENTH, score, score_true_alpha, summarise
from pipeline.evaluation.tables import empty_tables, figures_of, mask_tables
from transforms.reasons import ReviewReason


@pytest.fixture
def case():
    y, x = np.mgrid[:100, :120]
    alpha = np.clip((30 - np.hypot(y - 50, x - 60)) / 4 + 0.5, 0, 1)
    colours = np.full((100, 120, 3), (180, 60, 40), np.uint8)
    image = (colours * alpha[..., None] + 220 * (1 - alpha[..., None])).round().astype(np.uint8)
    truth = np.round(alpha * 255).astype(np.uint8)
    return Case("c", COMPOSITES, "g", image, truth, ("all",), soft=True, foreground=colours)


def test_the_truth_scores_perfectly(case):
    figures = score(case, Prediction(case.alpha, case.foreground)).figures
    for name in ("iou", "boundary_iou", "max_f"):
        assert figures[name] == 1
    assert figures["s_measure"] > 0.97  # a soft edge is not quite the hard truth
    for name in ("mae", "sad", "mse", "gradient", "connectivity", "edge_on_black", "edge_on_green"):
        assert figures[name] == 0


@pytest.mark.parametrize("value", [0, 128, 255])
def test_a_constant_matte_scores_badly_in_every_figure(case, value):
    constant = np.full_like(case.alpha, value)
    figures = score(case, Prediction(constant, case.image)).figures
    assert figures["iou"] < 0.3 and figures["boundary_iou"] < 0.2 and figures["s_measure"] < 0.55
    assert figures["max_f"] < 0.4 and figures["mae"] > 0.2
    assert figures["sad"] > 200 and figures["mse"] > 100 and figures["connectivity"] > 100
    assert figures["gradient"] > 1 and max(figures["edge_on_black"], figures["edge_on_green"]) > 20


def test_a_matte_moved_by_a_few_pixels_scores_worse_everywhere(case):
    moved = cv2.warpAffine(case.alpha, np.array([[1.0, 0, 5], [0, 1, 0]]), (120, 100))
    ours, wrong = (score(case, Prediction(alpha, case.foreground)).figures for alpha in (case.alpha, moved))
    for name in ("iou", "boundary_iou", "max_f", "s_measure"):
        assert wrong[name] < ours[name] - 0.02
    for name in ("mae", "sad", "mse", "gradient", "connectivity", "edge_on_black", "edge_on_green"):
        assert wrong[name] > ours[name]


def test_estimated_colours_beat_those_of_the_photo(case):
    bare, estimated = (score_true_alpha(case, estimated=choice).figures for choice in (False, True))
    assert estimated["edge_on_black"] < 0.4 * bare["edge_on_black"]
    assert score_true_alpha(dataclasses.replace(case, foreground=None), estimated=True) is None


def test_hard_truths_give_no_matte_figures_and_doubtful_ones_no_boundary(case):
    hard = dataclasses.replace(case, set=HAND, soft=False, foreground=None, doubtful=True)
    assert set(score(hard, Prediction(hard.alpha)).figures) == {"iou", "mae", "max_f", "s_measure"}


def test_a_matte_of_another_size_is_an_error(case):
    with pytest.raises(ValueError, match="'c' has shape"):
        score(case, Prediction(case.alpha[:-1]))


def test_flags_and_what_is_left_of_empty_pictures(case):
    empty = dataclasses.replace(case, set=EMPTY, alpha=np.zeros_like(case.alpha), soft=False, foreground=None)
    missed = score(empty, Prediction(np.full_like(case.alpha, 51), presence=0.9))
    caught = score(empty, Prediction(empty.alpha, presence=0.6, reasons=(ReviewReason.LOW_PRESENCE,)))
    other = score(empty, Prediction(empty.alpha, presence=0.9, reasons=(ReviewReason.UNCERTAIN_MASK,)))
    assert (missed.flagged, caught.flagged, other.flagged) == (False, True, False)
    assert missed.figures == {"coverage": pytest.approx(0.2)}
    shown = score(case, Prediction(case.alpha, case.foreground, presence=0.97))
    table = empty_tables({COMPOSITES: {"m": [shown]}, EMPTY: {"m": [missed, caught, caught]}}, ["m"], "m")
    assert "| m | photos without a product, all | 3 | 0.0% | 66.7" in table
    assert "| m | composites of held-out sources, all | 1 | 0.0% | 0.0" in table
    assert "| 0.8 | 66.7% | 0.0% |" in table


def test_summaries_tables_and_json_agree(case):
    good, bad = (score(case, Prediction(alpha, case.foreground)) for alpha in (case.alpha, np.zeros_like(case.alpha)))
    scores = [good] * 9 + [bad]
    assert summarise(scores, "iou").value == pytest.approx(0.9)
    assert summarise(scores, WORST_TENTH).value == 0
    assert summarise(scores, "coverage") is None
    table = mask_tables(COMPOSITES, {"m": scores}, "m")
    assert "| m | 0.900 (" in table and "| all | 10 | 0.900 (" in table
    assert figures_of({COMPOSITES: {"m": scores}})["summaries"][COMPOSITES]["m"]["all"]["iou"]["value"] == 0.9
