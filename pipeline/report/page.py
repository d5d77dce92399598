"""Puts the report together: one HTML file that needs nothing else and stays small for any run."""

from __future__ import annotations

import base64
import functools
import hashlib
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

import jinja2
from markupsafe import Markup

from pipeline.report import sections, selection
from pipeline.report.alike import near_duplicates
from pipeline.report.changes import compare
from pipeline.report.columns import read_catalogue, read_rejections, read_removed, read_rows
from pipeline.report.samples import training_samples
from pipeline.report.thumbnails import LARGEST_SIDE, LEVELS, Thumbnail
from pipeline.report.tiles import ReadBytes, ReadSources, Tile, encode_tiles, no_photos, read_tiles
from pipeline.report.wording import visible
from pipeline.sinks import storage

MAX_BYTES = 4_900_000  # of the whole page
MOST_TILES = 240  # of the catalogue
MOST_REMOVED = 12

_UNFILLED = Thumbnail("", LARGEST_SIDE, LARGEST_SIDE)


def build_report(
    output: str,
    run: str,
    run_json: Mapping[str, Any],
    *,
    read_sources: ReadSources = no_photos,
    read_asset: ReadBytes | None = None,
    previous_run: str | None = None,
    sample: int = 48,
) -> str:
    """Returns the report of a run as one self-contained HTML page of less than ``MAX_BYTES``.

    The same tables, files and ``run_json`` give the same page. Pictures are shrunk, and in the end left out, until
    the page fits.

    Args:
      output: the output folder, local, ``gs://`` or ``s3://``.
      run: the run's name; its tables stand below ``catalogue/`` and ``rejections/``.
      run_json: the content of its run.json, which need not be written yet.
      read_sources: from rows with ``id`` and ``source_uri`` to the encoded photos with their rows' indices, in any
        order; None where a photo cannot be had. By default the page has placeholders in the photos' stead.
      read_asset: from an asset's uri to its bytes; reads below ``output`` unless given.
      previous_run: the run to compare with.
      sample: photos shown, ``MOST_TILES`` at most.
    """
    read_stored = read_asset or (lambda uri: storage.read_bytes(storage.join(output, uri)))
    columns = read_catalogue(output, run)
    picks = selection.select(columns, min(sample, MOST_TILES))
    removed_count, removed = read_removed(output, run, min(MOST_REMOVED, sample))
    tiles = read_tiles(
        [*picks, *(selection.Pick(index, selection.REMOVED) for index in range(len(removed)))],
        [*read_rows(columns, [pick.index for pick in picks]), *removed],
        read_sources=read_sources,
        read_asset=read_stored,
    )
    rejections = read_rejections(output, run)
    changes = compare(output, run, run_json, previous_run) if previous_run else None
    alike = near_duplicates(output, run, read_sources)
    page = functools.partial(
        _template().render,
        **sections.header(run, run_json, columns, rejections, changes, previous_run),
        **sections.reasons(columns, rejections),
        charts=sections.distributions(columns),
        stages=sections.stages(run_json),
        provenance=sections.provenance(run_json),
        alike=alike,
        samples=training_samples(output, run, run_json, read_stored),
    )
    while True:
        unfilled = [[_UNFILLED if picture.image else None for picture in tile.pictures] for tile in tiles]
        bare = page(**sections.photos(tiles, unfilled, columns, removed_count))
        budget = MAX_BYTES - len(bare.encode())
        for level in LEVELS:
            thumbnails = encode_tiles(tiles, level, budget)
            if thumbnails is not None:
                return page(**sections.photos(tiles, thumbnails, columns, removed_count))
        tiles = _thinned(tiles)


def write_report(
    output: str,
    run: str,
    run_json: Mapping[str, Any],
    *,
    read_sources: ReadSources = no_photos,
    previous_run: str | None = None,
    sample: int = 48,
) -> None:
    """Writes the report of a run to ``runs/<run>/report.html`` below the output folder; see ``build_report``.

    Raises:
      storage.StorageError: it could not be written.
    """
    html = build_report(output, run, run_json, read_sources=read_sources, previous_run=previous_run, sample=sample)
    path = storage.join(output, "runs", run, "report.html")
    storage.write_bytes(path, html.encode(), media_type="text/html; charset=utf-8")


def _thinned(tiles: Sequence[Tile]) -> list[Tile]:
    """Returns three quarters of the tiles, or none of a few; every stratum gives some."""
    return [tile for number, tile in enumerate(tiles) if number % 4 != 3] if len(tiles) > 3 else []


@functools.cache
def _template() -> jinja2.Template:
    def text(name: str) -> str:
        return resources.files("pipeline.report").joinpath(name).read_text(encoding="utf-8")

    style, script = text("style.css"), text("enlarge.js")
    environment = jinja2.Environment(
        autoescape=True, finalize=visible, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.globals.update(
        style=Markup(style), script=Markup(script), style_hash=_csp_hash(style), script_hash=_csp_hash(script)
    )
    return environment.from_string(text("page.html.j2"))


def _csp_hash(text: str) -> Markup:
    return Markup(f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'")
