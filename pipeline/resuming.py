"""Takes photos out of the flow that a run which did not end had finished already."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import apache_beam as beam

from pipeline.records import OWN_COLUMNS, Photo
from pipeline.sinks import storage
from pipeline.sinks.journal import FinishedRows

_LOGGER = logging.getLogger(__name__)


def resume(photo: Photo, finished: FinishedRows) -> dict[str, Any] | None:
    """Returns the catalogue row that a photo would get now, if a run which did not end has noted it.

    Args:
      photo: with ``source_sha256`` and ``refresh``.
      finished: the rows that were noted with this configuration and model.

    Returns:
      The row, or None for a photo that is to be worked on.
    """
    assert photo.source_sha256 is not None
    try:
        row = finished.find(photo.id, photo.source_sha256)
    except storage.StorageError as error:
        _LOGGER.warning("photo %r is done again, because its assets cannot be looked up: %s", photo.id, error)
        return None
    if row is None:
        return None
    now = {"source_uri": photo.source_uri, "source_version": photo.source_version, "refresh": photo.refresh}
    return {**{name: row[name] for name in OWN_COLUMNS}, **now, **photo.attributes}


class ResumePhotos(beam.PTransform):
    """Parts photos that need work from the rows of those that are finished; see ``resume``.

    Returns (of ``expand``):
      Three PCollections: photos, catalogue rows, and ids with the rows of those photos that lead.
    """

    def __init__(self, finished: FinishedRows):
        super().__init__()
        self._finished = finished

    def expand(self, photos):
        parted = photos | beam.FlatMap(_resume, self._finished).with_outputs("rows", "leading", main="photos")
        return parted.photos, parted.rows, parted.leading


def _resume(photo: Photo, finished: FinishedRows) -> Iterator[Any]:
    row = resume(photo, finished)
    if row is None:
        yield photo
        return
    yield beam.pvalue.TaggedOutput("rows", row)
    if photo.leads:
        yield beam.pvalue.TaggedOutput("leading", (photo.id, row))
