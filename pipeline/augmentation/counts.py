"""How many samples were asked for, and what became of them; they balance as the photos of a run do."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

ACCEPTED, MISSING, REPLACED = "accepted", "missing", "replaced"
OutcomeCounts = Mapping[tuple[str, str, str], int]  # by kind, category and outcome


@dataclasses.dataclass(frozen=True)
class SampleCount:
    """A count that the job makes while it goes on, independently of the table.

    Attributes:
      kind: of samples.
      category: by name, empty for none.
      what: ``asked``, ``carried``, ``examples``, ``microseconds``, or why generated products were withheld.
      count: how many.
    """

    kind: str
    category: str
    what: str
    count: int


_COUNTED = ("asked", "carried", "examples", "microseconds")


def outcome(status: str, reason: str | None, final: bool) -> str:
    """Returns what became of a row's sample: ``accepted``, ``missing:<reason>`` or ``replaced:<reason>``."""
    if status == ACCEPTED:
        return ACCEPTED
    return f"{MISSING if final else REPLACED}:{reason}"


@dataclasses.dataclass(frozen=True)
class SampleLedger:
    """What became of the samples of a run.

    Attributes:
      asked, accepted, missing: by kind.
      carried: of those, by kind, what the last run had made.
      refused: pictures by the reason for which they are not in use, largest first; several for one sample that was
        drawn several times.
      missing_categories: generated products that are missing, by category.
      withheld: generated products that were not asked for, by reason and category.
      examples: samples in the TensorFlow dataset, None without one.
      milliseconds: for one sample made of a photo, by kind.
    """

    asked: dict[str, int]
    accepted: dict[str, int]
    missing: dict[str, int]
    carried: dict[str, int]
    refused: dict[str, int]
    missing_categories: dict[str, int]
    withheld: dict[str, dict[str, int]]
    examples: int | None
    milliseconds: dict[str, float]

    @classmethod
    def of(cls, outcomes: Iterable[OutcomeCounts], counts: Iterable[SampleCount]) -> SampleLedger:
        """Adds up the table's shards and the job's own counts."""
        by: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
        for shard in outcomes:
            for (kind, category, what), count in shard.items():
                head, _, reason = what.partition(":")
                by[head][kind] += count
                if reason:
                    by["refused"][reason] += count
                if head == MISSING and kind == "product":
                    by["categories"][category] += count
        withheld: dict[str, dict[str, int]] = {}
        for counted in sorted(counts, key=lambda c: (c.what, c.kind, c.category)):
            if counted.what in _COUNTED:
                by[counted.what][counted.kind] += counted.count
            else:
                withheld.setdefault(counted.what, {})[counted.category] = counted.count
        fresh = {kind: count - by["carried"][kind] for kind, count in by["asked"].items()}
        return cls(
            asked=dict(sorted(by["asked"].items())),
            accepted=dict(sorted(by[ACCEPTED].items())),
            missing=dict(sorted(by[MISSING].items())),
            carried=dict(sorted(by["carried"].items())),
            refused=dict(sorted(by["refused"].items(), key=lambda item: (-item[1], item[0]))),
            missing_categories=dict(sorted(by["categories"].items())),
            withheld=withheld,
            examples=by["examples"].total() if "examples" in by else None,
            milliseconds={
                kind: round(spent / 1000 / fresh[kind], 3)
                for kind, spent in sorted(by["microseconds"].items())
                if fresh.get(kind, 0) > 0
            },
        )

    def imbalance(self) -> str | None:
        """Returns what does not balance, in one sentence, or None."""
        for kind in sorted({*self.asked, *self.accepted, *self.missing}):
            asked, accepted, missing = (part.get(kind, 0) for part in (self.asked, self.accepted, self.missing))
            if asked != accepted + missing:
                return (
                    f"{asked} samples of kind {kind} were asked for, but {accepted} accepted + {missing} missing = "
                    f"{accepted + missing} are in the table"
                )
        accepted = sum(self.accepted.values())
        if self.examples not in (None, accepted):
            return f"{accepted} samples were accepted, but the TensorFlow dataset has {self.examples}"
        return None

    def as_dict(self) -> dict[str, Any]:
        """Returns the counts as run.json has them, with their sums."""
        return {
            **{name: sum(getattr(self, name).values()) for name in ("asked", "accepted", "missing", "carried")},
            "by_kind": {
                kind: {name: getattr(self, name).get(kind, 0) for name in ("asked", "accepted", "missing", "carried")}
                for kind in self.asked
            },
            "refused": self.refused,
            "missing_categories": self.missing_categories,
            "withheld": self.withheld,
            **({} if self.examples is None else {"examples": self.examples}),
            "milliseconds": self.milliseconds,
        }
