import xml.etree.ElementTree as ET

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.report.charts import bar, compact, histogram, nice_ceiling


@settings(deadline=None, max_examples=50)
@given(
    ready=st.lists(st.floats(-1, 3, width=32) | st.just(float("nan")), max_size=40),
    review=st.lists(st.floats(0, 1, width=32), max_size=40),
)
def test_histogram_draws_every_bar_inside_its_frame(ready, review):
    series = {"ready": np.float32(ready), "review": np.float32(review)}
    svg = ET.fromstring(histogram(series, low=0.0, high=1.0, bins=10, title='<"presence">', open_end=True))
    assert svg.get("aria-label") == '<"presence">'
    width, height = (float(value) for value in svg.get("viewBox").split()[2:])
    for rectangle in svg.iter("rect"):
        x, y, wide, high = (float(rectangle.get(name)) for name in ("x", "y", "width", "height"))
        assert 0 <= x <= x + wide <= width
        assert 0 <= y <= y + high <= height
        assert high > 0


def test_histogram_counts_each_value_once():
    svg = ET.fromstring(
        histogram({"ready": np.array([0.05, 0.15, 0.15, 1.0, np.nan])}, low=0, high=1, bins=10, title="t")
    )
    assert [title.text for title in svg.iter("title")] == [
        "0 to 0.1: 1 ready",
        "0.1 to 0.2: 2 ready",
        "0.9 to 1: 1 ready",
    ]


def test_one_photo_is_seen_beside_a_million():
    svg = ET.fromstring(histogram({"ready": np.r_[np.zeros(10**6), 0.95]}, low=0, high=1, bins=10, title="t"))
    assert min(float(rectangle.get("height")) for rectangle in svg.iter("rect")) >= 1


def test_bar_is_as_long_as_its_shares():
    svg = ET.fromstring(bar({"ready": 0.5, "review": 0.0, "rejected": 0.25}, label="a & b"))
    rectangles = [(r.get("class"), float(r.get("x")), float(r.get("width"))) for r in svg.iter("rect")]
    assert rectangles == [("ready", 0.0, 50.0), ("rejected", 50.0, 25.0)]
    assert svg.get("aria-label") == "a & b"


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 10**9))
def test_axis_ends_little_above_the_largest_bar_and_halves_evenly(count):
    ceiling = nice_ceiling(count)
    assert max(count, 1) <= ceiling <= max(1.34 * count, count + 1)
    assert ceiling == 1 or ceiling % 2 == 0


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0"), (950, "950"), (1000, "1k"), (1200, "1.2k"), (34_000, "34k"), (5_000_000, "5M")]
)
def test_compact_counts(count, text):
    assert compact(count) == text
