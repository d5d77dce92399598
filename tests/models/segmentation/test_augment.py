import dataclasses

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.segmentation.augment import Mix, SampleMaker, _evened, _fill_frame, empty_grounds, whole_products
from models.segmentation.examples import WORKING_SIZE, Examples


def some(count, seed):
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (count, WORKING_SIZE, WORKING_SIZE, 3), np.uint8)
    labels = np.zeros((count, WORKING_SIZE, WORKING_SIZE), np.uint8)
    labels[:, 150:300, 100:220] = 255
    names = np.array([f"{seed}-{i}" for i in range(count)])
    return Examples(names, names, images, labels, np.full_like(labels, 255))


@pytest.fixture(scope="module")
def maker():
    return SampleMaker(some(3, 1), some(3, 2), some(3, 3))


def test_the_same_generator_draws_the_same_sample(maker):
    first = maker.sample(np.random.default_rng(9), 96)
    second = maker.sample(np.random.default_rng(9), 96)
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)


def test_samples_have_the_documented_form(maker):
    rng = np.random.default_rng(0)
    for _ in range(30):
        image, target, present = maker.sample(rng, 96)
        assert image.shape == (96, 96, 3) and image.dtype == np.uint8
        assert target.shape == (48, 48, 2) and target.dtype == np.float32
        assert target.min() >= 0 and target.max() <= 1
        assert present.shape == (1,) and present[0] == (target[..., 0].mean() > 0.005)


def test_empty_samples_have_no_product():
    maker = SampleMaker(some(2, 1), some(2, 2), some(2, 3), Mix(sellers=0, hand=0, composites=0, empty=1))
    for seed in range(8):
        _, target, present = maker.sample(np.random.default_rng(seed), 96)
        assert present[0] == 0 and target[..., 0].max() == 0 and target[..., 1].min() > 0.99


def test_a_photo_of_no_weight_is_never_drawn():
    sellers = some(2, 1)
    sellers.weights[0] = 0
    sellers.images[0] = 0
    sellers.images[1] = 255
    maker = SampleMaker(sellers, some(1, 2), some(1, 3), Mix(sellers=1, hand=0, composites=0, empty=0))
    assert all(maker.sample(np.random.default_rng(s), 64)[0].mean() > 60 for s in range(8))


def test_grounds_hold_no_product():
    photos = some(1, 1)
    photos.images[:] = 10
    photos.images[photos.labels > 0] = 200
    (ground,) = empty_grounds(photos)
    assert ground.max() == 10 and min(ground.shape[:2]) >= 0.28 * WORKING_SIZE


def test_rendered_photos_are_drawn_where_there_are_any():
    rendered = some(1, 7)
    rendered.images[:] = 255
    mix = Mix(sellers=0, hand=0, composites=0, empty=0, rendered=1)
    maker = SampleMaker(some(1, 1), some(1, 2), some(1, 3), mix, rendered)
    assert maker.sample(np.random.default_rng(0), 64)[0].mean() > 150
    with pytest.raises(ValueError, match="nothing can be drawn"):
        SampleMaker(some(1, 1), some(1, 2), some(1, 3), mix)


def test_whole_products_are_trusted_and_not_cut_by_the_frame():
    photos = some(4, 1)
    photos.labels[1] = 0
    photos.labels[1, :200, 100:220] = 255  # cut by the frame's top
    photos.weights[2] = 100
    photos.labels[3] = 0
    assert whole_products(photos).tolist() == [0]


def test_products_of_trusted_photos_are_set_on_other_grounds():
    mix = Mix(sellers=0, hand=0, rendered=0, empty=0, composites=1, light_on_light=0, tone_on_tone=0)
    sellers = some(1, 1)
    sellers.images[:], sellers.images[sellers.labels > 0] = 30, (250, 10, 10)
    nothing = sellers.take(np.zeros(0, int))
    maker = SampleMaker(sellers, nothing, nothing, mix)
    for seed in range(6):
        image, target, _ = maker.sample(np.random.default_rng(seed), 96)
        inside = cv2.resize(target[..., 0], (96, 96)) > 0.99
        if inside.any():
            red, green, blue = image[inside].mean(0)
            assert max(red, green, blue) > 2 * min(red, green, blue)  # channels may be exchanged


@settings(deadline=None, max_examples=25)
@given(height=st.integers(90, WORKING_SIZE), width=st.integers(90, WORKING_SIZE), seed=st.integers(0, 2**32 - 1))
def test_a_crop_fills_the_frame_with_its_own_colours(height, width, seed):
    ground = np.full((height, width, 3), (10, 120, 230), np.uint8)
    filled = _fill_frame(ground, np.random.default_rng(seed))
    assert filled.shape == (WORKING_SIZE, WORKING_SIZE, 3)
    assert (filled == ground[0, 0]).all()


def test_a_large_source_does_not_drown_a_small_one():
    groups = np.array(["large"] * 100 + ["small"] * 4)
    chances = _evened(groups)
    assert chances.sum() == pytest.approx(1)
    assert chances[groups == "large"].sum() == pytest.approx(5 * chances[groups == "small"].sum())


def test_grounds_that_meet_stay_ground():
    mix = Mix(sellers=0, hand=0, composites=0, rendered=0, empty=1, seam=1)
    nothing = some(1, 1).take(np.zeros(0, int))
    maker = SampleMaker(nothing, some(1, 2), nothing, mix)
    pictures = [maker.sample(np.random.default_rng(seed), 96) for seed in range(6)]
    assert all(target[..., 0].max() == 0 and target[..., 1].min() > 0.99 for _, target, _ in pictures)
    one = dataclasses.replace(mix, seam=0)
    plain = SampleMaker(nothing, some(1, 2), nothing, one).sample(np.random.default_rng(0), 96)[0]
    assert not np.array_equal(plain, pictures[0][0])


def test_tone_on_tone_brings_the_ground_near_the_product():
    mix = Mix(sellers=0, hand=0, rendered=0, empty=0, composites=1, light_on_light=0)
    distances = {}
    for share in (0.0, 1.0):
        sellers = some(2, 5)
        sellers.images[:], sellers.images[sellers.labels > 0] = 200, 40
        nothing = sellers.take(np.zeros(0, int))
        maker = SampleMaker(sellers, nothing, nothing, dataclasses.replace(mix, tone_on_tone=share))
        found = []
        for seed in range(12):
            image, target, _ = maker.sample(np.random.default_rng(seed), 96)
            product, ground = (cv2.resize(target[..., 0], (96, 96)) > 0.99), cv2.resize(target[..., 0], (96, 96)) < 0.01
            if product.any() and ground.any():
                found.append(abs(image[product].mean() - image[ground].mean()))
        distances[share] = np.mean(found)
    assert distances[1.0] < 0.7 * distances[0.0]
