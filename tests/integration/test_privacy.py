"""The command itself on photos full of what must not get out."""

import io
import json
import re

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from pipeline.cli import main
from tests.transforms.planting import ANY, CONTAINERS, WITH_XMP, planted
from transforms.privacy import foreign_blocks, read_labels


def photo(number):
    """A dark shirt on a light floor."""
    y, x = np.mgrid[:200, :150]
    pixels = np.full((200, 150, 3), 215, np.uint8) + (((x * 7 + y * 3 + number * 5) % 9)[..., None]).astype(np.uint8)
    body = (np.abs(x - 75) < 40) & (np.abs(y - 100) < 65) | (np.abs(x - 75) < 65) & (np.abs(y - 60) < 20)
    pixels[body] = (150 - 20 * number, 30 + 15 * number, 60)
    return Image.fromarray(pixels)


@pytest.fixture(scope="module")
def finished(packshot, tmp_path_factory):
    folder = tmp_path_factory.mktemp("planted")
    rows = [
        {"id": f"{number}-{container}", "image": planted(photo(number), container, label=True), "owner": "asked for"}
        for number, container in enumerate(CONTAINERS)
    ]
    rows.append({"id": "cut", "image": planted(photo(1), "jpeg")[:2500], "owner": "asked for"})
    rows.append({"id": "no picture", "image": b"SECRET notes, not a picture", "owner": "asked for"})
    pq.write_table(pa.Table.from_pylist(rows), folder / "catalogue.parquet")
    return packshot(
        folder / "catalogue.parquet", folder / "out", "--outputs", "packshot,mask,cutout",
        "--attribute_columns", "owner",
    )  # fmt: skip


def test_nothing_planted_is_in_any_file_that_a_run_leaves(finished):
    files = [path for path in finished.output.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} == {".jpg", ".png", ".parquet", ".json", ".html", ""}
    for path in files:
        content = path.read_bytes()
        assert ANY not in content and b"S\0E\0C" not in content, path
    for table in ("catalogue", "rejections"):
        text = str(pq.read_table(finished.output / table / finished.run).to_pylist())
        assert ANY.decode() not in text
        assert table == "rejections" or "asked for" in text


def test_thumbnails_of_the_report_hold_pixels_alone(finished):
    import base64

    page = (finished.output / "runs" / finished.run / "report.html").read_text()
    pictures = re.findall(r"data:image/webp;base64,([A-Za-z0-9+/=]+)", page)
    assert len(pictures) >= 2 * len(CONTAINERS)
    for picture in pictures:
        content = base64.b64decode(picture)
        assert ANY not in content and foreign_blocks(content) == []
        assert not Image.open(io.BytesIO(content)).getexif()


def test_labels_are_in_the_catalogue_and_in_every_asset(finished):
    for row in pq.read_table(finished.output / "catalogue" / finished.run).to_pylist():
        labelled = row["id"].split("-")[-1] in WITH_XMP
        expected = "trainedAlgorithmicMedia" if labelled else "algorithmicallyEnhanced"
        assert row["digital_source_type"] == expected and row["source_credentials"] is False
        for asset in row["assets"]:
            content = (finished.output / asset["uri"]).read_bytes()
            assert read_labels(content) == (expected, False) and foreign_blocks(content) == []


def test_signed_runs_repeat_byte_for_byte_and_keep_the_key(packshot, tmp_path, capfd):
    pytest.importorskip("c2pa")
    from pipeline.credentials import verify

    certificate, key = _signer(tmp_path)
    source = tmp_path / "in"
    source.mkdir()
    for number in range(2):
        (source / f"{number}.jpg").write_bytes(planted(photo(number), "jpeg"))
    flags = ("--outputs", "packshot,mask,cutout", "--cutout_format", "webp", "--c2pa_certificate", str(certificate),
             "--c2pa_key", str(key))  # fmt: skip
    first = packshot(source, tmp_path / "first", *flags)
    again = packshot(source, tmp_path / "second", *flags)
    assert first.status == 0 and len(first.assets()) == 6
    assert first.assets() == again.assets() and first.tables() == again.tables()
    for name, content in first.assets().items():
        media_type = {"jpg": "image/jpeg", "png": "image/png", "webp": "image/webp"}[name.rsplit(".", 1)[-1]]
        assert verify(content, media_type) == [], name
        assert read_labels(content).credentials and ANY not in content
    secret = key.read_text().splitlines()[1]
    printed = capfd.readouterr()
    assert secret not in printed.out + printed.err
    for path in (tmp_path / "first").rglob("*"):
        assert not path.is_file() or secret.encode() not in path.read_bytes()
    carried = packshot(source, tmp_path / "first", *flags)
    assert carried.json["unchanged"] == 2 and carried.json["assets_written"] == 0


def test_wrong_credentials_end_before_the_job(tmp_path, capsys, catalogue):
    pytest.importorskip("c2pa")
    certificate, key = _signer(tmp_path)
    (tmp_path / "other").mkdir()
    _, other = _signer(tmp_path / "other")
    arguments = ["run", "--input", str(catalogue / "images"), "--output", str(tmp_path / "out")]
    text = key.read_text()
    for flags, says in (
        ([f"--c2pa_certificate={certificate}", f"--c2pa_key={other}"], "is not the key of"),
        ([f"--c2pa_certificate={certificate}"], "go together"),
        ([f"--c2pa_certificate={tmp_path}/none.pem", f"--c2pa_key={key}"], "cannot be read"),
        ([f"--c2pa_certificate={certificate}", f"--c2pa_key={text}"], "name the file's path"),
        ([f"--c2pa_certificate={certificate}", "--c2pa_key", text], "name the file's path"),
    ):
        assert main([*arguments, *flags]) == 2
        error = capsys.readouterr().err
        assert says in error and error.count("\n") == 1 and "BEGIN" not in error and text.splitlines()[1] not in error
    assert not (tmp_path / "out").exists()


def test_run_json_names_the_files_of_the_certificate_only(finished):
    config = json.loads((finished.output / "runs" / finished.run / "run.json").read_text())["config"]
    assert config["c2pa_certificate"] is None and config["c2pa_key"] is None and config["blur_faces"] is False


def _signer(folder):
    """Writes a self-made certificate and its key, as docs/PRIVACY.md makes them with openssl."""
    from tests.pipeline.test_credentials import KEYS, store

    made = store(folder, KEYS["P-256"]())
    return folder / made.certificate.rsplit("/", 1)[-1], folder / made.key.rsplit("/", 1)[-1]
