import hashlib

import cv2
import numpy as np
import pytest

from models.metrics.generation import compare, extract, resized

SIDE = 16


class Histogram:
    """A small extractor of fixed random filters: means and deviations of what they answer."""

    name, sha256, size = "random-filters", hashlib.sha256(b"0").hexdigest(), SIDE

    def features_and_probabilities(self, images):
        rng = np.random.default_rng(0)
        pixels = images.astype(float) / 255
        filters = rng.normal(size=(4, 5, 5))
        answers = [
            np.stack([np.abs(cv2.filter2D(image, -1, kernel)).mean(axis=(0, 1)) for image in pixels])
            for kernel in filters
        ]
        features = np.concatenate(answers, axis=1)
        mean = pixels.mean(axis=(1, 2))
        return features, (mean + 1) / (mean + 1).sum(axis=1, keepdims=True)


def pictures(seed, count=120, modes=6):
    """Squares of some colours on light grounds; the mode is the colour."""
    rng = np.random.default_rng(seed)
    colours = np.random.default_rng(99).integers(0, 200, (modes, 3))
    images = np.full((count, SIDE, SIDE, 3), 243, np.uint8)
    for i, image in enumerate(images):
        x, y = rng.integers(2, 8, 2)
        image[y : y + 7, x : x + 6] = np.clip(colours[i % modes] + rng.integers(-20, 20, 3), 0, 255)
    return images


def scores(images):
    extractor = Histogram()
    return compare(extract(pictures(0), extractor), extract(images, extractor), k=3)


def test_features_carry_what_made_them():
    found = extract(pictures(0), Histogram())
    assert found.label == f"random-filters {Histogram.sha256[:8]}, 16 px"
    assert len(found.take(np.arange(5))) == 5
    assert scores(pictures(1)).label == found.label


def test_features_of_different_kinds_are_not_compared():
    small, large = extract(pictures(0), Histogram()), extract(np.zeros((9, 32, 32, 3), np.uint8), Histogram())
    with pytest.raises(ValueError, match="16 px cannot be compared with those of .*32 px"):
        compare(small, large)


def test_the_same_pictures_are_at_no_distance():
    found = scores(pictures(0))
    assert found.frechet == pytest.approx(0, abs=1e-9)
    assert found.manifold.coverage == found.manifold.precision == 1


def worse_and_worse(spoil, levels):
    return [scores(spoil(pictures(1), level)) for level in levels]


@pytest.mark.parametrize(
    ("spoil", "levels"),
    [
        (lambda images, s: np.stack([cv2.GaussianBlur(i, (0, 0), s) if s else i for i in images]), (0, 0.6, 1.2, 2.5)),
        (
            lambda images, s: np.clip(
                images + np.random.default_rng(2).normal(0, s, images.shape), 0, 255
            ).astype(np.uint8),
            (0, 8, 16, 32),
        ),
        (lambda images, kept: images[np.arange(len(images)) % 6 < kept], (6, 4, 2, 1)),
    ],
    ids=["blur", "noise", "dropped modes"],
)  # fmt: skip
def test_distances_grow_as_pictures_get_worse(spoil, levels):
    found = worse_and_worse(spoil, levels)
    for values in ([one.frechet for one in found], [one.kernel.value for one in found]):
        assert values == sorted(values) and values[-1] > values[0]
    coverage = [one.manifold.coverage for one in found]
    assert coverage == sorted(coverage, reverse=True) and coverage[-1] < coverage[0]


def test_resizing_is_antialiased():
    stripes = np.zeros((1, 32, 32, 3), np.uint8)
    stripes[:, :, ::2] = 200
    small = resized(stripes, 8)[0, 2:-2, 2:-2]
    assert np.abs(small.astype(int) - 100).max() <= 6
    assert resized(stripes, 32) is stripes
