"""Tests of pipeline/colour_reference.py, with the model that is shipped."""

import json

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.cli import main
from pipeline.colour_reference import load_looks, reference_digest
from pipeline.config import RunConfig
from pipeline.planning import plan_run
from transforms.colour_transfer import EVERY_CATEGORY


def photo(ground):
    rng = np.random.default_rng(0)
    image = np.full((240, 200, 3), ground, np.float32) + rng.normal(0, 3, (240, 200, 1))
    cv2.ellipse(image, (100, 120), (50, 70), 0, 0, 360, (30, 40, 120), -1)
    return cv2.imencode(".png", np.clip(image, 0, 255).astype(np.uint8)[..., ::-1])[1].tobytes()


@pytest.fixture
def catalogue(tmp_path):
    rows = [{"id": f"h{i}", "category": "hat", "image": photo((225, 225, 225))} for i in range(3)]
    rows += [{"id": f"s{i}", "category": "shoe", "image": photo((120, 120, 120))} for i in range(3)]
    rows += [{"id": "odd", "category": "scarf", "image": photo((120, 120, 120))}]
    rows += [{"id": "broken", "category": "hat", "image": b"no picture"}]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "photos.parquet")
    return tmp_path


def test_the_command_measures_categories_and_a_run_takes_them(catalogue, capsys):
    photos, looks = str(catalogue / "photos.parquet"), str(catalogue / "looks.json")
    assert main(["reference", "--input", photos, "--output", looks, "--category_column", "category"]) == 0
    assert "7 photos, 2 categories" in capsys.readouterr().out
    read = load_looks(looks, "packshot-seg")
    assert read.keys() == {EVERY_CATEGORY, "hat", "shoe"}  # one scarf is no look
    assert read["hat"].mean[0] == pytest.approx(89.5, abs=1.5) and read["shoe"].mean[0] == pytest.approx(50.4, abs=1.5)

    config = {"input": photos, "output": str(catalogue / "out"), "colour_reference": looks}
    with pytest.raises(ValueError, match="looks of 2 categories, but --attribute_columns does not name the column"):
        plan_run(RunConfig(**config))
    assert plan_run(RunConfig(**config, attribute_columns=("category",))).looks.keys() == read.keys()


def test_a_picture_is_one_look_for_every_category(catalogue):
    picture = catalogue / "look.png"
    picture.write_bytes(photo((200, 210, 220)))
    (look,) = load_looks(str(picture), "packshot-seg").values()
    assert look.mean[0] == pytest.approx(84, abs=2) and look.mean[2] < -2


def test_the_fingerprint_follows_the_bytes_of_the_reference_and_the_way_of_transfer(catalogue):
    picture = catalogue / "look.png"
    picture.write_bytes(photo((200, 210, 220)))

    def fingerprint(**settings):
        return RunConfig(input="i", output="o", **settings).fingerprint("1")

    plain, matched = fingerprint(), fingerprint(colour_reference=str(picture))
    assert plain == fingerprint(colour_transfer="reinhard")  # without a reference it changes nothing
    assert len({plain, matched, fingerprint(colour_reference=str(picture), colour_transfer="reinhard")}) == 3
    before = reference_digest(str(picture))
    picture.write_bytes(photo((90, 90, 90)))
    assert before != reference_digest(str(picture)) and fingerprint(colour_reference=str(picture)) != matched
    assert fingerprint(neutral_backdrop=True) != plain


def test_what_is_no_reference_is_named(tmp_path, capsys):
    for name, content, message in (
        ("a.json", b"{", "is not a file that packshot reference wrote"),
        ("b.json", json.dumps({"format": "packshot colour reference 1", "categories": {"x": 3}}).encode(), "'x'"),
        ("c.png", b"rubbish", "is neither a .json file"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=message):
            load_looks(str(tmp_path / name), "packshot-seg")
    with pytest.raises(ValueError, match="cannot be read"):
        load_looks(str(tmp_path / "missing.json"), "packshot-seg")
    with pytest.raises(ValueError, match="colour_transfer='lab'"):
        RunConfig(input="i", output="o", colour_transfer="lab")
    assert main(["reference", "--input", str(tmp_path / "none"), "--output", "x", "--most", "0"]) == 2
    assert "--most=0" in capsys.readouterr().err
