"""A window beside the baseline's constraints and statistics: every violation, with what a person needs to judge it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from orchestrator.runtime.monitoring.comparison import OTHER, Comparison, Measure, compare
from orchestrator.runtime.monitoring.documents import Feature
from orchestrator.runtime.monitoring.evidence import Evidence
from orchestrator.runtime.monitoring.policy import Policy
from orchestrator.runtime.monitoring.probability import benjamini_hochberg, holm, more_often_tail

Violation = dict[str, Any]
CORRECTED: Mapping[str, Callable[[Sequence[float]], list[float]]] = {
    "holm": holm,
    "benjamini-hochberg": benjamini_hochberg,
    "none": list,
}


@dataclass(slots=True)
class Question:
    """One hypothesis that is tested: its p-value, and what to do with the adjusted one.

    Every question that could be asked is asked, also where the answer is plain: the correction counts them all.
    """

    p_value: float
    answer: Callable[[float], None]


@dataclass(slots=True)
class Checks:
    """All checks of one window."""

    baseline: Mapping[str, Feature]
    observed: Mapping[str, Feature]
    constraints: Mapping[str, Mapping[str, Any]]
    settings: Mapping[str, Any]
    rows: int
    policy: Policy
    evidence: Evidence
    violations: list[Violation] = field(default_factory=list)
    comparisons: list[Comparison] = field(default_factory=list)
    tests: int = 0
    _questions: list[Question] = field(default_factory=list)

    def run(self) -> None:
        """Ask every question, correct for their number, and note the violations."""
        self._schema()
        for name, constraint in self.constraints.items():
            feature = self.observed.get(name)
            if feature is not None:
                self._completeness(feature, constraint)
                self._types(feature, constraint)
                self._sign(feature, constraint)
                self._domain(feature, constraint)
        rules = self.settings.get("distribution_constraints") or {}
        for name, feature in self.observed.items():
            if name in self.baseline and name in self.constraints:
                comparison = compare(self.baseline[name], feature, self.policy, rules)
                if comparison is not None:
                    self.comparisons.append(comparison)
                    self._ask_about(comparison)
        self._answer()
        for comparison in self.comparisons:
            for measure in comparison.measures:
                measure.decide(self.policy.alpha)
            if comparison.violated:
                self.violations.append(self._drift(comparison))

    def _answer(self) -> None:
        self.tests = len(self._questions)
        adjusted = CORRECTED[self.policy.correction]([question.p_value for question in self._questions])
        for question, p_value in zip(self._questions, adjusted, strict=True):
            question.answer(p_value)

    def _ask_about(self, comparison: Comparison) -> None:
        """One question for each different p-value: distances over the same bins share their chi-square test."""
        by_test: dict[bool, list[Measure]] = {}
        for measure in comparison.measures:
            if measure.p_value is not None:
                by_test.setdefault(measure.name == "kolmogorov_smirnov", []).append(measure)
        for measures in by_test.values():

            def answer(adjusted: float, measures: list[Measure] = measures) -> None:
                for measure in measures:
                    measure.adjusted_p_value = adjusted

            self._questions.append(Question(measures[0].p_value or 0.0, answer))

    def _note(self, feature: str, check: str, description: str, **details: Any) -> None:
        self.violations.append(
            {"feature_name": feature, "constraint_check_type": check, "description": description, **details}
        )

    def _sizes(self, name: str) -> dict[str, int]:
        baseline = self.baseline.get(name)
        return {"baseline": baseline.rows if baseline else 0, "observed": self.rows}

    def _rows(self, where: str, name: str, reason: str) -> dict[str, Any]:
        return {"where": where, "count": self.evidence.counts[name, reason], "examples": self.evidence.of(name, reason)}

    def _schema(self) -> None:
        sizes = {"baseline": len(self.constraints), "observed": len(self.observed)}
        missing = [name for name in self.constraints if name not in self.observed]
        extra = [name for name in self.observed if name not in self.constraints]
        for check, names, words in (
            ("missing_column_check", missing, "is in the baseline but not here"),
            ("extra_column_check", extra, "is here but not in the baseline"),
        ):
            for name in names:
                here = check.startswith("extra")
                self._note(
                    name, check, f"The column {name} {words}.", test="schema", statistic=1.0, threshold=0.0,
                    baseline={"columns": sizes["baseline"], "present": not here},
                    observed={"columns": sizes["observed"], "present": here},
                    sample_sizes=self._sizes(name), rows={"where": "all rows", "count": self.rows, "examples": []},
                )  # fmt: skip

    def _completeness(self, feature: Feature, constraint: Mapping[str, Any]) -> None:
        """A feature that never missed a value must not; others must not miss values more often than chance explains."""
        required = float(constraint.get("completeness", 0.0))
        share = 1 - feature.missing / feature.rows if feature.rows else 1.0
        baseline = self.baseline.get(feature.name)
        of = baseline.rows if baseline else 0
        strict = required >= 1.0 or self.policy.completeness == "strict" or not of
        if strict and share >= required:
            return
        p_value = None if strict else more_often_tail(feature.missing, feature.rows, round((1 - required) * of), of)

        def note(adjusted: float | None) -> None:
            self._note(
                feature.name, "completeness_check",
                f"{feature.missing} of {feature.rows} values of {feature.name} are missing: completeness {share:.6g} "
                f"is less than the required {required:.6g}.",
                test="completeness" if strict else "fisher_exact", statistic=share, threshold=required,
                p_value=p_value, adjusted_p_value=adjusted,
                baseline={"completeness": required}, observed={"completeness": share, "missing": feature.missing},
                sample_sizes=self._sizes(feature.name),
                rows=self._rows(f"{feature.name} is missing", feature.name, "missing"),
            )  # fmt: skip

        self._decide(p_value, note)

    def _decide(self, p_value: float | None, note: Callable[[float | None], None]) -> None:
        """Note it at once when there is no test; otherwise when the p-value, adjusted for the others, says so."""
        if p_value is None:
            note(None)
            return

        def answer(adjusted: float) -> None:
            if adjusted <= self.policy.alpha:
                note(adjusted)

        self._questions.append(Question(p_value, answer))

    def _types(self, feature: Feature, constraint: Mapping[str, Any]) -> None:
        wanted = str(constraint.get("inferred_type", "Unknown"))
        if wanted in ("Integral", "Fractional"):
            reason = "unparsable"
            wrong = self.evidence.counts[feature.name, "unparsable"]
            if wanted == "Integral" and (fractions := self.evidence.counts[feature.name, "fraction"]):
                wrong, reason = wrong + fractions, reason if wrong else "fraction"
        elif wanted == "String" and self._became_number(feature):
            wrong, reason = feature.present, ""
        else:
            return
        values = feature.present + feature.unparsable
        share = 1 - wrong / values if values else 1.0
        required = float(self.settings.get("datatype_check_threshold", 1.0))
        if share >= required:
            return
        baseline = self.baseline.get(feature.name)
        before, of = (baseline.unparsable, baseline.present + baseline.unparsable) if baseline else (0, 0)
        p_value = more_often_tail(wrong, values, before, of) if before and reason == "unparsable" else None

        def note(adjusted: float | None) -> None:
            self._note(
                feature.name, "data_type_check",
                f"{wrong} of {values} values of {feature.name} are not {wanted}: {share:.6g} are, "
                f"{required:.6g} is required.",
                test="data_type" if p_value is None else "fisher_exact", statistic=share, threshold=required,
                p_value=p_value, adjusted_p_value=adjusted,
                baseline={"type": wanted, "unparsable": before},
                observed={"type": feature.kind if reason else "numbers", "unparsable": wrong},
                sample_sizes={"baseline": of, "observed": values},
                rows=self._rows(f"{feature.name} is not {wanted}", feature.name, reason),
            )  # fmt: skip

        self._decide(p_value, note)

    def _became_number(self, feature: Feature) -> bool:
        """Texts in the baseline, numbers only here."""
        baseline = self.baseline.get(feature.name)
        if feature.kind != "String" or not feature.texts or baseline is None or not baseline.texts:
            return False
        return all(map(_is_number, feature.texts)) and not any(map(_is_number, baseline.texts))

    def _sign(self, feature: Feature, constraint: Mapping[str, Any]) -> None:
        """Negative values where the baseline had none, more of them than chance explains."""
        negative = self.evidence.counts[feature.name, "negative"]
        baseline = self.baseline.get(feature.name)
        if (
            not feature.is_number
            or baseline is None
            or not (constraint.get("num_constraints") or {}).get("is_non_negative")
        ):
            return
        p_value = more_often_tail(negative, feature.present, 0, baseline.present)

        def note(adjusted: float | None) -> None:
            self._note(
                feature.name, "data_type_check",
                f"{negative} of {feature.present} values of {feature.name} are negative; none of the baseline's "
                f"{baseline.present} was.",
                test="fisher_exact", statistic=negative / feature.present, threshold=0.0,
                p_value=p_value, adjusted_p_value=adjusted,
                baseline={"min": baseline.numbers.get("min")}, observed={"min": feature.numbers.get("min")},
                sample_sizes={"baseline": baseline.present, "observed": feature.present},
                rows=self._rows(f"{feature.name} is negative", feature.name, "negative"),
            )  # fmt: skip

        self._decide(p_value, note)

    def _domain(self, feature: Feature, constraint: Mapping[str, Any]) -> None:
        domain = (constraint.get("string_constraints") or {}).get("domains")
        unknown = self.evidence.counts[feature.name, "unknown"]
        if domain is None or not unknown or not feature.present:
            return
        share = 1 - unknown / feature.present
        required = float(self.settings.get("domain_content_threshold", 1.0))
        if share >= required:
            return
        strange = sorted(set(map(str, feature.texts)) - set(map(str, domain)))[:10]
        self._note(
            feature.name, "categorical_values_check",
            f"{unknown} of {feature.present} values of {feature.name} are not among the baseline's {len(domain)}: "
            f"{', '.join(strange[:3])}{', ...' if len(strange) > 3 else ''}. "
            f"{share:.6g} are, {required:.6g} is required.",
            test="domain", statistic=share, threshold=required,
            baseline={"domain": list(domain)}, observed={"unknown": strange},
            sample_sizes=self._sizes(feature.name),
            rows=self._rows(f"{feature.name} has an unknown value", feature.name, "unknown"),
        )  # fmt: skip

    def _drift(self, found: Comparison) -> Violation:
        leading = found.leading
        label, low, high, before, now = found.fullest
        if found.baseline.is_number:
            where, examples = f"{found.name} {label}", self.evidence.within(found.name, low, high)
        elif label == OTHER:
            where = f"{found.name} is none of the baseline's frequent values"
            examples = self.evidence.beside(found.name, found.baseline.texts)
        else:
            where, examples = f"{found.name} = {label}", self.evidence.equal(found.name, label)
        chance = "" if leading.adjusted_p_value is None else f", adjusted p {leading.adjusted_p_value:.2g}"
        return {
            "feature_name": found.name,
            "constraint_check_type": "baseline_drift_check",
            "description": f"{found.name} has drifted: {leading.name} {leading.statistic:.4g} is at least "
            f"{leading.threshold:.4g}{chance}. {where}: {now:.1%} of the rows, {before:.1%} in the baseline.",
            "test": leading.name,
            "statistic": leading.statistic,
            "threshold": leading.threshold,
            "p_value": leading.p_value,
            "adjusted_p_value": leading.adjusted_p_value,
            "baseline": {**_summary(found.baseline), "share": before},
            "observed": {**_summary(found.observed), "share": now},
            "sample_sizes": {"baseline": found.baseline.present, "observed": found.observed.present},
            "rows": {"where": where, "count": round(now * found.observed.present), "examples": examples},
            "measures": [measure.as_dict() for measure in found.measures],
        }

    def not_tested(self) -> Iterator[dict[str, str]]:
        """Features whose distributions were not compared, and why."""
        for comparison in self.comparisons:
            if comparison.not_tested:
                yield {"feature_name": comparison.name, "reason": comparison.not_tested}


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _summary(feature: Feature) -> dict[str, Any]:
    if feature.is_number:
        return dict(feature.numbers)
    most = sorted(feature.texts.items(), key=lambda each: -each[1])[:3]
    return {"distinct": feature.distinct, "most_common": [{"value": value, "count": count} for value, count in most]}
