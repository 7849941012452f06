"""Plots of model quality as SVG text: metrics with their intervals, confusion matrices, curves, residuals."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from orchestrator.runtime.monitoring.quality.chance import wilson

WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT = 420, 300, 62, 38, 12, 12
LABELS = 10
"""So many labels of a confusion matrix are drawn, the most frequent ones."""
Point = tuple[float, float]
Matrix = Mapping[str, Mapping[str, int]]


def number(value: float | None) -> str:
    """A number as the page shows it."""
    if value is None:
        return "–"
    return f"{value:.4g}" if abs(value) < 1e5 else f"{value:.3e}"


def tick(value: float) -> str:
    """A number on an axis."""
    return "0" if abs(value) < 1e-12 else f"{value:.3g}"


def svg(width: float, height: float, title: str, body: str) -> str:
    """A plot with a title for those who cannot see it."""
    text = escape(title)
    return (
        f'<svg viewBox="0 0 {width:.0f} {height:.0f}" role="img" aria-label="{text}"><title>{text}</title>{body}</svg>'
    )


@dataclass(frozen=True, slots=True)
class Axes:
    """A rectangle in which values lie: x from ``left`` to ``right``, y from ``low`` to ``high``."""

    left: float = 0.0
    right: float = 1.0
    low: float = 0.0
    high: float = 1.0

    def at(self, x: float, y: float) -> Point:
        """Where a value is drawn."""
        across = (x - self.left) / (self.right - self.left) if self.right > self.left else 0.5
        up = (y - self.low) / (self.high - self.low) if self.high > self.low else 0.5
        return LEFT + across * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - up * (HEIGHT - BOTTOM - TOP)

    def line(self, points: Sequence[Point], style: str) -> str:
        """A line through values."""
        text = " ".join(f"{x:.1f},{y:.1f}" for x, y in (self.at(*point) for point in points))
        return f'<polyline class="{style}" points="{text}"/>'

    def frame(self, across: str, up: str) -> str:
        """The grid, its numbers, and what the axes mean."""
        lines, texts = [], []
        for step in range(5):
            share = step / 4
            x, y = self.at(self.left + share * (self.right - self.left), self.low + share * (self.high - self.low))
            lines.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
            low, side = (
                tick(self.low + share * (self.high - self.low)),
                tick(self.left + share * (self.right - self.left)),
            )
            texts.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{low}</text>')
            anchor = "start" if step == 0 else "end" if step == 4 else "middle"
            texts.append(f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 15}" text-anchor="{anchor}">{side}</text>')
        texts.append(f'<text class="label" x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 5}" text-anchor="middle">'
                     f"{escape(across)}</text>")  # fmt: skip
        middle = (TOP + HEIGHT - BOTTOM) / 2
        texts.append(f'<text class="label" transform="translate(13 {middle}) rotate(-90)" text-anchor="middle">'
                     f"{escape(up)}</text>")  # fmt: skip
        return f'<g class="grid">{"".join(lines)}</g><g class="axis">{"".join(texts)}</g>'


def curve(first: Sequence[Point], second: Sequence[Point], across: str, up: str, title: str, *,
          diagonal: bool = False) -> str:  # fmt: skip
    """Two curves between 0 and 1: the baseline's and the window's."""
    axes = Axes()
    body = axes.frame(across, up)
    if diagonal:
        body += axes.line([(0, 0), (1, 1)], "diagonal")
    body += axes.line(first, "base-line") + axes.line(second, "now")
    return svg(WIDTH, HEIGHT, title, body)


def calibration(first: Sequence[Mapping[str, float]], second: Sequence[Mapping[str, float]], confidence: float) -> str:
    """How often rows of a probability are positive, with intervals for the window."""
    axes = Axes()
    body = axes.frame("mean probability", "share of positives") + axes.line([(0, 0), (1, 1)], "diagonal")
    body += axes.line([(each["mean_probability"], each["positives"] / each["count"]) for each in first], "base-line")
    for each in second:
        share = each["positives"] / each["count"]
        low, high = wilson(each["positives"], each["count"], confidence)
        x, y = axes.at(each["mean_probability"], share)
        top, bottom = axes.at(0, high)[1], axes.at(0, low)[1]
        body += f'<line class="whisker" x1="{x:.1f}" x2="{x:.1f}" y1="{top:.1f}" y2="{bottom:.1f}"/>'
        body += f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="3.5"/>'
    return svg(WIDTH, HEIGHT, "Calibration: share of positives by probability", body)


def residuals(first: Sequence[Mapping[str, float]], second: Sequence[Mapping[str, float]]) -> str:
    """The mean residual by prediction, with intervals."""
    every = [*first, *second]
    ends = [each["mean_residual"] + side * each["half_interval"] for each in every for side in (-1, 1)] + [0.0]
    across = [each["mean_prediction"] for each in every]
    far = max(map(abs, ends)) * 1.06 or 1.0
    axes = Axes(min(across), max(across), -far, far)
    body = axes.frame("prediction", "mean residual") + axes.line([(axes.left, 0), (axes.right, 0)], "diagonal")
    for points, style in ((first, "base"), (second, "now")):
        body += axes.line([(each["mean_prediction"], each["mean_residual"]) for each in points],
                          "base-line" if style == "base" else "now")  # fmt: skip
        for each in points:
            x, y = axes.at(each["mean_prediction"], each["mean_residual"])
            top = axes.at(0, each["mean_residual"] + each["half_interval"])[1]
            bottom = axes.at(0, each["mean_residual"] - each["half_interval"])[1]
            kind = "whisker" if style == "now" else "whisker base-whisker"
            body += f'<line class="{kind}" x1="{x:.1f}" x2="{x:.1f}" y1="{top:.1f}" y2="{bottom:.1f}"/>'
            body += f'<circle class="{"dot" if style == "now" else "base"}" cx="{x:.1f}" cy="{y:.1f}" r="3.5"/>'
    return svg(WIDTH, HEIGHT, "Mean residual by prediction", body)


def matrix(table: Matrix, title: str, style: str) -> str:
    """A confusion matrix: each row's share by colour and number, and the counts."""
    labels = sorted(table, key=lambda label: -sum(table[label].values()))[:LABELS]
    labels = sorted(labels)
    if not labels:
        return ""
    left, top, size = 92, 44, min(130.0, (WIDTH - 100) / len(labels))
    width, tall = left + size * len(labels) + 6, max(34.0, min(size, 70.0))
    parts = [f'<text class="label" x="{left + size * len(labels) / 2:.0f}" y="14" text-anchor="middle">predicted</text>'
             f'<text class="label" transform="translate(12 {top + tall * len(labels) / 2:.0f}) rotate(-90)" '
             'text-anchor="middle">label</text>']  # fmt: skip
    for column, label in enumerate(labels):
        x = left + (column + 0.5) * size
        parts.append(f'<text x="{x:.1f}" y="{top - 8}" text-anchor="middle">{_short(label, size / 7.5)}</text>')
    for row, label in enumerate(labels):
        y, whole = top + row * tall, sum(table[label].values())
        parts.append(f'<text x="{left - 8}" y="{y + tall / 2 + 4:.1f}" text-anchor="end">{_short(label, 9)}</text>')
        for column, guess in enumerate(labels):
            count = table[label].get(guess, 0)
            parts.append(_cell(left + column * size, y, size, tall, count, whole, style, wrong=label != guess))
    height = top + tall * len(labels) + 6
    return svg(width, height, title, f'<g class="axis">{"".join(parts)}</g>')


def _cell(x: float, y: float, size: float, tall: float, count: int, whole: int, style: str, *, wrong: bool) -> str:
    share = count / whole if whole else 0.0
    kind = "wrong" if wrong else f"{style}-cell"
    opacity = 0.06 + 0.5 * math.sqrt(share) if count else 0.03
    middle = x + size / 2
    text = f'<rect class="cell {kind}" x="{x + 1:.1f}" y="{y + 1:.1f}" width="{size - 2:.1f}" height="{tall - 2:.1f}"'
    text += f' rx="4" fill-opacity="{opacity:.2f}"/>'
    if size >= 48:
        text += (
            f'<text class="value" x="{middle:.1f}" y="{y + tall / 2 - 1:.1f}" text-anchor="middle">{share:.1%}</text>'
        )
        text += f'<text x="{middle:.1f}" y="{y + tall / 2 + 13:.1f}" text-anchor="middle">{count:,}</text>'
    elif count:
        text += (
            f'<text class="value" x="{middle:.1f}" y="{y + tall / 2 + 4:.1f}" text-anchor="middle">{share:.0%}</text>'
        )
    return text


def _short(text: str, most: float) -> str:
    most = max(2, int(most))
    return escape(text if len(text) <= most else text[: most - 1] + "…")


@dataclass(frozen=True, slots=True)
class Range:
    """One metric to draw: both values with their intervals, the threshold, and how it was judged."""

    name: str
    baseline: Mapping[str, Any]
    observed: Mapping[str, Any]
    threshold: float | None
    violated: bool


def ranges(metrics: Sequence[Range], *, shared: bool) -> str:
    """Each metric on its line: the baseline's interval as a band, the window's as a whisker, the threshold as a mark.

    ``shared``: all lie on one scale from 0 to 1; otherwise each has its own.
    """
    left, right, row, top = 190, 160, 27, 24 if shared else 6
    width, height = 860, top + row * len(metrics) + 6
    plot = width - left - right
    parts = []
    if shared:
        for share in (0, 0.25, 0.5, 0.75, 1):
            x = left + share * plot
            parts.append(f'<line class="rule" x1="{x:.1f}" x2="{x:.1f}" y1="{top - 6}" y2="{height - 6}"/>'
                         f'<text x="{x:.1f}" y="{top - 11}" text-anchor="middle">{share:g}</text>')  # fmt: skip
    for place, each in enumerate(metrics):
        y = top + place * row + row / 2
        parts.append(_range(each, y, left, plot, shared=shared))
    return svg(width, height, "Metrics of the baseline and of this window, with intervals",
               f'<g class="axis">{"".join(parts)}</g>')  # fmt: skip


def _range(each: Range, y: float, left: float, plot: float, *, shared: bool) -> str:
    low, high = (0.0, 1.0) if shared else _scale(each)

    def x(value: float) -> float:
        return left + (min(high, max(low, value)) - low) / (high - low) * plot

    style = " bad-text" if each.violated else ""
    parts = [f'<text class="label{style}" x="{left - 12}" y="{y + 4:.1f}" text-anchor="end">'
             f"{escape(each.name.replace('_', ' '))}</text>",
             f'<line class="rule" x1="{left}" x2="{left + plot}" y1="{y:.1f}" y2="{y:.1f}"/>']  # fmt: skip
    if each.baseline.get("value") is not None:
        before = each.baseline.get("interval") or [each.baseline["value"]] * 2
        parts.append(f'<rect class="base" x="{x(before[0]):.1f}" width="{max(2.0, x(before[1]) - x(before[0])):.1f}" '
                     f'y="{y - 7:.1f}" height="14" rx="3"/>')  # fmt: skip
    if each.threshold is not None:
        place = x(each.threshold)
        parts.append(f'<line class="mark" x1="{place:.1f}" x2="{place:.1f}" y1="{y - 9:.1f}" y2="{y + 9:.1f}"/>')
    value = each.observed.get("value")
    if value is not None:
        now = each.observed.get("interval") or [value, value]
        kind = " bad-mark" if each.violated else ""
        ends = f'x1="{x(now[0]):.1f}" x2="{x(now[1]):.1f}"'
        parts.append(f'<line class="whisker{kind}" {ends} y1="{y:.1f}" y2="{y:.1f}"/>'
                     f'<circle class="dot{kind}" cx="{x(value):.1f}" cy="{y:.1f}" r="4.5"/>')  # fmt: skip
    text = number(value)
    parts.append(f'<text class="label{style}" x="{left + plot + 14}" y="{y + 4:.1f}">{text}</text>')
    parts.append(f'<text x="{left + plot + 90}" y="{y + 4:.1f}">{number(each.baseline.get("value"))}</text>')
    return "".join(parts)


def _scale(each: Range) -> tuple[float, float]:
    ends = [each.threshold] if each.threshold is not None else []
    for side in (each.baseline, each.observed):
        if side.get("value") is not None:
            ends += [side["value"], *(side.get("interval") or [])]
    low, high = min(ends, default=0.0), max(ends, default=1.0)
    margin = (high - low) * 0.12 or abs(high) * 0.05 or 1.0
    return low - margin, high + margin
