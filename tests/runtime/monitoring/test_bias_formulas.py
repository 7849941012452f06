"""Every bias metric beside Clarify's open library, and beside a computation row by row in plain Python."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.runtime.monitoring.bias.flipping import flip_test
from orchestrator.runtime.monitoring.bias.formulas import METRICS, quotient, unfairness

GOLDEN: list[dict[str, Any]] = json.loads((Path(__file__).parent / "golden" / "bias.json").read_text())
Row = tuple[int, int, int, int]
"""Facet, label, prediction (2: there is none), group."""


def tables(rows: Sequence[Row], groups: int) -> np.ndarray:
    counts = np.zeros((groups, 2, 3, 3))
    for facet, label, predicted, group in rows:
        counts[group, facet, label, predicted] += 1
    return counts


def value(name: str, counts: np.ndarray) -> float:
    metric = METRICS[name]
    assert metric.formula is not None
    return float(metric.formula(counts if metric.grouped else counts.sum(axis=0)))


@pytest.mark.parametrize("case", range(len(GOLDEN)))
def test_metrics_equal_those_of_clarifys_library(case: int) -> None:
    rows, wanted = GOLDEN[case]["rows"], GOLDEN[case]["metrics"]
    counts = tables(
        list(zip(rows["facet"], rows["label"], rows["predicted"], rows["group"], strict=True)), max(rows["group"]) + 1
    )
    features = np.column_stack([rows["x"], rows["y"]])
    facet, positive = np.array(rows["facet"], dtype=bool), np.array(rows["predicted"], dtype=bool)
    assert set(wanted) == set(METRICS)
    for name, each in wanted.items():
        found = flip_test(features, facet, positive).value if name == "FT" else value(name, counts)
        if each == "error":
            assert math.isnan(found), name
        else:
            assert found == pytest.approx(float(each), abs=1e-12), name


def by_hand(rows: Sequence[Row], name: str) -> float:
    """The metric, row by row."""
    a, d = ([row for row in rows if row[0] == side] for side in (0, 1))

    def share(part: list[Row], of: list[Row]) -> float:
        return len(part) / len(of) if of else (math.inf if part else 0.0)

    def count(side: list[Row], label: int | None, predicted: int | None) -> list[Row]:
        return [row for row in side if label in (None, row[1]) and predicted in (None, row[2])]

    def minus(first: float, second: float) -> float:
        return 0.0 if first == second else first - second

    if not a or not d:
        return math.nan
    positive = {"DPL": (1, None), "DPPL": (None, 1), "DI": (None, 1)}
    if name in positive:
        rest, facet = share(count(a, *positive[name]), a), share(count(d, *positive[name]), d)
        if name == "DI":
            return facet / rest if rest else (math.inf if facet else 0.0)
        return rest - facet
    ratio = {
        "DCA": lambda x: share(count(x, 1, None), count(x, None, 1)),
        "DCR": lambda x: share(count(x, 0, None), count(x, None, 0)),
        "AD": lambda x: share(count(x, 1, 1) + count(x, 0, 0), x),
        "RD": lambda x: share(count(x, 1, 1), count(x, 1, None)),
        "SD": lambda x: share(count(x, 0, 0), count(x, 0, None)),
        "DAR": lambda x: share(count(x, 1, 1), count(x, None, 1)),
        "DRR": lambda x: share(count(x, 0, 0), count(x, None, 0)),
        "TE": lambda x: share(count(x, 1, 0), count(x, 0, 1)),
    }[name]
    return minus(ratio(d), ratio(a)) if name in ("DCR", "SD", "DRR", "TE") else minus(ratio(a), ratio(d))


TABLE = st.lists(st.tuples(*[st.integers(0, 1)] * 4), min_size=1, max_size=25)


@settings(max_examples=150, deadline=None)
@given(TABLE)
def test_metrics_equal_those_counted_row_by_row(rows: list[Row]) -> None:
    counts = tables(rows, 2)
    for name in ("DPL", "DPPL", "DI", "DCA", "DCR", "AD", "RD", "SD", "DAR", "DRR", "TE"):
        assert value(name, counts) == pytest.approx(by_hand(rows, name), nan_ok=True), name


@settings(max_examples=100, deadline=None)
@given(TABLE)
def test_what_holds_for_every_table(rows: list[Row]) -> None:
    counts = tables(rows, 2)
    found = {name: value(name, counts) for name in METRICS if name != "FT"}
    swapped = counts[:, ::-1]
    for name in ("CI", "DPL", "DPPL", "AD", "RD", "SD", "DAR", "DRR", "DCA", "DCR", "TE", "CDDL"):
        turned = value(name, swapped)
        if name == "CDDL":  # the shares of the facet and of everybody else add up to one where there are rows
            continue
        assert turned == pytest.approx(-found[name], nan_ok=True), name
    for name in ("CI", "DPL", "DPPL", "AD", "RD", "SD", "DAR", "DRR", "CDDL", "CDDPL"):
        assert math.isnan(found[name]) or -1 <= found[name] <= 1, name
    for name in ("KL", "JS", "LP", "TVD", "KS", "GE"):
        assert math.isnan(found[name]) or found[name] >= -1e-12 or name in ("KL", "JS"), name
    if not math.isnan(found["DPL"]) and counts.sum(axis=(0, 3))[:, :2].min() > 0:
        assert found["KS"] == pytest.approx(abs(found["DPL"])) and found["TVD"] == pytest.approx(abs(found["DPL"]))


def test_many_tables_at_once_are_the_same_as_one_by_one() -> None:
    random = np.random.default_rng(3)
    many = random.integers(0, 4, (50, 3, 2, 3, 3)).astype(float)
    for name, metric in METRICS.items():
        if metric.formula is None:
            continue
        whole = metric.formula(many if metric.grouped else many.sum(axis=1))
        assert np.allclose(whole, [value(name, each) for each in many], equal_nan=True), name


def test_rows_without_label_or_prediction_count_only_where_neither_is_asked_for() -> None:
    rows: list[Row] = [(0, 1, 1, 0), (0, 0, 0, 0), (1, 1, 1, 0), (1, 0, 1, 0)]
    more: list[Row] = [*rows, (1, 2, 1, 0), (0, 1, 2, 0), (1, 2, 2, 0)]
    before, after = tables(rows, 1), tables(more, 1)
    assert value("AD", after) == value("AD", before)
    assert value("CI", before) == 0 and value("CI", after) == pytest.approx((3 - 4) / 7)
    assert value("DPL", after) == pytest.approx(2 / 3 - 1 / 2)
    assert value("DPPL", after) == pytest.approx(1 / 2 - 1)


def test_a_zero_denominator_is_infinite_and_nothing_at_all_is_zero() -> None:
    found = quotient(np.array([0.0, 2.0, 3.0]), np.array([0.0, 0.0, 4.0]))
    assert found.tolist() == [0.0, math.inf, 0.75]


def test_parity_is_zero_unfairness() -> None:
    assert unfairness("DI", np.array([1.0, 0.5, 2.0, 0.0, np.inf])).tolist() == [0.0, 0.5, 0.5, 1.0, 1.0]
    assert unfairness("DPPL", np.array([-0.2, 0.2])).tolist() == [0.2, 0.2]


def test_the_flip_test_looks_at_the_nearest_rows() -> None:
    """Ten rows of everybody else on a line, answered yes from the fifth on; the facet is always answered no."""
    rest = np.arange(10.0)[:, None]
    facet = np.array([[0.0], [9.0], [8.0]])
    features = np.concatenate([rest, facet])
    of_facet = np.array([False] * 10 + [True] * 3)
    positive = np.array([False] * 5 + [True] * 5 + [False] * 3)
    found = flip_test(features, of_facet, positive)
    assert found.value == pytest.approx(-2 / 3) and (found.facet, found.rest) == (3, 10)
    assert found.error > 0
    assert math.isnan(flip_test(rest, np.ones(10, dtype=bool), np.ones(10, dtype=bool)).value)
