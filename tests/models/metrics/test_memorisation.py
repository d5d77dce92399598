import numpy as np
import pytest

from models.metrics.memorisation import hash_distances, memorisation, small_pixels


@pytest.fixture
def sets():
    rng = np.random.default_rng(0)
    return rng.normal(size=(500, 6)), rng.normal(size=(400, 6)), rng.normal(size=(1000, 6))


def test_new_pictures_are_as_often_near_as_held_out_ones(sets):
    found = memorisation(*sets)
    assert found.share < 0.03
    assert found.median_ratio == pytest.approx(1, abs=0.1)


def test_copies_are_found_with_their_originals(sets):
    train, held_out, generated = sets
    copies = generated.copy()
    copies[:100] = train[7] + 1e-3
    found = memorisation(train, held_out, copies)
    assert found.share == pytest.approx(0.1, abs=0.03)
    assert set(found.positions[:100]) == {7}
    assert (found.distances[:100] < found.threshold).all()


def test_nearer_to_training_means_a_larger_share(sets):
    train, held_out, generated = sets
    shares = [memorisation(train, held_out, w * train[:300] + (1 - w) * generated[:300]).share for w in (0, 0.8, 1)]
    assert shares == sorted(shares)
    assert shares[-1] == 1


def test_an_empty_set_is_named(sets):
    with pytest.raises(ValueError, match="0 pictures of held_out"):
        memorisation(sets[0], sets[1][:0], sets[2])


def test_hashes_find_a_picture_stored_anew():
    rng = np.random.default_rng(1)
    images = np.kron(rng.integers(0, 255, (6, 4, 4, 3)), np.ones((1, 8, 8, 1))).astype(np.uint8)
    dimmed = (images[2:3] * 0.9).astype(np.uint8)
    distances = hash_distances(images[:4], np.concatenate([images[2:3], dimmed, images[4:]]))
    assert distances[0] == 0
    assert distances[1] <= 6
    assert distances[2:].min() > 8


def test_small_pixels_are_the_means_of_their_place():
    image = np.zeros((1, 64, 64, 3), np.uint8)
    image[0, :32] = 255
    small = small_pixels(image).reshape(16, 16, 3)
    np.testing.assert_array_equal(small[:8], 1)
    np.testing.assert_array_equal(small[8:], 0)
