import json

import cv2
import numpy as np
import pytest

from pipeline.cli import main
from pipeline.evaluation import EvaluationConfig, evaluate_segmentation
from pipeline.evaluation.cases import EMPTY, RENDERED
from pipeline.evaluation.methods import choose_methods
from pipeline.evaluation.rendered import rendered_cases
from pipeline.samples import render_samples


def test_one_command_measures_every_set_and_every_method(data, products, capsys):
    arguments = [
        "evaluate", "segmentation", "--photos", str(data / "photos"), "--masks", str(data / "masks.parquet"),
        "--composites", products, "--composite_sources", "shop", "--composite_count", "2", "--baselines",
        "--sheet", str(data / "worst.png"), "--json", str(data / "figures.json"), "--limit", "2",
    ]  # fmt: skip
    assert main(arguments) == 0
    table = capsys.readouterr().out
    for name in (
        "packshot-seg", "packshot-seg, not refined", "GrabCut from the border", "flood fill in CIELAB",
        "seller unseen", "category hat", "source shop", "true alpha, our edge colours", "connectivity",
        "## Composites of hand-drawn cut-outs: 2", "crops of real photos", "presence below", "Area under the ROC curve",
    ):  # fmt: skip
        assert name in table
    figures = json.loads((data / "figures.json").read_text())
    assert figures["summaries"]["hand"]["flood fill in CIELAB"]["all"]["iou"]["value"] > 0.95
    assert len(figures["pictures"]["composites"]["packshot-seg"]) == 2
    assert figures["inputs"]["composite_sources"] == ["shop"]
    for name in ("hand", "composites", "composites-first", "empty"):
        assert cv2.imread(str(data / f"worst-{name}.png")) is not None


def test_traced_product_shots_are_measured_and_composed(products, traced, capsys):
    arguments = [
        "evaluate", "segmentation", "--photos", products, "--masks", traced, "--sets", "hand,composites",
        "--composites", products, "--composite_sources", "shop", "--composite_masks", traced, "--composite_count", "1",
    ]  # fmt: skip
    assert main(arguments) == 0
    printed = capsys.readouterr()
    assert "2 cut-outs can be trusted" in printed.err
    assert "## Photos with hand-drawn masks: 1" in printed.out and "source shop" in printed.out


def test_rendered_photos_have_soft_alpha_and_empty_ones_are_told_apart(tmp_path):
    render_samples(tmp_path, count=2, seed=5, processes=1)
    cases = list(rendered_cases(str(tmp_path)))
    assert {case.set for case in cases} <= {RENDERED, EMPTY}
    for case in cases:
        assert case.image.shape[:2] == case.alpha.shape and max(case.alpha.shape) <= 1000
        assert bool(case.alpha.any()) == (case.set == RENDERED) == case.soft
    with pytest.raises(FileNotFoundError, match="packshot samples"):
        list(rendered_cases(str(tmp_path / "truth")))


def test_the_job_s_own_rule_decides_what_is_empty(data):
    method = choose_methods("packshot-seg")[0]
    prediction = method.predict(np.full((120, 100, 3), 180, np.uint8))
    assert not prediction.alpha.any() and "no_product" in prediction.reasons
    assert prediction.presence < 0.5


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "nothing to measure"),
        ({"sets": ("hands",)}, "no set 'hands'; the sets are hand, composites"),
        ({"sets": ("composites",), "photos": "p"}, "'composites' needs --composites and --masks"),
        ({"sets": ("rendered",)}, "'rendered' needs --rendered"),
        ({"photos": "p", "masks": "m", "composites": "c"}, "--composites needs --composite_sources"),
        ({"photos": "p", "masks": "m", "composite_masks": "c"}, "--composite_masks needs --composites"),
        ({"rendered": "r", "limit": 0}, "limit is 0"),
        ({"rendered": "r", "composite_count": 0}, "composite_count is 0"),
        ({"rendered": "r", "seed": -1}, "seed=-1"),
    ],
)
def test_settings_that_make_no_sense_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        EvaluationConfig(**settings)


def test_sets_follow_from_what_is_given():
    hand = {"photos": "p", "masks": "m"}
    assert EvaluationConfig(**hand).chosen_sets == ("hand", "empty")
    assert EvaluationConfig(**hand, composites="c", composite_sources=("s",), rendered="r").chosen_sets == (
        "hand", "composites", "hand_composites", "rendered", "empty"
    )  # fmt: skip
    assert EvaluationConfig(rendered="r").chosen_sets == ("rendered",)


def test_unknown_models_and_the_same_twice_are_errors(data, capsys):
    with pytest.raises(ValueError, match="given twice"):
        choose_methods("packshot-seg", ("packshot-seg",))
    config = EvaluationConfig(photos=str(data / "photos"), masks=str(data / "masks.parquet"), model="none")
    with pytest.raises(ValueError, match="no segmentation model 'none'"):
        evaluate_segmentation(config)
    assert main(["evaluate", "segmentation", "--sets", "hand"]) == 2
    assert "needs --photos and --masks" in capsys.readouterr().err
