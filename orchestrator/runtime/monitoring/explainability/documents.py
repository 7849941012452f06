"""The files of an explainability monitor: Clarify's ``analysis.json``, constraints, violations.

Sources: https://docs.aws.amazon.com/sagemaker/latest/dg/clarify-processing-job-analysis-results.html and
https://docs.aws.amazon.com/sagemaker/latest/dg/clarify-model-monitor-model-attribution-drift-violations.html
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from orchestrator.runtime.monitoring.explainability.kernel import Cells, Numbers
from orchestrator.runtime.monitoring.explainability.ranking import Likeness, ranks, total
from orchestrator.runtime.monitoring.explainability.settings import ShapPolicy, ShapSettings
from orchestrator.runtime.monitoring.failures import InputUnreadable

ANALYSIS = "analysis.json"
CONSTRAINTS = "constraints.json"
LOCAL = "local_shap_values.csv"
MEMBER = "monitoring"
MOST_LABELS = 100
DIGITS = 8
MOVED = 5
"""So many features are named in a violation."""


@dataclass(frozen=True, slots=True)
class Attributions:
    """What explains a data set: ``values`` are outputs x rows x features, ``expected`` one number for each output."""

    labels: Sequence[str]
    names: Sequence[str]
    values: Numbers
    expected: Numbers

    def of(self, place: int, method: str) -> Numbers:
        """The attribution of each feature to one output."""
        return total(self.values[place], method)


def labels(count: int, settings: ShapSettings) -> list[str]:
    """The names of the outputs: the headers that were given, else ``label0`` and so on, as Clarify names them."""
    if count > MOST_LABELS:
        raise InputUnreadable(
            f"The model answers {count} scores; at most {MOST_LABELS} are explained.",
            hint="Say in model_scores which one is meant.",
        )
    if settings.headers and len(settings.headers) != count:
        raise InputUnreadable(
            f"The model answers {count} scores, but model_scores.label_headers names {len(settings.headers)}."
        )
    return list(settings.headers) or [f"label{place}" for place in range(count)]


def analysis(found: Attributions, settings: ShapSettings) -> dict[str, Any]:
    """Clarify's ``analysis.json``; without rows, there is nothing explained."""
    explanations = {
        label: {
            "global_shap_values": dict(zip(found.names, _rounded(found.of(place, settings.aggregation)), strict=True)),
            "expected_value": float(found.expected[place]),
        }
        for place, label in enumerate(found.labels)
    }
    return {"version": "1.0", "explanations": {settings.method: explanations} if explanations else {}}


def _rounded(values: Numbers) -> list[float]:
    return [float(f"{value:.{DIGITS}g}") for value in values]


def local_values(found: Attributions) -> str:
    """The attributions of every row as CSV: a column ``<feature>_<label>`` for each, as in Clarify's file."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([f"{name}_{label}" for label in found.labels for name in found.names])
    rows = found.values.transpose(1, 0, 2).reshape(found.values.shape[1], -1)
    writer.writerows([[f"{value:.{DIGITS}g}" for value in row] for row in rows])
    return text.getvalue()


def fingerprint(settings: ShapSettings, samples: int) -> dict[str, Any]:
    """What must not change between a baseline and its windows."""
    return {"method": settings.method, "aggregation": settings.aggregation, "use_logit": settings.logit,
            "seed": settings.seed, "num_samples": samples}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Baseline:
    """What a window is compared with."""

    found: Attributions
    limits: Sequence[Numbers]
    kinds: Mapping[str, str]
    background: list[list[Any]]
    source: str
    settings: Mapping[str, Any]
    rows: int

    @property
    def texts(self) -> list[str]:
        """The features that are text."""
        return [name for name, kind in self.kinds.items() if kind != "number"]


def constraints(document: Mapping[str, Any], found: Attributions, kinds: Mapping[str, str], background: Cells,
                source: str, settings: Mapping[str, Any], rows: int) -> dict[str, Any]:  # fmt: skip
    """The analysis of the baseline, and beside it the attributions of the rows it was made of."""
    listed = [[None if value != value else value for value in row] for row in background.tolist()]
    return {
        **document,
        MEMBER: {
            "settings": dict(settings), "rows": rows, "background": listed, "background_source": source,
            "columns": [{"name": name, "kind": kind} for name, kind in kinds.items()],
            "labels": list(found.labels), "expected": [float(each) for each in found.expected],
            "values": [[_rounded(row) for row in each] for each in found.values],
        },
    }  # fmt: skip


def read_constraints(document: Mapping[str, Any]) -> Baseline:
    """The constraints of a baseline. Raises InputUnreadable when the document is none, or was edited.

    Attributions are compared row by row with the window's, so an edited global value has nothing to stand on.
    """
    try:
        own = document[MEMBER]
        kinds = {each["name"]: each["kind"] for each in own["columns"]}
        values = np.array(own["values"], dtype=np.float64)
        values = values.reshape(len(own["labels"]), -1, len(kinds))
        found = Attributions(own["labels"], list(kinds), values, np.array(own["expected"], dtype=np.float64))
        method, aggregation = own["settings"]["method"], own["settings"]["aggregation"]
        written = document["explanations"][method]
        limits = [np.array([float(written[label]["global_shap_values"][name]) for name in kinds])
                  for label in found.labels]  # fmt: skip
        for place, limit in enumerate(limits):
            if not np.allclose(limit, found.of(place, aggregation), rtol=1e-4, atol=1e-7 * (1 + np.abs(limit).max())):
                raise InputUnreadable(
                    f"The global_shap_values of {found.labels[place]} in {CONSTRAINTS} were edited.",
                    hint="Make a new baseline; what is tolerated is set by policy.ndcg.",
                )
        return Baseline(found, limits, kinds, own["background"], own["background_source"], own["settings"],
                        int(own["rows"]))  # fmt: skip
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputUnreadable(
            f"{CONSTRAINTS} is no explainability baseline: {error!r}.", hint="Make a new baseline."
        ) from error


def moved(before: Numbers, now: Numbers, names: Sequence[str]) -> list[dict[str, Any]]:
    """The features whose share of the attributions changed most, with ranks and attributions then and now."""
    first, second = (np.abs(each) / (np.abs(each).sum() or 1.0) for each in (before, now))
    old, new = ranks(before), ranks(now)
    order = np.argsort(-np.abs(second - first), kind="stable")
    return [
        {"feature_name": names[place],
         "baseline": {"rank": int(old[place]), "attribution": float(before[place]), "share": float(first[place])},
         "observed": {"rank": int(new[place]), "attribution": float(now[place]), "share": float(second[place])}}
        for place in order.tolist()
    ]  # fmt: skip


def violation(label: str, likeness: Likeness, changes: Sequence[Mapping[str, Any]], policy: ShapPolicy,
              sizes: tuple[int, int], rows: Mapping[str, Any]) -> dict[str, Any]:  # fmt: skip
    """A violation in Model Monitor's form, with what a person needs to judge it."""
    most = changes[0]
    then, now = most["baseline"], most["observed"]
    return {
        "label": label,
        "metric_name": "shap",
        "constraint_check_type": "feature_attribution_drift_check",
        "description": f"The attributions of {label} have drifted: nDCG {likeness.value:.3f} is below "
        f"{policy.ndcg:g}, adjusted p {likeness.adjusted_p_value:.2g}. {most['feature_name']} moved most: rank "
        f"{then['rank']} with {then['attribution']:.3g}, now {now['rank']} with {now['attribution']:.3g}.",
        "feature_name": most["feature_name"],
        "test": "ndcg",
        "statistic": likeness.value,
        "threshold": policy.ndcg,
        "p_value": likeness.p_value,
        "adjusted_p_value": likeness.adjusted_p_value,
        "confidence_interval": list(likeness.interval),
        "baseline": dict(then),
        "observed": dict(now),
        "features": [dict(each) for each in changes[:MOVED]],
        "sample_sizes": {"baseline": sizes[0], "observed": sizes[1]},
        "rows": dict(rows),
    }
