import pytest

from models.segmentation.network import NetworkConfig
from models.segmentation.settings import Round, TrainingConfig, override, read_recipe, round_fingerprint

LEAST = {"catalogue": "photos", "output": "out"}


def test_a_path_and_an_output_are_enough():
    config = TrainingConfig.from_mapping(LEAST)
    assert config.catalogue.path == "photos" and config.products is None
    assert config.sources.catalogue is config.catalogue


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"output": ""}, "output is missing"),
        ({"catalogue": ""}, "catalogue is missing"),
        ({"learning_speed": 1}, "unknown setting learning_speed; known are"),
        ({"mix": {"selers": 1}}, "unknown setting mix.selers; known are"),
        ({"rounds": [{"size": 160, "steps": 1, "rate": 1}, {"size": 160}]}, r"rounds\[1\].steps is missing"),
        ({"rounds": [{"size": 100, "steps": 1, "rate": 1}]}, r"rounds\[0\].size=100 must be a multiple of 32"),
        ({"rounds": []}, "rounds="),
        ({"rounds": 3}, "rounds=3 must be a list"),
        ({"precision": "bf16"}, "precision='bf16' must be one of 'float32'"),
        ({"batch_size": 0}, "batch_size=0 must be at least 1"),
        ({"batch_size": 1.5}, "batch_size=1.5 must be a whole number"),
        ({"averaging": 1}, "averaging=1.0 must be at least 0 and below 1"),
        ({"tensorboard": "yes"}, "tensorboard='yes' must be true or false"),
        ({"catalogue": {"path": "p", "limit": 0}}, "catalogue.limit=0 must be at least 1"),
        ({"catalogue": {"id_column": "sku"}}, "catalogue.path is missing"),
        ({"products": 5}, "products=5 must be a mapping"),
        ({"network": {"widths": [1, 2]}}, r"network.widths=\[1, 2\] must be a list of 4"),
        ({"network": {"size": 33}}, "network.size=33 must be"),
    ],
)
def test_what_is_wrong_is_named_with_its_value(settings, message):
    with pytest.raises(ValueError, match=message):
        TrainingConfig.from_mapping({**LEAST, **settings})


def test_numbers_that_yaml_takes_for_text_are_numbers():
    config = TrainingConfig.from_mapping({**LEAST, "rounds": [{"size": 64, "steps": 1, "rate": "1e-3"}]})
    assert config.rounds == (Round(64, 1, 1e-3),)


def test_the_default_recipe_is_read_by_name():
    config = TrainingConfig.from_mapping({**read_recipe("packshot-seg"), **LEAST})
    assert config.rounds and isinstance(config.network, NetworkConfig)
    assert TrainingConfig.from_mapping({**read_recipe("fine-tune"), **LEAST}).init == "packshot-seg"
    with pytest.raises(ValueError, match="there is no configuration 'mine'; give a YAML file, or one of fine-tune"):
        read_recipe("mine")


def test_paths_are_relative_to_the_file_and_flags_override(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text(
        "catalogue: {path: photos, group_column: shop}\nproducts: gs://bucket/products\nmasks: /data/m.parquet\n"
        "output: out\ninit: start.keras\n"
    )
    settings = read_recipe(str(file))
    assert settings["catalogue"] == {"path": str(tmp_path / "photos"), "group_column": "shop"}
    assert settings["products"] == "gs://bucket/products" and settings["masks"] == "/data/m.parquet"
    assert settings["output"] == str(tmp_path / "out") and settings["init"] == str(tmp_path / "start.keras")
    flags = {"catalogue": "others", "id_column": "sku", "output": None, "seed": 3, "config": str(file)}
    merged = override(settings, flags)
    assert merged["catalogue"] == {"path": "others", "group_column": "shop", "id_column": "sku"}
    assert merged["output"] == str(tmp_path / "out") and merged["seed"] == 3
    TrainingConfig.from_mapping(merged)


@pytest.mark.parametrize(("text", "message"), [("a: [", "is not YAML"), ("- a", "must be a mapping of settings")])
def test_files_that_are_no_settings_are_refused(tmp_path, text, message):
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_recipe(str(tmp_path / "mine.yaml"))


def test_only_what_decides_a_round_changes_its_fingerprint():
    def fingerprint(number=0, data="d", **settings):
        rounds = [{"size": 64, "steps": 1, "rate": 1e-3}, {"size": 96, "steps": 1, "rate": 1e-3}]
        return round_fingerprint(TrainingConfig.from_mapping({**LEAST, "rounds": rounds, **settings}), number, data)

    assert fingerprint() == fingerprint(output="elsewhere", workers=4, tensorboard=True, network={"size": 64})
    assert fingerprint() == fingerprint(rounds=[{"size": 64, "steps": 1, "rate": 1e-3}])
    others = {
        fingerprint(1), fingerprint(data="e"), fingerprint(seed=1), fingerprint(mix={"hand": 0.5}),
        fingerprint(batch_size=2), fingerprint(precision="mixed_bfloat16"), fingerprint(averaging=0.9),
    }  # fmt: skip
    assert len(others) == 7 and fingerprint() not in others
