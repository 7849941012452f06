"""Plots as SVG text: a histogram of two samples, their distribution functions, and the shares of categories."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np

from orchestrator.runtime.monitoring.documents import Feature
from orchestrator.runtime.monitoring.sketch import Distribution, Numbers, ks_distance

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 420, 200, 44, 24, 10
BINS = 40
BARS = 8
FAR = 0.002
"""Plots show all but this share of the values at each end."""


def _x(values: Numbers, low: float, high: float, width: float, left: float) -> Numbers:
    return left + (values - low) / (high - low) * (width - left - 8)


def _range(first: Distribution, second: Distribution) -> tuple[float, float]:
    """The values to show: nearly all of both samples."""
    ends = np.concatenate([first.quantile([FAR, 1 - FAR]), second.quantile([FAR, 1 - FAR])])
    low, high = float(ends.min()), float(ends.max())
    if high <= low:
        margin = abs(low) * 0.05 or 1.0
        return low - margin, high + margin
    return low, high


def _number(value: float) -> str:
    return f"{value:.3g}" if abs(value) < 1e5 else f"{value:.2e}"


def _frame(body: str, low: float, high: float, top: float, title: str, *, percent: bool) -> str:
    """Axes with a few labels around the body."""
    base = HEIGHT - BOTTOM
    lines, labels = [], []
    for share in (0.0, 0.5, 1.0):
        y = base - share * (base - TOP)
        lines.append(f'<line x1="{LEFT}" x2="{WIDTH - 8}" y1="{y:.1f}" y2="{y:.1f}"/>')
        text = f"{share * top * 100:.0f}%" if percent and top * 50 >= 1 else f"{share * top * 100:.1f}%"
        labels.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{text}</text>')
    for share, anchor in ((0.0, "start"), (0.5, "middle"), (1.0, "end")):
        x = LEFT + share * (WIDTH - LEFT - 8)
        text = _number(low + share * (high - low))
        labels.append(f'<text x="{x:.1f}" y="{HEIGHT - 6}" text-anchor="{anchor}">{text}</text>')
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}"><title>{escape(title)}</title>'
        f'<g class="grid">{"".join(lines)}</g>{body}<g class="axis">{"".join(labels)}</g></svg>'
    )


def _steps(edges: Numbers, shares: Numbers, low: float, high: float, top: float, *, close: bool) -> str:
    base = HEIGHT - BOTTOM
    xs = _x(edges, low, high, WIDTH, LEFT)
    ys = base - shares / top * (base - TOP)
    points = [f"{x:.1f},{y:.1f}" for place, y in enumerate(ys) for x in (xs[place], xs[place + 1])]
    return " ".join([f"{xs[0]:.1f},{base}", *points, f"{xs[-1]:.1f},{base}"] if close else points)


def _edges(low: float, high: float, *, whole: bool) -> Numbers:
    """Even bins; for whole numbers each holds the same number of them, so that no bin stands out by its width."""
    if not whole or high - low > 1e9:
        return np.linspace(low, high, BINS + 1)
    step = max(1.0, float(np.ceil((high - low + 1) / BINS)))
    first = float(np.floor(low)) - 0.5
    return np.asarray(first + step * np.arange(int(np.ceil((high - first) / step)) + 1), dtype=np.float64)


def histogram(first: Distribution, second: Distribution, title: str, *, whole: bool = False) -> str:
    """Both samples in the same bins, as shares of their rows; ``whole`` when the baseline holds whole numbers."""
    edges = _edges(*_range(first, second), whole=whole)
    low, high = float(edges[0]), float(edges[-1])
    before, now = first.histogram(edges) / first.total, second.histogram(edges) / second.total
    top = float(max(before.max(), now.max())) or 1.0
    body = (
        f'<polygon class="base" points="{_steps(edges, before, low, high, top, close=True)}"/>'
        f'<polygon class="now-fill" points="{_steps(edges, now, low, high, top, close=True)}"/>'
        f'<polyline class="now" points="{_steps(edges, now, low, high, top, close=False)}"/>'
    )
    return _frame(body, low, high, top, title, percent=True)


def cumulative(first: Distribution, second: Distribution, title: str) -> str:
    """Both distribution functions, and where they are farthest apart."""
    low, high = _range(first, second)
    grid = np.linspace(low, high, 160)
    base = HEIGHT - BOTTOM

    def line(whole: Distribution, style: str) -> str:
        ys = base - whole.below(grid) / whole.total * (base - TOP)
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(_x(grid, low, high, WIDTH, LEFT), ys, strict=True))
        return f'<polyline class="{style}" points="{points}"/>'

    distance, place = ks_distance(first, second)
    body = line(first, "base-line") + line(second, "now")
    if low <= place <= high:
        x = float(_x(np.array([place]), low, high, WIDTH, LEFT)[0])
        ends = [base - float(w.below(np.array([place]))[0]) / w.total * (base - TOP) for w in (first, second)]
        anchor, beside = ("end", x - 7) if x > WIDTH * 0.6 else ("start", x + 7)
        body += (
            f'<line class="gap" x1="{x:.1f}" x2="{x:.1f}" y1="{ends[0]:.1f}" y2="{ends[1]:.1f}"/>'
            f'<text class="gap-text" x="{beside:.1f}" y="{sum(ends) / 2 + 4:.1f}" text-anchor="{anchor}">'
            f"{distance:.3f}</text>"
        )
    return _frame(body, low, high, 1.0, title, percent=True)


def bars(shares: Sequence[tuple[str, float, float]], title: str) -> str:
    """A pair of bars for each category: (label, baseline share, observed share)."""
    shown = shares[:BARS]
    top = max([max(before, now) for _, before, now in shown], default=1.0) or 1.0
    row, left = 34, 120
    height = row * len(shown) + 6
    parts = []
    for place, (label, before, now) in enumerate(shown):
        y = place * row + 6
        text = label if len(label) <= 16 else label[:15] + "…"
        parts.append(f'<text class="label" x="{left - 8}" y="{y + 17}" text-anchor="end">{escape(text)}</text>')
        for share, style, offset in ((before, "base", 0), (now, "now-bar", 13)):
            width = share / top * (WIDTH - left - 56)
            parts.append(f'<rect class="{style}" x="{left}" y="{y + offset}" width="{width:.1f}" height="11" rx="2"/>')
            parts.append(f'<text x="{left + width + 5:.1f}" y="{y + offset + 9.5}">{share:.1%}</text>')
    return (
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(title)}"><title>{escape(title)}</title>'
        f'<g class="axis">{"".join(parts)}</g></svg>'
    )


def category_shares(baseline: Feature, observed: Feature) -> list[tuple[str, float, float]]:
    """The shares of the categories of both samples, those that changed most first."""
    n, m = max(1, baseline.present), max(1, observed.present)
    labels = dict.fromkeys([*baseline.texts, *observed.texts])
    shares = [(label, baseline.texts.get(label, 0) / n, observed.texts.get(label, 0) / m) for label in labels]
    return sorted(shares, key=lambda each: (-abs(each[2] - each[1]), -each[1], each[0]))


def plots_of(baseline: Feature, observed: Feature) -> list[str]:
    """The plots that show how a feature differs from its baseline; none when there is nothing to draw."""
    if baseline.whole is not None and observed.whole is not None and baseline.whole.total and observed.whole.total:
        return [
            histogram(
                baseline.whole,
                observed.whole,
                f"{baseline.name}: share of rows by value",
                whole=baseline.kind == "Integral",
            ),
            cumulative(baseline.whole, observed.whole, f"{baseline.name}: share of rows up to each value"),
        ]
    if baseline.texts or observed.texts:
        return [bars(category_shares(baseline, observed), f"{baseline.name}: share of rows by category")]
    return []
