import numpy as np
import pytest

from transforms.augment import OPERATIONS, Operation, vary

GEOMETRY = {"flip", "rotate", "scale", "crop", "perspective"}
EVERY = tuple(Operation(name, chance=1) for name in OPERATIONS)


@pytest.fixture
def photo():
    """A smooth red product, a little askew, on a smooth ground: matte and image say the same."""
    y, x = np.mgrid[:90, :70].astype(np.float32)
    alpha = np.clip(255 * (24 - np.hypot(x - 30, (y - 48) * 0.7)) / 4, 0, 255).astype(np.uint8)
    ground = np.stack([60 + x, 120 + 0.5 * y, 150 - 0.4 * x], axis=-1)
    share = alpha[..., None] / 255
    return np.rint(share * [210, 40, 50] + (1 - share) * ground).astype(np.uint8), alpha


def test_a_seed_decides_everything_and_another_gives_another_picture(photo):
    one, same, other = vary(*photo, EVERY, 7), vary(*photo, EVERY, 7), vary(*photo, EVERY, 8)
    assert np.array_equal(one.image, same.image) and np.array_equal(one.alpha, same.alpha) and one.done == same.done
    assert not np.array_equal(one.image, other.image) and one.done != other.done
    assert [text.split()[0] for text in one.done] == list(OPERATIONS)


@pytest.mark.parametrize("name", OPERATIONS)
def test_each_operation_changes_the_image_and_keeps_its_form(photo, name):
    image, alpha = photo
    changed = [vary(image, alpha, [Operation(name, chance=1)], seed) for seed in range(4)]
    for variant in changed:
        assert variant.image.shape == image.shape and variant.image.dtype == np.uint8
        assert variant.alpha.shape == alpha.shape and variant.alpha.dtype == np.uint8
        if name not in GEOMETRY | {"cutout"}:
            assert np.array_equal(variant.alpha, alpha)
    if name != "blur":  # of a small picture hardly anything
        assert any(not np.array_equal(variant.image, image) for variant in changed)


@pytest.mark.parametrize("name", sorted(GEOMETRY))
def test_the_matte_moves_with_the_product(photo, name):
    image, alpha = photo
    for seed in range(3):
        variant = vary(image, alpha, [Operation(name, chance=1)], seed)
        reddest = variant.image[..., 0].astype(int) - variant.image[..., 1] > 100
        assert np.mean(reddest != (variant.alpha > 200)) < 0.03


def test_what_cutout_hides_is_no_product_any_more(photo):
    image, alpha = photo
    hits = [vary(image, alpha, [Operation("cutout", chance=1, strength=0.75)], seed) for seed in range(8)]
    assert any(hit.alpha.sum() < 0.9 * alpha.sum() for hit in hits)
    mean = np.rint(image.mean(axis=(0, 1)))
    for hit in hits:
        assert (hit.image[(hit.alpha == 0) & (alpha > 0)] == mean).all()


def test_leaving_an_operation_away_does_not_change_what_others_draw(photo):
    both = vary(*photo, [Operation("rotate"), Operation("hue")], 5).done
    assert vary(*photo, [Operation("hue")], 5).done == both[1:]


def test_no_operation_and_no_chance_leave_the_photo(photo):
    for operations in ((), tuple(Operation(name, chance=0) for name in OPERATIONS)):
        variant = vary(*photo, operations, 1)
        assert np.array_equal(variant.image, photo[0]) and variant.done == ()


@pytest.mark.parametrize("shape", [(1, 1), (2, 40), (40, 1)])
def test_tiny_pictures_pass(shape):
    variant = vary(np.full((*shape, 3), 90, np.uint8), np.full(shape, 255, np.uint8), EVERY, 3)
    assert variant.image.shape == (*shape, 3)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"name": "melt"}, "name='melt' must be one of flip, rotate"),
        ({"name": "flip", "chance": 1.5}, "chance=1.5 of flip must lie between 0 and 1"),
        ({"name": "rotate", "strength": 200}, r"strength=200 of rotate must lie between 0 and 180 \(degrees"),
    ],
)
def test_wrong_operations_are_named(settings, says):
    with pytest.raises(ValueError, match=says):
        Operation(**settings)


def test_a_matte_of_another_size_is_refused(photo):
    with pytest.raises(ValueError, match="of one size"):
        vary(photo[0], photo[1][1:], (), 0)
    with pytest.raises(ValueError, match="seed=-1"):
        vary(*photo, (), -1)


def test_a_flip_alone_is_exact_and_two_of_them_are_none(photo):
    image, alpha = photo
    flip = Operation("flip", chance=1)
    once, twice = vary(image, alpha, [flip], 0), vary(image, alpha, [flip, flip], 0)
    assert np.array_equal(once.image, image[:, ::-1]) and np.array_equal(once.alpha, alpha[:, ::-1])
    assert np.array_equal(twice.image, image) and np.array_equal(twice.alpha, alpha)


def test_geometry_in_a_row_blurs_the_photo_only_once():
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 255
    alpha = np.full((64, 64), 255, np.uint8)
    both = vary(stripes, alpha, [Operation("rotate", strength=5), Operation("perspective", strength=0.02)], 4)
    parted = vary(stripes, alpha, [Operation("rotate", strength=5)], 4)
    parted = vary(parted.image, parted.alpha, [Operation("perspective", strength=0.02)], 4)
    assert both.image.std() > 1.1 * parted.image.std()
