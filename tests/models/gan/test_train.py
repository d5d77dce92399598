import csv

import keras
import numpy as np
import pytest

from models.articles import COLOUR_NAMES, Articles
from models.gan.sampling import Sampler
from models.gan.settings import GanConfig, read_recipe
from models.gan.train import build, train

TINY = {
    "articles": {"path": "photos", "fit": "frame", "size": 16},
    "batch_size": 4,
    "steps": 4,
    "steps_per_epoch": 2,
    "network": {"size": 16, "latent": 8, "widths": [8, 8, 8], "embedding": 4},
}


pytestmark = pytest.mark.usefixtures("eager")


def config(tmp_path, **settings):
    return GanConfig.from_mapping({**TINY, "output": str(tmp_path), **settings})


@pytest.fixture(scope="module")
def articles():
    rng = np.random.default_rng(0)
    names, labels = np.arange(12).astype(str), np.arange(12, dtype=np.int32)
    images = rng.integers(0, 256, (12, 16, 16, 3)).astype(np.uint8)
    return Articles(names, names, labels % 2, labels % len(COLOUR_NAMES), images, ("coat", "hat"))


@pytest.fixture(scope="module")
def trained(articles, tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    return train(config(folder), articles)


def test_training_writes_a_generator_that_draws_from_its_labels(trained, articles):
    sampler = Sampler.load(trained)
    assert sampler.size == 16 and sampler.category_names == ("coat", "hat") and sampler.colour_names == COLOUR_NAMES
    assert len(sampler.sha256) == 64 and sampler.name == "generator"
    seeds, labels = np.array([5, 6, 7], np.uint64), np.array([0, 1, 0])
    drawn = sampler.sample(seeds, labels, labels)
    assert drawn.shape == (3, 16, 16, 3) and drawn.dtype == np.uint8
    # a picture depends on its own seed and labels, not on its neighbours in a batch
    np.testing.assert_array_equal(sampler.sample(seeds[1:2], labels[1:2], labels[1:2])[0], drawn[1])
    assert sampler.score(drawn, labels, labels).shape == (3,)
    assert sampler.sample(seeds[:0], labels[:0], labels[:0]).shape == (0, 16, 16, 3)
    with pytest.raises(ValueError, match="category 2 is none of the 2 that 'generator' knows"):
        sampler.sample(seeds, labels + 1, labels)


def test_curves_and_sheets_are_kept(trained):
    with (trained.parent / "curves.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert [line["images"] for line in lines] == ["8", "16"]
    assert all(float(line["generator_gradient"]) > 0 and float(line["discriminator_gradient"]) > 0 for line in lines)
    assert len(list((trained.parent / "sheets").iterdir())) == 2


def test_a_stopped_training_goes_on_to_the_same_weights(trained, articles, tmp_path, monkeypatch):
    from models.gan import progress

    epochs = []
    ended = progress.Watch.on_epoch_end

    def noted(self, epoch, logs=None):
        epochs.append(epoch)
        ended(self, epoch, logs)

    monkeypatch.setattr(progress.Watch, "on_epoch_end", noted)
    train(config(tmp_path, stop_after=1), articles)
    path = train(config(tmp_path), articles)
    assert epochs == [0, 1]
    one, other = (keras.models.load_model(file, compile=False).get_weights() for file in (trained, path))
    for a, b in zip(one, other, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_each_networks_loss_moves_that_network_alone(articles, tmp_path):
    from models.gan import losses
    from models.gan.feeding import ArticleBatches

    (batch,) = ArticleBatches(articles, 4, 1, 0, 1, mirrored=False, balance=0)[0]
    for silenced, moved in (("discriminator_loss", "generator"), ("generator_loss", "discriminator")):
        model = build(config(tmp_path, loss={"penalty": 0.0, "augment": []}, optimiser={"rate": 0.01}), 2)
        model(batch)
        before = {name: [v.numpy().copy() for v in getattr(model, name).trainable_variables] for name in NETWORKS}
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(losses, silenced, lambda loss, real, fake: 0.0)
            model.train_on_batch(batch)
        for name in NETWORKS:
            after = getattr(model, name).trainable_variables
            same = all(np.array_equal(a, b.numpy()) for a, b in zip(before[name], after, strict=True))
            assert same == (name != moved)


NETWORKS = ("generator", "discriminator")


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
@pytest.mark.parametrize("loss", ["relativistic", "non_saturating"])
def test_half_precision_trains(articles, tmp_path, precision, loss):
    settings = config(tmp_path, precision=precision, steps=2, loss={"loss": loss})
    sampler = Sampler.load(train(settings, articles))
    drawn = sampler.sample(np.array([5, 6], np.uint64), np.array([0, 1]), np.array([0, 1]))
    assert drawn.shape == (2, 16, 16, 3)
    line = next(csv.DictReader((tmp_path / "curves.csv").open(newline="")))
    assert float(line["discriminator_gradient"]) > 0


def test_the_discriminators_rate_is_its_own(articles, tmp_path):
    from models.gan.feeding import ArticleBatches

    (batch,) = ArticleBatches(articles, 4, 1, 0, 1, mirrored=False, balance=0)[0]
    moves = {}
    for ratio in (1.0, 3.0):
        model = build(config(tmp_path, optimiser={"ratio": ratio, "rate": 0.001}), 2)
        model(batch)
        last = [getattr(model, name).trainable_variables[-1] for name in NETWORKS]
        before = [variable.numpy().copy() for variable in last]
        model.train_on_batch(batch)
        moves[ratio] = [np.abs(v.numpy() - b).max() for v, b in zip(last, before, strict=True)]
    assert moves[3.0][0] == pytest.approx(moves[1.0][0], rel=1e-3)
    assert moves[3.0][1] == pytest.approx(3 * moves[1.0][1], rel=1e-3)


def test_the_penalty_falls_in_the_later_part(articles, tmp_path):
    settings = config(tmp_path, loss={"penalty": 0.5, "later_penalty": 0.1, "later_from": 0.5})
    assert [settings.loss.penalty_at(share) for share in (0, 0.49, 0.5, 1)] == [0.5, 0.5, 0.1, 0.1]
    assert config(tmp_path, loss={"penalty": 0.5}).loss.penalty_at(1) == 0.5
    assert config(tmp_path, loss={"penalty": 0.5, "later_penalty": 0}).loss.penalty_at(1) == 0


@pytest.mark.parametrize("recipe", ["state-64", "article-256", "dcgan-64"])
def test_the_recipes_can_be_read(recipe):
    flags = {"catalogue": "photos", "cutouts": "run", "output": "out"}
    read = GanConfig.from_mapping(read_recipe(recipe, flags))
    assert read.articles.path == "photos" and read.network.size == int(recipe.split("-")[1])


def test_the_founding_recipe_is_as_it_was_founded():
    read = GanConfig.from_mapping(read_recipe("article-256", {"catalogue": "photos", "output": "out"}))
    assert read.loss.loss == "non_saturating" and read.limit == 10_000
    assert (read.optimiser.rate, read.optimiser.rate * read.optimiser.ratio) == (2e-4, 4e-4)
    assert read.steps * read.batch_size == pytest.approx(200 * 10_000, rel=0.01)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"output": ""}, "output is missing; give it in the configuration file or as --output"),
        ({"articles": {}}, "articles.path is missing; give it in the configuration file or as --catalogue"),
        ({"articles": {"path": "p", "fit": "frame", "size": 32}}, "articles.size=32 must be network.size=16"),
        ({"batch_size": 2}, "batch_size=2 must be at least 4"),
        ({"balance": 2}, "balance=2.0 must be from 0 to 1"),
        ({"loss": {"augment": ["blur"]}}, r"loss.augment\[0\]='blur' must be one of 'colour'"),
        ({"loss": {"later_penalty": -1}}, "loss.later_penalty=-1.0 must not be below zero"),
        ({"loss": {"noise": 0}}, "loss.noise=0.0 must be above zero"),
        ({"optimiser": {"beta_1": 1}}, "optimiser.beta_1=1.0 must be at least 0 and below 1"),
        ({"steps": 0}, "steps=0 must be at least 1"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, settings, message):
    with pytest.raises(ValueError, match=message):
        config(tmp_path, **settings) if "output" not in settings else GanConfig.from_mapping({**TINY, **settings})
