"""The explainability monitor from files to documents, violations and the page."""

from __future__ import annotations

import json
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from orchestrator.runtime.monitoring.analysis import write
from orchestrator.runtime.monitoring.failures import InputMissing, InputUnreadable, ModelFailed
from orchestrator.runtime.monitoring.kinds import Definition, Result, Window, find
from orchestrator.runtime.monitoring.reading import Source

KIND = find("model_explainability")
NAMES = ["größe", "age", "income", "debt", "region", "noise"]


def people(rows: int, seed: int, *, drift: bool = False) -> pl.DataFrame:
    """``drift``: everybody is of one size, and debts differ much."""
    random = np.random.default_rng(seed)
    return pl.DataFrame({
        "label": random.integers(0, 2, rows),
        "größe": random.normal(0, 0.02 if drift else 1, rows), "age": random.normal(size=rows),
        "income": random.normal(size=rows), "debt": random.normal(0, 8 if drift else 1, rows),
        "region": random.choice(["nord", "süd"], rows), "noise": random.normal(size=rows),
    })  # fmt: skip


def score(row: Sequence[Any]) -> float:
    size, age, income, debt, region, _ = row
    return 3 * size + 2 * age + 1.5 * income + 0.5 * (debt or 0) + 0.8 * (region == "nord")


def predict(rows: Sequence[Sequence[Any]]) -> list[list[float]]:
    """One score."""
    return [[score(row)] for row in rows]


def three(rows: Sequence[Sequence[Any]]) -> list[list[float]]:
    """A probability for each of three classes; the third does not depend on the size of people."""
    found = []
    for row in rows:
        raw = np.exp([score(row) / 4, -score(row) / 4, row[1]])
        found.append((raw / raw.sum()).tolist())
    return found


def definition(shap: dict[str, Any] | None = None, **changes: Any) -> Definition:
    policy = changes.pop("policy", {"rows": 100})
    return Definition("model_explainability", "m", settings={"label": "label", "shap_config": shap or {}, **changes},
                      policy=policy)  # fmt: skip


def made_baseline(folder: Path, told: Definition, model: Any = predict) -> tuple[Path, Result]:
    people(1500, 1).write_csv(folder / "base.csv")
    made = KIND.baseline(Source(folder / "base.csv"), told, model)
    write(folder / "baseline", made.files, replace=True)
    return folder / "baseline", made


def window(folder: Path, frame: pl.DataFrame) -> Window:
    """Captured requests, without answers that could be read."""
    lines = []
    for place, row in enumerate(frame.select(NAMES).rows()):
        data = ",".join("" if value is None else str(value) for value in row)
        side = {"observedContentType": "text/csv", "data": data, "encoding": "CSV", "mode": "INPUT"}
        lines.append({"captureData": {"endpointInput": side}, "eventMetadata": {"eventId": f"e{place}"}})
    folder.mkdir()
    (folder / "a.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return Window(folder)


def test_the_baseline_has_clarifys_form(tmp_path: Path) -> None:
    folder, made = made_baseline(tmp_path, definition({"save_local_shap_values": True}))
    document = json.loads((folder / "analysis.json").read_text())
    assert document["version"] == "1.0"
    label = document["explanations"]["kernel_shap"]["label0"]
    assert list(label["global_shap_values"]) == NAMES
    frame = pl.read_csv(tmp_path / "base.csv")
    middle = [*(frame[name].median() for name in NAMES[:4]), frame["region"].mode()[0], frame["noise"].median()]
    assert label["expected_value"] == pytest.approx(score(middle), abs=1e-6)
    values = label["global_shap_values"]
    assert values["größe"] == pytest.approx(3 * 0.8, rel=0.15) and values["noise"] == pytest.approx(0, abs=1e-9)
    assert document["monitoring"]["explainer"]["baseline"].startswith("median or most frequent value")
    lines = (folder / "local_shap_values.csv").read_text().splitlines()
    assert lines[0].split(",")[0] == "größe_label0" and len(lines) == 101
    assert made.rows == 1500


def test_the_same_people_raise_nothing_and_drift_does(tmp_path: Path) -> None:
    folder, _ = made_baseline(tmp_path, definition())
    calm = KIND.analyze(window(tmp_path / "calm", people(600, 2)), folder, definition(), predict)
    assert calm.violations == [] and calm.rows == 600 and calm.metrics["nDCG"] > 0.97
    drifted = people(600, 3, drift=True)
    done = KIND.analyze(window(tmp_path / "bad", drifted), folder, definition(), predict)
    (each,) = done.violations
    assert (each["label"], each["metric_name"]) == ("label0", "shap")
    assert each["constraint_check_type"] == "feature_attribution_drift_check"
    assert each["statistic"] < 0.9 == each["threshold"] and each["adjusted_p_value"] <= 0.01
    assert each["statistic"] == done.metrics["nDCG"]
    moved = {change["feature_name"]: change for change in each["features"]}
    assert moved["größe"]["baseline"]["rank"] == 1 and moved["größe"]["observed"]["rank"] >= 5
    assert moved["debt"]["observed"]["rank"] == 1 and each["feature_name"] in ("größe", "debt")
    assert each["sample_sizes"] == {"baseline": 100, "observed": 100}
    assert each["rows"]["where"] == "debt counts most, of the rows explained"
    debts = [abs(drifted["debt"][int(example["event_id"][1:])]) for example in each["rows"]["examples"]]
    assert len(debts) == 5 and min(debts) > 8
    json.dumps(done.files["constraint_violations.json"], allow_nan=False)


def test_each_class_has_its_own_attributions(tmp_path: Path) -> None:
    told = definition(model_scores={"label_headers": ["yes", "no", "maybe"]}, problem_type="MulticlassClassification")
    folder, made = made_baseline(tmp_path, told, three)
    explained = made.files["analysis.json"]["explanations"]["kernel_shap"]
    assert list(explained) == ["yes", "no", "maybe"]
    assert sum(each["expected_value"] for each in explained.values()) == pytest.approx(1)
    done = KIND.analyze(window(tmp_path / "bad", people(600, 3, drift=True)), folder, told, three)
    assert {each["label"] for each in done.violations} >= {"yes", "no"}
    calm = KIND.analyze(window(tmp_path / "calm", people(600, 4)), folder, told, three)
    assert calm.violations == [] and calm.files["constraint_violations.json"]["summary"]["tests"] == 3


def test_too_few_samples_are_made_enough_and_said(tmp_path: Path) -> None:
    folder, made = made_baseline(tmp_path, definition({"num_samples": 8}))
    assert made.findings[0]["message"] == "num_samples 8 cannot tell 6 features apart; 12 were taken."
    done = KIND.analyze(window(tmp_path / "calm", people(300, 2)), folder, definition({"num_samples": 8}), predict)
    assert done.violations == [] and done.metrics["nDCG"] > 0.95


@pytest.mark.parametrize("method", ["median", "mean_sq"])
def test_other_aggregations(tmp_path: Path, method: str) -> None:
    told = definition({"agg_method": method})
    folder, _ = made_baseline(tmp_path, told)
    done = KIND.analyze(window(tmp_path / "calm", people(300, 2)), folder, told, predict)
    values = done.files["analysis.json"]["explanations"]["kernel_shap"]["label0"]["global_shap_values"]
    if method == "mean_sq":
        assert values["größe"] == pytest.approx(9, rel=0.4) and done.violations == []


def test_the_explainers_baseline_is_rows_or_a_file(tmp_path: Path) -> None:
    rows = [[0, 0, 0, 0, "nord", 0], [1, 0, 0, 0, "süd", 0]]
    _, made = made_baseline(tmp_path, definition({"baseline": rows}))
    label = made.files["analysis.json"]["explanations"]["kernel_shap"]["label0"]
    assert label["expected_value"] == pytest.approx((0.8 + 3) / 2)
    for name, header in (("with.csv", [NAMES]), ("without.csv", [])):
        text = "\n".join(",".join(map(str, row)) for row in [*header, *rows])
        (tmp_path / name).write_text(text + "\n", encoding="utf-8")
        _, same = made_baseline(tmp_path, definition({"baseline": str(tmp_path / name)}))
        assert same.files["analysis.json"]["explanations"] == made.files["analysis.json"]["explanations"]


@pytest.mark.parametrize("background, words", [
    ([[1, 2]], "has 2 values; there are 6"), ([[0, 0, 0, "much", "nord", 0]], "'much' for debt"),
    ([[0] * 6] * 101, "101 rows"),
])  # fmt: skip
def test_an_explainers_baseline_of_another_form_is_refused(tmp_path: Path, background: Any, words: str) -> None:
    with pytest.raises(InputUnreadable, match=words):
        made_baseline(tmp_path, definition({"baseline": background}))


def test_an_explainers_baseline_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputMissing, match="s3:/"):
        made_baseline(tmp_path, definition({"baseline": "s3://bucket/rows.csv"}))


def test_trees_are_explained_from_their_file(tmp_path: Path) -> None:
    xgboost = pytest.importorskip("xgboost")
    random = np.random.default_rng(1)
    x = random.normal(size=(800, 4))
    model = xgboost.XGBRegressor(n_estimators=30, max_depth=3).fit(x, 3 * x[:, 0] + x[:, 1] + 0.3 * x[:, 2])
    model.get_booster().save_model(tmp_path / "model.json")
    told = Definition("model_explainability", "m", settings={"model_file": str(tmp_path / "model.json")})

    def table(seed: int, scale: float = 1.0) -> pl.DataFrame:
        columns = np.random.default_rng(seed).normal(size=(400, 4)) * [1 / scale, 1, scale, 1]
        return pl.DataFrame({"y": np.zeros(400), **{name: columns[:, i] for i, name in enumerate("abcd")}})

    table(1).write_csv(tmp_path / "base.csv")
    made = KIND.baseline(Source(tmp_path / "base.csv"), told, None)
    write(tmp_path / "baseline", made.files)
    values = made.files["analysis.json"]["explanations"]["tree_shap"]["label0"]["global_shap_values"]
    assert values["a"] > values["b"] > values["c"] > values["d"]
    table(2).write_csv(tmp_path / "calm.csv")
    calm = KIND.analyze(Window(tmp_path / "calm.csv"), tmp_path / "baseline", told, None)
    assert calm.violations == [] and calm.metrics["nDCG"] > 0.98
    table(3, 60.0).write_csv(tmp_path / "bad.csv")
    (each,) = KIND.analyze(Window(tmp_path / "bad.csv"), tmp_path / "baseline", told, None).violations
    assert {change["feature_name"] for change in each["features"]} == set("abcd")


def test_a_model_that_fails_halfway_is_named(tmp_path: Path) -> None:
    asked = 0

    def failing(rows: Sequence[Sequence[Any]]) -> list[list[float]]:
        nonlocal asked
        asked += len(rows)
        if asked > 3000:
            raise ConnectionError("the endpoint is gone")
        return predict(rows)

    with pytest.raises(ModelFailed, match=r"failed at rows .* the endpoint is gone"):
        made_baseline(tmp_path, definition(), failing)
    with pytest.raises(ModelFailed, match="no finite number"):
        made_baseline(tmp_path, definition(), lambda rows: [[float("nan")]] * len(rows))
    with pytest.raises(ModelFailed, match="answered 0 rows"):
        made_baseline(tmp_path, definition(), lambda rows: [])
    assert not (tmp_path / "baseline").exists()


def test_without_a_model_nothing_is_explained(tmp_path: Path) -> None:
    with pytest.raises(InputUnreadable, match="no model to ask"):
        made_baseline(tmp_path, definition(), None)


def test_five_thousand_columns_are_refused_with_what_helps(tmp_path: Path) -> None:
    wide = pl.DataFrame({f"c{place}": [0.0, 1.0] for place in range(5001)})
    wide.write_csv(tmp_path / "wide.csv")
    with pytest.raises(InputUnreadable, match="5,000 features") as caught:
        KIND.baseline(Source(tmp_path / "wide.csv"), definition(label="c0", policy={}), predict)
    assert "num_samples" in caught.value.hint and "model_file" in caught.value.hint


def test_a_column_that_is_gone_is_named(tmp_path: Path) -> None:
    folder, _ = made_baseline(tmp_path, definition())
    people(100, 2).drop("debt").write_csv(tmp_path / "window.csv")
    with pytest.raises(InputUnreadable, match="no column debt"):
        KIND.analyze(Window(tmp_path / "window.csv"), folder, definition(), predict)


def test_missing_values_are_asked_about_as_they_are(tmp_path: Path) -> None:
    folder, _ = made_baseline(tmp_path, definition())
    gaps = people(300, 2).with_columns(debt=pl.when(pl.col("noise") > 0).then(pl.col("debt")))
    done = KIND.analyze(window(tmp_path / "gaps", gaps), folder, definition(), predict)
    assert done.rows == 300 and done.metrics["Explained"] == 100


def test_an_empty_and_a_small_window_are_no_errors(tmp_path: Path) -> None:
    folder, _ = made_baseline(tmp_path, definition())
    (tmp_path / "empty").mkdir()
    done = KIND.analyze(Window(tmp_path / "empty"), folder, definition(), predict)
    assert done.rows == 0 and done.violations == []
    few = KIND.analyze(window(tmp_path / "few", people(5, 3, drift=True)), folder, definition(), predict)
    summary = few.files["constraint_violations.json"]["summary"]
    assert few.violations == [] and "fewer than 30" in summary["not_tested"][0]["reason"]


def test_another_baseline_is_needed_for_other_settings_and_edited_values(tmp_path: Path) -> None:
    folder, _ = made_baseline(tmp_path, definition())
    calm = window(tmp_path / "calm", people(100, 2))
    with pytest.raises(InputUnreadable, match="other settings"):
        KIND.analyze(calm, folder, definition({"agg_method": "mean_sq"}), predict)
    with pytest.raises(InputUnreadable, match="answers label0, label1, label2"):
        KIND.analyze(calm, folder, definition(), three)
    document = json.loads((folder / "constraints.json").read_text())
    document["explanations"]["kernel_shap"]["label0"]["global_shap_values"]["age"] = 9.0
    (folder / "constraints.json").write_text(json.dumps(document))
    with pytest.raises(InputUnreadable, match="were edited"):
        KIND.analyze(calm, folder, definition(), predict)


def test_everything_wrong_in_the_settings_is_named_at_once() -> None:
    wrong = {"shap_config": {"num_clusters": 3, "agg_method": "max", "num_samples": -1, "use_logit": "yes"},
             "bias_config": {}, "model_scores": {"threshold": 1}, "problem_type": "?"}  # fmt: skip
    with pytest.raises(InputUnreadable) as caught:
        KIND.baseline(Source(Path("nowhere")), Definition("model_explainability", "m", settings=wrong), predict)
    for words in ("num_clusters", "'max'", "num_samples", "use_logit", "bias_config", "threshold", "'?'"):
        assert words in caught.value.message
    with pytest.raises(InputUnreadable, match=r"policy has no beta.*policy.ndcg"):
        KIND.baseline(Source(Path("nowhere")), definition(policy={"ndcg": 2, "beta": 1}), predict)


def test_ground_truth_is_not_wanted(tmp_path: Path) -> None:
    folder, _ = made_baseline(tmp_path, definition())
    with pytest.raises(InputUnreadable, match="ground truth"):
        KIND.analyze(Window(tmp_path, tmp_path), folder, definition(), predict)


class Page(HTMLParser):
    """Refuses what a static page must not have; counts the plots."""

    def __init__(self) -> None:
        super().__init__()
        self.plots = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag not in ("script", "link", "img", "iframe")
        self.plots += tag == "svg"


def test_the_page_is_static_and_shows_both_sides(tmp_path: Path) -> None:
    told = definition(model_scores={"label_headers": ["<b>yes</b>"]})
    folder, _ = made_baseline(tmp_path, told)
    done = KIND.analyze(window(tmp_path / "bad", people(300, 3, drift=True)), folder, told, predict)
    page = Page()
    page.feed(done.files["report.html"])
    assert page.plots == 2 and "<b>yes" not in done.files["report.html"] and "größe" in done.files["report.html"]
