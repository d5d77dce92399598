import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from tiny_vae import NAMES, articles  # noqa: E402

from models.vae import calibration
from models.vae.anomaly import GENERAL, MEASURES, UNKNOWN, Judge, Memory, Scorer, describe_judge, distances
from models.vae.calibration import (
    WRONG_CATEGORY,
    Spoilt,
    calibrated,
    measure_all,
    remember,
    spread_evenly,
    unremembered,
)
from models.vae.probe import choose_probe, fit_probe
from models.vae.residuals import RESIDUALS, residual_measures


class Averages:
    """Encodes a picture by the means of its quarters, and decodes these: no training, and no TensorFlow."""

    size, latent = 16, 12

    def reconstruct(self, images):
        quarters = images.reshape(-1, 2, 8, 2, 8, 3).mean(axis=(2, 4)).astype(np.float32)
        return quarters.reshape(-1, 12) / 64, quarters.repeat(8, axis=1).repeat(8, axis=2).astype(np.uint8)


@pytest.fixture(scope="module")
def memory():
    return remember(Averages(), articles(90), articles(30, seed=1), most=40)


def noisy(found, sigma=60):
    rng = np.random.default_rng(0)
    images = np.clip(found.images + rng.normal(0, sigma, found.images.shape), 0, 255).astype(np.uint8)
    return Spoilt(images, found.categories, np.arange(len(found)))


def test_residuals_are_nothing_for_the_picture_itself_and_grow_with_noise():
    found = articles(6)
    none = residual_measures(found.images, found.images)
    levels = [RESIDUALS.index(name) for name in ("error", "worst", "grain", "colour_grain")]
    np.testing.assert_allclose(none[:, levels], np.log(0.3), atol=1e-5)
    np.testing.assert_allclose(none[:, RESIDUALS.index("structure")], 0, atol=1e-5)
    some, more = (residual_measures(noisy(found, sigma).images, found.images).mean(axis=0) for sigma in (10, 40))
    for index in (*levels, RESIDUALS.index("structure")):
        assert none[:, index].mean() < some[index] < more[index]


def test_bright_lines_are_skewed_and_as_many_dark_ones_the_other_way():
    plain = np.full((1, 32, 32, 3), 90, np.uint8)
    bright, dark = plain.copy(), plain.copy()
    bright[:, ::8], dark[:, ::8] = 150, 30
    skewness = RESIDUALS.index("skewness")
    assert residual_measures(bright, plain)[0, skewness] > 0.5
    assert residual_measures(dark, plain)[0, skewness] < -0.5


def test_a_probe_tells_what_is_linear_and_not_what_is_not_there():
    rng = np.random.default_rng(0)
    classes = rng.integers(0, 3, 300)
    features = (rng.normal(size=(300, 5)) + 6 * np.eye(5)[classes] + 100).astype(np.float32)
    probe, _ = choose_probe(features[:200], classes[:200], 3, (features[200:250], classes[200:250]))
    assert probe.accuracy(features[250:], classes[250:]) > 0.95
    np.testing.assert_allclose(np.exp(probe.log_probabilities(features)).sum(axis=1), 1)
    blind = fit_probe(rng.normal(size=(300, 5)).astype(np.float32), classes, 3, 0.1)
    assert blind.accuracy(rng.normal(size=(300, 5)).astype(np.float32), classes) < 0.5


def test_rare_categories_are_kept_whole():
    categories = np.array([0] * 50 + [1] * 3 + [2] * 20)
    kept = categories[spread_evenly(categories, 23, seed=0)]
    assert np.bincount(kept).tolist() == [10, 3, 10]
    assert len(spread_evenly(categories, 500, seed=0)) == len(categories)


def test_a_memory_is_what_was_written(memory):
    found = measure_all(Judge(Averages(), memory), articles(20, 3), {"noise": noisy(articles(20, 3))})
    scored = calibrated(memory, [found], found)
    for one in (memory, scored):
        again = Memory.from_bytes(one.to_bytes())
        assert again.names == NAMES and again.to_bytes() == one.to_bytes()
        np.testing.assert_array_equal(again.latents, one.latents)
        assert (again.full is None) == (one.full is None)


def test_nearest_and_category_measures_are_those_of_a_plain_search(memory):
    judge, found = Judge(Averages(), memory), articles(5, seed=7)
    measures, latents = judge.measure(found.images, found.categories)
    assert measures.shape == (5, len(MEASURES))
    np.testing.assert_array_equal(latents, Averages().reconstruct(found.images)[0])
    stored = memory.latents.astype(np.float32)
    apart = np.array([[np.linalg.norm(one - other) for other in stored] for one in latents])
    np.testing.assert_allclose(distances(latents, stored), apart, atol=1e-3)
    nearest = np.sort(apart, axis=1)[:, :5].mean(axis=1)
    np.testing.assert_allclose(measures[:, MEASURES.index("near")], np.log(nearest + 1e-3), atol=1e-3)
    unknown, _ = judge.measure(found.images, np.full(5, UNKNOWN))
    assert np.isnan(unknown[:, len(GENERAL) :]).all()
    np.testing.assert_array_equal(unknown[:, : len(GENERAL)], measures[:, : len(GENERAL)])


def test_faults_that_it_was_weighed_by_are_told_from_clean_pictures(memory):
    judge, known, other = Judge(Averages(), memory), articles(60, seed=3), articles(60, seed=4)

    def spoilt(found):
        wrong = Spoilt(found.images, (found.categories + 1) % 3, np.arange(len(found)))
        return {"noise": noisy(found), WRONG_CATEGORY: wrong}

    found = measure_all(judge, known, spoilt(known))
    scored = Judge(Averages(), calibrated(memory, [found], found))
    names = [NAMES[category] for category in other.categories]
    clean = scored.judge(other.images, names)
    bad = scored.judge(spoilt(other)["noise"].images, names)
    wrong = scored.judge(other.images, [NAMES[(category + 1) % 3] for category in other.categories])
    assert (bad.score > scored.memory.general.threshold).mean() > 0.9
    assert (clean.score > scored.memory.general.threshold).mean() < 0.2
    np.testing.assert_array_equal(wrong.score, clean.score)  # by looks alone nothing is wrong
    assert np.median(wrong.category_doubt) > np.median(clean.category_doubt)


def test_a_score_is_bounded_in_what_it_was_never_shown():
    nothing, once = np.zeros(2, np.float32), np.ones(2, np.float32)
    one = Scorer(nothing, once, nothing, once, np.ones((7, 1)), nothing[:1], once[:1], threshold=0.0)
    assert one.terms(np.array([[2.0, 3.0]]), np.array([[5.0, 1.0]])).tolist() == [[2, 3, 4, 6, 9, 4, 1]]
    far = np.array([[1e9, 1e9]])
    assert one.score(far, far) == one.score(np.array([[8.0, 8.0]]), np.array([[4.0, 4.0]]))
    assert np.isnan(one.score(np.array([[np.nan, 1.0]]), nothing[None]))


def test_what_is_remembered_is_not_learnt_from():
    train = articles(50)
    others = unremembered(train, most=10, memory=30, seed=3)
    kept = set(train.ids[spread_evenly(train.categories, 30, 3)])
    assert len(others) == 10 and not kept & set(others.ids)
    assert len(unremembered(train, most=10, memory=80)) == 0


def test_what_does_not_belong_together_is_refused(memory, tmp_path):
    class Shorter(Averages):
        latent = 5

    with pytest.raises(ValueError, match="12 dimensions, the autoencoder gives 5"):
        Judge(Shorter(), memory)
    with pytest.raises(ValueError, match="no thresholds"):
        Judge(Averages(), memory).judge(articles(1).images, ["Hat"])
    (tmp_path / "a.tflite").write_bytes(b"no model")
    with pytest.raises(ValueError, match="a.npz"):
        describe_judge(str(tmp_path / "a.tflite"))
    (tmp_path / "a.npz").write_bytes(b"no memory")
    with pytest.raises(ValueError, match="cannot be used"):
        describe_judge(str(tmp_path / "a.tflite"))
    with pytest.raises(ValueError, match="'clothes' must be packshot-vae or"):
        describe_judge("clothes")


def test_every_article_gets_every_fault(monkeypatch):
    found = articles(4)
    solid = [(image.repeat(4, axis=0).repeat(4, axis=1), np.full((64, 64), 255, np.uint8)) for image in found.images]
    monkeypatch.setattr(calibration, "pictures_of", lambda source, chosen: iter(solid))
    source = calibration.ArticleSource("photos", fit="frame", size=16)
    spoilt = calibration.spoil(source, found)
    assert list(spoilt) == [*calibration.FAULTS, WRONG_CATEGORY]
    for name, wrong in spoilt.items():
        assert wrong.images.shape == found.images.shape, name
    assert (spoilt[WRONG_CATEGORY].categories != found.categories).all()
