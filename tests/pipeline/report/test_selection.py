import collections

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.report.columns import NO_CATEGORY, STATUSES, CatalogueColumns
from pipeline.report.selection import BEST_PRESENCE, CATEGORY, LARGEST, REVIEW, SMALLEST, WORST_PRESENCE, select


def columns(count, *, seed=0, same=1, categories=0):
    """Catalogue columns of random numbers; ``same`` rows each are of one photo."""
    draw = np.random.default_rng(seed)
    reasons = draw.choice(np.array([0, 0, 0, 1, 2, 5], np.uint64), count)
    category = draw.integers(0, categories, count) if categories else np.full(count, NO_CATEGORY)
    return CatalogueColumns(
        parts=("part-00000-of-00001.parquet",),
        part=np.zeros(count, np.uint16),
        row=np.arange(count, dtype=np.uint32),
        status=(reasons > 0).astype(np.uint8),
        coverage=draw.random(count, np.float32),
        presence=draw.random(count, np.float32),
        colour_shift=draw.random(count, np.float32),
        content=(np.arange(count, dtype=np.uint64) // np.uint64(same)) * np.uint64(0x9E3779B97F4A7C15),
        reasons=reasons,
        reason_names=("low_presence", "cut_by_frame", "uncertain_mask"),
        category_column="kind" if categories else None,
        category=category.astype(np.uint8),
        category_names=tuple(f"kind {code}" for code in range(categories)),
        refresh={"new": count},
    )


@settings(deadline=None, max_examples=50)
@given(
    count=st.integers(0, 300), sample=st.integers(-1, 80), same=st.integers(1, 4), categories=st.integers(0, 5),
    seed=st.integers(0, 9),
)  # fmt: skip
def test_sample_is_as_large_as_it_can_be_and_shows_nothing_twice(count, sample, same, categories, seed):
    table = columns(count, seed=seed, same=same, categories=categories)
    picks = select(table, sample)
    shown = [int(table.content[pick.index]) for pick in picks]
    assert len(shown) == len(set(shown)) == min(max(sample, 0), -(-count // same))
    assert picks == select(table, sample)


def test_strata_hold_the_extremes():
    table = columns(1000, categories=4)
    picks = select(table, 48)
    by_stratum = collections.defaultdict(list)
    for pick in picks:
        by_stratum[pick.stratum].append(pick.index)
    assert [stratum for stratum, _ in sorted(by_stratum.items(), key=lambda item: picks.index(
        next(pick for pick in picks if pick.stratum == item[0])))][0] == REVIEW  # fmt: skip
    reviewed = by_stratum[REVIEW]
    assert len(reviewed) == 12
    assert all(STATUSES[table.status[index]] == "review" for index in reviewed)
    for bit in range(3):
        assert sum(bool(table.reasons[index] & np.uint64(1 << bit)) for index in reviewed) >= 3
    rest = np.setdiff1d(np.arange(1000), reviewed)
    assert by_stratum[WORST_PRESENCE][0] == rest[np.argmin(table.presence[rest])]
    assert by_stratum[BEST_PRESENCE][0] == rest[np.argmax(table.presence[rest])]
    assert by_stratum[SMALLEST][0] == rest[np.argmin(table.coverage[rest])]
    assert by_stratum[LARGEST][0] == rest[np.argmax(table.coverage[rest])]
    assert {int(table.category[index]) for index in by_stratum[CATEGORY]} == {0, 1, 2, 3}


def test_a_photo_without_numbers_is_neither_best_nor_worst():
    table = columns(100)
    table.presence[:50] = np.nan
    picks = select(table, 24)
    extremes = [pick.index for pick in picks if pick.stratum in (WORST_PRESENCE, BEST_PRESENCE)]
    assert extremes
    assert not np.isnan(table.presence[extremes]).any()
