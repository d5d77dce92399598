"""The figures as Markdown tables."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from models.metrics import presence
from pipeline.evaluation.cases import ALL, COMPOSITES, EMPTY, HAND, HAND_COMPOSITES, RENDERED
from pipeline.evaluation.scores import WORST_TENTH, Score, Summary, slices_of, summarise
from transforms.matte import MatteThresholds
from transforms.reasons import ReviewReason

TITLES = {
    HAND: "Photos with hand-drawn masks",
    COMPOSITES: "Composites of held-out sources",
    HAND_COMPOSITES: "Composites of hand-drawn cut-outs",
    RENDERED: "Rendered photos",
    EMPTY: "Photos without a product",
}
_MASK_COLUMNS = {"iou": "mean IoU (95 %)", "boundary_iou": "boundary IoU (95 %)", "mae": "MAE", "max_f": "max-F",
                 "s_measure": "S", WORST_TENTH: "worst tenth IoU (95 %)"}  # fmt: skip
_SLICE_COLUMNS = _MASK_COLUMNS | {"boundary_iou": "boundary IoU", WORST_TENTH: "worst tenth IoU"}
_MATTE_COLUMNS = {"sad": "SAD", "mse": "MSE", "gradient": "gradient", "connectivity": "connectivity",
                  "edge_on_black": "edge on black (95 %)", "edge_on_green": "edge on green (95 %)"}  # fmt: skip
_THRESHOLDS = (0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99)
_SHARES = (0.95, 0.99)

Scores = dict[str, list[Score]]


def markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Lays out a table; the first column is text, the others are figures."""
    lines = [head, ["---", *["--:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _cell(found: Summary | None, column: str, digits: int) -> str:
    if found is None:
        return "-"
    value = f"{found.value:.{digits}f}"
    return f"{value} ({found.low:.{digits}f}-{found.high:.{digits}f})" if "95 %" in column else value


def _rows(scores: Scores, columns: dict[str, str], digits: int) -> list[list[str]]:
    rows = []
    for name, of_method in scores.items():
        found = [summarise(of_method, figure) for figure in columns]
        if any(found):
            rows.append([name, *(_cell(f, c, digits) for f, c in zip(found, columns.values(), strict=True))])
    return rows


def mask_tables(name: str, scores: Scores, main: str) -> str:
    """Returns the tables of a set of pictures with a product.

    Args:
      name: of the set.
      scores: of the set, by method.
      main: the method that is shown by slices.
    """
    parts = [f"## {TITLES[name]}: {len(scores[main])}"]
    parts.append(markdown_table(["method", *_MASK_COLUMNS.values()], _rows(scores, _MASK_COLUMNS, 3)))
    if matte_rows := _rows(scores, _MATTE_COLUMNS, 2):
        parts.append(markdown_table(["method", *_MATTE_COLUMNS.values()], matte_rows))
    edges = {"edge_on_black": "edge on black", "edge_on_green": "edge on green"}
    columns = _SLICE_COLUMNS | (edges if summarise(scores[main], "edge_on_black") else {})
    rows = []
    for part in slices_of(scores[main]):
        chosen = [s for s in scores[main] if part in s.slices]
        cells = [_cell(summarise(chosen, f), c, 2 if f in edges else 3) for f, c in columns.items()]
        rows.append([part, str(len(chosen)), *cells])
    parts.append(markdown_table([f"{main}, by slice", "pictures", *columns.values()], rows))
    return "\n\n".join(parts)


def empty_tables(scores: dict[str, Scores], methods: Sequence[str], main: str) -> str:
    """Returns the tables of what is flagged as showing no product, rightly and wrongly.

    Args:
      scores: by set and method; of the set ``EMPTY`` and of those with a product.
      methods: to be compared.
      main: the method shown by slices, and by thresholds of its presence.
    """
    rows = []
    for method in methods:
        for name, of_set in scores.items():
            of_method = of_set.get(method, [])
            for part in slices_of(of_method) if method == main and name == EMPTY else [ALL]:
                chosen = [s for s in of_method if part in s.slices]
                if chosen:
                    rows.append([method, f"{TITLES[name].lower()}, {part}", *_flag_cells(chosen)])
    head = ["method", "pictures of", "n", "no product", "or low presence (95 %)", "product seen, % of frame"]
    parts = [f"## Flagged as showing no product: {len(scores.get(EMPTY, {}).get(main, []))} without one"]
    parts.append(markdown_table(head, rows))
    if table := _threshold_table(scores, main):
        parts.append(table)
    return "\n\n".join(parts)


def _flag_cells(scores: Sequence[Score]) -> list[str]:
    empty = np.mean([ReviewReason.NO_PRODUCT in s.reasons for s in scores])
    flagged = [Score(s.id, s.set, s.group, (), None, (), {"flagged": 100.0 * s.flagged}) for s in scores]
    covered = summarise(scores, "coverage")
    seen = f"{100 * covered.value:.1f}" if covered else "-"
    return [str(len(scores)), f"{empty:.1%}", _cell(summarise(flagged, "flagged"), "95 %", 1), seen]


def _threshold_table(scores: dict[str, Scores], main: str) -> str | None:
    """Sets empty pictures against each set with a product; real photos are what a threshold is chosen by."""
    absent = _presences(scores.get(EMPTY, {}).get(main, []))
    real = _presences([s for s in scores.get(EMPTY, {}).get(main, []) if "crops of real photos" in s.slices])
    shown = {name: _presences(of_set[main]) for name, of_set in scores.items() if name != EMPTY and main in of_set}
    shown = {name: values for name, values in shown.items() if len(values)}
    if not len(absent) or not shown:
        return None
    columns = {"flagged, without a product": absent}
    if len(real):
        columns["of these, real crops"] = real
    marks = [(f"{t:g}", t) for t in _THRESHOLDS]
    for values, label in ((absent, "of all without"), (real, "of real crops")):
        if len(values):
            marks += [
                (f"{t:.4f} (flags {share:.0%} {label})", t)
                for share in _SHARES
                if (t := presence.least_threshold(values, share)) <= 1
            ]
    inert = np.zeros(0)
    outcomes = {
        **{n: presence.threshold_outcomes(inert, v, np.array([t for _, t in marks])) for n, v in columns.items()},
        **{n: presence.threshold_outcomes(v, inert, np.array([t for _, t in marks])) for n, v in shown.items()},
    }
    rows = []
    for index, (label, _) in enumerate(marks):
        shares = [
            outcomes[n][index].flagged_empty if n in columns else outcomes[n][index].flagged_product for n in outcomes
        ]
        rows.append([label, *(f"{share:.1%}" for share in shares)])
    head = ["presence below", *columns, *(f"wrongly, {TITLES[name].lower()}" for name in shown)]
    areas = ", ".join(f"{presence.area_under_curve(v, absent):.4f} ({TITLES[n].lower()})" for n, v in shown.items())
    thresholds = MatteThresholds()
    return (
        f"Presence of {main}: the job says no_product below {thresholds.no_product:g} and low_presence below "
        f"{thresholds.low_presence:g}. Area under the ROC curve: {areas}.\n\n{markdown_table(head, rows)}"
    )


def _presences(scores: Sequence[Score]) -> np.ndarray:
    return np.array([s.presence for s in scores if s.presence is not None])


def figures_of(scores: dict[str, Scores]) -> dict:
    """Returns everything for a JSON file: summaries by set, method, slice and figure, and every picture's figures."""
    summaries: dict = {}
    for name, of_set in scores.items():
        for method, of_method in of_set.items():
            for part in slices_of(of_method):
                chosen = [s for s in of_method if part in s.slices]
                figures = sorted({figure for s in chosen for figure in s.figures})
                figures += [WORST_TENTH] * ("iou" in figures)
                entry = {figure: vars(found) for figure in figures if (found := summarise(chosen, figure))}
                if any(s.presence is not None for s in chosen):
                    entry["flagged"] = {"value": float(np.mean([s.flagged for s in chosen])), "count": len(chosen)}
                summaries.setdefault(name, {}).setdefault(method, {})[part] = entry
    pictures = {
        name: {method: [vars(s) for s in of_method] for method, of_method in of_set.items()}
        for name, of_set in scores.items()
    }
    return {"summaries": summaries, "pictures": pictures}
