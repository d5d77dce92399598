"""Section ``stages``: the budget of a photo by stage, and by py-spy where the interpreter's lock is held."""

from __future__ import annotations

import collections
import re
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path

from tests.benchmarks.bench import Bench
from tests.benchmarks.looping import ONE_WORKER
from tests.benchmarks.processes import run_job
from tests.benchmarks.results import Section, markdown_table

_RATE = 100  # samples a second
_SHOWN = 25
_BUNDLE = "DataInputOperation.process_encoded"
_OURS = re.compile(r"(?:^|\()(?:.*/)?((?:transforms|pipeline|models)/[\w/]+\.py)")
_FRAMES_OF_NO_STAGE = ("_PhotoDoFn", "_ReadDoFn")

Stack = tuple[list[str], int]


def read_stacks(path: Path) -> list[Stack]:
    """Reads py-spy's raw format: a stack of frames, outermost first, and how often it was seen, by line."""
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    return [(stack.split(";"), int(count)) for stack, _, count in (line.rpartition(" ") for line in lines)]


def by_function(stacks: Iterable[Stack]) -> dict[str, int]:
    """Returns samples inside of Beam's bundles by our outermost function there; ``Beam`` where there is none."""
    seen: collections.Counter[str] = collections.Counter()
    for frames, count in stacks:
        start = next((n for n, frame in enumerate(frames) if frame.startswith(_BUNDLE)), None)
        if start is None:
            continue
        ours = [f for f in frames[start:] if _is_ours(f) and not f.startswith(_FRAMES_OF_NO_STAGE)]
        seen[_named(ours[0]) if ours else "Beam"] += count
    return dict(seen.most_common())


def by_line(stacks: Iterable[Stack]) -> dict[str, int]:
    """Returns samples inside of bundles by our innermost line."""
    seen: collections.Counter[str] = collections.Counter()
    for frames, count in stacks:
        start = next((n for n, frame in enumerate(frames) if frame.startswith(_BUNDLE)), None)
        ours = [] if start is None else [frame for frame in frames[start:] if _is_ours(frame)]
        if ours:
            seen[ours[-1]] += count
    return dict(seen.most_common())


def _is_ours(frame: str) -> bool:
    return bool(_OURS.search(frame)) and "site-packages" not in frame and "apache_beam" not in frame


def _named(frame: str) -> str:
    return frame.rpartition(":")[0].replace(" (", ", ").rstrip(")")


def stages_section(bench: Bench) -> Section:
    """Profiles a run of one worker, once for time and once for the interpreter's lock."""
    py_spy = shutil.which("py-spy", path=str(Path(sys.executable).parent)) or shutil.which("py-spy")
    if py_spy is None:
        raise RuntimeError("py-spy is missing; install the extra: pip install -c constraints.txt -e '.[bench]'")
    count = bench.sizes.loop * 2
    photos = bench.catalogue(count)
    plain = run_job(photos, bench.scratch("stages"), *ONE_WORKER)
    stacks = {}
    for name, flags in (("time", ()), ("lock", ("--gil",))):
        raw = bench.scratch(f"py-spy-{name}") / "stacks.txt"
        record = [py_spy, "record", "--rate", str(_RATE), "--format", "raw", *flags, "--output", str(raw), "--"]
        run_job(photos, bench.scratch(f"profiled-{name}"), *ONE_WORKER, prefix=record)
        stacks[name] = read_stacks(raw)
    time, lock = by_function(stacks["time"]), by_function(stacks["lock"])
    total, locked = sum(time.values()), sum(lock.values())
    rows = [
        (name, f"{samples / total:.1%}", f"{lock.get(name, 0) / max(locked, 1):.1%}")
        for name, samples in time.items()
        if samples > total / 500
    ]
    spent = plain.run["stages"]
    budget = [(name, f"{ms:.1f}", f"{ms / sum(spent.values()):.0%}") for name, ms in spent.items()]
    budget.append(("all", f"{sum(spent.values()):.1f}", ""))
    lines = [(name, f"{n / total:.1%}") for name, n in list(by_line(stacks["time"]).items())[:_SHOWN]]
    text = "\n\n".join(
        [
            f"{count} photos, one worker, the model on one thread. By run.json:",
            markdown_table(("stage", "ms a photo", "share"), budget),
            f"By py-spy, {_RATE} samples a second, of the time inside Beam's bundles, the report among it; *lock*: of "
            f"the samples in which the interpreter's lock was held there, {locked / max(total, 1):.0%} as many:",
            markdown_table(("function", "time", "lock"), rows),
            "The lines of ours that took longest, whatever they call:",
            markdown_table(("line", "time"), lines),
        ]
    )
    figures = {"photos": count, "stages": spent, "time": time, "lock": lock, "usage": vars(plain.usage)}
    return Section("stages", "Where the time goes", text, figures)
