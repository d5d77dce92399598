import hashlib
import json

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.cli import main

SIDE = 256


def is_held_out(group):
    """Whether the articles' own rule puts a seller into the test split."""
    return int(hashlib.sha256(f"articles {group}".encode()).hexdigest()[:8], 16) % 100 < 25


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory):
    """Five photos of circles: three of two sellers to report on, two of one to train on."""
    names = [f"seller{n}" for n in range(40)]
    held_out, trained = [n for n in names if is_held_out(n)][:2], [n for n in names if not is_held_out(n)][-1]
    rows = []
    for number, seller in enumerate([held_out[0], held_out[0], held_out[1], trained, trained]):
        photo = np.full((SIDE, SIDE, 3), 210, np.uint8)
        for radius in range(20, 120, 11):
            cv2.circle(photo, (128, 100 + 20 * number), radius, (40 + radius, 90, 200 - radius), 2, cv2.LINE_AA)
        content = cv2.imencode(".png", photo)[1].tobytes()
        rows.append({"id": f"p{number}", "seller": seller, "category": "hat", "image": content})
    path = tmp_path_factory.mktemp("data") / "photos.parquet"
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


def test_photos_of_unseen_sellers_are_measured_and_shown(catalogue, tmp_path, capsys):
    flags = ["--sheet", str(tmp_path / "sheet.png"), "--json", str(tmp_path / "all.json")]
    assert main(["evaluate", "superres", "--catalogue", str(catalogue), *flags]) == 0
    out = capsys.readouterr().out
    assert "3 photos of 2 sellers, split test" in out and "ms of processor a megapixel" in out
    figures = json.loads((tmp_path / "all.json").read_text())["photos"]
    halved = [f for f in figures if f["shrinking"] == "halved, antialiased bicubic"]
    assert [f["id"] for f in halved] == ["p0", "p1", "p2"]
    assert all(f["gain"] > 0.3 and f["ssim"] > f["bicubic_ssim"] and f["agreement"] > 42 for f in halved)
    assert all(f["psnr"] == pytest.approx(f["bicubic_psnr"] + f["gain"]) for f in figures)
    assert cv2.imread(str(tmp_path / "sheet.png")).shape[1] > 1000


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--limit", "0"], "limit is 0; it must be at least 1"),
        (["--model", "none.tflite"], "super-resolution model 'none.tflite' cannot be read"),
        (["--split", "development"], "split 'development' of"),
    ],
)
def test_what_cannot_be_measured_is_named(catalogue, capsys, flags, message):
    assert main(["evaluate", "superres", "--catalogue", str(catalogue), *flags]) == 2
    assert message in capsys.readouterr().err
