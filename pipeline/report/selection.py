"""Which photos the report shows: a stratified sample that is the same for the same catalogue."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Iterator

import numpy as np

from pipeline.report.columns import NO_CATEGORY, STATUSES, CatalogueColumns

REVIEW = "review"
WORST_PRESENCE = "worst_presence"
COLOUR_SHIFTED = "colour_shifted"
SMALLEST = "smallest"
LARGEST = "largest"
BEST_PRESENCE = "best_presence"
CATEGORY = "category"
RANDOM = "random"
REMOVED = "removed"  # of the photos that are in the catalogue no longer

# Parts of the sample in the order shown. Review comes first and has most, because that is where work waits.
_SHARES = {
    REVIEW: 12, WORST_PRESENCE: 6, COLOUR_SHIFTED: 6, SMALLEST: 4, LARGEST: 4, BEST_PRESENCE: 4, CATEGORY: 6, RANDOM: 6,
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Pick:
    """A photo of the sample.

    Attributes:
      index: its position in the catalogue's columns, or among the removed photos.
      stratum: why it was picked; one of the names above.
    """

    index: int
    stratum: str


def select(columns: CatalogueColumns, sample: int) -> list[Pick]:
    """Draws the sample.

    Review takes one photo of each reason in turn, categories one photo of each value in turn. A photo, or another one
    of the very same bytes, is shown once, by the first stratum that wants it; what a stratum cannot fill goes to the
    random one. Ties are broken by the content hash.

    Args:
      columns: of the catalogue.
      sample: number of photos wanted.

    Returns:
      At most ``sample`` picks, by stratum, and within one in the order in which they are best looked at.
    """
    if sample <= 0 or not len(columns):
        return []
    order = np.lexsort((columns.row, columns.part, columns.content))  # random, yet always the same
    review = order[columns.status[order] == STATUSES.index("review")]
    candidates: dict[str, Iterable[int]] = {
        REVIEW: _in_turn(review[columns.reasons[review] & np.uint64(1 << bit) != 0] for bit in _rare_first(columns)),
        WORST_PRESENCE: _by(columns.presence, order),
        COLOUR_SHIFTED: _by(-columns.colour_shift, order[columns.colour_shift[order] > 0]),
        SMALLEST: _by(columns.coverage, order),
        LARGEST: _by(-columns.coverage, order),
        BEST_PRESENCE: _by(-columns.presence, order),
        CATEGORY: _in_turn(order[columns.category[order] == code] for code in range(len(columns.category_names))),
        RANDOM: iter(order),
    }
    quotas = _quotas(sample, has_category=bool(np.any(columns.category != NO_CATEGORY)))
    shown: set[int] = set()
    picks: list[Pick] = []
    left = sample
    for stratum, quota in quotas.items():
        quota = left if stratum == RANDOM else min(quota, left)
        for index in candidates[stratum]:
            if not quota:
                break
            content = int(columns.content[index])
            if content not in shown:
                shown.add(content)
                picks.append(Pick(int(index), stratum))
                quota -= 1
                left -= 1
    return picks


def _quotas(sample: int, *, has_category: bool) -> dict[str, int]:
    shares = {name: share for name, share in _SHARES.items() if has_category or name != CATEGORY}
    total = sum(shares.values())
    return {name: max(1, round(sample * share / total)) for name, share in shares.items()}


def _rare_first(columns: CatalogueColumns) -> list[int]:
    counts = columns.reason_counts()
    return sorted(range(len(columns.reason_names)), key=lambda bit: (counts[columns.reason_names[bit]], bit))


def _by(key: np.ndarray, order: np.ndarray) -> np.ndarray:
    return order[np.argsort(key[order], kind="stable")]  # NaN sorts last


def _in_turn(groups: Iterable[np.ndarray]) -> Iterator[int]:
    for turn in itertools.zip_longest(*groups):
        yield from (index for index in turn if index is not None)
