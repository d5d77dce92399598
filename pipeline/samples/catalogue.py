"""Writing a rendered catalogue: a folder of images or a Parquet file, and the truth beside it."""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import functools
import multiprocessing
import os
import pathlib
from collections.abc import Iterator

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.samples import broken as broken_files
from pipeline.samples.render import Sample, render

CONTAINERS = ("folder", "parquet")
ROW_GROUP = 32  # small, so that readers by row group are exercised
# Starting a process costs as much as a few photos.
_WORTH_PROCESSES = 12

_CATALOGUE_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("category", pa.string()),
        pa.field("seller", pa.string()),
        pa.field("image", pa.binary()),
    ]
)
TRUTH_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("category", pa.string(), nullable=False),
        pa.field("seller", pa.string(), nullable=False),
        pa.field("width", pa.int32(), nullable=False),
        pa.field("height", pa.int32(), nullable=False),
        pa.field("format", pa.string(), nullable=False),
        pa.field("orientation", pa.int32(), nullable=False),
        pa.field("illuminant", pa.list_(pa.float64()), nullable=False),
        pa.field("staging", pa.string(), nullable=False),
        pa.field("backdrop", pa.string(), nullable=False),
        pa.field("tone", pa.string()),
        pa.field("products", pa.int32(), nullable=False),
        pa.field("has_product", pa.bool_(), nullable=False),
        pa.field("cut_by_frame", pa.bool_(), nullable=False),
        pa.field("coverage", pa.float64(), nullable=False),
        pa.field("product_rgb", pa.list_(pa.float64())),
        pa.field("alpha", pa.string()),
        pa.field("broken", pa.string()),
    ]
)


@dataclasses.dataclass(frozen=True)
class SampleSet:
    """A catalogue on disk.

    Attributes:
      directory: its folder.
      input: what to give to ``packshot run --input``: the folder of images or the Parquet file.
      truth: the table of truths, one row a sample, of ``TRUTH_SCHEMA``; the column ``alpha`` holds paths below
        ``directory``.
      ids: of all samples, in order.
      broken: expected reason code by id, of the broken files.
    """

    directory: pathlib.Path
    input: pathlib.Path
    truth: pathlib.Path
    ids: tuple[str, ...]
    broken: dict[str, str]

    def alpha(self, sample_id: str) -> np.ndarray:
        """Returns the true alpha of a sample, uint8 (height, width), 0..255, upright.

        Raises:
          FileNotFoundError: the sample is broken, or the catalogue was rendered with ``truth=False``.
        """
        path = self.directory / _alpha_path(sample_id)
        if not path.is_file():
            raise FileNotFoundError(f"there is no alpha of {sample_id!r} at {path}; is the file a broken one?")
        return np.asarray(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE))


def _alpha_path(sample_id: str) -> str:
    return f"truth/alpha/{sample_id}.png"


def render_samples(
    directory: str | os.PathLike,
    *,
    count: int,
    seed: int = 0,
    broken: int = 0,
    container: str = "folder",
    truth: bool = True,
    processes: int | None = None,
) -> SampleSet:
    """Renders a catalogue of product photos of which everything is known.

    The same arguments give the same bytes, with any number of processes. A catalogue rendered into the same folder
    before is replaced; other files are left alone.

    Args:
      directory: folder to write to; made if missing.
      count: samples, broken ones included.
      seed: chooses the catalogue.
      broken: how many of them are broken files.
      container: ``folder`` for ``images/<category>/<name>``, ``parquet`` for ``catalogue.parquet`` with the columns
        id, category, seller, image.
      truth: whether to write the alphas; ``truth.parquet`` is always written.
      processes: to render with; None for one a core when there is enough to do.

    Returns:
      Where everything is.

    Raises:
      ValueError: an argument is out of its range.
    """
    if count < 1:
        raise ValueError(f"count is {count!r}; it must be at least 1")
    if not 0 <= broken <= count:
        raise ValueError(f"broken is {broken!r}; it must lie between 0 and the count of {count}")
    if seed < 0:
        raise ValueError(f"seed is {seed!r}; it must not be negative")
    if container not in CONTAINERS:
        raise ValueError(f"container is {container!r}; it must be one of {', '.join(CONTAINERS)}")
    directory = pathlib.Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    _remove_earlier(directory)

    chosen = np.random.default_rng([seed, 1, count, broken]).permutation(count)[:broken]
    breakages = {int(index): kind for kind, index in enumerate(sorted(chosen))}
    rows = []
    with contextlib.ExitStack() as stack:
        writer = None
        if container == "parquet":
            writer = stack.enter_context(pq.ParquetWriter(directory / "catalogue.parquet", _CATALOGUE_SCHEMA))
        pending: list[Sample] = []
        for sample in _rendered(count, seed, breakages, processes):
            if writer is None:
                _write(directory / "images" / sample.id, sample.content)
            else:
                pending.append(sample)
                if len(pending) == ROW_GROUP:
                    _write_rows(writer, pending)
                    pending = []
            if truth and sample.alpha is not None:
                _write(directory / _alpha_path(sample.id), sample.alpha)
            rows.append(_truth_row(sample, truth))
        if writer is not None and pending:
            _write_rows(writer, pending)
    pq.write_table(pa.Table.from_pylist(rows, TRUTH_SCHEMA), directory / "truth.parquet")
    return SampleSet(
        directory=directory,
        input=directory / ("images" if container == "folder" else "catalogue.parquet"),
        truth=directory / "truth.parquet",
        ids=tuple(row["id"] for row in rows),
        broken={row["id"]: row["broken"] for row in rows if row["broken"]},
    )


def _rendered(count: int, seed: int, breakages: dict[int, int], processes: int | None) -> Iterator[Sample]:
    """Yields the samples in order."""
    if processes is None:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        processes = min(cores, 8) if count >= _WORTH_PROCESSES else 1
    kinds = [breakages.get(index) for index in range(count)]
    one = functools.partial(render, seed)
    if processes <= 1:
        yield from map(one, range(count), kinds)
        return
    # Spawned, not forked: the caller may hold threads and locks of TensorFlow.
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(
        processes, context, initializer=cv2.setNumThreads, initargs=(1,)
    ) as pool:
        yield from pool.map(one, range(count), kinds, chunksize=2)


def _truth_row(sample: Sample, truth: bool) -> dict:
    row = {name: getattr(sample, name) for name in TRUTH_SCHEMA.names if hasattr(sample, name)}
    row["has_product"] = sample.broken is None and sample.products > 0
    row["alpha"] = _alpha_path(sample.id) if truth and sample.alpha is not None else None
    return row


def _write(path: pathlib.Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _write_rows(writer: pq.ParquetWriter, samples: list[Sample]) -> None:
    columns = {name: [getattr(s, name) for s in samples] for name in ("id", "category", "seller")}
    columns["image"] = [sample.content for sample in samples]
    writer.write_table(pa.table(columns, schema=_CATALOGUE_SCHEMA), row_group_size=ROW_GROUP)


def _remove_earlier(directory: pathlib.Path) -> None:
    """Removes the files of an earlier catalogue, and only those, by its own table of truths."""
    truth = directory / "truth.parquet"
    if not truth.is_file():
        return
    try:
        ids = pq.read_table(truth, columns=["id"])["id"].to_pylist()
    except (pa.ArrowInvalid, KeyError) as error:
        raise ValueError(
            f"{truth} is not the truth of a rendered catalogue ({error}); choose another folder"
        ) from error
    for sample_id in ids:
        for path in (directory / "images" / sample_id, directory / _alpha_path(sample_id)):
            path.unlink(missing_ok=True)
    (directory / "catalogue.parquet").unlink(missing_ok=True)
    truth.unlink()


BROKEN_REASONS = tuple(dict.fromkeys(str(reason) for _, _, reason in broken_files.KINDS))
