"""Tests of pipeline/evaluation/colour_belief.py."""

import cv2
import numpy as np
import pytest

from pipeline.evaluation.colour_belief import fit_belief, fit_logistic
from pipeline.evaluation.colour_cases import NEUTRAL, ColourCase, relight
from transforms.backdrop import _WEIGHTS


def test_weights_follow_what_tells_good_from_bad_and_leave_the_rest():
    rng = np.random.default_rng(0)
    features = rng.normal(5, 2, (400, 2))
    good = features[:, 0] + rng.normal(0, 0.5, 400) > 5
    bias, slopes = fit_logistic(features, good, np.ones(400))
    assert slopes[0] > 5 * abs(slopes[1])
    assert ((features @ slopes + bias > 0) == good).mean() > 0.9


def make_case(index, paint, light):
    rng = np.random.default_rng(index)
    mask = np.zeros((96, 80), np.uint8)
    cv2.ellipse(mask, (40, 48), (18, 26), 0, 0, 360, 255, -1)
    truth = np.where(mask[..., None] > 0, rng.integers(60, 200, 3), paint) + rng.normal(0, 3, (96, 80, 1))
    truth = np.clip(truth, 0, 255).astype(np.uint8)
    image = relight(truth, light)
    return ColourCase(str(index), NEUTRAL, "s", ("all",), image, truth, 1.0, np.array(light), mask > 0)


def test_the_table_names_the_evidence_of_the_backdrop():
    cool, warm = (0.88, 1.0, 1.1), (1.1, 1.0, 0.88)
    cases = [make_case(i, (190, 190, 190), (cool, warm)[i % 2]) for i in range(6)]
    cases += [make_case(i, ((165, 180, 195), (205, 190, 175))[i % 2], (1.0, 1.0, 1.0)) for i in range(6, 12)]
    masks = {case.image.tobytes(): case.product.astype(np.uint8) * np.uint8(255) for case in cases}
    told = fit_belief(cases, lambda image: masks[image.tobytes()])
    assert all(name in told for name in _WEIGHTS)
    assert "Bias: cool" in told and "12 photos" in told
    with pytest.raises(ValueError, match="too few, or all alike"):
        fit_belief(cases[:6], lambda image: masks[image.tobytes()])
