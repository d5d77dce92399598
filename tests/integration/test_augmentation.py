"""``packshot run --augment``, end to end: samples beside the packshots, and a changed plan."""

import pyarrow.parquet as pq
import pytest

from pipeline.cli import main


@pytest.fixture(scope="module")
def photos(catalogue, tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    truth = pq.read_table(catalogue / "truth.parquet").to_pylist()
    for row in [row for row in truth if not row["broken"]][:3]:
        (folder / row["id"].replace("/", "-")).write_bytes((catalogue / "images" / row["id"]).read_bytes())
    return folder


def plan(folder, text):
    path = folder / "plan.yaml"
    path.write_text(text)
    return str(path)


def test_a_changed_plan_makes_other_samples_and_no_packshot_again(packshot, photos, tmp_path, capsys):
    output, small = tmp_path / "out", "photos: all\nlongest_side: 48\n"
    first = packshot(photos, output, "--augment", plan(tmp_path, f"{small}variants: {{operations: [flip, rotate]}}"))
    assert first.status == 0
    assert first.json["augmented"]["asked"] == first.json["augmented"]["accepted"] == 3
    assert "samples   3 asked = 3 accepted + 0 missing" in capsys.readouterr().out
    report = (output / "runs" / first.run / "report.html").read_text()
    assert 'id="samples"' in report and "Photos varied by classical operations." in report
    pictures = {name: content for name, content in first.assets().items() if not name.startswith("augmented")}
    more = plan(tmp_path, f"{small}variants: {{operations: [flip, hue]}}\nbackdrops: {{count: 2}}")
    assert main(["plan", "--input", str(photos), "--output", str(output), "--augment", more]) == 0
    assert "augment   6 backdrops at most: 2 of each of 3 photos, if accepted" in capsys.readouterr().out
    again = packshot(photos, output, "--augment", more)
    assert again.status == 0 and again.json["unchanged"] == 3 and again.json["assets_written"] == 0
    assert again.json["augmented"]["asked"] == again.json["augmented"]["accepted"] == 9
    assert again.assets().items() >= pictures.items() and "segment" not in again.json["stages"]


def test_a_plan_that_is_wrong_ends_with_one_line(photos, tmp_path, capsys):
    flags = ["--input", str(photos), "--output", str(tmp_path / "out"), "--augment"]
    assert main(["run", *flags, plan(tmp_path, "variants: {count: none}")]) == 2
    error = capsys.readouterr().err
    assert "variants.count='none' must be a whole number" in error and error.count("\n") == 1
    assert main(["run", *flags, str(tmp_path / "absent.yaml")]) == 2
    assert "there is no configuration" in capsys.readouterr().err
