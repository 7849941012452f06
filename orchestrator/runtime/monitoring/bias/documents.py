"""The files of a bias monitor: Clarify's ``analysis.json``, the constraints of a baseline, the violations of a window.

JSON knows neither infinity nor NaN: as in Clarify's files, a quotient with a zero denominator is the text ``Infinity``
(or ``-Infinity``), and a metric that is not defined is null, with an ``error`` that says why.

Sources: https://docs.aws.amazon.com/sagemaker/latest/dg/clarify-processing-job-analysis-results.html and
https://docs.aws.amazon.com/sagemaker/latest/dg/clarify-model-monitor-bias-drift-violations.html
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.runtime.monitoring.bias.chance import Outcome
from orchestrator.runtime.monitoring.bias.counting import Cut
from orchestrator.runtime.monitoring.bias.flipping import Flips
from orchestrator.runtime.monitoring.bias.formulas import METRICS
from orchestrator.runtime.monitoring.bias.settings import BiasSettings
from orchestrator.runtime.monitoring.bias.tables import Counts, View, stored
from orchestrator.runtime.monitoring.failures import InputUnreadable

ANALYSIS = "analysis.json"
CONSTRAINTS = "constraints.json"
MEMBER = "monitoring"
"""The member of the constraints that is ours: what a window is compared with beside the values."""
SECTIONS = {False: "pre_training_bias_metrics", True: "post_training_bias_metrics"}
INFINITIES = {"Infinity": math.inf, "-Infinity": -math.inf}


def number(value: float) -> float | str | None:
    """The number as JSON."""
    if math.isnan(value):
        return None
    return value if math.isfinite(value) else ("Infinity" if value > 0 else "-Infinity")


def read_number(value: Any) -> float:
    """The number as it was written; NaN for null. Raises ValueError for anything else."""
    if value is None:
        return math.nan
    if isinstance(value, str):
        return INFINITIES[value] if value in INFINITIES else float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{value!r} is no number")
    return float(value)


def analysis(settings: BiasSettings, label: str, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Clarify's ``analysis.json``; each metric carries its confidence interval where there is one."""
    document: dict[str, Any] = {"version": "1.0"}
    for trained, section in SECTIONS.items():
        facets: dict[str, list[dict[str, Any]]] = {}
        views = {outcome.view.key: outcome.view for outcome in outcomes}
        for key, view in views.items():
            metrics = [_metric(each) for each in outcomes
                       if each.view.key == key and METRICS[each.metric].trained is trained]  # fmt: skip
            if metrics:
                facets.setdefault(view.facet, []).append({"value_or_threshold": view.shown, "metrics": metrics})
        if facets:
            document[section] = {
                "label": label, "label_value_or_threshold": settings.shown_label, "facets": facets,
            }  # fmt: skip
    return document


def _metric(outcome: Outcome) -> dict[str, Any]:
    described: dict[str, Any] = {
        "name": outcome.metric, "description": METRICS[outcome.metric].description, "value": number(outcome.value),
    }  # fmt: skip
    if math.isnan(outcome.value):
        described["error"] = undefined(outcome)
    if outcome.interval is not None:
        described["confidence_interval"] = [number(each) for each in outcome.interval]
    return described


def undefined(outcome: Outcome) -> str:
    """Why a metric has no value."""
    facet, rest = outcome.rows
    if outcome.reason:
        return outcome.reason
    if not facet + rest:
        return "There are no rows to count."
    if METRICS[outcome.metric].grouped:
        return "Group variable is empty or not provided, or all outcomes are the same."
    if not facet:
        return "Facet set is empty."
    if not rest:
        return "Negated facet set is empty."
    return "The facet and everybody else have no label in common, or every prediction is a false negative."


@dataclass(frozen=True, slots=True)
class Baseline:
    """What a window is compared with. ``limits`` are the values of the constraints, ``edited`` the keys of those
    that are not what was measured."""

    label: str
    columns: Mapping[str, str]
    cuts: Sequence[Cut]
    views: Sequence[View]
    counts: Counts
    flips: Mapping[tuple[str, str], Flips]
    limits: Mapping[tuple[tuple[str, str], str], float]
    edited: frozenset[tuple[tuple[str, str], str]]
    settings: Mapping[str, Any]


def fingerprint(settings: BiasSettings) -> dict[str, Any]:
    """What must not change between a baseline and its windows."""
    return {
        "label_values_or_threshold": settings.shown_label,
        "facets": [[facet.name, [str(value) for value in facet.values]] for facet in settings.facets],
        "group_name": settings.group,
    }


def constraints(document: Mapping[str, Any], settings: BiasSettings, label: str, columns: Mapping[str, str],
                cuts: Sequence[Cut], views: Sequence[View], counts: Counts,
                flips: Mapping[tuple[str, str], Flips]) -> dict[str, Any]:  # fmt: skip
    """The analysis of the baseline, to be edited freely, and beside it the counts it was made of."""
    return {
        **document,
        MEMBER: {
            "settings": fingerprint(settings),
            "label": label,
            "columns": [{"name": name, "kind": kind} for name, kind in columns.items()],
            "facets": [each.as_dict() for each in cuts],
            "views": [[view.facet, view.place, view.code, view.shown] for view in views],
            "cells": counts.as_list(),
            "flip_tests": [[*key, each.value, each.error, each.facet, each.rest] for key, each in flips.items()],
        },
    }


def read_constraints(document: Mapping[str, Any], measured: Any) -> Baseline:
    """The constraints of a baseline. ``measured(counts, view)`` computes the metrics again, to tell edited ones.

    Raises InputUnreadable when the document is none.
    """
    try:
        own = document[MEMBER]
        cuts = [Cut(each["name"], each["threshold"], tuple(each["values"])) for each in own["facets"]]
        counts = stored([each.name for each in cuts], own["cells"])
        views = [View(*each) for each in own["views"]]
        flips = {(name, code): Flips(*rest) for name, code, *rest in own["flip_tests"]}
        limits, edited = _limits(document, views, flips, counts, measured)
        columns = {each["name"]: each["kind"] for each in own["columns"]}
        return Baseline(own["label"], columns, cuts, views, counts, flips, limits, edited, own["settings"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputUnreadable(f"{CONSTRAINTS} is no bias baseline: {error!r}.", hint="Make a new baseline.") from error


def _limits(document: Mapping[str, Any], views: Sequence[View], flips: Mapping[tuple[str, str], Flips],
            counts: Counts, measured: Any) -> tuple[dict[Any, float], frozenset[Any]]:  # fmt: skip
    limits, edited = {}, set()
    for view in views:
        known = measured(counts, view)
        if view.key in flips:
            known["FT"] = flips[view.key].value
        for section in SECTIONS.values():
            for listed in document.get(section, {}).get("facets", {}).get(view.facet, []):
                if listed["value_or_threshold"] != view.shown:
                    continue
                for each in listed["metrics"]:
                    value, key = read_number(each["value"]), (view.key, each["name"])
                    if math.isnan(value):
                        continue
                    limits[key] = value
                    before = known.get(each["name"], math.nan)
                    if value != before and not math.isclose(value, before, rel_tol=1e-9, abs_tol=1e-9):
                        edited.add(key)
    return limits, frozenset(edited)


def violation(outcome: Outcome, rows: Mapping[str, Any], sizes: tuple[int, int]) -> dict[str, Any]:
    """A violation in Model Monitor's form, with what a person needs to judge it. ``sizes``: of baseline and window."""
    view, limit = outcome.view, outcome.limit
    assert limit is not None and outcome.adjusted_p_value is not None
    low, high = outcome.interval or (math.nan, math.nan)
    name = METRICS[outcome.metric].description
    return {
        "facet": view.facet,
        "facet_value": view.shown,
        "metric_name": outcome.metric,
        "constraint_check_type": "bias_drift_check",
        "description": f"{name} of {view.facet} {view.shown} is {outcome.value:.3g}, further from parity than the "
        f"{limit:.3g} of the baseline by {outcome.worse_by:.3g}; adjusted p {outcome.adjusted_p_value:.2g}.",
        "feature_name": view.facet,
        "test": "normal" if outcome.metric == "FT" else "permutation",
        "statistic": number(outcome.worse_by),
        "p_value": outcome.p_value,
        "adjusted_p_value": outcome.adjusted_p_value,
        "baseline": {"value": number(limit), "rows": {"facet": outcome.baseline_rows[0],
                                                      "rest": outcome.baseline_rows[1]}},
        "observed": {"value": number(outcome.value), "confidence_interval": [number(low), number(high)],
                     "rows": {"facet": outcome.rows[0], "rest": outcome.rows[1]}},
        "sample_sizes": {"baseline": sizes[0], "observed": sizes[1]},
        "rows": dict(rows),
    }  # fmt: skip
