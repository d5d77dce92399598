"""What the trainings with and without generated pictures say, as tables and as a list of categories to enable."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import yaml

from models.articles import DEVELOPMENT, TEST, Articles
from models.metrics.paired import t_interval, two_way_interval
from pipeline.evaluation.tables import markdown_table

if TYPE_CHECKING:
    from pipeline.evaluation.augmentation_gain import Training

ALL = "all"
_LEAST_PHOTOS, _LEAST_GROUPS = 5, 3  # of a category, to say anything about it


@dataclasses.dataclass(frozen=True)
class Gain:
    """What generated pictures bring, of one size, category and held-out split.

    Attributes:
      size: real pictures a category.
      category: its name, or ``all``.
      split: the held-out split.
      photos: of it.
      without, difference: accuracy without generated pictures, and how much more with them; means over the seeds.
      low, high: 95 % interval over seeds and sellers, by the bootstrap.
      t_low, t_high: 95 % interval over the seeds, by Student's t.
    """

    size: int
    category: str
    split: str
    photos: int
    without: float
    difference: float
    low: float
    high: float
    t_low: float
    t_high: float

    @property
    def proved(self) -> bool:
        """Whether both lower bounds are above zero."""
        return self.low > 0 and self.t_low > 0


def gains(trainings: Sequence[Training], sets: dict[str, Articles]) -> list[Gain]:
    """Measures the difference for each size, split and category with at least five photos of three sellers."""
    found = []
    for size in sorted({training.size for training in trainings}):
        for split in (DEVELOPMENT, TEST):
            arms = {arm: _right(trainings, size, arm, split) for arm in ("without", "with")}
            articles = sets[split]
            parts = {ALL: np.arange(len(articles))}
            for number, name in enumerate(articles.category_names):
                parts[name] = np.flatnonzero(articles.categories == number)
            for name, part in parts.items():
                if len(part) >= _LEAST_PHOTOS and len(set(articles.groups[part])) >= _LEAST_GROUPS:
                    found.append(_gain(size, name, split, arms, part, articles.groups))
    return found


def _right(trainings: Sequence[Training], size: int, arm: str, split: str) -> np.ndarray:
    """Returns float (seeds, photos), 1 where a photo was told right."""
    chosen = sorted((t for t in trainings if (t.size, t.arm) == (size, arm)), key=lambda t: t.seed)
    return np.array([[int(hit) for hit in training.right[split]] for training in chosen], float)


def _gain(size: int, name: str, split: str, arms: dict[str, np.ndarray], part: np.ndarray, groups: np.ndarray) -> Gain:
    without, differences = arms["without"][:, part], arms["with"][:, part] - arms["without"][:, part]
    bounds = two_way_interval(differences, groups[part]) + t_interval(differences.mean(axis=1))
    return Gain(size, name, split, len(part), float(without.mean()), float(differences.mean()), *bounds)


def decision(trainings: Sequence[Training], sets: dict[str, Articles], *, decide_at: int) -> tuple[list[Gain], str]:
    """Says which categories an augmentation plan may generate.

    Decided on development sellers, so that the figures of test sellers stay what they are: not chosen by.

    Args:
      trainings: all of one setting.
      sets: the real articles by split.
      decide_at: which size decides.

    Returns:
      All figures, and YAML: ``{category: {difference, low, high, enabled}}``. The bounds are the wider of both
      intervals of development; a category with too few photos to say is not enabled, and its figures are null.
    """
    figures = gains(trainings, sets)
    by_name = {f.category: f for f in figures if f.size == decide_at and f.split == DEVELOPMENT}
    enabled: dict[str, dict[str, float | bool | None]] = {}
    for name in sets[DEVELOPMENT].category_names:
        if figure := by_name.get(name):
            enabled[name] = {
                "difference": round(figure.difference, 4),
                "low": round(min(figure.low, figure.t_low), 4),
                "high": round(max(figure.high, figure.t_high), 4),
                "enabled": figure.proved,
            }
        else:
            enabled[name] = {"difference": None, "low": None, "high": None, "enabled": False}
    return figures, yaml.safe_dump(enabled, sort_keys=True)


def describe(figures: Sequence[Gain], *, generator: str, decide_at: int) -> str:
    """Returns the tables: all sizes on both splits, then the categories at the size that decides."""
    whole = [figure for figure in figures if figure.category == ALL]
    head = ["split", "real a category", "photos", "without", "difference", "95 % over seeds and sellers", "over seeds"]
    tables = [
        f"# What generated pictures bring: {generator}",
        markdown_table(head, [[f.split, *_cells(f)] for f in sorted(whole, key=lambda f: (f.split, f.size))]),
    ]
    parts = [f for f in figures if f.category != ALL and f.size == decide_at and f.split == DEVELOPMENT]
    rows = [[f.category, *_cells(f)[1:], "yes" if f.proved else "no"] for f in parts]
    head = ["category", "photos", "without", "difference", "95 % over seeds and sellers", "over seeds", "enabled"]
    by_chance = 0.025 * len(parts)
    tables.append(
        f"## By category at {decide_at} real pictures, development sellers\n\n{markdown_table(head, rows)}\n\n"
        f"Enabled where both lower bounds are above zero; by chance {by_chance:.1f} of {len(parts)} would be."
    )
    return "\n\n".join(tables)


def _cells(figure: Gain) -> list[str]:
    return [
        f"{figure.size}",
        f"{figure.photos:,}",
        f"{figure.without:.1%}",
        f"{100 * figure.difference:+.1f}",
        f"{100 * figure.low:+.1f} to {100 * figure.high:+.1f}",
        f"{100 * figure.t_low:+.1f} to {100 * figure.t_high:+.1f}",
    ]
