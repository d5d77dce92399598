import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from tiny_vae import articles  # noqa: E402

from models.vae.augment import Batches, Variation, spoilt, varied


def test_a_batch_follows_from_seed_and_step_alone():
    images = articles(10).images
    whole = Batches(images, Variation(), 4, seed=5, count=6)
    resumed = Batches(images, Variation(), 4, seed=5, first=4, count=2)
    for part in range(2):
        np.testing.assert_array_equal(whole[4][part], resumed[0][part])
    assert not np.array_equal(whole[0][1], whole[1][1])
    assert not np.array_equal(whole[0][1], Batches(images, Variation(), 4, seed=6)[0][1])


def test_all_pictures_are_shown_before_any_is_shown_again():
    batches = Batches(articles(10).images, Variation(), 4, seed=5, count=5)
    shown = np.concatenate([batches.chosen(index) for index in range(5)])
    assert sorted(shown[:10]) == sorted(shown[10:]) == list(range(10))


def test_only_the_input_is_spoilt():
    images = articles(8).images
    inputs, targets = Batches(images, Variation(spoilt=1.0), 8, seed=1)[0]
    clean, same = Batches(images, Variation(spoilt=0.0), 8, seed=1)[0]
    np.testing.assert_array_equal(clean, same)
    assert all(np.abs(one - other).max() > 0 for one, other in zip(inputs, targets, strict=True))
    assert inputs.dtype == np.float32 and inputs.min() >= 0 and inputs.max() <= 255


def test_light_and_tint_leave_a_plain_ground():
    image = articles(1).images[0]
    still = {"flipped": 0, "turn": 0, "scale": 0, "shift": 0, "light": 0.3, "tint": 0.2}
    made = varied(image, Variation(**still), np.random.default_rng(0))
    ground = (image == 243).all(axis=-1)
    assert (made[ground] == 243).all() and (made[~ground] != image[~ground]).any()
    everywhere = varied(image, Variation(**still, ground=None), np.random.default_rng(0))
    assert (everywhere[ground] != 243).any()


def test_spoiling_leaves_the_picture_it_is_given():
    image = articles(1).images[0]
    before = image.copy()
    for seed in range(12):
        assert spoilt(image, np.random.default_rng(seed)).shape == image.shape
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize(("name", "value"), [("flipped", 1.5), ("light", -0.1), ("turn", 400)])
def test_variations_out_of_range_are_named(name, value):
    with pytest.raises(ValueError, match=f"{name}="):
        Variation(**{name: value})
