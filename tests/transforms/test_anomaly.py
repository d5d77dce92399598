import apache_beam as beam
import numpy as np
import pytest
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.testing.util import assert_that

from models.handlers.anomaly import Anomaly, AnomalyHandler, Example
from models.vae.anomaly import Judgement
from pipeline.records import Photo
from transforms.anomaly import FindAnomalies, judged, product_picture
from transforms.reasons import ReviewReason


class Brightness:
    """Stands for a judge: the brighter the stranger; a category is doubted by the length of its name."""

    class memory:
        class general:
            threshold = 235.0

        class full:
            threshold = 5.0

    sha256 = "0" * 64

    def judge(self, images, categories):
        if any(image[0, 0, 0] == 13 for image in images):
            raise ValueError("thirteen")
        doubts = np.array([np.nan if name is None else len(name) for name in categories], np.float32)
        return Judgement(images.mean(axis=(1, 2, 3)).astype(np.float32), doubts)


class Handler(AnomalyHandler):
    def load_model(self):
        return Brightness()


def photo(level=10, category="Hat", **changes):
    image = np.full((40, 30, 3), level, np.uint8)
    alpha = np.zeros((40, 30), np.uint8)
    alpha[5:35, 5:25] = 255
    values = {"id": f"{level}{category}", "source_uri": "", "image": image, "foreground": image, "alpha": alpha}
    return Photo(**{**values, "attributes": {"category": category}, **changes})


def picture(level):
    return np.full((8, 8, 3), level, np.uint8)


def test_the_product_stands_in_the_middle_of_a_plain_ground():
    made = product_picture(photo().foreground, photo().alpha, 16)
    assert made.shape == (16, 16, 3) and (made[[0, 0, -1, -1], [0, -1, 0, -1]] == 243).all()
    rows, columns = np.nonzero((made < 100).all(axis=-1))
    assert abs(rows.min() + rows.max() - 15) <= 1 and abs(columns.min() + columns.max() - 15) <= 1
    assert product_picture(photo().foreground, np.zeros((40, 30), np.uint8), 16) is None
    large = photo(image=None, foreground=np.full((900, 700, 3), 10, np.uint8), alpha=np.full((900, 700), 255, np.uint8))
    assert (product_picture(large.foreground, large.alpha, 16)[8] == 10).any()


def test_a_batch_is_judged_and_one_bad_picture_costs_no_other_its_score():
    handler, batch = Handler("m"), [Example(picture(50)), Example(None), Example(picture(13)), Example(picture(240))]
    answers = list(handler.run_inference(batch, handler.load_model()))
    assert [answer.score for answer in answers] == [50, None, None, 240]
    assert [answer.unusual for answer in answers] == [False, False, False, True]
    assert all(answer.milliseconds >= 0 and answer.category_doubt is None for answer in answers)
    (doubted,) = handler.run_inference([Example(picture(50), "Undershirt")], handler.load_model())
    assert (doubted.category_doubt, doubted.unlike_category, doubted.unusual) == (10, True, False)


def test_reasons_follow_from_what_was_found():
    assert judged(photo(), Anomaly()).review_reasons == ()
    found = judged(photo(), Anomaly(1.0, 2.0, unusual=True, unlike_category=True))
    assert found.review_reasons == (ReviewReason.UNUSUAL_PRODUCT, ReviewReason.UNLIKE_ITS_CATEGORY)
    assert (found.anomaly, found.category_doubt) == (1.0, 2.0)


def test_every_photo_comes_out_of_the_step():
    photos = [
        photo(10), photo(240), photo(20, "Undershirt"), photo(30, None), photo(40, attributes={}),
        photo(50, foreground=None), photo(60).flagged(ReviewReason.NO_PRODUCT),
    ]  # fmt: skip

    def check(found):
        by_id = {one.id: one for one in found}
        assert by_id.keys() == {one.id for one in photos}
        assert by_id["20Undershirt"].review_reasons == (ReviewReason.UNLIKE_ITS_CATEGORY,)
        assert by_id["30None"].category_doubt is None and by_id["30None"].anomaly is not None
        assert by_id["50Hat"].anomaly is None and by_id["60Hat"].anomaly is None
        assert all("anomaly" in one.milliseconds for one in found)

    with beam.Pipeline(runner=FnApiRunner()) as pipeline:
        found = (
            pipeline | beam.Create(photos, reshuffle=False) | FindAnomalies(Handler("m", batch_size=3), 16, "category")
        )
        assert_that(found, check)


@pytest.mark.parametrize("wrong", [{"batch_size": 0}, {"threads": 0}])
def test_a_handler_of_nothing_is_refused(wrong):
    with pytest.raises(ValueError, match="must be at least 1"):
        AnomalyHandler("m", **wrong)
