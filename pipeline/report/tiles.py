"""The photos of the report: what was given, what was cut out, what was made; read, shrunk and kept in a budget."""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from PIL import Image

from models.handlers.backends import available_threads
from pipeline.report.selection import Pick
from pipeline.report.thumbnails import LARGEST_SIDE, Thumbnail, encode_thumbnail, read_thumbnail

ReadSources = Callable[[Sequence[Mapping[str, Any]]], Iterable[tuple[int, bytes | None]]]
ReadBytes = Callable[[str], bytes]

SOURCE = "source"
KINDS = (SOURCE, "mask", "packshot", "cutout")  # in the order shown
_READ_AHEAD = 8  # photos whose files are held at a time
_MOST_SIDE_BY_SIDE = 4_000_000  # pixels of pictures that are decoded beside others
_ONE_LARGE = threading.Lock()
_ENCODED_AT_ONCE = 16  # tiles, before the budget is looked at
_MOST_HELD = 48_000_000  # pixels of decoded thumbnails, about 150 MB

_GONE = "the photo is no longer there"
_LOGGER = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Picture:
    """One picture of a tile.

    Attributes:
      kind: one of ``KINDS``.
      image: the decoded thumbnail, or None.
      missing: why there is none; empty where there is one.
    """

    kind: str
    image: Image.Image | None
    missing: str = ""


@dataclasses.dataclass(frozen=True)
class Tile:
    """A photo of the sample with its pictures.

    Attributes:
      pick: which photo, and why it was picked.
      row: its catalogue row.
      pictures: the source first.
    """

    pick: Pick
    row: Mapping[str, Any]
    pictures: tuple[Picture, ...]


def no_photos(rows: Sequence[Mapping[str, Any]]) -> Iterator[tuple[int, bytes | None]]:
    """Reads none of the photos: a ``ReadSources``."""
    return iter(())


def read_tiles(
    picks: Sequence[Pick], rows: Sequence[dict[str, Any]], *, read_sources: ReadSources, read_asset: ReadBytes
) -> list[Tile]:
    """Reads and shrinks the pictures of a sample. What cannot be read becomes a tile that says so.

    Args:
      picks: the sample.
      rows: their catalogue rows, in the same order.
      read_sources: from catalogue rows to the encoded photos with their rows' indices, in any order; None where a
        photo cannot be had.
      read_asset: from an asset's uri, relative to the output folder, to its bytes; called from several threads.
    """
    side = min(LARGEST_SIDE, int((_MOST_HELD / (len(KINDS) * max(1, len(picks)))) ** 0.5))
    # one after the other: a photo may be of any size
    sources = {
        index: _picture(SOURCE, content, missing, side) for index, content, missing in _read_sources(rows, read_sources)
    }
    tiles = []
    with concurrent.futures.ThreadPoolExecutor(_READ_AHEAD) as pool:
        for start in range(0, len(rows), _READ_AHEAD):
            made = pool.map(lambda row: _read_assets(row, read_asset, side), rows[start : start + _READ_AHEAD])
            for index, pictures in enumerate(made, start):
                tiles.append(Tile(picks[index], rows[index], (sources[index], *pictures)))
    return tiles


def encode_tiles(tiles: Sequence[Tile], level: tuple[int, int], budget: int) -> list[list[Thumbnail | None]] | None:
    """Encodes the pictures of all tiles.

    Args:
      tiles: the sample.
      level: longest side in pixels and WebP quality.
      budget: characters that the ``data:`` URIs may take together.

    Returns:
      A thumbnail for every picture of every tile, None where a picture is missing; or None over budget.
    """
    encoded: list[list[Thumbnail | None]] = []
    with concurrent.futures.ThreadPoolExecutor(available_threads()) as pool:
        for start in range(0, len(tiles), _ENCODED_AT_ONCE):
            encoded += pool.map(lambda tile: _encoded(tile, level), tiles[start : start + _ENCODED_AT_ONCE])
            if sum(len(thumbnail.uri) for tile in encoded for thumbnail in tile if thumbnail) > budget:
                return None
    return encoded


def _encoded(tile: Tile, level: tuple[int, int]) -> list[Thumbnail | None]:
    return [encode_thumbnail(picture.image, *level) if picture.image else None for picture in tile.pictures]


def _read_sources(
    rows: Sequence[Mapping[str, Any]], read_sources: ReadSources
) -> Iterator[tuple[int, bytes | None, str]]:
    """Yields index, content, and why there is no content."""
    unread = set(range(len(rows)))
    missing = _GONE
    try:
        for index, content in read_sources(rows):
            unread.discard(index)
            yield index, content, _GONE
    except Exception as error:  # a page for people must not fail on some pictures; it shows which
        _LOGGER.warning("The report goes without %d photos: %s", len(unread), error)
        missing = f"not readable: {type(error).__name__}"
    yield from ((index, None, missing) for index in unread)


def _read_assets(row: Mapping[str, Any], read_asset: ReadBytes, side: int) -> list[Picture]:
    assets = {asset["kind"]: asset for asset in reversed(row["assets"])}
    pictures = []
    for kind in (kind for kind in KINDS if kind in assets):  # others were not asked for in this run
        content, missing = None, "the file is missing"
        try:
            content = read_asset(assets[kind]["uri"])
        except FileNotFoundError:
            pass
        except Exception as error:  # as above
            _LOGGER.warning("The report goes without the %s of %r: %s", kind, row["id"], error)
            missing = f"not readable: {type(error).__name__}"
        large = assets[kind]["width"] * assets[kind]["height"] > _MOST_SIDE_BY_SIDE
        with _ONE_LARGE if large else contextlib.nullcontext():
            pictures.append(_picture(kind, content, missing, side))
    return pictures


def _picture(kind: str, content: bytes | None, missing: str, side: int) -> Picture:
    if content is None:
        return Picture(kind, None, missing)
    try:
        return Picture(kind, read_thumbnail(content, side))
    except ValueError:
        return Picture(kind, None, "not readable as a picture")
