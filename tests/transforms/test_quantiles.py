import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from transforms.quantiles import median, quantile

VALUES = hnp.arrays(np.float32, st.integers(1, 60), elements=st.floats(-100, 100, width=32))


@given(VALUES, st.floats(0, 1))
def test_quantiles_are_numpy_s(values, share):
    assert np.isclose(quantile(values, share), np.quantile(values.astype(np.float64), share), atol=1e-4)


@given(VALUES)
def test_the_median_is_numpy_s(values):
    assert np.isclose(median(values), np.median(values.astype(np.float64)), atol=1e-4)


def test_a_plane_and_whole_numbers_serve_too():
    assert quantile(np.array([[3, 1], [2, 4]], np.uint8), 0.5) == 2.5
    assert quantile(np.array([7]), 0.99) == 7
