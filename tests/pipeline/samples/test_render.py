import collections
import io
import time

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from pipeline.samples import broken, camera, render, scene


def _plans(count, seed=0):
    """Returns what a catalogue would show, without painting it."""
    kinds = []
    for index in range(count):
        amount, tone = render._place(seed, index, "products"), render._place(seed, index, "tone")
        kinds.append((amount, tone, render._format(render._place(seed, index, "format"), 1)))
    return kinds


def test_every_catalogue_of_a_hundred_has_nearly_the_stated_shares():
    for seed in range(3):
        plans = _plans(100, seed)
        assert 3 <= sum(amount < 0.05 for amount, _, _ in plans) <= 7
        assert 17 <= sum(tone < 0.20 for _, tone, _ in plans) <= 23
        formats = collections.Counter(kind for _, _, kind in plans)
        assert 70 <= formats["jpeg"] <= 86
        assert len(formats) >= 8


def test_all_categories_and_backdrops_are_drawn():
    rng = np.random.default_rng(0)
    plans = [scene.draw_plan(rng, tone=None, products=1, cut=False) for _ in range(1500)]
    assert {plan.category for plan in plans} == set(scene.CATEGORIES)
    assert {plan.staging for plan in plans} == {"laid", "hung", "stood"}
    assert len({plan.backdrop for plan in plans}) >= 12


@pytest.mark.parametrize("category", scene.CATEGORIES)
def test_product_covers_the_middle_of_the_frame(category):
    staging = "stood" if category in scene.STOOD else "laid"
    plan = scene.Plan(category, staging, "paper", None, products=1, cut=False)
    rng = np.random.default_rng(1)
    view = scene.build(rng, plan, (320, 300))
    assert view.radiance.shape == (320, 300, 3) and view.alpha.shape == (320, 300)
    assert np.isfinite(view.radiance).all() and view.radiance.min() >= 0
    assert view.alpha.min() >= 0 and view.alpha.max() <= 1.0001
    assert 0.05 < view.alpha.mean() < 0.9
    rim = np.concatenate([view.alpha[0], view.alpha[-1], view.alpha[:, 0], view.alpha[:, -1]])
    assert rim.max() < 0.5
    soft = (view.alpha > 0.02) & (view.alpha < 0.98)
    assert soft.any(), "the edge is not antialiased"


@pytest.mark.parametrize("category", ["bag", "mug"])
def test_openings_show_the_ground(category):
    staging = "stood" if category in scene.STOOD else "laid"
    plan = scene.Plan(category, staging, "paper", None, products=1, cut=False)
    found = 0
    for seed in range(4):
        alpha = scene.build(np.random.default_rng(seed), plan, (360, 360)).alpha
        contours, tree = cv2.findContours((alpha > 0.5).astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
        holes = [c for c, node in zip(contours, tree[0], strict=True) if node[3] >= 0 and cv2.contourArea(c) > 40]
        found += bool(holes)
    assert found >= 2


def test_no_product_means_no_alpha_and_a_cut_one_touches_the_frame():
    for category, staging in (("shirt", "laid"), ("vase", "stood")):
        empty = scene.Plan(category, staging, "paper", None, products=0, cut=False)
        assert not scene.build(np.random.default_rng(2), empty, (200, 240)).alpha.any()
        cut = scene.Plan(category, staging, "paper", None, products=1, cut=True)
        alpha = scene.build(np.random.default_rng(2), cut, (200, 240)).alpha
        assert np.concatenate([alpha[0], alpha[-1], alpha[:, 0], alpha[:, -1]]).max() > 0.5


def test_light_goods_on_light_ground_are_alike():
    plan = scene.Plan("t-shirt", "laid", "paper", "light", products=1, cut=False)
    view = scene.build(np.random.default_rng(3), plan, (300, 300))
    inside = np.median(view.radiance[view.alpha > 0.9], 0)
    outside = np.median(view.radiance[view.alpha < 0.1], 0)
    assert np.abs(np.log(inside / outside)).max() < 1.0
    assert inside.min() > 0.25 and outside.min() > 0.25


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_undoes_itself(orientation):
    rng = np.random.default_rng(4)
    image = cv2.resize(rng.random((6, 4, 3), dtype=np.float32), (80, 120), interpolation=cv2.INTER_LINEAR)
    photo = camera.Photo(image, np.zeros((120, 80), np.float32), None)
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(camera.encode(rng, photo, "jpeg", orientation))))
    assert upright.size == (80, 120)
    assert np.abs(np.asarray(upright, np.float32) / 255 - image).mean() < 0.03


def test_orientation_needs_a_format_that_carries_it():
    photo = camera.Photo(np.zeros((8, 8, 3), np.float32), np.zeros((8, 8), np.float32), None)
    with pytest.raises(ValueError, match="orientation is 6 for a 'bmp' file"):
        camera.encode(np.random.default_rng(0), photo, "bmp", 6)


@pytest.mark.parametrize("kind", camera.EXTENSIONS)
def test_formats_keep_the_picture(kind):
    rng = np.random.default_rng(5)
    image = np.broadcast_to(np.linspace(0.1, 0.9, 64, dtype=np.float32)[None, :, None], (48, 64, 3)).copy()
    photo = camera.Photo(image, np.ones((48, 64), np.float32), None)
    content = camera.encode(rng, photo, kind, 1)
    picture = Image.open(io.BytesIO(content))
    assert picture.size == (64, 48)
    if kind != "deep_png":
        assert np.abs(np.asarray(picture.convert("RGB"), np.float32) / 255 - image).mean() < 0.05
    assert picture.mode == {"grey_jpeg": "L", "cmyk_jpeg": "CMYK", "alpha_png": "RGBA", "gif": "P"}.get(
        kind, picture.mode
    )


def test_cast_is_what_the_truth_says():
    scene_light = np.full((64, 64, 3), 0.3, np.float32)
    ratios = []
    for seed in range(6):
        photo = camera.develop(
            np.random.default_rng(seed), scene_light, np.ones((64, 64), np.float32), (64, 64), (1.3, 1.0, 0.6)
        )
        linear = np.where(photo.image <= 0.04045, photo.image / 12.92, ((photo.image + 0.055) / 1.055) ** 2.4)
        mean = linear.mean((0, 1))
        assert photo.product == pytest.approx((photo.product[0],) * 3, rel=0.02)
        ratios.append(mean / mean[1])
    # Only where the shoulder of the tone curve is reached may the cast look weaker than it is.
    assert min(abs(r[0] - 1.3) for r in ratios) < 0.03 and min(abs(r[2] - 0.6) for r in ratios) < 0.03


def test_truncated_photo_is_a_part_of_the_photo():
    whole, cut = render.render(6, 0), render.render(6, 0, breakage=0)
    assert cut.broken == "truncated" and cut.alpha is None
    assert whole.broken is None
    assert cut.content[:2] == b"\xff\xd8" and cut.content[-2:] != b"\xff\xd9"


def test_bomb_is_small_and_announces_much():
    content = broken.bomb(np.random.default_rng(0), bytes)
    assert len(content) < 1000
    assert int.from_bytes(content[16:20]) * int.from_bytes(content[20:24]) > 10**9


def test_a_sample_takes_little_time():
    started = time.process_time()
    for index in range(4):
        render.render(7, index)
    assert time.process_time() - started < 16  # about 2 s on an idle core; a busy machine is no failure
