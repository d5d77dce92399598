import csv
import dataclasses
import shutil
import sys
from pathlib import Path

import cv2
import keras
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf

sys.path.insert(0, str(Path(__file__).parent))
import catalogue  # noqa: E402

from models.datasets.sources import Products  # noqa: E402
from models.segmentation import train as training  # noqa: E402
from models.segmentation.network import NetworkConfig, build_network  # noqa: E402
from models.segmentation.settings import Round, TrainingConfig  # noqa: E402
from models.segmentation.train import train  # noqa: E402

TINY = NetworkConfig(size=64, stem=4, widths=(4, 4, 4, 4), blocks=(1, 0, 0, 0), decoder=(4, 4, 4, 4))


pytestmark = pytest.mark.usefixtures("eager")  # one training below is compiled


@pytest.fixture
def compiled(eager):
    """Steps are compiled, as outside of tests."""
    tf.config.run_functions_eagerly(False)
    yield
    tf.config.run_functions_eagerly(True)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return catalogue.write(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def config(data, tmp_path_factory):
    return TrainingConfig.from_mapping({
        "catalogue": str(data / "clothing"),
        "products": str(data / "products"),
        "masks": str(data / "masks.parquet"),
        "output": str(tmp_path_factory.mktemp("out")),
        "rounds": [{"size": 64, "steps": 4, "rate": 1e-2}, {"size": 64, "steps": 2, "rate": 1e-2, "relabel": True}],
        "averaged_rounds": 2,
        "batch_size": 2,
        "steps_per_epoch": 2,
        "development_percent": 50,
        "workers": 1,
        "network": dataclasses.asdict(TINY),
    })  # fmt: skip


@pytest.fixture(scope="module")
def exported(config):
    return train(config)


def of_one_round(config, stage, **changes):
    return dataclasses.replace(config, rounds=(stage,), averaged_rounds=1, **changes)


def lines_of(config):
    with (Path(config.output) / "curves.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def weights_of(config):
    return keras.models.load_model(Path(config.output) / "packshot-seg.keras").get_weights()


def round_weights(path):
    network = build_network(TINY)
    network.load_weights(path)
    return network.get_weights()


def assert_same_weights(a, b):
    for one, other in zip(a, b, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.fixture(scope="module")
def read(config, exported):
    return training.load_examples(config)


@pytest.fixture
def sets(read, monkeypatch):
    """The data read once and no LiteRT file written, so that further trainings take little time."""
    monkeypatch.setattr(training, "load_examples", lambda _: read)
    monkeypatch.setattr("models.export.export_litert", lambda network, path, **_: path)
    return read


def test_training_exports_a_model_that_serves(config, exported):
    from ai_edge_litert.interpreter import Interpreter

    assert exported == Path(config.output) / "packshot-seg.tflite"
    interpreter = Interpreter(str(exported))
    runner = interpreter.get_signature_runner()
    answer = runner(image=np.zeros((1, 64, 64, 3), np.uint8))
    assert answer["mask"].size == 64 * 64
    network = keras.models.load_model(exported.with_suffix(".keras"))
    assert network.input_shape == (None, 64, 64, 3)
    assert {layer.dtype_policy.name for layer in network.layers} == {"float32"}


def test_the_curves_have_a_line_an_epoch(config, exported):
    lines = lines_of(config)
    assert [line["epoch"] for line in lines] == ["0", "1", "0"]
    assert [line["round"].split("-")[0] for line in lines] == ["0", "0", "1"]
    assert all(np.isfinite(float(line["loss"])) for line in lines)
    assert lines[1]["development_iou"] and not lines[0]["development_iou"]


def test_finished_rounds_are_used_again_and_said_to_be(config, sets, capsys):
    first = weights_of(config)
    train(config)
    assert "round 0: trained before" in (said := capsys.readouterr().out) and "round 1: trained before" in said
    assert len(lines_of(config)) == 3
    assert_same_weights(first, weights_of(config))


def test_other_settings_never_reuse_the_weights(config, sets, tmp_path, capsys):
    shutil.copytree(Path(config.output) / "rounds", tmp_path / "rounds")
    rounds = (config.rounds[0], Round(64, 2, 1e-4, relabel=True))
    train(dataclasses.replace(config, output=str(tmp_path), rounds=rounds))
    said = capsys.readouterr().out
    assert "round 0: trained before" in said and "round 1: trained before" not in said
    assert len(list((tmp_path / "rounds").glob("1-*.weights.h5"))) == 2


def test_a_stopped_round_goes_on_and_ends_in_the_same_weights(config, sets, tmp_path, monkeypatch, capsys):
    class Killed(Exception):
        pass

    write = training.Checkpoints.on_epoch_end

    def write_and_die(self, epoch, logs=None):
        write(self, epoch, logs)
        raise Killed

    stopped = of_one_round(config, config.rounds[0], output=str(tmp_path))
    monkeypatch.setattr(training, "_export", lambda network, development, output: output)
    monkeypatch.setattr(training.Checkpoints, "on_epoch_end", write_and_die)
    with pytest.raises(Killed):
        train(stopped)
    monkeypatch.setattr(training.Checkpoints, "on_epoch_end", write)
    train(stopped)
    assert "round 0: goes on after epoch 1 of 2" in capsys.readouterr().out
    assert [line["epoch"] for line in lines_of(stopped)] == ["0", "1"]
    (whole,), (resumed,) = (list((folder / "rounds").glob("0-*")) for folder in (Path(config.output), tmp_path))
    assert whole.name == resumed.name
    assert_same_weights(*map(round_weights, (whole, resumed)))


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_exports_float32(config, sets, tmp_path, precision):
    mixed = of_one_round(config, Round(64, 1, 1e-3), output=str(tmp_path), precision=precision)
    train(mixed)
    assert all(np.isfinite(array).all() and array.dtype == np.float32 for array in weights_of(mixed))
    assert keras.config.dtype_policy().name == "float32"


def test_weights_to_start_from_are_those_of_the_file(config, sets, exported, tmp_path):
    before = exported.with_suffix(".keras")
    started = of_one_round(config, Round(64, 1, 1e-12), init=str(before), output=str(tmp_path))
    train(started)
    old = keras.models.load_model(before).trainable_variables
    new = keras.models.load_model(tmp_path / "packshot-seg.keras").trainable_variables
    for a, b in zip(old, new, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), atol=1e-6)


def test_the_last_rounds_are_averaged(config, exported):
    first, second = map(round_weights, sorted((Path(config.output) / "rounds").glob("*.weights.h5")))
    found = weights_of(config)  # rounded to fewer bits

    def are_found(weights):
        return all(np.allclose(one, other, rtol=2**-7, atol=1e-3) for one, other in zip(weights, found, strict=True))

    assert are_found([(one + other) / 2 for one, other in zip(first, second, strict=True)])
    assert not are_found(first) and not are_found(second)


def test_weights_of_another_network_are_refused(config, tmp_path):
    with pytest.raises(ValueError, match="init='packshot-seg' does not hold weights of the network"):
        train(dataclasses.replace(config, init="packshot-seg", output=str(tmp_path)))
    with pytest.raises(ValueError, match="init='nowhere.keras' must be an existing"):
        train(dataclasses.replace(config, init="nowhere.keras", output=str(tmp_path)))


def test_an_unlabelled_catalogue_is_enough(data, tmp_path, compiled):
    bare = TrainingConfig.from_mapping({
        "catalogue": {"path": str(data / "clothing"), "split": "train"}, "output": str(tmp_path),
        "rounds": [{"size": 64, "steps": 2, "rate": 1e-3}], "batch_size": 1, "steps_per_epoch": 1, "workers": 1,
        "network": dataclasses.asdict(TINY), "tensorboard": True, "development_percent": 50,
    })  # fmt: skip
    assert train(bare).exists()
    assert list((tmp_path / "tensorboard").rglob("events.*"))


def test_photos_with_masks_are_no_seller_photos_and_groups_stay_apart(sets):
    assert not set(sets.hand.ids) & set(sets.sellers.ids)
    assert len(sets.development)
    assert not set(sets.development.groups) & {*sets.hand.groups, *sets.sellers.groups}


def test_what_a_person_approved_counts_as_drawn_by_hand_and_what_was_rejected_is_dropped(config, read, tmp_path):
    good, bad = read.sellers.ids[:2].tolist()
    mask = np.zeros((40, 30), np.uint8)
    mask[10:30, 5:25] = 255
    rows = [
        {"id": good, "verdict": "good", "mask": cv2.imencode(".png", mask)[1].tobytes()},
        {"id": bad, "verdict": "reject", "mask": None},
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "reviewed.parquet")
    sets = training.load_examples(dataclasses.replace(config, reviewed=str(tmp_path / "reviewed.parquet")))
    assert not {good, bad} & set(sets.sellers.ids)
    assert len(sets.hand) == len(read.hand) + 1 and bad not in sets.hand.ids
    (found,) = sets.hand.labels[sets.hand.ids == good]
    assert found[160, 160] == 255 and found[0, 0] == 0
    assert sets.fingerprint != read.fingerprint


def test_a_product_shot_that_only_a_person_could_cut_out_is_learnt_from(data, config, tmp_path):
    shots, file = tmp_path / "products", tmp_path / "reviewed.parquet"
    shots.mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (100, 100, 3), np.uint8)
    mask = np.zeros((100, 100), np.uint8)
    mask[20:80, 30:70] = 255
    shot = {"id": "noisy", "source": "shop0", "kind": "studio", "image": cv2.imencode(".png", noise)[1].tobytes()}
    pq.write_table(pa.Table.from_pylist([*pq.read_table(data / "products").to_pylist(), shot]), shots / "all.parquet")
    row = {"id": "noisy", "verdict": "good", "mask": cv2.imencode(".png", mask)[1].tobytes()}
    pq.write_table(pa.Table.from_pylist([row]), file)
    config = dataclasses.replace(config, products=Products(str(shots)))
    sets = training.load_examples(config)
    assert "noisy" not in {*sets.cut_outs.ids, *sets.hand.ids}
    sets = training.load_examples(dataclasses.replace(config, reviewed=str(file)))
    assert "noisy" in sets.cut_outs.ids and "noisy" in sets.hand.ids
