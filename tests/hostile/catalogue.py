"""The hostile files as catalogues: a folder, and a Parquet file with the same pictures under hostile ids."""

from __future__ import annotations

import functools
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.sources.names import escaped
from tests.hostile.bombs import all_bombs
from tests.hostile.names import IDS, PATHS, RAW_IDS, Expected, write_named
from tests.hostile.pictures import Hostile, all_pictures, product, save
from transforms.reasons import RejectReason as Reason


@functools.cache
def hostile_files() -> tuple[Hostile, ...]:
    """Returns all hostile picture files, each name once."""
    return (*all_pictures(), *all_bombs())


def ordinary_photos(count: int) -> list[bytes]:
    """Returns plain product photos, no two alike."""
    return [save(product(100 + seed, 533, 400), "JPEG", quality=88) for seed in range(count)]


def expected_of(file: Hostile) -> Expected:
    """Returns the stage and reason of a file's rejection, or None."""
    return None if file.reason is None else ("decode", file.reason)


def write_folder(folder: Path) -> dict[str, Expected]:
    """Writes the hostile files, hostile names and a few ordinary photos; returns what is expected by id."""
    expected: dict[str, Expected] = {}
    for file in hostile_files():
        (folder / file.name).write_bytes(file.content)
        expected[file.name] = expected_of(file)
    ordinary = ordinary_photos(6)
    for index, content in enumerate(ordinary):
        (folder / f"ordinary-{index}.jpg").write_bytes(content)
        expected[f"ordinary-{index}.jpg"] = None
    return expected | write_named(folder, ordinary)


def write_parquet(path: Path) -> dict[str, Expected]:
    """Writes the hostile files under hostile ids, and rows that name hostile places; returns what is expected by id.

    The attribute ``seller`` holds text that is no UTF-8, ``since`` days that no calendar has.
    """
    rows: list[tuple[bytes, bytes | None, bytes | None, Expected]] = []
    names = [name.encode() for name in IDS] + list(RAW_IDS)
    for index, file in enumerate(hostile_files()):
        name = names[index] if index < len(names) else file.name.encode()
        rows.append((name, file.content, None, expected_of(file)))
    rows.append(
        (b"null", None, None, ("read", Reason.EMPTY))
        if "null" not in IDS
        else (b"none", None, None, ("read", Reason.EMPTY))
    )
    rows += [(f"at {place[:40]}".encode(), None, place.encode(), outcome) for place, outcome in PATHS.items()]
    rows.append((b"undecodable place", None, b"caf\xe9.jpg", ("read", Reason.FETCH_FAILED)))
    rows.append((b"bytes beside a bad place", ordinary_photos(1)[0], b"caf\xe9.jpg", None))
    ids = _text([row[0] for row in rows])
    images = pa.StructArray.from_arrays(
        [pa.array([row[1] for row in rows], pa.binary()), _text([row[2] for row in rows])], names=["bytes", "path"]
    )
    sellers = _text([b"\xff" if index % 2 else b"plain" for index in range(len(rows))])
    days = pa.array([2**31 - 1 if index % 3 else 0 for index in range(len(rows))], pa.int32()).cast(pa.date32())
    table = pa.table({"id": ids, "image": images, "seller": sellers, "since": days})
    pq.write_table(table, path, row_group_size=16)
    return {_id(row[0]): row[3] for row in rows}


def _text(values: list[bytes | None]) -> pa.Array:
    """Returns strings of any bytes: Arrow checks them only when it is asked to."""
    return pa.array(values, pa.binary()).view(pa.string())


def _id(name: bytes) -> str:
    try:
        return name.decode()
    except UnicodeDecodeError:
        return escaped(name.decode("utf-8", "surrogateescape"))
