"""Training, its resumption and the exported files, with a network of a few thousand weights."""

import csv
import dataclasses
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from tiny_vae import NAMES, TINY, articles  # noqa: E402

from models.articles import DEVELOPMENT, TEST, TRAIN, ArticleSource
from models.vae import calibration, train
from models.vae.anomaly import Memory, describe_judge, load_judge
from models.vae.codec import LiteRtCodec
from models.vae.settings import TrainingConfig

NO_ARTICLES = articles(1).take(np.zeros(1, bool))


class Stopped(Exception):
    """Stands for a machine that is taken away."""


def config(output, **changes):
    settings = {
        "articles": ArticleSource("photos", fit="frame", size=16),
        "output": str(output), "steps": 6, "steps_per_epoch": 2, "batch_size": 4, "sheet_every": 2, "kl_warm_up": 3,
        "network": TINY,
    }  # fmt: skip
    return TrainingConfig(**{**settings, **changes})


@pytest.fixture(scope="module")
def splits():
    return {TRAIN: articles(24), DEVELOPMENT: articles(9, seed=1), TEST: articles(9, seed=2)}


@pytest.fixture(scope="module")
def trained(splits, tmp_path_factory):
    """A finished training: its configuration and its autoencoder."""
    settings = config(tmp_path_factory.mktemp("whole"))
    return settings, train.train_network(settings, splits)


@pytest.fixture(scope="module")
def exported(trained, splits):
    """The path of what serves."""
    settings, vae = trained
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(calibration, "pictures_of", lambda source, found: (_whole(image) for image in found.images))
        return train.export(settings, vae, splits)


def _whole(image):
    return image.repeat(4, axis=0).repeat(4, axis=1), np.full((64, 64), 255, np.uint8)


def test_curves_and_sheets_tell_how_it_went(trained):
    output = Path(trained[0].output)
    with (output / "curves.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert [line["epoch"] for line in lines] == ["0", "1", "2"]
    assert [bool(line["development_mae"]) for line in lines] == [False, True, True]
    assert {path.name for path in (output / "sheets").glob("epoch0003-*")} == {
        "epoch0003-reconstruction.png", "epoch0003-samples.png", "epoch0003-interpolation.png",
    }  # fmt: skip


def test_a_stopped_training_ends_in_the_same_weights(trained, splits, tmp_path, monkeypatch):
    settings = config(tmp_path)
    splits = {**splits, DEVELOPMENT: NO_ARTICLES}  # measuring takes long, and leaves no trace in the weights
    kept = train.Checkpoints.on_epoch_end

    def stop(self, epoch, logs=None):
        kept(self, epoch, logs)
        if epoch == 1:
            raise Stopped

    monkeypatch.setattr(train.Checkpoints, "on_epoch_end", stop)
    with pytest.raises(Stopped):
        train.train_network(settings, splits)
    monkeypatch.undo()
    resumed = train.train_network(settings, splits)
    for one, other in zip(resumed.get_weights(), trained[1].get_weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_what_was_trained_is_not_trained_again(trained, splits, capsys):
    again = train.train_network(trained[0], splits)
    assert "trained before" in capsys.readouterr().out
    for one, other in zip(again.get_weights(), trained[1].get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_exported_file_says_what_the_network_says(trained, exported, splits):
    network, codec = train.NetworkCodec(trained[1]), LiteRtCodec.load(exported)
    images = splits[TEST].images
    latents, made = codec.reconstruct(images)
    assert (codec.size, codec.latent) == (16, TINY.latent)
    np.testing.assert_allclose(latents, network.encode(images), atol=0.1 * network.encode(images).std() + 0.02)
    assert np.abs(made.astype(int) - network.decode(latents)).mean() < 4
    np.testing.assert_array_equal(codec.decode(latents), made)
    loaded = keras.models.load_model(Path(exported).with_suffix(".keras"))
    np.testing.assert_allclose(train.NetworkCodec(loaded).encode(images), network.encode(images), atol=1e-5)


def test_what_was_exported_judges(exported, splits):
    judge = load_judge(str(exported))
    found = judge.judge(splits[TEST].images, ["Dress", None, "unheard of"] * 3)
    assert np.isfinite(found.score).all()
    assert np.isfinite(found.category_doubt[::3]).all() and np.isnan(found.category_doubt[1::3]).all()
    spec = describe_judge(str(exported))
    assert (spec.size, spec.sha256) == (16, judge.sha256)


def test_without_development_articles_there_are_no_thresholds(trained, splits, tmp_path):
    settings = dataclasses.replace(trained[0], output=str(tmp_path))
    path = train.export(settings, trained[1], {**splits, DEVELOPMENT: NO_ARTICLES})
    memory = Memory.from_bytes(path.with_suffix(".npz").read_bytes())
    assert memory.names == NAMES and memory.general is None
    with pytest.raises(ValueError, match="no thresholds"):
        describe_judge(str(path))
