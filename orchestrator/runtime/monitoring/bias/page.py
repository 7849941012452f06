"""The report of a bias monitor: each group beside everybody else, in the baseline and in the window.

One HTML file without scripts, fonts or pictures from elsewhere, like those of the other monitors.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from orchestrator.runtime.monitoring.bias.chance import Outcome
from orchestrator.runtime.monitoring.bias.formulas import METRICS
from orchestrator.runtime.monitoring.bias.tables import View
from orchestrator.runtime.monitoring.plots import bars
from orchestrator.runtime.monitoring.report import LEGEND, findings_card, probability_text, rows_of
from orchestrator.runtime.monitoring.style import STYLE

Shares = Mapping[tuple[str, str], Sequence[tuple[str, float, float]]]
"""View -> (what, share in the baseline, share in the window)."""
LOOK = """
.rule{stroke:var(--line)}.parity{stroke:var(--soft);stroke-width:1.5}
.whisker{stroke:var(--now);stroke-width:2.5;stroke-linecap:round}.dot{fill:var(--now);stroke:var(--paper);
stroke-width:1.5}.mark{fill:var(--base);stroke:var(--paper);stroke-width:1}
.bad-mark.whisker{stroke:var(--bad)}.bad-mark.dot{fill:var(--bad)}.axis .bad-text{fill:var(--bad);font-weight:600}
.full svg{max-width:none}.plots figcaption{font-size:13px;font-weight:600;margin-bottom:6px}
.sides{grid-template-columns:minmax(0,2fr) minmax(0,1.1fr)}@media (max-width:760px){.sides{grid-template-columns:1fr}}
.scroll{overflow-x:auto}.scroll td,.scroll th{white-space:nowrap}.said{margin:0 0 14px;font-size:14px}
"""
WIDTH, LEFT, RIGHT, ROW, TOP = 600, 62, 150, 24, 26
WORDS = {False: "Data", True: "Predictions"}


def page(outcomes: Sequence[Outcome], violations: Sequence[Mapping[str, Any]], summary: Mapping[str, Any],
         findings: Sequence[Mapping[str, Any]], shares: Shares) -> str:  # fmt: skip
    """The page of a window; of a baseline, when the summary has no observed rows."""
    views = {outcome.view.key: outcome.view for outcome in outcomes}
    by_view: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for each in violations:
        by_view.setdefault((str(each["facet"]), str(each["facet_value"])), []).append(each)
    order = sorted(views.values(), key=lambda view: -len(by_view.get((view.facet, view.shown), [])))
    parts = [
        _head(violations, summary),
        _tiles(violations, summary, len(views), findings),
        findings_card(findings),
        *(_absent(each) for each in violations if each["constraint_check_type"] == "missing_column_check"),
        *(_card(view, [each for each in outcomes if each.view.key == view.key],
                by_view.get((view.facet, view.shown), []), shares.get(view.key, [])) for view in order),
        GLOSSARY,
    ]  # fmt: skip
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Bias</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{STYLE}{LOOK}</style></head><body><main>{''.join(parts)}</main></body></html>\n"
    )


GLOSSARY = (
    "<section><h2>The metrics</h2><div class='wide'><table><tbody>"
    + "".join(
        f"<tr><td>{name}</td><td>{escape(metric.description)}</td><td>{WORDS[metric.trained].lower()}</td></tr>"
        for name, metric in METRICS.items()
    )
    + "</tbody></table></div></section>"
)


def _head(violations: Sequence[Any], summary: Mapping[str, Any]) -> str:
    state, words, level = "good", "No violations. No group is treated worse than in the baseline.", ""
    rows = summary.get("rows") or {}
    if "observed" not in rows:
        words, legend = "The baseline: what windows are compared with.", ""
    else:
        legend = LEGEND
        if not rows["observed"]:
            words = "No rows in this window; nothing was judged."
        policy = summary.get("policy") or {}
        level = (
            f"<p class='note'>{summary.get('tests', 0)} tests, corrected together: if nothing has changed, the chance "
            f"of any alarm is at most {float(policy.get('alpha', 0)):.2g}. A metric must also be at least "
            f"{float(policy.get('least_difference', 0)):.2g} further from parity than the baseline's.</p>"
        )
    if violations:
        plural = "s" if len(violations) > 1 else ""
        state, words = "bad", f"{len(violations)} violation{plural}: a group is treated worse than in the baseline."
    return f"<header><h1>Bias</h1><p class='state {state}'>{words}</p>{level}{legend}</header>"


def _tiles(violations: Sequence[Any], summary: Mapping[str, Any], groups: int, findings: Sequence[Any]) -> str:
    rows = summary.get("rows") or {}
    before = rows.get("baseline") or 0
    now = rows.get("observed", before)
    tiles = [
        ("rows", f"{now:,}", f"baseline {before:,}"),
        ("groups", f"{groups:,}", "each beside everybody else"),
        ("violations", f"{len(violations):,}", f"{summary.get('tests', 0):,} tests"),
        ("reading", f"{sum(each['count'] for each in findings):,}", "things noticed"),
    ]
    return "<section class='tiles'>" + "".join(
        f"<div class='tile'><span>{name}</span><strong>{value}</strong><em>{beside}</em></div>"
        for name, value, beside in tiles
    ) + "</section>"  # fmt: skip


def _absent(violation: Mapping[str, Any]) -> str:
    return (
        f"<section class='card bad'><h2>{escape(str(violation['facet']))} <span class='tag'>missing column</span></h2>"
        f"<p>{escape(str(violation['description']))}</p></section>"
    )


def _card(view: View, outcomes: Sequence[Outcome], violations: Sequence[Mapping[str, Any]],
          shares: Sequence[tuple[str, float, float]]) -> str:  # fmt: skip
    bad = {str(each["metric_name"]) for each in violations}
    tags = "".join(f"<span class='tag'>{escape(name)}</span>" for name in sorted(bad))
    compared = any(each.limit is not None for each in outcomes)
    marks = "Marks: the baseline. " if compared else ""
    title = "Share of good outcomes"
    drawn = bars(shares, title) if compared else _single([(name, now) for name, _, now in shares], title)
    sides = (
        f"<figure><figcaption>Distance from parity</figcaption>{_ranges(outcomes, bad)}"
        f"<p class='note'>{marks}DI, whose parity is 1, is drawn less 1.</p></figure>"
        f"<figure><figcaption>Share of good outcomes</figcaption>{drawn}</figure>"
    )
    said = "".join(f"<li>{escape(str(each['description']))}</li>" for each in violations)
    said = f"<ul class='said'>{said}</ul>" if said else ""
    rows = {str((each.get("rows") or {}).get("where")): rows_of(each.get("rows") or {}) for each in violations}
    name = f"{view.facet}: {view.shown}"
    return (
        f"<section class='card{' bad' if bad else ''}'><h2>{escape(name)} {tags}</h2>"
        f"{said}<div class='plots sides full'>{sides}</div>{''.join(rows.values())}{_table(outcomes)}</section>"
    )


def _single(shares: Sequence[tuple[str, float]], title: str) -> str:
    """One bar for each share."""
    parts = []
    for place, (name, share) in enumerate(shares):
        y, width = 24 * place + 4, share * 230
        parts.append(f'<text class="label" x="112" y="{y + 12}" text-anchor="end">{escape(name)}</text>')
        parts.append(f'<rect class="now-bar" x="120" y="{y}" width="{width:.1f}" height="15" rx="2"/>')
        parts.append(f'<text x="{width + 126:.1f}" y="{y + 12}">{share:.1%}</text>')
    return (
        f'<svg viewBox="0 0 420 {24 * len(shares) + 8}" role="img" aria-label="{title}"><title>{title}</title>'
        f'<g class="axis">{"".join(parts)}</g></svg>'
    )


def number(value: float | None) -> str:
    """A number as the page shows it."""
    if value is None or math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    return f"{value:.3f}" if abs(value) < 1000 else f"{value:.3g}"


def _place(name: str, value: float) -> float:
    """Where a value lies between -1 and 1; parity in the middle."""
    shifted = value - 1 if name == "DI" else value
    return max(-1.0, min(1.0, shifted))


def _ranges(outcomes: Sequence[Outcome], bad: set[str]) -> str:
    """Each metric on its line: the window's value with its interval, and the baseline's as a mark."""
    drawn = [each for each in outcomes if not math.isnan(each.value)]
    height = TOP + ROW * len(drawn) + 6
    across = WIDTH - LEFT - RIGHT

    def x(name: str, value: float) -> float:
        return LEFT + (_place(name, value) + 1) / 2 * across

    parts = [
        f'<line class="{"parity" if not share else "rule"}" x1="{LEFT + (share + 1) / 2 * across:.1f}" '
        f'x2="{LEFT + (share + 1) / 2 * across:.1f}" y1="{TOP - 6}" y2="{height - 4}"/>'
        f'<text x="{LEFT + (share + 1) / 2 * across:.1f}" y="{TOP - 11}" text-anchor="middle">{text}</text>'
        for share, text in ((-1, "-1"), (-0.5, "-0.5"), (0, "parity"), (0.5, "0.5"), (1, "1"))
    ]
    for place, each in enumerate(drawn):
        y = TOP + ROW * place + ROW / 2
        style = " bad-mark" if each.metric in bad else ""
        text = "bad-text" if each.metric in bad else "label"
        parts.append(f'<text class="{text}" x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{each.metric}</text>')
        if each.limit is not None:
            middle = x(each.metric, each.limit)
            parts.append(f'<rect class="mark" x="{middle - 3:.1f}" y="{y - 8:.1f}" width="6" height="16" rx="2"/>')
        if each.interval is not None:
            low, high = (x(each.metric, end) for end in each.interval)
            parts.append(f'<line class="whisker{style}" x1="{low:.1f}" x2="{high:.1f}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<circle class="dot{style}" cx="{x(each.metric, each.value):.1f}" cy="{y:.1f}" r="4.5"/>')
        beside = f"{number(each.value)}" + (f"  was {number(each.limit)}" if each.limit is not None else "")
        parts.append(f'<text class="{text}" x="{WIDTH - RIGHT + 14}" y="{y + 4:.1f}">{beside}</text>')
    title = "Every metric with its interval; DI, whose parity is 1, less 1"
    return (
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{title}"><title>{title}</title>'
        f'<g class="axis">{"".join(parts)}</g></svg>'
    )


def _table(outcomes: Sequence[Outcome]) -> str:
    lines = []
    for each in outcomes:
        low, high = each.interval or (None, None)
        cells = [
            each.metric, number(each.value), "–" if low is None else f"{number(low)} to {number(high)}",
            number(each.limit), number(each.worse_by) if each.limit is not None else "–",
            probability_text(each.adjusted_p_value), f"{each.rows[0]:,} / {each.rows[1]:,}", each.reason,
        ]  # fmt: skip
        body = "".join(f"<td>{escape(cell)}</td>" for cell in cells)
        lines.append(f"<tr>{body}</tr>")
    heads = ("metric", "value", "95% interval", "baseline", "worse by", "adjusted p", "rows: group / others",
             "not tested, because")  # fmt: skip
    head = "".join(f"<th>{each}</th>" for each in heads)
    return (
        f"<details><summary>All numbers</summary><div class='scroll'><table><thead><tr>{head}"
        f"</tr></thead><tbody>{''.join(lines)}</tbody></table></div></details>"
    )
