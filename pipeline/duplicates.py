"""Photos of the same bytes in one run: one of them is worked on, the others take its row over."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import apache_beam as beam

from pipeline.records import OWN_COLUMNS, Photo, Rejection
from pipeline.refresh import classify
from pipeline.sinks.carried import CarriedRows
from pipeline.sinks.tables import shard_of
from pipeline.sources.items import SourceOptions
from transforms.reasons import RejectReason
from transforms.stage import REJECTED

STAGE = "refresh"
_KEY_BYTES = 16

Fetch = Callable[[Photo], Photo]  # gives a photo its bytes and their digest
Row = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Twin:
    """A photo that takes over what becomes of another one; the fields are those of ``Photo``."""

    id: str
    leader: str
    source_uri: str
    source_sha256: str | None
    source_version: str | None
    attributes: dict[str, Any]


def identify(photo: Photo, options: SourceOptions, fetch: Fetch) -> tuple[Photo, bytes | None]:
    """Finds out what is equal for photos of which the same pictures would be made, without decoding them.

    That is the digest of their bytes, or, for photos that are named by a URI, of that URI: they are not fetched for
    this.

    Args:
      photo: of ``read_photos``.
      options: the columns that are read, of a Parquet input.
      fetch: reads an image file.

    Returns:
      The photo, with its digest if it was read; and 16 bytes, or None for a photo that needs no work.

    Raises:
      PhotoError: the photo cannot be read.
    """
    if options.image_column and photo.content is None:
        origin = f"uri:{photo.source_uri}"
        unchanged = photo.known is not None and photo.known.current and photo.known.source_uri == photo.source_uri
    else:
        photo = fetch(photo)
        origin = str(photo.source_sha256)
        unchanged = classify(origin, photo.known) == "unchanged"
    if unchanged:
        return photo, None
    category = photo.attributes[options.category_column] if options.category_column else None
    text = repr((origin, category)).encode("utf-8", "surrogatepass")
    return photo, hashlib.sha256(text).digest()[:_KEY_BYTES]


def elect(ids: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yields every photo of a group but the first in the order of ids, each with that one."""
    leader, *others = sorted(ids)
    yield from ((other, leader) for other in others)


def follow(twin: Twin, outcome: Row | CarriedRows | Rejection, shards: int) -> Row | CarriedRows | Rejection:
    """Returns what becomes of a photo whose bytes are another one's.

    Args:
      twin: the photo.
      outcome: of the other one: its catalogue row, the row of an earlier run that it takes over, or its rejection.
      shards: files of the catalogue table.
    """
    now = {
        **twin.attributes,
        "id": twin.id,
        "source_uri": twin.source_uri,
        "source_version": twin.source_version,
        "refresh": "duplicate",
    }
    if isinstance(outcome, Rejection):
        detail = f"as {twin.leader!r}, of the same bytes: {outcome.detail}"
        return Rejection(twin.id, twin.source_uri, outcome.source_sha256, outcome.stage, outcome.reason, detail)
    if isinstance(outcome, CarriedRows):
        return CarriedRows(shard_of(twin.id, shards), outcome.part, outcome.positions, {**outcome.changes, **now})
    if twin.source_sha256 not in (None, outcome["source_sha256"]):
        detail = f"{twin.leader!r} had the same bytes when the run began, and has others now; the next run does both"
        return Rejection(twin.id, twin.source_uri, twin.source_sha256, STAGE, str(RejectReason.FETCH_FAILED), detail)
    return {**outcome, **now}


class TakeTwins(beam.PTransform):
    """Takes photos that have a ``leader`` out of the flow.

    Returns (of ``expand``):
      Two PCollections: the photos that stay, and ``Twin``.
    """

    def expand(self, photos):
        parted = photos | beam.ParDo(_take_twin).with_outputs("twins", main="photos")
        return parted.photos, parted.twins


def _take_twin(photo: Photo) -> Iterator[Any]:
    if photo.leader is None:
        yield photo
        return
    digest = None if photo.content is None else hashlib.sha256(photo.content).hexdigest()
    twin = Twin(photo.id, photo.leader, photo.source_uri, digest, photo.source_version, photo.attributes)
    yield beam.pvalue.TaggedOutput("twins", twin)


class FollowLeaders(beam.PTransform):
    """Gives twins what became of the photos whose bytes they have; see ``follow``.

    Applied to a dict, of photos that lead: ``rows``, ids with catalogue rows; ``carried``, ids with
    ``CarriedRows``; ``rejections``, ids with rejections; and of the others ``twins``, ids of leaders with ``Twin``.

    Args:
      shards: files of the catalogue table.

    Returns (of ``expand``):
      Two PCollections: catalogue rows or ``CarriedRows``, and rejections.
    """

    def __init__(self, shards: int):
        super().__init__()
        self._shards = shards

    def expand(self, outcomes):
        followed = (
            outcomes
            | beam.CoGroupByKey()  # (id, {"rows": [row], ..., "twins": [Twin]})
            | beam.ParDo(_Follow(self._shards)).with_outputs(REJECTED, main="rows")
        )
        return followed.rows, followed[REJECTED]


def share(rows: Iterable[Row]) -> Iterator[Row]:
    """Yields the rows of photos that turned out to have the same bytes, all with the pictures of the first.

    Args:
      rows: catalogue rows; the first in the order of ids leads.
    """
    leader, *others = sorted(rows, key=lambda row: row["id"])
    yield leader
    own = ("id", "source_uri", "source_version")
    for row in others:
        attributes = {name: value for name, value in row.items() if name not in OWN_COLUMNS}
        yield {**leader, **{name: row[name] for name in own}, **attributes, "refresh": "duplicate"}


class SharePictures(beam.PTransform):
    """Lets photos share pictures of which only the run itself found out that they are of the same bytes.

    These are photos that are named by URIs: they are fetched once, and not before their turn. What was stored for
    all but the first is named by no row any more, and goes with ``packshot prune``.

    Args:
      category_column: the attribute on which pictures depend, empty for none.

    Returns (of ``expand``):
      As many catalogue rows as there were.
    """

    def __init__(self, category_column: str):
        super().__init__()
        self._category_column = category_column

    def expand(self, rows):
        keyed = rows | "KeyByBytes" >> beam.Map(_by_bytes, self._category_column)  # ((sha256, category), row)
        return keyed | beam.GroupByKey() | "Share" >> beam.FlatMap(lambda group: share(group[1]))


def _by_bytes(row: Row, category_column: str) -> tuple[tuple[str, Any], Row]:
    return (row["source_sha256"], row[category_column] if category_column else None), row


class _Follow(beam.DoFn):
    def __init__(self, shards: int):
        self._shards = shards

    def process(self, group):
        _, members = group
        outcomes = [*members["rows"], *members["carried"], *members["rejections"]]
        for twin in members["twins"]:
            if outcomes:
                done = follow(twin, outcomes[0], self._shards)
            else:  # the ledger would not balance without it
                detail = f"nothing is known of {twin.leader!r}, which has the same bytes"
                done = Rejection(twin.id, twin.source_uri, None, STAGE, str(RejectReason.INTERNAL), detail)
            yield beam.pvalue.TaggedOutput(REJECTED, done) if isinstance(done, Rejection) else done
