import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.cli import main
from pipeline.evaluation import gates
from pipeline.evaluation.gates import AS_IT_CAME, SPOILING, TWO_PHOTOS, GatesConfig, Verdict, evaluate_gates
from tests.pipeline.evaluation.conftest import garment
from transforms.colour import decode_srgb8
from transforms.quality import Measurements
from transforms.reasons import ReviewReason

pictures = st.builds(
    lambda seed, height, width: np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8),
    st.integers(0, 9), st.integers(8, 60), st.integers(8, 60),
)  # fmt: skip


@settings(deadline=None, max_examples=20)
@given(image=pictures, seed=st.integers(0, 9))
def test_spoiling_keeps_shape_and_type(image, seed):
    for kinds in SPOILING.values():
        for spoil in kinds.values():
            spoilt = gates.stored(spoil(image, np.random.default_rng(seed)))
            assert spoilt.shape == image.shape
            assert spoilt.dtype == np.uint8


@settings(deadline=None, max_examples=20)
@given(image=pictures, stops=st.sampled_from([-2, -1, 1, 2]))
def test_exposure_doubles_light_a_stop(image, stops):
    light, changed = decode_srgb8(image), decode_srgb8(gates.exposed(image, stops))
    np.testing.assert_allclose(changed, np.minimum(1, light * 2.0**stops), atol=0.005)
    np.testing.assert_array_equal(gates.exposed(image, 0), image)


def test_two_photos_stand_side_by_side():
    first, second = garment(0), garment(1, (90, 70))
    image, alpha = gates.beside(first, second)
    assert image.shape == (180, 280, 3)
    assert alpha.shape == (180, 280)
    np.testing.assert_array_equal(image[:, :140], first[0])


def test_the_table_counts_what_is_lost_too():
    def verdict(spoilt, *reasons, lost=None):
        return Verdict("a", spoilt, reasons, Measurements(), lost)

    over = ReviewReason.OVER_EXPOSED
    found = [verdict(AS_IT_CAME), verdict("1 stop over", over, lost=0.5), verdict("1 stop over", lost=0.01)]
    table = gates.detection_table(found)
    assert "| over_exposed | as it came | 1 | 0.0% |" in table
    assert "| over_exposed | 1 stop over | 2 | 50.0% |" in table
    assert "| over_exposed | 1 stop over, a tenth of the product beyond white | 1 | 100.0% |" in table
    assert "| too_blurred | blur of 2 px | 0 | - |" in table


def test_gates_are_measured_on_photos(data, tmp_path, capsys):
    target = tmp_path / "all.json"
    command = ["evaluate", "gates", "--photos", str(data / "photos"), "--masks", str(data / "masks.parquet")]
    assert main([*command, "--limit", "3", "--json", str(target)]) == 0
    table = capsys.readouterr().out
    found = json.loads(target.read_text())
    assert len({row["id"] for row in found}) == 3
    assert {row["spoilt"] for row in found} <= {AS_IT_CAME, TWO_PHOTOS, *(n for k in SPOILING.values() for n in k)}
    assert "## Cut by the frame, against hand-drawn masks" in table
    assert main(["evaluate", "gates", "--photos", str(data / "photos"), "--limit", "0"]) == 2


def test_what_is_missing_is_named(data):
    with pytest.raises(ValueError, match="there is no photo to measure"):
        evaluate_gates(GatesConfig(photos=str(data / "photos"), split="validation"))
    with pytest.raises(ValueError, match="seed is -1"):
        GatesConfig(photos="a", seed=-1)
