import numpy as np
import pytest

from models.articles import Articles, ArticleSource


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "cutouts is empty"),
        ({"fit": "frame", "size": 4}, "size=4 must be at least 8"),
        ({"fit": "frame", "test_percent": -1}, "test_percent=-1 must be from 0 to 100"),
        ({"fit": "frame", "test_percent": 60, "development_percent": 40}, "leave nothing to train on"),
    ],
)
def test_what_cannot_be_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        ArticleSource("photos", **settings)


def test_taking_keeps_all_arrays_together():
    numbers = np.arange(4, dtype=np.int32)
    articles = Articles(
        numbers.astype(str), numbers.astype(str), numbers, numbers, np.zeros((4, 8, 8, 3), np.uint8), ("a",)
    )
    taken = articles.take(numbers % 2 == 1)
    assert len(taken) == 2 and taken.ids.tolist() == ["1", "3"] and taken.colours.tolist() == [1, 3]
    assert taken.images.shape == (2, 8, 8, 3) and taken.category_names == ("a",)
