import dataclasses
import json

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.cli import main
from pipeline.evaluation.compliance import (
    Checked,
    ComplianceConfig,
    compliance_table,
    estimate_alpha,
    evaluate_compliance,
    rebuild_alpha,
)
from pipeline.profiles import load_profile
from pipeline.records import Encoded, Photo, catalogue_row, catalogue_schema
from pipeline.sinks.assets import write_assets
from transforms.compliance import Check, Findings, check_photo
from transforms.compose import compose_photo
from transforms.encode import encode_photo
from transforms.profile import Profile

_RUN = "20261122T223000Z-3f9a1c"
SMALL = Profile("small", 240, 240)


def ellipse(frame=(300, 240), centre=(120, 150), axes=(60, 90)):
    alpha = np.zeros(frame, np.uint8)
    cv2.ellipse(alpha, centre, axes, 15, 0, 360, 255, -1, cv2.LINE_AA)
    return cv2.GaussianBlur(alpha, (0, 0), 1.0)


def photo(name, alpha):
    image = cv2.GaussianBlur(np.random.default_rng(1).integers(0, 200, (*alpha.shape, 3), np.uint8), (0, 0), 3)
    height, width = alpha.shape
    return Photo(
        id=name, source_uri=name, source_sha256="a" * 64, width=width, height=height, image=image, foreground=image,
        alpha=alpha, coverage=0.2, bbox=(1, 1, 9, 9),
    )  # fmt: skip


def done(name, alpha, profile):
    """A photo as the job leaves it before it is written."""
    composed = compose_photo(photo(name, alpha), profile)
    return check_photo(encode_photo(composed, ("packshot", "mask"), profile, "png", Encoded), profile)


@pytest.fixture
def finished(tmp_path):
    """A committed run of three photos: a good one, one cut by the frame, and one whose file was changed afterwards."""
    output, profile = tmp_path / "out", load_profile("white-square")
    rows = []
    for name, lower in (("good", 300), ("cut", 520), ("changed", 300)):
        alpha = ellipse((600, 480), (240, lower), (120, 180))  # large enough not to be enlarged too far
        written = write_assets(done(name, alpha, profile), str(output), "f" * 16, "c" * 64)
        rows.append(
            catalogue_row(written, model="m", model_sha256="c" * 64, config_fingerprint="f" * 16, packshot_version="1")
        )
    changed = output / rows[-1]["assets"][0]["uri"]
    picture = cv2.imread(str(changed))
    picture[:200, :200] = 250
    cv2.imwrite(str(changed), picture)
    folder = output / "catalogue" / _RUN
    folder.mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(rows, schema=catalogue_schema()), folder / "part-00000-of-00001.parquet")
    (output / "runs" / _RUN).mkdir(parents=True)
    config = {"input": "in", "output": str(output), "profile": "white-square"}
    (output / "runs" / _RUN / "run.json").write_text(json.dumps({"config": config}))
    (output / "LATEST").write_text(_RUN)
    return output


def test_a_run_is_checked_against_its_own_profile(finished, tmp_path):
    table, passed = evaluate_compliance(ComplianceConfig(output=str(finished), json=str(tmp_path / "all.json")))
    found = {row["id"]: row for row in json.loads((tmp_path / "all.json").read_text())}
    assert not passed
    assert found["good"]["status"] == "ready"
    assert all(found["good"]["passed"].values())
    assert found["cut"]["status"] == "review"
    assert found["cut"]["passed"]["not_cut"] is False
    assert found["cut"]["passed"]["fill"] is None
    assert found["changed"]["passed"]["ground"] is False
    assert "## white-square: 3 pictures, 2 ready, of which 1 pass every check" in table
    assert "| not_cut | 3 | 2 | 66.7% | 0 | cut |" in table
    assert "| ground | 3 | 2 | 66.7% | 1 | changed |" in table


def test_the_command_fails_only_where_it_is_asked_to(finished, capsys):
    command = ["evaluate", "compliance", "--output", str(finished)]
    assert main(command) == 0
    assert main([*command, "--strict"]) == 1
    assert "ground" in capsys.readouterr().out
    assert main([*command, "--strict", "--profile", "nowhere"]) == 2
    assert main(["evaluate", "compliance", "--profile", "jd"]) == 2
    assert "either --output" in capsys.readouterr().err


def test_pictures_of_any_origin(tmp_path):
    profile = tmp_path / "small.yaml"
    profile.write_text("width: 240\nheight: 240\n")
    (tmp_path / "shots").mkdir()
    good = done("good", ellipse(), SMALL).encoded[0].content
    (tmp_path / "shots" / "good.jpg").write_bytes(good)
    (tmp_path / "shots" / "torn.jpg").write_bytes(good[:900])
    grey = compose_photo(photo("grey", ellipse()), dataclasses.replace(SMALL, background=(240, 240, 240))).packshot
    cv2.imwrite(str(tmp_path / "shots" / "grey.png"), grey)
    (tmp_path / "shots" / "notes.txt").write_text("no picture")
    config = ComplianceConfig(pictures=str(tmp_path / "shots"), profile=str(profile), json=str(tmp_path / "all.json"))
    table, passed = evaluate_compliance(config)
    failed = {
        row["id"]: {check for check, value in row["passed"].items() if value is False}
        for row in json.loads((tmp_path / "all.json").read_text())
    }
    assert not passed
    assert failed["good.jpg"] == set()
    assert failed["grey.png"] == {"format", "colour", "ground"}
    assert "format" in failed["torn.jpg"]
    assert "estimated by flooding" in table


@settings(deadline=None, max_examples=30)
@given(x=st.integers(70, 130), y=st.integers(100, 150), ground=st.integers(0, 255), shade=st.integers(30, 225))
def test_the_product_is_found_on_any_plain_ground(x, y, ground, shade):
    truth = ellipse(frame=(250, 200), centre=(x, y))
    alpha = truth[..., None] / 255
    image = np.round(alpha * ((ground + shade) % 256) + (1 - alpha) * ground).astype(np.uint8).repeat(3, axis=2)
    found = estimate_alpha(image)
    assert set(np.unique(found)) <= {0, 1, 255}
    assert (found[truth >= 140] == 255).mean() > 0.99
    assert (found[truth == 0] < 255).all()
    assert not found[cv2.dilate(truth, np.ones((25, 25), np.uint8)) == 0].any()


def test_a_plain_picture_holds_no_product():
    assert not estimate_alpha(np.full((50, 40, 3), 255, np.uint8)).any()


def test_the_stored_mask_gives_the_canvas_alpha():
    truth = ellipse()
    composed = compose_photo(photo("a", truth), SMALL)
    np.testing.assert_array_equal(rebuild_alpha(truth, SMALL, cut=False), composed.packshot_alpha)


def test_a_table_tells_silent_failures_from_reviewed_ones():
    passed = dict.fromkeys(Check, True)
    failing = Findings({**passed, Check.FILL: False})
    checked = [Checked(f"p{i}", status, failing) for i, status in enumerate(["ready"] + ["review"] * 9)]
    table = compliance_table(checked, SMALL)
    assert "| fill | 10 | 0 | 0.0% | 1 | p0, p1, p2, p3, p4, p5 and 4 more |" in table
    assert "| ground | 10 | 10 | 100.0% | 0 |  |" in table


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "either --output"),
        ({"output": "a", "pictures": "b"}, "either --output"),
        ({"pictures": "b"}, "needs --profile"),
        ({"output": "a", "limit": 0}, "limit is 0"),
    ],
)
def test_a_wrong_config_is_named(values, message):
    with pytest.raises(ValueError, match=message):
        ComplianceConfig(**values)


def test_an_empty_folder_and_no_folder_are_named(tmp_path):
    with pytest.raises(ValueError, match="holds no picture to check"):
        evaluate_compliance(ComplianceConfig(pictures=str(tmp_path), profile="jd"))
    with pytest.raises(FileNotFoundError, match="is no folder"):
        evaluate_compliance(ComplianceConfig(pictures=str(tmp_path / "none"), profile="jd"))
