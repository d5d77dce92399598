"""Training samples for the report: some of each kind and some that the gate refused, labelled as what they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
_LOOKED_AT = 200  # rows of a kind in a batch, to find some of different photos
_ORIGIN = 10  # digits of an id that are the same for all samples of a photo
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


def _picked(parts: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    """Returns the first rows of every kind in the order of ids, which are hashes; refused ones by themselves.

    Of several samples of one photo, or draws for one product, the first is taken.
    """
    found: dict[str, list[dict[str, Any]]] = {key: [] for key in SAMPLE_TEXT}
    seen: set[tuple[str, str]] = set()
    for part in parts:
        with open_table(part) as file:
            for batch in pq.ParquetFile(file).iter_batches(10_000, columns=_COLUMNS):
                for key, rows in found.items():
                    for row in batch.filter(_is_of(key)).slice(0, _LOOKED_AT).to_pylist():
                        origin = (key, row["id"].rpartition("-")[2][:_ORIGIN])
                        if len(rows) < MOST_OF_A_KIND and origin not in seen:
                            seen.add(origin)
                            rows.append(row)
        if all(len(rows) == MOST_OF_A_KIND for rows in found.values()):
            break
    return found


def _is_of(key: str) -> pc.Expression:
    if key == "refused":
        return pc.field("uri").is_valid() & (pc.field("status") == "refused")
    return pc.field("uri").is_valid() & (pc.field("status") == "accepted") & (pc.field("kind") == key)


def _picture(row: Mapping[str, Any], read_asset: ReadBytes, budget: list[int]) -> dict[str, Any]:
    thumbnail = _thumbnail(row["uri"], read_asset)
    if thumbnail is not None:
        budget[0] -= len(thumbnail.uri)
    made_of = row["parents"][0] if row["parents"] else ""
    return {
        "thumbnail": thumbnail if budget[0] >= 0 else None,
        "caption": shorten(", ".join(filter(None, (row["category"], row["colour"], made_of))), 80),
        "detail": shorten(row["refused_reason"] or _operations(row), 120),
        "generated": row["kind"] == "product",
    }


def _operations(row: Mapping[str, Any]) -> str:
    """Returns what was done to a sample; of variants without the values drawn, which the table has."""
    done = row["operations"]
    return ", ".join(step.partition(" ")[0] for step in done) if row["kind"] == "variant" else "; ".join(done)


def _thumbnail(uri: str, read_asset: ReadBytes) -> Thumbnail | None:
    try:
        return encode_thumbnail(read_thumbnail(read_asset(uri)), *_THUMBNAIL)
    except Exception:  # a page for people must not fail on one picture
        return None


def _listed(counts: Mapping[str, int]) -> str:
    names = [f"{shorten(name, 60)} ({count:,})" for name, count in list(counts.items())[:_MOST_NAMES]]
    more = len(counts) - len(names)
    return ", ".join(names) + (f" and {more:,} more" if more else "")
