import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from models.handlers import load_segmenter
from models.segmentation.network import NetworkConfig, build_network
from pipeline.cli import main
from pipeline.export_command import FORMS
from pipeline.exporting import ExportConfig, read_photos

SIZE = 64


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    import keras

    keras.utils.set_random_seed(3)
    small = NetworkConfig(size=SIZE, stem=8, widths=(8, 8, 8, 8), blocks=(1, 1, 1, 1), decoder=(8, 8, 8, 8))
    path = tmp_path_factory.mktemp("network") / "small.keras"
    build_network(small).save(path)
    return str(path)


def drawn(index):
    """Returns a photo of an ellipse on grain, and its mask, as PNG files."""
    image = np.random.default_rng(index).integers(150, 256, (90, 70, 3), dtype=np.uint8)
    mask = np.zeros((90, 70), np.uint8)
    cv2.ellipse(mask, (35, 45), (20, 25 + index), 0, 0, 360, 255, -1)
    image[mask > 0] = (30, 40, 10 * index)
    return cv2.imencode(".png", image)[1].tobytes(), cv2.imencode(".png", mask)[1].tobytes()


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Ten photos in two files, the last of split ``validation``, and masks of two."""
    root = tmp_path_factory.mktemp("photos")
    rows = [{"id": f"p{i}", "split": "validation" if i == 9 else "train", "image": drawn(i)[0]} for i in range(10)]
    for part in range(2):
        pq.write_table(pa.Table.from_pylist(rows[5 * part : 5 * part + 5]), root / f"part-{part}.parquet")
    (root / "masks").mkdir()
    masks = [{"id": f"p{i}", "mask": drawn(i)[1]} for i in range(2)]
    pq.write_table(pa.Table.from_pylist(masks), root / "masks" / "masks.parquet")
    return root


def test_every_form_is_written_measured_and_can_be_loaded(network, photos, tmp_path, capsys):
    arguments = [
        "export", "segmentation", "--model", network, "--output", str(tmp_path),
        "--weights", "float16,int8,saved_model", "--calibration", str(photos),
        "--photos", str(photos), "--masks", str(photos / "masks"),
    ]  # fmt: skip
    assert main(arguments) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "| form | bytes | ms, 1 threads | ms, 2 threads | mean IoU | lost |"
    cells = {line.split(" | ")[0].strip("| "): line.strip("| ").split(" | ") for line in lines[2:]}
    assert list(cells) == ["float16", "int8", "saved_model"]
    assert cells["float16"][-1] == "+0.0000" and cells["saved_model"][2:4] == ["-", "-"]
    float16, int8 = (tmp_path / f"small-{SIZE}-{form}.tflite" for form in ("float16", "int8"))
    assert cells["int8"][1] == f"{int8.stat().st_size:,}" and int8.stat().st_size < float16.stat().st_size
    image = cv2.imdecode(np.frombuffer(drawn(0)[0], np.uint8), cv2.IMREAD_COLOR)[:SIZE, :SIZE]
    masks = [load_segmenter(str(path)).predict([image])[0][0] for path in (float16, int8, tmp_path / f"small-{SIZE}")]
    assert all(mask.shape == (SIZE, SIZE) for mask in masks)
    for other in masks[1:]:
        assert np.abs(masks[0].astype(int) - other).mean() < 8


def test_calibration_takes_the_files_in_turn_and_nothing_of_validation(photos, tmp_path):
    found = list(read_photos(str(photos)))
    # p0, p5, p1, p6 ...: blue says which photo it is
    assert [image[45, 35, 0] // 10 for image in found] == [0, 5, 1, 6, 2, 7, 3, 8, 4]
    (tmp_path / "deeper").mkdir()
    (tmp_path / "deeper" / "one.png").write_bytes(drawn(2)[0])
    (image,) = read_photos(str(tmp_path))
    assert image.shape == (90, 70, 3) and image[45, 35, 2] == 30


def test_a_folder_without_photos_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="holds neither pictures nor Parquet files"):
        list(read_photos(str(tmp_path)))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"model": "net.tflite"}, "model 'net.tflite' is no .keras file"),
        ({"forms": ("int4",)}, "weights='int4' is not a form of model; it has to be one of " + ", ".join(FORMS)),
        ({"forms": ("int8",)}, "weights 'int8' needs --calibration"),
        ({"photos": "p"}, "--photos and --masks belong together"),
    ],
)
def test_settings_that_make_no_sense_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        ExportConfig(**{"model": "net.keras", "output": "out", **settings})


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--model", "net.tflite"], "is no .keras file"),
        (["--model", "net.keras"], "model 'net.keras' cannot be read"),
        (["--model", "net.keras", "--weights", "int8"], "weights 'int8' needs --calibration"),
    ],
)
def test_wrong_usage_ends_in_one_line_and_status_2(flags, message, tmp_path, capsys):
    assert main(["export", "segmentation", "--output", str(tmp_path / "out"), *flags]) == 2
    said = capsys.readouterr().err
    assert message in said and said.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_too_few_calibration_photos_end_in_status_2(network, tmp_path, capsys):
    (tmp_path / "photo.png").write_bytes(drawn(1)[0])
    arguments = ["--model", network, "--output", str(tmp_path), "--weights", "int8", "--calibration", str(tmp_path)]
    assert main(["export", "segmentation", *arguments]) == 2
    assert "needs at least 8 calibration images to find the ranges from; there are 1" in capsys.readouterr().err
