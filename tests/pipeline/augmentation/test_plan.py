import pytest

from pipeline.augmentation.plan import read_enabled, read_plan
from pipeline.augmentation.prepared import describe_augmentation, prepare
from pipeline.config import RunConfig
from tests.models.fakes_of_generation import FakeGenerator


def plan(folder, text):
    path = folder / "plan.yaml"
    path.write_text(text)
    return str(path)


def test_a_plan_is_read_with_names_for_operations_and_paths_beside_it(tmp_path):
    path = plan(
        tmp_path,
        "variants: {operations: [flip, {name: rotate, strength: 5}]}\nbackdrops: {count: 3}\n"
        "balance: {to: 9}\ngenerator: weights/g.keras\nenabled_categories: enabled.yaml\n"
        "gate: {file: own.npz, class_quantile: 0.7}\nformat: jpeg\n",
    )
    read = read_plan(path)
    assert [operation.settled() for operation in read.variants.operations] == [("flip", 0.5, 1), ("rotate", 1, 5)]
    assert (read.samples_a_photo, read.format, read.gate.class_quantile) == (4, "jpeg", 0.7)
    assert read.generator == str(tmp_path / "weights/g.keras") and read.gate.file == str(tmp_path / "own.npz")
    assert read.enabled_categories == str(tmp_path / "enabled.yaml")
    named = plan(tmp_path, "balance: {to: 9, force: true}\ngenerator: state-64\n")
    assert read_plan(named).generator == "state-64"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("tfrecord: true", "asks for nothing"),
        ("variants: {count: 0}", "variants.count=0 must be at least 1"),
        ("variants: {operations: [melt]}", r"variants.operations\[0\].name='melt' must be one of 'flip'"),
        ("variants: {number: 3}", "unknown setting variants.number; known are count, operations"),
        ("backdrops: {kinds: [moon]}", "backdrops.kinds names 'moon'"),
        ("balance: {to: 5}", "balance needs a generator"),
        ("balance: {to: 5}\ngenerator: g.keras", "balance needs enabled_categories, the file of packshot evaluate"),
        ("variants: {}\nlongest_side: 3", "longest_side=3 must be at least 16"),
        ("variants: {}\nformat: tiff", "format='tiff' must be one of 'png', 'jpeg'"),
        ("variants: {}\ngate: {max_draws: 0}", "gate.max_draws=0 must be from 1 to 64"),
        ("[1]", "must be a mapping of settings, not list"),
    ],
)
def test_what_is_wrong_with_a_plan_is_named(tmp_path, text, says):
    with pytest.raises(ValueError, match=says):
        read_plan(plan(tmp_path, text))


def test_what_was_found_of_a_shipped_generator_goes_by_its_name(tmp_path):
    path = tmp_path / "plan.yaml"
    path.write_text("balance: {to: 9}\ngenerator: state-64\nenabled_categories: state-64\n")
    assert read_enabled(read_plan(str(path)).enabled_categories) == {"Shorts", "T-Shirt"}


def test_only_proved_categories_are_enabled(tmp_path):
    path = tmp_path / "enabled.json"
    path.write_text('{"a": {"difference": 2, "low": 1, "high": 3, "enabled": true}, '
                    '"b": {"difference": 2, "low": -1, "high": 3, "enabled": true}, '
                    '"c": {"difference": null, "low": null, "high": null, "enabled": false}}')  # fmt: skip
    assert read_enabled(str(path)) == {"a"}
    path.write_text('{"a": 1}')
    with pytest.raises(ValueError, match="as packshot evaluate augmentation writes it"):
        read_enabled(str(path))
    with pytest.raises(ValueError, match="cannot be read: No such file"):
        read_enabled(str(tmp_path / "none.yaml"))


def config(folder, text, **settings):
    return RunConfig(input="in", output=str(folder / "out"), augment=plan(folder, text), **settings)


def test_what_does_not_go_with_the_other_flags_is_refused_before_the_run(tmp_path):
    with pytest.raises(ValueError, match="has neither mask nor cutout; add mask"):
        prepare(config(tmp_path, "variants: {}", outputs="packshot"), version="1", photos=1)
    products = "balance: {to: 5, force: true}\ngenerator: g.keras\n"
    with pytest.raises(ValueError, match="balances by 'category', but --attribute_columns='seller'"):
        prepare(config(tmp_path, products, attribute_columns="seller"), version="1", photos=1)
    with pytest.raises(
        ValueError, match=r"no gate file '.*g\.gate\.npz' for generator .*; make one with packshot train"
    ):
        prepare(
            config(tmp_path, products, attribute_columns="category"), version="1", photos=1,
            load=lambda name: FakeGenerator(),
        )  # fmt: skip
    assert prepare(RunConfig(input="in", output="out"), version="1", photos=1) is None


def test_the_plan_says_how_many_samples_there_will_be(tmp_path):
    text = (
        "variants: {count: 2}\nbackdrops: {}\nbalance: {to: 5, force: true}\ngenerator: g.keras\ngate: {open: true}\n"
    )
    augmentation = prepare(
        config(tmp_path, text, attribute_columns="category"), version="1", photos=7,
        values=lambda column: ["hat"] * 3 + ["boots"] * 9 + ["kilt", None], load=lambda name: FakeGenerator(),
    )  # fmt: skip
    assert describe_augmentation(augmentation, 7) == [
        "14 variants at most: 2 of each of 7 photos, if ready",
        "7 backdrops at most: 1 of each of 7 photos, if ready",
        "2 generated products or more, for training only: 1 categories are filled up to 5 by fake ffffffffffff",
        "not generated, unknown_to_generator: kilt",
    ]
    assert describe_augmentation(None, 7) == []


def test_the_plan_that_comes_with_packshot_is_one():
    shipped = read_plan("classical")
    assert shipped.samples_a_photo == 3 and shipped.balance is None
    with pytest.raises(ValueError, match="give a YAML file, or one of classical"):
        read_plan("nothing")
