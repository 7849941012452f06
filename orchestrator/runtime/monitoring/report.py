"""The page a person looks at: what is wrong, how sure that is, what it looks like, and which rows to open.

One HTML file without scripts, fonts or pictures from elsewhere; it can be mailed, archived and opened in ten years.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from orchestrator.runtime.monitoring.documents import Feature, features
from orchestrator.runtime.monitoring.plots import plots_of
from orchestrator.runtime.monitoring.style import STYLE

DRAWN = 200
"""So many features without violations are drawn; all are in the table."""
HELD = {"value": ":", "label": ": label", "prediction": ", prediction", "probability": ", probability"}
"""What an example may hold of its row, and the words before it."""
CHECKS = {
    "baseline_drift_check": "drift",
    "completeness_check": "missing values",
    "data_type_check": "wrong values",
    "categorical_values_check": "unknown categories",
    "missing_column_check": "missing column",
    "extra_column_check": "new column",
}


def report(baseline: Mapping[str, Any], observed: Mapping[str, Any], violations: Mapping[str, Any],
           title: str = "Data quality") -> str:  # fmt: skip
    """The page for a baseline's statistics, a window's statistics and the window's violations."""
    before, now = features(baseline, "the baseline"), features(observed, "the window")
    by_feature: dict[str, list[Mapping[str, Any]]] = {}
    for violation in violations.get("violations", []):
        by_feature.setdefault(str(violation["feature_name"]), []).append(violation)
    summary = violations.get("summary") or {}
    parts = [
        _head(title, by_feature, summary),
        _tiles(before, now, violations, summary),
        findings_card(violations.get("findings") or []),
        *(_card(name, found, before.get(name), now.get(name)) for name, found in by_feature.items()),
        _quiet(before, now, by_feature),
        _table(before, now, by_feature),
    ]
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{STYLE}</style></head><body><main>{''.join(parts)}</main></body></html>\n"
    )


def _head(title: str, found: Mapping[str, Sequence[Any]], summary: Mapping[str, Any]) -> str:
    count = sum(map(len, found.values()))
    if not count:
        state, words = "good", "No violations. This window looks like the baseline."
    else:
        state = "bad"
        words = f"{count} violation{'s' if count > 1 else ''} in {len(found)} feature{'s' if len(found) > 1 else ''}."
    policy = summary.get("policy") or {}
    level = ""
    if policy:
        level = (
            f"<p class='note'>{summary.get('tests', 0)} tests, corrected together: without drift, the chance that any "
            f"of them raises an alarm is at most {float(policy['alpha']):.2g}.</p>"
        )
        if policy["correction"] != "holm":
            level = f"<p class='note'>{summary.get('tests', 0)} tests, correction: {escape(policy['correction'])}.</p>"
    return f"<header><h1>{escape(title)}</h1><p class='state {state}'>{words}</p>{level}{LEGEND}</header>"


LEGEND = "<p class='legend'><span class='key base-key'></span>baseline <span class='key now-key'></span>this window</p>"


def _tiles(before: Mapping[str, Feature], now: Mapping[str, Feature], violations: Mapping[str, Any],
           summary: Mapping[str, Any]) -> str:  # fmt: skip
    rows = summary.get("rows") or {}
    tiles = [
        ("rows", _count(rows.get("observed")), f"baseline {_count(rows.get('baseline'))}"),
        ("features", _count(len(now)), f"baseline {_count(len(before))}"),
        ("violations", _count(len(violations.get("violations", []))), f"{_count(summary.get('tests', 0))} tests"),
        ("reading", _count(sum(each["count"] for each in violations.get("findings") or [])), "things noticed"),
    ]
    return "<section class='tiles'>" + "".join(
        f"<div class='tile'><span>{name}</span><strong>{value}</strong><em>{beside}</em></div>"
        for name, value, beside in tiles
    ) + "</section>"  # fmt: skip


def _count(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else "–"


def findings_card(found: Sequence[Mapping[str, Any]]) -> str:
    """What was noticed while reading; empty when nothing was."""
    if not found:
        return ""
    items = "".join(
        f"<li><b>{escape(str(each['file']))}</b> {escape(str(each['message']))} {each['count']}×"
        + (f", rows {', '.join(map(str, each['rows']))}" if each["rows"] else "") + "</li>"
        for each in found
    )  # fmt: skip
    return f"<section class='card'><h2>Noticed while reading</h2><ul>{items}</ul></section>"


def _card(name: str, found: Sequence[Mapping[str, Any]], before: Feature | None, now: Feature | None) -> str:
    tags = "".join(f"<span class='tag'>{CHECKS.get(each['constraint_check_type'], '')}</span>" for each in found)
    drawn = "".join(f"<figure>{plot}</figure>" for plot in plots_of(before, now)) if before and now else ""
    details = "".join(map(_details, found))
    return (
        f"<section class='card bad'><h2>{escape(name)} {tags}</h2><div class='plots'>{drawn}</div>{details}</section>"
    )


def _details(violation: Mapping[str, Any]) -> str:
    parts = [f"<p>{escape(str(violation['description']))}</p>"]
    measures = violation.get("measures") or []
    if measures:
        rows = "".join(
            f"<tr class='{'hit' if each['violated'] else ''}'><td>{escape(each['name'].replace('_', ' '))}</td>"
            f"<td>{each['statistic']:.4f}</td><td>{each['threshold']:.4g}</td>"
            f"<td>{probability_text(each.get('adjusted_p_value'))}</td></tr>"
            for each in measures
        )
        parts.append(
            "<table><thead><tr><th>measure</th><th>value</th><th>threshold</th><th>adjusted p</th></tr></thead>"
            f"<tbody>{rows}</tbody></table>"
        )
    sizes = violation.get("sample_sizes") or {}
    parts.append(f"<p class='note'>Sample sizes: baseline {_count(sizes.get('baseline'))}, "
                 f"this window {_count(sizes.get('observed'))}.</p>")  # fmt: skip
    parts.append(rows_of(violation.get("rows") or {}))
    return "".join(parts)


def probability_text(value: Any) -> str:
    """A probability as the page shows it."""
    if value is None:
        return "–"
    return "< 1e-16" if value < 1e-16 else f"{value:.2g}"


def rows_of(rows: Mapping[str, Any]) -> str:
    """Which rows to look at, folded away."""
    examples = rows.get("examples") or []
    if not examples:
        return ""
    items = "".join(
        f"<li>{escape(str(each['file']))} row {each['row']}"
        + (f", event {escape(str(each['event_id']))}" if each.get("event_id") else "")
        + (f", row {each['place_in_call'] + 1} of the call" if "place_in_call" in each else "")
        + "".join(f"{sign} <code>{escape(_short(each[name]))}</code>" for name, sign in HELD.items() if name in each)
        + "</li>"
        for each in examples
    )  # fmt: skip
    head = f"Rows where {escape(str(rows['where']))} ({rows['count']:,})"
    return f"<details><summary>{head}</summary><ul>{items}</ul></details>"


def _short(value: Any) -> str:
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return text if len(text) <= 80 else text[:79] + "…"


def _quiet(before: Mapping[str, Feature], now: Mapping[str, Feature], loud: Mapping[str, Any]) -> str:
    """Small plots of the features without violations."""
    names = [name for name in before if name in now and name not in loud]
    figures = []
    for name in names[:DRAWN]:
        drawn = plots_of(before[name], now[name])
        if drawn:
            figures.append(f"<figure class='small'><figcaption>{escape(name)}</figcaption>{drawn[0]}</figure>")
    if not figures:
        return ""
    more = f"<p class='note'>{DRAWN} of {len(names)} are drawn.</p>" if len(names) > DRAWN else ""
    return f"<section><h2>Without violations</h2>{more}<div class='grid-of'>{''.join(figures)}</div></section>"


def _table(before: Mapping[str, Feature], now: Mapping[str, Feature], loud: Mapping[str, Any]) -> str:
    rows = []
    for name in dict.fromkeys([*before, *now]):
        first, second = before.get(name), now.get(name)
        cells = [name, *(feature.kind if feature else "absent" for feature in (first, second))]
        cells += [_complete(feature) for feature in (first, second)]
        cells += [_middle(feature) for feature in (first, second)]
        body = "".join(f"<td>{escape(cell)}</td>" for cell in cells)
        rows.append(f"<tr class='{'hit' if name in loud else ''}'>{body}</tr>")
    head = "".join(
        f"<th>{name}</th>" for name in ("feature", "type", "now", "complete", "now", "mean or distinct", "now")
    )
    return (
        f"<section><h2>All features</h2><div class='wide'><table><thead><tr>{head}</tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table></div></section>"
    )


def _complete(feature: Feature | None) -> str:
    return f"{feature.present / feature.rows:.2%}" if feature and feature.rows else "–"


def _middle(feature: Feature | None) -> str:
    if feature is None:
        return "–"
    if feature.is_number:
        mean, spread = feature.numbers.get("mean"), feature.numbers.get("std_dev")
        return "–" if mean is None or spread is None else f"{mean:.4g} ± {spread:.3g}"
    return f"{feature.distinct:,} distinct"
