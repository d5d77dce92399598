import numpy as np
import pytest

from models.articles import Articles
from models.gate_facts import GateFacts, measure_gate
from tests.models.fakes_of_generation import CATEGORIES, FakeClassifier, FakeGenerator


def articles(count, seed):
    draw = np.random.default_rng(seed)
    categories, colours = draw.integers(0, 3, count).astype(np.int32), draw.integers(0, 2, count).astype(np.int32)
    images = FakeGenerator().sample(draw.integers(0, 2**32, count).astype(np.uint64), categories, colours)
    return Articles(np.arange(count).astype(str), np.zeros(count, str), categories, colours, images, CATEGORIES)


def test_what_is_measured_is_what_the_gate_needs():
    train, unseen = articles(60, 1), articles(30, 2)
    facts = measure_gate(train, unseen, FakeGenerator(), FakeClassifier())
    assert facts.features.shape == (60, 1) and facts.generator_sha256 == FakeGenerator.sha256
    blue = unseen.images[:, 0, 0, 2:].astype(float)
    wanted = np.abs(blue - facts.features.T).min(axis=1)
    np.testing.assert_allclose(facts.distances, np.sort(wanted))
    np.testing.assert_allclose(facts.probabilities, np.full(30, 0.9), rtol=1e-6)
    assert len(facts.scores) == 1024 and (np.diff(facts.scores) >= 0).all()
    np.testing.assert_allclose(facts.colour_shares.sum(axis=1), 1, rtol=1e-6)


def test_a_file_holds_the_features_to_a_255th_of_their_range():
    facts = measure_gate(articles(60, 1), articles(30, 2), FakeGenerator(), FakeClassifier())
    read = GateFacts.from_bytes(facts.to_bytes())
    span = np.ptp(facts.features, axis=0)
    assert span.min() > 0 and (np.abs(read.features - facts.features) <= span / 500).all()
    np.testing.assert_array_equal(read.distances, facts.distances)
    assert read.category_names == facts.category_names


def test_too_few_unseen_articles_are_refused():
    with pytest.raises(ValueError, match="3 unseen articles"):
        measure_gate(articles(60, 1), articles(3, 2), FakeGenerator(), FakeClassifier())


def test_categories_that_the_articles_lack_are_refused():
    generator = FakeGenerator()
    generator.category_names = ("boots", "tie")
    with pytest.raises(ValueError, match="'tie', which is no category"):
        measure_gate(articles(60, 1), articles(30, 2), generator, FakeClassifier())
