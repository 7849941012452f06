"""Every metric of every view: in a data set by itself, and in a window beside its baseline."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from orchestrator.runtime.monitoring.bias import chance
from orchestrator.runtime.monitoring.bias.chance import SAME_AS_DPL, Family, Key, Outcome
from orchestrator.runtime.monitoring.bias.counting import Counting
from orchestrator.runtime.monitoring.bias.documents import Baseline
from orchestrator.runtime.monitoring.bias.flipping import Flips
from orchestrator.runtime.monitoring.bias.formulas import METRICS
from orchestrator.runtime.monitoring.bias.settings import BiasPolicy
from orchestrator.runtime.monitoring.bias.tables import Counts, View

WORDS = {0: "negative", 1: "positive"}


def described(counting: Counting, views: Sequence[View], policy: BiasPolicy) -> list[Outcome]:
    """The metrics of a data set with their intervals. Metrics of predictions are left out where there are none."""
    found = []
    for view in views:
        values = chance.values(counting.counts, view)
        intervals = chance.intervals(counting.counts, view, policy.seed) if counting.rows else {}
        for name, metric in METRICS.items():
            rows = chance.sizes(counting.counts, view, metric)
            if metric.trained and not predicted(counting.counts):
                continue
            if metric.grouped and not counting.group:
                found.append(Outcome(view, name, math.nan, rows=rows,
                                     reason="Group variable is empty or not provided."))  # fmt: skip
            elif metric.formula is None:
                found.append(_flip(view, name, counting.flips(view), rows))
            else:
                found.append(Outcome(view, name, values[name], intervals.get(name), rows=rows))
    return found


def predicted(counts: Counts) -> bool:
    """Whether any row has a prediction."""
    return any(cell[-2] != "2" for cell in counts.cells)


def _flip(view: View, name: str, flips: Flips | str, rows: tuple[int, int]) -> Outcome:
    if isinstance(flips, str):
        return Outcome(view, name, math.nan, rows=rows, reason=flips)
    half = 1.96 * flips.error
    interval = None if math.isnan(half) else (max(-1.0, flips.value - half), min(1.0, flips.value + half))
    return Outcome(view, name, flips.value, interval, rows=(flips.facet, flips.rest))


def compared(counting: Counting, baseline: Baseline, policy: BiasPolicy) -> list[Outcome]:
    """The metrics of a window beside the baseline's, with their p-values corrected together."""
    outcomes = [_limited(outcome, baseline, policy) for outcome in described(counting, baseline.views, policy)]
    tested = [outcome for outcome in outcomes if not outcome.reason]
    apart, family = _apart(tested, counting, baseline), dict[View, list[str]]()
    for outcome in tested:
        key = (outcome.view.key, outcome.metric)
        if key not in apart:
            names = family.setdefault(outcome.view, [])
            name = "DPL" if outcome.metric in SAME_AS_DPL else outcome.metric
            if name not in names:
                names.append(name)
    found = Family(family).run(baseline.counts, counting.counts, policy.draws, policy.seed) if family else {}
    return chance.corrected(outcomes, found, apart)


def _limited(outcome: Outcome, baseline: Baseline, policy: BiasPolicy) -> Outcome:
    """The outcome with what it is compared with, or why it is not."""
    limit = baseline.limits.get((outcome.view.key, outcome.metric))
    metric = METRICS[outcome.metric]
    rows = chance.sizes(baseline.counts, outcome.view, metric)
    reason = outcome.reason
    if not reason and math.isnan(outcome.value):
        reason = "it is not defined in this window"
    elif not reason and limit is None:
        reason = "the baseline has no value of it"
    elif not reason and min(*outcome.rows, *rows) < policy.least_rows:
        reason = f"fewer than {policy.least_rows} rows of the facet, or of everybody else"
    return replace(outcome, limit=limit, baseline_rows=rows, reason=reason)


def _apart(tested: Sequence[Outcome], counting: Counting, baseline: Baseline) -> dict[Key, float]:
    """The p-values of the tests that are no deals of rows: the flip test, and edited constraints."""
    found = {}
    for outcome in tested:
        key = (outcome.view.key, outcome.metric)
        assert outcome.limit is not None
        if outcome.metric == "FT":
            now = counting.flips(outcome.view)
            before = baseline.flips.get(outcome.view.key)
            assert isinstance(now, Flips)
            if key in baseline.edited or before is None:
                before = Flips(outcome.limit, 0.0, 0, 0)
            found[key] = chance.flipped(before, now)
        elif key in baseline.edited:
            found[key] = chance.against(outcome.limit, outcome.metric, counting.counts, outcome.view)
    return found


def violated(outcome: Outcome, policy: BiasPolicy) -> bool:
    """Worse by more than chance explains, and by enough to matter."""
    significant = outcome.adjusted_p_value is not None and outcome.adjusted_p_value <= policy.alpha
    return significant and outcome.worse_by > 0 and outcome.worse_by >= policy.least_difference


def tests(outcomes: Sequence[Outcome]) -> int:
    """How many metrics were tested."""
    return sum(outcome.p_value is not None for outcome in outcomes)


def rows_to_look_at(outcome: Outcome, counting: Counting, baseline: Counts) -> Mapping[str, Any]:
    """The rows of the facet whose share has grown most since the baseline, among those the metric counts."""
    view, metric = outcome.view, METRICS[outcome.metric]
    best: tuple[float, int | None, int | None, int] | None = None
    for label in (0, 1) if metric.reads[0] else (None,):
        for predicted in (0, 1) if metric.reads[1] else (None,):
            now, of = _share(counting.counts, view, label, predicted)
            before, before_of = _share(baseline, view, label, predicted)
            grown = now / max(1, of) - before / max(1, before_of)
            if best is None or grown > best[0]:
                best = (grown, label, predicted, now)
    assert best is not None
    _, label, predicted, count = best
    where = ", ".join([f"{view.facet} is {view.shown}", *_words(label, predicted)])
    return {"where": where, "count": count, "examples": counting.places(view, label, predicted)}


def _words(label: int | None, predicted: int | None) -> Iterator[str]:
    if label is not None:
        yield f"the label is {WORDS[label]}"
    if predicted is not None:
        yield f"the prediction is {WORDS[predicted]}"


def _share(counts: Counts, view: View, label: int | None, predicted: int | None) -> tuple[int, int]:
    """Rows of the facet with this label and prediction, and all its rows."""
    found = everything = 0
    for cell, count in counts.cells.items():
        if cell[view.place] == view.code:
            everything += count
            if label in (None, int(cell[-3] or 2)) and predicted in (None, int(cell[-2] or 2)):
                found += count
    return found, everything


def good_shares(view: View, before: Counts, now: Counts | None = None) -> list[tuple[str, float, float]]:
    """The share of good labels and predictions of the group and of everybody else, before and now."""
    found = []
    for words, axis in (("labels", -3), ("answers", -2)):
        for side, who in ((True, "group"), (False, "others")):
            first, second = (_good_share(counts, view, axis, facet=side) for counts in (before, now or before))
            if first is not None or second is not None:
                found.append((f"{words}, {who}", first or 0.0, second or 0.0))
    return found


def _good_share(counts: Counts, view: View, axis: int, *, facet: bool) -> float | None:
    rows = [
        (cell[axis], count)
        for cell, count in counts.cells.items()
        if cell[view.place] is not None and (cell[view.place] == view.code) is facet and cell[axis] != "2"
    ]
    total = sum(count for _, count in rows)
    return sum(count for code, count in rows if code == "1") / total if total else None
