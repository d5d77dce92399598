"""The photos that are measured on: small seller photos, as many as wanted, each with bytes of its own."""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image, ImageOps

from pipeline.config import RunConfig
from pipeline.planning import plan_run
from pipeline.records import Photo
from pipeline.samples import render_samples
from pipeline.sources.fetch import fetch_photo
from pipeline.sources.read import read_photos

LONG_SIDE = 533  # pixels; of most photos in the feeds of second-hand shops
QUALITY = 90
ROW_GROUP = 50  # a divisor of all counts, so that two workers get as much to do
# pyarrow's own default puts all pictures of a row group into one page, a dictionary of them
PAGES_OF_FEW_ROWS = {"use_dictionary": False, "write_batch_size": 16}
RENDERED = 48
_SEED = 3


def base_photos(cache: Path, given: str | None = None, count: int = RENDERED) -> list[bytes]:
    """Returns distinct photos as JPEG files whose longer side is ``LONG_SIDE`` pixels.

    Args:
      cache: a folder in which rendered photos are kept between calls.
      given: a folder or Parquet file of real photos; None renders some, which takes a second a photo.
      count: how many; fewer if the given catalogue has fewer.
    """
    if given is None:
        folder = cache / f"rendered-{_SEED}-{count}"
        if not (folder / "truth.parquet").exists():
            render_samples(folder, count=count, seed=_SEED, truth=False)
        given = str(folder / "images")
    return [as_seller_photo(content) for content in itertools.islice(_contents(given, cache), count)]


def _contents(catalogue: str, cache: Path) -> Iterator[bytes]:
    """Reads a catalogue's encoded photos as the job does."""
    plan = plan_run(RunConfig(input=catalogue, output=str(cache / "none")))
    for item in plan.refresh.items:
        for photo in read_photos(item, plan.options):
            if isinstance(photo, Photo):
                yield fetch_photo(photo, max_bytes=64 << 20, timeout=5, retries=0).content


def as_seller_photo(content: bytes) -> bytes:
    """Returns a photo upright, at ``LONG_SIDE`` pixels, as a JPEG file without metadata."""
    picture = ImageOps.exif_transpose(Image.open(io.BytesIO(content))).convert("RGB")
    scale = LONG_SIDE / max(picture.size)
    width, height = (max(1, round(side * scale)) for side in picture.size)
    stream = io.BytesIO()
    picture.resize((width, height), Image.Resampling.LANCZOS).save(stream, "JPEG", quality=QUALITY)
    return stream.getvalue()


def numbered(content: bytes, number: int, version: int = 0) -> bytes:
    """Returns a JPEG file with a comment behind its first marker: other bytes, the same picture."""
    text = f"{number} of version {version}".encode()
    return content[:2] + b"\xff\xfe" + (len(text) + 2).to_bytes(2, "big") + text + content[2:]


def write_folder(photos: Sequence[bytes], folder: Path, count: int) -> Path:
    """Writes ``count`` files of distinct names and bytes; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        (folder / f"photo-{number:06d}.jpg").write_bytes(numbered(photos[number % len(photos)], number))
    return folder


def write_parquet(
    photos: Sequence[bytes],
    path: Path,
    count: int,
    *,
    row_group: int = ROW_GROUP,
    changed: range = range(0),
    layout: dict | None = None,
) -> Path:
    """Writes a catalogue of ``count`` rows with distinct ids and bytes, never all in memory.

    Args:
      photos: the pictures, taken in turn.
      path: of the file.
      count: rows.
      row_group: rows of one row group.
      changed: numbers of the rows whose bytes differ from those of the same row without ``changed``.
      layout: settings of ``pq.ParquetWriter``; pages of few rows by default. Nothing is packed unless it says so.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    layout = PAGES_OF_FEW_ROWS if layout is None else layout
    schema = pa.schema([("id", pa.string()), ("image", pa.binary())])
    with pq.ParquetWriter(path, schema, **{"compression": "none", **layout}) as writer:
        for start in range(0, count, row_group):
            rows = range(start, min(start + row_group, count))
            images = [numbered(photos[row % len(photos)], row, int(row in changed)) for row in rows]
            batch = pa.record_batch([[f"photo-{row:06d}" for row in rows], images], schema=schema)
            writer.write_batch(batch, row_group_size=row_group)
    return path
