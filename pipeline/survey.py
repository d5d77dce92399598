"""What a run would find if it were started now: every photo's bytes are read and compared, and none is decoded."""

from __future__ import annotations

import collections
import concurrent.futures
import dataclasses
import functools
import json
from collections.abc import Callable

from pipeline.duplicates import Fetch, identify
from pipeline.planning import RunPlan
from pipeline.records import Rejection
from pipeline.refresh import classify
from pipeline.sinks import storage
from pipeline.sources.fetch import fetch_photo
from pipeline.sources.items import PlannedItem
from pipeline.sources.read import read_photos
from transforms.reasons import PhotoError

_READ_AT_ONCE = 8
_RUNS_LOOKED_AT = 10
_ENOUGH = 100  # photos worked on, for a run's rate to mean something


@dataclasses.dataclass(frozen=True)
class Survey:
    """What a run would do.

    Attributes:
      new, changed: photos that it would work on.
      unchanged: photos whose rows it would carry over.
      duplicate: photos that would take over the pictures of another one of the same bytes.
      unreadable: photos that cannot be read; they would be rejected.
      removed: ids of the last run that the input has no longer.
      remote: of the new and changed ones, those that are named by a URI; their bytes are not read for this.
      asked: of the unchanged ones, those that are named by a URI, of which only the run asks whether they changed.
      bytes: of the photos that were read and are new or changed.
      rate: images/s of the last run that worked on enough photos, None where there is none.
    """

    new: int = 0
    changed: int = 0
    unchanged: int = 0
    duplicate: int = 0
    unreadable: int = 0
    removed: int = 0
    remote: int = 0
    asked: int = 0
    bytes: int = 0
    rate: float | None = None

    @property
    def seconds(self) -> float | None:
        """How long the run would take, or None where no rate is known."""
        return (self.new + self.changed) / self.rate if self.rate else None


def survey(plan: RunPlan) -> Survey:
    """Reads the photos that a run would look at, and says what it would do with each.

    Args:
      plan: of the run.

    Raises:
      storage.StorageError: the output folder cannot be read.
    """
    config = plan.config
    fetch = functools.partial(
        fetch_photo,
        max_bytes=config.max_bytes,
        timeout=config.fetch_timeout,
        retries=config.fetch_retries,
        allow_private_hosts=config.allow_private_hosts,
        verify_content=config.verify_content,
    )
    pictures = plan.pictures()
    look = functools.partial(_look, plan, fetch, None if pictures is None else pictures.find)
    counts: collections.Counter[str] = collections.Counter(unchanged=len(plan.refresh.unmoved))
    groups: dict[bytes, list[tuple[str, str, int]]] = collections.defaultdict(list)  # id, refresh, bytes by key
    with concurrent.futures.ThreadPoolExecutor(_READ_AT_ONCE) as pool:
        for found, keys in pool.map(look, plan.refresh.items):
            counts.update(found)
            for key, photo in keys:
                groups[key].append(photo)
    for members in groups.values():
        (_, refresh, size), *others = sorted(members)
        counts[refresh] += 1
        counts["bytes"] += max(size, 0)
        counts["remote"] += size < 0
        counts["duplicate"] += len(others)
    rate = last_rate(config.output, plan.expected_latest)
    return Survey(**counts, removed=len(plan.refresh.removed), rate=rate)


def last_rate(output: str, run: str | None) -> float | None:
    """Returns the images/s of the latest run that worked on enough photos for it to mean something.

    Args:
      output: the output folder.
      run: the last committed run, None before the first.

    Returns:
      Of the last few runs: the rate of the first that worked on 100 photos, else of the one that worked on most;
      None where none worked on any.
    """
    most, rate = 0, None
    for _ in range(_RUNS_LOOKED_AT):
        if run is None:
            break
        try:
            told = json.loads(storage.read_bytes(storage.join(output, "runs", run, "run.json")))
        except FileNotFoundError:  # pruned
            break
        worked = told["ready"] + told["review"] + told["rejected"] - told["unchanged"] - told["duplicate"]
        if worked > most and told["images_per_second"]:
            most, rate = worked, told["images_per_second"]
        if most >= _ENOUGH:
            break
        run = told["previous_run"]
    return rate


def describe_survey(found: Survey) -> str:
    """Returns a survey in words, for a person."""
    lines = [
        f"found     {found.new:,} new, {found.changed:,} changed, {found.unchanged:,} unchanged, "
        f"{found.duplicate:,} duplicate, {found.unreadable:,} unreadable, {found.removed:,} removed"
    ]
    if found.remote or found.asked:
        lines.append(f"          not fetched for this: {found.remote:,} new or changed, {found.asked:,} known")
    lines.append(f"to read   {found.bytes / 1e6:,.1f} MB in {found.new + found.changed - found.remote:,} photos")
    if found.seconds is None:
        lines.append("time      not known: no earlier run")
    else:
        lines.append(f"time      about {_duration(found.seconds)}, at the last run's {found.rate:.1f} images/s")
    return "\n".join(lines)


def _look(
    plan: RunPlan, fetch: Fetch, find: Callable[[str], tuple[str, int] | None] | None, planned: PlannedItem
) -> tuple[collections.Counter[str], list[tuple[bytes, tuple[str, str, int]]]]:
    """Returns counts of what is settled by itself, and of the other photos (key, (id, refresh, bytes or -1))."""
    counts: collections.Counter[str] = collections.Counter()
    keys: list[tuple[bytes, tuple[str, str, int]]] = []
    for photo in read_photos(planned, plan.options):
        if isinstance(photo, Rejection):
            counts["unreadable"] += 1
            continue
        try:
            photo, key = identify(photo, plan.options, fetch)
        except PhotoError:
            counts["unreadable"] += 1
            continue
        read = photo.source_sha256 is not None
        if key is None:
            counts["unchanged"] += 1
            counts["asked"] += not read
        elif read and find is not None and find(str(photo.source_sha256)) is not None:
            counts["duplicate"] += 1
        else:
            refresh = classify(photo.source_sha256 or "", photo.known)
            size = -1 if photo.content is None else len(photo.content)
            keys.append((key, (photo.id, refresh, size)))
    return counts, keys


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
