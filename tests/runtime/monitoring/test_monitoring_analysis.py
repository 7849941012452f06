"""From files to documents, violations and the page, as a person runs it."""

from __future__ import annotations

import json
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from orchestrator.cli.__main__ import main as mlops
from orchestrator.runtime.monitoring.__main__ import main
from orchestrator.runtime.monitoring.analysis import Analysis, analyze, make_baseline
from orchestrator.runtime.monitoring.failures import InputUnreadable
from orchestrator.runtime.monitoring.policy import Policy
from orchestrator.runtime.monitoring.reading import Source


def people(rows: int, seed: int = 0, **changes: Any) -> pl.DataFrame:
    """A table of customers; ``changes`` replace columns."""
    random = np.random.default_rng(seed)
    gaps = pl.Series(random.random(rows) < 0.1)
    columns: dict[str, Any] = {
        "age": random.integers(18, 90, rows),
        "income": random.lognormal(10, 0.4, rows),
        "score": pl.Series(random.random(rows)).set(gaps, None),
        "city": random.choice(["Köln", "Lyon", "Riga"], rows, p=[0.5, 0.3, 0.2]),
    }
    return pl.DataFrame(columns | changes)


def saved(frame: pl.DataFrame, folder: Path, name: str) -> Path:
    frame.write_csv(folder / name)
    return folder / name


def look(tmp_path: Path, window: pl.DataFrame, policy: Policy | None = None, **edit: Any) -> Analysis:
    made = make_baseline(Source(saved(people(5000), tmp_path, "base.csv")))
    for name, value in edit.items():
        made.constraints["monitoring_config"][name] = value
    source = Source(saved(window, tmp_path, "window.csv"))
    return analyze(source, made.statistics, made.constraints, policy or Policy())


def found(done: Analysis) -> list[tuple[str, str]]:
    return [(each["feature_name"], each["constraint_check_type"]) for each in done.violations["violations"]]


def test_the_documents_have_model_monitors_form(tmp_path: Path) -> None:
    made = make_baseline(Source(saved(people(5000), tmp_path, "base.csv")))
    age, income, score, city = made.statistics["features"]
    assert made.statistics["version"] == 0.0 and made.statistics["dataset"] == {"item_count": 5000}
    types = [each["inferred_type"] for each in made.statistics["features"]]
    assert types == ["Integral", "Fractional", "Fractional", "String"]
    exact = people(5000)
    body = income["numerical_statistics"]
    assert body["mean"] == pytest.approx(exact["income"].mean())
    assert body["std_dev"] == pytest.approx(exact["income"].std(ddof=0))
    assert (body["min"], body["max"]) == (exact["income"].min(), exact["income"].max())
    buckets = body["distribution"]["kll"]["buckets"]
    assert len(buckets) == 10 and sum(bucket["count"] for bucket in buckets) == 5000
    counts, _ = np.histogram(exact["income"].to_numpy(), bins=10)
    assert np.abs(counts - [bucket["count"] for bucket in buckets]).max() <= 5  # the sketch is exact to 1/4096
    assert score["numerical_statistics"]["common"]["num_missing"] == exact["score"].null_count()
    assert city["string_statistics"]["distinct_count"] == 3
    rules = {each["name"]: each for each in made.constraints["features"]}
    assert rules["city"]["string_constraints"] == {"domains": ["Köln", "Lyon", "Riga"]}
    assert rules["age"]["num_constraints"] == {"is_non_negative": True} and rules["age"]["completeness"] == 1.0
    assert age["name"] == "age"
    assert made.constraints["monitoring_config"]["distribution_constraints"]["comparison_method"] == "Robust"


def test_the_same_data_has_no_violations(tmp_path: Path) -> None:
    done = look(tmp_path, people(2000, seed=1))
    assert found(done) == []
    assert done.violations["summary"]["status"] == "Completed"


def test_numeric_drift_names_everything(tmp_path: Path) -> None:
    window = people(2000, seed=1)
    done = look(tmp_path, window.with_columns(pl.col("income") * 1.5))
    (violation,) = done.violations["violations"]
    assert (violation["feature_name"], violation["constraint_check_type"]) == ("income", "baseline_drift_check")
    assert violation["test"] == "kolmogorov_smirnov"
    assert violation["statistic"] > 0.3 > violation["threshold"]
    assert violation["p_value"] <= violation["adjusted_p_value"] < 1e-20
    assert violation["sample_sizes"] == {"baseline": 5000, "observed": 2000}
    assert violation["observed"]["mean"] == pytest.approx(1.5 * violation["baseline"]["mean"], rel=0.05)
    names = [measure["name"] for measure in violation["measures"]]
    assert names == ["kolmogorov_smirnov", "psi", "jensen_shannon", "l_infinity_robust"]
    incomes = (window["income"] * 1.5).to_list()
    assert len(violation["rows"]["examples"]) == 5
    for example in violation["rows"]["examples"]:
        assert incomes[example["row"] - 1] == pytest.approx(example["value"])


def test_categorical_drift(tmp_path: Path) -> None:
    random = np.random.default_rng(2)
    cities = random.choice(["Köln", "Lyon", "Riga"], 1000, p=[0.2, 0.3, 0.5])
    done = look(tmp_path, people(1000, seed=1, city=cities))
    (violation,) = done.violations["violations"]
    assert violation["test"] == "chi_square_cramers_v"
    assert violation["rows"]["where"] == "city = Riga"
    assert all(cities[example["row"] - 1] == "Riga" for example in violation["rows"]["examples"])
    assert [measure["name"] for measure in violation["measures"]][1:] == ["psi", "jensen_shannon", "l_infinity_robust"]


def test_broken_values_are_found_with_their_rows(tmp_path: Path) -> None:
    window = people(1000, seed=1).with_columns(pl.all().cast(pl.String))
    row = pl.int_range(pl.len())
    window = window.with_columns(
        pl.when(row == 6).then(pl.lit("old")).when(row == 7).then(None).otherwise(pl.col("age")).alias("age"),
        pl.when(row == 9).then(pl.lit("Oslo")).otherwise(pl.col("city")).alias("city"),
        pl.when(row < 40).then("-" + pl.col("income")).otherwise(pl.col("income")).alias("income"),
        pl.when(row < 300).then(None).otherwise(pl.col("score")).alias("score"),
    )
    done = look(tmp_path, window)
    rows = {
        (each["feature_name"], each["constraint_check_type"]): [example["row"] for example in each["rows"]["examples"]]
        for each in done.violations["violations"]
        if each["constraint_check_type"] != "baseline_drift_check"
    }
    assert rows == {
        ("age", "completeness_check"): [8],
        ("age", "data_type_check"): [7],
        ("city", "categorical_values_check"): [10],
        ("income", "data_type_check"): [1, 2, 3, 4, 5],
        ("score", "completeness_check"): [1, 2, 3, 4, 5],
    }
    for each in done.violations["violations"]:
        keys = {"feature_name", "test", "statistic", "threshold", "baseline", "observed", "sample_sizes", "rows"}
        assert keys <= each.keys() and each["description"]


def test_schema_changes_and_changed_types(tmp_path: Path) -> None:
    window = people(500, seed=1).drop("score").with_columns(pl.lit(1.5).alias("extra"), pl.lit(7).alias("city"))
    assert {("score", "missing_column_check"), ("extra", "extra_column_check"), ("city", "data_type_check")} <= set(
        found(look(tmp_path, window))
    )
    fractions = people(500, seed=1).with_columns(pl.col("age") + 0.5)
    assert ("age", "data_type_check") in found(look(tmp_path, fractions))


def test_model_monitors_settings_count(tmp_path: Path) -> None:
    """Loose thresholds in the policy, and only Model Monitor's own rule is left."""
    loose = Policy(ks=1, psi=99, jensen_shannon=1, cramers_v=1)
    window = people(2000, seed=1).with_columns(pl.col("income") * 1.5)
    (violation,) = look(tmp_path, window, loose).violations["violations"]
    assert violation["test"] == "l_infinity_robust"
    off = {"perform_comparison": "Disabled"}
    assert found(look(tmp_path, window, loose, distribution_constraints=off)) == []


def test_strict_completeness_compares_the_shares(tmp_path: Path) -> None:
    for seed in range(20):
        window = people(400, seed=seed)
        if window["score"].null_count() > 44:
            break
    assert ("score", "completeness_check") in found(look(tmp_path, window, Policy(completeness="strict")))
    assert ("score", "completeness_check") not in found(look(tmp_path, window))


def test_few_rows_are_not_tested_and_said(tmp_path: Path) -> None:
    done = look(tmp_path, people(12, seed=1))
    assert found(done) == []
    assert len(done.violations["summary"]["not_tested"]) == 4


@pytest.mark.parametrize("document", [
    {"alpha": 0}, {"alpha": 1.5}, {"ks": -1}, {"psi": "x"}, {"correction": "luck"}, {"least_rows": 0}, {"unknown": 1},
    {"completeness": "often"},
])  # fmt: skip
def test_a_policy_that_cannot_be_is_refused(document: dict[str, Any]) -> None:
    with pytest.raises(InputUnreadable):
        Policy.of(document)


class Links(HTMLParser):
    """Collects what a page would load, and checks that its tags are closed."""

    def __init__(self) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.loads += [value or "" for name, value in attrs if name in ("src", "href", "xlink:href")]
        self.loads += [tag] if tag in ("script", "link", "img", "iframe") else []
        if tag not in ("meta",):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        return

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_command_writes_all_and_overwrites_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base = saved(people(3000), tmp_path, "base.csv")
    hostile = people(600, seed=1, city=["<script>alert(1)</script>"] * 600).with_columns(pl.col("income") * 2)
    window = saved(hostile, tmp_path, "window.csv")
    b, w = str(tmp_path / "b"), tmp_path / "w"
    assert main(["baseline", str(base), "--out", b]) == 0
    assert main(["analyze", str(window), "--baseline", b, "--out", str(w), "--check", "--json"]) == 7
    written = {path.name: path.read_bytes() for path in w.iterdir()}
    assert sorted(written) == ["constraint_violations.json", "report.html", "statistics.json"]
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["violations"]
    page = Links()
    page.feed(written["report.html"].decode())
    assert page.loads == [] and page.open == []
    assert b"<script" not in written["report.html"]

    assert main(["analyze", str(base), "--baseline", b, "--out", str(w)]) == 2
    assert "would be overwritten" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in w.iterdir()} == written
    assert main(["report", str(w), "--baseline", b, "--out", str(tmp_path / "again")]) == 0
    assert (tmp_path / "again/report.html").read_bytes() == written["report.html"]


def test_a_failed_run_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty.csv").write_text("")
    assert main(["baseline", str(tmp_path / "empty.csv"), "--out", str(tmp_path / "b")]) == 2
    assert not (tmp_path / "b").exists()
    base = saved(people(100), tmp_path, "base.csv")
    assert main(["analyze", str(base), "--baseline", str(tmp_path), "--out", str(tmp_path / "w")]) == 2
    assert "mlops monitor baseline" in capsys.readouterr().err


def test_the_verb_gives_sentences_and_exit_codes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base = saved(people(300), tmp_path, "base.csv")
    assert mlops(["monitor", "baseline", str(base), "--out", str(tmp_path / "b"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["rows"] == 300
    assert mlops(["monitor", "baseline", str(base), "--out", str(tmp_path / "b")]) == 4
    assert mlops(["monitor", "analyze", str(base), "--baseline", str(tmp_path / "no"), "--out", "x"]) == 3
    assert mlops(["monitor", "report"]) == 2


def test_help_loads_nothing_heavy() -> None:
    code = "import sys, orchestrator.cli.__main__ as m; m.parser().format_help(); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"polars", "numpy", "scipy"} & set(done.stdout.split())
