"""Groups of near-duplicates for the report, each with its photos side by side."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow.parquet as pq

from pipeline.records import NEAR_DUPLICATES_SCHEMA
from pipeline.report.columns import open_table, table_parts
from pipeline.report.thumbnails import Thumbnail, encode_thumbnail, read_thumbnail
from pipeline.report.tiles import ReadSources
from pipeline.report.wording import shorten
from transforms.perceptual_hash import RECOLOURED

MOST_GROUPS = 12
MOST_PHOTOS = 4  # of a group
MOST_PAIRS = 50_000  # read: groups of a table of millions are of its first pairs
BUDGET = 600_000  # characters of the thumbnails together

_THUMBNAIL = (192, 50)  # longest side in pixels, WebP quality
_WORKED_ON = ("new", "changed")


@dataclasses.dataclass
class Group:
    """Photos that are linked by pairs.

    Attributes:
      photos: ``{"id", "source_uri", "refresh"}`` by id.
      pairs: rows of the table, without the columns of the photos.
    """

    photos: dict[str, dict[str, str]]
    pairs: list[Mapping[str, Any]]

    @property
    def recoloured(self) -> bool:
        """Whether every pair differs in the colour of its parts."""
        return all(pair["colour_distance"] > RECOLOURED for pair in self.pairs)

    def urgency(self) -> tuple:
        """Sorts first what this run brought, then copies before other colours, then the larger."""
        is_news = any(photo["refresh"] in _WORKED_ON for photo in self.photos.values())
        return not is_news, self.recoloured, -len(self.photos), min(self.photos)


def near_duplicates(output: str, run: str, read_sources: ReadSources) -> dict[str, Any] | None:
    """Returns the section's content, or None where the run has no such table.

    Args:
      output: the output folder.
      run: the run's name.
      read_sources: from rows with ``id`` and ``source_uri`` to the encoded photos with their rows' indices.
    """
    parts = table_parts(output, "near_duplicates", run)
    if not parts:
        return None
    rows: list[dict[str, Any]] = []
    count = 0
    for part in parts:
        with open_table(part) as file:
            table = pq.ParquetFile(file)
            count += table.metadata.num_rows
            for batch in table.iter_batches(4096, columns=NEAR_DUPLICATES_SCHEMA.names):
                if len(rows) >= MOST_PAIRS:
                    break
                rows.extend(batch.to_pylist()[: MOST_PAIRS - len(rows)])
    groups = sorted(linked(rows), key=Group.urgency)
    names = {name: group for group in groups[:MOST_GROUPS] for name in sorted(group.photos)[:MOST_PHOTOS]}
    thumbnails = _thumbnails([group.photos[name] for name, group in names.items()], read_sources)
    shown, budget = [], BUDGET
    for group in groups[:MOST_GROUPS]:
        pictures = []
        for name in sorted(group.photos)[:MOST_PHOTOS]:
            thumbnail = thumbnails.get(name)
            budget -= len(thumbnail.uri) if thumbnail else 0
            pictures.append(
                {
                    "id": shorten(name, 80),
                    "refresh": group.photos[name]["refresh"],
                    "thumbnail": thumbnail if budget >= 0 else None,
                }
            )
        shown.append(
            {
                "pictures": pictures,
                "photos": f"{len(group.photos):,}",
                "more": f"{len(group.photos) - len(pictures):,}" if len(group.photos) > len(pictures) else "",
                "distance": max(pair["distance"] for pair in group.pairs),
                "recoloured": group.recoloured,
            }
        )
    return {
        "pairs": f"{count:,}",
        "groups": f"{len(groups):,}",
        "photos": f"{sum(len(group.photos) for group in groups):,}",
        "partly": f"{MOST_PAIRS:,}" if count > MOST_PAIRS else "",
        "shown": shown,
    }


def linked(rows: Iterable[Mapping[str, Any]]) -> list[Group]:
    """Returns the groups of photos that rows of the table link, directly or by way of others."""
    rows = list(rows)
    parent: dict[str, str] = {}

    def root(name: str) -> str:
        while parent.setdefault(name, name) != name:
            parent[name] = name = parent[parent[name]]
        return name

    for row in rows:
        first, second = sorted((root(row["id_a"]), root(row["id_b"])))
        parent[second] = first
    groups: dict[str, Group] = collections.defaultdict(lambda: Group({}, []))
    for row in rows:
        group = groups[root(row["id_a"])]
        group.pairs.append({name: row[name] for name in ("distance", "colour_distance")})
        for side in "ab":
            photo = {name: row[f"{name}_{side}"] for name in ("id", "source_uri", "refresh")}
            group.photos[photo["id"]] = photo
    return list(groups.values())


def _thumbnails(photos: Sequence[dict[str, str]], read_sources: ReadSources) -> dict[str, Thumbnail]:
    """Returns thumbnails by id, of those photos that can be had."""
    found = {}
    with contextlib.suppress(Exception):  # a page for people must not fail on some pictures
        for index, content in read_sources(photos):
            if content is not None:
                with contextlib.suppress(ValueError):
                    found[photos[index]["id"]] = encode_thumbnail(read_thumbnail(content), *_THUMBNAIL)
    return found
