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
    """

    shard: int
    part: str
    positions: tuple[int, ...]
    changes: dict[str, Any]


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
            alike.setdefault(tuple(sorted(rows.changes)), []).append(rows)
        for names, members in sorted(alike.items()):
            taken = table.take(pa.array(itertools.chain.from_iterable(m.positions for m in members), pa.int64()))
            columns = []
            for field in schema:
                if field.name in names:
                    values = [value for m in members for value in [m.changes[field.name]] * len(m.positions)]
                    columns.append(to_array(values, field.type))
                elif field.name in table.column_names:
                    columns.append(taken.column(field.name).cast(field.type))
                elif field.nullable:
                    columns.append(pa.nulls(taken.num_rows, field.type))
                else:
                    raise ValueError(f"{storage.join(output, part)!r} has no column {field.name!r}")
            yield pa.Table.from_arrays(columns, schema=schema)
