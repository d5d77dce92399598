"""The rows of the last committed run as the next one needs them: found by id, without reading all columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.hashing import among, hashes
from pipeline.records import CATALOGUE_COLUMNS, KnownPhoto
from pipeline.sinks import storage
from pipeline.sinks.carried import CarriedRows
from pipeline.sinks.tables import part_schema, read_part, shard_of, table_parts

_FEW_VALUED = ("model_sha256", "config_fingerprint")
_ASSET_PLACE = r"^assets/(?P<begin>[^/]+/[^/])"  # of pipeline.sinks.assets
_LISTINGS = 8  # at a time; the clients of the stores keep ten connections
_ASSET_NAMES = ("assets.list.element.uri", "assets.list.element.bytes")


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
        of_ids = hashes(self._columns["id"].to_pylist())
        self._order = np.argsort(of_ids, kind="stable")
        self._hashes = of_ids[self._order]

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    @property
    def parts(self) -> tuple[str, ...]:
        """The files that the rows stand in, as paths below the output folder."""
        return self._parts

    def positions(self, ids: Sequence[str]) -> np.ndarray:
        """Returns the ids' rows as int64 (n,), counted through all files; -1 for an id that is not there."""
        found = np.full(len(ids), -1, np.int64)
        wanted_hashes = hashes(ids)
        first = np.searchsorted(self._hashes, wanted_hashes, side="left")
        last = np.searchsorted(self._hashes, wanted_hashes, side="right")
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
        stored = _stored_assets(output, _beginnings(tables))
        current = [rows & _are_whole(table, stored) for rows, table in zip(made, tables, strict=True)]
    categories: list[str | None] | None = None
    if category_column is not None:
        # a run that did not carry that column made its pictures without regard to it
        categories = []
        for table in tables:
            known = category_column in table.column_names
            categories += table.column(category_column).to_pylist() if known else [None] * len(table)
    return PreviousRows(parts, tables, np.concatenate(current), categories, schema)


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


def _beginnings(tables: Sequence[pa.Table]) -> list[str]:
    """Returns how the names of the tables' assets begin below their folder: some sixteen for each kind of asset.

    A store tells of a thousand objects at a time, and of the next thousand when asked again: the two million assets of
    a million photos take minutes from the first to the last, but as many listings of a part each go side by side.
    """
    found: set[str] = set()
    for table in tables:
        for chunk in table.column("assets").chunks:
            names = pc.extract_regex(chunk.flatten().field("uri"), _ASSET_PLACE)
            found.update(pc.unique(pc.struct_field(names, "begin")).drop_null().to_pylist())
    return sorted(found)


def _stored_assets(output: str, beginnings: Sequence[str]) -> np.ndarray:
    """Returns the sorted hashes of the stored assets' names and sizes, int64 (n,): there may be millions."""
    folder = storage.join(output, "assets")

    def listed(beginning: str) -> np.ndarray:
        return hashes((f"assets/{file.name}", file.size) for file in storage.list_files(folder, beginning))

    with ThreadPoolExecutor(_LISTINGS) as pool:
        return np.sort(np.concatenate([np.zeros(0, np.int64), *pool.map(listed, beginnings)]))


def _are_whole(table: pa.Table, stored: np.ndarray) -> np.ndarray:
    """Says of which rows all assets are stored; bool (n,)."""
    assets = pa.concat_arrays([pa.array([], table.schema.field("assets").type), *table.column("assets").chunks])
    whole = np.ones(len(assets), bool)
    flat, rows = assets.flatten(), pc.list_parent_indices(assets).to_numpy()
    names, sizes = flat.field("uri").to_pylist(), flat.field("bytes").to_pylist()
    whole[rows[~among(hashes(zip(names, sizes, strict=True)), stored)]] = False
    return whole
