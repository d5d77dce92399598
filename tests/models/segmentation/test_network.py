import dataclasses

import numpy as np
import pytest

from models.segmentation.network import NetworkConfig, build_network

SMALL = NetworkConfig(size=64, stem=8, widths=(8, 8, 8, 8), blocks=(1, 1, 1, 1), decoder=(8, 8, 8, 8))


def test_logits_have_the_documented_shapes():
    network = build_network(SMALL)
    logits = network(np.zeros((2, 64, 64, 3), np.float32))
    assert logits["mask"].shape == (2, 32, 32, 1)
    assert logits["coarse"].shape == (2, 8, 8, 1)
    assert logits["presence"].shape == (2, 1)


@pytest.mark.parametrize("size", [96, 160, 192, 256])
def test_the_same_weights_fit_every_size(size):
    network = build_network(SMALL)
    resized = build_network(dataclasses.replace(SMALL, size=size))
    resized.set_weights(network.get_weights())
    assert resized(np.zeros((1, size, size, 3), np.float32))["mask"].shape == (1, size // 2, size // 2, 1)


def test_the_shipped_shape_has_two_to_six_million_parameters():
    assert 2e6 < build_network().count_params() < 6e6


def test_a_size_that_cannot_be_halved_five_times_is_refused():
    with pytest.raises(ValueError, match="size=100"):
        NetworkConfig(size=100)
