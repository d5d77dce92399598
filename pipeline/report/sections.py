"""The sections of the page, as plain values that the template lays out. Every text is shortened here."""

from __future__ import annotations

import urllib.parse
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pipeline.records import OWN_COLUMNS
from pipeline.report import charts, selection
from pipeline.report.changes import Changes, flatten
from pipeline.report.columns import STATUSES, CatalogueColumns, RejectedGroup
from pipeline.report.thumbnails import Thumbnail
from pipeline.report.tiles import Tile
from pipeline.report.wording import (
    MOST_SIGNS_LONG,
    MOVE_TEXT,
    PICTURE_TEXT,
    REJECT_TEXT,
    REVIEW_TEXT,
    STRATUM_TEXT,
    delta_e,
    duration,
    percent,
    period,
    shorten,
    size,
    spoken,
)

_MOST_ROWS = 60  # of any table of the page

_COUNTS = (
    ("read", "Photos read", ""),
    ("ready", "Ready", "more"),
    ("review", "To review", "fewer"),
    ("rejected", "Rejected", "fewer"),
    ("unchanged", "Carried over", ""),
    ("duplicate", "Duplicates", ""),
    ("removed", "Removed", ""),
    ("assets_written", "Files written", ""),
)


def header(
    run: str,
    run_json: Mapping[str, Any],
    columns: CatalogueColumns,
    rejections: Sequence[RejectedGroup],
    changes: Changes | None,
    previous_run: str | None,
) -> dict[str, Any]:
    """Returns the verdict, the totals and how they changed."""
    counts = {name: int(run_json.get(name) or 0) for name, _, _ in _COUNTS}
    read, rejected = counts["read"], counts["rejected"]
    accounted = counts["ready"] + counts["review"] + rejected
    allowed = (run_json.get("config") or {}).get("max_rejected_fraction")
    notes = []
    verdict = "good"
    if accounted != read:
        verdict = "bad"
        balance = f"the ledger does not balance: {abs(read - accounted):,} {'lost' if accounted < read else 'too many'}"
    else:
        balance = "ledger balances"
    if isinstance(allowed, int | float) and rejected > allowed * read:
        verdict = "bad"
        notes.append(
            f"{percent(rejected / max(read, 1))} of the photos were rejected, more than the {percent(allowed)} that "
            "max_rejected_fraction allows."
        )
    if rejected and rejected == read:
        verdict = "bad"
        notes.append("Every photo was rejected.")
    in_tables = {status: int(np.count_nonzero(columns.status == code)) for code, status in enumerate(STATUSES)}
    in_tables["rejected"] = sum(group.count for group in rejections)
    for status in STATUSES:
        if in_tables[status] != counts[status]:
            verdict = "bad"
            notes.append(
                f"run.json counts {counts[status]:,} {status} photos, but the tables have {in_tables[status]:,}."
            )
    before = changes.run_json if changes else {}
    totals = [
        {
            "name": label,
            "key": name,
            "value": f"{counts[name]:,}",
            "share": percent(counts[name] / read) if read and name in STATUSES else "",
            **_delta(counts[name], before.get(name), better),
        }
        for name, label, better in _COUNTS
    ]
    seconds, rate = run_json.get("seconds"), run_json.get("images_per_second")
    for label, key, value in (
        ("Time", "seconds", duration(seconds)),
        ("Images per second", "rate", "–" if rate is None else f"{rate:,.1f}"),
    ):
        totals.append({"name": label, "key": key, "value": value, "share": "", "delta": "", "tone": ""})
    sums = " + ".join(f"{counts[status]:,} {status}" for status in STATUSES)
    return {
        "run": shorten(run),
        "verdict": verdict,
        "sentence": f"{read:,} read = {sums}; {balance}.",
        "notes": notes,
        "meter": charts.bar({status: counts[status] / read for status in STATUSES} if read else {}),
        "totals": totals,
        "ended": period(run_json.get("started"), run_json.get("ended")),
        "rows": len(columns),
        "read": read,
        "refresh": {
            name: f"{columns.refresh[name]:,}"
            for name in ("new", "changed", "unchanged", "duplicate")
            if columns.refresh.get(name)
        },
        "changes": changed(changes),
        "previous_run": previous_run and shorten(previous_run),
    }


def _delta(now: int, before: Any, better: str) -> dict[str, str]:
    if not isinstance(before, int):
        return {"delta": "", "tone": ""}
    difference = now - before
    if not difference:
        return {"delta": "±0", "tone": ""}
    tone = "" if not better else "good" if (difference > 0) == (better == "more") else "bad"
    return {"delta": f"{'+' if difference > 0 else '−'}{abs(difference):,}", "tone": tone}


def changed(changes: Changes | None) -> dict[str, Any] | None:
    """Returns what became of photos otherwise than in the previous run, and what was configured otherwise."""
    if changes is None:
        return None
    moves = changes.moves
    return {
        "moves": moves
        and [
            {
                "text": MOVE_TEXT[move.before, move.after],
                "after": move.after,
                "count": f"{move.count:,}",
                "examples": [shorten(example, 80) for example in move.examples],
                "more": f"{move.count - len(move.examples):,}" if move.count > len(move.examples) else "",
            }
            for move in moves
        ],
        "known": moves is not None,
        "settings": [(shorten(name), spoken(then), spoken(now)) for name, then, now in changes.settings],
    }


def reasons(columns: CatalogueColumns, rejections: Sequence[RejectedGroup]) -> dict[str, Any]:
    """Returns the rejections and the review reasons, most frequent first."""
    rejected = sum(group.count for group in rejections)
    counts = columns.reason_counts()
    return {
        "rejections": [
            {
                "reason": shorten(group.reason),
                "text": REJECT_TEXT.get(group.reason, ""),
                "count": f"{group.count:,}",
                "share": percent(group.count / rejected),
                "bar": charts.bar({"rejected": group.count / rejections[0].count}),
                "stages": [f"{shorten(stage)} ({count:,})" for stage, count in list(group.stages.items())[:8]],
                "examples": [
                    {
                        "id": shorten(row["id"]),
                        "uri": shorten(row["source_uri"], MOST_SIGNS_LONG),
                        "stage": shorten(row["stage"]),
                        "detail": shorten(row["detail"], MOST_SIGNS_LONG),
                    }
                    for row in group.examples
                ],
                "shown": len(group.examples) < group.count,
            }
            for group in rejections[:_MOST_ROWS]
        ],
        "reviews": [
            {
                "reason": shorten(reason),
                "text": REVIEW_TEXT.get(reason, ""),
                "count": f"{count:,}",
                "share": percent(count / len(columns)),
                "bar": charts.bar({"review": count / max(counts.values())}),
            }
            for reason, count in list(counts.items())[:_MOST_ROWS]
        ],
    }


def distributions(columns: CatalogueColumns) -> list[dict[str, Any]]:
    """Returns the histograms."""
    if not len(columns):
        return []
    shift_end = max(5.0, np.ceil(_quantiles(columns.colour_shift, 0.99)[0]))
    drawn = []
    for title, text, values, high, open_end, unit in (
        ("Presence", "How sure the model is that there is a product", columns.presence, 1.0, False, percent),
        ("Coverage", "Fraction of the source frame that is product", columns.coverage, 1.0, False, percent),
        ("Colour shift", "Mean CIEDE2000 by which products were moved", columns.colour_shift, shift_end, True, delta_e),
    ):
        low, middle, top = map(unit, _quantiles(values, 0.05, 0.5, 0.95))
        series = {status: values[columns.status == STATUSES.index(status)] for status in ("ready", "review")}
        told = (
            f"Histogram of {title.lower()} over {len(columns):,} photos: median {middle}, 5th percentile {low}, "
            f"95th percentile {top}."
        )
        drawn.append(
            {
                "title": title,
                "text": text,
                "svg": charts.histogram(series, low=0.0, high=high, bins=24, title=told, open_end=open_end),
                "quantiles": (("5th percentile", low), ("Median", middle), ("95th percentile", top)),
            }
        )
    return drawn


def _quantiles(values: np.ndarray, *fractions: float) -> list[float]:
    known = values[np.isfinite(values)]
    return [float(q) for q in np.quantile(known, fractions)] if len(known) else [np.nan] * len(fractions)


def stages(run_json: Mapping[str, Any]) -> dict[str, Any]:
    """Returns milliseconds an image by stage."""
    stages = [(str(name), float(spent)) for name, spent in (run_json.get("stages") or {}).items()][:_MOST_ROWS]
    total = sum(spent for _, spent in stages)
    longest = max((spent for _, spent in stages), default=0.0)
    return {
        "rows": [
            {
                "name": shorten(name),
                "milliseconds": f"{spent:,.1f}",
                "share": percent(spent / total) if total else "–",
                "bar": charts.bar({"time": spent / longest} if longest else {}),
            }
            for name, spent in stages
        ],
        "total": f"{total:,.1f}",
    }


def provenance(run_json: Mapping[str, Any]) -> list[tuple[str, list[tuple[str, str]]]]:
    """Returns configuration, model and versions as titled lists."""
    parts = []
    for title, key in (("Configuration", "config"), ("Model", "model"), ("Versions", "versions")):
        value = run_json.get(key)
        entries = flatten(value if isinstance(value, Mapping) else {"name": value} if value else {})
        entries.pop("", None)
        parts.append((title, [(shorten(name), spoken(entry)) for name, entry in list(entries.items())[:_MOST_ROWS]]))
    host = run_json.get("host")
    if host:
        parts[-1][1].append(("host", spoken(host)))
    return parts


def photos(
    tiles: Sequence[Tile],
    thumbnails: Sequence[Sequence[Thumbnail | None]],
    columns: CatalogueColumns,
    removed: int,
) -> dict[str, Any]:
    """Returns the photos of the sample by stratum, and some of those that are removed.

    A thumbnail that is None shows why its picture is missing.
    """
    groups: dict[str, list[dict[str, Any]]] = {selection.REMOVED: []}
    for tile, pictures in zip(tiles, thumbnails, strict=True):
        groups.setdefault(tile.pick.stratum, []).append(_tile(tile, pictures, columns.category_column))
    gone = groups.pop(selection.REMOVED)
    category = shorten(columns.category_column or "", 40)
    return {
        "groups": [
            {
                "key": stratum,
                "title": STRATUM_TEXT[stratum][0].format(category=category),
                "text": STRATUM_TEXT[stratum][1],
                "tiles": members,
            }
            for stratum, members in groups.items()
        ],
        "removed": {
            "count": f"{removed:,}",
            "text": ("photo of the previous run is" if removed == 1 else "photos of the previous run are")
            + " no longer in the input. The pictures stay as long as a run that names them is kept."
            + (f" Here are {len(gone)} of them." if 0 < len(gone) < removed else ""),
            "tiles": gone,
        }
        if removed
        else {"count": ""},
    }


def _colour_facts(row: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Says where the gains came from, or why there are none; nothing for a row of a release that did not record it."""
    if not row.get("colour_method"):
        return []
    why = row.get("colour_abstention")
    return [("Colour", f"left alone: {why.replace('_', ' ')}" if why else f"by {row['colour_method']}")]


def _removed_tile(row: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what a tile says of a photo that is no longer in the input."""
    facts = [
        ("Source", shorten(row["source_uri"], MOST_SIGNS_LONG)),
        ("Last in run", shorten(row["last_run"])),
        ("Photo's SHA-256", row["source_sha256"][:64]),
    ]
    return {"category": "", "reasons": [], "numbers": [], "facts": facts}


def _catalogue_tile(row: Mapping[str, Any], category: str | None) -> dict[str, Any]:
    """Returns what a tile says of a photo of the catalogue."""
    box = row["bbox"]
    attributes = [(column, value) for column, value in row.items() if column not in OWN_COLUMNS]
    return {
        "category": shorten(spoken(row[category]), 40) if category and row[category] is not None else "",
        "reasons": [shorten(reason, 40) for reason in row["review_reasons"][:12]],
        "numbers": [
            ("Presence", percent(row["presence"])),
            ("Coverage", percent(row["coverage"])),
            ("Colour shift", delta_e(row["colour_shift"])),
        ],
        "facts": [
            ("Source", shorten(row["source_uri"], MOST_SIGNS_LONG)),
            ("Frame", f"{row['width']} × {row['height']} px"),
            ("Product", f"{box['width']} × {box['height']} px at {box['x']}, {box['y']}" if box else "none found"),
            ("Cut by the frame", "yes" if row["touches_edge"] else "no"),
            ("Gains R, G, B", ", ".join(f"{gain:.3f}" for gain in row["background_gain"][:3])),
            *_colour_facts(row),
            ("Refresh", row["refresh"]),
            *((shorten(column, 60), shorten(spoken(value), 120)) for column, value in attributes[:12]),
            ("Photo's SHA-256", row["source_sha256"][:64]),
        ],
    }


def _tile(tile: Tile, thumbnails: Sequence[Thumbnail | None], category: str | None) -> dict[str, Any]:
    row = tile.row
    is_removed = tile.pick.stratum == selection.REMOVED
    return {
        "id": shorten(row["id"]),
        "status": row["status"],
        **(_removed_tile(row) if is_removed else _catalogue_tile(row, category)),
        "files": [
            {
                "kind": PICTURE_TEXT.get(asset["kind"], asset["kind"]),
                "href": "../../" + urllib.parse.quote(asset["uri"]),  # the page stands in runs/<run>/
                "size": f"{asset['width']} × {asset['height']} px, {size(asset['bytes'])}",
            }
            for asset in row["assets"][:8]
            if len(asset["uri"]) <= MOST_SIGNS_LONG
        ],
        "pictures": [
            {
                "kind": picture.kind,
                "caption": PICTURE_TEXT[picture.kind],
                "thumbnail": thumbnail,
                "alpha": picture.image is not None and picture.image.mode == "RGBA",
                "missing": picture.missing,
                "alt": f"{PICTURE_TEXT[picture.kind]}: {shorten(row['id'], 60)}",
            }
            for picture, thumbnail in zip(tile.pictures, thumbnails, strict=True)
        ],
    }  # fmt: skip
