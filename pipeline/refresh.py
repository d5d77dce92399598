"""What is new, changed, unchanged or removed against the last committed run, found out by cheap columns."""

from __future__ import annotations

import dataclasses
import datetime
import re
import secrets
from collections.abc import Collection, Iterator, Sequence
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.records import CATALOGUE_COLUMNS, KnownPhoto
from pipeline.sinks import storage
from pipeline.sinks.commit import LATEST, committed_run
from pipeline.sinks.tables import CarriedRows, part_schema, read_part, shard_of, table_parts
from pipeline.sources.items import PlannedItem, WorkItem

_FEW_VALUED = ("model_sha256", "config_fingerprint")
_ASSET_NAMES = ("assets.list.element.uri", "assets.list.element.bytes")
_AT_ONCE = 65_536  # ids compared in one go
_READ_AGAIN = 512 << 20  # bytes of a row group that its pieces together may read
_SLICES, _SMALLEST_SLICE = 64, 16  # pieces that a run is cut into at least, if they have so many photos
RUN_NAME = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{6}")


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
    if run is not None and not RUN_NAME.fullmatch(run):
        raise ValueError(
            f"{storage.join(output, LATEST)!r} holds {run[:80]!r}, which is no run's name; restore the name "
            f"of a run under {storage.join(output, 'runs')!r}, or remove the file to start from nothing"
        )
    return run


class PreviousRows:
    """Finds the last run's rows by id, without holding more than the columns by which photos are compared.

    Args:
      parts: the files of its catalogue, as paths below the output folder.
      tables: of each of these files, the columns ``id``, ``source_uri``, ``source_sha256`` and, where the run had
        it, ``source_version``.
      current: bool (n,), whether a row's pictures are those that would be made now.
      categories: of the rows, where pictures depend on them.
      schema: of the whole catalogue.
    """

    def __init__(
        self,
        parts: Sequence[str] = (),
        tables: Sequence[pa.Table] = (),
        current: np.ndarray | None = None,
        categories: Sequence[str | None] | None = None,
        schema: pa.Schema | None = None,
    ):
        self._parts = tuple(parts)
        self._ends = np.cumsum([table.num_rows for table in tables], dtype=np.int64)
        # Without chunks, so that rows are taken fast; large, because a million paths may exceed 2 GB.
        self._columns = {name: _large(tables, name) for name in ("id", "source_uri", "source_sha256", "source_version")}
        self._categories = categories
        self.current = np.ones(len(self), bool) if current is None else current
        self.schema = pa.schema([]) if schema is None else schema
        hashes = _hashes(self._columns["id"].to_pylist())
        self._order = np.argsort(hashes, kind="stable")
        self._hashes = hashes[self._order]

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    @property
    def parts(self) -> tuple[str, ...]:
        """The files that the rows stand in, as paths below the output folder."""
        return self._parts

    def positions(self, ids: Sequence[str]) -> np.ndarray:
        """Returns the ids' rows as int64 (n,), counted through all files; -1 for an id that is not there."""
        found = np.full(len(ids), -1, np.int64)
        hashes = _hashes(ids)
        first = np.searchsorted(self._hashes, hashes, side="left")
        last = np.searchsorted(self._hashes, hashes, side="right")
        wanted = np.flatnonzero(first < last)
        nearest = self._order[first[wanted]]
        for index, position, candidate in zip(wanted.tolist(), nearest, self.ids(nearest), strict=True):
            if candidate == ids[index]:
                found[index] = position
                continue
            others = self._order[first[index] + 1 : last[index]]  # different ids may share a hash
            for other, candidate in zip(others, self.ids(others), strict=True):
                if candidate == ids[index]:
                    found[index] = other
        return found

    def missing_from(self, ids: Sequence[str]) -> np.ndarray:
        """Returns the rows, as of ``positions``, whose ids are not among the given ones, sorted."""
        gone = np.ones(len(self), bool)
        positions = self.positions(ids)
        gone[positions[positions >= 0]] = False
        return np.flatnonzero(gone)

    def unmoved(self, positions: np.ndarray, uris: Sequence[str], versions: Sequence[str | None]) -> np.ndarray:
        """Says of which photos storage tells that they are what the last run read.

        Args:
          positions: int64 (n,), their rows; -1 for none.
          uris, versions: where the photos are now, and the versions they have there; None where it is not known.

        Returns:
          bool (n,): the same place, the same version, and pictures that are current.
        """
        same = np.zeros(len(positions), bool)
        known = np.flatnonzero(positions >= 0)
        rows = pa.array(positions[known])
        for name, values in (("source_uri", uris), ("source_version", versions)):
            then = self._columns[name].take(rows)
            now = pa.array([values[index] for index in known.tolist()], pa.large_string())
            equal = pc.fill_null(pc.equal(then, now), False).to_numpy(zero_copy_only=False)
            known, rows = known[equal], pa.array(positions[known[equal]])
        same[known] = self.current[positions[known]]
        return same

    def known(self, positions: np.ndarray) -> list[KnownPhoto | None]:
        """Returns what is known of photos by their rows; None for -1."""
        rows = positions[positions >= 0]
        files = np.searchsorted(self._ends, rows, side="right")
        within = rows - np.concatenate(([0], self._ends))[files]
        columns = [self._columns[name].take(pa.array(rows)).to_pylist() for name in list(self._columns)[1:]]
        found = iter(
            [
                KnownPhoto(
                    self._parts[file], place, uri, sha256, version, bool(self.current[row]),
                    None if self._categories is None else self._categories[row],
                )
                for file, place, row, uri, sha256, version in zip(
                    files.tolist(), within.tolist(), rows.tolist(), *columns, strict=True
                )
            ]
        )  # fmt: skip
        return [next(found) if position >= 0 else None for position in positions.tolist()]

    def carried(self, positions: np.ndarray, shards: int, **changes) -> Iterator[CarriedRows]:
        """Yields rows as a new table takes them over.

        Args:
          positions: int64 (n,), of rows.
          shards: files of the new table.
          **changes: columns that get another value in all of these rows.
        """
        positions = np.sort(positions)
        files = np.searchsorted(self._ends, positions, side="right")
        starts = np.concatenate(([0], self._ends))
        for file in np.unique(files).tolist():
            rows = positions[files == file]
            if len(self._parts) == shards:  # ids are spread over as many files as before, hence in the same way
                new = np.full(len(rows), file)
            else:
                new = np.array([shard_of(row_id, shards) for row_id in self.ids(rows)])
            for shard in np.unique(new).tolist():
                taken = (rows[new == shard] - starts[file]).tolist()
                yield CarriedRows(shard, self._parts[file], tuple(taken), dict(changes))

    def ids(self, positions: np.ndarray) -> list[str]:
        """Returns the ids of rows."""
        return self._columns["id"].take(pa.array(positions, pa.int64())).to_pylist()


def load_previous(
    output: str,
    run: str | None,
    *,
    fingerprint: str,
    model_sha256: str,
    full_refresh: bool = False,
    category_column: str | None = None,
) -> PreviousRows:
    """Reads what the next run must know of a committed one.

    Args:
      output: the output folder.
      run: the committed run, None before the first.
      fingerprint: of the configuration as it is now.
      model_sha256: of the model's weights as they are now.
      full_refresh: take no picture for current.
      category_column: the attribute on which pictures depend, None for none.

    Returns:
      Its rows. Those are current that were made with this configuration and model and whose assets are all stored,
      each with the size that the row gives.

    Raises:
      FileNotFoundError, ValueError: the run was committed, but its catalogue is missing or not whole.
      storage.StorageError: the assets cannot be listed.
    """
    if run is None:
        return PreviousRows()
    parts = table_parts(output, "catalogue", run)
    wanted = ["id", "source_uri", "source_sha256", "source_version", *_FEW_VALUED, *_ASSET_NAMES]
    if category_column is not None:
        wanted.append(category_column)
    tables = [read_part(output, part, wanted, dictionaries=_FEW_VALUED) for part in parts]
    schema = part_schema(output, parts[0])
    made = [_made_with(table, fingerprint, model_sha256) for table in tables]
    # A row of an older version may lack a column: its photo is done again.
    if full_refresh or not set(CATALOGUE_COLUMNS) <= set(schema.names) or not any(rows.any() for rows in made):
        current = [np.zeros(len(rows), bool) for rows in made]
    else:
        stored = _stored_assets(output)
        current = [rows & _are_whole(table, stored) for rows, table in zip(made, tables, strict=True)]
    categories: list[str | None] | None = None
    if category_column is not None:
        # a run that did not carry that column made its pictures without regard to it
        categories = []
        for table in tables:
            known = category_column in table.column_names
            categories += table.column(category_column).to_pylist() if known else [None] * len(table)
    return PreviousRows(parts, tables, np.concatenate(current), categories, schema)


@dataclasses.dataclass(frozen=True)
class RefreshPlan:
    """How the input stands to the last run, by what storage says without reading a photo.

    Attributes:
      items: what is to be read, without the photos that need no look.
      unmoved: int64 (n,), rows of the last run that stay as they are.
      new: photos to be read whose ids the last catalogue does not have: new ones, and those rejected last time.
      known: photos to be read whose ids it has; each is carried over unless its bytes, the configuration or the
        model changed.
      removed: int64 (n,), rows of the last run whose ids the input has no longer.
    """

    items: tuple[PlannedItem, ...]
    unmoved: np.ndarray
    new: int
    known: int
    removed: np.ndarray


def plan_refresh(
    items: Collection[WorkItem],
    previous: PreviousRows,
    *,
    trust_storage: bool = True,
    only: frozenset[str] | None = None,
) -> RefreshPlan:
    """Compares the input with the last run.

    Args:
      items: the whole input; each id stands for one photo.
      previous: the last run's rows.
      trust_storage: whether a photo whose storage shows no change needs no look.
      only: pass over all photos but these; what the last run knows of others stays as it is.
    """
    planned: list[PlannedItem] = []
    unmoved: list[np.ndarray] = []
    new = known = 0
    seen = np.zeros(len(previous), bool)
    for group in _grouped(items):
        ids = [photo_id for item in group for photo_id in item.ids]
        positions = previous.positions(ids)
        seen[positions[positions >= 0]] = True
        stays = np.zeros(len(ids), bool)
        if only is not None:
            stays = np.fromiter((photo_id not in only for photo_id in ids), bool, len(ids))
        elif trust_storage and len(previous):
            places = [item.place(index) for item in group for index in range(len(item.ids))]
            versions = [item.version for item in group for _ in item.ids]
            stays = previous.unmoved(positions, places, versions)
        unmoved.append(positions[stays & (positions >= 0)])
        facts = previous.known(np.where(stays, -1, positions))
        new += int(np.count_nonzero(~stays & (positions < 0)))
        known += int(np.count_nonzero(~stays & (positions >= 0)))
        end = 0
        for item in group:
            start, end = end, end + len(item.ids)
            if not stays[start:end].all():
                pairs = zip(item.ids, facts[start:end], strict=True)
                knowledge = {photo_id: fact for photo_id, fact in pairs if fact is not None}
                planned.append(PlannedItem(item, knowledge, tuple(np.flatnonzero(stays[start:end]).tolist())))
    rows = max(_SMALLEST_SLICE, -(-(new + known) // _SLICES))
    planned = [piece for whole in planned for piece in sliced(whole, rows)]
    removed = np.flatnonzero(~seen)
    if only is not None:  # the rest of the last run stays, whether the input still has it or not
        unmoved.append(removed)
        removed = removed[:0]
    kept = np.sort(np.concatenate(unmoved)) if unmoved else np.zeros(0, np.int64)
    return RefreshPlan(tuple(planned), kept, new, known, removed)


def sliced(planned: PlannedItem, rows: int) -> Iterator[PlannedItem]:
    """Cuts a row group of many photos into pieces, so that a few large groups still keep many workers busy.

    Args:
      planned: the whole group.
      rows: photos of a piece, at most.

    Yields:
      Items of the same group, each of which passes over what the others read. Every piece reads the group from its
      start; so a group of many bytes is cut into few, or left whole.
    """
    wanted = sorted(set(range(len(planned.item.ids))) - set(planned.passed_over))
    pieces = min(-(-len(wanted) // rows), max(1, _READ_AGAIN // max(1, planned.item.bytes)))
    if pieces <= 1:
        yield planned
        return
    for indices in np.array_split(np.array(wanted), pieces):
        mine = set(indices.tolist())
        passed_over = tuple(index for index in range(len(planned.item.ids)) if index not in mine)
        ids = {planned.item.ids[index] for index in mine}
        known = {photo_id: fact for photo_id, fact in planned.known.items() if photo_id in ids}
        yield dataclasses.replace(planned, known=known, passed_over=passed_over)


def classify(photo_sha256: str, known: KnownPhoto | None) -> Literal["new", "changed", "unchanged"]:
    """Says what to do with a photo.

    Args:
      photo_sha256: of the encoded photo as it is now.
      known: what the last run knows of its id, or None.

    Returns:
      ``new`` for an id that is not known; ``unchanged`` where the bytes are those that the last run read and its
      pictures are current; else ``changed``.
    """
    if known is None:
        return "new"
    return "unchanged" if known.current and photo_sha256 == known.source_sha256 else "changed"


def _grouped(items: Collection[WorkItem]) -> Iterator[list[WorkItem]]:
    """Gathers items until there are enough ids to compare in one go."""
    group: list[WorkItem] = []
    size = 0
    for item in items:
        group.append(item)
        size += len(item.ids)
        if size >= _AT_ONCE:
            yield group
            group, size = [], 0
    if group:
        yield group


def _large(tables: Sequence[pa.Table], name: str) -> pa.Array:
    """Returns a text column of all tables in one piece; nulls where a table does not have it."""
    chunks = [pa.array([], pa.large_string())]
    for table in tables:
        if name in table.column_names:
            chunks += table.column(name).cast(pa.large_string()).chunks
        else:
            chunks.append(pa.nulls(len(table), pa.large_string()))
    return pa.concat_arrays(chunks)


def _made_with(table: pa.Table, fingerprint: str, model_sha256: str) -> np.ndarray:
    """Says of which rows the configuration and the model are these; bool (n,)."""
    same = pc.and_(
        pc.equal(table.column("config_fingerprint"), fingerprint), pc.equal(table.column("model_sha256"), model_sha256)
    )
    return pc.fill_null(same, False).to_numpy()


def _stored_assets(output: str) -> np.ndarray:
    """Returns the sorted hashes of all stored assets' names and sizes, int64 (n,): there may be millions."""
    prefix = storage.join(output.removeprefix("file://"), "assets") + "/"
    start = len(prefix) - len("assets/")
    found = ((listed.path[start:], listed.size) for listed in storage.list_below(prefix))
    return np.sort(np.fromiter(map(hash, found), np.int64))


def _are_whole(table: pa.Table, stored: np.ndarray) -> np.ndarray:
    """Says of which rows all assets are stored; bool (n,)."""
    assets = pa.concat_arrays([pa.array([], table.schema.field("assets").type), *table.column("assets").chunks])
    whole = np.ones(len(assets), bool)
    flat, rows = assets.flatten(), pc.list_parent_indices(assets).to_numpy()
    names, sizes = flat.field("uri").to_pylist(), flat.field("bytes").to_pylist()
    hashes = np.fromiter((hash(pair) for pair in zip(names, sizes, strict=True)), np.int64, len(names))
    if len(hashes):
        nearest = np.minimum(np.searchsorted(stored, hashes), max(0, len(stored) - 1))
        there = stored[nearest] == hashes if len(stored) else np.zeros(len(hashes), bool)
        whole[rows[~there]] = False
    return whole


def _hashes(ids: Sequence[str]) -> np.ndarray:
    # Python's own hash: it is only compared within this process, and is fast.
    return np.fromiter(map(hash, ids), np.int64, len(ids))
