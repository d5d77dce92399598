import pytest

from models.vae.settings import RECIPES, TrainingConfig, override, read_recipe

GIVEN = {"catalogue": "photos", "cutouts": "run", "output": "out"}


@pytest.mark.parametrize("recipe", sorted(path.stem for path in RECIPES.glob("*.yaml")))
def test_every_recipe_that_comes_along_is_valid(recipe):
    config = TrainingConfig.from_mapping(override(read_recipe(recipe), GIVEN))
    assert config.articles.size == config.network.size and f"-{config.network.size}" in recipe
    assert config.articles.fit == recipe.split("-")[0]


def test_flags_take_the_place_of_the_file(tmp_path):
    (tmp_path / "mine.yaml").write_text(
        "articles: {path: photos, cutouts: run, group_column: shop}\noutput: build\nsteps: 100\n"
    )
    settings = override(read_recipe(str(tmp_path / "mine.yaml")), {"steps": 50, "id_column": "sku", "seed": None})
    config = TrainingConfig.from_mapping(settings)
    assert (config.steps, config.articles.id_column, config.articles.group_column) == (50, "sku", "shop")
    assert config.articles.cutouts == str(tmp_path / "run") and config.output == str(tmp_path / "build")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"output": "o"}, "articles.path is missing"),
        ({"articles": {"path": "p", "fit": "frame"}}, "output is missing"),
        ({"articles": {"path": "p", "fit": "frame"}, "output": "o", "stepz": 1}, "stepz"),
        ({"articles": {"path": "p", "fit": "frame"}, "output": "o", "steps": 70}, "steps=70"),
        ({"articles": {"path": "p", "fit": "frame"}, "output": "o", "loss": {"beta": -1}}, "loss.beta=-1"),
        ({"articles": {"path": "p", "fit": "frame", "size": 128}, "output": "o"}, "articles.size=128"),
    ],
)
def test_what_is_wrong_is_named(settings, words):
    with pytest.raises(ValueError, match=words):
        TrainingConfig.from_mapping(settings)


def test_the_fingerprint_follows_what_decides_the_weights():
    config = TrainingConfig.from_mapping(override(read_recipe(), GIVEN))
    other = TrainingConfig.from_mapping(override(read_recipe(), {**GIVEN, "output": "elsewhere"}))
    longer = TrainingConfig.from_mapping(override(read_recipe(), {**GIVEN, "steps": 4000}))
    assert config.fingerprint("data") == other.fingerprint("data")
    assert len({config.fingerprint("data"), config.fingerprint("other"), longer.fingerprint("data")}) == 3
