import keras
import numpy as np
import pytest

from models.export import (
    ServingModule,
    export_litert,
    export_saved_model,
    fold_batch_normalisation,
    largest_difference,
    resized,
)
from models.handlers import load_segmenter
from models.segmentation.network import NetworkConfig, build_network

SIZE = 64


@pytest.fixture(scope="module")
def images():
    coarse = np.random.default_rng(0).integers(0, 256, (12, 8, 8, 3), dtype=np.uint8)
    return coarse.repeat(SIZE // 8, axis=1).repeat(SIZE // 8, axis=2)


class TestFolding:
    def test_same_function_without_normalisations(self, network, images):
        before = [np.array(weight) for weight in network.get_weights()]
        folded = fold_batch_normalisation(network)
        assert not any(isinstance(layer, keras.layers.BatchNormalization) for layer in folded.layers)
        expected = network.predict_on_batch(images.astype(np.float32))
        for name, answer in folded.predict_on_batch(images.astype(np.float32)).items():
            np.testing.assert_allclose(answer, expected[name], rtol=1e-4, atol=1e-4)
        for weight, other in zip(network.get_weights(), before, strict=True):
            np.testing.assert_array_equal(weight, other)

    def test_what_cannot_be_folded_stays(self):
        image = keras.Input((8, 8, 3))
        shared = keras.layers.Conv2D(4, 1)(image)
        first = keras.layers.BatchNormalization()(shared)
        active = keras.layers.Conv2D(4, 1, activation="relu")(image)
        second = keras.layers.BatchNormalization()(active)
        bare = keras.layers.BatchNormalization()(image)
        with_bias = keras.layers.BatchNormalization(scale=False, center=False)(keras.layers.Conv2D(4, 1)(image))
        model = keras.Model(image, [keras.layers.Add()([first, shared]), second, bare, with_bias])
        for layer in model.layers:
            rng = np.random.default_rng(len(layer.name))
            layer.set_weights([rng.uniform(0.5, 2, weight.shape) for weight in layer.get_weights()])
        folded = fold_batch_normalisation(model)
        assert sum(isinstance(layer, keras.layers.BatchNormalization) for layer in folded.layers) == 3
        pixels = np.random.default_rng(1).normal(0, 1, (2, 8, 8, 3)).astype(np.float32)
        for answer, expected in zip(folded.predict_on_batch(pixels), model.predict_on_batch(pixels), strict=True):
            np.testing.assert_allclose(answer, expected, rtol=1e-4, atol=1e-5)


def test_float16_answers_as_keras_does(network, images, tflite_path):
    assert largest_difference(network, load_segmenter(str(tflite_path)), images) <= 2
    assert tflite_path.stat().st_size < 2 * network.count_params() + 60_000


def test_float32_answers_as_keras_does(network, images, tmp_path):
    path = export_litert(network, tmp_path / "net.tflite", weights="float32")
    assert largest_difference(network, load_segmenter(str(path)), images) <= 1


def test_int8_is_close(network, images, tflite_path, tmp_path):
    path = export_litert(network, tmp_path / "net.tflite", weights="int8", calibration=lambda: images)
    masks, presences = load_segmenter(str(path)).predict(images)
    expected, expected_presences = load_segmenter(str(tflite_path)).predict(images)
    assert np.abs(masks.astype(int) - expected).mean() < 6
    assert np.abs(presences.astype(int) - expected_presences).max() < 20


def test_dynamic_ranges_are_close_in_fewer_bytes(network, images, tmp_path):
    path = export_litert(network, tmp_path / "net.tflite", weights="dynamic")
    masks, _ = load_segmenter(str(path)).predict(images)
    assert largest_difference(network, load_segmenter(str(path)), images) < 40
    assert masks.std() > 2
    whole = export_litert(network, tmp_path / "whole.tflite", weights="float32")
    # of so small a network the graph is most of the file, and kernels of under 1,024 numbers stay as they are
    assert path.stat().st_size < whole.stat().st_size - 10_000


def test_another_size_keeps_the_weights():
    small = build_network(NetworkConfig(size=64))
    larger = resized(small, 96)
    assert larger.input_shape == (None, 96, 96, 3)
    for weight, other in zip(small.get_weights(), larger.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, other)


def test_another_size_of_another_network_is_refused(network):
    with pytest.raises(ValueError, match="cannot be rebuilt for size 96: .* export it at its own size, 64"):
        resized(network, 96)


def test_saved_model_answers_as_keras_does(network, images, tmp_path):
    path = export_saved_model(network, tmp_path / "net")
    assert largest_difference(network, load_segmenter(str(path), batch_size=12), images) <= 1


def test_masks_cover_the_frame_and_vary(images, tflite_path):
    masks, presences = load_segmenter(str(tflite_path)).predict(images)
    assert masks.shape == (12, SIZE, SIZE) and masks.dtype == np.uint8
    assert presences.shape == (12,) and presences.dtype == np.uint8
    assert masks.std() > 2  # or the comparisons above would mean nothing


def test_export_is_reproducible(network, tflite_path, tmp_path):
    assert export_litert(network, tmp_path / "again.tflite").read_bytes() == tflite_path.read_bytes()


class TestWrongUse:
    def test_weights(self, network, tmp_path):
        with pytest.raises(ValueError, match="weights='int4' must be 'float16', 'float32', 'int8' or 'dynamic'"):
            export_litert(network, tmp_path / "net.tflite", weights="int4")

    def test_int8_without_images(self, network, tmp_path):
        with pytest.raises(ValueError, match="needs at least 8 calibration images .* there are 0"):
            export_litert(network, tmp_path / "net.tflite", weights="int8")

    def test_int8_with_images_of_another_size(self, network, tmp_path):
        wrong = [np.zeros((SIZE, 32, 3), np.uint8)] * 8
        with pytest.raises(ValueError, match=r"calibration image is uint8 \(64, 32, 3\)"):
            export_litert(network, tmp_path / "net.tflite", weights="int8", calibration=lambda: wrong)

    def test_other_outputs(self):
        image = keras.Input((SIZE, SIZE, 3))
        model = keras.Model(image, {"mask": keras.layers.Conv2D(1, 1)(image)})
        with pytest.raises(ValueError, match=r"gives \['mask'\]; to export it, it must give"):
            ServingModule(model)

    def test_other_input(self):
        image = keras.Input((SIZE, 32, 3))
        mask = keras.layers.Conv2D(1, 1)(image)
        model = keras.Model(image, {"mask": mask, "presence": keras.layers.GlobalAveragePooling2D()(mask)})
        with pytest.raises(ValueError, match="must take"):
            ServingModule(model)
