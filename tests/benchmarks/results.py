"""What a section found, and how it gets into ``docs/BENCHMARKS.md`` and ``build/bench``."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

_BARS_HEAD = ("what", "measured", "at least", "aim", "how")


@dataclasses.dataclass(frozen=True)
class Bar:
    """A figure that has to reach something.

    Attributes:
      what: names it, in the table of all bars; unique.
      value: measured.
      least, aim: what it must and should reach.
      most: whether ``least`` and ``aim`` are the most it may be, rather than the least.
      how: sizes and circumstances, in a few words.
      unit: behind the number.
    """

    what: str
    value: float
    least: float
    aim: float
    how: str
    most: bool = False
    unit: str = ""

    def row(self) -> list[str]:
        """Returns the cells of its row, those of ``_BARS_HEAD``."""
        sign = "≤ " if self.most else "≥ "
        missed = self.value > self.least if self.most else self.value < self.least
        reached = self.value <= self.aim if self.most else self.value >= self.aim
        verdict = "missed" if missed else "aim reached" if reached else "met"
        limits = [f"{sign}{limit:g}{self.unit}" for limit in (self.least, self.aim)]
        return [self.what, f"{self.value:.3g}{self.unit}, {verdict}", *limits, self.how]


@dataclasses.dataclass(frozen=True)
class Section:
    """What one section found.

    Attributes:
      key: its name on the command line.
      title: its heading.
      text: Markdown: tables and what is to be said of them.
      figures: the numbers, as JSON can hold them.
      bars: those of the figures that have to reach something.
    """

    key: str
    title: str
    text: str
    figures: dict[str, Any]
    bars: tuple[Bar, ...] = ()


def markdown_table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Returns a table in Markdown; every column but the first is set to the right."""
    lines = [head, ["---", *["--:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def save_section(section: Section, circumstances: dict[str, Any], folder: Path) -> None:
    """Writes a section's figures to ``<key>.json``."""
    folder.mkdir(parents=True, exist_ok=True)
    bars = [dataclasses.asdict(bar) for bar in section.bars]
    content = {"circumstances": circumstances, "bars": bars, **section.figures}
    (folder / f"{section.key}.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def update_page(page: str, sections: Sequence[Section], said: str) -> str:
    """Returns a page with the sections' parts put in.

    A part stands between ``<!-- bench: KEY -->`` and ``<!-- end: KEY -->``; the table of all bars is the part
    ``bars``, of which the rows that were not measured now stay.

    Args:
      page: Markdown with those marks.
      sections: what was found.
      said: the command and where it ran; put under each heading.

    Raises:
      ValueError: a part's marks are missing.
    """
    for section in sections:
        page = _replaced(page, section.key, f"### {section.title}\n\n{said}\n\n{section.text}")
    rows = {row[0]: row for row in _rows(_part(page, "bars"))}
    rows.update((bar.what, bar.row()) for section in sections for bar in section.bars)
    return _replaced(page, "bars", markdown_table(_BARS_HEAD, list(rows.values())))


def _marks(key: str) -> tuple[str, str]:
    return f"<!-- bench: {key} -->", f"<!-- end: {key} -->"


def _part(page: str, key: str) -> str:
    start, end = _marks(key)
    if page.count(start) != 1 or page.count(end) != 1:
        raise ValueError(f"the page should have one part between {start!r} and {end!r}")
    return page.partition(start)[2].partition(end)[0]


def _replaced(page: str, key: str, text: str) -> str:
    start, end = _marks(key)
    return page.replace(f"{start}{_part(page, key)}{end}", f"{start}\n{text}\n{end}")


def _rows(table: str) -> list[list[str]]:
    """Returns the cells of a table's rows, without head and rule."""
    lines = [line.strip() for line in table.splitlines() if line.strip().startswith("|")]
    return [re.split(r"\s*\|\s*", line.strip("| ")) for line in lines[2:]]
