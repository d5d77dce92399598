"""Rows of a committed run that a new table takes over without any worker holding them."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Iterator
from typing import Any

import pyarrow as pa

from pipeline.sinks import storage
from pipeline.sinks.tables import read_part, to_array


@dataclasses.dataclass(frozen=True)
class CarriedRows:
    """Rows of a committed run that a new table takes over: named, not held.

    Attributes:
      shard: of the new table, to which all of them belong.
      part: the Parquet file that has them, as a path below the output folder.
      positions: of the rows in that file.
      changes: the columns that are no longer as there, by name; all of these rows get the same values.
      each: further such columns, by name; a value for every row.
    """

    shard: int
    part: str
    positions: tuple[int, ...]
    changes: dict[str, Any]
    each: dict[str, list[Any]] = dataclasses.field(default_factory=dict)

    def column(self, name: str) -> list[Any]:
        """Returns the values of a column that is no longer as there."""
        return self.each[name] if name in self.each else [self.changes[name]] * len(self.positions)

    def names(self) -> list[str]:
        """Returns the columns that are no longer as there, sorted."""
        return sorted({*self.changes, *self.each})


def joined(carried: Iterable[CarriedRows]) -> Iterator[CarriedRows]:
    """Puts rows together that lie in the same file and go to the same shard: one element in their stead."""
    alike: dict[tuple, list[CarriedRows]] = {}
    for rows in carried:
        alike.setdefault((rows.shard, rows.part, *rows.names()), []).append(rows)
    for (shard, part, *names), members in alike.items():
        positions = tuple(itertools.chain.from_iterable(m.positions for m in members))
        each = {name: list(itertools.chain.from_iterable(m.column(name) for m in members)) for name in names}
        yield CarriedRows(shard, part, positions, {}, each)


def carried_tables(output: str, carried: Iterable[CarriedRows], schema: pa.Schema) -> Iterator[pa.Table]:
    """Yields the rows that are taken over, in tables of the schema's types; a column they lack is null.

    Args:
      output: the output folder.
      carried: in any order; each file is read once.
      schema: of the new table.

    Raises:
      FileNotFoundError: a file is gone.
      ValueError: a row lacks a column that must have a value, or a value does not fit.
    """
    by_part: dict[str, list[CarriedRows]] = {}
    for rows in carried:
        by_part.setdefault(rows.part, []).append(rows)
    for part in sorted(by_part):
        table = read_part(output, part)
        alike: dict[tuple[str, ...], list[CarriedRows]] = {}
        for rows in by_part[part]:
            alike.setdefault(tuple(rows.names()), []).append(rows)
        for names, members in sorted(alike.items()):
            taken = table.take(pa.array(itertools.chain.from_iterable(m.positions for m in members), pa.int64()))
            columns = []
            for field in schema:
                if field.name in names:
                    values = itertools.chain.from_iterable(m.column(field.name) for m in members)
                    columns.append(to_array(list(values), field.type))
                elif field.name in table.column_names:
                    columns.append(taken.column(field.name).cast(field.type))
                elif field.nullable:
                    columns.append(pa.nulls(taken.num_rows, field.type))
                else:
                    raise ValueError(f"{storage.join(output, part)!r} has no column {field.name!r}")
            yield pa.Table.from_arrays(columns, schema=schema)
