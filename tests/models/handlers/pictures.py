"""Pictures for small models, and what these answer."""

import numpy as np

SIZE = 64


def plain(value, green=0):
    image = np.zeros((SIZE, SIZE, 3), np.uint8)
    image[..., 0] = value
    image[..., 1] = green
    return image


def noise(count, seed=0):
    coarse = np.random.default_rng(seed).integers(0, 256, (count, 8, 8, 3), dtype=np.uint8)
    return coarse.repeat(SIZE // 8, axis=1).repeat(SIZE // 8, axis=2)


def assert_same(results, expected):
    for result, other in zip(results, expected, strict=True):
        np.testing.assert_array_equal(result.mask, other.mask)
        assert result.presence == other.presence
