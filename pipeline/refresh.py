"""What is new, changed, unchanged or removed against the last committed run."""

from __future__ import annotations

import dataclasses
import datetime
import functools
import logging
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import apache_beam as beam
import numpy as np
import pyarrow as pa

from pipeline.records import CATALOGUE_COLUMNS, TRAILING_COLUMNS, Photo, catalogue_schema
from pipeline.sinks import storage
from pipeline.sinks.commit import LATEST, committed_run
from pipeline.sinks.tables import read_table
from transforms.reasons import RejectReason
from transforms.stage import REJECTED

Row = Mapping[str, Any]

_LOGGER = logging.getLogger(__name__)
_FEW_VALUED = ("status", "refresh", "model", "model_sha256", "config_fingerprint", "packshot_version")
_RUN_NAME = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{6}")


def new_run_name(now: datetime.datetime) -> str:
    """Returns a run's name, like ``20261122T223000Z-3f9a1c``: sorts by time, and two are never equal.

    Args:
      now: with a time zone.
    """
    if now.tzinfo is None:
        raise ValueError(f"the time of a run needs a time zone, but {now!r} has none")
    return f"{now.astimezone(datetime.UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"


def latest_run(output: str) -> str | None:
    """Returns the name of the last committed run, or None before the first.

    Raises:
      ValueError: ``LATEST`` holds something else than a run's name.
    """
    run = committed_run(output)
    if run is not None and not _RUN_NAME.fullmatch(run):
        raise ValueError(
            f"{storage.join(output, LATEST)!r} holds {run[:80]!r}, which is no run's name; restore the name "
            f"of a run under {storage.join(output, 'runs')!r}, or remove the file to start from nothing"
        )
    return run


def load_previous(output: str, run: str | None) -> pa.Table | None:
    """Returns the catalogue of a committed run, or None for no run.

    Raises:
      FileNotFoundError, ValueError: the run was committed, but its catalogue is missing or not whole.
    """
    if run is None:
        return None
    return read_table(output, "catalogue", run, dictionaries=_FEW_VALUED)


class PreviousRows:
    """Finds the last run's rows by id.

    Beside the table it keeps 16 bytes a row, sorted hashes and positions; a row becomes a dict only when it
    is asked for.

    Args:
      table: the last run's catalogue, or None for none.
    """

    def __init__(self, table: pa.Table | None):
        self._table = (catalogue_schema().empty_table() if table is None else table).combine_chunks()
        hashes = _hashes(self._table.column("id").to_pylist())
        self._order = np.argsort(hashes, kind="stable")
        self._hashes = hashes[self._order]

    def __len__(self) -> int:
        return self._table.num_rows

    def positions(self, ids: Sequence[str]) -> np.ndarray:
        """Returns the ids' positions in the table as int64 (n,), -1 for an id that is not there."""
        found = np.full(len(ids), -1, np.int64)
        hashes = _hashes(ids)
        first = np.searchsorted(self._hashes, hashes, side="left")
        last = np.searchsorted(self._hashes, hashes, side="right")
        wanted = np.flatnonzero(first < last)
        nearest = self._order[first[wanted]]
        for index, position, candidate in zip(wanted.tolist(), nearest, self._ids(nearest), strict=True):
            if candidate == ids[index]:
                found[index] = position
                continue
            others = self._order[first[index] + 1 : last[index]]  # different ids may share a hash
            for other, candidate in zip(others, self._ids(others), strict=True):
                if candidate == ids[index]:
                    found[index] = other
        return found

    def rows(self, ids: Sequence[str]) -> list[dict[str, Any] | None]:
        """Returns the ids' rows as dicts by column, None for an id that is not there."""
        positions = self.positions(ids)
        known = iter(self._table.take(pa.array(positions[positions >= 0])).to_pylist())
        return [next(known) if position >= 0 else None for position in positions]

    def missing_from(self, ids: Sequence[str]) -> list[str]:
        """Returns the sorted ids of the table that are not among the given ones."""
        gone = np.ones(len(self), bool)
        positions = self.positions(ids)
        gone[positions[positions >= 0]] = False
        return sorted(self._ids(np.flatnonzero(gone)))

    def _ids(self, positions: np.ndarray) -> list[str]:
        return self._table.column("id").take(pa.array(positions, pa.int64())).to_pylist()


@dataclasses.dataclass(frozen=True)
class RefreshPlan:
    """How the input stands to the last run, by ids alone.

    Attributes:
      new: ids that the last catalogue does not have: new ones, and those rejected last time.
      known: ids that it has; each is carried over unless its photo, the configuration or the model changed.
      removed: ids that it has and the input has no longer, sorted.
    """

    new: int
    known: int
    removed: tuple[str, ...]


def plan_refresh(ids: Sequence[str], previous: PreviousRows) -> RefreshPlan:
    """Compares the input's ids with the last run's.

    Args:
      ids: of the whole input, each once.
      previous: the last run's rows.
    """
    known = int(np.count_nonzero(previous.positions(ids) >= 0))
    return RefreshPlan(new=len(ids) - known, known=known, removed=tuple(previous.missing_from(ids)))


def classify(
    photo_sha256: str,
    fingerprint: str,
    model_sha256: str,
    previous: Row | None,
    assets_exist: Callable[[], bool],
) -> Literal["new", "changed", "unchanged"]:
    """Says what to do with a photo.

    Args:
      photo_sha256: of the encoded photo as it is now.
      fingerprint: of the configuration as it is now.
      model_sha256: of the model's weights as they are now.
      previous: the id's row in the last catalogue, or None.
      assets_exist: asked last, and only where all else is equal: it costs requests.

    Returns:
      ``new`` without a row; ``unchanged`` where photo, configuration and model are those of the row and its
      assets are there; else ``changed``.
    """
    if previous is None:
        return "new"
    now = (photo_sha256, fingerprint, model_sha256)
    then = (previous["source_sha256"], previous["config_fingerprint"], previous["model_sha256"])
    return "unchanged" if now == then and assets_exist() else "changed"


def assets_exist(output: str, row: Row) -> bool:
    """Says whether all assets of a catalogue row are stored, each with the size that the row gives."""
    return all(storage.file_size(storage.join(output, asset["uri"])) == asset["bytes"] for asset in row["assets"])


def carry_over(
    photo: Photo, *, output: str, fingerprint: str, model_sha256: str, full_refresh: bool = False
) -> tuple[Photo, dict[str, Any] | None]:
    """Finds out whether a photo needs any work.

    Args:
      photo: with ``source_sha256`` and ``previous``.
      output: the output folder.
      fingerprint: of the configuration.
      model_sha256: of the model's weights.
      full_refresh: do every photo again.

    Returns:
      The photo with ``refresh`` set and without ``previous``, and None; or, for an unchanged photo, its
      catalogue row: that of the last run with the attributes and the place it has now.
    """
    if photo.source_sha256 is None:
        raise ValueError(f"photo {photo.id!r} has no source_sha256; it is compared with that of the last run")
    previous = photo.previous or {}

    def is_whole() -> bool:
        # A row of an older version may lack a column: its photo is done again.
        complete = previous.keys() >= set(CATALOGUE_COLUMNS)
        try:
            return not full_refresh and complete and assets_exist(output, previous)
        except storage.StorageError as error:
            _LOGGER.warning("photo %r is done again, because its assets cannot be looked up: %s", photo.id, error)
            return False

    refresh = classify(photo.source_sha256, fingerprint, model_sha256, photo.previous, is_whole)
    photo = photo.replace(refresh=refresh, previous=None)
    if refresh != "unchanged":
        return photo, None
    row = {column: previous[column] for column in CATALOGUE_COLUMNS}
    row.update((column, previous.get(column)) for column in TRAILING_COLUMNS)
    return photo, {**row, "source_uri": photo.source_uri, "refresh": refresh, **photo.attributes}


class CarryOver(beam.PTransform):
    """Parts photos that need work from the rows of unchanged ones; see ``carry_over``.

    Returns (of ``expand``):
      Three PCollections: photos with ``refresh`` set, catalogue rows of unchanged photos, and rejections.
    """

    def __init__(self, output: str, fingerprint: str, model_sha256: str, full_refresh: bool = False):
        super().__init__()
        self._carry_over = functools.partial(
            carry_over,
            output=output,
            fingerprint=fingerprint,
            model_sha256=model_sha256,
            full_refresh=full_refresh,
        )

    def expand(self, photos):
        parted = photos | beam.ParDo(_CarryOver(self._carry_over)).with_outputs(
            _CarryOver.ROWS, REJECTED, main="photos"
        )
        return parted.photos, parted[_CarryOver.ROWS], parted[REJECTED]


class _CarryOver(beam.DoFn):
    ROWS = "unchanged_rows"

    def __init__(self, function: Callable[[Photo], tuple[Photo, dict[str, Any] | None]]):
        self._function = function

    def process(self, photo: Photo):
        try:
            photo, row = self._function(photo)
        except Exception as error:  # as in every stage: one photo must never cost the bundle
            detail = f"{type(error).__name__}: {error}"
            yield beam.pvalue.TaggedOutput(REJECTED, photo.rejected("refresh", RejectReason.INTERNAL, detail))
            return
        yield photo if row is None else beam.pvalue.TaggedOutput(self.ROWS, row)


def _hashes(ids: Sequence[str]) -> np.ndarray:
    # Python's own hash: it is only compared within this process, and is fast.
    return np.fromiter(map(hash, ids), np.int64, len(ids))
