"""Every metric equals scikit-learn's, and its interval covers the truth as often as it says."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics as oracle

from orchestrator.runtime.monitoring.calls import EVENT, FILE, PLACE, ROW, SIZE
from orchestrator.runtime.monitoring.failures import InputUnreadable
from orchestrator.runtime.monitoring.quality import chance, scores, tables
from orchestrator.runtime.monitoring.quality.binary import Binary
from orchestrator.runtime.monitoring.quality.multiclass import Multiclass
from orchestrator.runtime.monitoring.quality.regression import Regression
from orchestrator.runtime.monitoring.quality.settings import Problem, Settings
from orchestrator.runtime.monitoring.quality.usable import Rows

seeds = st.integers(0, 2**32 - 1)


def frame(**columns: Any) -> pl.DataFrame:
    rows = len(next(iter(columns.values())))
    return pl.DataFrame(
        {f"@{name}": values for name, values in columns.items()}
        | {EVENT: [""] * rows, FILE: ["f"] * rows, ROW: range(rows), PLACE: [0] * rows, SIZE: [1] * rows}
    )


def taken(task: Any, whole: pl.DataFrame, blocks: int = 3) -> dict[str, Any]:
    """The metrics after the frame came in blocks."""
    size = max(1, -(-whole.height // blocks))
    for start in range(0, whole.height, size):
        task.update(whole[start : start + size])
    document: dict[str, Any] = task.statistics(0.95)
    return dict(document[f"{task.key}_metrics"])


def binary(rows: Rows | None = None, **settings_: Any) -> Binary:
    made = Settings(Problem.BINARY, "label", "prediction", "probability", **settings_)
    return Binary(made, rows or Rows(), thresholded=False)


@settings(max_examples=60, deadline=None)
@given(seed=seeds, rows=st.integers(2, 400), share=st.floats(0.02, 0.98), digits=st.integers(1, 12),
       blocks=st.integers(1, 5))  # fmt: skip
def test_binary_metrics_are_scikit_learns(seed: int, rows: int, share: float, digits: int, blocks: int) -> None:
    random = np.random.default_rng(seed)
    label, guess = random.random(rows) < share, random.random(rows) < 0.5
    p = np.clip(random.random(rows) * 0.7 + label * 0.3, 0, 1).round(digits)
    found = taken(
        binary(), frame(label=np.where(label, "1", "0"), prediction=np.where(guess, "1", "0"), probability=p), blocks
    )
    expected = {
        "accuracy": oracle.accuracy_score(label, guess),
        "precision": oracle.precision_score(label, guess, zero_division=np.nan),
        "recall": oracle.recall_score(label, guess, zero_division=np.nan),
        "true_negative_rate": oracle.recall_score(~label, ~guess, zero_division=np.nan),
        "log_loss": oracle.log_loss(label, p, labels=[False, True]),
        "brier": oracle.brier_score_loss(label, p),
    }
    expected |= {"true_positive_rate": expected["recall"], "false_negative_rate": 1 - expected["recall"],
                 "false_positive_rate": 1 - expected["true_negative_rate"]}  # fmt: skip
    if label.any():
        for name, beta in tables.BETAS.items():
            expected[name] = oracle.fbeta_score(label, guess, beta=beta)
    if 0 < label.sum() < rows:
        expected["auc"] = oracle.roc_auc_score(label, p)
        expected["au_prc"] = oracle.average_precision_score(label, p)
    for name, value in expected.items():
        if math.isnan(value):
            assert found[name]["value"] is None and found[name]["undefined"], name
        else:
            assert found[name]["value"] == pytest.approx(value, abs=1e-12), name
            low, high = found[name]["interval"]
            assert low <= found[name]["value"] <= high
    matrix = oracle.confusion_matrix(label, guess, labels=[False, True])
    assert [[found["confusion_matrix"][row][column] for column in "01"] for row in "01"] == matrix.tolist()


@pytest.mark.filterwarnings("ignore:A single label was found")
@settings(max_examples=40, deadline=None)
@given(seed=seeds, rows=st.integers(1, 300), classes=st.integers(1, 7))
def test_multiclass_metrics_are_scikit_learns(seed: int, rows: int, classes: int) -> None:
    random = np.random.default_rng(seed)
    names = np.array(["ant", "bee", "cat", "dog", "eel", "fox", "gnu"])[:classes]
    label, guess = random.choice(names, rows), random.choice(names, rows)
    found = taken(Multiclass(Rows()), frame(label=label, prediction=guess))
    assert found["accuracy"]["value"] == pytest.approx(oracle.accuracy_score(label, guess), abs=1e-12)
    some = {"average": "weighted", "zero_division": 0}
    assert found["weighted_precision"]["value"] == pytest.approx(oracle.precision_score(label, guess, **some))
    assert found["weighted_recall"]["value"] == pytest.approx(oracle.recall_score(label, guess, **some))
    for name, beta in tables.BETAS.items():
        expected = oracle.fbeta_score(label, guess, beta=beta, **some)
        assert found[f"weighted_{name}"]["value"] == pytest.approx(expected, abs=1e-12)
    seen = sorted({*label.tolist(), *guess.tolist()})
    matrix = oracle.confusion_matrix(label, guess, labels=seen)
    assert [list(row.values()) for row in found["confusion_matrix"].values()] == matrix.tolist()


@settings(max_examples=60, deadline=None)
@given(seed=seeds, rows=st.integers(3, 400), origin=st.sampled_from([0.0, -3.0, 1e6]), spread=st.floats(1e-3, 1e3))
def test_regression_metrics_are_scikit_learns(seed: int, rows: int, origin: float, spread: float) -> None:
    random = np.random.default_rng(seed)
    label = origin + spread * random.standard_normal(rows)
    guess = label + spread * random.standard_normal(rows) * random.choice([0.1, 1, 3])
    found = taken(Regression(Rows()), frame(label=label.astype(str), prediction=guess.astype(str)))
    expected = {
        "mae": oracle.mean_absolute_error(label, guess),
        "mse": oracle.mean_squared_error(label, guess),
        "rmse": oracle.root_mean_squared_error(label, guess),
        "r2": oracle.r2_score(label, guess),
    }
    for name, value in expected.items():
        assert found[name]["value"] == pytest.approx(value, rel=1e-6, abs=1e-9), name


def test_scores_in_bins_stay_within_the_stated_error() -> None:
    random = np.random.default_rng(1)
    for scale in (1.0, 30.0, 1e-9):
        label = random.random(60_000) < 0.1
        p = np.clip(random.beta(0.3 + label, 2 - label, 60_000) * scale, 0, 1)
        made = scores.Scores(exact=1000)
        for start in range(0, len(p), 5000):
            made.update(p[start : start + 5000], label[start : start + 5000])
        ranking = made.ranking()
        exact = oracle.roc_auc_score(label, p)
        assert abs(scores.auc(ranking, 0.95).value - exact) <= ranking.error + 1e-12  # type: ignore[operator]
        assert ranking.error < 0.5 if scale == 30.0 else ranking.error < 2e-3
        found = scores.average_precision(ranking, 0.95).value
        assert found == pytest.approx(oracle.average_precision_score(label, p), abs=2e-3)
        assert made.log_loss.mean == pytest.approx(oracle.log_loss(label, p))
        assert len(made._waiting) == 0 and made._binned is not None and made._binned.nbytes < 8e6


def test_intervals_cover_the_truth() -> None:
    """600 samples of 400 rows: 95% intervals hold the value of the whole population about as often."""
    random = np.random.default_rng(2)

    def sample(rows: int) -> pl.DataFrame:
        label = random.random(rows) < 0.3
        p = 1 / (1 + np.exp(-(random.standard_normal(rows) + 2 * label - 1.5)))
        return frame(label=np.where(label, "1", "0"), prediction=np.where(p > 0.5, "1", "0"), probability=p)

    truth = taken(binary(), sample(400_000))
    names = [name for name, metric in truth.items() if isinstance(metric, dict) and metric.get("value")]
    held = dict.fromkeys(names, 0)
    for _ in range(600):
        found = taken(binary(), sample(400), blocks=1)
        for name in names:
            low, high = found[name]["interval"]
            held[name] += low <= truth[name]["value"] <= high
    assert {name: count for name, count in held.items() if not 549 <= count <= 589} == {}
    assert len(names) == 14


def test_intervals_of_a_regression_cover_the_truth() -> None:
    random = np.random.default_rng(3)
    held = dict.fromkeys(("mae", "mse", "rmse", "r2"), 0)
    truth = {"mae": 2 * math.sqrt(2 / math.pi), "mse": 4.0, "rmse": 2.0, "r2": 1 - 4 / 29}
    for _ in range(600):
        guess = random.normal(100, 5, 300)
        label = guess + random.normal(0, 2, 300)
        found = taken(Regression(Rows()), frame(label=label.astype(str), prediction=guess.astype(str)), blocks=1)
        for name in held:
            low, high = found[name]["interval"]
            held[name] += low <= truth[name] <= high
    assert {name: count for name, count in held.items() if not 545 <= count <= 590} == {}


@given(st.floats(-40, 40).filter(lambda t: abs(t) > 1e-3), st.floats(1, 1e5))
def test_students_tail_is_scipys(t: float, freedom: float) -> None:
    assert chance.student_tail(t, freedom) == pytest.approx(stats.t.sf(t, freedom), rel=1e-6, abs=1e-14)


@given(st.integers(0, 400), st.integers(1, 400), st.floats(0, 1))
def test_the_binomial_tail_is_scipys(count: int, of: int, share: float) -> None:
    found = chance.binomial_tail(min(count, of), of, share)
    if min(count, of) <= of * share:
        assert found == 1.0
    else:
        assert found == pytest.approx(stats.binom.sf(min(count, of) - 1, of, share), rel=1e-6, abs=1e-300)


@given(st.integers(0, 300), st.integers(1, 300), st.sampled_from([0.8, 0.95, 0.99]))
def test_wilsons_interval_is_scipys(count: int, of: int, confidence: float) -> None:
    count = min(count, of)
    expected = stats.binomtest(count, of).proportion_ci(confidence, method="wilson")
    assert chance.wilson(count, of, confidence) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_the_permutation_test_of_f1_is_fishers() -> None:
    """F1 is a function of one share, whose exact test is known."""
    before, now = np.array([[900.0, 40], [30, 80]]), np.array([[280.0, 20], [16, 20]])
    (found,) = tables.permutation_tails(before, now, {"f1": lambda t: tables.f_score(t, 1.0)}, 40_000).values()
    wrong_of_positive = [[36, 20], [70, 80]]
    expected = stats.fisher_exact(wrong_of_positive, alternative="greater").pvalue
    assert found == pytest.approx(expected, rel=0.6)


def test_labels_may_be_words() -> None:
    rows = Rows()
    found = taken(binary(rows), frame(label=["True", "no", "YES", "odd"], prediction=["1", "0", "f", "1"]), blocks=1)
    assert found["confusion_matrix"] == {"0": {"0": 1, "1": 0}, "1": {"0": 1, "1": 1}}
    assert rows.passed_over == 1 and rows.findings.as_list()[0]["kind"] == "unusable_label"
    found = taken(binary(positive_label="bad"), frame(label=["bad", "good"], prediction=["bad", "bad"]))
    assert found["confusion_matrix"] == {"0": {"0": 0, "1": 1}, "1": {"0": 0, "1": 1}}


def test_too_many_classes_are_none() -> None:
    texts = [str(n) for n in range(300)]
    with pytest.raises(InputUnreadable, match="more than 200 different labels"):
        Multiclass(Rows()).update(frame(label=texts, prediction=texts))


@pytest.mark.parametrize("labels, guesses, undefined", [
    ("111", "111", {"true_negative_rate", "false_positive_rate", "auc", "au_prc"}),
    ("000", "000", {"recall", "precision", "true_positive_rate", "false_negative_rate", "auc", "au_prc", "f1", "f2",
                    "f0_5"}),
    ("010", "000", {"precision"}),
])  # fmt: skip
def test_metrics_of_one_class_say_why_they_are_not_defined(labels: str, guesses: str, undefined: set[str]) -> None:
    whole = frame(label=list(labels), prediction=list(guesses), probability=[0.5] * 3)
    found = taken(binary(), whole)
    none = {name: metric["undefined"] for name, metric in found.items()
            if isinstance(metric, dict) and "of" in metric and metric["value"] is None}  # fmt: skip
    assert set(none) == undefined and all(none.values())


def test_constant_labels_have_no_r2() -> None:
    found = taken(Regression(Rows()), frame(label=["5"] * 40, prediction=["4", "6"] * 20))
    assert found["r2"]["undefined"] == "all labels are equal" and found["mae"]["value"] == 1.0


def test_the_worst_rows_are_the_surest_wrong_ones() -> None:
    rows = Rows()
    p = np.linspace(0.01, 0.99, 99)
    made = frame(label=["0"] * 99, prediction=np.where(p > 0.5, "1", "0"), probability=p)
    taken(binary(rows), made, blocks=4)
    assert [each["row"] for each in rows.worst.of("false_positive")] == [98, 97, 96, 95, 94]
    assert rows.worst.of("false_positive")[0]["probability"] == pytest.approx(0.99)
    assert rows.worst.of("false_negative") == []
