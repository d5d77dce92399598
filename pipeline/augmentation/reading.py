"""Reading the photos again that samples are made of, a Parquet row group in one go."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from pipeline.augmentation.asking import Parent, PhotoSamples
from pipeline.records import Photo, Rejection
from pipeline.sources.fetch import fetch
from pipeline.sources.items import PlannedItem, SourceOptions, WorkItem
from pipeline.sources.parquet import open_parquet
from pipeline.sources.read import read_photos
from transforms.reasons import PhotoError, RejectReason

PHOTOS_AT_ONCE = 32  # of one Parquet file, read by one worker
_REMOTE = ("http://", "https://")


def container(source_uri: str, options: SourceOptions) -> tuple[str, int | None]:
    """Returns the Parquet file that holds a photo and the row in it, or the photo's own file and None."""
    file, mark, row = source_uri.rpartition("#")
    in_row = options.image_column and mark and row.isdigit()
    if not in_row or (options.uris and source_uri.startswith(_REMOTE)):
        return source_uri, None
    return file, int(row)


def piles(works: Iterable[PhotoSamples], options: SourceOptions) -> Iterator[tuple[PhotoSamples, ...]]:
    """Yields the photos of one Parquet file, or of none, in piles that one worker reads in one go.

    Args:
      works: in any order.
      options: the columns that the run reads.
    """
    in_order = sorted(works, key=lambda work: (container(work.parent.source_uri, options)[1] or 0, work.parent.id))
    for start in range(0, len(in_order), PHOTOS_AT_ONCE):
        yield tuple(in_order[start : start + PHOTOS_AT_ONCE])


def read_again(
    works: Sequence[PhotoSamples], options: SourceOptions, fetching: dict[str, Any]
) -> Iterator[tuple[PhotoSamples, bytes | PhotoError]]:
    """Yields each photo's bytes, or why they cannot be had.

    Args:
      works: photos of one Parquet file, or of none, in the order of their rows.
      options: the columns that the run reads.
      fetching: options of ``pipeline.sources.fetch.fetch``.
    """
    by_file: dict[str, dict[int, PhotoSamples]] = {}
    for work in works:
        file, row = container(work.parent.source_uri, options)
        if row is None:
            yield work, _checked(work.parent, lambda uri=file: fetch(uri, **fetching).content)
        else:
            by_file.setdefault(file, {})[row] = work
    for file, wanted in by_file.items():
        yield from _read_rows(file, wanted, options)


def _read_rows(
    file: str, wanted: dict[int, PhotoSamples], options: SourceOptions
) -> Iterator[tuple[PhotoSamples, bytes | PhotoError]]:
    columns = dataclasses.replace(options, attribute_columns=(), category_column="")
    left = dict(wanted)
    try:
        with open_parquet(file) as parquet:
            sizes = [parquet.metadata.row_group(group).num_rows for group in range(parquet.num_row_groups)]
        first = 0
        for group, size in enumerate(sizes):
            rows = sorted(row for row in wanted if first <= row < first + size)
            if rows:
                for row, found in zip(rows, _photos(file, group, first, rows, wanted, columns), strict=True):
                    work = left.pop(row)
                    if isinstance(found, Rejection):
                        yield work, PhotoError(RejectReason(found.reason), found.detail)
                    else:
                        yield work, _checked(work.parent, lambda photo=found: photo.content)
            first += size
        reason, detail = RejectReason.NOT_FOUND, "the Parquet file has fewer rows than when the photo was processed"
    except Exception as error:  # a file that cannot be read costs its own samples only
        reason, detail = RejectReason.FETCH_FAILED, f"{type(error).__name__}: {' '.join(str(error).split())}"
    for work in left.values():
        yield work, PhotoError(reason, detail)


def _photos(
    file: str, group: int, first: int, rows: list[int], wanted: dict[int, PhotoSamples], options: SourceOptions
) -> Iterator[Photo | Rejection]:
    indices = [row - first for row in rows]
    ids = [""] * (indices[-1] + 1)
    for row, index in zip(rows, indices, strict=True):
        ids[index] = wanted[row].parent.id
    passed_over = tuple(sorted(set(range(len(ids))) - set(indices)))
    return read_photos(PlannedItem(WorkItem(file, group, first, tuple(ids)), passed_over=passed_over), options)


def _checked(parent: Parent, read: Any) -> bytes | PhotoError:
    """Returns the bytes that the packshot was made of, or why they are not to be had."""
    try:
        content = read()
    except PhotoError as error:
        return error
    except Exception as error:  # storage clients each have their own
        return PhotoError(RejectReason.FETCH_FAILED, f"{type(error).__name__}: {' '.join(str(error).split())}")
    if content is None or hashlib.sha256(content).hexdigest() != parent.source_sha256:
        return PhotoError(RejectReason.FETCH_FAILED, "the photo has other bytes now than when it was processed")
    return content
