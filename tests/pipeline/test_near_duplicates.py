import hashlib
import itertools
import random

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pytest
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.testing.util import assert_that
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.near_duplicates import (
    DETAIL_PER_BIT,
    ENTRY,
    MOST_NEIGHBOURS,
    FindNearDuplicates,
    band_mask,
    find_near_pairs,
)
from pipeline.records import NEAR_DUPLICATES_KEY, NEAR_DUPLICATES_SCHEMA
from pipeline.sinks.tables import read_table
from pipeline.sinks.write_table import WriteTable

_RUN = "20261122T223000Z-3f9a1c"
_COLUMNS = "id source_uri source_sha256 refresh perceptual_hash perceptual_detail perceptual_colours"
_CATALOGUE = pa.schema([(name, pa.string()) for name in _COLUMNS.split()])


def _flipped(value, bits, draw, width=64):
    for bit in draw.sample(range(width), bits):
        value ^= 1 << bit
    return value


def _entries(hashes, details):
    entries = np.zeros(len(hashes), ENTRY)
    entries["hash"] = hashes
    digits = b"".join(int(detail).to_bytes(32, "little") for detail in details)
    entries["detail"] = np.frombuffer(digits, "<u8").reshape(-1, 4)
    entries["key"] = entries["content"] = np.arange(len(hashes))
    return entries


def _clusters(seed, groups, members, spread):
    """Hashes in groups, of which each differs from the group's first in up to ``spread`` bits."""
    draw = random.Random(seed)
    hashes, details = [], []
    for _ in range(groups):
        centre, detail = draw.getrandbits(64), draw.getrandbits(256)
        for _ in range(draw.randint(1, members)):
            hashes.append(_flipped(centre, draw.randint(0, spread), draw))
            details.append(_flipped(detail, draw.randint(0, 6 * spread), draw, 256))
    order = draw.sample(range(len(hashes)), len(hashes))
    return _entries([hashes[i] for i in order], [details[i] for i in order])


def _all_pairs(entries, limit):
    pairs = {}
    for first, second in itertools.combinations(range(len(entries)), 2):
        distance = int(np.bitwise_count(entries["hash"][first] ^ entries["hash"][second]))
        detail = int(np.bitwise_count(entries["detail"][first] ^ entries["detail"][second]).sum())
        if distance <= limit and detail <= DETAIL_PER_BIT * limit:
            pairs[first, second] = (distance, detail)
    return pairs


def _found(entries, limit, most):
    found = find_near_pairs(entries, limit, most)
    pairs = {
        (int(first), int(second)): (int(distance), int(detail), bool(more))
        for first, second, distance, detail, more in zip(*found, strict=True)
    }
    assert len(pairs) == len(found.first)
    return pairs


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 16), st.integers(1, 30), st.integers(1, 6), st.integers(0, 9))
def test_buckets_find_what_comparing_all_with_all_finds(seed, limit, groups, members, spread):
    entries = _clusters(seed, groups, members, spread)
    found = _found(entries, limit, most=1000)
    assert {pair: values[:2] for pair, values in found.items()} == _all_pairs(entries, limit)
    assert not any(more for _, _, more in found.values())


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 10), st.integers(1, 4), st.integers(1, 5))
def test_crowded_photos_keep_their_nearest_and_say_so(seed, limit, most, spread):
    entries = _clusters(seed, 2, 25, spread)
    expected = {}
    of_second = {}
    for (first, second), (distance, detail) in _all_pairs(entries, limit).items():
        of_second.setdefault(second, []).append((distance, detail, first))
    for second, near in of_second.items():
        for distance, detail, first in sorted(near)[:most]:
            expected[first, second] = (distance, detail, len(near) > most)
    assert _found(entries, limit, most) == expected


@given(st.integers(0, 16))
def test_bands_share_out_the_bits(limit):
    masks = [int(band_mask(band, limit)) for band in range(limit + 1)]
    assert sum(masks) == 2**64 - 1
    assert max(mask.bit_count() for mask in masks) - min(mask.bit_count() for mask in masks) <= 1


def test_ten_thousand_equal_photos_are_linked_to_the_first_ones():
    entries = _entries([7] * 10_000, [9] * 10_000)
    found = find_near_pairs(entries, 8)
    assert found.first.max() == MOST_NEIGHBOURS - 1
    assert len(found.first) == MOST_NEIGHBOURS * 10_000 - MOST_NEIGHBOURS * (MOST_NEIGHBOURS + 1) // 2
    assert found.more.tolist() == (found.second > MOST_NEIGHBOURS).tolist()


def _row(name, code, detail, content=None, refresh="new", colours=bytes(32)):
    return {
        "id": name,
        "source_uri": f"in/{name}.jpg",
        "source_sha256": hashlib.sha256((content or name).encode()).hexdigest(),
        "refresh": refresh,
        "perceptual_hash": None if code is None else f"{code:016x}",
        "perceptual_detail": None if code is None else f"{detail:064x}",
        "perceptual_colours": None if code is None else colours.hex(),
    }


def _rows():
    draw = random.Random(5)
    rows = []
    for group in range(40):
        code, detail = draw.getrandbits(64), draw.getrandbits(256)
        for member in range(draw.randint(1, 4)):
            near = _flipped(code, draw.randint(0, 3), draw), _flipped(detail, draw.randint(0, 12), draw, 256)
            name = f"photo-{draw.randrange(10**6):06d}-{group}-{member}"
            rows.append(_row(name, *near, refresh=draw.choice(("new", "unchanged"))))
    return rows


def _write(output, rows, limit=8, partitions=1, shards=2, **runner):
    with beam.Pipeline(runner=FnApiRunner(**runner)) as p:
        catalogue = p | beam.Create(rows) | "Catalogue" >> WriteTable(str(output), "catalogue", _RUN, _CATALOGUE, 3)
        near = catalogue | FindNearDuplicates(str(output), _RUN, limit, partitions)
        _ = near | WriteTable(str(output), "near_duplicates", _RUN, NEAR_DUPLICATES_SCHEMA, shards, NEAR_DUPLICATES_KEY)
    return read_table(str(output), "near_duplicates", _RUN).to_pylist()


def _expected(rows, limit):
    pairs = {}
    for a, b in itertools.combinations(sorted(rows, key=lambda row: row["id"]), 2):
        distance, detail = (
            (int(a[name], 16) ^ int(b[name], 16)).bit_count() for name in ("perceptual_hash", "perceptual_detail")
        )
        if distance <= limit and detail <= DETAIL_PER_BIT * limit:
            pairs[a["id"], b["id"]] = {
                "id_a": a["id"], "id_b": b["id"], "distance": distance, "detail_distance": detail,
                "colour_distance": 0.0, "hash_a": a["perceptual_hash"], "hash_b": b["perceptual_hash"],
                "refresh_a": a["refresh"], "refresh_b": b["refresh"], "source_uri_a": a["source_uri"],
                "source_uri_b": b["source_uri"], "more": False,
            }  # fmt: skip
    return pairs


@pytest.mark.parametrize("limit, partitions", [(8, 1), (8, 3), (2, 2), (0, 1)])
def test_table_holds_every_pair_once_with_both_sides(tmp_path, limit, partitions):
    rows = _rows()
    table = _write(tmp_path, rows, limit, partitions)
    assert {(row["id_a"], row["id_b"]): row for row in table} == _expected(rows, limit)
    assert len(table) == len(_expected(rows, limit))
    assert {"new", "unchanged"} == {row["refresh_a"] for row in table} or limit < 8


def test_bytes_of_the_table_follow_from_the_rows_alone(tmp_path):
    rows = _rows()
    _write(tmp_path / "a", rows, partitions=1)
    _write(tmp_path / "b", random.Random(0).sample(rows, len(rows)), partitions=4, bundle_repeat=2)
    contents = [
        [path.read_bytes() for path in sorted((tmp_path / name / "near_duplicates" / _RUN).iterdir())] for name in "ab"
    ]
    assert len(contents[0]) == 2 and contents[0] == contents[1]


def test_one_photo_stands_for_all_of_the_same_bytes(tmp_path):
    rows = [_row(f"same-{i}", 5, 5, content="same") for i in range(5)]
    assert _write(tmp_path / "a", rows) == []
    (pair,) = _write(tmp_path / "b", [*rows, _row("other", 4, 4)])
    assert pair["id_a"] == "other" and pair["id_b"].startswith("same-")
    assert (pair["distance"], pair["detail_distance"]) == (1, 1)


def test_rows_without_a_hash_take_no_part(tmp_path):
    assert _write(tmp_path, [_row("a", 1, 1), _row("b", None, 1), _row("c", None, 1)]) == []


def test_nothing_is_looked_for_below_zero(tmp_path):
    assert _write(tmp_path, [_row("a", 1, 1), _row("b", 1, 1)], limit=-1) == []


def test_colours_tell_a_recoloured_product(tmp_path):
    (pair,) = _write(tmp_path, [_row("a", 1, 1), _row("b", 1, 1, colours=bytes([60, 0] * 8 + [0, 0] * 8))])
    assert pair["colour_distance"] == pytest.approx(30)


def test_crowd_is_capped_across_bands_and_partitions(tmp_path):
    draw = random.Random(1)
    rows = [_row(f"p{i:03d}", _flipped(0, draw.randint(0, 2), draw), 0) for i in range(3 * MOST_NEIGHBOURS)]

    def check(pairs):
        seen = {}
        for pair in pairs:
            assert pair["id_a"] < pair["id_b"]
            seen[pair["id_a"], pair["id_b"]] = pair["more"]
        assert len(seen) == len(pairs) < MOST_NEIGHBOURS * len(rows)
        assert len(pairs) == sum(min(MOST_NEIGHBOURS, before) for before in range(len(rows)))
        assert sum(seen.values()) == (len(rows) - MOST_NEIGHBOURS - 1) * MOST_NEIGHBOURS

    with beam.Pipeline(runner=FnApiRunner()) as p:
        catalogue = p | beam.Create(rows) | WriteTable(str(tmp_path), "catalogue", _RUN, _CATALOGUE, 2)
        assert_that(catalogue | FindNearDuplicates(str(tmp_path), _RUN, 8, 3), check)
