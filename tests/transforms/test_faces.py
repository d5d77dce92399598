import apache_beam as beam
import cv2
import numpy as np
import pytest
from apache_beam.testing.test_pipeline import TestPipeline
from apache_beam.testing.util import assert_that

from pipeline.records import Photo
from transforms import faces
from transforms.faces import ENHANCEMENT, BlurFaces, blur_face, blur_photo_faces, find_faces
from transforms.placing import Box


def person(height=400, width=280, scale=1.0, centre=(140, 90)):
    """A drawn head on a drawn body, shaded as the cascades expect a face to be, and the matte of both."""
    y, x = np.mgrid[:height, :width].astype(float)

    def ellipse(cx, cy, rx, ry):
        return ((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2 <= 1

    cx, cy = centre
    grey = np.full((height, width), 225.0)
    alpha = np.zeros((height, width), np.uint8)
    body = (np.abs(x - cx) < 80 * scale + (y - cy) * 0.05) & (y > cy + 60 * scale)
    grey[body] = 90
    head = ellipse(cx, cy, 42 * scale, 56 * scale)
    grey[head] = 190 - 25 * np.abs(x - cx)[head] / (42 * scale)
    grey[ellipse(cx, cy - 42 * scale, 44 * scale, 26 * scale)] = 50  # hair
    for side in (-1, 1):
        eye = cx + side * 18 * scale
        grey[ellipse(eye, cy - 14 * scale, 12 * scale, 4 * scale)] = 70  # brow
        grey[ellipse(eye, cy - 4 * scale, 10 * scale, 5 * scale)] = 95
        grey[ellipse(eye, cy - 4 * scale, 4 * scale, 4 * scale)] = 30
        grey[ellipse(cx + side * 24 * scale, cy + 16 * scale, 10 * scale, 8 * scale)] += 12  # cheek
    grey[ellipse(cx, cy + 6 * scale, 5 * scale, 14 * scale)] += 25  # nose
    grey[ellipse(cx, cy + 20 * scale, 9 * scale, 3 * scale)] = 120
    grey[ellipse(cx, cy + 32 * scale, 16 * scale, 5 * scale)] = 95  # mouth
    alpha[body | head | ellipse(cx, cy - 42 * scale, 44 * scale, 26 * scale)] = 255
    smooth = cv2.GaussianBlur(np.clip(grey, 0, 255), (0, 0), 2.0)
    image = np.clip(smooth[..., None] * (1.0, 0.86, 0.76), 0, 255).astype(np.uint8)
    return image, alpha


def test_a_face_on_the_product_is_found_where_it_is():
    image, alpha = person()
    (box,) = find_faces(image, alpha)
    assert abs(box.x + box.width / 2 - 140) < 12 and abs(box.y + box.height / 2 - 90) < 20
    assert 50 < box.width < 110


def test_a_face_behind_the_product_is_not_looked_for():
    image, alpha = person()
    alpha[:170] = 0
    assert find_faces(image, alpha) == []


@pytest.mark.parametrize("seed", range(3))
def test_no_face_in_cloth_or_nothing(seed):
    noise = np.random.default_rng(seed).standard_normal((300, 200))
    cloth = np.clip(128 + 60 * cv2.GaussianBlur(noise, (0, 0), 3 + seed), 0, 255).astype(np.uint8)
    image = np.repeat(cloth[..., None], 3, axis=2)
    assert find_faces(image, np.full((300, 200), 255, np.uint8)) == []
    assert find_faces(image, np.zeros((300, 200), np.uint8)) == []
    assert find_faces(image[:1, :1], np.full((1, 1), 255, np.uint8)) == []


def test_of_a_face_only_patch_means_are_left():
    """Whatever the details were, what comes out follows from 25 means: another face of equal means gives the same."""
    generator = np.random.default_rng(0)
    base = generator.integers(60, 180, (100, 100, 3), np.uint8)
    other = base.copy()
    box, weight = Box(30, 30, 40, 40), np.full((100, 100), 255, np.uint8)
    cell = 68 / 5
    for row in range(5):
        for column in range(5):  # shuffle pixels inside each patch
            ys = slice(16 + int(np.ceil(row * cell)), 16 + int((row + 1) * cell))
            xs = slice(16 + int(np.ceil(column * cell)), 16 + int((column + 1) * cell))
            patch = other[ys, xs].reshape(-1, 3)
            other[ys, xs] = generator.permutation(patch).reshape(other[ys, xs].shape)
    assert np.abs(base.astype(int) - other).max() > 50
    first, second = (blur_face(pixels, weight, box).astype(int) for pixels in (base, other))
    assert np.abs(first - second)[30:70, 30:70].max() <= 1
    assert (first[50, 30:70].std(axis=0) < 20).all()


def test_nothing_outside_the_ellipse_is_touched():
    image = np.random.default_rng(0).integers(0, 255, (120, 90, 3), np.uint8)
    before = image.copy()
    blurred = blur_face(image, np.full((120, 90), 255, np.uint8), Box(20, 20, 30, 30))
    assert (image == before).all()
    changed = (blurred != image).any(-1)
    assert changed[30:40, 30:40].mean() > 0.95
    assert not changed[61:].any() and not changed[:, 61:].any() and not changed[:10].any()


@pytest.mark.parametrize("box", [Box(-10, -10, 30, 30), Box(70, 100, 40, 40), Box(0, 0, 90, 120)])
def test_faces_at_the_border_of_the_picture(box):
    image = np.random.default_rng(0).integers(0, 255, (120, 90, 3), np.uint8)
    assert blur_face(image, np.full((120, 90), 255, np.uint8), box).shape == image.shape


def test_the_old_ground_does_not_run_into_the_face():
    image, alpha = np.zeros((80, 80, 3), np.uint8), np.zeros((80, 80), np.uint8)
    image[:], image[:, :40], alpha[:, :40] = (0, 0, 255), (200, 150, 120), 255
    blurred = blur_face(image, alpha, Box(20, 20, 40, 40))
    assert np.abs(blurred[40, 22:34].astype(int) - (200, 150, 120)).max() <= 2


def test_photos_with_faces_are_recorded():
    image, alpha = person()
    photo = Photo("a", "a", image=image, foreground=image.copy(), alpha=alpha, enhancements=("lift",))
    done = blur_photo_faces(photo)
    assert done.enhancements == ("lift", ENHANCEMENT)
    assert (done.image[60:120, 115:165] != image[60:120, 115:165]).mean() > 0.9
    assert (done.foreground[60:120, 115:165] == done.image[60:120, 115:165]).all()
    plain = photo.replace(image=np.zeros_like(image))
    assert blur_photo_faces(plain) is plain
    assert find_faces(done.image, alpha) == []


def test_opencv_without_cascades_is_a_clear_error(monkeypatch):
    monkeypatch.delattr(cv2, "CascadeClassifier")
    with pytest.raises(ValueError, match="--blur_faces needs OpenCV 4"):
        BlurFaces()


def test_transform_blurs_faces():
    image, alpha = person()

    def check(photos):
        assert photos[0].enhancements == (ENHANCEMENT,) and "faces" in photos[0].milliseconds

    with TestPipeline("FnApiRunner") as pipeline:
        photo = Photo("a", "a", image=image, foreground=image, alpha=alpha)
        done, _ = pipeline | beam.Create([photo]) | BlurFaces()
        assert_that(done, check)


def test_classifiers_are_not_shared_between_threads():
    import threading

    seen = []
    threads = [threading.Thread(target=lambda: seen.append(id(faces._CASCADES.frontal))) for _ in range(2)]
    for thread in threads:
        thread.start()
        thread.join()
    assert len(seen) == 2 and faces._CASCADES.frontal is faces._CASCADES.frontal
