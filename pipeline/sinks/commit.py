"""Makes a run the current one: checked, described and only then named by ``LATEST``."""

from __future__ import annotations

import datetime
import functools
import json
import logging
import socket
from collections.abc import Callable, Mapping
from typing import Any

import apache_beam as beam

from pipeline.augmentation.counts import SampleCount
from pipeline.ledger import Ledger, describe_run
from pipeline.sinks import storage
from pipeline.sinks.journal import clear_journal
from pipeline.sinks.write_table import ShardSummary

LATEST = "LATEST"
_LOGGER = logging.getLogger(__name__)
WriteReport = Callable[[str, str, dict[str, Any]], None]  # of output, run, content of run.json
StageSums = dict[str, tuple[float, int]]  # stage: (milliseconds, photos)


class CommitConflict(Exception):
    """Another run was committed since this one was planned."""


def check_still_latest(output: str, run: str, expected_latest: str | None) -> None:
    """Raises CommitConflict if the committed run is not the one that a run was planned against."""
    latest = committed_run(output)
    if latest != expected_latest:
        raise CommitConflict(_conflict(output, run, expected_latest, latest))


def committed_run(output: str) -> str | None:
    """Returns the name of the run that ``LATEST`` names, or None before the first.

    Raises:
      storage.StorageError: ``LATEST`` could not be read.
    """
    text = _read_latest(output)
    return None if text is None else text.strip()


def commit_run(
    output: str,
    run: str,
    ledger: Ledger,
    run_json: dict[str, Any],
    *,
    expected_latest: str | None,
    write_report: WriteReport | None = None,
    marker: str | None = None,
) -> None:
    """Commits a run whose assets and tables are stored: run.json, then the report, then ``LATEST``.

    Notes of finished photos (``pipeline.sinks.journal``) that this makes useless are deleted last.

    Until the last step the previous run stays the current one; committing the same run again does nothing.

    Args:
      output: the output folder.
      run: the run's name.
      ledger: its counts.
      run_json: the content of run.json.
      expected_latest: the run that was the committed one when this run was planned, None for none.
      write_report: writes the report, called with output, run and the content of run.json.
      marker: a file that must still be there, as ``pipeline.markers`` has it, or None; deleted last of all.

    Raises:
      LedgerError: the counts do not balance.
      CommitConflict: ``LATEST`` names another run than expected, or the marker is gone.
      storage.StorageError: something could not be written.
    """
    ledger.check()
    before = _read_latest(output)
    latest = None if before is None else before.strip()
    if latest == run:
        return  # a replayed bundle
    if latest != expected_latest:
        raise CommitConflict(_conflict(output, run, expected_latest, latest))
    content = json.dumps(run_json, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    storage.write_bytes(storage.join(output, "runs", run, "run.json"), content.encode(), media_type="application/json")
    if write_report is not None:
        write_report(output, run, run_json)
    if marker is not None and not storage.exists(marker):
        raise CommitConflict(
            f"Run {run!r} was not committed to {output!r}: {marker!r} is gone, so it was taken for abandoned, and "
            "its pictures may have been pruned. Start it again."
        )
    try:
        storage.write_text_last(storage.join(output, LATEST), f"{run}\n", expected=before)
    except storage.SupersededError as error:
        raise CommitConflict(_conflict(output, run, expected_latest, committed_run(output))) from error
    clear_journal(output, run)
    if marker is not None:
        _remove_marker(output, marker)


class Commit(beam.PTransform):
    """Commits the run once all shards of all tables are written; see ``commit_run``.

    Applied to ``(summaries, timings)``: the ``ShardSummary`` of every shard of all tables and perhaps ``SampleCount``,
    and the ``milliseconds`` of every photo worked on (dicts by stage).

    Args:
      output: the output folder.
      run: the run's name.
      read: photos that the plan listed.
      removed: ids of the last run that the plan no longer lists.
      started: when the run started, with a time zone.
      expected_latest: the committed run at planning time.
      config, model, versions: for run.json.
      write_report: writes the report; must be picklable.
      marker: as in ``commit_run``.
      augmented: whether samples were asked for; their counts are then among the summaries.

    Returns (of ``expand``):
      One element, the committed ``Ledger``.
    """

    def __init__(
        self,
        output: str,
        run: str,
        *,
        read: int,
        removed: int,
        started: datetime.datetime,
        expected_latest: str | None,
        config: Mapping[str, Any],
        model: Mapping[str, Any],
        versions: Mapping[str, str],
        write_report: WriteReport | None = None,
        marker: str | None = None,
        augmented: bool = False,
    ):
        super().__init__()
        self._ledger_of = functools.partial(Ledger.of_tables, read, removed, augmented=augmented)
        self._describe = functools.partial(
            describe_run, started=started, config=config, model=model, versions=versions, previous_run=expected_latest
        )
        self._commit = functools.partial(
            commit_run, output, run, expected_latest=expected_latest, write_report=write_report, marker=marker
        )

    def expand(self, inputs):
        summaries, timings = inputs
        sums = timings | "SumStages" >> beam.CombineGlobally(SumStages())  # {stage: (milliseconds, photos)}
        gathered = summaries | "GatherShards" >> beam.combiners.ToList()  # [ShardSummary]
        commit = beam.Map(self._commit_tables, beam.pvalue.AsSingleton(sums))
        return gathered | "CommitRun" >> commit  # Ledger

    def _commit_tables(self, summaries: list[ShardSummary | SampleCount], stages: StageSums) -> Ledger:
        ledger = self._ledger_of(summaries)
        ended = datetime.datetime.now(datetime.UTC)
        self._commit(ledger, self._describe(ledger, ended=ended, stages=stages, host=socket.gethostname()))
        return ledger


class SumStages(beam.CombineFn):
    """Sums photos' ``milliseconds`` by stage, with the number of photos that passed it."""

    def create_accumulator(self) -> StageSums:
        return {}

    def add_input(self, sums: StageSums, milliseconds: Mapping[str, float]) -> StageSums:
        return self.merge_accumulators((sums, {stage: (spent, 1) for stage, spent in milliseconds.items()}))

    def merge_accumulators(self, accumulators) -> StageSums:
        merged: StageSums = {}
        for sums in accumulators:
            for stage, (spent, photos) in sums.items():
                before = merged.get(stage, (0.0, 0))
                merged[stage] = (before[0] + spent, before[1] + photos)
        return merged

    def extract_output(self, sums: StageSums) -> StageSums:
        return sums


def _read_latest(output: str) -> str | None:
    try:
        return storage.read_bytes(storage.join(output, LATEST)).decode("utf-8", "replace")
    except FileNotFoundError:
        return None


def _remove_marker(output: str, marker: str) -> None:
    try:
        storage.delete_files(output, [marker.removeprefix(storage.join(output, ""))])
    except storage.StorageError as error:
        _LOGGER.warning("The run is committed, but %r was not deleted: %s", marker, error)


def _conflict(output: str, run: str, expected: str | None, found: str | None) -> str:
    planned = f"run {expected!r} was" if expected else "no run was"
    now = f"run {found!r} is" if found else "none is"
    return (
        f"Run {run!r} was not committed to {output!r}: when it was planned, {planned} the committed one, "
        f"now {now}. Start it again; finished pictures are kept."
    )
