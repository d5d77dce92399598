"""A photo that comes back as another file, a night later."""

import json

import cv2
import pyarrow.parquet as pq

from pipeline.cli import main
from pipeline.samples import render_samples


def test_copy_of_a_carried_over_photo_is_found(tmp_path):
    render_samples(tmp_path / "samples", count=2, seed=3)
    photos, output = tmp_path / "samples" / "images", tmp_path / "out"
    arguments = ["run", "--input", str(photos), "--output", str(output), "--outputs", "mask"]

    def night():
        assert main(arguments) == 0
        run = (output / "LATEST").read_text().strip()
        described = json.loads((output / "runs" / run / "run.json").read_text())
        return pq.read_table(output / "near_duplicates" / run).to_pylist(), described

    pairs, described = night()
    assert pairs == [] and described["near_duplicates"] == 0

    original = next(path for path in sorted(photos.rglob("*")) if path.is_file())
    picture = cv2.imread(str(original))
    copy = original.with_name("copy.jpg")
    cv2.imwrite(str(copy), cv2.resize(picture, None, fx=0.7, fy=0.7, interpolation=cv2.INTER_AREA))
    (pair,), described = night()
    by_refresh = {pair[f"refresh_{side}"]: pair[f"id_{side}"] for side in "ab"}
    assert by_refresh == {
        "new": copy.relative_to(photos).as_posix(), "unchanged": original.relative_to(photos).as_posix()
    }  # fmt: skip
    assert pair["distance"] <= 4 and pair["colour_distance"] < 3
    assert described["near_duplicates"] == 1 and described["unchanged"] == 2
