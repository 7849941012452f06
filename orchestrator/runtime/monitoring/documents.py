"""Profiles as Model Monitor's ``statistics.json`` and ``constraints.json``, and statistics read back for comparison.

Sources: https://docs.aws.amazon.com/sagemaker/latest/dg/model-monitor-byoc-statistics.html
and https://docs.aws.amazon.com/sagemaker/latest/dg/model-monitor-byoc-constraints.html
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from orchestrator.runtime.monitoring.failures import InputMissing, InputUnreadable
from orchestrator.runtime.monitoring.profile import Column, NumberColumn, OtherColumn, Profile, TextColumn, sketch_size
from orchestrator.runtime.monitoring.sketch import Distribution, compact, stored

BUCKETS = 10
LISTED_TEXTS = 100
"""So many of the most frequent texts are listed; a domain has at most as many."""
STORED_SKETCH = 2048
SHRINKING = 0.64


def statistics(profile: Profile) -> dict[str, Any]:
    """The statistics document of a profile."""
    size = min(STORED_SKETCH, sketch_size(len(profile.columns)))
    return {
        "version": 0.0,
        "dataset": {"item_count": profile.rows},
        "features": [_feature(column, size) for column in profile.columns.values()],
    }


def _feature(column: Column, size: int) -> dict[str, Any]:
    common: dict[str, Any] = {"num_present": column.present, "num_missing": column.missing}
    if isinstance(column, NumberColumn):
        if column.unparsable:
            common["num_unparsable"] = column.unparsable
        if column.present:
            kind = "Integral" if column.whole else "Fractional"
            return {"name": column.name, "inferred_type": kind, "numerical_statistics": _numbers(column, common, size)}
    if isinstance(column, TextColumn) and column.present:
        return {"name": column.name, "inferred_type": "String", "string_statistics": _texts(column, common)}
    return {"name": column.name, "inferred_type": "Unknown", "string_statistics": {"common": common}}


def _numbers(column: NumberColumn, common: dict[str, Any], size: int) -> dict[str, Any]:
    whole = column.distribution()
    edges = np.linspace(column.least, column.greatest, BUCKETS + 1)
    if not np.isfinite(edges).all() or (np.diff(edges) <= 0).any():
        edges = np.array([column.least, column.greatest])
    counts = whole.histogram(edges) if edges[0] < edges[-1] else np.array([whole.total])
    buckets = [
        {"lower_bound": float(low), "upper_bound": float(high), "count": float(count)}
        for low, high, count in zip(edges[:-1], edges[1:], counts, strict=True)
    ]
    sketch = {"parameters": {"c": SHRINKING, "k": float(size)}, "data": compact(whole, size)}
    return {
        "common": common,
        "mean": _finite(column.mean),
        "sum": _finite(column.total),
        "std_dev": _finite(float(np.sqrt(column.squares / column.present))),
        "min": column.least,
        "max": column.greatest,
        "distribution": {"kll": {"buckets": buckets, "sketch": sketch}},
    }


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None


def _texts(column: TextColumn, common: dict[str, Any]) -> dict[str, Any]:
    buckets = [{"value": value, "count": count} for value, count in column.counter.most_common(LISTED_TEXTS)]
    return {
        "common": common,
        "distinct_count": float(column.counter.distinct),
        "distribution": {"categorical": {"buckets": buckets}},
    }


def constraints(profile: Profile) -> dict[str, Any]:
    """The constraints a profile suggests; a person may edit them.

    A domain is suggested when each of its texts occurred more than once: by Good and Turing's estimate, the chance
    that the next row brings a new text is the share of texts seen once.
    """
    features = []
    for column in profile.columns.values():
        completeness = column.present / profile.rows if profile.rows else 0.0
        feature: dict[str, Any] = {"name": column.name, "inferred_type": "Unknown", "completeness": completeness}
        if isinstance(column, NumberColumn) and column.present:
            feature["completeness"] = (column.present + column.unparsable) / profile.rows
            feature["inferred_type"] = "Integral" if column.whole else "Fractional"
            feature["num_constraints"] = {"is_non_negative": column.least >= 0}
        elif isinstance(column, TextColumn) and column.present:
            feature["inferred_type"] = "String"
            counter = column.counter
            if counter.exact and counter.distinct <= LISTED_TEXTS and not counter.once():
                listed = sorted(value for value, _ in counter.most_common(LISTED_TEXTS))
                feature["string_constraints"] = {"domains": listed}
        features.append(feature)
    return {"version": 0.0, "features": features, "monitoring_config": monitoring_config()}


def monitoring_config() -> dict[str, Any]:
    """Model Monitor's own thresholds, as its baseline job writes them."""
    return {
        "evaluate_constraints": "Enabled",
        "emit_metrics": "Enabled",
        "datatype_check_threshold": 1.0,
        "domain_content_threshold": 1.0,
        "distribution_constraints": {
            "perform_comparison": "Enabled",
            "comparison_threshold": 0.1,
            "comparison_method": "Robust",
            "categorical_comparison_threshold": 0.1,
            "categorical_drift_method": "LInfinity",
        },
    }


@dataclass(frozen=True, slots=True)
class Feature:
    """One feature of a statistics document, ready to be compared."""

    name: str
    kind: str
    present: int
    missing: int
    unparsable: int = 0
    numbers: Mapping[str, Any] = field(default_factory=dict)
    whole: Distribution | None = None
    texts: Mapping[str, int] = field(default_factory=dict)
    distinct: int = 0

    @property
    def rows(self) -> int:
        """How many rows the feature was looked for in."""
        return self.present + self.missing + self.unparsable

    @property
    def is_number(self) -> bool:
        """Whether its values are numbers."""
        return self.kind in ("Integral", "Fractional")


def features(document: Mapping[str, Any], place: str) -> dict[str, Feature]:
    """The features of a statistics document by name. Raises InputUnreadable when it is none."""
    try:
        return {each["name"]: _read_feature(each) for each in document["features"]}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputUnreadable(f"{place} is no statistics document: {error!r}.", hint="Make a new baseline.") from error


def _read_feature(each: Mapping[str, Any]) -> Feature:
    body = each.get("numerical_statistics") or each.get("string_statistics") or {}
    common = body.get("common", {})
    whole, texts = None, {}
    distributions = body.get("distribution") or {}
    if "kll" in distributions:
        whole = stored(distributions["kll"]["sketch"]["data"])
    if "categorical" in distributions:
        texts = {str(bucket["value"]): int(bucket["count"]) for bucket in distributions["categorical"]["buckets"]}
    return Feature(
        name=each["name"],
        kind=str(each["inferred_type"]),
        present=int(common.get("num_present", 0)),
        missing=int(common.get("num_missing", 0)),
        unparsable=int(common.get("num_unparsable", 0)),
        numbers={name: body.get(name) for name in ("mean", "std_dev", "min", "max")} if whole is not None else {},
        whole=whole,
        texts=texts,
        distinct=int(body.get("distinct_count") or 0),
    )


def profiled(profile: Profile) -> dict[str, Feature]:
    """The features of a profile, with the full sketches instead of the stored ones."""
    found = {}
    for column in profile.columns.values():
        if isinstance(column, NumberColumn) and column.present:
            found[column.name] = Feature(
                column.name, "Integral" if column.whole else "Fractional", column.present, column.missing,
                column.unparsable,
                {"mean": _finite(column.mean), "std_dev": _finite(float(np.sqrt(column.squares / column.present))),
                 "min": column.least, "max": column.greatest},
                column.distribution(),
            )  # fmt: skip
        elif isinstance(column, TextColumn) and column.present:
            texts = dict(column.counter.most_common(column.counter.capacity))
            kind = "String"
            found[column.name] = Feature(
                column.name, kind, column.present, column.missing, texts=texts, distinct=column.counter.distinct
            )
        else:
            bad = column.unparsable if isinstance(column, NumberColumn) else 0
            kind = "Unknown" if isinstance(column, OtherColumn) or not bad else "String"
            found[column.name] = Feature(column.name, kind, column.present, column.missing, bad)
    return found


def load(path: Path) -> dict[str, Any]:
    """A document that was written before. Raises InputMissing or InputUnreadable."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputMissing(f"There is no {path}.", hint="Make a baseline first: `mlops monitor baseline`.") from error
    except (OSError, ValueError) as error:
        raise InputUnreadable(f"{path} is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise InputUnreadable(f"{path} is not a JSON object.")
    return document
