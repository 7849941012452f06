"""One feature of a window beside the baseline's: every distance, every p-value, and where the difference lies."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from orchestrator.runtime.monitoring.distances import (
    binned,
    chi_square,
    jensen_shannon,
    l_infinity,
    psi,
    quantile_edges,
)
from orchestrator.runtime.monitoring.documents import LISTED_TEXTS, Feature
from orchestrator.runtime.monitoring.policy import Policy
from orchestrator.runtime.monitoring.probability import kolmogorov_smirnov_tail
from orchestrator.runtime.monitoring.sketch import Numbers, ks_distance

OTHER = "(other)"
ROBUSTNESS = 1.8
"""Model Monitor's Robust method takes ``1.8 * sqrt((n + m) / (n * m))`` off the distance before it compares."""
SURE = 4.0
"""A text is sure to be among the listed ones when its count is this many standard deviations above the least."""


@dataclass(slots=True)
class Measure:
    """One distance with its threshold; ``test`` names the p-value it needs, if any."""

    name: str
    statistic: float
    threshold: float
    p_value: float | None = None
    adjusted_p_value: float | None = None
    violated: bool = False

    def decide(self, alpha: float) -> None:
        """Large enough, and, where there is a test, not explained by chance."""
        significant = self.adjusted_p_value is None or self.adjusted_p_value <= alpha
        self.violated = significant and self.statistic >= self.threshold and self.statistic > 0

    def as_dict(self) -> dict[str, Any]:
        """The measure as JSON."""
        document: dict[str, Any] = {"name": self.name, "statistic": self.statistic, "threshold": self.threshold}
        if self.p_value is not None:
            document |= {"p_value": self.p_value, "adjusted_p_value": self.adjusted_p_value}
        return {**document, "violated": self.violated}


@dataclass(slots=True)
class Comparison:
    """All measures of a feature. ``shares`` are (label, low, high, baseline share, observed share) of each bin."""

    name: str
    baseline: Feature
    observed: Feature
    measures: list[Measure] = field(default_factory=list)
    shares: list[tuple[str, float, float, float, float]] = field(default_factory=list)
    place: float | None = None
    not_tested: str = ""

    @property
    def violated(self) -> bool:
        """Whether any measure is."""
        return any(measure.violated for measure in self.measures)

    @property
    def leading(self) -> Measure:
        """The measure to name first: the first violated one, in the order in which they are computed."""
        return next((measure for measure in self.measures if measure.violated), self.measures[0])

    @property
    def fullest(self) -> tuple[str, float, float, float, float]:
        """The bin in which the observed share has grown most."""
        return max(self.shares, key=lambda each: each[4] - each[3])


def compare(baseline: Feature, observed: Feature, policy: Policy, rules: Mapping[str, Any]) -> Comparison | None:
    """The feature's measures, not yet decided; None when the two are not of the same kind.

    ``rules`` are the ``distribution_constraints`` of the constraints document.
    """
    found = Comparison(baseline.name, baseline, observed)
    if baseline.is_number and observed.is_number:
        measure = _numbers
    elif baseline.kind == observed.kind == "String":
        measure = _texts
    else:
        return None
    if min(baseline.present, observed.present) < policy.least_rows:
        found.not_tested = f"fewer than {policy.least_rows} values"
    else:
        measure(found, policy, rules)
    return found


def _numbers(found: Comparison, policy: Policy, rules: Mapping[str, Any]) -> None:
    first, second = found.baseline.whole, found.observed.whole
    if first is None or second is None or not first.total or not second.total:
        found.not_tested = "the baseline keeps no distribution"
        return
    distance, found.place = ks_distance(first, second)
    n, m = first.total, second.total
    found.measures.append(Measure("kolmogorov_smirnov", distance, policy.ks, kolmogorov_smirnov_tail(distance, n, m)))
    edges = quantile_edges(first)
    base, seen = binned(first, edges), binned(second, edges)
    bounds = [-math.inf, *edges.tolist(), math.inf]
    for place, (low, high) in enumerate(pairwise(bounds)):
        found.shares.append((_interval(low, high), low, high, float(base[place] / n), float(seen[place] / m)))
    _binned_measures(found, base, seen, policy, categorical=False)
    _model_monitor(found, distance, n, m, rules, "comparison_threshold")


def _texts(found: Comparison, policy: Policy, rules: Mapping[str, Any]) -> None:
    labels = comparable_texts(found.baseline)
    base = np.array([float(found.baseline.texts[label]) for label in labels])
    seen = np.array([float(found.observed.texts.get(label, 0)) for label in labels])
    n, m = float(found.baseline.present), float(found.observed.present)
    rest = np.array([n - base.sum()]), np.array([m - seen.sum()])
    base, seen = np.concatenate([base, rest[0]]), np.concatenate([seen, rest[1]])
    for label, before, now in zip([*labels, OTHER], base, seen, strict=True):
        if before or now:
            found.shares.append((label, math.nan, math.nan, float(before / n), float(now / m)))
    if len(labels) == 0:
        found.not_tested = "no text is frequent enough to be compared"
        return
    _binned_measures(found, base, seen, policy, categorical=True)
    if rules.get("categorical_drift_method", "LInfinity") == "LInfinity":
        _model_monitor(found, l_infinity(base, seen), n, m, rules, "categorical_comparison_threshold")


def comparable_texts(baseline: Feature) -> list[str]:
    """The listed texts whose counts are not biased by having been listed.

    The statistics list the most frequent texts only. One that made the list by chance occurred more often in the
    baseline than it will again, so texts near the least listed count are compared as one group with all others.
    """
    if baseline.distinct <= len(baseline.texts) or len(baseline.texts) < LISTED_TEXTS:
        return list(baseline.texts)
    least = min(baseline.texts.values())
    return [text for text, count in baseline.texts.items() if count >= least + SURE * math.sqrt(least)]


def _binned_measures(found: Comparison, base: Numbers, seen: Numbers, policy: Policy, *, categorical: bool) -> None:
    test = chi_square(base, seen)
    if test is None:
        return
    if categorical:
        strength = math.sqrt(test.statistic / (base.sum() + seen.sum()))
        found.measures.append(Measure("chi_square_cramers_v", strength, policy.cramers_v, test.p_value))
    found.measures.append(Measure("psi", psi(base, seen), policy.psi, test.p_value))
    found.measures.append(Measure("jensen_shannon", jensen_shannon(base, seen), policy.jensen_shannon, test.p_value))


def _model_monitor(found: Comparison, distance: float, n: float, m: float, rules: Mapping[str, Any],
                   threshold: str) -> None:  # fmt: skip
    """Model Monitor's own rule, with the thresholds of the constraints document."""
    if rules.get("perform_comparison", "Enabled") != "Enabled":
        return
    robust = rules.get("comparison_method", "Robust") == "Robust"
    if robust:
        distance = max(0.0, distance - ROBUSTNESS * math.sqrt((n + m) / (n * m)))
    name = "l_infinity_robust" if robust else "l_infinity"
    found.measures.append(Measure(name, distance, float(rules.get(threshold, 0.1))))


def _interval(low: float, high: float) -> str:
    if math.isinf(low):
        return f"at most {high:.4g}" if not math.isinf(high) else "all values"
    return f"above {low:.4g}" if math.isinf(high) else f"{low:.4g} to {high:.4g}"
