import json
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
import catalogue  # noqa: E402

from models.segmentation.network import NetworkConfig  # noqa: E402
from models.segmentation.train import Round, TrainingConfig, train  # noqa: E402


def test_training_writes_weights_and_curves_and_goes_on_where_it_was(tmp_path):
    data = catalogue.write(tmp_path / "data")
    config = TrainingConfig(
        clothing=str(data / "clothing"),
        products=str(data / "products"),
        masks=str(data / "masks.parquet"),
        output=str(tmp_path / "out"),
        rounds=(Round(64, 4, 1e-3), Round(64, 2, 1e-3, relabel=True)),
        batch_size=2,
        steps_per_epoch=2,
        development_percent=50,
        network=NetworkConfig(64, 8, (8, 8, 8, 8), (1, 1, 1, 1), (8, 8, 8, 8)),
    )
    exported = train(config)
    assert exported == tmp_path / "out" / "packshot-seg.tflite" and exported.stat().st_size > 0
    network = keras.models.load_model(tmp_path / "out" / "packshot-seg.keras")
    assert network.input_shape == (None, 64, 64, 3)
    lines = [json.loads(line) for line in (tmp_path / "out" / "curves.jsonl").read_text().splitlines()]
    assert [line["round"] for line in lines] == [0, 0, 1]
    assert all(np.isfinite(line["loss"]) for line in lines)
    first = network.get_weights()
    train(config)  # both rounds are finished: nothing is trained
    again = keras.models.load_model(tmp_path / "out" / "packshot-seg.keras")
    assert len((tmp_path / "out" / "curves.jsonl").read_text().splitlines()) == 3
    for a, b in zip(first, again.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_unknown_settings_are_named():
    with pytest.raises(ValueError, match="learning_speed"):
        TrainingConfig.from_mapping({"learning_speed": 1})
