"""What is different from the previous run: photo by photo, and in the configuration."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from pipeline.report.columns import STATUSES, find_ids, read_outcomes
from pipeline.sinks import storage

ABSENT = "absent"
EXAMPLES = 5

_OUTCOMES = (*STATUSES, ABSENT)
_MOST_SETTINGS = 30
_NOT_COMPARED = ("output", "full_refresh")


@dataclasses.dataclass(frozen=True)
class Move:
    """Photos that went from one outcome to another.

    Attributes:
      before, after: ``ready``, ``review``, ``rejected`` or ``absent``; never the same.
      count: photos.
      examples: some of their ids.
    """

    before: str
    after: str
    count: int
    examples: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Changes:
    """This run against the previous one.

    Attributes:
      run: name of the previous run.
      run_json: its counts.
      moves: by number of photos, largest first; None where its tables cannot be read any more.
      settings: what was configured otherwise: name, value then, value now.
    """

    run: str
    run_json: Mapping[str, Any]
    moves: tuple[Move, ...] | None
    settings: tuple[tuple[str, Any, Any], ...]


def compare(output: str, run: str, run_json: Mapping[str, Any], previous_run: str) -> Changes | None:
    """Compares a run with the one before.

    Args:
      output: the output folder that holds both.
      run: the run's name.
      run_json: its description.
      previous_run: the other run's name.

    Returns:
      The changes, or None where the previous run's description is gone or not readable.
    """
    try:
        before = json.loads(storage.read_bytes(storage.join(output, "runs", previous_run, "run.json")))
    except (OSError, ValueError, storage.StorageError):
        return None
    if not isinstance(before, dict):
        return None
    try:
        moves = _moves(output, run, previous_run)
    except (OSError, ValueError, KeyError, storage.StorageError):  # pruned, or of a release with other columns
        moves = None
    return Changes(previous_run, before, moves, tuple(_settings(before, run_json)))


def flatten(value: Any, name: str = "") -> dict[str, Any]:
    """Returns nested mappings as one, with dotted names."""
    if isinstance(value, Mapping) and value:
        return {
            k: v
            for key, inner in value.items()
            for k, v in flatten(inner, f"{name}.{key}" if name else str(key)).items()
        }
    return {name: value}


def _moves(output: str, run: str, previous_run: str) -> tuple[Move, ...]:
    old_ids, old = read_outcomes(output, previous_run)
    new_ids, new = read_outcomes(output, run)
    every = np.union1d(old_ids, new_ids)
    absent = len(STATUSES)
    then, now = np.full(len(every), absent, np.uint8), np.full(len(every), absent, np.uint8)
    then[np.searchsorted(every, old_ids)] = old
    now[np.searchsorted(every, new_ids)] = new
    groups = []
    for before in range(len(_OUTCOMES)):
        for after in range(len(_OUTCOMES)):
            members = every[(then == before) & (now == after)]
            if before != after and len(members):
                groups.append((before, after, len(members), [int(digest) for digest in members[:EXAMPLES]]))
    names = find_ids(output, run, [d for _, after, _, digests in groups if after != absent for d in digests])
    names |= find_ids(output, previous_run, [d for _, after, _, digests in groups if after == absent for d in digests])
    moves = [
        Move(_OUTCOMES[before], _OUTCOMES[after], count, tuple(sorted(names[digest] for digest in digests)))
        for before, after, count, digests in groups
    ]
    return tuple(sorted(moves, key=lambda move: (-move.count, move.before, move.after)))


def _settings(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    found = []
    for part in ("config", "model", "versions"):
        then, now = flatten(before.get(part) or {}, part), flatten(after.get(part) or {}, part)
        for name in sorted(then.keys() | now.keys()):
            if then.get(name) != now.get(name) and name.removeprefix("config.") not in _NOT_COMPARED:
                found.append((name.removeprefix("config."), then.get(name), now.get(name)))
    return found[:_MOST_SETTINGS]
