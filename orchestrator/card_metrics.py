"""Metric files of evaluation jobs, as groups of a model card: Clarify's analyses and the model quality reports."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from orchestrator.errors import BadRequest

Group = dict[str, Any]
MATRICES = frozenset({"confusion_matrix"})
CURVES = {
    "receiver_operating_characteristic_curve": ("false_positive_rates", "true_positive_rates"),
    "precision_recall_curve": ("recalls", "precisions"),
}


def groups_of(document: Any, kind: str, uri: str) -> list[Group]:
    """The metric groups of a file. Raises BadRequest when the file is not of this kind."""
    try:
        found = list(_READERS[kind](document))
    except (KeyError, TypeError, AttributeError, ValueError, IndexError) as error:
        raise BadRequest(f"The metric file {uri} is no {kind} report: {type(error).__name__} {error}.") from error
    if not found:
        raise BadRequest(f"The metric file {uri} holds no metrics of the kind {kind}.")
    return found


def _own(document: Mapping[str, Any]) -> Iterator[Group]:
    """Groups written in the card's own form."""
    for group in document["metric_groups"]:
        yield {"name": group["name"], "metric_data": list(group["metric_data"])}


def _quality(document: Mapping[str, Any]) -> Iterator[Group]:
    """A model quality report: ``{"<kind>_metrics": {metric: {"value", "standard_deviation"}}}``."""
    for name, metrics in document.items():
        if isinstance(metrics, Mapping) and name.endswith("_metrics"):
            yield {"name": name, "metric_data": [one for key, each in metrics.items() for one in _metric(key, each)]}


def _metric(name: str, about: Mapping[str, Any]) -> Iterator[Group]:
    if name in MATRICES:
        labels = list(about)
        rows = [[about[actual].get(predicted, 0) for predicted in labels] for actual in labels]
        yield {"name": name, "type": "matrix", "value": rows, "x_axis_name": labels, "y_axis_name": labels}
    elif name in CURVES:
        across, up = CURVES[name]
        points = [list(pair) for pair in zip(about[across], about[up], strict=True)]
        yield {"name": name, "type": "linear_graph", "value": points, "x_axis_name": across, "y_axis_name": up}
    else:
        yield _number(name, about["value"])
        if isinstance(about.get("standard_deviation"), int | float):
            yield _number(f"{name} - standard_deviation", about["standard_deviation"])


def _number(name: str, value: Any) -> Group:
    kind = "number" if isinstance(value, int | float) and not isinstance(value, bool) else "string"
    return {"name": name, "type": kind, "value": value if kind == "number" else str(value)}


def _bias(document: Mapping[str, Any]) -> Iterator[Group]:
    """Clarify's bias analysis: for each label and facet value the metrics before and after training."""
    for stage in ("pre_training_bias_metrics", "post_training_bias_metrics"):
        report = document.get(stage)
        if not report:
            continue
        label = f"label {report['label']} = {report['label_value_or_threshold']}"
        for facet, values in report["facets"].items():
            for each in values:
                yield {
                    "name": f"{stage} - {label} and facet {facet}={each['value_or_threshold']}",
                    "metric_data": [
                        {**_number(metric["name"], metric["value"]), "notes": str(metric.get("description", ""))}
                        for metric in each["metrics"]
                        if metric.get("value") is not None
                    ],
                }


def _explainability(document: Mapping[str, Any]) -> Iterator[Group]:
    """Clarify's explanations: the global SHAP values of each label, and the partial dependences."""
    explanations = document["explanations"]
    for label, about in explanations.get("kernel_shap", {}).items():
        values = about.get("global_shap_values", {})
        bars = {"type": "bar_chart", "value": list(values.values()), "x_axis_name": list(values)}
        yield {
            "name": f"explanations - global_shap_values, label={label}",
            "metric_data": [{"name": label, **bars, "y_axis_name": "global_shap_values"}],
        }
    dependences = explanations.get("pdp", [])
    charts = [
        {
            "name": each["feature_name"],
            "type": "linear_graph",
            "value": [list(pair) for pair in zip(each["feature_values"], predictions, strict=True)],
            "x_axis_name": each["feature_name"],
            "y_axis_name": "model prediction",
        }
        for each in dependences
        for predictions in each["model_predictions"]
    ]
    if charts:
        yield {"name": "explanations - pdp", "metric_data": charts}


_READERS = {
    "model_card_metric_schema": _own,
    "regression": _quality,
    "binary_classification": _quality,
    "multiclass_classification": _quality,
    "clarify_bias": _bias,
    "clarify_explainability": _explainability,
}
