"""Tests of the colour evaluation: cases, methods, scores, profiles and the command."""

import json

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.cli import main
from pipeline.evaluation import colour_cases, colour_profiles, colour_scores
from pipeline.evaluation.colour import ColourConfig
from pipeline.evaluation.colour_cases import AS_IT_IS, COLOURED, NEUTRAL, UNDER_A_CAST, ColourCase, photo_cases, relight
from pipeline.evaluation.colour_methods import Correction, colour_methods
from pipeline.evaluation.colour_rendered import rendered_colour_cases
from pipeline.evaluation.colour_scores import ACTED, DELTA_E, DELTA_E_FULL, REPRODUCTION, WORSE, ColourScorer
from pipeline.evaluation.colour_transfers import structural_similarity
from pipeline.samples import render_samples
from transforms.colour import LUMINANCE
from transforms.illuminant import reproduction_error


def picture(ground, index=0):
    rng = np.random.default_rng(index)
    image = np.full((180, 140, 3), ground, np.float32) + rng.normal(0, 2, (180, 140, 1))
    mask = np.zeros((180, 140), np.uint8)
    cv2.ellipse(mask, (70, 90), (30, 45), 15 * index, 0, 360, 255, -1)
    image[mask > 0] = 125
    return np.clip(image, 0, 255).astype(np.uint8), mask


def png(image):
    return cv2.imencode(".png", image if image.ndim == 2 else image[..., ::-1])[1].tobytes()


@pytest.fixture
def catalogue(tmp_path):
    photos, masks = [], []
    for index, ground in enumerate([(200, 201, 199), (190, 190, 192), (180, 120, 60), (205, 195, 180)]):
        image, mask = picture(ground, index)
        photos.append({"id": f"p{index}", "seller": f"s{index % 3}", "split": "validation", "image": png(image)})
        masks.append({"id": f"p{index}", "mask": png(mask)})
    photos.append({"id": "other", "seller": "s9", "split": "train", "image": png(picture((1, 2, 3))[0])})
    (tmp_path / "photos").mkdir()
    pq.write_table(pa.Table.from_pylist(photos), tmp_path / "photos" / "a.parquet")
    pq.write_table(pa.Table.from_pylist(masks), tmp_path / "masks.parquet")
    return tmp_path


def make_case(light=(1.0, 1.0, 1.0), exposure=1.0):
    truth, mask = picture((190, 190, 190))
    light = np.array(light) / (np.array(light) @ LUMINANCE)
    image = relight(truth, light * exposure)
    return ColourCase("a", NEUTRAL, "s", ("all",), image, relight(truth, [exposure] * 3), exposure, light, mask > 0)


def test_the_right_gains_leave_no_error_and_none_the_whole_cast():
    case = make_case((1.1, 1.0, 0.85), exposure=0.8)
    right = ColourScorer(case).score(Correction(1 / case.light)).figures
    none = ColourScorer(case).score(Correction(np.ones(3), "none")).figures
    assert right[REPRODUCTION] < 0.01 and right[DELTA_E] < 1.2 and right[ACTED] == 1 and right[WORSE] == 0
    assert none[REPRODUCTION] > 5 and none[DELTA_E] > 3 and none[ACTED] == 0 and none[WORSE] == 0
    assert right[DELTA_E_FULL] > right[DELTA_E] + 2  # the photo is darker than the truth


def test_recolouring_a_photo_that_was_right_makes_it_worse():
    figures = ColourScorer(make_case()).score(Correction(np.array([1.1, 1.0, 0.8]))).figures
    assert figures[WORSE] == 1


def test_a_lift_of_exposure_is_no_error_of_colour():
    case = make_case(exposure=0.6)
    lifted = ColourScorer(case).score(Correction(np.full(3, 1.2), exposure=1.2)).figures
    assert lifted[DELTA_E] < 1.2 < 3 < ColourScorer(case).score(Correction(np.full(3, 1.2))).figures[DELTA_E]


def test_percentiles_and_intervals_go_by_group():
    values = np.arange(100.0)
    assert colour_scores.percentile95(values, np.ones(100)) == 94
    scores = [
        colour_scores.ColourScore(str(i), "x", str(i // 10), ("all",), None, {"f": float(i // 10)}) for i in range(100)
    ]
    found = colour_scores.interval(scores, "f")
    assert found.value == 4.5 and found.low < 3.3 and found.high > 5.7  # ten groups, not a hundred photos
    assert colour_scores.interval([], "f") is None


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10_000))
def test_drawn_lights_are_of_luminance_1_and_within_their_range(seed):
    light = colour_cases.draw_light(np.random.default_rng(seed))
    assert light @ LUMINANCE == pytest.approx(1)
    assert 1.5 < reproduction_error(light, np.ones(3)) < 17


def test_photos_are_parted_by_their_backdrops_and_neutral_ones_get_a_neutral_truth(catalogue):
    masks = {row["id"]: row for row in pq.read_table(catalogue / "masks.parquet").to_pylist()}
    cases = list(photo_cases(str(catalogue / "photos"), masks, None, split="validation", seed=0))
    assert len(cases) == 8
    by_id = {case.id: case for case in cases}
    assert by_id[f"p0, {AS_IT_IS}"].set == NEUTRAL and by_id[f"p2, {AS_IT_IS}"].set == COLOURED
    cast = by_id[f"p1, {UNDER_A_CAST}"]
    again = np.median(cast.image[:20].reshape(-1, 3) / 255, axis=0) ** 2.2
    assert reproduction_error(again, 1 / cast.light) < 1
    coloured = by_id[f"p2, {AS_IT_IS}"]
    assert np.allclose(coloured.light, 1) and np.abs(coloured.image.astype(int) - coloured.truth).mean() < 3


def test_the_classical_methods_find_a_cast_on_grey_and_ours_says_why_it_does_not_act():
    case = make_case((1.1, 1.0, 0.85))
    alpha = case.product.astype(np.uint8) * np.uint8(255)
    for method in colour_methods(reduced=0.5):
        correction = method.correct(case.image, alpha)
        if correction.abstention is None and "else" not in method.name:
            assert reproduction_error(case.light, correction.gains) < 2, method.name
    empty = colour_methods()[0].correct(case.image, np.zeros_like(alpha))
    assert empty.abstention == "no_product" and empty.gains.tolist() == [1, 1, 1]


def test_display_p3_and_adobe_rgb_are_converted_as_littlecms_does_in_double_precision():
    for name in colour_profiles.PRIMARIES:
        profile = colour_profiles.build_profile(name)
        error = colour_profiles.conversion_error(profile, 3)
        assert error.mean() < 0.25, name
        white = colour_profiles.exact_srgb(np.full((1, 3), 255, np.uint8), profile)
        assert np.allclose(white, 1, atol=2e-3)
    with pytest.raises(ValueError, match="no ICC profile"):
        colour_profiles.exact_srgb(np.zeros((1, 3), np.uint8), b"rubbish")
    with pytest.raises(FileNotFoundError, match="no .icc or .icm files"):
        colour_profiles.profile_table("/nowhere/at/all")


def test_structural_similarity_is_1_for_equal_planes_and_falls_with_contrast():
    plane = np.random.default_rng(0).uniform(20, 80, (40, 40))
    inside = np.ones((40, 40), bool)
    assert structural_similarity(plane, plane, inside) == pytest.approx(1)
    assert structural_similarity(plane, 50 + 0.3 * (plane - 50), inside) < 0.8


def test_rendered_photos_come_with_their_light(tmp_path):
    render_samples(tmp_path, count=2, seed=5, processes=1)
    cases = list(rendered_colour_cases(str(tmp_path)))
    assert cases and all(case.light @ LUMINANCE == pytest.approx(1) and case.product.any() for case in cases)


def test_one_command_measures_everything(catalogue, capsys):
    arguments = [
        "evaluate", "colour", "--photos", str(catalogue / "photos"), "--split", "validation", "--masks",
        str(catalogue / "masks.parquet"), "--made_count", "4", "--reduced", "0.3", "--sheet",
        str(catalogue / "sheet.png"), "--json", str(catalogue / "figures.json"),
    ]  # fmt: skip
    assert main(arguments) == 0
    told = capsys.readouterr().out
    for text in (
        "## Bars", "Neutral backdrop, under a cast: 2 photos", "Coloured backdrop, as it is: 1 photos", "grey edge",
        "packshot, else shades of grey at 0.3", "packshot --neutral_backdrop", "Display P3 (built)", "reinhard",
    ):  # fmt: skip
        assert text in told
    assert cv2.imread(str(catalogue / "sheet-neutral-backdrop.png")) is not None
    figures = json.loads((catalogue / "figures.json").read_text())
    assert len(figures["photos"][NEUTRAL]["grey world"]) == 4


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "nothing to measure"),
        ({"rendered": "r", "masks": "m"}, "--masks needs --photos"),
        ({"rendered": "r", "limit": 0}, "limit is 0"),
        ({"rendered": "r", "reduced": 2.0}, "reduced is 2.0"),
        ({"rendered": "r", "seed": -1}, "seed=-1"),
    ],
)
def test_settings_that_make_no_sense_are_named(given, message):
    with pytest.raises(ValueError, match=message):
        ColourConfig(**given)
