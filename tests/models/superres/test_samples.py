import dataclasses

import numpy as np
import pytest

from models.superres.resampling import halve
from models.superres.samples import Degradations, PatchBatches, PatchMaker, compressed, luma_of

PLAIN = Degradations(area=0, blurred=0, compressed=0, shrunk=0)


@pytest.fixture(scope="module")
def lumas():
    return np.random.default_rng(0).integers(0, 256, (3, 64, 64), np.uint8)


def test_a_plain_pair_is_a_patch_and_its_half(lumas):
    small, large = PatchMaker(lumas, 32, PLAIN).sample(np.random.default_rng(1))
    np.testing.assert_array_equal(small, halve(large))
    windows = np.lib.stride_tricks.sliding_window_view(lumas, (32, 32), axis=(1, 2))
    turned = [np.rot90(part, n) for n in range(4) for part in (large, large[:, ::-1])]
    assert any((windows == part).all(axis=(-1, -2)).any() for part in turned)


@pytest.mark.parametrize("way", ["area", "blurred", "compressed", "shrunk"])
def test_every_degradation_changes_the_pair(lumas, way):
    maker = PatchMaker(lumas, 32, dataclasses.replace(PLAIN, **{way: 1.0}))
    small, large = maker.sample(np.random.default_rng(1))
    plain = PatchMaker(lumas, 32, PLAIN).sample(np.random.default_rng(1))
    assert small.shape == (16, 16) and large.shape == (32, 32)
    assert not (np.array_equal(small, plain[0]) and np.array_equal(large, plain[1]))


def test_a_step_gives_the_same_batch_wherever_the_stream_began(lumas):
    maker = PatchMaker(lumas, 32, Degradations())
    whole, rest = PatchBatches(maker, 2, 5, 0, 4), PatchBatches(maker, 2, 5, 3, 1)
    assert len(whole) == 4
    for one, other in zip(whole[3], rest[0], strict=True):
        assert one.dtype == np.float32 and one.shape[0] == 2 and one.shape[3] == 1
        np.testing.assert_array_equal(one, other)
    assert not np.array_equal(whole[0][1], whole[3][1])


def test_photos_too_small_for_a_patch_are_refused(lumas):
    with pytest.raises(ValueError, match="patch=40 needs photos of 80 pixels; these have 64"):
        PatchMaker(lumas, 40, Degradations())
    with pytest.raises(ValueError, match="no photos to learn from"):
        PatchMaker(lumas[:0], 32, PLAIN)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"area": 1.5}, "area=1.5 must be a share"),
        ({"area": 0.6, "blurred": 0.6}, "must not be above 1 together"),
        ({"quality": (90, 80)}, "quality=.* must be two rising numbers"),
        ({"least_scale": 0.0}, "least_scale=0.0 must be above 0"),
    ],
)
def test_degradations_that_cannot_be_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        Degradations(**settings)


def test_luma_and_compression_keep_the_shape():
    images = np.full((2, 8, 8, 3), (255, 0, 0), np.uint8)
    assert luma_of(images).shape == (2, 8, 8) and luma_of(images)[0, 0, 0] == 76
    assert compressed(images[0], 50).shape == (8, 8, 3) and compressed(luma_of(images)[0], 50).shape == (8, 8)
