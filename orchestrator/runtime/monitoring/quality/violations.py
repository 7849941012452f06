"""Violations as ``constraint_violations.json`` says them, with what a person needs to judge them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from orchestrator.runtime.monitoring.merging import Coverage
from orchestrator.runtime.monitoring.quality.judging import Judgement, Judging
from orchestrator.runtime.monitoring.quality.multiclass import cell
from orchestrator.runtime.monitoring.quality.rules import KEYS, LESS
from orchestrator.runtime.monitoring.quality.settings import Problem
from orchestrator.runtime.monitoring.quality.worst import Worst

GROUPS = {
    "false_positive": "negative rows are predicted positive",
    "false_negative": "positive rows are predicted negative",
    "large_error": "the prediction is farthest from the label",
    "unusable": "the answer holds no usable prediction",
}
MEMBERS = ("value", "standard_error", "interval", "of")


def described(each: Judgement, judging: Judging, worst: Worst) -> dict[str, Any]:
    """One violation."""
    value, low_high = each.observed["value"], each.observed.get("interval") or [None, None]
    word = "less" if each.rule.worse == LESS else "greater"
    chance = "" if each.adjusted_p_value is None else f", adjusted p {each.adjusted_p_value:.2g}"
    confidence = f"{judging.policy.confidence:.0%} interval {low_high[0]:.4g} to {low_high[1]:.4g}"
    return {
        "constraint_check_type": each.rule.worse,
        "metric_name": each.name,
        "description": f"{each.name} is {value:.4g} ({confidence}), {word} than the threshold {each.threshold:.4g}"
        f"{chance}. Rows: {each.observed['of']:,}, baseline {each.baseline.get('of', 0):,}.",
        "test": each.test,
        "statistic": value,
        "threshold": each.threshold,
        "p_value": each.p_value,
        "adjusted_p_value": each.adjusted_p_value,
        "baseline": {name: each.baseline[name] for name in MEMBERS if name in each.baseline},
        "observed": {name: each.observed[name] for name in MEMBERS if name in each.observed},
        "sample_sizes": {"baseline": each.baseline.get("of", 0), "observed": each.observed["of"]},
        "rows": _rows(each, judging, worst),
    }


def _rows(each: Judgement, judging: Judging, worst: Worst) -> dict[str, Any]:
    body = judging.observed[f"{KEYS[judging.problem]}_metrics"]
    if each.rule.groups == ("unusable",):
        count = int(judging.observed["dataset"]["unusable_count"])
    elif judging.problem is Problem.REGRESSION:
        count = int(each.observed["of"])
    elif judging.problem is Problem.MULTICLASS:
        label, guess, count = _grown(judging)
        where = f"label {label} is predicted as {guess}" if count else "the prediction is wrong"
        return {"where": where, "count": count, "examples": worst.of(cell(label, guess))}
    else:
        matrix = body["confusion_matrix"]
        counts = {"false_positive": matrix["0"]["1"], "false_negative": matrix["1"]["0"]}
        count = sum(counts[group] for group in each.rule.groups)
    where = " or ".join(GROUPS[group] for group in each.rule.groups)
    return {"where": where, "count": count, "examples": worst.of(*each.rule.groups)}


def _grown(judging: Judging) -> tuple[str, str, int]:
    """The confusion whose share of the rows has grown most: label, prediction, rows."""
    key = f"{KEYS[judging.problem]}_metrics"
    before, now = (each[key]["confusion_matrix"] for each in (judging.baseline, judging.observed))
    sizes = [max(1, sum(sum(row.values()) for row in matrix.values())) for matrix in (before, now)]
    cells = [
        (count / sizes[1] - (before.get(label) or {}).get(guess, 0) / sizes[0], label, guess, int(count))
        for label, row in now.items()
        for guess, count in row.items()
        if label != guess and count
    ]
    if not cells:
        return "", "", 0
    _, label, guess, count = max(cells)
    return label, guess, count


def document(judging: Judging, violations: Sequence[dict[str, Any]], coverage: Coverage,
             findings: list[dict[str, Any]]) -> dict[str, Any]:  # fmt: skip
    """Model Monitor's document, with what was tested and noticed beside the violations."""
    return {
        "version": 0.0,
        "violations": list(violations),
        "summary": {
            "status": "CompletedWithViolations" if violations else "Completed",
            "rows": {
                "baseline": (judging.baseline.get("dataset") or {}).get("item_count"),
                "observed": judging.observed["dataset"]["item_count"],
            },
            "ground_truth": coverage.as_dict(),
            "tests": judging.tests,
            "policy": judging.policy.as_dict(),
            "judged": [
                {
                    "metric_name": each.name,
                    "threshold": each.threshold,
                    "comparison_operator": each.rule.worse,
                    "test": each.test,
                    "p_value": each.p_value,
                    "adjusted_p_value": each.adjusted_p_value,
                    "violated": each.violated,
                }
                for each in judging.judgements
                if not each.not_judged
            ],
            "not_tested": [
                {"metric_name": each.name, "reason": each.not_judged} for each in judging.judgements if each.not_judged
            ],
        },
        "findings": findings,
    }
