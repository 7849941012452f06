"""Explainability: the features the model's answers come from, and whether that order is still the baseline's.

``settings``: ``problem_type``, ``label`` (a column of the baseline that is no feature; default the first),
``shap_config`` and ``model_scores`` (see ``explainability.settings``), ``features_attribute``; ``model_file``, a local
model of XGBoost that is explained instead of asking the endpoint. ``policy``: ``alpha``, ``ndcg``, ``rows``,
``least_rows``, ``model_rows``.

Metrics: ``nDCG``, the least of all outputs; ``Explained``, how many rows were.

Source: https://docs.aws.amazon.com/sagemaker/latest/dg/clarify-model-monitor-feature-attribution-drift.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from orchestrator.runtime.monitoring.analysis import REPORT, VIOLATIONS
from orchestrator.runtime.monitoring.calls import Wanted
from orchestrator.runtime.monitoring.columns import Kind
from orchestrator.runtime.monitoring.documents import load
from orchestrator.runtime.monitoring.explainability import documents, kernel, ranking, sampling, trees
from orchestrator.runtime.monitoring.explainability.background import background as background_of
from orchestrator.runtime.monitoring.explainability.documents import (
    ANALYSIS,
    CONSTRAINTS,
    LOCAL,
    Attributions,
    Baseline,
)
from orchestrator.runtime.monitoring.explainability.kernel import Cells, Numbers
from orchestrator.runtime.monitoring.explainability.page import Side
from orchestrator.runtime.monitoring.explainability.page import page as drawn
from orchestrator.runtime.monitoring.explainability.ranking import Likeness
from orchestrator.runtime.monitoring.explainability.sampling import Sample
from orchestrator.runtime.monitoring.explainability.settings import ShapPolicy, ShapSettings, settings_of
from orchestrator.runtime.monitoring.failures import InputUnreadable
from orchestrator.runtime.monitoring.findings import Findings
from orchestrator.runtime.monitoring.kinds import Definition, Predict, Result, Window
from orchestrator.runtime.monitoring.live import kinds_of, peeked
from orchestrator.runtime.monitoring.reading import Source

FILES = (("shap_config", "baseline"), ("model_file",))
"""Settings that may name an object in S3, which a job brings."""
SHOWN_ROWS = 5
SUMMARY_ROWS, SUMMARY_CELLS = 4000, 2_000_000
"""The explainer's own baseline is made of so many rows at most."""


def baseline(data: Source, definition: Definition, predict: Predict | None) -> Result:
    """Explain a sample of the training data and keep what windows are compared with."""
    settings, policy = settings_of(definition.settings), ShapPolicy.of(definition.policy)
    _check_model(settings, predict)
    first, _ = peeked(data)
    label = settings.label or first.columns[0]
    if label not in first.columns:
        raise InputUnreadable(f"The baseline has no column {label}.", hint=f"It has: {', '.join(first.columns[:50])}.")
    names = [name for name in first.columns if name != label]
    if not names:
        raise InputUnreadable(f"The baseline has no feature beside {label}.", hint="Name the label in the settings.")
    samples = kernel.enough(len(names), settings.samples)
    if 0 < settings.samples < samples and not settings.model_file:
        data.findings.add("few_samples", "shap_config", f"num_samples {settings.samples} cannot tell {len(names)} "
                          f"features apart; {samples} were taken.", count=1)  # fmt: skip
    known = None
    if not settings.model_file:
        kernel.rows_that_fit(policy.rows, len(names), samples, 1, policy.model_rows, policy.least_rows)
        known = kernel.coalitions(len(names), samples, settings.seed)
    most = max(policy.rows, min(SUMMARY_ROWS, SUMMARY_CELLS // len(names)))
    whole = sampling.sampled(sampling.of_source(data.batches()), names, most, settings.seed)
    sample = whole.fewer(policy.rows, settings.seed)
    kinds = {name: _kind(data.kinds.of(name)) for name in names}
    texts = [name for name, kind in kinds.items() if kind is Kind.TEXT]
    rows, source = background_of(settings, whole.frame, names, texts)
    found, _ = _explained(sample.frame, names, texts, rows, known, predict, settings, policy)
    document = documents.analysis(found, settings)
    told = documents.fingerprint(settings, samples)
    summary = {"rows": {"baseline": sample.seen}, "explained": {"baseline": found.values.shape[1]},
               "explainer": _explainer(settings, known, source, rows)}  # fmt: skip
    sides = [_side(name, found.of(place, settings.aggregation), names) for place, name in enumerate(found.labels)]
    listed = data.findings.as_list()
    files: dict[str, Any] = {
        ANALYSIS: document | {"monitoring": summary},
        CONSTRAINTS: documents.constraints(
            document, found, {name: kind.value for name, kind in kinds.items()}, rows, source, told, sample.seen
        ),
        REPORT: drawn(sides, summary, listed),
    }
    if settings.local:
        files[LOCAL] = documents.local_values(found)
    return Result(files, sample.seen, findings=listed)


def _check_model(settings: ShapSettings, predict: Predict | None) -> None:
    if predict is None and settings.model_file is None:
        raise InputUnreadable(
            "There is no model to ask.", hint="Give the setting model_file, or run it as a job beside its endpoint."
        )


def _kind(kind: Kind) -> Kind:
    """Features of which nothing was seen are texts; lists and objects are refused."""
    if kind is Kind.OTHER:
        raise InputUnreadable("Features that are lists or objects cannot be explained.", hint="Leave them out.")
    return kind if kind is Kind.NUMBER else Kind.TEXT


def _explained(frame: pl.DataFrame, names: Sequence[str], texts: Sequence[str], rows: Cells,
               known: kernel.Coalitions | None, predict: Predict | None, settings: ShapSettings,
               policy: ShapPolicy) -> tuple[Attributions, list[int]]:  # fmt: skip
    """The attributions of the rows, or of as many of them as may be asked about, and the places of these."""
    cells = sampling.cells(frame, names, texts)
    places = list(range(len(cells)))
    if settings.model_file is not None:
        made = trees.explain(cells, names, settings.model_file)
    else:
        assert known is not None and predict is not None
        fit = kernel.rows_that_fit(
            len(cells), len(names), len(known.members), len(rows), policy.model_rows, policy.least_rows
        )
        order = np.random.default_rng(settings.seed).permutation(len(cells))[:fit]
        places = sorted(order.tolist())
        made = kernel.explain(cells[places], rows, known, predict, logit=settings.logit)
    return Attributions(documents.labels(len(made.values), settings), names, made.values, made.expected), places


def _explainer(settings: ShapSettings, known: kernel.Coalitions | None, source: str, rows: Cells) -> dict[str, Any]:
    """How the attributions were made, for people."""
    if known is None:
        return {"method": "tree SHAP (exact, in the margin of the model)", "aggregation": settings.aggregation}
    return {
        "method": "kernel SHAP", "coalitions": f"{len(known.members)}{' (all: exact)' if known.exact else ''}",
        "baseline": f"{source} ({len(rows)} row{'s' if len(rows) > 1 else ''})",
        "aggregation": settings.aggregation, "log odds": "yes" if settings.logit else "no", "seed": settings.seed,
    }  # fmt: skip


def _side(label: str, before: Numbers, names: Sequence[str]) -> Side:
    return Side(label, documents.moved(before, before, names))


def analyze(window: Window, baseline: Path, definition: Definition, predict: Predict | None) -> Result:
    """Explain a sample of the window and compare where its answers come from with the baseline."""
    settings, policy = settings_of(definition.settings), ShapPolicy.of(definition.policy)
    _check_model(settings, predict)
    if window.ground_truth is not None:
        raise InputUnreadable("Explaining answers needs no ground truth.", hint="Leave it out.")
    known = documents.read_constraints(load(baseline / CONSTRAINTS))
    names = list(known.kinds)
    samples = kernel.enough(len(names), settings.samples)
    told = documents.fingerprint(settings, samples)
    if known.settings != told:
        raise InputUnreadable(
            f"The baseline was made with other settings: {known.settings}, not {told}.", hint="Make a new baseline."
        )
    findings = Findings()
    wanted = Wanted(features=True, features_attribute=settings.features_attribute, kinds=kinds_of(known.kinds),
                    names=definition.columns or names)  # fmt: skip
    sample = sampling.sampled(sampling.of_window(window, wanted, findings), names, policy.rows, settings.seed)
    return _compared(sample, known, settings, policy, predict, findings, samples)


def _compared(sample: Sample, known: Baseline, settings: ShapSettings, policy: ShapPolicy, predict: Predict | None,
              findings: Findings, samples: int) -> Result:  # fmt: skip
    names, sides = list(known.kinds), list[Side]()
    made = kernel.coalitions(len(names), samples, settings.seed) if not settings.model_file else None
    rows = np.array(known.background, dtype=object if known.texts else np.float64)
    found = Attributions([], names, np.zeros((0, 0, len(names))), np.zeros(0))
    likeness: list[Likeness] = []
    if sample.frame.height:
        found, places = _explained(sample.frame, names, known.texts, rows, made, predict, settings, policy)
        if list(found.labels) != list(known.found.labels):
            raise InputUnreadable(
                f"The model answers {', '.join(found.labels)}; at the baseline it answered "
                f"{', '.join(known.found.labels)}.", hint="Make a new baseline.",
            )  # fmt: skip
        if min(found.values.shape[1], known.found.values.shape[1]) >= policy.least_rows:
            likeness = ranking.compare(known.found.values, found.values, settings.aggregation, settings.seed)
        sides = list(_sides(found, known, likeness, settings, policy, sample, places))
    summary = {
        "status": "CompletedWithViolations" if any(side.violation for side in sides) else "Completed",
        "rows": {"baseline": known.rows, "observed": sample.seen},
        "explained": {"baseline": known.found.values.shape[1], "observed": found.values.shape[1]},
        "tests": len(likeness), "policy": asdict(policy),
        "not_tested": [] if likeness or not sample.seen else [
            {"label": label, "reason": f"fewer than {policy.least_rows} rows were explained"} for label in found.labels
        ],
        "explainer": _explainer(settings, made, known.source, rows),
    }  # fmt: skip
    return _result(sides, found, likeness, summary, settings, sample, findings)


def _sides(found: Attributions, known: Baseline, likeness: Sequence[Likeness], settings: ShapSettings,
           policy: ShapPolicy, sample: Sample, places: Sequence[int]) -> Iterator[Side]:  # fmt: skip
    sizes = (known.found.values.shape[1], found.values.shape[1])
    for place, label in enumerate(found.labels):
        changes = documents.moved(known.limits[place], found.of(place, settings.aggregation), found.names)
        likely = likeness[place] if likeness else None
        if likely is None or likely.value >= policy.ndcg or likely.adjusted_p_value > policy.alpha:
            yield Side(label, changes, likely)
            continue
        name = max(changes, key=lambda each: each["observed"]["share"] - each["baseline"]["share"])["feature_name"]
        size = np.abs(found.values[place][:, list(found.names).index(name)])
        best = np.argsort(-size, kind="stable")[:SHOWN_ROWS].tolist()
        examples = sample.references([places[each] for each in best])
        for example, each in zip(examples, best, strict=True):
            example["value"] = float(size[each])
        rows = {"where": f"{name} counts most, of the rows explained", "count": len(best), "examples": examples}
        yield Side(label, changes, likely, documents.violation(label, likely, changes, policy, sizes, rows))


def _result(sides: Sequence[Side], found: Attributions, likeness: Sequence[Likeness], summary: Mapping[str, Any],
            settings: ShapSettings, sample: Sample, findings: Findings) -> Result:  # fmt: skip
    violations = [side.violation for side in sides if side.violation]
    noticed = findings.as_list()
    document = {"version": "1.0", "violations": violations, "summary": summary, "findings": noticed}
    files: dict[str, Any] = {
        ANALYSIS: documents.analysis(found, settings),
        VIOLATIONS: document,
        REPORT: drawn(sides, summary, noticed),
    }
    if settings.local:
        files[LOCAL] = documents.local_values(found)
    metrics = {"Explained": float(found.values.shape[1])}
    if likeness:
        metrics["nDCG"] = min(each.value for each in likeness)
    return Result(files, sample.seen, violations, metrics, noticed)
