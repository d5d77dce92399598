"""A catalogue of a million photos that are not there: references, rows and listings, as a shop's would be.

Everything follows from a photo's number, so that two processes agree without telling each other; and is made by the
column, so that making it takes little beside what is measured.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from models.registry import resolve_model
from pipeline.config import RunConfig
from pipeline.records import ASSET_TYPE, BBOX_TYPE, MEASUREMENTS_TYPE, catalogue_schema
from pipeline.sinks.store import Entry
from pipeline.sources.filesystem import FoundFile
from pipeline.version import __version__

ROOT = "/not-there/shop-catalogue/photos"  # as long as a bucket's name, and found missing at once
CHANGED_EVERY = 100
AT_ONCE = 50_000
_KINDS = (("packshot", "jpg", "image/jpeg", 61_000), ("mask", "png", "image/png", 9_000))

_joined = functools.partial(pc.binary_join_element_wise)


def ids(numbers: np.ndarray) -> pa.Array:
    """Returns ids as a folder of photos by seller gives them."""
    return _joined("seller-", _digits(numbers % 5_000, 4), "/photo-", _digits(numbers, 7), ".jpg", "")


def addresses(numbers: np.ndarray, changed: bool = False) -> pa.Array:
    """Returns where the photos are; a feed of addresses gives a new one to a photo that changed."""
    second = np.where(changed & (numbers % CHANGED_EVERY == 0), "/second", "")
    return _joined(ROOT, pa.array(second), "/", ids(numbers), "")


def versions(numbers: np.ndarray, changed: bool = False) -> np.ndarray:
    """Returns what an object store says of the photos: generations of sixteen digits, int64 (n,)."""
    return 1_760_000_000_000_000 + 7_919 * numbers + (changed & (numbers % CHANGED_EVERY == 0))


def digests(numbers: np.ndarray) -> pa.Array:
    """Returns what stands for the SHA-256 of the photos' bytes: 64 hexadecimal digits that hardly compress."""
    state = (numbers[:, None].astype(np.uint64) * 4 + np.arange(4, dtype=np.uint64)) * np.uint64(0x9E3779B97F4A7C15)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):  # splitmix64 (Steele et al. 2014)
        state = (state ^ (state >> np.uint64(shift))) * np.uint64(factor)
    text = (state ^ (state >> np.uint64(31))).tobytes().hex().encode()
    offsets = pa.py_buffer(np.arange(0, len(text) + 1, 64, dtype=np.int32))
    return pa.StringArray.from_buffers(len(numbers), offsets, pa.py_buffer(text))


def assets(numbers: np.ndarray) -> pa.StructArray:
    """Returns the stored files of the photos one after the other, two each."""
    every, kind = np.repeat(numbers, len(_KINDS)), np.tile(np.arange(len(_KINDS)), len(numbers))
    names, extensions, media_types, sizes = ([spec[field] for spec in _KINDS] for field in range(4))
    digest = digests(every)
    slug = _joined("seller-", _digits(every % 5_000, 4), "-photo-", _digits(every, 7), "-jpg", "")
    chosen = functools.partial(pc.take, indices=pa.array(kind))
    uri = _joined(
        "assets/", chosen(pa.array(names)), "/", pc.utf8_slice_codeunits(digest, 0, 2), "/", slug, "-",
        pc.utf8_slice_codeunits(digest, 0, 20), ".", chosen(pa.array(extensions)), "",
    )  # fmt: skip
    values = {
        "kind": chosen(pa.array(names)), "uri": uri, "width": 1000, "height": 1000,
        "bytes": np.array(sizes)[kind] + every % 1_000, "sha256": digests(-every),
        "media_type": chosen(pa.array(media_types)),
    }  # fmt: skip
    return pa.StructArray.from_arrays(
        [_column(values[field.name], len(every), field.type) for field in ASSET_TYPE], fields=list(ASSET_TYPE)
    )


def rows(config: RunConfig, numbers: np.ndarray) -> pa.Table:
    """Returns catalogue rows as a first run makes them; of every fourth photo one to review."""
    model, count, content = resolve_model(config.segmentation_model), len(numbers), digests(numbers)
    share = numbers * 7_919 % 99_991 / 99_991
    review = numbers % 4 == 0
    hashes = {"hash": pc.utf8_slice_codeunits(content, 0, 16), "detail": content, "colours": digests(-numbers)}
    values = {
        "id": ids(numbers), "source_uri": addresses(numbers), "source_sha256": content,
        "status": np.where(review, "review", "ready"), "refresh": "new", "width": 400, "height": 533,
        "review_reasons": pa.ListArray.from_arrays(_ends(review), pa.array(["low_resolution"] * int(review.sum()))),
        "coverage": share, "touches_edge": False, "presence": 1 - share / 9, "colour_shift": 3 * share,
        "bbox": _struct(BBOX_TYPE, count, numbers % 40), "background_gain": _lists(np.repeat(1 + share / 9, 3), count),
        "assets": _lists(assets(numbers), count), "model": model.name, "model_sha256": model.sha256,
        "config_fingerprint": config.fingerprint(__version__), "packshot_version": __version__,
        "colour_method": "backdrop", "enhancements": pa.array([[]] * count, pa.list_(pa.string())),
        "measurements": _struct(MEASUREMENTS_TYPE, count, share), "digital_source_type": "digitalCapture",
        "source_version": pa.array(versions(numbers)).cast(pa.string()),
        **{f"perceptual_{name}": value for name, value in hashes.items()},
    }  # fmt: skip
    schema = catalogue_schema()
    columns = [_column(values.get(field.name), count, field.type) for field in schema]
    return pa.Table.from_arrays(columns, schema=schema)


def write_feed(path: Path, count: int, changed: bool = False) -> Path:
    """Writes a Parquet file of references: id, address and what storage says of each photo.

    All rows are in one row group, as pyarrow writes up to a million by default.
    """
    numbers = np.arange(count)
    columns = {
        "id": ids(numbers),
        "image": addresses(numbers, changed),
        "bytes": 80_000 + numbers % 9_000,
        "generation": versions(numbers, changed),
        "category": _joined("category ", _digits(numbers % 37, 2), ""),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path)
    return path


def listed_photos(count: int, changed: bool = False) -> list[FoundFile]:
    """Returns what the listing of a folder of that many photos gives, sorted."""
    numbers = np.arange(count)
    found = zip(ids(numbers).to_pylist(), versions(numbers, changed).tolist(), strict=True)
    files = (FoundFile(f"{ROOT}/{relative}", relative, 80_000, str(version)) for relative, version in found)
    return sorted(files, key=lambda file: file.relative)


def listed_assets(count: int) -> Iterator[Entry]:
    """Yields what the listing of the assets of that many photos gives, names relative to the folder of assets."""
    for start in range(0, count, AT_ONCE):
        stored = assets(np.arange(start, min(count, start + AT_ONCE)))
        names, sizes = pc.utf8_slice_codeunits(stored.field("uri"), len("assets/")), stored.field("bytes")
        for name, size in zip(names.to_pylist(), sizes.to_pylist(), strict=True):
            yield Entry(name, size, 0.0)


def _digits(numbers: np.ndarray, width: int) -> pa.Array:
    return pc.utf8_lpad(pa.array(numbers).cast(pa.string()), width, "0")


def _column(value, count: int, kind: pa.DataType) -> pa.Array:
    if value is None or isinstance(value, str | int | bool):
        return pa.nulls(count, kind) if value is None else pa.repeat(pa.scalar(value, kind), count)
    return (value if isinstance(value, pa.Array) else pa.array(value)).cast(kind)


def _struct(kind: pa.StructType, count: int, value: np.ndarray) -> pa.StructArray:
    return pa.StructArray.from_arrays([_column(value, count, field.type) for field in kind], fields=list(kind))


def _lists(values, count: int) -> pa.ListArray:
    return pa.ListArray.from_arrays(np.arange(0, len(values) + 1, len(values) // count), values)


def _ends(present: np.ndarray) -> np.ndarray:
    return np.concatenate(([0], np.cumsum(present))).astype(np.int32)
