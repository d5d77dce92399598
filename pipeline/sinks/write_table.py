"""Writing a table: one Parquet file a shard, its rows sorted and each of them there once."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterable, Sequence

import apache_beam as beam
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.augmentation.counts import OutcomeCounts, outcome
from pipeline.sinks import storage
from pipeline.sinks.carried import CarriedRows, carried_tables
from pipeline.sinks.packing import PackedRows, unpacked
from pipeline.sinks.tables import Row, Table, encode_table, part_name, shard_of, to_arrow

_WORKED_ON = ("new", "changed")  # not what the last run made, nor another photo of this one

Member = Row | PackedRows | CarriedRows


@dataclasses.dataclass(frozen=True)
class ShardSummary:
    """What one file of a table holds; the ledger is made of these.

    Attributes:
      table: one of ``TABLES``.
      shard, shards: which file of how many.
      rows: number of rows.
      status: rows by status (catalogue).
      refresh: rows by refresh (catalogue).
      reasons: rows by reason (rejections).
      assets_written: assets of the rows that this run worked on (catalogue).
      sha256: of the file's bytes.
      samples: rows by kind, category and outcome (augmented); see ``pipeline.augmentation.counts``.
    """

    table: Table
    shard: int
    shards: int
    rows: int
    status: dict[str, int]
    refresh: dict[str, int]
    reasons: dict[str, int]
    assets_written: int
    sha256: str
    samples: OutcomeCounts = dataclasses.field(default_factory=dict)


class WriteTable(beam.PTransform):
    """Writes rows as a table of a fixed number of Parquet files; each exists, if only with its schema.

    Args:
      output: the output folder.
      table: one of ``TABLES``.
      run: the run's name.
      schema: of the table.
      shards: how many files; a row's file follows from the first column of its key.
      key: text columns that together no two rows share; the rows of a file are sorted by them.

    Returns (of ``expand``):
      One ``ShardSummary`` a file; from rows, ``PackedRows`` and ``CarriedRows``.
    """

    def __init__(
        self, output: str, table: Table, run: str, schema: pa.Schema, shards: int, key: Sequence[str] = ("id",)
    ):
        super().__init__()
        if shards < 1:
            raise ValueError(f"a table needs at least one shard, not {shards!r}")
        self._shards = shards
        self._key = tuple(key)
        self._writer = _WriteShard(output, table, run, schema, shards, self._key)

    def expand(self, rows):
        empty = rows.pipeline | "EveryShard" >> beam.Create([(shard, None) for shard in range(self._shards)])
        keyed = rows | "KeyByShard" >> beam.Map(_keyed, self._key[0], self._shards)  # (shard, member)
        return (
            (keyed, empty)
            | beam.Flatten()  # (shard, member or None)
            | beam.GroupByKey()  # (shard, [member or None])
            | "WriteShard" >> beam.ParDo(self._writer)  # ShardSummary
        )


class _WriteShard(beam.DoFn):
    def __init__(self, output: str, table: Table, run: str, schema: pa.Schema, shards: int, key: tuple[str, ...]):
        self._key = key
        self._output = output
        self._folder = storage.join(output, table, run)
        self._table = table
        # As bytes, because a schema's own pickle differs between pyarrow versions of driver and worker.
        self._schema = schema.serialize().to_pybytes()
        self._shards = shards

    def process(self, group: tuple[int, Iterable[Member | None]]):
        shard, members = group
        schema = pa.ipc.read_schema(pa.py_buffer(self._schema))
        rows: list[Row] = []
        packed: list[pa.Table] = []
        carried: list[CarriedRows] = []
        for member in members:
            if isinstance(member, CarriedRows):
                carried.append(member)
            elif isinstance(member, PackedRows):
                packed.append(unpacked(member))
            elif member is not None:
                rows.append(member)
        table = pa.concat_tables([to_arrow(rows, schema), *packed, *carried_tables(self._output, carried, schema)])
        del rows, packed  # what follows copies the table; none of the copies is to stay
        order = pc.sort_indices(table.select(self._key), [(name, "ascending") for name in self._key])
        table = table.combine_chunks()
        table = table.take(order).combine_chunks()  # chunks would show in the file's bytes
        self._check_unique(table)
        content = encode_table(table)
        stored = storage.write_bytes(
            storage.join(self._folder, part_name(shard, self._shards)),
            content,
            media_type="application/vnd.apache.parquet",
        )
        yield ShardSummary(
            table=self._table,
            shard=shard,
            shards=self._shards,
            rows=table.num_rows,
            status=_counts(table, "status"),
            refresh=_counts(table, "refresh"),
            reasons=_counts(table, "reason"),
            assets_written=_assets_written(table),
            sha256=stored.sha256,
            samples=_outcomes(table) if self._table == "augmented" else {},
        )

    def _check_unique(self, table: pa.Table) -> None:
        twice = pa.array([True] * max(0, table.num_rows - 1), pa.bool_())
        for name in self._key:
            values = table.column(name)
            twice = pc.and_(twice, pc.equal(values.slice(1), values.slice(0, max(0, len(values) - 1))))
        if pc.any(twice).as_py():
            first = pc.index(twice, True).as_py()
            before, after = (table.slice(first + i, 1).to_pylist()[0] for i in (0, 1))
            places = f"{before.get('source_uri')!r} and {after.get('source_uri')!r}"
            name = " ".join(repr(after[name]) for name in self._key)
            raise ValueError(f"id {name} is twice in the {self._table} table, from {places}")


def _keyed(member: Member, column: str, shards: int) -> tuple[int, Member]:
    shard = member.shard if isinstance(member, CarriedRows | PackedRows) else shard_of(member[column], shards)
    return shard, member


def _counts(table: pa.Table, column: str) -> dict[str, int]:
    if column not in table.column_names:
        return {}
    return {entry["values"]: entry["counts"] for entry in pc.value_counts(table.column(column)).to_pylist()}


def _outcomes(table: pa.Table) -> dict[tuple[str, str, str], int]:
    told = table.select(["kind", "category", "status", "refused_reason", "final"])
    found: collections.Counter[tuple[str, str, str]] = collections.Counter()
    for row in told.group_by(told.column_names).aggregate([([], "count_all")]).to_pylist():
        what = outcome(row["status"], row["refused_reason"], row["final"])
        found[row["kind"], row["category"] or "", what] += row["count_all"]
    return dict(found)


def _assets_written(table: pa.Table) -> int:
    if not {"assets", "refresh"} <= set(table.column_names):
        return 0
    made = pc.is_in(table.column("refresh"), pa.array(_WORKED_ON))
    return pc.sum(pc.list_value_length(table.filter(made).column("assets"))).as_py() or 0
