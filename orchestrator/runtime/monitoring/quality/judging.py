"""A window's statistics beside the baseline's and the constraints: every metric that became worse, beyond chance.

A threshold that is the baseline's own value is an estimate: the window is compared with the baseline, and the chance of
both is taken into account. A threshold that was edited is a promise: the window alone is compared with it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from orchestrator.runtime.monitoring.checks import CORRECTED
from orchestrator.runtime.monitoring.failures import InputUnreadable
from orchestrator.runtime.monitoring.probability import more_often_tail
from orchestrator.runtime.monitoring.quality.chance import binomial_tail, normal_tail, together, welch_tail
from orchestrator.runtime.monitoring.quality.policy import QualityPolicy
from orchestrator.runtime.monitoring.quality.rules import GREATER, KEYS, LESS, RULES, Rule, Test
from orchestrator.runtime.monitoring.quality.settings import Problem
from orchestrator.runtime.monitoring.quality.tables import Table, matrix_of, permutation_tails

LEAST_OF_A_LABEL = 10
"""Areas under curves are judged from so many rows of each label on."""
LEAST_DRAWS, MOST_DRAWS = 2_000, 1_000_000


@dataclass(slots=True)
class Judgement:
    """One metric of the window beside its constraint. ``not_judged`` says why nothing was decided."""

    name: str
    rule: Rule
    threshold: float
    baseline: Mapping[str, Any]
    observed: Mapping[str, Any]
    estimated: bool
    not_judged: str = ""
    p_value: float | None = None
    adjusted_p_value: float | None = None
    violated: bool = False

    @property
    def worse(self) -> bool:
        """Whether the observed value is on the wrong side of the threshold."""
        value = self.observed.get("value")
        if value is None:
            return False
        return bool(value < self.threshold if self.rule.worse == LESS else value > self.threshold)

    @property
    def test(self) -> str:
        """What the p-value is of."""
        if self.p_value is None:
            return "threshold"
        if self.estimated:
            return self.rule.test.value
        return {Test.SHARE: "binomial", Test.TABLE: "normal", Test.MEAN: "student"}.get(
            self.rule.test, self.rule.test.value
        )


@dataclass(slots=True)
class Judging:
    """All metrics of one window."""

    problem: Problem
    baseline: Mapping[str, Any]
    observed: Mapping[str, Any]
    constraints: Mapping[str, Any]
    policy: QualityPolicy
    judgements: list[Judgement] = field(default_factory=list)
    tests: int = 0

    def run(self) -> None:
        """Ask about every metric, correct for their number, and decide. Raises InputUnreadable for wrong documents."""
        self.judgements = self._constrained()
        tables = _Tables(self)
        asked: dict[tuple[str, float], list[Judgement]] = {}
        for each in self.judgements:
            each.not_judged = self._reason(each, tables)
            if not each.not_judged and not self.policy.strict:
                p_value = each.p_value = tables.p_value(each)
                asked.setdefault((each.rule.question, round(p_value, 12)), []).append(each)
        self.tests = len(asked)
        adjusted = CORRECTED[self.policy.correction]([same[0].p_value or 0.0 for same in asked.values()])
        for same, p_value in zip(asked.values(), adjusted, strict=True):
            for each in same:
                each.adjusted_p_value = p_value
        for each in self.judgements:
            sure = self.policy.strict or (each.adjusted_p_value is not None
                                          and each.adjusted_p_value <= self.policy.alpha)  # fmt: skip
            each.violated = not each.not_judged and each.worse and sure

    def _constrained(self) -> list[Judgement]:
        key, rules = KEYS[self.problem], RULES[self.problem]
        before = metrics_of(self.baseline, self.problem, "statistics.json of the baseline")
        now = metrics_of(self.observed, self.problem, "statistics.json")
        wanted = self.constraints.get(f"{key}_constraints")
        if not isinstance(wanted, Mapping):
            raise InputUnreadable(
                f"constraints.json has no {key}_constraints.", hint="Make a new baseline, or check problem_type."
            )
        found, wrong = [], []
        for name, constraint in wanted.items():
            rule = rules.get(name)
            threshold = _number(constraint.get("threshold")) if isinstance(constraint, Mapping) else None
            if rule is None:
                wrong.append(f"there is no metric {name}")
            elif threshold is None:
                wrong.append(f"the threshold of {name} is no number")
            elif constraint.get("comparison_operator") != rule.worse:
                wrong.append(f"the comparison_operator of {name} must be {rule.worse}")
            else:
                first, second = before.get(name) or {}, now.get(name) or {"value": None}
                value = _number(first.get("value"))
                estimated = (
                    value is not None
                    and math.isclose(value, threshold, rel_tol=1e-9, abs_tol=1e-12)
                    and "standard_error" in first
                )
                found.append(Judgement(name, rule, threshold, first, second, estimated))
        if wrong:
            raise InputUnreadable(
                f"constraints.json is wrong: {'; '.join(wrong)}.", hint=f"The metrics are: {', '.join(rules)}."
            )
        return found

    def _reason(self, each: Judgement, tables: _Tables) -> str:
        """Why a metric is not judged; empty when it is."""
        if each.observed.get("value") is None:
            return str(each.observed.get("undefined") or "it was not measured")
        if self.policy.strict:
            return ""
        if each.observed["of"] < self.policy.least_rows and each.rule.test is not Test.SHARE:
            return f"fewer than {self.policy.least_rows} rows"
        if tables.rows < self.policy.least_rows:
            return f"fewer than {self.policy.least_rows} rows"
        if each.rule.test is Test.AREA and tables.least_of_a_label < LEAST_OF_A_LABEL:
            return f"fewer than {LEAST_OF_A_LABEL} rows of a label"
        return ""


class _Tables:
    """The confusion matrices of both sides, and the p-values."""

    def __init__(self, judging: Judging) -> None:
        self._judging = judging
        datasets = [document.get("dataset") or {} for document in (judging.baseline, judging.observed)]
        self._counts = [(int(each.get("unusable_count", 0)), int(each.get("labelled_count", 0))) for each in datasets]
        self.rows = self._counts[1][1]
        matrices = [
            (document.get(f"{KEYS[judging.problem]}_metrics") or {}).get("confusion_matrix") or {}
            for document in (judging.baseline, judging.observed)
        ]
        labels = sorted({label for matrix in matrices for label in matrix})
        self._before, self._now = (matrix_of(matrix, labels) for matrix in matrices)
        self._permuted: dict[str, float] | None = None

    @property
    def least_of_a_label(self) -> float:
        """How many rows the rarer label of the window has."""
        return float(self._now.sum(axis=1).min()) if self._now.size else 0.0

    def p_value(self, each: Judgement) -> float:
        """How often chance alone makes a metric this much worse, when nothing has changed."""
        if each.rule.test is Test.SHARE:
            return self._share(each)
        if each.rule.test is Test.TABLE and each.estimated:
            return self._permutation()[each.name]
        if each.rule.test is Test.MEAN:
            return _mean(each)
        return self._area(each)

    def _bad(self, each: Judgement, side: int, table: Table) -> tuple[int, int]:
        if each.rule.bad is None:
            return self._counts[side]
        bad, of = each.rule.bad(table)
        return round(bad), round(of)

    def _share(self, each: Judgement) -> float:
        bad, of = self._bad(each, 1, self._now)
        if each.estimated:
            before, before_of = self._bad(each, 0, self._before)
            return more_often_tail(bad, of, before, before_of)
        threshold = each.threshold / (2 - each.threshold) if each.name == "f1" else each.threshold
        limit = threshold if each.rule.worse == GREATER else 1 - threshold
        return binomial_tail(bad, of, min(1.0, max(0.0, limit)))

    def _permutation(self) -> dict[str, float]:
        """All functions of the matrix share their draws."""
        if self._permuted is None:
            judging = self._judging
            functions = {
                each.name: each.rule.function
                for each in judging.judgements
                if each.estimated and each.rule.function is not None
            }
            draws = math.ceil(4 * len(judging.judgements) / judging.policy.alpha)
            draws = min(MOST_DRAWS, max(LEAST_DRAWS, draws))
            self._permuted = permutation_tails(self._before, self._now, functions, draws)
        return self._permuted

    def _area(self, each: Judgement) -> float:
        """Two areas (or an area and a threshold) as normal variables, on the scale of their angles."""
        now, error, of = self._angle(each.observed, self._now)
        before, other, before_of = _angle_of(each.threshold), 0.0, 0.0
        if each.estimated:
            before, other, before_of = self._angle(each.baseline, self._before)
        deviation = together(error, of, other, before_of)
        return normal_tail((before - now) / deviation) if deviation else float(now >= before)

    def _angle(self, metric: Mapping[str, Any], table: Table) -> tuple[float, float, float]:
        """The angle of a share, its standard error, and the rows behind it: those of the rarer label.

        The angle changes as fast as a share's spread, up to 0 and 1, where the error is that of a share of as many
        rows.
        """
        of = max(1.0, float(table.sum(axis=1).min())) if len(table) == 2 else float(metric["of"])
        value, error = float(metric["value"]), float(metric["standard_error"])
        slope = 2 * math.sqrt(value * (1 - value))
        return _angle_of(value), error / slope if slope and error else 1 / (2 * math.sqrt(of)), of


def _angle_of(share: float) -> float:
    return math.asin(math.sqrt(min(1.0, max(0.0, share))))


def _mean(each: Judgement) -> float:
    """Welch's test of two means, or Student's of one; a root is judged by its square."""
    sides = [each.observed, each.baseline if each.estimated else {"value": each.threshold}]
    values = [(float(side["value"]), float(side.get("standard_error") or 0.0), int(side.get("of") or 0))
              for side in sides]  # fmt: skip
    if each.name == "rmse":
        values = [(value**2, 2 * value * error, of) for value, error, of in values]
    (now, error, of), (before, other, before_of) = values
    difference = now - before if each.rule.worse == GREATER else before - now
    if not each.estimated:
        return welch_tail(difference, error, of)
    wide = together(error, of, other, before_of) / math.hypot(error, other) if error or other else 1.0
    return welch_tail(difference / wide, error, of, other, before_of)


def metrics_of(document: Mapping[str, Any], problem: Problem, place: str) -> Mapping[str, Any]:
    """The metrics of a statistics document; a value that is no number (Model Monitor writes ``"NaN"``) is None.

    Raises InputUnreadable when the document has none of this problem.
    """
    body = document.get(f"{KEYS[problem]}_metrics")
    if not isinstance(body, Mapping):
        raise InputUnreadable(
            f"{place} has no {KEYS[problem]}_metrics.", hint="Make a new baseline, or check problem_type."
        )
    return {
        name: {**each, "value": _number(each["value"])} if isinstance(each, Mapping) and "value" in each else each
        for name, each in body.items()
    }


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)
