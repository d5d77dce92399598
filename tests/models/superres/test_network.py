import numpy as np
import pytest

from models.superres.network import NetworkConfig, build_network, detail_branch
from models.superres.resampling import enlarge, halve

TINY = NetworkConfig(channels=4, blocks=1)


@pytest.fixture(scope="module")
def network():
    import keras

    keras.utils.set_random_seed(1)
    network = build_network(TINY)
    rng = np.random.default_rng(2)
    layer = network.get_layer("detail")
    layer.set_weights([rng.normal(0, 0.05, weights.shape) for weights in layer.get_weights()])
    return network


@pytest.fixture(scope="module")
def luma():
    return np.random.default_rng(3).integers(60, 200, (24, 40), np.uint8)


def call(model, luma):
    return np.asarray(model(luma[None, ..., None].astype(np.float32)))[0]


def test_at_first_it_is_bicubic_enlargement_that_agrees_with_its_input(luma):
    result = call(build_network(TINY), luma)[..., 0]
    assert result.shape == (48, 80)
    inner = np.s_[2 * TINY.reach : -2 * TINY.reach, 2 * TINY.reach : -2 * TINY.reach]
    np.testing.assert_allclose(result[inner], enlarge(luma, np.zeros((24, 40, 4), np.float32))[inner], atol=0.05)


def test_the_learnt_branch_with_the_fixed_rest_is_the_network(network, luma):
    whole, parts = call(network, luma)[..., 0], enlarge(luma, call(detail_branch(network), luma))
    inner = np.s_[8:-8, 8:-8]  # at the frame the network sees black
    np.testing.assert_allclose(whole[inner], parts[inner], atol=0.05)


def test_its_projection_brings_the_result_back_towards_the_input(network, luma):
    result = call(network, luma)[..., 0]
    unheld = enlarge(luma, call(detail_branch(network), luma), projections=0)
    off, before = (np.abs(halve(picture) - luma)[4:-4, 4:-4].mean() for picture in (result, unheld))
    assert before > 5 and off < 0.6 * before


def test_nothing_beyond_its_reach_matters(network, luma):
    other = luma.copy()
    other[:, 20 + TINY.reach :] = 0
    one, another = call(network, luma)[:, :40], call(network, other)[:, :40]
    np.testing.assert_array_equal(one, another)


@pytest.mark.parametrize(("field", "value"), [("channels", 0), ("blocks", -1), ("projections", -1)])
def test_a_shape_that_cannot_be_is_refused(field, value):
    with pytest.raises(ValueError, match=f"{field}={value} must be at least"):
        NetworkConfig(**{field: value})
