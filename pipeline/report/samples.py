"""Training samples for the report: some of each kind and some that the gate refused, labelled as what they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.report.columns import open_table, table_parts
from pipeline.report.thumbnails import Thumbnail, encode_thumbnail, read_thumbnail
from pipeline.report.tiles import ReadBytes
from pipeline.report.wording import SAMPLE_REFUSED_TEXT, SAMPLE_TEXT, percent, shorten

MOST_OF_A_KIND = 12
BUDGET = 500_000  # characters of the thumbnails together

_THUMBNAIL = (160, 55)  # longest side in pixels, WebP quality
_COLUMNS = ["id", "kind", "category", "colour", "operations", "parents", "status", "refused_reason", "uri"]
_MOST_NAMES = 20


def training_samples(
    output: str, run: str, run_json: Mapping[str, Any], read_asset: ReadBytes
) -> dict[str, Any] | None:
    """Returns the section's content, or None where no samples were asked for.

    Args:
      output: the output folder.
      run: the run's name.
      run_json: the content of its run.json.
      read_asset: from an asset's uri to its bytes.
    """
    told = run_json.get("augmented")
    parts = table_parts(output, "augmented", run)
    if not told or not parts:
        return None
    budget = [BUDGET]
    groups = []
    for key, rows in _picked(parts).items():
        title, text = SAMPLE_TEXT[key]
        pictures = [_picture(row, read_asset, budget) for row in rows]
        if pictures:
            groups.append({"key": key, "title": title, "text": text, "pictures": pictures})
    refused = sum(told["refused"].values())
    return {
        "sentence": (
            f"{told['asked']:,} asked for = {told['accepted']:,} in use + {told['missing']:,} missing; "
            f"{told['carried']:,} carried over"
        ),
        "groups": groups,
        "refused": [
            {
                "reason": shorten(reason),
                "text": SAMPLE_REFUSED_TEXT.get(reason, ""),
                "count": f"{count:,}",
                "share": percent(count / refused),
            }
            for reason, count in told["refused"].items()
        ],
        "missing": _listed(told["missing_categories"]),
        "withheld": [
            {"text": SAMPLE_REFUSED_TEXT.get(reason, reason), "categories": _listed(categories)}
            for reason, categories in told["withheld"].items()
        ],
    }


def _picked(parts: list[str]) -> dict[str, list[dict[str, Any]]]:
    """Returns the first rows of every kind in the order of ids, which are hashes; refused ones by themselves."""
    found: dict[str, list[dict[str, Any]]] = {key: [] for key in SAMPLE_TEXT}
    for part in parts:
        with open_table(part) as file:
            for batch in pq.ParquetFile(file).iter_batches(10_000, columns=_COLUMNS):
                for key, rows in found.items():
                    lacking = MOST_OF_A_KIND - len(rows)
                    if lacking:
                        wanted = (pc.field("uri").is_valid()) & (
                            (pc.field("status") == "refused")
                            if key == "refused"
                            else (pc.field("status") == "accepted") & (pc.field("kind") == key)
                        )
                        rows.extend(batch.filter(wanted).slice(0, lacking).to_pylist())
        if all(len(rows) == MOST_OF_A_KIND for rows in found.values()):
            break
    return found


def _picture(row: Mapping[str, Any], read_asset: ReadBytes, budget: list[int]) -> dict[str, Any]:
    thumbnail = _thumbnail(row["uri"], read_asset)
    if thumbnail is not None:
        budget[0] -= len(thumbnail.uri)
    made_of = row["parents"][0] if row["parents"] else ""
    return {
        "thumbnail": thumbnail if budget[0] >= 0 else None,
        "caption": shorten(", ".join(filter(None, (row["category"], row["colour"], made_of))), 80),
        "detail": shorten(row["refused_reason"] or "; ".join(row["operations"]), 120),
        "generated": row["kind"] == "product",
    }


def _thumbnail(uri: str, read_asset: ReadBytes) -> Thumbnail | None:
    try:
        return encode_thumbnail(read_thumbnail(read_asset(uri)), *_THUMBNAIL)
    except Exception:  # a page for people must not fail on one picture
        return None


def _listed(counts: Mapping[str, int]) -> str:
    names = [f"{shorten(name, 60)} ({count:,})" for name, count in list(counts.items())[:_MOST_NAMES]]
    more = len(counts) - len(names)
    return ", ".join(names) + (f" and {more:,} more" if more else "")
