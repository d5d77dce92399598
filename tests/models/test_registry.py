import hashlib
import re
import shutil

import numpy as np
import pytest

from models import registry
from models.registry import DEFAULT_MODEL, MODELS, RegisteredModel, SaliencySettings, resolve_model

SIZE = 64


@pytest.mark.parametrize(
    ("fixture", "format"),
    [
        ("tflite_path", "tflite"),
        ("keras_path", "keras"),
        ("saved_model_path", "saved_model"),
        ("saliency_path", "onnx"),
    ],
)
def test_paths_of_all_formats(fixture, format, request):
    path = request.getfixturevalue(fixture)
    spec = resolve_model(str(path))
    assert (spec.format, spec.size, spec.path, spec.name) == (format, SIZE, str(path), path.stem)
    assert re.fullmatch("[0-9a-f]{64}", spec.sha256)
    assert spec.card is None and spec.accelerated is None
    if path.is_file():
        assert spec.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_names_of_the_registry(tflite_path, keras_path, monkeypatch):
    monkeypatch.setattr(registry, "_HERE", tflite_path.parent)
    monkeypatch.setitem(MODELS, "small", RegisteredModel(tflite_path.name, accelerated=keras_path.name))
    spec = resolve_model("small")
    assert (spec.name, spec.format, spec.path) == ("small", "tflite", str(tflite_path))
    assert spec.accelerated_spec().format == "keras" and spec.accelerated_spec().path == str(keras_path)
    monkeypatch.setitem(MODELS, "small", RegisteredModel(tflite_path.name, accelerated="missing.keras"))
    assert resolve_model("small").accelerated is None


def test_a_folders_hash_sees_content_and_names(saved_model_path, tmp_path):
    before = resolve_model(str(saved_model_path)).sha256
    copy = tmp_path / "elsewhere"
    shutil.copytree(saved_model_path, copy)
    assert resolve_model(str(copy)).sha256 == before
    assert resolve_model(f"{copy}/").sha256 == before
    (copy / "fingerprint.pb").rename(copy / "renamed.pb")
    assert resolve_model(str(copy)).sha256 != before


def one_line_error(name):
    with pytest.raises(ValueError) as caught:
        resolve_model(str(name))
    message = str(caught.value)
    assert "\n" not in message and repr(str(name)) in message
    return message


def test_an_unknown_name_lists_the_known_ones():
    assert f"known names are {DEFAULT_MODEL}" in one_line_error("packshot-sge")


def test_a_registered_model_without_its_file_says_where_it_looked(monkeypatch, tmp_path):
    monkeypatch.setattr(registry, "_HERE", tmp_path)
    assert str(tmp_path / MODELS[DEFAULT_MODEL].path) in one_line_error(DEFAULT_MODEL)


@pytest.mark.parametrize("name", ["broken.tflite", "broken.keras", "broken.onnx", "broken.bin", "broken.h5"])
def test_damaged_and_foreign_files(name, tmp_path):
    if name.endswith(".onnx"):
        pytest.importorskip("onnxruntime")
    (tmp_path / name).write_bytes(b"this is no model")
    assert "cannot be read" in one_line_error(tmp_path / name)


def test_a_folder_without_a_model(tmp_path):
    (tmp_path / "readme.txt").write_text("nothing")
    assert "saved_model.pb" in one_line_error(tmp_path)


def test_a_network_with_other_outputs(tmp_path):
    import keras
    import tensorflow as tf

    image = keras.Input((SIZE, SIZE, 3), batch_size=1)
    other = keras.Model(image, keras.layers.Conv2D(1, 1)(image))
    (tmp_path / "other.tflite").write_bytes(tf.lite.TFLiteConverter.from_keras_model(other).convert())
    assert "outputs 'mask' and 'presence'" in one_line_error(tmp_path / "other.tflite")
    other.export(tmp_path / "other", format="tf_saved_model", verbose=False)
    assert "must take 'image' and give 'mask' and 'presence'" in one_line_error(tmp_path / "other")


class TestSaliency:
    @pytest.fixture
    def path(self, saliency_path, tmp_path):
        return shutil.copy(saliency_path, tmp_path / "net.onnx")

    def test_defaults_come_from_the_file(self, path):
        assert resolve_model(str(path)).saliency == SaliencySettings(size=SIZE, layout="nchw")

    def test_a_yaml_beside_it_says_otherwise(self, path):
        path.with_suffix(".yaml").write_text("mean: [0.5, 0.5, 0.5]\nstd: [1, 1, 1]\noutput: logit\n")
        settings = resolve_model(str(path)).saliency
        assert (settings.mean, settings.std, settings.output) == ((0.5, 0.5, 0.5), (1, 1, 1), "logit")
        assert settings.size == SIZE

    def test_free_axes_need_a_size(self, foreign_saliency_path, tmp_path):
        path = shutil.copy(foreign_saliency_path, tmp_path / "net.onnx")
        assert "its input is of any size" in one_line_error(path)
        path.with_suffix(".yaml").write_text("size: 128\noutput_name: fine\n")
        settings = resolve_model(str(path)).saliency
        assert (settings.size, settings.output_name) == (128, "fine")
        path.with_suffix(".yaml").write_text("size: 128\noutput_name: finest\n")
        assert "output_name='finest' has to be one of coarse, fine" in one_line_error(path)

    def test_a_size_that_the_file_does_not_take(self, path):
        path.with_suffix(".yaml").write_text("size: 128")
        assert "size=128, but the file's input is [1, 3, 64, 64]" in one_line_error(path)

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("sise: 64", "unknown setting 'sise'"),
            ("output: softmax", "output='softmax' must be"),
            ("mean: [1, 2]", "three numbers"),
            ("std: [0, 1, 1]", "above zero"),
            ("size: big", "size='big' must be a positive whole number"),
            ("- a list", "net.yaml"),
        ],
    )
    def test_a_wrong_yaml_is_one_line(self, path, text, message):
        path.with_suffix(".yaml").write_text(text)
        assert message in one_line_error(path)


def test_settings_are_plain_values():
    settings = SaliencySettings(size=8)
    assert np.isclose(settings.mean, (0.485, 0.456, 0.406)).all()
