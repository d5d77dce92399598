import json

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.cli import main
from pipeline.evaluation.near_duplicates import (
    COPIES,
    NearDuplicatesConfig,
    Pair,
    compare_all,
    evaluate_near_duplicates,
    pairs_table,
)
from pipeline.near_duplicates import ENTRY, find_near_pairs, pack
from transforms.perceptual_hash import MOST_DISTANCE, PerceptualHash


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 9), st.integers(12, 80), st.integers(12, 80))
def test_copies_are_pictures(seed, height, width):
    draw = np.random.default_rng(seed)
    image = draw.integers(0, 256, (height, width, 3), np.uint8)
    before = image.copy()
    for copy in COPIES.values():
        made = copy(image, draw)
        assert made.dtype == np.uint8 and made.ndim == 3 and made.shape[2] == 3 and min(made.shape) > 0
    np.testing.assert_array_equal(image, before)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 99), st.integers(0, MOST_DISTANCE))
def test_what_is_measured_is_what_a_run_lists(seed, limit):
    draw = np.random.default_rng(seed)
    centre, hashes = draw.bytes(72), []
    for _ in range(12):
        bits = np.unpackbits(np.frombuffer(centre, np.uint8))
        bits[draw.permutation(64)[: draw.integers(0, 9)]] ^= 1
        bits[64 + draw.permutation(256)[: draw.integers(0, 54)]] ^= 1
        digits = np.packbits(bits[: 64 + 256]).tobytes().hex()
        hashes.append(PerceptualHash(digits[:16], digits[16:], "00" * 32))
    expected = {(pair.first, pair.second) for pair in compare_all(hashes) if pair.near(limit)}
    rows = [
        {"id": str(i), "source_uri": "", "source_sha256": f"{i:064x}", "refresh": "new", **vars(h)}
        for i, h in enumerate(hashes)
    ]
    found = find_near_pairs(np.frombuffer(pack(pa.Table.from_pylist(rows))[0], ENTRY), limit)
    assert set(zip(found.first.tolist(), found.second.tolist(), strict=True)) == expected


def test_table_counts_pairs_and_recoloured_ones():
    pairs = [Pair(0, 1, 2, 10, 0.0), Pair(0, 2, 2, 80, 0.0), Pair(1, 2, 4, 20, 12.0)]
    table = pairs_table(pairs, 3)
    assert "| ≤ 2 | 2 | 1 | 0 |" in table
    assert "| ≤ 4 | 3 | 2 | 1 |" in table


def test_command_writes_tables_sheets_and_figures(data, capsys):
    arguments = ["--photos", str(data / "photos"), "--copies", "2", "--sheet", str(data / "sheet.png")]
    assert main(["evaluate", "near_duplicates", *arguments, "--json", str(data / "all.json")]) == 0
    out = capsys.readouterr().out
    assert "| stored again (JPEG 85) | 2 |" in out
    assert "## Pairs among the 5 photos" in out
    figures = json.loads((data / "all.json").read_text())
    assert set(figures["copies"]) == set(COPIES)
    assert all(pair["id_a"] < pair["id_b"] for pair in figures["pairs"])
    near = [pair for pair in figures["pairs"] if pair["detail_distance"] <= 6 * MOST_DISTANCE]
    assert bool(near) == bool(list(data.glob("sheet-*.png")))


def test_wrong_values_are_one_sentence(data, capsys):
    with pytest.raises(ValueError, match="copies is 0; it must be at least 1"):
        NearDuplicatesConfig(photos="x", copies=0)
    with pytest.raises(ValueError, match="there is no photo to measure"):
        evaluate_near_duplicates(NearDuplicatesConfig(photos=str(data / "photos"), split="none"))
    assert main(["evaluate", "near_duplicates", "--photos", str(data / "nothing")]) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1
