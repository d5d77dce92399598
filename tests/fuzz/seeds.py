"""What fuzzing starts from: the small ones of the hostile pictures, and Parquet files of every layout."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq

from tests.hostile.catalogue import hostile_files
from tests.hostile.pictures import product, save

_LAYOUTS = {
    "plain": {"compression": "none"},
    "zstd": {"compression": "zstd", "row_group_size": 1},
    "snappy": {"compression": "snappy", "use_dictionary": False, "data_page_version": "2.0"},
}
_LARGEST = 20_000  # bytes of a seed: small ones are mutated more often


def picture_seeds() -> dict[str, bytes]:
    """Returns small picture files by name."""
    return {file.name: file.content for file in hostile_files() if 0 < len(file.content) <= _LARGEST}


def parquet_tables() -> Iterator[tuple[str, pa.Table]]:
    """Yields tables of every layout in which ids and pictures come, by name."""
    photo = save(product(11, 16, 16), "JPEG", quality=50)
    texts = {"string": pa.string(), "large": pa.large_string(), "view": pa.string_view()}
    texts["dictionary"] = pa.dictionary(pa.int32(), pa.string())
    for name, kind in texts.items():
        ids = pa.array(["a", "b", "c"], pa.string()).cast(kind)
        yield f"ids-{name}", pa.table({"id": ids, "image": pa.array([photo, None, b""], pa.binary())})
    yield "ids-integer", pa.table({"id": pa.array([1, 2, 2**63], pa.uint64()), "image": [photo, photo, photo]})
    for name, kind in {"large": pa.large_binary(), "view": pa.binary_view(), "fixed": pa.binary(4)}.items():
        values = pa.array([b"\xff\xd8\xff\xe0", None, b"    "], pa.binary()).cast(kind)
        yield f"images-{name}", pa.table({"id": ["a", "b", "c"], "image": values})
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    rows = [{"bytes": photo, "path": "a"}, {"bytes": None, "path": "b.jpg"}, {"bytes": None, "path": None}, None]
    yield "images-struct", pa.table({"id": list("abcd"), "image": pa.array(rows, kind)})
    bare = pa.array([{"bytes": photo}, {"bytes": None}, None, {"bytes": b""}], pa.struct([("bytes", pa.binary())]))
    yield "images-struct-of-bytes", pa.table({"id": list("abcd"), "image": bare})
    lost = pa.array([{"path": "a"}, None], pa.struct([("path", pa.string())]))
    yield "images-struct-without-bytes", pa.table({"id": ["a", "b"], "image": lost})
    nested = pa.array([{"bytes": {"bytes": photo}}], pa.struct([("bytes", pa.struct([("bytes", pa.binary())]))]))
    yield "images-nested-struct", pa.table({"id": ["a"], "image": nested})
    yield "images-list", pa.table({"id": ["a"], "image": pa.array([[photo]], pa.list_(pa.binary()))})
    yield "images-uri", pa.table({"id": ["a", "b"], "image": ["nowhere.jpg", ""]})
    yield "images-null", pa.table({"id": ["a"], "image": pa.nulls(1)})
    yield "ids-null", pa.table({"id": pa.array([None, "a"], pa.string()), "image": [photo, photo]})
    yield "ids-float", pa.table({"id": [1.5], "image": [photo]})
    yield (
        "ids-no-utf8",
        pa.table({"id": pa.array([b"\xff", b"b"], pa.binary()).view(pa.string()), "image": [photo] * 2}),
    )
    yield "no-rows", pa.table({"id": pa.array([], pa.string()), "image": pa.array([], pa.binary())})
    yield "no-columns", pa.table({})
    yield "two-ids", pa.Table.from_arrays([pa.array(["a"]), pa.array(["b"]), pa.array([photo])], ["id", "id", "image"])


def parquet_seeds() -> dict[str, bytes]:
    """Returns the tables as Parquet files, in several layouts."""
    seeds = {}
    for name, table in parquet_tables():
        for suffix, options in _LAYOUTS.items():
            stream = io.BytesIO()
            pq.write_table(table, stream, **options)
            seeds[f"{name}-{suffix}.parquet"] = stream.getvalue()
    return seeds
