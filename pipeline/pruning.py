"""Deletes what of an output folder no kept run names.

What that is, ``pipeline.keeping`` says. It goes in an order that leaves each kept run
readable at every moment, and in which a killed pruning can be finished by the next:

1. ``run.json`` of the runs that go, oldest first: without it a run is none any more, so that none can be found with
   only a part of its files, and the chain of runs from ``LATEST`` backwards loses its far end only.
2. their assets.
3. their tables and the rest of their folders; last, because the tables are what tells the assets' names.

Files of kept runs are in none of these. What Packshot did not put there is left.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import itertools
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

import numpy as np

from pipeline.hashing import among, hashes
from pipeline.keeping import (
    FOLDERS,
    PrunePlan,
    Verdict,
    current_run,
    plan_prune,
    readable_assets,
    refusing,
)
from pipeline.markers import PRUNING, Marker, OutputBusy, Pruning, run_marker, runs_in_progress
from pipeline.sinks import storage
from pipeline.sinks.commit import LATEST, committed_run
from pipeline.sinks.tables import TABLES

T = TypeVar("T")

DAY = 24 * 3600.0  # seconds
_AT_A_TIME = 1000  # files judged and deleted together
_LOGGER = logging.getLogger(__name__)


Note = Callable[[storage.Entry, Verdict], None]


@dataclasses.dataclass
class Tally:
    """What was judged.

    Attributes:
      files, bytes: by what they are: ``assets/<kind>``, or a verdict's value.
      examples: the first names of each.
      missing: assets that kept runs name and that are not there; None where it was not looked for.
    """

    files: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    bytes: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    examples: dict[str, list[str]] = dataclasses.field(default_factory=dict)
    missing: int | None = None

    def add(self, file: storage.Entry, verdict: Verdict) -> None:
        """Counts a file."""
        key = "/".join(file.name.split("/")[:2]) if verdict is Verdict.ASSET else verdict.value
        self.files[key] += 1
        self.bytes[key] += file.size
        examples = self.examples.setdefault(key, [])
        if len(examples) < 3:
            examples.append(file.name)

    def going(self) -> list[str]:
        """Returns the kinds of files that go, in the order of a listing of the folder."""
        staying = {verdict.value for verdict in Verdict if not verdict.goes}
        return sorted(key for key in self.files if key not in staying)


def sweep(
    output: str,
    plan: PrunePlan,
    *,
    cutoff: float,
    delete: Callable[[Sequence[str]], None] | None = None,
    note: Note | None = None,
) -> Tally:
    """Goes through all that is stored, and deletes what goes.

    Memory: the plan's 8 bytes a name, and what one listing of a folder takes.

    Args:
      output: the output folder.
      plan: what is kept.
      cutoff: as in ``PrunePlan.judge``.
      delete: deletes files by their names below ``output``; None to delete nothing.
      note: told of every file that goes, or None.

    Raises:
      storage.StorageError: something could not be listed or deleted.
    """
    tally = Tally()

    def judged(folders: Iterable[str]) -> Iterator[tuple[storage.Entry, Verdict]]:
        for folder in folders:
            for files in _batched(storage.list_files(output, f"{folder}/")):
                yield from zip(files, plan.judge(files, cutoff), strict=True)

    def count(file: storage.Entry, verdict: Verdict) -> None:
        tally.add(file, verdict)
        if note is not None and verdict.goes:
            note(file, verdict)

    for name in storage.file_names(output):
        if name not in (LATEST, PRUNING):
            count(storage.Entry(name, 0, 0.0), Verdict.FOREIGN)
    few = []
    for file, verdict in judged(folder for folder in FOLDERS if folder != "assets"):
        count(file, verdict)
        if verdict.goes:
            few.append(file.name)
    if delete is not None:
        delete(descriptions(few))
    found = 0
    for files in _batched(judged(("assets",))):
        for file, verdict in files:
            count(file, verdict)
            found += verdict is Verdict.KEPT
        if delete is not None:
            delete([file.name for file, verdict in files if verdict.goes])
    tally.missing = len(plan.named) - found
    if delete is not None:
        delete(few)
    return tally


def retire(output: str, plan: PrunePlan, *, delete: Callable[[Sequence[str]], None]) -> Tally:
    """Deletes the dropped runs alone, by the names that their own tables tell, without a listing of all assets.

    What runs left that were never committed stays for ``sweep``.

    Args:
      output: the output folder.
      plan: what is kept.
      delete: deletes files by their names below ``output``.

    Raises:
      storage.StorageError: something could not be listed or deleted.
    """
    tally = Tally()
    few = []
    for folder in ("runs", *TABLES):
        for run in plan.dropped:
            files = list(storage.list_files(output, f"{folder}/{run}/"))
            for file, verdict in zip(files, plan.judge(files, 0.0), strict=True):
                tally.add(file, verdict)
                if verdict.goes:
                    few.append(file.name)
    delete(descriptions(few))
    left = plan.once_named
    for run in plan.dropped:
        for uris, sizes in readable_assets(output, run):
            of_names = hashes(uris)
            fresh = among(of_names, left)
            left = np.setdiff1d(left, of_names[fresh])  # several rows and several runs may name one asset
            assets = {uris[i]: storage.Entry(uris[i], sizes[i], 0.0) for i in np.flatnonzero(fresh)}
            for batch in _batched(assets.values()):
                going = []
                for file, verdict in zip(batch, plan.judge(batch, 0.0), strict=True):
                    tally.add(file, verdict)
                    if verdict.goes:
                        going.append(file.name)
                delete(going)
    delete(few)
    return tally


def show(output: str, *, keep_runs: int, min_age: float, note: Note | None = None) -> tuple[PrunePlan, Tally]:
    """Says what ``prune`` would delete; see there."""
    with refusing():
        plan = plan_prune(output, keep_runs)
    return plan, sweep(output, plan, cutoff=time.time() - min_age, note=note)


def prune(output: str, *, keep_runs: int, min_age: float, note: Note | None = None) -> tuple[PrunePlan, Tally]:
    """Deletes what no kept run names.

    Args:
      output: the output folder.
      keep_runs: how many committed runs to keep, at least 1.
      min_age: seconds; what is younger and was never named by a committed run stays, and a run whose process
        cannot be asked for is in progress until its marker is older.
      note: told of every file that goes, before it does.

    Raises:
      PruneRefused: it is not known for certain what is to be kept.
      OutputBusy: a run is in progress, or another pruning.
      storage.StorageError: something could not be deleted; the next pruning goes on from there.
    """
    with _leave(output, keep_runs, min_age) as (plan, delete):
        return plan, sweep(output, plan, cutoff=time.time() - min_age, delete=delete, note=note)


def prune_after_run(output: str, keep_runs: int, min_age: float = DAY) -> tuple[PrunePlan, Tally] | None:
    """Deletes the runs that a fresh one has pushed out, with what only they name. Never raises.

    Args:
      output: the output folder.
      keep_runs: how many committed runs to keep; 0 for all.
      min_age: as in ``prune``.

    Returns:
      What was kept and deleted, or None where nothing was to be done or it failed, which a warning tells.
    """
    if not keep_runs:
        return None
    try:
        with _leave(output, keep_runs, min_age) as (plan, delete):
            return plan, retire(output, plan, delete=delete)
    except Exception as error:  # the run is committed, whatever becomes of older ones
        _LOGGER.warning("Older runs were not pruned, which the next run or packshot prune will do: %s", error)
        return None


def in_progress(output: str, plan: PrunePlan, min_age: float) -> dict[str, Marker]:
    """Returns the runs that a pruning would disturb; a marker of a committed run is only not removed yet."""
    return {run: marker for run, marker in runs_in_progress(output, min_age).items() if run not in plan.kept}


@contextlib.contextmanager
def _leave(output: str, keep_runs: int, min_age: float) -> Iterator[tuple[PrunePlan, Callable[[Sequence[str]], None]]]:
    """Plans with no run in progress; yields the plan, and what deletes while that holds."""
    current_run(output)  # before anything is written to a folder that may be a wrong one
    leave = Pruning(output)
    with leave.held():
        with refusing():
            running = runs_in_progress(output, min_age)  # before LATEST: a run that ends now is seen here or there
            plan = plan_prune(output, keep_runs)
        for run, marker in running.items():
            if run not in plan.kept:
                raise OutputBusy(
                    f"run {run} may be in progress ({marker}); nothing is deleted. If it is known to be dead, "
                    f"delete {run_marker(output, run)!r}"
                )

        def delete(names: Sequence[str]) -> None:
            leave.check()
            if committed_run(output) != plan.kept[0]:
                raise OutputBusy(f"another run than {plan.kept[0]} was committed to {output!r} meanwhile; start again")
            storage.delete_files(output, names)

        yield plan, delete


def descriptions(names: Iterable[str]) -> list[str]:
    """Returns those names that are of a ``run.json``, oldest run first."""
    return sorted(name for name in names if name.startswith("runs/") and name.endswith("/run.json"))


def _batched(items: Iterable[T]) -> Iterator[list[T]]:
    iterator = iter(items)
    while batch := list(itertools.islice(iterator, _AT_A_TIME)):
        yield batch
