"""The bias monitor from files to documents, violations and the page."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from orchestrator.runtime.monitoring.analysis import write
from orchestrator.runtime.monitoring.failures import InputUnreadable, ModelFailed
from orchestrator.runtime.monitoring.kinds import Definition, Result, Window, find
from orchestrator.runtime.monitoring.reading import Source

KIND = find("model_bias")
SETTINGS: dict[str, Any] = {
    "problem_type": "BinaryClassification",
    "label": "approved",
    "bias_config": {
        "label_values_or_threshold": [1], "facet_name": ["sex", "age"], "facet_values_or_threshold": [["f"], [40]],
        "group_name": "region",
    },
    "predicted_label_config": {"probability_threshold": 0.5},
    "baseline_probability": "p",
}  # fmt: skip


def people(rows: int, seed: int, unfair: float = 0.0) -> pl.DataFrame:
    """Applicants; ``unfair`` is taken off the probability of women."""
    random = np.random.default_rng(seed)
    sex = random.choice(["f", "m"], rows, p=[0.4, 0.6])
    approved = (random.random(rows) < 0.45 + 0.1 * (sex == "m")).astype(int)
    chance = np.clip(0.25 + 0.5 * approved - unfair * (sex == "f") + random.normal(0, 0.15, rows), 0.01, 0.99)
    return pl.DataFrame({
        "approved": approved, "sex": sex, "age": random.integers(18, 80, rows), "income": random.normal(50, 10, rows),
        "region": random.choice(["nord", "süd"], rows), "p": chance.round(4),
    })  # fmt: skip


def definition(**changes: Any) -> Definition:
    policy = changes.pop("policy", {})
    return Definition("model_bias", "m", settings={**SETTINGS, **changes}, policy=policy)


def made_baseline(folder: Path, frame: pl.DataFrame, told: Definition, predict: Any = None) -> Path:
    frame.write_csv(folder / "base.csv")
    write(folder / "baseline", KIND.baseline(Source(folder / "base.csv"), told, predict).files)
    return folder / "baseline"


def captured(folder: Path, frame: pl.DataFrame, *, answers: Sequence[str] | None = None,
             features: Sequence[str] = ("sex", "age", "income", "region")) -> Window:  # fmt: skip
    """The frame as captured calls and ground truth."""
    calls, truths = [], []
    said = answers or [f"{p}" for p in frame["p"]]
    for place, (row, answer) in enumerate(zip(frame.select(features).rows(), said, strict=True)):
        sides = {
            name: {"observedContentType": "text/csv", "data": data, "encoding": "CSV", "mode": mode}
            for name, data, mode in (
                ("endpointInput", ",".join(map(str, row)), "INPUT"), ("endpointOutput", answer, "OUTPUT")
            )
        }  # fmt: skip
        calls.append({"captureData": sides, "eventMetadata": {"eventId": f"e{place}"}, "eventVersion": "0"})
        truths.append({"groundTruthData": {"data": str(frame["approved"][place]), "encoding": "CSV"},
                       "eventMetadata": {"eventId": f"e{place}"}, "eventVersion": "0"})  # fmt: skip
    for name, lines in (("captured", calls), ("truth", truths)):
        (folder / name).mkdir()
        (folder / name / "a.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return Window(folder / "captured", folder / "truth")


def names(made: Result) -> set[tuple[str, str]]:
    return {(each["facet"], each["metric_name"]) for each in made.violations}


def metric(document: dict[str, Any], section: str, facet: str, name: str) -> dict[str, Any]:
    (found,) = [each for each in document[section]["facets"][facet][0]["metrics"] if each["name"] == name]
    return dict(found)


def test_the_baseline_has_clarifys_form(tmp_path: Path) -> None:
    frame = people(3000, 1)
    folder = made_baseline(tmp_path, frame, definition())
    document = json.loads((folder / "analysis.json").read_text())
    assert document["version"] == "1.0"
    before, after = document["pre_training_bias_metrics"], document["post_training_bias_metrics"]
    assert (before["label"], before["label_value_or_threshold"]) == ("approved", "1")
    assert [each["name"] for each in before["facets"]["sex"][0]["metrics"]] == sorted(
        ["CDDL", "CI", "DPL", "JS", "KL", "KS", "LP", "TVD"]
    )
    assert [each["name"] for each in after["facets"]["sex"][0]["metrics"]] == sorted(
        ["AD", "CDDPL", "DAR", "DCA", "DCR", "DI", "DPPL", "DRR", "FT", "GE", "RD", "SD", "TE"]
    )
    assert before["facets"]["sex"][0]["value_or_threshold"] == "f"
    assert before["facets"]["age"][0]["value_or_threshold"] == "(40, 79]"
    women, men = frame.filter(pl.col("sex") == "f"), frame.filter(pl.col("sex") == "m")
    wanted = men["approved"].mean() - women["approved"].mean()  # type: ignore[operator]
    assert metric(document, "pre_training_bias_metrics", "sex", "DPL")["value"] == pytest.approx(wanted)
    old, young = frame.filter(pl.col("age") > 40), frame.filter(pl.col("age") <= 40)
    wanted = (young.height - old.height) / frame.height
    assert metric(document, "pre_training_bias_metrics", "age", "CI")["value"] == pytest.approx(wanted)
    flip = metric(document, "post_training_bias_metrics", "sex", "FT")
    assert flip["value"] is None and "region is text" in flip["error"]
    low, high = metric(document, "post_training_bias_metrics", "sex", "DPPL")["confidence_interval"]
    assert low < metric(document, "post_training_bias_metrics", "sex", "DPPL")["value"] < high


def test_the_same_people_raise_nothing_and_unfair_answers_do(tmp_path: Path) -> None:
    folder = made_baseline(tmp_path, people(4000, 1), definition())
    (tmp_path / "calm").mkdir()
    (tmp_path / "bad").mkdir()
    calm = KIND.analyze(captured(tmp_path / "calm", people(1500, 2)), folder, definition(), None)
    assert calm.violations == [] and calm.rows == 1500 and calm.metrics["Worsening"] == 0
    done = KIND.analyze(captured(tmp_path / "bad", people(1500, 3, unfair=0.3)), folder, definition(), None)
    assert {("sex", "DPPL"), ("sex", "DI"), ("sex", "RD")} <= names(done)
    assert {name for facet, name in names(done) if facet == "age"} <= {"GE"}  # GE is that of all people
    document = done.files["constraint_violations.json"]
    assert document["version"] == "1.0" and document["summary"]["status"] == "CompletedWithViolations"
    (each,) = [each for each in done.violations if each["metric_name"] == "DPPL"]
    assert each["constraint_check_type"] == "bias_drift_check" and each["facet_value"] == "f"
    assert each["sample_sizes"] == {"baseline": 4000, "observed": 1500}
    assert each["p_value"] <= each["adjusted_p_value"] <= 0.01
    low, high = each["observed"]["confidence_interval"]
    assert low <= each["observed"]["value"] <= high and low > each["baseline"]["value"]
    assert each["rows"]["where"] == "sex is f, the prediction is negative"
    truth = people(1500, 3, unfair=0.3)
    for example in each["rows"]["examples"]:
        row = truth.row(int(example["event_id"][1:]), named=True)
        assert row["sex"] == "f" and row["p"] <= 0.5
    json.dumps(document, allow_nan=False)


def test_a_table_is_a_window_too(tmp_path: Path) -> None:
    folder = made_baseline(tmp_path, people(4000, 1), definition())
    people(1500, 3, unfair=0.3).write_csv(tmp_path / "window.csv")
    done = KIND.analyze(Window(tmp_path / "window.csv"), folder, definition(), None)
    assert ("sex", "DPPL") in names(done)


def test_without_ground_truth_only_the_answers_are_looked_at(tmp_path: Path) -> None:
    folder = made_baseline(tmp_path, people(4000, 1), definition())
    window = captured(tmp_path, people(1500, 3, unfair=0.3))
    done = KIND.analyze(Window(window.captured), folder, definition(), None)
    assert {("sex", "DPPL"), ("sex", "DI")} <= names(done)
    assert {name for _, name in names(done)} <= {"DPPL", "DI", "CDDPL", "CI"}
    reasons = {
        each["metric_name"]: each["reason"]
        for each in done.files["constraint_violations.json"]["summary"]["not_tested"]
    }
    assert reasons["RD"] == "it is not defined in this window"


def test_the_model_is_asked_about_the_baseline(tmp_path: Path) -> None:
    frame = people(2000, 1).drop("p")
    told = definition(baseline_probability=None)
    seen: list[int] = []

    def predict(rows: Sequence[Sequence[Any]]) -> list[list[float]]:
        seen.append(len(rows))
        return [[0.9 if row[0] == "m" else 0.1] for row in rows]

    made_baseline(tmp_path, frame, told, predict)
    assert sum(seen) == 2000 and all(count * 4 <= 50_000 for count in seen)
    document = json.loads((tmp_path / "baseline" / "analysis.json").read_text())
    assert metric(document, "post_training_bias_metrics", "sex", "DPPL")["value"] == 1.0
    assert metric(document, "post_training_bias_metrics", "sex", "DI")["value"] == 0.0


def test_without_a_model_the_data_is_looked_at(tmp_path: Path) -> None:
    people(500, 1).drop("p").write_csv(tmp_path / "base.csv")
    made = KIND.baseline(Source(tmp_path / "base.csv"), definition(baseline_probability=None), None)
    assert "post_training_bias_metrics" not in made.files["analysis.json"]
    assert made.findings[0]["kind"] == "no_predictions"


@pytest.mark.parametrize("answer, words", [
    ([], "answered 0 rows for the"), ([["x"]], "failed"), (None, "out of memory"),
])  # fmt: skip
def test_a_model_that_fails_halfway_is_named(tmp_path: Path, answer: Any, words: str) -> None:
    people(30_000, 1).drop("p").write_csv(tmp_path / "base.csv")
    asked = 0

    def predict(rows: Sequence[Sequence[Any]]) -> list[list[float]]:
        nonlocal asked
        asked += 1
        if asked < 2:
            return [[0.5]] * len(rows)
        if answer is None:
            raise RuntimeError("out of memory")
        if answer:
            raise ValueError("no number: 'x'")
        return []

    with pytest.raises(ModelFailed, match=words):
        KIND.baseline(Source(tmp_path / "base.csv"), definition(baseline_probability=None), predict)


def test_answers_are_labels_probabilities_or_scores_of_each_label(tmp_path: Path) -> None:
    """Three ways to say the same predictions."""
    frame = people(1200, 1)
    yes = (frame["p"] > 0.5).to_list()
    told = {
        "label": ({"label": "0"}, ["1" if each else "0" for each in yes]),
        "probability": ({"probability": "1", "probability_threshold": 0.5}, [f"x,{p}" for p in frame["p"]]),
        "headers": ({"label_headers": ["0", "1"]}, [f"{1 - p:.4f},{p}" for p in frame["p"]]),
    }
    found = {}
    for name, (config, answers) in told.items():
        place = tmp_path / name
        place.mkdir()
        asked = definition(predicted_label_config=config)
        folder = made_baseline(place, frame, definition())
        done = KIND.analyze(captured(place, frame, answers=answers), folder, asked, None)
        found[name] = metric(done.files["analysis.json"], "post_training_bias_metrics", "sex", "DI")["value"]
    assert found["label"] == found["probability"] == found["headers"] != 1.0


def test_each_value_of_a_facet_by_itself_and_a_new_one(tmp_path: Path) -> None:
    told = definition(bias_config={"label_values_or_threshold": [1], "facet_name": "region"})
    folder = made_baseline(tmp_path, people(3000, 1), told)
    document = json.loads((folder / "analysis.json").read_text())
    values = [each["value_or_threshold"] for each in document["post_training_bias_metrics"]["facets"]["region"]]
    assert values == ["nord", "süd"]
    group = metric(document, "pre_training_bias_metrics", "region", "CDDL")
    assert group["value"] is None and group["error"] == "Group variable is empty or not provided."
    window = people(900, 2).with_columns(region=pl.Series(["nord", "süd", "東"] * 300))
    done = KIND.analyze(captured(tmp_path, window), folder, told, None)
    assert [(each["kind"], each["count"]) for each in done.findings] == [("new_facet_value", 300)]


def test_a_facet_that_is_gone_is_a_violation(tmp_path: Path) -> None:
    folder = made_baseline(tmp_path, people(3000, 1), definition())
    told = Definition("model_bias", "m", settings=SETTINGS, columns=["age", "income", "region"])
    done = KIND.analyze(captured(tmp_path, people(500, 2), features=["age", "income", "region"]), folder, told, None)
    (each,) = done.violations
    assert (each["facet"], each["constraint_check_type"]) == ("sex", "missing_column_check")


def test_an_empty_window_is_no_error(tmp_path: Path) -> None:
    folder = made_baseline(tmp_path, people(500, 1), definition())
    (tmp_path / "captured").mkdir()
    (tmp_path / "truth").mkdir()
    done = KIND.analyze(Window(tmp_path / "captured", tmp_path / "truth"), folder, definition(), None)
    assert done.rows == 0 and done.violations == []
    json.dumps(done.files["analysis.json"], allow_nan=False)


def test_one_empty_group_and_zero_denominators_are_written_as_json(tmp_path: Path) -> None:
    frame = people(400, 1).with_columns(sex=pl.lit("m"))
    made_baseline(tmp_path, frame, definition(bias_config={**SETTINGS["bias_config"], "group_name": None}))
    document = json.loads((tmp_path / "baseline" / "analysis.json").read_text())
    empty = metric(document, "pre_training_bias_metrics", "sex", "DPL")
    assert empty["value"] is None and empty["error"] == "Facet set is empty."
    (tmp_path / "other").mkdir()
    frame = people(400, 1).with_columns(p=pl.when(pl.col("sex") == "f").then(0.9).otherwise(0.1))
    made_baseline(tmp_path / "other", frame, definition())
    document = json.loads((tmp_path / "other" / "baseline" / "analysis.json").read_text())
    assert metric(document, "post_training_bias_metrics", "sex", "DI")["value"] == "Infinity"


def test_a_monitor_that_would_be_blind_says_so(tmp_path: Path) -> None:
    told = definition(bias_config={**SETTINGS["bias_config"], "label_values_or_threshold": ["yes"]})
    with pytest.raises(InputUnreadable, match="that is yes; there are labels like 0"):
        made_baseline(tmp_path, people(300, 1), told)
    told = definition(bias_config={"label_values_or_threshold": [1], "facet_name": "sex",
                                   "facet_values_or_threshold": ["female"]})  # fmt: skip
    people(300, 1).write_csv(tmp_path / "base.csv")
    (finding,) = KIND.baseline(Source(tmp_path / "base.csv"), told, None).findings
    assert finding["kind"] == "empty_facet" and "sex female" in finding["message"]
    folder = made_baseline(tmp_path, people(300, 1), definition())
    window = captured(tmp_path, people(100, 2))
    with pytest.raises(InputUnreadable, match="None of the window's 100 rows has an answer"):
        KIND.analyze(window, folder, definition(probability_attribute="3"), None)


def test_missing_labels_and_answers_are_counted(tmp_path: Path) -> None:
    folder = made_baseline(tmp_path, people(1000, 1), definition())
    frame = people(200, 2)
    answers = ["broken" if place < 20 else str(p) for place, p in enumerate(frame["p"])]
    window = captured(tmp_path, frame, answers=answers)
    truths = (tmp_path / "truth" / "a.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "truth" / "a.jsonl").write_text("".join(truths[:150]))
    done = KIND.analyze(window, folder, definition(), None)
    assert done.rows == 150
    assert {each["kind"]: each["count"] for each in done.findings} == {"no_ground_truth": 50, "no_prediction": 20}


def test_an_edited_constraint_is_a_promise(tmp_path: Path) -> None:
    folder = made_baseline(tmp_path, people(3000, 1, unfair=0.3), definition())
    document = json.loads((folder / "constraints.json").read_text())
    metric(document, "post_training_bias_metrics", "sex", "DPPL")
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    before = KIND.analyze(captured(tmp_path / "a", people(2000, 3, unfair=0.3)), folder, definition(), None)
    assert before.violations == []
    for each in document["post_training_bias_metrics"]["facets"]["sex"][0]["metrics"]:
        if each["name"] == "DPPL":
            each["value"] = 0.05
    (folder / "constraints.json").write_text(json.dumps(document))
    after = KIND.analyze(captured(tmp_path / "b", people(2000, 3, unfair=0.3)), folder, definition(), None)
    assert names(after) == {("sex", "DPPL")}


def test_other_settings_need_another_baseline(tmp_path: Path) -> None:
    folder = made_baseline(tmp_path, people(500, 1), definition())
    window = captured(tmp_path, people(50, 2))
    told = definition(bias_config={"label_values_or_threshold": [1], "facet_name": "sex"})
    with pytest.raises(InputUnreadable, match="other settings"):
        KIND.analyze(window, folder, told, None)


def test_a_regression_has_thresholds_and_a_facet_by_its_place(tmp_path: Path) -> None:
    frame = people(2000, 1).with_columns(approved=pl.col("p") * 100, p=pl.col("p") * 100 + 1)
    told = definition(
        problem_type="Regression", predicted_label_config={}, baseline_probability=None, baseline_prediction="p",
        bias_config={"label_values_or_threshold": [50.5], "facet_name": 1, "facet_values_or_threshold": ["f"]},
    )  # fmt: skip
    folder = made_baseline(tmp_path, frame, told)
    document = json.loads((folder / "analysis.json").read_text())
    after = document["post_training_bias_metrics"]
    assert after["label_value_or_threshold"] == "(50.5, +inf)"
    women, men = (frame.filter(pl.col("sex") == each)["p"] > 50.5 for each in "fm")
    wanted = men.mean() - women.mean()  # type: ignore[operator]
    assert metric(document, "post_training_bias_metrics", "sex", "DPPL")["value"] == pytest.approx(wanted)
    done = KIND.analyze(captured(tmp_path, frame), folder, told, None)
    assert done.violations == []


def test_the_flip_test_takes_part_where_features_are_numbers(tmp_path: Path) -> None:
    """Of people alike, the model refuses the women."""
    frame = people(3000, 1).drop("region")
    told = definition(bias_config={**SETTINGS["bias_config"], "group_name": None, "facet_name": ["sex"],
                                   "facet_values_or_threshold": [["f"]]})  # fmt: skip
    folder = made_baseline(tmp_path, frame, told)
    window = captured(tmp_path, people(1500, 3, unfair=0.4).drop("region"), features=["sex", "age", "income"])
    done = KIND.analyze(window, folder, told, None)
    (flip,) = [each for each in done.violations if each["metric_name"] == "FT"]
    assert flip["observed"]["value"] < -0.1 and flip["test"] == "normal"


def test_everything_wrong_in_the_settings_is_named_at_once() -> None:
    wrong = {
        "problem_type": "Clustering", "bias_config": {"facet_name": [], "methods": "all"}, "shap_config": {},
        "predicted_label_config": {"label": "a[", "dataset": 1}, "probability_threshold": "high",
    }  # fmt: skip
    with pytest.raises(InputUnreadable) as caught:
        KIND.baseline(Source(Path("nowhere")), Definition("model_bias", "m", settings=wrong), None)
    for words in ("shap_config", "Clustering", "label_values_or_threshold", "facet_name", "methods", "dataset",
                  "'a['", "'high'"):  # fmt: skip
        assert words in caught.value.message
    with pytest.raises(InputUnreadable, match=r"policy has no beta.*alpha must be"):
        KIND.baseline(Source(Path("nowhere")), definition(policy={"alpha": 0, "beta": 1}), None)


@pytest.mark.parametrize("config, words", [
    ({"facet_name": "age"}, "needs a threshold"),
    ({"facet_name": "income", "facet_values_or_threshold": ["rich"]}, "needs a threshold"),
    ({"facet_name": "height"}, "no column height"),
    ({"facet_name": "approved"}, "is the label"),
    ({"facet_name": "sex", "group_name": "income"}, "group_name has more than"),
])  # fmt: skip
def test_what_cannot_be_compared_is_refused(tmp_path: Path, config: dict[str, Any], words: str) -> None:
    people(2000, 1).write_csv(tmp_path / "base.csv")
    told = definition(bias_config={"label_values_or_threshold": [1], **config})
    with pytest.raises(InputUnreadable, match=words):
        KIND.baseline(Source(tmp_path / "base.csv"), told, None)


class Page(HTMLParser):
    """Refuses what a static page must not have; counts the plots."""

    def __init__(self) -> None:
        super().__init__()
        self.plots = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag not in ("script", "link", "img", "iframe")
        self.plots += tag == "svg"


def test_the_page_is_static_and_escapes_what_it_shows(tmp_path: Path) -> None:
    frame = people(1000, 1).with_columns(
        sex=pl.when(pl.col("sex") == "f").then(pl.lit("<b>f</b>")).otherwise(pl.lit("m"))
    )
    told = definition(bias_config={"label_values_or_threshold": [1], "facet_name": "sex",
                                   "facet_values_or_threshold": ["<b>f</b>"]})  # fmt: skip
    folder = made_baseline(tmp_path, frame, told)
    done = KIND.analyze(captured(tmp_path, frame), folder, told, None)
    page = Page()
    page.feed(done.files["report.html"])
    assert page.plots == 2 and "<b>f</b>" not in done.files["report.html"]


def test_metrics_for_cloudwatch_are_finite_and_ascii(tmp_path: Path) -> None:
    told = definition(bias_config={"label_values_or_threshold": [1], "facet_name": "region"})
    folder = made_baseline(tmp_path, people(1000, 1), told)
    done = KIND.analyze(captured(tmp_path, people(500, 2)), folder, told, None)
    assert done.metrics["Tests"] > 20
    assert all(math.isfinite(value) and name.isascii() and len(name) <= 255 for name, value in done.metrics.items())
