"""Inline SVG: a histogram and a bar. Colours come from the page's style sheet by class."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from markupsafe import Markup, escape

_WIDTH, _HEIGHT = 360, 170
_LEFT, _RIGHT, _TOP, _BOTTOM = 34, 10, 12, 26
_LEAST_BAR = 1.5  # pixels; a bin of one photo must still be seen beside one of a million


def histogram(
    series: Mapping[str, np.ndarray], *, low: float, high: float, bins: int, title: str, open_end: bool = False
) -> Markup:
    """Draws stacked counts over a range.

    Args:
      series: float arrays by name, stacked in this order; NaN is left out.
      low, high: the range; values outside count to the first or last bin.
      bins: number of bins.
      title: what is counted, for screen readers.
      open_end: whether the last bin holds all above ``high``; its label then says so.

    Returns:
      An ``<svg>`` element; bars of the i-th series have the class ``series-i``.
    """
    edges = np.linspace(low, high, bins + 1)
    counts = []
    for values in series.values():
        values = np.asarray(values, np.float64)
        counts.append(np.histogram(np.clip(values[~np.isnan(values)], low, high), edges)[0])
    stacked = np.sum(counts, axis=0)
    ceiling = nice_ceiling(int(stacked.max(initial=0)))
    plot_width, plot_height = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM
    base = _TOP + plot_height
    parts = [
        f'<svg class="chart" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(title)}">',
    ]
    for share in (0.5, 1.0):
        y = _number(base - share * plot_height)
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y}" y2="{y}"/>')
        if share * ceiling == int(share * ceiling):
            label = compact(int(share * ceiling))
            parts.append(f'<text class="tick" x="{_LEFT - 5}" y="{y}" dy=".32em" text-anchor="end">{label}</text>')
    step = plot_width / bins
    for position in range(bins):
        x = _LEFT + position * step
        above = open_end and position == bins - 1
        end = "" if above else f" to {_label(edges[position + 1])}"
        told = ", ".join(f"{int(count[position]):,} {escape(name)}" for name, count in zip(series, counts, strict=True))
        top = float(base)
        bars = []
        for number, count in enumerate(counts):
            if count[position]:
                height = max(_LEAST_BAR, plot_height * int(count[position]) / ceiling)
                top -= height
                bars.append(
                    f'<rect class="series-{number}" x="{_number(x + 0.75)}" y="{_number(top)}" '
                    f'width="{_number(step - 1.5)}" height="{_number(height)}"/>'
                )
        if bars:
            start = f"{_label(edges[position])}{' and above' if above else end}"
            parts.append(f"<g><title>{start}: {told}</title>{''.join(bars)}</g>")
    parts.append(f'<line class="axis" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{base}" y2="{base}"/>')
    for share in (0.0, 0.5, 1.0):
        anchor = {0.0: "start", 0.5: "middle", 1.0: "end"}[share]
        label = _label(low + share * (high - low)) + ("+" if open_end and share == 1.0 else "")
        centre = _number(_LEFT + share * plot_width)
        parts.append(f'<text class="tick" x="{centre}" y="{base + 16}" text-anchor="{anchor}">{label}</text>')
    parts.append("</svg>")
    return Markup("".join(parts))


def bar(shares: Mapping[str, float], *, label: str = "") -> Markup:
    """Draws parts of a whole as one horizontal bar.

    Args:
      shares: fractions 0..1 by the class that colours them, from left to right.
      label: what it shows, for screen readers; empty where the numbers stand beside it.

    Returns:
      An ``<svg>`` element that stretches to its place.
    """
    hidden = f'role="img" aria-label="{escape(label)}"' if label else 'aria-hidden="true"'
    parts = [f'<svg class="bar" viewBox="0 0 100 1" preserveAspectRatio="none" {hidden}>']
    x = 0.0
    for name, share in shares.items():
        width = 100 * min(max(share, 0.0), 1.0)
        if width:
            parts.append(f'<rect class="{escape(name)}" x="{_number(x)}" width="{_number(width)}" height="1"/>')
        x += width
    parts.append("</svg>")
    return Markup("".join(parts))


def nice_ceiling(count: int) -> int:
    """Returns the smallest round number that is not below a count: an axis' upper end, even from 2 on."""
    if count <= 2:
        return max(count, 1)
    magnitude = 10 ** max(1, int(math.log10(count)))
    if count <= 10:
        return count + count % 2
    tenths = next(step for step in (10, 12, 16, 20, 24, 30, 40, 50, 60, 80, 100) if step * magnitude >= 10 * count)
    return tenths * magnitude // 10


def compact(count: int) -> str:
    """Returns a count in at most four characters or so: 950, 1.2k, 34k, 5M."""
    for size, unit in ((1_000_000, "M"), (1_000, "k")):
        if count >= size:
            return f"{count / size:.1f}".removesuffix(".0") + unit if count < 10 * size else f"{count // size}{unit}"
    return str(count)


def _label(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")


def _number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")
