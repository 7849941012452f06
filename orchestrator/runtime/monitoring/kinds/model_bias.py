"""Bias: SageMaker Clarify's metrics of the training data and of the live answers, and whether they have become worse.

``settings``: ``problem_type``, ``label`` (a column of the baseline; default the first), ``bias_config`` and
``predicted_label_config`` (see ``bias.settings``), ``prediction_attribute``, ``probability_attribute``,
``probability_threshold``, ``features_attribute``; ``baseline_prediction`` or ``baseline_probability`` name a column of
the baseline that holds the model's answer, which is asked otherwise. ``policy``: ``alpha``, ``least_difference``,
``least_rows``, ``seed``.

Metrics: ``Tests``, how many hypotheses were tested; ``Worsening``, how much unfairer than the baseline the worst of the
violated metrics is; and ``DPL``, ``DPPL``, ``DI`` of the first five groups, each with the name of the group.

Source: https://docs.aws.amazon.com/sagemaker/latest/dg/clarify-model-monitor-bias-drift.html
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from orchestrator.runtime.monitoring.analysis import REPORT, VIOLATIONS
from orchestrator.runtime.monitoring.bias import chance, comparison, documents, predicting
from orchestrator.runtime.monitoring.bias.chance import Outcome
from orchestrator.runtime.monitoring.bias.counting import Counting, cut
from orchestrator.runtime.monitoring.bias.documents import ANALYSIS, CONSTRAINTS, Baseline
from orchestrator.runtime.monitoring.bias.flipping import Flips
from orchestrator.runtime.monitoring.bias.page import page as drawn
from orchestrator.runtime.monitoring.bias.settings import BiasPolicy, BiasSettings, settings_of
from orchestrator.runtime.monitoring.bias.tables import View
from orchestrator.runtime.monitoring.documents import load
from orchestrator.runtime.monitoring.failures import InputUnreadable
from orchestrator.runtime.monitoring.findings import Findings
from orchestrator.runtime.monitoring.kinds import Definition, Predict, Result, Window
from orchestrator.runtime.monitoring.live import kinds_of, live_rows, peeked
from orchestrator.runtime.monitoring.merging import labelled_table
from orchestrator.runtime.monitoring.reading import Source

NAMED = 5
"""So many groups have metrics of their own: each is billed."""


def baseline(data: Source, definition: Definition, predict: Predict | None) -> Result:
    """Count the training data, ask the model about it, and keep what windows are compared with."""
    settings, policy = settings_of(definition.settings), BiasPolicy.of(definition.policy)
    predicting.check_headers(settings)
    first, kinds = peeked(data)
    told, settings = settings, settings.named(first.columns)
    label = settings.label or first.columns[0]
    answers = [name for name in (settings.baseline_prediction, settings.baseline_probability) if name]
    _check_columns(first, settings, label, answers)
    cuts = [cut(facet, first[facet.name], kinds.of(facet.name)) for facet in settings.facets]
    counting = Counting(cuts, settings.group, policy.seed)
    features = [name for name in first.columns if name not in (label, *answers)]
    if not answers and predict is None:
        data.findings.add("no_predictions", str(data.path.name), "There is no model to ask and no column of "
                          "predictions: metrics of a trained model are left out.", count=1)  # fmt: skip
    for frame in labelled_table(
        data, label=label, prediction=settings.baseline_prediction, probability=settings.baseline_probability
    ):
        judged = predicting.outcomes(frame, settings)
        if not answers and predict is not None:
            judged = judged.with_columns(predicting.asked(frame.select(features), predict, settings))
        counting.update(judged)
    _check_outcomes(counting, settings, first[label])
    views = counting.views()
    _note(counting, views, data.findings)
    outcomes = comparison.described(counting, views, policy)
    document = documents.analysis(settings, label, outcomes)
    flips = {view.key: each for view in views if isinstance(each := counting.flips(view), Flips)}
    flips = {key: each for key, each in flips.items() if not math.isnan(each.value)}
    columns = {name: data.kinds.of(name).value for name in features}
    files = {
        ANALYSIS: document,
        CONSTRAINTS: documents.constraints(document, told, label, columns, cuts, views, counting.counts, flips),
        REPORT: drawn(
            outcomes,
            [],
            {"rows": {"baseline": counting.rows}},
            data.findings.as_list(),
            {view.key: comparison.good_shares(view, counting.counts) for view in views},
        ),
    }
    return Result(files, counting.rows, findings=data.findings.as_list())


def _check_columns(first: pl.DataFrame, settings: BiasSettings, label: str, answers: Sequence[str]) -> None:
    named = [label, *answers, *(facet.name for facet in settings.facets), *([settings.group] if settings.group else [])]
    missing = [name for name in dict.fromkeys(named) if name not in first.columns]
    if missing:
        raise InputUnreadable(
            f"The baseline has no column {', '.join(missing)}.", hint=f"It has: {', '.join(first.columns[:50])}."
        )
    taken = {label, *answers}
    double = [facet.name for facet in settings.facets if facet.name in taken]
    if double:
        raise InputUnreadable(f"The facet {', '.join(double)} is the label or the prediction.", hint="Name a feature.")


def _check_outcomes(counting: Counting, settings: BiasSettings, labels: pl.Series) -> None:
    """Raise InputUnreadable when no label is a good one: nothing could ever be said."""
    if counting.rows and not any(cell[-3] == "1" for cell in counting.counts.cells):
        seen = ", ".join(sorted({str(each) for each in labels.drop_nulls().head(1000)})[:5])
        raise InputUnreadable(
            f"No label of the baseline is good, that is {settings.shown_label}; there are labels like {seen}.",
            hint="Check label and bias_config.label_values_or_threshold.",
        )


def _note(counting: Counting, views: Sequence[View], findings: Findings) -> None:
    for view in views:
        if counting.rows and not any(cell[view.place] == view.code for cell in counting.counts.cells):
            findings.add("empty_facet", view.facet, f"No row has {view.facet} {view.shown}; its metrics are not "
                         "defined.", count=1)  # fmt: skip
    unread = sum(count for cell, count in counting.counts.cells.items() if cell[-2] == "2")
    if unread and unread < counting.rows:
        findings.add("no_prediction", "all files", "Rows whose answer could not be read count only where no answer is "
                     "needed.", count=unread)  # fmt: skip
    for name, count in counting.without.items():
        findings.add("missing_facet", name, f"Rows without {name} were left out of its comparison.", count=count)
    if counting.gaps:
        findings.add("flip_test", "all files", "Rows with missing numbers were left out of the flip test.",
                     count=counting.gaps)  # fmt: skip


def analyze(window: Window, baseline: Path, definition: Definition, predict: Predict | None) -> Result:
    """Count the window's rows and say what has become worse than in the baseline, and by more than chance."""
    settings, policy = settings_of(definition.settings), BiasPolicy.of(definition.policy)
    predicting.check_headers(settings)
    known = documents.read_constraints(load(baseline / CONSTRAINTS), chance.values)
    if known.settings != documents.fingerprint(settings):
        raise InputUnreadable(
            f"The baseline was made with other settings: {known.settings}, not {documents.fingerprint(settings)}.",
            hint="Make a new baseline.",
        )
    findings = Findings()
    counting = Counting(known.cuts, settings.group, policy.seed, examples=True)
    for frame in _rows(window, settings, known, definition.columns, findings):
        counting.update(_judged(frame, settings, list(known.columns), predict))
    _check_answers(counting, known)
    absent = [each.name for each in known.cuts if counting.rows and counting.without.get(each.name) == counting.rows]
    counting.without = {name: count for name, count in counting.without.items() if name not in absent}
    views = [view for view in known.views if view.facet not in absent]
    _note(counting, views, findings)
    _unknown_values(counting, known, findings)
    outcomes = comparison.compared(counting, known, policy)
    return _result(outcomes, absent, counting, known, settings, policy, findings)


def _check_answers(counting: Counting, known: Baseline) -> None:
    """Raise InputUnreadable when no answer could be read although the baseline has some: the monitor would be blind."""
    if counting.rows and not comparison.predicted(counting.counts) and comparison.predicted(known.counts):
        raise InputUnreadable(
            f"None of the window's {counting.rows:,} rows has an answer that can be read.",
            hint="Check prediction_attribute, probability_attribute and predicted_label_config.",
        )


def _rows(window: Window, settings: BiasSettings, known: Baseline, columns: Sequence[str],
          findings: Findings) -> Iterator[pl.DataFrame]:  # fmt: skip
    kinds = kinds_of(known.columns)
    wanted = predicting.wanted(settings, columns or list(known.columns), kinds)
    yield from live_rows(
        window, wanted, findings, label=known.label, prediction=settings.baseline_prediction,
        probability=settings.baseline_probability,
    )  # fmt: skip


def _judged(frame: pl.DataFrame, settings: BiasSettings, features: Sequence[str],
            predict: Predict | None) -> pl.DataFrame:  # fmt: skip
    """The rows with their outcomes; the model is asked about a table that holds no answers."""
    judged = predicting.outcomes(frame, settings)
    if predict is None or predicting.answers_there(frame):
        return judged
    missing = [name for name in features if name not in frame.columns]
    if missing:
        raise InputUnreadable(f"The window has no column {', '.join(missing[:10])}, which the model needs.")
    return judged.with_columns(predicting.asked(frame.select(features), predict, settings))


def _unknown_values(counting: Counting, known: Baseline, findings: Findings) -> None:
    for place, each in enumerate(known.cuts):
        if each.threshold is None and not each.values:
            codes = {view.code for view in known.views if view.facet == each.name}
            new: dict[str, int] = {}
            for cell, count in counting.counts.cells.items():
                code = cell[place]
                if code is not None and code not in codes:
                    new[code] = new.get(code, 0) + count
            if new:
                listed = ", ".join(sorted(new)[:5])
                findings.add("new_facet_value", each.name, f"Values that the baseline has not were counted among "
                             f"everybody else: {listed}.", count=sum(new.values()))  # fmt: skip


def _result(outcomes: Sequence[Outcome], absent: Sequence[str], counting: Counting, known: Baseline,
            settings: BiasSettings, policy: BiasPolicy, findings: Findings) -> Result:  # fmt: skip
    sizes = (known.counts.rows, counting.rows)
    bad = [outcome for outcome in outcomes if comparison.violated(outcome, policy)]
    violations = [_absent(name, sizes) for name in absent]
    violations += [
        documents.violation(each, comparison.rows_to_look_at(each, counting, known.counts), sizes)
        | {"threshold": policy.least_difference}
        for each in bad
    ]
    summary = {
        "status": "CompletedWithViolations" if violations else "Completed",
        "rows": {"baseline": sizes[0], "observed": sizes[1]},
        "tests": comparison.tests(outcomes),
        "policy": {"alpha": policy.alpha, "least_difference": policy.least_difference,
                   "least_rows": policy.least_rows, "seed": policy.seed},
        "not_tested": [{"facet": each.view.facet, "facet_value": each.view.shown, "metric_name": each.metric,
                        "reason": each.reason} for each in outcomes if each.reason],
    }  # fmt: skip
    noticed = findings.as_list()
    document = {"version": "1.0", "violations": violations, "summary": summary, "findings": noticed}
    files = {
        ANALYSIS: documents.analysis(settings, known.label, outcomes),
        VIOLATIONS: document,
        REPORT: drawn(
            outcomes,
            violations,
            summary,
            noticed,
            {view.key: comparison.good_shares(view, known.counts, counting.counts) for view in known.views},
        ),
    }
    return Result(files, counting.rows, violations, _metrics(outcomes, bad), noticed)


def _absent(name: str, sizes: tuple[int, int]) -> dict[str, Any]:
    return {
        "facet": name, "facet_value": "", "metric_name": "", "feature_name": name,
        "constraint_check_type": "missing_column_check",
        "description": f"The facet {name} is in the baseline but not here: nothing can be said about it.",
        "test": "schema", "statistic": 1.0, "threshold": 0.0, "baseline": {"present": True},
        "observed": {"present": False}, "sample_sizes": {"baseline": sizes[0], "observed": sizes[1]},
        "rows": {"where": "all rows", "count": sizes[1], "examples": []},
    }  # fmt: skip


def _metrics(outcomes: Sequence[Outcome], bad: Sequence[Outcome]) -> Mapping[str, float]:
    worst = max((each.worse_by for each in bad if math.isfinite(each.worse_by)), default=0.0)
    found = {"Tests": float(comparison.tests(outcomes)), "Worsening": worst}
    for view in list({each.view.key: each.view for each in outcomes}.values())[:NAMED]:
        for each in outcomes:
            if each.view.key == view.key and each.metric in ("DPL", "DPPL", "DI") and math.isfinite(each.value):
                name = f"{each.metric} {view.facet} {view.shown}".encode("ascii", "backslashreplace").decode()
                found[name[:200]] = each.value
    return found
