"""What is new, changed, unchanged or removed against the last committed run, found out by cheap columns of it."""

from __future__ import annotations

import dataclasses
import datetime
import re
import secrets
from collections.abc import Collection, Iterator
from typing import Literal

import numpy as np

from pipeline.previous import PreviousRows
from pipeline.records import KnownPhoto
from pipeline.sinks import storage
from pipeline.sinks.commit import LATEST, committed_run
from pipeline.sources.items import PlannedItem, WorkItem

_AT_ONCE = 65_536  # ids compared in one go
# Bytes of a row group that its pieces together may read; where it has very many photos, so many for each of them.
_READ_AGAIN, _READ_AGAIN_A_PHOTO = 512 << 20, 64 << 10
_SLICES = 64  # pieces that a run is cut into at least, if they have so many photos
_SMALLEST_SLICE, _LARGEST_SLICE = 16, 1000  # photos: a second of work, and a minute
RUN_NAME = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{6}")


def new_run_name(now: datetime.datetime) -> str:
    """Returns a run's name, like ``20261122T223000Z-3f9a1c``: sorts by time, and two are never equal.

    Args:
      now: with a time zone.
    """
    if now.tzinfo is None:
        raise ValueError(f"the time of a run needs a time zone, but {now!r} has none")
    return f"{now.astimezone(datetime.UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"


def latest_run(output: str) -> str | None:
    """Returns the name of the last committed run, or None before the first.

    Raises:
      ValueError: ``LATEST`` holds something else than a run's name.
    """
    run = committed_run(output)
    if run is not None and not RUN_NAME.fullmatch(run):
        raise ValueError(
            f"{storage.join(output, LATEST)!r} holds {run[:80]!r}, which is no run's name; restore the name "
            f"of a run under {storage.join(output, 'runs')!r}, or remove the file to start from nothing"
        )
    return run


@dataclasses.dataclass(frozen=True)
class RefreshPlan:
    """How the input stands to the last run, by what storage says without reading a photo.

    Attributes:
      items: what is to be read, without the photos that need no look.
      unmoved: int64 (n,), rows of the last run that stay as they are.
      new: photos to be read whose ids the last catalogue does not have: new ones, and those rejected last time.
      known: photos to be read whose ids it has; each is carried over unless its bytes, the configuration or the
        model changed.
      outdated: of those, how many will be done again whatever their bytes are.
      removed: int64 (n,), rows of the last run whose ids the input has no longer.
    """

    items: tuple[PlannedItem, ...]
    unmoved: np.ndarray
    new: int
    known: int
    outdated: int
    removed: np.ndarray


def plan_refresh(
    items: Collection[WorkItem],
    previous: PreviousRows,
    *,
    trust_storage: bool = True,
    only: frozenset[str] | None = None,
) -> RefreshPlan:
    """Compares the input with the last run.

    Args:
      items: the whole input; each id stands for one photo.
      previous: the last run's rows.
      trust_storage: whether a photo whose storage shows no change needs no look.
      only: pass over all photos but these; what the last run knows of others stays as it is.
    """
    planned: list[PlannedItem] = []
    unmoved: list[np.ndarray] = []
    new = known = outdated = 0
    seen = np.zeros(len(previous), bool)
    for group in _grouped(items):
        ids = [photo_id for item in group for photo_id in item.ids]
        positions = previous.positions(ids)
        seen[positions[positions >= 0]] = True
        stays = np.zeros(len(ids), bool)
        if only is not None:
            stays = np.fromiter((photo_id not in only for photo_id in ids), bool, len(ids))
        elif trust_storage and len(previous):
            places = [item.place(index) for item in group for index in range(len(item.ids))]
            versions = [item.version for item in group for _ in item.ids]
            stays = previous.unmoved(positions, places, versions)
        unmoved.append(positions[stays & (positions >= 0)])
        facts = previous.known(np.where(stays, -1, positions))
        new += int(np.count_nonzero(~stays & (positions < 0)))
        looked_at = positions[~stays & (positions >= 0)]
        known += len(looked_at)
        outdated += int(np.count_nonzero(~previous.current[looked_at]))
        end = 0
        for item in group:
            start, end = end, end + len(item.ids)
            if not stays[start:end].all():
                pairs = zip(item.ids, facts[start:end], strict=True)
                knowledge = {photo_id: fact for photo_id, fact in pairs if fact is not None}
                planned.append(PlannedItem(item, knowledge, tuple(np.flatnonzero(stays[start:end]).tolist())))
    rows = min(max(_SMALLEST_SLICE, -(-(new + known) // _SLICES)), _LARGEST_SLICE)
    planned = [piece for whole in planned for piece in sliced(whole, rows)]
    removed = np.flatnonzero(~seen)
    if only is not None:  # the rest of the last run stays, whether the input still has it or not
        unmoved.append(removed)
        removed = removed[:0]
    kept = np.sort(np.concatenate(unmoved)) if unmoved else np.zeros(0, np.int64)
    return RefreshPlan(tuple(planned), kept, new, known, outdated, removed)


def sliced(planned: PlannedItem, rows: int) -> Iterator[PlannedItem]:
    """Cuts a row group of many photos into pieces, so that a few large groups still keep many workers busy.

    Args:
      planned: the whole group.
      rows: photos of a piece, at most.

    Yields:
      Items of the same group, each of its own rows alone: were all to name all ids, those of a feed of a million
      photos would be named sixty-four million times. Every piece reads the group from its start; so a group of many
      bytes is cut into few, or left whole.
    """
    item = planned.item
    wanted = np.ones(len(item.ids), bool)
    wanted[list(planned.passed_over)] = False
    photos = int(np.count_nonzero(wanted))
    affordable = max(_READ_AGAIN, photos * _READ_AGAIN_A_PHOTO) // max(1, item.bytes)
    pieces = min(-(-photos // rows), max(1, affordable))
    if pieces <= 1:
        yield planned
        return
    for indices in np.array_split(np.flatnonzero(wanted), pieces):
        start, end = int(indices[0]), int(indices[-1]) + 1
        yield PlannedItem(
            dataclasses.replace(
                item, ids=item.ids[start:end], first_row=item.first_row + start, skipped=item.skipped + start
            ),
            {i: planned.known[i] for i in (item.ids[index] for index in indices.tolist()) if i in planned.known},
            tuple(np.flatnonzero(~wanted[start:end]).tolist()),
        )


def classify(photo_sha256: str, known: KnownPhoto | None) -> Literal["new", "changed", "unchanged"]:
    """Says what to do with a photo.

    Args:
      photo_sha256: of the encoded photo as it is now.
      known: what the last run knows of its id, or None.

    Returns:
      ``new`` for an id that is not known; ``unchanged`` where the bytes are those that the last run read and its
      pictures are current; else ``changed``.
    """
    if known is None:
        return "new"
    return "unchanged" if known.current and photo_sha256 == known.source_sha256 else "changed"


def _grouped(items: Collection[WorkItem]) -> Iterator[list[WorkItem]]:
    """Gathers items until there are enough ids to compare in one go."""
    group: list[WorkItem] = []
    size = 0
    for item in items:
        group.append(item)
        size += len(item.ids)
        if size >= _AT_ONCE:
            yield group
            group, size = [], 0
    if group:
        yield group
