"""Every statistic beside scipy's, on random data; the sketch beside the exact distribution."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import spatial, special, stats

from orchestrator.runtime.monitoring import distances, probability
from orchestrator.runtime.monitoring.columns import Batch
from orchestrator.runtime.monitoring.counts import TextCounter
from orchestrator.runtime.monitoring.profile import NumberColumn, Profile
from orchestrator.runtime.monitoring.sketch import QuantileSketch, compact, distribution, ks_distance, stored

COUNTS = hnp.arrays(np.float64, st.integers(2, 12), elements=st.integers(1, 500).map(float))


def sketch_of(values: np.ndarray, k: int = 8192, pieces: int = 7) -> QuantileSketch:
    sketch = QuantileSketch(k)
    for piece in np.array_split(values, pieces):
        sketch.update(piece)
    return sketch


@given(st.floats(0.001, 500), st.integers(1, 200))
def test_chi_square_tail_is_the_incomplete_gamma_function(statistic: float, freedom: int) -> None:
    expected = special.gammaincc(freedom / 2, statistic / 2)
    assert probability.chi_square_tail(statistic, freedom) == pytest.approx(expected, rel=1e-9, abs=1e-13)


@given(st.floats(0.001, 1), st.integers(30, 100_000), st.integers(30, 100_000))
def test_kolmogorov_smirnov_tail_is_kolmogorovs_limit(distance: float, n: int, m: int) -> None:
    root = np.sqrt(n * m / (n + m))
    expected = stats.kstwobign.sf((root + 0.12 + 0.11 / root) * distance)
    assert probability.kolmogorov_smirnov_tail(distance, n, m) == pytest.approx(expected, rel=1e-6, abs=1e-10)


@given(st.integers(0, 60), st.integers(60, 2000), st.integers(0, 60), st.integers(60, 5000))
def test_more_often_tail_is_fishers_exact_test(observed: int, of: int, baseline: int, baseline_of: int) -> None:
    assume(observed * baseline_of > baseline * of)
    table = [[observed, of - observed], [baseline, baseline_of - baseline]]
    expected = stats.fisher_exact(table, alternative="greater").pvalue
    assert probability.more_often_tail(observed, of, baseline, baseline_of) == pytest.approx(expected, rel=1e-7)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_corrections(p_values: list[float]) -> None:
    expected = stats.false_discovery_control(p_values, method="bh")
    assert probability.benjamini_hochberg(p_values) == pytest.approx(expected)
    adjusted = probability.holm(p_values)
    assert all(p <= a <= min(1, p * len(p_values)) + 1e-15 for p, a in zip(p_values, adjusted, strict=True))
    assert min(adjusted) == pytest.approx(min(1, min(p_values) * len(p_values)))


def test_holm_by_hand() -> None:
    assert probability.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


@given(COUNTS, st.randoms(use_true_random=False))
def test_chi_square_is_scipys(baseline: np.ndarray, random: object) -> None:
    observed = baseline[::-1] + 3
    table = distances.pooled(np.vstack([baseline, observed]))
    assume(table.shape[1] >= 2)
    found = distances.chi_square(baseline, observed)
    expected = stats.chi2_contingency(table, correction=False)
    assert found is not None
    assert found.statistic == pytest.approx(expected.statistic, rel=1e-9)
    assert found.freedom == expected.dof
    assert found.p_value == pytest.approx(expected.pvalue, rel=1e-7, abs=1e-13)
    assert table.sum() == pytest.approx(baseline.sum() + observed.sum())


@given(COUNTS)
def test_jensen_shannon_and_l_infinity(baseline: np.ndarray) -> None:
    observed = np.roll(baseline, 1)
    expected = spatial.distance.jensenshannon(baseline, observed, base=2)
    assert distances.jensen_shannon(baseline, observed) == pytest.approx(expected, abs=1e-7)
    expected = np.max(np.abs(baseline - observed)) / baseline.sum()
    assert distances.l_infinity(baseline, observed) == pytest.approx(expected)


@given(COUNTS)
def test_psi_is_the_symmetric_divergence(baseline: np.ndarray) -> None:
    observed = np.roll(baseline, 1)
    first, second = baseline + 0.5, observed + 0.5
    expected = stats.entropy(first, second) + stats.entropy(second, first)
    assert distances.psi(baseline, observed) == pytest.approx(expected, abs=1e-12)
    assert distances.psi(baseline, baseline) == 0


def test_poor_bins_are_pooled_until_the_test_holds() -> None:
    table = distances.pooled(np.array([[100.0, 50, 1, 0, 2, 0], [90.0, 60, 0, 1, 1, 0]]))
    assert table.shape == (2, 2)
    assert table.sum() == 305
    assert distances.chi_square(np.array([5.0, 0]), np.array([4.0, 0])) is None


@given(hnp.arrays(np.float64, st.integers(1, 300), elements=st.floats(-1e6, 1e6)),
       hnp.arrays(np.float64, st.integers(1, 300), elements=st.floats(-1e6, 1e6)))  # fmt: skip
def test_small_samples_have_the_exact_distance(first: np.ndarray, second: np.ndarray) -> None:
    distance, _ = ks_distance(sketch_of(first).distribution(), sketch_of(second).distribution())
    assert distance == pytest.approx(stats.ks_2samp(first, second).statistic, abs=1e-12)


SHAPES = {
    "normal": lambda r, n: r.normal(size=n),
    "shifted": lambda r, n: r.normal(0.2, 1.1, n),
    "heavy": lambda r, n: r.lognormal(0, 2.5, n),
    "sorted": lambda r, n: np.sort(r.random(n)),
    "integers": lambda r, n: r.integers(0, 50, n).astype(float),
    "constant": lambda r, n: np.full(n, 7.0),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_sketched_distance_is_within_a_thousandth(shape: str) -> None:
    random = np.random.default_rng(3)
    first, second = SHAPES[shape](random, 400_000), SHAPES["normal"](random, 300_000)
    baseline = stored(compact(sketch_of(first).distribution(), 2048))  # as it comes back from the statistics document
    distance, _ = ks_distance(baseline, sketch_of(second).distribution())
    assert abs(distance - stats.ks_2samp(first, second, method="asymp").statistic) < 0.001


def test_sketches_merge_and_stay_small() -> None:
    random = np.random.default_rng(4)
    values = random.normal(size=600_000)
    merged = QuantileSketch(2048)
    for part in np.array_split(values, 5):
        merged.merge(sketch_of(part, 2048))
    whole = merged.distribution()
    assert merged.count == len(values) == whole.total
    exact = distribution([np.sort(values)])
    assert ks_distance(whole, exact)[0] < 0.003
    kept = len(whole.values)
    assert kept < 2048 * (8 + 12)
    with pytest.raises(ValueError, match="do not merge"):
        merged.merge(QuantileSketch(1024))


@given(st.integers(1, 40_000), st.sampled_from([64, 256, 2048]))
@settings(max_examples=40)
def test_compacting_keeps_the_weight_and_the_ranks(count: int, k: int) -> None:
    exact = distribution([np.arange(count, dtype=np.float64)])
    levels = compact(exact, k)
    again = stored(levels)
    assert again.total == count
    assert sum(map(len, levels)) <= 2 * k + len(levels)
    assert ks_distance(exact, again)[0] <= 1 / (2 * k) + 1 / count


@given(hnp.arrays(np.float64, st.integers(2, 500), elements=st.floats(-1e5, 1e5)), st.integers(1, 6))
def test_moments_and_merging(values: np.ndarray, pieces: int) -> None:
    merged = NumberColumn("x", 256)
    for piece in np.array_split(values, pieces):
        part = NumberColumn("x", 256)
        part.update(pl.Series("x", piece))
        merged.merge(part)
    assert merged.mean == pytest.approx(values.mean(), rel=1e-9, abs=1e-6)
    assert np.sqrt(merged.squares / merged.present) == pytest.approx(values.std(), rel=1e-6, abs=1e-6)
    assert (merged.least, merged.greatest) == (values.min(), values.max())
    assert merged.whole == bool((values == np.floor(values)).all())


def test_infinite_and_nan_are_missing() -> None:
    column = NumberColumn("x", 256)
    column.update(pl.Series("x", [1.0, None, float("nan"), float("inf"), 3.0]))
    assert (column.present, column.missing, column.mean, column.greatest) == (2, 3, 2.0, 3.0)


def test_texts_are_counted_exactly_up_to_the_capacity_and_estimated_beyond() -> None:
    random = np.random.default_rng(5)
    few, many = TextCounter(), TextCounter(capacity=1000)
    for _ in range(10):
        few.update(pl.Series(random.choice(["a", "b", "c"], 1000, p=[0.6, 0.3, 0.1])))
        rare = pl.Series(random.integers(0, 50_000, 20_000)).cast(pl.String)
        many.update(pl.concat([rare, pl.Series(["often"] * 4000)]))
    assert few.exact and few.distinct == 3 and sum(count for _, count in few.most_common(9)) == few.total == 10_000
    assert not many.exact
    assert many.distinct == pytest.approx(49_000, rel=0.08)
    (text, count), *_ = many.most_common(1)
    assert text == "often" and 40_000 - many.undercount <= count <= 40_000


def test_profiles_of_parts_merge_to_the_profile_of_the_whole() -> None:
    random = np.random.default_rng(6)
    frame = pl.DataFrame({"x": random.normal(size=900), "t": random.choice(["a", "b"], 900)})
    whole, merged = Profile(), Profile()
    whole.update(Batch(frame, "f", range(900)))
    for start in range(0, 900, 300):
        part = Profile()
        part.update(Batch(frame.slice(start, 300), "f", range(300)))
        merged.merge(part)
    assert merged.rows == whole.rows == 900
    assert merged.columns["x"].present == whole.columns["x"].present
    assert merged.columns["t"].counter.most_common(2) == whole.columns["t"].counter.most_common(2)  # type: ignore[union-attr]
