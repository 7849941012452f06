"""The report of model quality: what became worse, how sure that is, what it looks like, and which rows to open.

One HTML file without scripts, fonts or pictures from elsewhere, like that of data quality.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from orchestrator.runtime.monitoring.plots import cumulative, histogram
from orchestrator.runtime.monitoring.quality import drawing
from orchestrator.runtime.monitoring.quality.drawing import Range, number
from orchestrator.runtime.monitoring.quality.judging import metrics_of
from orchestrator.runtime.monitoring.quality.rules import RULES
from orchestrator.runtime.monitoring.quality.settings import Problem
from orchestrator.runtime.monitoring.report import LEGEND, findings_card, probability_text, rows_of
from orchestrator.runtime.monitoring.sketch import stored
from orchestrator.runtime.monitoring.style import STYLE

Document = Mapping[str, Any]
LOOK = """
.rule{stroke:var(--line)}.mark{stroke:var(--ink);stroke-width:1.5;stroke-dasharray:3 2}
.whisker{stroke:var(--now);stroke-width:2.5;stroke-linecap:round}.base-whisker{stroke:var(--base)}
.dot{fill:var(--now);stroke:var(--paper);stroke-width:1.5}.bad-mark.whisker{stroke:var(--bad)}
.bad-mark.dot{fill:var(--bad)}.axis .bad-text{fill:var(--bad);font-weight:600}
.diagonal{fill:none;stroke:var(--soft);stroke-dasharray:4 4;opacity:.6}
.now-cell{fill:var(--now)}.base-cell{fill:var(--base)}.wrong{fill:var(--bad)}
.axis .value{fill:var(--ink);font-size:12px;font-weight:600}
.scroll{overflow-x:auto}.scroll td,.scroll th{white-space:nowrap}
.scroll td:first-child{font-weight:600;color:var(--bad)}
.full svg{max-width:none}.plots figcaption{font-size:13px;font-weight:600;margin-bottom:6px}
"""
HEADLINE = {Problem.BINARY: "f1", Problem.MULTICLASS: "weighted_f1", Problem.REGRESSION: "rmse"}


def page(problem: Problem, baseline: Document, observed: Document, violations: Document) -> str:
    """The page for the statistics of both sides and the violations."""
    before, now = (metrics_of(each, problem, "statistics.json") for each in (baseline, observed))
    parts = [
        _head(violations),
        _tiles(problem, before, now, violations),
        findings_card(violations.get("findings") or []),
        _violations(violations.get("violations", [])),
        _metrics(problem, before, now, violations),
        _plots(problem, before, now, violations),
        _not_judged(violations),
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Model quality</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{STYLE}{LOOK}</style></head><body><main>{''.join(parts)}</main></body></html>\n"
    )


def _head(violations: Document) -> str:
    found, summary = violations.get("violations", []), violations.get("summary") or {}
    policy, rows = summary.get("policy") or {}, (summary.get("rows") or {}).get("observed") or 0
    state, words = "good", "No violations. The model is as good as it was."
    if found:
        state, words = "bad", f"{len(found)} metric{'s' if len(found) > 1 else ''} worse than the baseline allows."
    elif not rows:
        words = "No labelled rows in this window; nothing was judged."
    level = ""
    if policy.get("strict"):
        level = "<p class='note'>Strict: metrics are compared with their thresholds; chance is not asked about.</p>"
    elif policy and summary.get("tests"):
        level = f"<p class='note'>{summary['tests']} tests, correction: {escape(str(policy['correction']))}.</p>"
        if policy["correction"] == "holm":
            level = (
                f"<p class='note'>{summary['tests']} tests, corrected together: if the model is as good as it was, the "
                f"chance of any alarm is at most {float(policy['alpha']):.2g}.</p>"
            )
    return f"<header><h1>Model quality</h1><p class='state {state}'>{words}</p>{level}{LEGEND}</header>"


def _tiles(problem: Problem, before: Document, now: Document, violations: Document) -> str:
    summary = violations.get("summary") or {}
    rows, truth = summary.get("rows") or {}, summary.get("ground_truth") or {}
    captured, labelled = truth.get("rows") or 0, truth.get("labelled") or 0
    share = f"{labelled / captured:.0%} of {captured:,} captured" if captured else "nothing was captured"
    name = HEADLINE[problem]
    tiles = [
        ("labelled rows", f"{labelled:,}", share),
        ("judged rows", f"{rows.get('observed') or 0:,}", f"baseline {rows.get('baseline') or 0:,}"),
        ("violations", f"{len(violations.get('violations', [])):,}", f"{summary.get('tests', 0)} tests"),
        (name.replace("_", " "), number((now.get(name) or {}).get("value")),
         f"baseline {number((before.get(name) or {}).get('value'))}"),
    ]  # fmt: skip
    return "<section class='tiles'>" + "".join(
        f"<div class='tile'><span>{title}</span><strong>{value}</strong><em>{beside}</em></div>"
        for title, value, beside in tiles
    ) + "</section>"  # fmt: skip


def _violations(found: Sequence[Document]) -> str:
    """What is worse, each on its line; and the rows to look at, once for metrics that share them."""
    if not found:
        return ""
    lines, rows = [], dict[str, str]()
    for each in found:
        before, now = each.get("baseline") or {}, each.get("observed") or {}
        word = "below" if each["constraint_check_type"].startswith("Less") else "above"
        cells = [
            str(each["metric_name"]).replace("_", " "), _with_interval(now), f"{word} {number(each['threshold'])}",
            _with_interval(before), f"{now.get('of', 0):,} / {before.get('of', 0):,}",
            str(each["test"]).replace("_", " "), probability_text(each.get("adjusted_p_value")),
        ]  # fmt: skip
        lines.append("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>")
        rows[str((each.get("rows") or {}).get("where"))] = rows_of(each.get("rows") or {})
    heads = ("metric", "this window", "is", "baseline", "rows", "test", "adjusted p")
    head = "".join(f"<th>{each}</th>" for each in heads)
    return (
        f"<section class='card bad'><h2>Worse than the baseline</h2><div class='scroll'><table><thead><tr>{head}</tr>"
        f"</thead><tbody>{''.join(lines)}</tbody></table></div>{''.join(rows.values())}</section>"
    )


def _with_interval(side: Document) -> str:
    interval = side.get("interval")
    beside = f" ({number(interval[0])} – {number(interval[1])})" if interval else ""
    return f"{number(side.get('value'))}{beside}"


def _metrics(problem: Problem, before: Document, now: Document, violations: Document) -> str:
    """All metrics, drawn with their intervals."""
    summary = violations.get("summary") or {}
    judged = {each["metric_name"]: each for each in summary.get("judged") or []}
    names = [name for name in RULES[problem] if name in before or name in now]
    drawn = [
        Range(name, before.get(name) or {}, now.get(name) or {}, (judged.get(name) or {}).get("threshold"),
              bool((judged.get(name) or {}).get("violated")))
        for name in names
    ]  # fmt: skip
    shares = [each for each in drawn if problem is not Problem.REGRESSION and each.name != "log_loss"]
    others = [each for each in drawn if each not in shares]
    confidence = (summary.get("policy") or {}).get("confidence", 0.95)
    plots = "".join(
        f"<figure>{drawing.ranges(some, shared=shared)}</figure>"
        for some, shared in ((shares, True), (others, False))
        if some
    )
    note = (
        f"<p class='note'>Grey: the baseline's {confidence:.0%} interval. Dot and line: this window. Dashed: the "
        "threshold. Numbers: this window, baseline.</p>"
    )
    return f"<section class='card full'><h2>Metrics</h2>{note}{plots}</section>"


def _plots(problem: Problem, before: Document, now: Document, violations: Document) -> str:
    confidence = ((violations.get("summary") or {}).get("policy") or {}).get("confidence", 0.95)
    if problem is Problem.REGRESSION:
        figures = _residuals(before, now)
    else:
        figures = [
            (title, drawing.matrix(side.get("confusion_matrix") or {}, title, style))
            for title, side, style in (("Confusion, baseline", before, "base"), ("Confusion, this window", now, "now"))
        ]
        figures += _curves(before, now, confidence)
    items = "".join(
        f"<figure><figcaption>{escape(title)}</figcaption>{plot}</figure>" for title, plot in figures if plot
    )
    labels = len(now.get("confusion_matrix") or {})
    note = f"<p class='note'>The {drawing.LABELS} most frequent of {labels} labels are drawn.</p>" if (
        labels > drawing.LABELS) else ""  # fmt: skip
    return f"<section class='card'>{note}<div class='plots'>{items}</div></section>" if items else ""


def _curves(before: Document, now: Document, confidence: float) -> list[tuple[str, str]]:
    figures = []
    for key, across, up, title in (
        ("receiver_operating_characteristic_curve", "false_positive_rates", "true_positive_rates", "ROC"),
        ("precision_recall_curve", "recalls", "precisions", "Precision and recall"),
    ):
        first, second = (
            list(zip(side[key][across], side[key][up], strict=True)) if key in side else [] for side in (before, now)
        )
        if first or second:
            words = across[:-1].replace("_", " "), up[:-1].replace("_", " ")
            drawn = drawing.curve(first, second, *words, title, diagonal=title == "ROC")
            figures.append((title, drawn))
    if now.get("calibration"):
        drawn = drawing.calibration(before.get("calibration") or [], now["calibration"], confidence)
        figures.append(("Calibration", drawn))
    return figures


def _residuals(before: Document, now: Document) -> list[tuple[str, str]]:
    figures = []
    if before.get("residuals_by_prediction") and now.get("residuals_by_prediction"):
        drawn = drawing.residuals(before["residuals_by_prediction"], now["residuals_by_prediction"])
        figures.append(("Residual (prediction less label) by prediction, with intervals", drawn))
    if "residuals" in before and "residuals" in now:
        first, second = (stored(side["residuals"]["sketch"]["data"]) for side in (before, now))
        figures.append(("Residuals: share of rows", histogram(first, second, "Residuals: share of rows by value")))
        figures.append(("Residuals: share of rows up to each",
                        cumulative(first, second, "Residuals: share of rows up to each value")))  # fmt: skip
    return figures


def _not_judged(violations: Document) -> str:
    found = (violations.get("summary") or {}).get("not_tested") or []
    if not found:
        return ""
    items = "".join(f"<li>{escape(each['metric_name'].replace('_', ' '))}: {escape(each['reason'])}</li>"
                    for each in found)  # fmt: skip
    return f"<section class='card'><h2>Not judged</h2><ul>{items}</ul></section>"
