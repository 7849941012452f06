"""Whole numbers are counted exactly while they lie near each other, and go into the sketch when they do not."""

from __future__ import annotations

from itertools import chain

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.runtime.monitoring.columns import Batch
from orchestrator.runtime.monitoring.profile import NumberColumn, Profile
from orchestrator.runtime.monitoring.sketch import Numbers, distribution, ks_distance
from orchestrator.runtime.monitoring.whole import WholeNumbers

numbers = st.lists(st.integers(-300, 300).map(float), min_size=1, max_size=40)


def column(batches: list[list[float]]) -> NumberColumn:
    profile = Profile()
    for values in batches:
        profile.update(Batch(pl.DataFrame({"x": values}, schema={"x": pl.Float64}), "f", range(len(values))))
    found = profile.columns["x"]
    assert isinstance(found, NumberColumn)
    return found


@given(st.lists(numbers, min_size=1, max_size=5))
def test_the_distribution_is_exact(batches: list[list[float]]) -> None:
    found = column(batches).distribution()
    exact = distribution([np.array([*chain(*batches)])])
    assert found.values.tolist() == exact.values.tolist() and found.cumulative.tolist() == exact.cumulative.tolist()


@settings(deadline=None)
@given(
    st.lists(numbers, min_size=1, max_size=4), st.sampled_from([0.5, 1e15, -1e9, 1e300]), st.lists(numbers, max_size=2)
)
def test_a_number_that_does_not_fit_loses_nothing(before: list[list[float]], odd: float,
                                                  after: list[list[float]]) -> None:  # fmt: skip
    found = column([*before, [odd], *after])
    exact = distribution([np.array([*chain(*before, [odd], *after)])])
    assert ks_distance(found.distribution(), exact)[0] == 0 and found.distribution().total == exact.total
    assert found.whole is (odd != 0.5)


def test_many_rows_are_exact_where_a_sketch_would_not_be() -> None:
    random = np.random.default_rng(5)
    parts = [random.integers(0, 50_000, 60_000).astype(float) for _ in range(5)]
    found, exact = column([part.tolist() for part in parts]), distribution([np.concatenate(parts)])
    assert ks_distance(found.distribution(), exact)[0] == 0


def test_profiles_merge() -> None:
    first, second = column([[1.0, 2.0, 2.0]]), column([[2.0, 3.0]])
    first.merge(second)
    assert first.distribution().values.tolist() == [1.0, 2.0, 3.0]
    assert first.distribution().cumulative.tolist() == [1.0, 4.0, 5.0]


@pytest.mark.parametrize("values", [[0.0, 10.0], [2.0**53, 2.0**53]])
def test_numbers_too_far_apart_are_not_taken(values: list[float]) -> None:
    made = WholeNumbers(10)
    array: Numbers = np.array(values)
    assert not made.update(array, array.min(), array.max())
    assert list(made.drained()) == [] and made.distribution().total == 0
