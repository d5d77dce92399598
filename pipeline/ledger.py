"""The counts of a run. They balance, or the run did not happen."""

from __future__ import annotations

import collections
import dataclasses
import datetime
from collections.abc import Iterable, Mapping
from typing import Any

from models.handlers.occupancy import BUSY, PLACES, WAITED, describe_inference
from pipeline.augmentation.counts import SampleCount, SampleLedger
from pipeline.sinks.tables import OPTIONAL_TABLES, TABLES
from pipeline.sinks.write_table import ShardSummary


class LedgerError(Exception):
    """The counts of a run do not balance: a photo was lost or counted twice."""


@dataclasses.dataclass(frozen=True)
class Ledger:
    """What became of the photos of a run.

    Attributes:
      read: photos that the plan listed.
      ready: photos with pictures that need no look.
      review: photos with pictures that a person should look at.
      rejected: photos without pictures.
      unchanged: of ready and review, those carried over from the last run.
      duplicate: of ready and review, those that share another photo's pictures.
      removed: ids of the last run that are no longer in the input; not part of read.
      assets_written: files made by this run.
      rejections: rejected photos by reason, largest first.
      near_duplicates: pairs of photos that look the same; see ``pipeline.near_duplicates``.
      samples: what became of the samples that were asked for, None in a run without augmentation.
    """

    read: int
    ready: int = 0
    review: int = 0
    rejected: int = 0
    unchanged: int = 0
    duplicate: int = 0
    removed: int = 0
    assets_written: int = 0
    rejections: dict[str, int] = dataclasses.field(default_factory=dict)
    near_duplicates: int = 0
    samples: SampleLedger | None = None

    @classmethod
    def of_tables(
        cls, read: int, removed: int, summaries: Iterable[ShardSummary | SampleCount], *, augmented: bool = False
    ) -> Ledger:
        """Returns the counts of what was planned and of what stands in the tables.

        Args:
          read: photos that the plan listed.
          removed: ids of the last run that the plan no longer lists.
          summaries: of every shard of all tables, in any order; with the counts of samples among them.
          augmented: whether samples were asked for.

        Raises:
          LedgerError: a shard is missing, comes twice, a row's status is unknown, or other photos are removed
            than planned.
        """
        told = list(summaries)
        shards_told = [s for s in told if isinstance(s, ShardSummary)]
        for table in TABLES:
            if table in OPTIONAL_TABLES and not augmented:
                continue
            shards = sorted((s.shard, s.shards) for s in shards_told if s.table == table)
            if not shards or shards != [(shard, shards[0][1]) for shard in range(shards[0][1])]:
                found = [shard for shard, _ in shards]
                raise LedgerError(f"The {table} table is not whole: only its shards {found} were written.")
        listed = sum(s.rows for s in shards_told if s.table == "removed")
        if listed != removed:
            raise LedgerError(f"{removed} photos were removed from the input, but the removed table has {listed} rows.")
        kept = [s for s in shards_told if s.table != "removed"]  # its rows have the status of another run
        status, refresh, reasons = (_added(getattr(s, name) for s in kept) for name in _SUMMED)
        rows = sum(s.rows for s in shards_told if s.table == "catalogue")
        ready, review = status["ready"], status["review"]
        if ready + review != rows:
            raise LedgerError(f"Of {rows} catalogue rows, {ready} are ready and {review} review; the rest is neither.")
        return cls(
            read=read,
            ready=ready,
            review=review,
            rejected=sum(s.rows for s in shards_told if s.table == "rejections"),
            unchanged=refresh["unchanged"],
            duplicate=refresh["duplicate"],
            removed=removed,
            assets_written=sum(s.assets_written for s in shards_told),
            rejections=dict(sorted(reasons.items(), key=lambda item: (-item[1], item[0]))),
            near_duplicates=sum(s.rows for s in shards_told if s.table == "near_duplicates"),
            samples=(
                SampleLedger.of((s.samples for s in shards_told), (s for s in told if isinstance(s, SampleCount)))
                if augmented
                else None
            ),
        )

    def check(self) -> None:
        """Raises LedgerError, with the numbers in its message, unless the counts balance."""
        accounted = self.ready + self.review + self.rejected
        parts = f"{self.ready} ready + {self.review} review + {self.rejected} rejected = {accounted}"
        if accounted < self.read:
            raise LedgerError(
                f"The ledger does not balance: {self.read} photos were read, but {parts}; "
                f"{self.read - accounted} were lost."
            )
        if accounted > self.read:
            raise LedgerError(
                f"The ledger does not balance: {self.read} photos were read, but {parts}; "
                f"{accounted - self.read} were counted twice."
            )
        if self.unchanged + self.duplicate > self.ready + self.review:
            raise LedgerError(
                f"The ledger does not balance: {self.unchanged} unchanged + {self.duplicate} duplicate "
                f"photos are more than the {self.ready + self.review} that are ready or review."
            )
        if sum(self.rejections.values()) != self.rejected:
            raise LedgerError(
                f"The ledger does not balance: {self.rejected} photos were rejected, but the reasons "
                f"{self.rejections} add up to {sum(self.rejections.values())}."
            )
        if self.samples is not None and (wrong := self.samples.imbalance()):
            raise LedgerError(f"The ledger does not balance: {wrong}.")


def exit_status(ledger: Ledger, max_rejected_fraction: float) -> int:
    """Returns the exit status of a committed run: 0, or 3 when more photos were rejected than allowed.

    Args:
      ledger: the run's counts.
      max_rejected_fraction: of the photos read, 0..1.
    """
    return 3 if ledger.rejected > max_rejected_fraction * ledger.read else 0


def describe_run(
    ledger: Ledger,
    *,
    started: datetime.datetime,
    ended: datetime.datetime,
    stages: Mapping[str, tuple[float, int]],
    config: Mapping[str, Any],
    model: Mapping[str, Any],
    versions: Mapping[str, str],
    host: str,
    previous_run: str | None = None,
) -> dict[str, Any]:
    """Returns the content of ``run.json``; the only place for times and host names.

    Args:
      ledger: the run's counts.
      started, ended: of the run, with a time zone.
      stages: summed milliseconds and number of photos by stage, in the order of the flow; with the sums of
        ``models.handlers.occupancy.Share`` among them.
      config: the configuration by option.
      model: name, weights' hash and whatever describes the model.
      versions: of Packshot and the libraries that decide the bytes.
      host: where the run was committed.
      previous_run: the committed run that this one was compared with, None for the first.

    Returns:
      Counts as in ``Ledger``; ``images_per_second`` counts the photos worked on, not those carried over;
      ``resumed`` those of ready and review that a run which did not end had finished before; ``augmented``, in a
      run with augmentation, is ``SampleLedger.as_dict``; ``inference``, in a run that used the model, as of
      ``describe_inference``.
    """
    counts = dataclasses.asdict(ledger)
    rejections = counts.pop("rejections")
    del counts["samples"]
    inference = describe_inference(stages)
    stages = {stage: sums for stage, sums in stages.items() if stage not in (BUSY, WAITED, PLACES)}
    seconds = (ended - started).total_seconds()
    timed = max((photos for _, photos in stages.values()), default=0)
    resumed = max(0, ledger.ready + ledger.review - ledger.unchanged - ledger.duplicate - timed)
    worked = ledger.read - ledger.unchanged - resumed
    return {
        **counts,
        "seconds": round(seconds, 3),
        "images_per_second": round(worked / seconds, 3) if seconds > 0 else 0.0,
        "stages": {stage: round(spent / photos, 3) for stage, (spent, photos) in stages.items() if photos},
        "config": dict(config),
        "model": dict(model),
        "versions": dict(versions),
        "rejections": rejections,
        "started": started.astimezone(datetime.UTC).isoformat(timespec="seconds"),
        "ended": ended.astimezone(datetime.UTC).isoformat(timespec="seconds"),
        "host": host,
        "previous_run": previous_run,
        "resumed": resumed,
        **({} if inference is None else {"inference": inference}),
        **({} if ledger.samples is None else {"augmented": ledger.samples.as_dict()}),
    }


_SUMMED = ("status", "refresh", "reasons")


def _added(counts: Iterable[Mapping[str, int]]) -> collections.Counter[str]:
    total: collections.Counter[str] = collections.Counter()
    for count in counts:
        total.update(count)
    return total
