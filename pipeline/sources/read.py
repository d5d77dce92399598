"""From work items to photos: rows streamed out of Parquet, image files by name."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator

import apache_beam as beam
import pyarrow as pa

from pipeline.records import KnownPhoto, Photo, Rejection
from pipeline.sources.filesystem import exists, resolve
from pipeline.sources.items import PlannedItem, SourceOptions, WorkItem
from pipeline.sources.parquet import column_values, id_values, image_value, is_text, iter_rows, open_parquet
from transforms.reasons import RejectReason
from transforms.stage import REJECTED

STAGE = "read"
_ROWS_A_BATCH = 16
_REFERENCES_A_BATCH = 1024  # where the rows only name their photos


def read_photos(planned: PlannedItem, options: SourceOptions) -> Iterator[Photo | Rejection]:
    """Yields exactly one photo or rejection for every id of a work item that is not passed over, in order.

    Args:
      planned: the item and what is known of its photos.
      options: the columns to read, of a Parquet item.

    Yields:
      Photos: those out of bytes columns with ``content``, others with a ``source_uri`` yet to be fetched. A null
      image is a rejection ``empty``; what cannot be read any more is a rejection ``fetch_failed`` or ``not_found``.
    """
    item = planned.item
    if item.row_group is None:
        yield planned.photo(0, source_version=item.version)
        return
    missing = sorted(set(range(len(item.ids))) - set(planned.passed_over))[::-1]
    try:
        for photo in _read_rows(planned, options, missing[0] if missing else -1):
            yield photo
            missing.pop()
        reason, detail = RejectReason.FETCH_FAILED, "the row group has fewer rows than when the job was planned"
    except Exception as error:  # a file that breaks in mid-job must cost its own rows only, and none uncounted
        reason, detail = _cause(item, error)
    for index in reversed(missing):
        yield planned.photo(index).rejected(STAGE, reason, detail)


def _read_rows(planned: PlannedItem, options: SourceOptions, last: int) -> Iterator[Photo | Rejection]:
    """Yields photos in order, to the one at index ``last`` of the item's ids; rows behind it are not read."""
    item, passed_over = planned.item, frozenset(planned.passed_over)
    assert item.row_group is not None
    columns = list(dict.fromkeys((options.id_column, options.image_column, *options.attribute_columns)))
    index, skipped = 0, item.skipped
    with open_parquet(item.uri) as file:
        text = is_text(file.schema_arrow.field(options.image_column).type)
        for batch in iter_rows(file, item.row_group, columns, _REFERENCES_A_BATCH if text else _ROWS_A_BATCH):
            if index > last:
                return
            if skipped >= batch.num_rows:
                skipped -= batch.num_rows
                continue
            batch, skipped = batch.slice(skipped), 0
            if passed_over.issuperset(range(index, index + batch.num_rows)):
                index += batch.num_rows
                continue
            ids = id_values(batch.column(options.id_column))
            images = batch.column(options.image_column)
            attributes = {name: column_values(batch.column(name)) for name in options.attribute_columns}
            for row, found in enumerate(ids[: len(item.ids) - index]):
                if index in passed_over:
                    index += 1
                    continue
                photo = planned.photo(index, attributes={name: values[row] for name, values in attributes.items()})
                photo = photo.replace(known=_in_this_category(photo, options.category_column))
                if str(found) != photo.id:
                    detail = f"the row now has the id {found!r}: the file changed after the job was planned"
                    yield photo.rejected(STAGE, RejectReason.FETCH_FAILED, detail)
                else:
                    yield _with_image(photo, images[row], item, options)
                index += 1


def _in_this_category(photo: Photo, column: str) -> KnownPhoto | None:
    """Returns what is known of a photo; pictures made of it as another category's are not current."""
    if photo.known is None or not column or photo.attributes[column] == photo.known.category:
        return photo.known
    return dataclasses.replace(photo.known, current=False)


def _with_image(photo: Photo, image: pa.Scalar, item: WorkItem, options: SourceOptions) -> Photo | Rejection:
    """Gives a photo its bytes, or the URI from which they are to be fetched."""
    try:
        value = image_value(image)
    except UnicodeDecodeError:
        detail = f"the image column {options.image_column!r} holds text that is no UTF-8"
        return photo.rejected(STAGE, RejectReason.FETCH_FAILED, detail)
    if value is None or value == "":
        what = "null" if value is None else "an empty string"
        detail = f"the image column {options.image_column!r} holds {what}"
        return photo.rejected(STAGE, RejectReason.EMPTY, detail)
    if isinstance(value, str):
        return photo.replace(source_uri=resolve(value, item.uri))
    return photo.replace(content=value, source_version=item.version)


def _cause(item: WorkItem, error: Exception) -> tuple[RejectReason, str]:
    try:
        missing = isinstance(error, FileNotFoundError) or not exists(item.uri)
    except Exception:  # the store itself does not answer
        missing = False
    if missing:
        return RejectReason.NOT_FOUND, "the Parquet file is not there any more"
    text = " ".join(str(error).split())
    detail = f"row group {item.row_group} of the Parquet file cannot be read: {type(error).__name__}: {text}"
    return RejectReason.FETCH_FAILED, detail


class _ReadDoFn(beam.DoFn):
    def __init__(self, options: SourceOptions):
        self._options = options

    def process(self, planned: PlannedItem):
        started = time.perf_counter()
        for photo in read_photos(planned, self._options):
            if isinstance(photo, Rejection):
                yield beam.pvalue.TaggedOutput(REJECTED, photo)
            else:
                yield photo.timed(STAGE, 1000 * (time.perf_counter() - started))
            started = time.perf_counter()


class ReadPhotos(beam.PTransform):
    """Reads the photos of planned items.

    Args:
      options: the columns to read, ``Source.options``.

    Returns (of ``expand``):
      Two PCollections, of photos and of rejections; from ``PlannedItem``.
    """

    def __init__(self, options: SourceOptions):
        super().__init__()
        self._options = options

    def expand(self, items):
        read = items | beam.ParDo(_ReadDoFn(self._options)).with_outputs(REJECTED, main="photos")
        return read.photos, read[REJECTED]
