import json

import cv2
import numpy as np
import pytest

from pipeline.cli import main
from pipeline.evaluation.cases import ALL, HAND, Case
from pipeline.evaluation.enhancement import FAULTS, EnhancementConfig, Turning, mend, turning_table
from pipeline.evaluation.enhancement_sheets import MendingSheet


@pytest.fixture(scope="module")
def case():
    y, x = np.mgrid[:160, :140]
    image = np.repeat((150 + 40 * np.sin(x / 17) * np.cos(y / 23))[..., None], 3, axis=2)
    for top in range(36, 120, 24):
        image[top : top + 12, 20:120] = (30, 40, 90)
    alpha = np.zeros((160, 140), np.uint8)
    alpha[20:140, 20:120] = 255
    image[alpha == 0] = 240
    return Case("a", HAND, "seller", image.astype(np.uint8), alpha, (ALL,))


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_known_fault_is_seen_and_mended_and_a_sound_photo_left(case, fault):
    sheets = {}
    mending = mend(case, fault, np.random.default_rng(0), sheets)
    assert (mending.id, mending.group, mending.fault) == ("a", "seller", fault.name)
    if fault.spoil is None:
        assert not mending.acted and mending.gain == 0 and not sheets
    elif fault.name in ("noise, sigma 14", "blur, sigma 3", "a sixth of the light"):
        assert mending.acted and mending.gain > 0 and list(sheets) == [fault.step]
    assert mending.acted or mending.before == mending.after


def test_turns_are_counted_against_the_photo_and_its_own_axis():
    turnings = [
        Turning("a", "s", 6.0, -4.0, own=2.0),  # stood 2 askew to the left, is straight now
        Turning("b", "s", 6.0, 0.0),
        Turning("a", "s", 0.0, 2.0, own=2.0),
        Turning("a", "model s", 0.0, 0.0, iou=0.5),
    ]
    table = turning_table(turnings)
    assert "| true matte turned by 6 | 50.0" in table and "| 2.0 / 2.0 | 0.0 / 0.0 | 0.0% |" in table
    assert "true matte, untouched: 1 | 100.0" in table and "IoU below 0.9: 1 | 0.0" in table


def test_sheets_keep_the_most_urgent(tmp_path):
    sheet = MendingSheet(kept=2)
    assert not sheet.write(tmp_path / "none.png")
    for urgency in (1.0, 3.0, 2.0):
        picture = np.full((30, 20, 3), round(60 * urgency), np.uint8)
        sheet.offer(urgency, "", (picture, picture), np.full((30, 20), 255, np.uint8))
    assert sheet.write(tmp_path / "sheet.png")
    written = cv2.imread(str(tmp_path / "sheet.png"))
    assert written[5, 5, 0] == 180 and written[5, written.shape[1] // 2 + 5, 0] == 120


def test_the_command_measures_every_step(data, capsys):
    arguments = [
        "evaluate", "enhancement", "--photos", str(data / "photos"), "--masks", str(data / "masks.parquet"),
        "--limit", "1", "--sheet", str(data / "sheet.png"), "--json", str(data / "figures.json"),
    ]  # fmt: skip
    assert main(arguments) == 0
    table = capsys.readouterr().out
    assert all(f"| {fault.name} |" in table for fault in FAULTS) and "true matte turned by 10" in table
    figures = json.loads((data / "figures.json").read_text())
    assert len(figures["mendings"]) == len(FAULTS) and figures["inputs"]["limit"] == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [({"masks": ""}, "give --photos and --masks"), ({"limit": 0}, "limit is 0"), ({"seed": -1}, "seed=-1")],
)
def test_settings_that_make_no_sense_are_named(change, message):
    with pytest.raises(ValueError, match=message):
        EnhancementConfig(**{"photos": "p", "masks": "m", **change})
