import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.evaluation.cases import masked_photos
from pipeline.evaluation.grounds import empty_cases, free_rectangles, plain_ground, real_grounds, sweep_ground


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_free_rectangles_hold_no_product_and_do_not_overlap(seed):
    rng = np.random.default_rng(seed)
    truth = np.zeros((200, 150), bool)
    top, left = rng.integers(0, 120), rng.integers(0, 90)
    truth[top : top + rng.integers(20, 80), left : left + rng.integers(20, 60)] = True
    taken = truth.copy()
    for y, x, h, w in free_rectangles(truth):
        assert not taken[y : y + h, x : x + w].any()
        assert min(h, w) >= 0.22 * 150 and max(h, w) <= 1.8 * min(h, w) + 1e-9
        taken[y : y + h, x : x + w] = True


def test_the_largest_rectangle_comes_first():
    truth = np.zeros((160, 160), bool)
    truth[:, 60:70] = True
    first, second = free_rectangles(truth, most=2)
    assert first[1] >= 70 and second[1] + second[3] <= 60
    assert first[2] * first[3] > second[2] * second[3]


def test_a_photo_full_of_product_has_no_ground():
    assert free_rectangles(np.ones((100, 100), bool)) == []


def test_crops_become_empty_cases_and_painted_ones_join_them(data):
    photos = list(masked_photos(str(data / "photos"), str(data / "masks.parquet")))
    grounds = real_grounds(photos)
    assert grounds and all(ground.group in {"s0", "s1", "s2"} for ground in grounds)
    assert all((ground.image > 150).all() for ground in grounds)  # nothing of the blue product
    cases = list(empty_cases(grounds, painted=4, seed=0))
    assert len(cases) == len(grounds) + 4
    assert not any(case.alpha.any() for case in cases)
    assert {part for case in cases for part in case.slices} == {
        "all", "crops of real photos", "plain grounds", "studio sweeps"
    }  # fmt: skip


@pytest.mark.parametrize("paint", [plain_ground, sweep_ground])
def test_white_grounds_are_near_white_and_seeded(paint):
    for seed in range(10):
        ground = paint(np.random.default_rng(seed), (60, 40), white=True)
        assert ground.shape == (60, 40, 3) and ground.mean() > 215
        assert np.array_equal(ground, paint(np.random.default_rng(seed), (60, 40), white=True))
