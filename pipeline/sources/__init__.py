"""Where photos come from: Parquet columns, folders and globs of files, URIs; local, in object stores, on the web."""

from pipeline.sources.fetch import FetchPhotos, fetch
from pipeline.sources.items import PlannedItem, SourceError, SourceOptions, WorkItem, check_unique
from pipeline.sources.listing import Source, open_source
from pipeline.sources.read import ReadPhotos, read_photos

__all__ = [
    "FetchPhotos",
    "PlannedItem",
    "ReadPhotos",
    "Source",
    "SourceError",
    "SourceOptions",
    "WorkItem",
    "check_unique",
    "fetch",
    "open_source",
    "read_photos",
]
