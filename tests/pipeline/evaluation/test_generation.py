import dataclasses
import json
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

sys.path.insert(0, str(Path(__file__).parents[2] / "models"))
sys.path.insert(0, str(Path(__file__).parent))
from articles_drawn import SHAPES, drawn  # noqa: E402
from tiny_generator import TinySampler  # noqa: E402

from models.classifier.augment import Augmentation  # noqa: E402
from models.classifier.classifier import Classifier, save_classifier  # noqa: E402
from models.classifier.network import NetworkConfig  # noqa: E402
from models.classifier.settings import Recipe  # noqa: E402
from models.classifier.training import fit_classifier  # noqa: E402
from pipeline.cli import main  # noqa: E402
from pipeline.evaluation import augmentation_gain, classification_score, generation, generators  # noqa: E402
from pipeline.evaluation.augmentation_gain import GainConfig, evaluate_gain, real_subset  # noqa: E402
from pipeline.evaluation.gain_tables import decision, gains  # noqa: E402
from pipeline.evaluation.generation import GenerationConfig, evaluate_generation  # noqa: E402
from pipeline.evaluation.generation_sheets import between, suspects  # noqa: E402
from pipeline.evaluation.generators import read_pictures, sample_like  # noqa: E402

QUICK = Recipe(
    steps=6, batch_size=16, rate=2e-2, averaging=0.8, smoothing=0,
    augmentation=Augmentation(turn=0, scale=0.1, shift=0.05, erased=0, mixed=0),
    network=NetworkConfig(size=16, widths=(8,), blocks=(0,)),
)  # fmt: skip


pytestmark = pytest.mark.usefixtures("eager")


@pytest.fixture(scope="module")
def sets():
    return {"train": drawn(60), "development": drawn(18, seed=1, groups=5), "test": drawn(24, seed=2, groups=5)}


@pytest.fixture(scope="module")
def classifier_file(sets, tmp_path_factory):
    path = tmp_path_factory.mktemp("classifier") / "shapes.keras"
    save_classifier(fit_classifier(sets["train"], QUICK, seed=0), path, SHAPES)
    return str(path)


@pytest.fixture(scope="module")
def sampler(sets):
    return TinySampler(sets["train"])


@pytest.fixture
def at_hand(sets, sampler, monkeypatch):
    """The articles, the generator and a quick recipe, in the place of files."""
    import models.datasets.articles as datasets

    monkeypatch.setattr(datasets, "load_articles", lambda source, output: sets)
    for module in (generation, augmentation_gain):
        monkeypatch.setattr(module, "load_generator", lambda path: sampler)
    monkeypatch.setattr(classification_score, "read_recipe", lambda name: QUICK)
    monkeypatch.setattr(augmentation_gain, "read_recipe", lambda name: QUICK)


def config(tmp_path, **settings):
    return GenerationConfig(**{
        "catalogue": "photos", "fit": "frame", "output": str(tmp_path), "count": 50, "k": 3, **settings
    })  # fmt: skip


def test_a_generator_is_measured_from_end_to_end(at_hand, classifier_file, tmp_path):
    wanted = config(
        tmp_path, generator="tiny.keras", classifier=classifier_file, classification_steps=3,
        sheet=str(tmp_path / "sheet.png"), json=str(tmp_path / "figures.json"),
    )  # fmt: skip
    tables = evaluate_generation(wanted)
    assert tables.startswith("# tiny (000000000000)")
    assert "| generated | 50 / 50 |" in tables
    assert "| test (other sellers) | 24 / 50 |" in tables
    assert "| half of train, against the other half | 30 / 30 |" in tables
    assert "Features of shapes" in tables and "16 px; k = 3" in tables
    assert "| set | 0 to 0.125 | 0.125 to 0.25 | 0.25 to 0.375 | 0.375 to 0.5 |" in tables
    assert "| classification accuracy score |" in tables and "| coverage within the category asked for |" in tables
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert figures["scores"]["generated"]["frechet"] > 0
    assert 0 < figures["classification"]["real"] <= 1
    half = figures["spectra"]["half of train, against the other half"]
    assert len(half) == 4 and figures["spectra"]["generated"][3] > half[3] > 0  # learnt in 25 steps, it draws noise
    assert figures["speed"] > 0
    for what in ("samples", "neighbours", "interpolations"):
        assert cv2.imread(str(tmp_path / f"sheet-{what}.png")).std() > 5


def test_training_pictures_themselves_are_found_out(at_hand, sets, classifier_file, tmp_path):
    train = sets["train"]
    names = np.array(SHAPES)[train.categories]
    np.savez(tmp_path / "copies.npz", images=train.images, categories=names)
    wanted = config(tmp_path, samples=str(tmp_path / "copies.npz"), classifier=classifier_file, count=60, spoilt=True,
                    json=str(tmp_path / "figures.json"))  # fmt: skip
    tables = evaluate_generation(wanted)
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert figures["scores"]["generated"]["frechet"] == pytest.approx(0, abs=1e-6)
    assert figures["memorised"]["features"]["share"] == figures["memorised"]["pixels"]["share"] == 1
    assert figures["same_hash"][0] == 1
    noticed = [figures["spoilt"][name]["frechet"] for name in ("as they are", "blurred, sigma 0.5", "blurred, sigma 2")]
    assert len(figures["spoilt"]) == 10 and noticed[0] < noticed[2]
    assert figures["speed"] is None and "pictures a second" not in tables


def test_generated_pictures_are_mixed_like_the_real_ones(sets, sampler):
    real = sets["train"].take(np.array([3, 1, 4]))
    found = sample_like(sampler, real, seed=5)
    np.testing.assert_array_equal(found.categories, real.categories)
    np.testing.assert_array_equal(found.images, sample_like(sampler, real, seed=5).images)
    assert not np.array_equal(found.images, sample_like(sampler, real, seed=6).images)
    other = dataclasses.replace(real, category_names=("a", "b", "c"))
    with pytest.raises(ValueError, match="tiny knows disc, cross, bar, none of which"):
        sample_like(sampler, other, seed=0)


def test_pictures_are_read_from_folders_by_category(sets, tmp_path):
    for i, name in enumerate(("bar", "disc", "disc")):
        (tmp_path / name).mkdir(exist_ok=True)
        cv2.imwrite(str(tmp_path / name / f"{i}.png"), sets["train"].images[i][..., ::-1])
    found = read_pictures(str(tmp_path), SHAPES)
    assert found.categories.tolist() == [2, 0, 0] and found.colours.tolist() == [-1] * 3
    np.testing.assert_array_equal(found.images[0], sets["train"].images[0])
    assert len(found.as_articles(SHAPES)) == 3


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (
            {"images": np.zeros((2, 8, 9, 3), np.uint8)},
            r"uint8 \(2, 8, 9, 3\); they must be uint8 \(n, size, size, 3\)",
        ),
        ({"pictures": np.zeros(3)}, "they must be uint8"),
        ({"images": np.zeros((2, 8, 8, 3), np.uint8), "categories": ["disc"]}, "another number of categories"),
        ({"images": np.zeros((1, 8, 8, 3), np.uint8), "categories": ["cube"]}, "'cube', which is not among disc"),
    ],
)
def test_arrays_that_do_not_fit_are_named(arrays, message, tmp_path):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(ValueError, match=message):
        read_pictures(str(tmp_path / "a.npz"), SHAPES)


def test_a_place_without_pictures_is_named(tmp_path):
    with pytest.raises(ValueError, match="is neither an .npz file nor a folder with pictures"):
        read_pictures(str(tmp_path), SHAPES)


def test_latents_between_are_as_long_as_their_ends():
    start, end = np.array([2.0, 0, 0]), np.array([0.0, 2, 0])
    way = between(start, end, np.linspace(0, 1, 5))
    np.testing.assert_allclose(way[[0, 4]], [start, end], atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(way, axis=1), 2, rtol=1e-6)
    np.testing.assert_allclose(between(start, start, np.array([0.5]))[0], start)


def test_the_sheet_shows_the_nearest_first():
    class Found:
        distances, threshold = np.array([5.0, 1.0, 3.0, 2.0]), 1.0

    assert suspects({"features": Found})[:2].tolist() == [1, 3]


def test_a_subset_is_balanced_and_grows():
    categories = np.array([0] * 30 + [1] * 4)
    small, large = real_subset(categories, 3, seed=1), real_subset(categories, 10, seed=1)
    assert np.bincount(categories[small]).tolist() == [3, 3]
    assert np.bincount(categories[large]).tolist() == [10, 4]
    assert set(small) <= set(large)
    assert set(small) != set(real_subset(categories, 3, seed=2))


def gain_config(tmp_path, **settings):
    return GainConfig(**{
        "catalogue": "photos", "generator": "tiny.keras", "fit": "frame", "output": str(tmp_path), "sizes": (2, 4),
        "seeds": 2, "generated": 6, "steps": 4, "decide_at": 4, **settings
    })  # fmt: skip


class Guesser:
    """In the place of a trained network: says what the pixels of some seed are like."""

    def __init__(self, seed):
        self._weights = np.random.default_rng(seed).normal(size=(16 * 16 * 3, len(SHAPES)))

    def predict(self, images, **_):
        return {"category": images.reshape(len(images), -1) @ self._weights}


def test_gain_is_measured_and_a_stopped_run_goes_on(at_hand, tmp_path, monkeypatch):
    trained, most = [], 3

    def fit(articles, recipe, *, seed, shares):
        assert shares.sum() == pytest.approx(1) and len(shares) == len(articles)
        if len(trained) == most:
            raise KeyboardInterrupt
        trained.append(len(articles))
        return Guesser(seed + len(articles))

    monkeypatch.setattr(augmentation_gain, "fit_classifier", fit)
    with pytest.raises(KeyboardInterrupt):
        evaluate_gain(gain_config(tmp_path))
    assert trained == [6, 24, 12]  # 2 x 3 real; 18 generated more; 4 x 3 real
    with (tmp_path / "trainings.jsonl").open("a") as file:
        file.write('{"setting": "cut o\n')  # as a killed process leaves it
    most = 8
    tables = evaluate_gain(gain_config(tmp_path))
    assert trained == [6, 24, 12, 30, 6, 24, 12, 30]
    assert "| test | 4 | 24 |" in tables
    enabled = yaml.safe_load((tmp_path / "enabled.yaml").read_text())
    assert set(enabled) == set(SHAPES)
    assert set(enabled["disc"]) == {"difference", "low", "high", "enabled"}
    assert evaluate_gain(gain_config(tmp_path)) == tables  # nothing is left to train


def text(tells, seed, count):
    return "".join("01"[bool(tells(i, seed))] for i in range(count))


def trainings(right):
    """Makes trainings of three seeds from what is told right: by arm a function of the photo and the seed."""
    return [
        augmentation_gain.Training(
            "s", 4, seed, arm, {"development": text(tells, seed, 18), "test": text(tells, seed, 24)}
        )
        for seed in range(3)
        for arm, tells in right.items()
    ]


def test_only_categories_that_gain_for_sure_are_enabled(sets):
    found = trainings({
        "without": lambda i, seed: i % 3 == 1,  # crosses alone
        "with": lambda i, seed: i % 3 < 2 or (i + seed) % 4 == 0,  # discs always, bars by chance
    })  # fmt: skip
    figures, text = decision(found, sets, decide_at=4)
    enabled = yaml.safe_load(text)
    assert enabled["disc"] == {"difference": 1.0, "low": 1.0, "high": 1.0, "enabled": True}
    assert enabled["cross"]["enabled"] is False and enabled["cross"]["difference"] == 0
    assert enabled["bar"]["enabled"] is False and enabled["bar"]["low"] <= 0
    whole = next(f for f in figures if f.category == "all" and f.split == "test")
    assert whole.without == pytest.approx(1 / 3) and whole.photos == 24


def test_categories_of_few_sellers_are_not_judged(sets):
    alone = dataclasses.replace(sets["development"], groups=np.array(["one"] * 18))
    found = trainings({"without": lambda i, seed: False, "with": lambda i, seed: True})
    figures = gains(found, {**sets, "development": alone})
    assert not [f for f in figures if f.split == "development"]
    assert yaml_of(found, {**sets, "development": alone})["disc"] == {
        "difference": None, "low": None, "high": None, "enabled": False,
    }  # fmt: skip


def yaml_of(found, sets):
    return yaml.safe_load(decision(found, sets, decide_at=4)[1])


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["gan", "--catalogue", "photos"], "give either generator, a file, or samples"),
        (["gan", "--catalogue", "photos", "--samples", "x", "--count", "3"], "count=3 must be at least 12"),
        (["gan", "--catalogue", "photos", "--samples", "x", "--classifier", "none"], "there is no classifier 'none'"),
        (["augmentation", "--catalogue", "p", "--generator", "g", "--sizes", "10,50"], "decide_at=25 must be one of"),
        (["augmentation", "--catalogue", "p", "--generator", "g", "--seeds", "1"], "seeds=1 must be at least 2"),
    ],
)
def test_wrong_usage_is_one_line(command, message, capsys):
    assert main(["evaluate", *command]) == 2
    said = capsys.readouterr().err
    assert message in said and said.count("\n") == 1


def test_a_classifier_of_other_categories_still_gives_features(at_hand, sets, classifier_file, tmp_path, monkeypatch):
    other = Classifier.load(classifier_file)
    other.category_names = ("hat", "shoe", "bag")
    monkeypatch.setattr(generation.Classifier, "load", lambda name: other)
    tables = evaluate_generation(config(tmp_path, generator="tiny.keras"))
    assert "taken for the category asked for" not in tables and "| generated | 50 / 50 |" in tables


def test_a_generator_is_read_by_the_sampler(monkeypatch):
    import types

    module = types.SimpleNamespace(Sampler=types.SimpleNamespace(load=lambda path: f"read {path}"))
    monkeypatch.setitem(sys.modules, "models.gan.sampling", module)
    monkeypatch.setitem(sys.modules, "models.gan", types.SimpleNamespace(sampling=module))
    assert generators.load_generator("g.keras") == "read g.keras"
