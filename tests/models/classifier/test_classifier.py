import csv
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent.parent))
from articles_drawn import SHAPES, drawn  # noqa: E402

from models.articles import COLOUR_NAMES  # noqa: E402
from models.classifier import training  # noqa: E402
from models.classifier.augment import Augmentation  # noqa: E402
from models.classifier.classifier import Classifier, save_classifier  # noqa: E402
from models.classifier.network import NetworkConfig, build_network  # noqa: E402
from models.classifier.settings import RECIPES, Recipe, read_config, read_recipe  # noqa: E402
from models.classifier.training import draw_shares, fit_classifier, joined  # noqa: E402

TINY = NetworkConfig(size=16, widths=(8, 16), blocks=(0, 1))
QUICK = Recipe(
    steps=150, batch_size=32, rate=1e-2, averaging=0.9, smoothing=0, steps_per_epoch=50, network=TINY, colour_weight=1,
    augmentation=Augmentation(turn=0, scale=0.1, shift=0.05, erased=0, mixed=0),
)  # fmt: skip


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("classifier")
    network = fit_classifier(drawn(90), QUICK, seed=1, output=folder)
    save_classifier(network, folder / "shapes.keras", SHAPES)
    return network, folder


@pytest.fixture(scope="module")
def classifier(trained):
    return Classifier.load(trained[1] / "shapes.keras")


def test_shapes_are_learnt(classifier):
    unseen = drawn(60, seed=9)
    output = classifier.outputs(unseen.images)
    assert (output.probabilities.argmax(axis=1) == unseen.categories).mean() > 0.8
    assert (output.colours.argmax(axis=1) == unseen.colours).mean() > 0.6


def test_a_loaded_classifier_says_what_its_outputs_are(classifier):
    unseen = drawn(5, seed=9)
    output = classifier.outputs(unseen.images)
    assert classifier.category_names == SHAPES and classifier.colour_names == COLOUR_NAMES
    assert (classifier.size, classifier.name, len(classifier.sha256)) == (16, "shapes", 64)
    assert output.features.shape == (5, 16) and output.features.min() >= 0
    np.testing.assert_allclose(output.probabilities.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_array_equal(classifier.features(unseen.images), output.features)
    np.testing.assert_array_equal(classifier.probabilities(unseen.images), output.probabilities)


def test_a_picture_is_told_alike_in_any_company(classifier, monkeypatch):
    monkeypatch.setattr("models.classifier.classifier._BATCH", 4)
    images = drawn(11, seed=3).images
    whole = classifier.features(images)
    np.testing.assert_allclose(whole[10], classifier.features(images[10:])[0], rtol=1e-4, atol=1e-5)
    assert classifier.features(images[:0]).shape == (0, 16)


def test_curves_are_kept_and_checkpoints_are_not(trained):
    with (trained[1] / "curves.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert [line["step"] for line in lines] == ["50", "100", "150"]
    assert not list(trained[1].glob("*.h5"))


@pytest.mark.usefixtures("eager")
def test_a_stopped_training_goes_on_to_the_same_weights(tmp_path, monkeypatch, capsys):
    articles = drawn(12)
    recipe = Recipe(steps=4, batch_size=2, steps_per_epoch=2, network=NetworkConfig(16, (4,), (0,)))
    wanted = fit_classifier(articles, recipe, seed=2).get_weights()
    note = training._Progress.note

    def stopped(self, step, loss):
        note(self, step, loss)
        raise KeyboardInterrupt

    monkeypatch.setattr(training._Progress, "note", stopped)
    with pytest.raises(KeyboardInterrupt):
        fit_classifier(articles, recipe, seed=2, output=tmp_path)
    monkeypatch.setattr(training._Progress, "note", note)
    found = fit_classifier(articles, recipe, seed=2, output=tmp_path).get_weights()
    assert "goes on after step 2" in capsys.readouterr().out
    for one, other in zip(wanted, found, strict=True):
        np.testing.assert_array_equal(one, other)


def test_draws_can_be_balanced():
    categories = np.array([0, 0, 0, 1])
    np.testing.assert_allclose(draw_shares(categories, 0), 0.25)
    np.testing.assert_allclose(draw_shares(categories, 1), [1 / 6, 1 / 6, 1 / 6, 1 / 2])


def test_articles_are_joined():
    both = joined(drawn(4), drawn(3, seed=1))
    assert len(both) == 7 and both.ids[4] == "1-0"
    other = drawn(3)
    other.category_names = ("other",)
    with pytest.raises(ValueError, match="disc, cross, bar and other"):
        joined(drawn(4), other)


def test_the_network_is_of_the_size_asked_for():
    network = build_network(5, 12, TINY)
    assert network.output["category"].shape == (None, 5)
    assert network.output["features"].shape == (None, 16)
    for settings in ({"size": 20}, {"widths": ()}, {"blocks": (1,)}):
        with pytest.raises(ValueError, match=f"{next(iter(settings))}="):
            NetworkConfig(**settings)


def test_pictures_of_another_size_are_named(classifier):
    with pytest.raises(ValueError, match=r"\(4, 8, 8, 3\) were given to shapes; they must be \(n, 16, 16, 3\)"):
        classifier.outputs(np.zeros((4, 8, 8, 3), np.uint8))
    with pytest.raises(ValueError, match=r"must be \(n, 16, 16, 3\)"):
        fit_classifier(drawn(4, size=32), QUICK, seed=0)


def test_files_that_are_no_classifier_are_named(tmp_path):
    with pytest.raises(ValueError, match="there is no classifier 'nothing'"):
        Classifier.load("nothing")
    keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)]).save(tmp_path / "other.keras")
    with pytest.raises(ValueError, match="names no categories"):
        Classifier.load(tmp_path / "other.keras")


def test_flags_take_the_place_of_settings(tmp_path):
    (tmp_path / "mine.yaml").write_text("catalogue: {path: photos, cutouts: run, group_column: shop}\noutput: out\n")
    config = read_config(str(tmp_path / "mine.yaml"), {"seed": 3, "group_column": "studio", "image_column": None})
    assert config.catalogue.path == str(tmp_path / "photos")
    assert (config.catalogue.cutouts, config.output) == (str(tmp_path / "run"), str(tmp_path / "out"))
    assert (config.catalogue.group_column, config.seed) == ("studio", 3)
    assert [(s.fit, s.size, s.group_column) for s in config.sources] == [
        ("product", 64, "studio"), ("frame", 64, "studio"),
    ]  # fmt: skip


@pytest.mark.parametrize("name", [file.stem for file in RECIPES.glob("*.yaml")])
def test_recipes_that_come_along_can_be_read(name):
    config = read_config(name, {"catalogue": "photos", "cutouts": "run", "output": "out"})
    assert config.name == name and config.recipe == read_recipe(name)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"output": "out"}, "catalogue is missing"),
        ({"catalogue": "photos"}, "output is missing"),
        ({"catalogue": "photos", "output": "out"}, "cutouts is empty"),
        ({"catalogue": "photos", "output": "out", "fits": ("whole",)}, "fits.*'whole' must be one of"),
    ],
)
def test_missing_settings_are_named(flags, message):
    with pytest.raises(ValueError, match=message):
        assert read_config("article-classifier", flags).sources
