import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent.parent))
from articles_drawn import drawn  # noqa: E402

from models.classifier.augment import Augmentation, BatchMaker, varied  # noqa: E402

NONE = Augmentation(0, 0, 0, 0, 0, 0, 0, 0, 0)


def maker(**settings):
    articles = drawn(12)
    return BatchMaker(articles, np.full(12, 1 / 12), Augmentation(**settings), 8, seed=1)


def test_a_batch_is_fixed_by_seed_and_step():
    for one, again in zip(maker()(3), maker()(3), strict=True):
        np.testing.assert_equal(one, again)
    assert not np.array_equal(maker()(3)[0], maker()(4)[0])


def test_a_batch_has_pictures_and_soft_labels():
    images, labels = maker()(0)
    assert images.shape == (8, 16, 16, 3) and images.dtype == np.float32
    assert images.min() >= 0 and images.max() <= 255
    assert labels["category"].shape == (8, 3) and labels["colour"].shape == (8, 12)
    np.testing.assert_allclose(labels["category"].sum(axis=1), 1, rtol=1e-6)


def test_without_variation_pictures_and_labels_stay():
    make = BatchMaker(drawn(12), np.full(12, 1 / 12), NONE, 8, seed=1)
    images, labels = make(0)
    originals = {image.tobytes(): i for i, image in enumerate(drawn(12).images)}
    for image, category in zip(images, labels["category"], strict=True):
        found = originals[image.astype(np.uint8).tobytes()]
        assert category[drawn(12).categories[found]] == 1


def test_only_what_has_a_share_is_drawn():
    shares = np.zeros(12)
    shares[[1, 4]] = 0.5  # crosses
    labels = BatchMaker(drawn(12), shares, Augmentation(mixed=0), 16, seed=0)(0)[1]
    assert labels["category"][:, 1].sum() == 16


def test_variation_moves_and_tones_and_erases():
    image = drawn(1, size=32).images[0]
    for setting in ("turn", "scale", "shift", "light", "saturation", "cast", "erased"):
        a = Augmentation(**{**vars(NONE), setting: 10 if setting == "turn" else 0.5 if setting != "erased" else 1})
        assert not np.array_equal(varied(image, a, np.random.default_rng(3)), image), setting
    mirrored = varied(image, Augmentation(**{**vars(NONE), "flip": 1}), np.random.default_rng(3))
    np.testing.assert_array_equal(mirrored, image[:, ::-1])


@pytest.mark.parametrize("setting", [{"flip": 1.5}, {"light": -0.1}, {"turn": -1}, {"mixed": -1}])
def test_settings_out_of_range_are_named(setting):
    with pytest.raises(ValueError, match=f"{next(iter(setting))}=-?[0-9.]+"):
        Augmentation(**setting)
