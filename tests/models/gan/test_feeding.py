import numpy as np

from models.articles import Articles
from models.gan.feeding import ArticleBatches, category_shares


def articles():
    rng = np.random.default_rng(0)
    categories = np.array([0] * 9 + [1], np.int32)
    names = np.arange(10).astype(str)
    images = rng.integers(0, 256, (10, 8, 8, 3)).astype(np.uint8)
    return Articles(names, names, categories, np.arange(10, dtype=np.int32), images, ("coat", "hat"))


def test_balance_goes_from_as_they_come_to_all_alike():
    categories = articles().categories
    np.testing.assert_allclose(category_shares(categories, 0), 0.1)
    shares = category_shares(categories, 1)
    assert shares[9] == 0.5 and np.isclose(shares[:9].sum(), 0.5)
    assert 0.1 < category_shares(categories, 0.5)[9] < 0.5


def test_a_batch_is_fixed_by_its_step_wherever_the_stream_begins():
    real = articles()
    kept = real.images.copy()
    whole = ArticleBatches(real, 4, 3, 0, 6, mirrored=True, balance=0)
    later = ArticleBatches(real, 4, 3, 2, 4, mirrored=True, balance=0)
    assert len(whole) == 6 and len(later) == 4
    one, other = whole[3][0], later[1][0]
    for name in ("picture", "category", "colour"):
        np.testing.assert_array_equal(one[name], other[name])
    assert not np.array_equal(whole[0][0]["colour"], one["colour"])
    np.testing.assert_array_equal(real.images, kept)  # mirroring must not reach the set itself


def test_pictures_keep_their_labels_and_some_are_mirrored():
    real = articles()
    mirrored = 0
    for step in range(8):
        (batch,) = ArticleBatches(real, 8, 1, step, 1, mirrored=True, balance=0)[0]
        for picture, colour in zip(batch["picture"], batch["colour"], strict=True):
            original = real.images[colour]
            assert np.array_equal(picture, original) or np.array_equal(picture, original[:, ::-1])
            mirrored += np.array_equal(picture, original[:, ::-1])
    assert 16 < mirrored < 48
