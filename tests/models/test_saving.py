import keras
import numpy as np
import pytest

from models.saving import COARSE, read_description, save_compactly


@pytest.fixture
def network():
    keras.utils.set_random_seed(0)
    return keras.Sequential([keras.Input((4,)), keras.layers.Dense(30_000)])


@pytest.mark.parametrize(("settings", "mantissa", "share"), [({}, 7, 0.55), ({"mantissa": COARSE}, 4, 0.42)])
def test_a_compact_file_holds_the_weights_nearly(network, tmp_path, settings, mantissa, share):
    before = network.get_weights()
    save_compactly(network, tmp_path / "net.keras", **settings)
    after = keras.models.load_model(tmp_path / "net.keras").get_weights()
    for own, kept, read in zip(before, network.get_weights(), after, strict=True):
        np.testing.assert_array_equal(own, kept)
        np.testing.assert_allclose(own, read, rtol=2.0 ** (-mantissa - 1), atol=0)
        assert not (read.view(np.uint32) & ((1 << (23 - mantissa)) - 1)).any()
    assert [file.name for file in tmp_path.iterdir()] == ["net.keras"]
    assert read_description(tmp_path / "net.keras") == {}
    assert (tmp_path / "net.keras").stat().st_size < share * 4 * network.count_params()


def test_a_description_is_read_back(network, tmp_path):
    save_compactly(network, tmp_path / "net.keras", {"names": ["a", "ö"]})
    assert read_description(tmp_path / "net.keras") == {"names": ["a", "ö"]}
    assert keras.models.load_model(tmp_path / "net.keras").count_params() == network.count_params()


def test_what_is_no_weight_file_is_named(tmp_path):
    (tmp_path / "net.keras").write_text("no")
    with pytest.raises(ValueError, match="net.keras' is no .keras file"):
        read_description(tmp_path / "net.keras")
