"""The report of an explainability monitor: where the model's answers come from, then and now.

One HTML file without scripts, fonts or pictures from elsewhere, like those of the other monitors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from orchestrator.runtime.monitoring.explainability.ranking import Likeness
from orchestrator.runtime.monitoring.report import LEGEND, findings_card, probability_text, rows_of
from orchestrator.runtime.monitoring.style import STYLE

DRAWN = 15
WIDTH, LEFT, RIGHT, ROW = 520, 150, 70, 30
LOOK = """
.full svg{max-width:none}.plots figcaption{font-size:13px;font-weight:600;margin-bottom:6px}
.sides{grid-template-columns:minmax(0,1.25fr) minmax(0,1fr)}@media (max-width:760px){.sides{grid-template-columns:1fr}}
.slope{stroke:var(--base);stroke-width:2;fill:none}.slope.moved{stroke:var(--now);stroke-width:2.5}
.slope.far{stroke:var(--bad);stroke-width:3}.end{fill:var(--base)}.end.moved{fill:var(--now)}.end.far{fill:var(--bad)}
.axis .far-text{fill:var(--bad);font-size:12px;font-weight:600}.said{margin:0 0 12px;font-size:14px}
"""


@dataclass(frozen=True, slots=True)
class Side:
    """One output of the model: its features as ``moved`` lists them; likeness where a window was compared."""

    label: str
    features: Sequence[Mapping[str, Any]]
    likeness: Likeness | None = None
    violation: Mapping[str, Any] | None = None


def page(sides: Sequence[Side], summary: Mapping[str, Any], findings: Sequence[Mapping[str, Any]]) -> str:
    """The page of a window; of a baseline, when the summary has no observed rows."""
    order = sorted(sides, key=lambda side: side.violation is None)
    parts = [
        _head(sides, summary),
        _tiles(sides, summary, findings),
        findings_card(findings),
        *(_card(side) for side in order),
        _how(summary),
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Explainability</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{STYLE}{LOOK}</style></head><body><main>{''.join(parts)}</main></body></html>\n"
    )


def _head(sides: Sequence[Side], summary: Mapping[str, Any]) -> str:
    found = sum(side.violation is not None for side in sides)
    rows, policy = summary.get("rows") or {}, summary.get("policy") or {}
    state, words, level, legend = "good", "No violations. The answers come from the same features.", "", LEGEND
    if "observed" not in rows:
        words, legend = "The baseline: what windows are compared with.", ""
    elif not rows["observed"]:
        words = "No rows in this window; nothing was explained."
    if found:
        state, words = "bad", f"{found} violation{'s' if found > 1 else ''}: the answers come from other features now."
    if policy and legend:
        level = (
            f"<p class='note'>A violation is a likeness (nDCG) below {float(policy['ndcg']):g} that chance explains "
            f"with at most {float(policy['alpha']):.2g}, for all outputs of the model together.</p>"
        )
    return f"<header><h1>Explainability</h1><p class='state {state}'>{words}</p>{level}{legend}</header>"


def _tiles(sides: Sequence[Side], summary: Mapping[str, Any], findings: Sequence[Mapping[str, Any]]) -> str:
    rows, explained = summary.get("rows") or {}, summary.get("explained") or {}
    before = rows.get("baseline") or 0
    likeness = [side.likeness.value for side in sides if side.likeness]
    tiles = [
        ("rows", f"{rows.get('observed', before):,}", f"baseline {before:,}"),
        ("explained", f"{explained.get('observed', explained.get('baseline', 0)):,}",
         f"baseline {explained.get('baseline', 0):,}, drawn at random"),
        ("likeness (nDCG)", f"{min(likeness):.3f}" if likeness else "–", "1 is the same order"),
        ("reading", f"{sum(each['count'] for each in findings):,}", "things noticed"),
    ]  # fmt: skip
    return "<section class='tiles'>" + "".join(
        f"<div class='tile'><span>{name}</span><strong>{value}</strong><em>{escape(beside)}</em></div>"
        for name, value, beside in tiles
    ) + "</section>"  # fmt: skip


def _card(side: Side) -> str:
    compared = side.likeness is not None
    said = f"<p class='said'>{escape(str(side.violation['description']))}</p>" if side.violation else ""
    likely = ""
    if side.likeness:
        low, high = side.likeness.interval
        likely = (
            f"<p class='note'>nDCG {side.likeness.value:.4f}, 95% interval {low:.4f} to {high:.4f}, adjusted p "
            f"{probability_text(side.likeness.adjusted_p_value)}.</p>"
        )
    drawn = (
        f"<figure><figcaption>Share of the attributions</figcaption>{_bars(side.features, compared=compared)}</figure>"
    )
    if compared:
        drawn += f"<figure><figcaption>Rank, baseline and now</figcaption>{_slopes(side.features)}</figure>"
    rows = rows_of(side.violation.get("rows") or {}) if side.violation else ""
    more = (
        f"<p class='note'>{DRAWN} of {len(side.features)} features are drawn.</p>" if len(side.features) > DRAWN else ""
    )
    tag = "<span class='tag'>attribution drift</span>" if side.violation else ""
    return (
        f"<section class='card{' bad' if side.violation else ''}'><h2>{escape(side.label)} {tag}</h2>"
        f"{said}{likely}{more}<div class='plots sides full'>{drawn}</div>{rows}"
        f"{_table(side, compared=compared)}</section>"
    )


def _shown(features: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The features that matter most, then or now, in the order of the baseline."""
    best = sorted(features, key=lambda each: min(each["baseline"]["rank"], each["observed"]["rank"]))[:DRAWN]
    return sorted(best, key=lambda each: int(each["baseline"]["rank"]))


def _name(text: str, most: int = 20) -> str:
    return escape(text if len(text) <= most else text[: most - 1] + "…")


def _bars(features: Sequence[Mapping[str, Any]], *, compared: bool) -> str:
    shown = _shown(features)
    top = max([max(each["baseline"]["share"], each["observed"]["share"]) for each in shown], default=1.0) or 1.0
    row = ROW if compared else ROW - 8
    parts = []
    for place, each in enumerate(shown):
        y = place * row + 4
        parts.append(f'<text class="label" x="{LEFT - 8}" y="{y + row / 2}" text-anchor="end">'
                     f"{_name(str(each['feature_name']))}</text>")  # fmt: skip
        lines = (("baseline", "base", 0), ("observed", "now-bar", 12)) if compared else (("baseline", "now-bar", 2),)
        for which, style, offset in lines:
            share = each[which]["share"]
            width = share / top * (WIDTH - LEFT - RIGHT)
            parts.append(f'<rect class="{style}" x="{LEFT}" y="{y + offset}" width="{width:.1f}" height="10" rx="2"/>')
            parts.append(f'<text x="{LEFT + width + 5:.1f}" y="{y + offset + 9}">{share:.1%}</text>')
    height = row * len(shown) + 8
    return (
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="Share of the attributions">'
        f'<title>Share of the attributions</title><g class="axis">{"".join(parts)}</g></svg>'
    )


def _slopes(features: Sequence[Mapping[str, Any]]) -> str:
    """A line for each feature from its rank in the baseline to its rank now."""
    shown = _shown(features)
    before = {id(each): place for place, each in enumerate(shown)}
    now = {id(each): place for place, each in enumerate(sorted(shown, key=lambda each: int(each["observed"]["rank"])))}
    left, right, row = 150, 300, ROW
    from_, to = left + 6, right - 6
    parts = []
    for each in shown:
        name = _name(str(each["feature_name"]), 16)
        first, second = before[id(each)] * row + 16, now[id(each)] * row + 16
        old, new = int(each["baseline"]["rank"]), int(each["observed"]["rank"])
        style = "" if old == new else " far" if abs(old - new) > 1 and min(old, new) <= 5 else " moved"
        text = "far-text" if style == " far" else "label"
        parts += [
            f'<path class="slope{style}" '
            f'd="M{from_} {first}C{left + 75} {first} {right - 75} {second} {to} {second}"/>',
            f'<circle class="end{style}" cx="{left + 4}" cy="{first}" r="4"/>',
            f'<circle class="end{style}" cx="{right - 4}" cy="{second}" r="4"/>',
            f'<text class="{text}" x="{left - 6}" y="{first + 4}" text-anchor="end">{name} {old}</text>',
            f'<text class="{text}" x="{right + 6}" y="{second + 4}">{new} {name}</text>',
        ]
    height = row * len(shown) + 8
    return (
        f'<svg viewBox="0 0 450 {height}" role="img" aria-label="Ranks"><title>Ranks</title>'
        f'<g class="axis">{"".join(parts)}</g></svg>'
    )


def _table(side: Side, *, compared: bool) -> str:
    ordered = sorted(side.features, key=lambda each: int(each["baseline"]["rank"]))
    heads = ["feature", "attribution", "share", "rank"]
    heads = [heads[0], *heads[1:], *(f"{head} now" for head in heads[1:])] if compared else heads
    lines = []
    for each in ordered:
        parts = [each["baseline"], each["observed"]] if compared else [each["baseline"]]
        cells = [str(each["feature_name"])]
        for part in parts:
            cells += [f"{part['attribution']:.4g}", f"{part['share']:.1%}", str(part["rank"])]
        lines.append("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>")
    head = "".join(f"<th>{each}</th>" for each in heads)
    return (
        f"<details><summary>All numbers</summary><div class='wide'><table><thead><tr>{head}</tr></thead>"
        f"<tbody>{''.join(lines)}</tbody></table></div></details>"
    )


def _how(summary: Mapping[str, Any]) -> str:
    how = summary.get("explainer") or {}
    lines = "".join(
        f"<tr><td>{escape(str(name))}</td><td>{escape(str(value))}</td></tr>" for name, value in how.items()
    )
    return (
        f"<section><h2>How</h2><div class='wide'><table><tbody>{lines}</tbody></table></div></section>" if lines else ""
    )
