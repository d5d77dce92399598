import numpy as np
import pytest

from models.metrics.recognition import agreement, balanced_accuracy, inception_type_score


def test_sure_and_even_predictions_score_the_number_of_classes():
    assert inception_type_score(np.eye(4)[np.arange(40) % 4]) == pytest.approx((4, 0))


def test_unsure_or_single_predictions_score_one():
    assert inception_type_score(np.full((10, 4), 0.25))[0] == pytest.approx(1)
    assert inception_type_score(np.eye(4)[np.zeros(10, int)])[0] == pytest.approx(1)


def test_the_score_is_the_exponent_of_the_mutual_information():
    p = np.random.default_rng(0).dirichlet(np.ones(5), 60)
    wanted = np.exp(np.mean(np.sum(p * np.log(p / p.mean(axis=0)), axis=1)))
    assert inception_type_score(p)[0] == pytest.approx(wanted)
    parts = [inception_type_score(part)[0] for part in np.array_split(p, 3)]
    assert inception_type_score(p, splits=3) == pytest.approx((np.mean(parts), np.std(parts)))


def test_it_falls_with_dropped_classes():
    values = [inception_type_score(np.eye(8)[np.arange(80) % classes])[0] for classes in (8, 4, 2)]
    assert values == sorted(values, reverse=True)


def test_what_is_no_probability_is_named():
    with pytest.raises(ValueError, match="sum to 1"):
        inception_type_score(np.ones((3, 4)))
    with pytest.raises(ValueError, match=r"\(2, 4\)"):
        inception_type_score(np.full((2, 4), 0.25), splits=3)


def test_agreement_counts_the_likeliest_class():
    p = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.7, 0.3]])
    assert agreement(p, np.array([0, 1, 1, 0])) == 0.75
    assert balanced_accuracy(p, np.array([0, 1, 1, 0])) == 0.75
    assert balanced_accuracy(p, np.array([0, 0, 0, 1])) == pytest.approx((2 / 3 + 0) / 2)
    with pytest.raises(ValueError, match="4 pictures and 3"):
        agreement(p, np.array([0, 1, 1]))
