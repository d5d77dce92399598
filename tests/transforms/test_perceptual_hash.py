import cv2
import imagehash
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pipeline.records import Photo
from transforms.perceptual_hash import colour_distances, hash_photo, perceptual_hash, small_picture


def _scene(seed=0, height=533, width=400):
    """A few blobs on a ground: smooth, as photos are."""
    draw = np.random.default_rng(seed)
    picture = np.full((height, width, 3), draw.integers(90, 220, 3), np.uint8)
    for _ in range(14):
        centre = draw.uniform((0, 0), (width, height)).astype(int).tolist()
        axes = draw.uniform(0.04, 0.25, 2) * width
        colour = draw.integers(0, 255, 3).tolist()
        cv2.ellipse(picture, centre, axes.astype(int).tolist(), float(draw.uniform(0, 180)), 0, 360, colour, -1)
    return cv2.GaussianBlur(picture, (0, 0), 2)


def _bits(first, second):
    return tuple(
        (int(getattr(first, name), 16) ^ int(getattr(second, name), 16)).bit_count()
        for name in ("perceptual_hash", "perceptual_detail")
    )


def test_digits_are_those_of_the_library():
    picture = small_picture(_scene())
    assert picture.shape == (64, 64, 3)
    grey = Image.fromarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY))
    found = perceptual_hash(_scene())
    assert found.perceptual_hash == str(imagehash.phash(grey))
    assert found.perceptual_detail == str(imagehash.phash(grey, hash_size=16))
    assert [len(digits) for digits in vars(found).values()] == [16, 64, 64]


@pytest.mark.parametrize("seed", range(6))
def test_the_scale_of_the_decode_hardly_matters(seed):
    photo = _scene(seed, 2132 - seed, 1600 - 3 * seed)
    content = cv2.imencode(".jpg", photo, [cv2.IMWRITE_JPEG_QUALITY, 92])[1]
    whole, *reduced = (
        perceptual_hash(cv2.cvtColor(cv2.imdecode(content, flag), cv2.COLOR_BGR2RGB))
        for flag in (cv2.IMREAD_COLOR, cv2.IMREAD_REDUCED_COLOR_2, cv2.IMREAD_REDUCED_COLOR_4)
    )
    for other in reduced:
        coarse, detail = _bits(whole, other)
        assert coarse <= 2 and detail <= 6


@pytest.mark.parametrize("seed", range(4))
def test_light_changes_stay_near_and_other_photos_do_not(seed):
    photo = _scene(seed)
    own = perceptual_hash(photo)
    changed = {
        "again": cv2.imdecode(cv2.imencode(".jpg", photo, [cv2.IMWRITE_JPEG_QUALITY, 40])[1], cv2.IMREAD_COLOR),
        "half": cv2.resize(photo, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA),
        "darker": (photo * 0.8).astype(np.uint8),
        "warm": (photo * np.float32((1, 0.95, 0.85))).astype(np.uint8),
        "cropped": photo[4:-3, 2:-4],
    }
    for kind, picture in changed.items():
        coarse, detail = _bits(own, perceptual_hash(picture))
        assert coarse <= 8 and detail <= 48, kind
    coarse, detail = _bits(own, perceptual_hash(_scene(seed + 100)))
    assert coarse > 12 and detail > 80


def test_recoloured_product_is_told_by_its_colours_alone():
    first, second = np.full((2, 200, 150, 3), 240, np.uint8)
    first[50:150, 40:110] = (200, 60, 60)
    second[50:150, 40:110] = (30, 115, 160)
    one, other = perceptual_hash(first), perceptual_hash(second)
    assert _bits(one, other)[0] <= 8
    assert colour_distances(*(bytes.fromhex(h.perceptual_colours) for h in (one, other))) > 8
    warm = perceptual_hash((first * np.float32((1, 0.96, 0.9))).astype(np.uint8))
    assert colour_distances(*(bytes.fromhex(h.perceptual_colours) for h in (one, warm))) < 5


def test_hidden_colours_do_not_count():
    photo, alpha = _scene(1), np.zeros((533, 400), np.uint8)
    alpha[100:400, 80:320] = 255
    on_white = np.where(alpha[:, :, None] == 255, photo, 255).astype(np.uint8)
    hidden = np.where(alpha[:, :, None] == 255, photo, _scene(2)).astype(np.uint8)
    assert perceptual_hash(hidden, alpha) == perceptual_hash(on_white)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 300), st.integers(1, 300), st.integers(0, 255), st.booleans())
def test_frames_of_any_size_have_a_hash(height, width, value, transparent):
    image = np.full((height, width, 3), value, np.uint8)
    image[: height // 2] = 255 - value
    alpha = np.full((height, width), 128, np.uint8) if transparent else None
    photo = hash_photo(Photo("a", "a.jpg", image=image, source_alpha=alpha))
    assert [len(digits) for digits in vars(photo.perceptual).values()] == [16, 64, 64]


@settings(max_examples=50, deadline=None)
@given(st.binary(min_size=32, max_size=32), st.binary(min_size=32, max_size=32), st.integers(-20, 20))
def test_colour_distance_is_symmetric_and_blind_to_a_cast(first, second, cast):
    assert colour_distances(first, second) == pytest.approx(colour_distances(second, first))
    assert colour_distances(first, first) == 0
    moved = np.frombuffer(second, np.int8).astype(int) // 2
    one, two = (np.clip(moved + shift, -128, 127).astype(np.int8) for shift in (0, cast))
    assert colour_distances(first, one) == pytest.approx(colour_distances(first, two))
