import csv
import dataclasses

import keras
import numpy as np
import pytest

from models.articles import ArticleSource
from models.handlers.enlargement import Enlarger
from models.superres import train as training
from models.superres.network import NetworkConfig
from models.superres.resampling import halve
from models.superres.settings import TrainingConfig, read_config

pytestmark = pytest.mark.usefixtures("eager")


@pytest.fixture
def photos(monkeypatch):
    rng = np.random.default_rng(0)
    lumas = np.stack([np.tile(rng.integers(0, 2, (8, 8)) * 200 + 20, (10, 10)) for _ in range(4)]).astype(np.uint8)
    monkeypatch.setattr(training, "load_lumas", lambda _: (lumas, lumas[:1]))
    return lumas


def config(folder, **changes):
    least = TrainingConfig(
        ArticleSource("photos", fit="crop", size=80), str(folder), patch=32, batch_size=2, steps=4, steps_per_epoch=2,
        network=NetworkConfig(channels=4, blocks=1),
    )  # fmt: skip
    return dataclasses.replace(least, **changes)


def test_a_training_exports_weights_that_serve_and_that_keras_reads(photos, tmp_path):
    path = training.train(config(tmp_path))
    assert path.name == "packshot-superres.tflite"
    lines = list(csv.DictReader((tmp_path / "curves.csv").open()))
    assert [line["epoch"] for line in lines] == ["0", "1"] and float(lines[-1]["development_gain_db"])
    small = halve(photos[0])
    network = keras.models.load_model(tmp_path / "packshot-superres.keras")
    whole = np.asarray(network(small[None, ..., None].astype(np.float32)))[0, ..., 0]
    served = Enlarger(path).luma(small)
    assert served.shape == (80, 80)
    np.testing.assert_allclose(served[24:-24, 24:-24], whole[24:-24, 24:-24], atol=0.3)


def test_a_stopped_training_goes_on_to_the_same_weights(photos, tmp_path, monkeypatch, capsys):
    wanted = config(tmp_path / "one")
    training.train(wanted)
    stopped = dataclasses.replace(wanted, output=str(tmp_path / "two"))
    monkeypatch.setattr(training, "_export", lambda network, output: network)
    with monkeypatch.context() as patch:
        patch.setattr(training.Checkpoints, "on_train_batch_begin", _stop_in_second_epoch, raising=False)
        with pytest.raises(KeyboardInterrupt):
            training.train(stopped)
    training.train(stopped)
    assert "goes on after epoch 1 of 2" in capsys.readouterr().out
    name = "packshot-superres.weights.h5"
    networks = [training.build_network(wanted.network) for _ in range(2)]
    for network, folder in zip(networks, ("one", "two"), strict=True):
        network.load_weights(tmp_path / folder / name)
    for a, b in zip(*(network.get_weights() for network in networks), strict=True):
        np.testing.assert_array_equal(a, b)


def _stop_in_second_epoch(callback, batch, logs=None):
    if callback.model.optimizer.iterations >= 2 and batch > 0:
        raise KeyboardInterrupt


def test_the_recipe_is_read_and_flags_take_its_place(tmp_path):
    recipe = read_config(catalogue="photos", output=str(tmp_path), steps=300)
    assert recipe.articles.path == "photos" and recipe.articles.fit == "crop" and recipe.steps == 300
    assert recipe.fingerprint() != dataclasses.replace(recipe, seed=8).fingerprint()
    assert recipe.fingerprint() == dataclasses.replace(recipe, output="elsewhere").fingerprint()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"patch": 33}, "patch=33 must be even"),
        ({"steps": 3}, "steps=3 must be a multiple of steps_per_epoch=2"),
        ({"batch_size": 0}, "batch_size=0 must be at least 1"),
        ({"rate": 0.0}, "rate=0.0 must be above zero"),
        ({"averaging": 1.0}, "averaging=1.0 must be at least 0"),
        ({"output": ""}, "output is empty"),
        ({"articles": ArticleSource("photos", fit="frame")}, "articles.fit='frame' must be 'crop'"),
    ],
)
def test_settings_that_cannot_be_are_refused(tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        config(tmp_path, **changes)


def test_without_an_output_nothing_starts():
    with pytest.raises(ValueError, match="output is missing; give it in the configuration file or as --output"):
        read_config(catalogue="photos")
