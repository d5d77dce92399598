"""The figures of colour normalisation as Markdown tables."""

from __future__ import annotations

import collections
from collections.abc import Callable, Sequence

import numpy as np

from pipeline.evaluation import colour_scores as figures
from pipeline.evaluation.colour_cases import (
    AS_IT_IS,
    COLOURED,
    MADE_COLOURED,
    MADE_NEUTRAL,
    NEUTRAL,
    PALE,
    UNDER_A_CAST,
)
from pipeline.evaluation.colour_methods import TOLD
from pipeline.evaluation.colour_scores import ColourScore, interval, mean, percentile95
from pipeline.evaluation.tables import markdown_table

Scores = dict[str, list[ColourScore]]

_HEAD = ("acted", "reproduction error", "95th percentile", "angular error", "product dE00", "worse by > 1 dE00")
_Statistic = tuple[str, Callable[[np.ndarray, np.ndarray], float], float, str]  # figure, of what, scale, unit
_ACTED: _Statistic = (figures.ACTED, mean, 100, "%")
_ERROR: _Statistic = (figures.REPRODUCTION, mean, 1, "")
_ERROR95: _Statistic = (figures.REPRODUCTION, percentile95, 1, "")
_PRODUCT: _Statistic = (figures.DELTA_E, mean, 1, "")
_WORSE: _Statistic = (figures.WORSE, mean, 100, "%")
_CELLS = (_ACTED, _ERROR, _ERROR95, (figures.RECOVERY, mean, 1, ""), _PRODUCT, _WORSE)


def colour_tables(name: str, scores: Scores, main: str) -> str:
    """Returns the tables of a set: under a cast by method, then as the camera left it, then why nothing was done.

    Args:
      name: of the set.
      scores: by method.
      main: the job's own method; its figures are also given over the photos it acted on.
    """
    parts = []
    for way in (UNDER_A_CAST, AS_IT_IS):
        chosen = {method: [s for s in of_method if way in s.slices] for method, of_method in scores.items()}
        if not chosen[main]:
            continue
        rows = [[method, *_cells(of_method)] for method, of_method in chosen.items()]
        acted = [s for s in chosen[main] if s.figures[figures.ACTED]]
        if way == UNDER_A_CAST and 0 < len(acted) < len(chosen[main]):
            alike = {s.id for s in acted}
            rows.insert(1, [f"{main}, where it acts ({len(acted)})", *_cells(acted)])
            rows += [
                [f"{method}, on the same {len(acted)}", *_cells([s for s in of_method if s.id in alike])]
                for method, of_method in chosen.items()
                if method != main
            ]
        groups = len({s.group for s in chosen[main]})
        parts.append(f"## {name.capitalize()}, {way}: {len(chosen[main])} photos of {groups} groups")
        parts.append(markdown_table(["method", *_HEAD], rows))
        if reasons := collections.Counter(s.abstention for s in chosen[main] if s.abstention):
            told = ", ".join(f"{reason} {count}" for reason, count in reasons.most_common())
            parts.append(f"Why {main} abstained: {told}.")
    return "\n\n".join(parts)


def _cells(scores: Sequence[ColourScore]) -> list[str]:
    return [_cell(scores, statistic) for statistic in _CELLS]


def _cell(scores: Sequence[ColourScore], statistic: _Statistic) -> str:
    figure, of_what, scale, unit = statistic
    found = interval(scores, figure, of_what)
    if found is None:
        return "-"
    value, low, high = (scale * number for number in (found.value, found.low, found.high))
    digits = 1 if unit else 2
    return f"{value:.{digits}f}{unit} ({low:.{digits}f}-{high:.{digits}f})"


def bars_table(scores: dict[str, Scores], main: str) -> str:
    """Returns the bars of the release and what was reached.

    Args:
      scores: by set and method.
      main: the job's own method.
    """

    def of(name: str, way: str | None = None) -> list[ColourScore]:
        return [s for s in scores.get(name, {}).get(main, []) if way is None or way in s.slices]

    cast = [*of(NEUTRAL, UNDER_A_CAST), *of(MADE_NEUTRAL, UNDER_A_CAST)]
    acted = [s for s in cast if s.figures[figures.ACTED]]
    both = [s for name in (NEUTRAL, MADE_NEUTRAL) for s in scores.get(name, {}).get(TOLD, [])]
    told = [s for s in both if UNDER_A_CAST in s.slices]
    coloured = [*of(COLOURED), *of(MADE_COLOURED)]
    everything = [s for of_set in scores.values() for s in of_set.get(main, [])]
    judged = [s for s in everything if s.set != PALE]
    lines: list[tuple[str, str, list[ColourScore], _Statistic]] = [
        ("neutral, cast: mean reproduction error, where it acts", "1.0 (aim .5)", acted, _ERROR),
        ("the same, abstentions counted as they are", "1.0 (aim .5)", cast, _ERROR),
        ("neutral, cast: 95th percentile, where it acts", "2.0 (aim 1.0)", acted, _ERROR95),
        ("the same, abstentions counted as they are", "2.0 (aim 1.0)", cast, _ERROR95),
        ("neutral, cast: product dE00 against the truth, where it acts", "2.0 (aim 1.0)", acted, _PRODUCT),
        ("the same, abstentions counted as they are", "2.0 (aim 1.0)", cast, _PRODUCT),
        ("the same, the drawn change of exposure counted too", "-", cast, (figures.DELTA_E_FULL, mean, 1, "")),
        ("neutral, cast: acts on", "-", cast, _ACTED),
        ("coloured: acts on, wrongly", "5 % (aim 1 %)", coloured, _ACTED),
        ("pale: acts on", "-", of(PALE), _ACTED),
        ("made worse by > 1 dE00, all but pale", "1 % (aim .2 %)", judged, _WORSE),
        ("made worse by > 1 dE00, pale too", "1 % (aim .2 %)", everything, _WORSE),
    ]
    lines += [
        (f"--neutral_backdrop: {text}", bar, told, statistic)
        for text, bar, statistic in (
            ("neutral, cast: mean reproduction error, abstentions counted", "1.0 (aim .5)", _ERROR),
            ("95th percentile, abstentions counted", "2.0 (aim 1.0)", _ERROR95),
            ("product dE00 against the truth, abstentions counted", "2.0 (aim 1.0)", _PRODUCT),
            ("acts on", "-", _ACTED),
        )
    ]
    rows = [[text, bar, str(len(chosen)), _cell(chosen, statistic)] for text, bar, chosen, statistic in lines if chosen]
    return f"## Bars\n\n{markdown_table(['figure', 'bar', 'photos', 'reached (95 %)'], rows)}"
