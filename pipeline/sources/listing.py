"""What there is to process: from the ``--input`` argument to work items, before the job starts."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import itertools
import posixpath
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa

from pipeline.sources.filesystem import FoundFile, find_files, open_file
from pipeline.sources.items import SourceError, SourceOptions, WorkItem
from pipeline.sources.names import id_of_name
from pipeline.sources.parquet import (
    column_values,
    id_values,
    is_bytes,
    is_picture_struct,
    is_text,
    iter_rows,
    open_parquet,
    value_type,
)

_PARQUET_SUFFIXES = {".parquet", ".parq", ".pq"}
# Formats that are not read are listed all the same: such a photo is to be a rejection, not to be passed over.
_IMAGE_SUFFIXES = {
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".tif", ".tiff", ".bmp", ".dib", ".gif"),
    *(".heic", ".heif", ".avif", ".jxl", ".jp2", ".j2k", ".psd", ".svg", ".eps", ".ico", ".exr", ".hdr", ".tga"),
    *(".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2", ".raf"),
}
_OPEN_AT_ONCE = 8
_IDS_A_BATCH = 65_536


@dataclasses.dataclass(frozen=True)
class Source:
    """A job's input.

    Attributes:
      input: as it was given.
      files: the Parquet or image files, sorted.
      options: the columns to read; empty for image files.
      attribute_schema: the attribute columns with their types.
      passed_over: files below the input that are neither images nor Parquet.
    """

    input: str
    files: tuple[FoundFile, ...]
    options: SourceOptions
    attribute_schema: pa.Schema
    passed_over: tuple[str, ...] = ()

    @property
    def is_parquet(self) -> bool:
        """Whether photos are rows of Parquet files rather than files of their own."""
        return bool(self.options.image_column)

    def items(self) -> Iterator[WorkItem]:
        """Lists the work: an item for each image file, or for each row group; of Parquet, only ids are read.

        Raises:
          SourceError: an id is missing or empty, or a file cannot be read.
        """
        if not self.is_parquet:
            for file in self.files:
                yield WorkItem(file.uri, None, 0, (id_of_name(file.relative),), file.version)
            return
        with concurrent.futures.ThreadPoolExecutor(_OPEN_AT_ONCE) as pool:
            for start in range(0, len(self.files), _OPEN_AT_ONCE):
                files = self.files[start : start + _OPEN_AT_ONCE]
                yield from itertools.chain.from_iterable(pool.map(self._parquet_items, files))

    def values(self, column: str) -> Iterator[Any]:
        """Yields what a column of a Parquet input says of every photo; nothing for image files.

        Raises:
          SourceError: a file cannot be read.
        """
        if not self.is_parquet:
            return
        for file in self.files:
            try:
                with open_parquet(file.uri) as parquet:
                    for group in range(parquet.num_row_groups):
                        for batch in iter_rows(parquet, group, [column], _IDS_A_BATCH):
                            yield from column_values(batch.column(column))
            except (OSError, ValueError, pa.ArrowException) as error:
                raise _unreadable(file.uri, error) from error

    def _parquet_items(self, file: FoundFile) -> list[WorkItem]:
        items, first_row = [], 0
        version = None if file.version is None else f"{file.version}#{self.options.image_column}"
        try:
            with open_parquet(file.uri) as parquet:
                for group in range(parquet.num_row_groups):
                    ids: list[str] = []
                    for batch in iter_rows(parquet, group, [self.options.id_column], _IDS_A_BATCH):
                        column = id_values(batch.column(self.options.id_column))
                        ids += _checked_ids(column, self.options.id_column, file.uri, first_row + len(ids))
                    if ids:
                        size = parquet.metadata.row_group(group).total_byte_size
                        items.append(WorkItem(file.uri, group, first_row, tuple(ids), version, size))
                    first_row += len(ids)
        except SourceError:
            raise
        except (OSError, ValueError, pa.ArrowException) as error:
            raise _unreadable(file.uri, error) from error
        return items


def open_source(
    input: str, *, id_column: str = "id", image_column: str | None = None, attribute_columns: Sequence[str] = ()
) -> Source:
    """Finds out what an input is and checks that it can be read as asked.

    Args:
      input: a Parquet file, or a folder or glob of them; or an image file, or a folder or glob of them. Local
        path, ``file://``, ``gs://`` or ``s3://``. Folders are searched to any depth, hidden files left out.
      id_column: the Parquet column of ids, strings or integers. Image files have their relative path for id, see
        ``names.id_of_name``.
      image_column: the Parquet column of images: bytes, ``struct<bytes, path>`` or URI strings. None for the one
        called ``image``, or else for the only one of bytes or of such a struct.
      attribute_columns: further Parquet columns to take along.

    Returns:
      The source.

    Raises:
      SourceError: there is nothing, or not what was asked for; one line.
    """
    try:
        found = find_files(input)
    except (OSError, ValueError) as error:
        raise SourceError(f"the input {input!r} cannot be listed: {_one_line(error)}") from error
    if not found:
        raise SourceError(f"there is no file at the input {input!r}; give a file, a folder or a glob that exists")
    parquet, images, others = _sorted_by_kind(found)
    if parquet and images:
        raise SourceError(
            f"the input {input!r} mixes {len(parquet)} Parquet files ({parquet[0].relative!r} ...) with "
            f"{len(images)} image files ({images[0].relative!r} ...); give one kind, for example by a glob"
        )
    if not parquet and not images:
        raise SourceError(
            f"the input {input!r} has no Parquet and no image file among its {len(others)} files "
            f"({others[0].relative if others else 'hidden ones'!r} ...)"
        )
    passed_over = tuple(file.uri for file in others)
    if parquet:
        options, attributes = _read_schemas(parquet, id_column, image_column, tuple(attribute_columns))
        return Source(input, tuple(parquet), options, attributes, passed_over)
    if image_column is not None or attribute_columns:
        asked = repr(image_column) if image_column is not None else ", ".join(map(repr, attribute_columns))
        raise SourceError(f"the input {input!r} is of image files, which have no columns, but {asked} was asked for")
    return Source(input, tuple(images), SourceOptions(), pa.schema([]), passed_over)


def _sorted_by_kind(found: list[FoundFile]) -> tuple[list[FoundFile], list[FoundFile], list[FoundFile]]:
    """Parts files into Parquet, images, and others, by their suffixes."""
    parquet, images, others = [], [], []
    for file in found:
        parts = file.relative.split("/")
        suffix = posixpath.splitext(parts[-1])[1].lower()
        hidden = any(part.startswith(".") for part in parts)
        if hidden and len(found) > 1:
            continue
        if suffix in _PARQUET_SUFFIXES:
            # Engines that write tables keep files that are not yet, or no longer, part of them under such names.
            if len(found) == 1 or not any(part.startswith("_") for part in parts):
                parquet.append(file)
        elif suffix in _IMAGE_SUFFIXES:
            images.append(file)
        elif len(found) == 1 and _starts_as_parquet(file.uri):
            parquet.append(file)
        else:
            others.append(file)
    return parquet, images, others


def _starts_as_parquet(uri: str) -> bool:
    try:
        with open_file(uri) as stream:
            return stream.read(4) == b"PAR1"
    except (OSError, ValueError):  # no such file any more, or a pipe
        return False


def _read_schemas(
    files: list[FoundFile], id_column: str, image_column: str | None, attribute_columns: tuple[str, ...]
) -> tuple[SourceOptions, pa.Schema]:
    """Reads every file's footer, finds the columns in the first and checks them in the rest."""
    with concurrent.futures.ThreadPoolExecutor(_OPEN_AT_ONCE) as pool:
        footers = list(pool.map(_read_footer, files))
    if not sum(rows for _, rows in footers):
        raise SourceError(f"the {len(files)} Parquet files have no rows ({files[0].uri!r} ...)")
    first = footers[0][0]
    _require_columns(first, [id_column], files[0].uri, "id column")
    id_type = value_type(first.field(id_column).type)
    if not (is_text(id_type) or pa.types.is_integer(id_type)):
        raise SourceError(
            f"the id column {id_column!r} in {files[0].uri!r} is of type {id_type}; ids are strings or integers"
        )
    if image_column is None:
        image_column = _default_image_column(first, files[0].uri)
    _require_columns(first, [image_column], files[0].uri, "image column")
    image_type = first.field(image_column).type
    if not (is_bytes(image_type) or is_text(image_type) or is_picture_struct(image_type)):
        raise SourceError(
            f"the image column {image_column!r} in {files[0].uri!r} is of type {image_type}; "
            f"it must hold bytes, struct<bytes, path> or URI strings"
        )
    _require_columns(first, attribute_columns, files[0].uri, "attribute column")
    used = dict.fromkeys((id_column, image_column, *attribute_columns))
    for file, (schema, _) in zip(files, footers, strict=True):
        _require_columns(schema, used, file.uri, "column")
        for name in used:
            if schema.field(name).type != first.field(name).type:
                raise SourceError(
                    f"the column {name!r} is of type {schema.field(name).type} in {file.uri!r} but of type "
                    f"{first.field(name).type} in {files[0].uri!r}; all files must have the same schema"
                )
    attributes = pa.schema([first.field(name).remove_metadata() for name in dict.fromkeys(attribute_columns)])
    uris = not is_bytes(image_type)
    return SourceOptions(id_column, image_column, tuple(attributes.names), uris=uris), attributes


def _read_footer(file: FoundFile) -> tuple[pa.Schema, int]:
    try:
        with open_parquet(file.uri) as parquet:
            return parquet.schema_arrow, parquet.metadata.num_rows
    except (OSError, ValueError, pa.ArrowException) as error:
        raise _unreadable(file.uri, error) from error


def _default_image_column(schema: pa.Schema, uri: str) -> str:
    if "image" in schema.names:
        return "image"
    candidates = [field.name for field in schema if is_bytes(field.type) or is_picture_struct(field.type)]
    if len(candidates) == 1:
        return candidates[0]
    which = f"several could be it ({', '.join(candidates)})" if candidates else "no other holds bytes"
    raise SourceError(
        f"there is no column 'image' in {uri!r} and {which}; name the image column; {_columns_there_are(schema)}"
    )


def _require_columns(schema: pa.Schema, names: Sequence[str] | dict[str, None], uri: str, role: str) -> None:
    for name in names:
        if schema.names.count(name) != 1:
            lacking = f"there is no {role}" if name not in schema.names else f"there is more than one {role}"
            raise SourceError(f"{lacking} {name!r} in {uri!r}; {_columns_there_are(schema)}")


def _columns_there_are(schema: pa.Schema) -> str:
    return f"the columns there are: {', '.join(schema.names)}"


def _checked_ids(values: list, column: str, uri: str, first_row: int) -> list[str]:
    for row, value in enumerate(values, first_row):
        if value is None or value == "":
            what = "null" if value is None else "empty"
            raise SourceError(f"the id is {what} in column {column!r} of {uri!r}, row {row}; every photo needs an id")
    return [str(value) for value in values]


def _unreadable(uri: str, error: Exception) -> SourceError:
    return SourceError(f"{uri!r} cannot be read as Parquet: {_one_line(error)}")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
