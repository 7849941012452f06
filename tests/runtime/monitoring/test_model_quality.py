"""Model quality as a person runs it: from captured calls and later labels to violations and the page."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.cli.__main__ import main as mlops
from orchestrator.runtime.monitoring.failures import InputUnreadable
from orchestrator.runtime.monitoring.kinds import Definition, Result, Window, find
from orchestrator.runtime.monitoring.quality.settings import Settings
from orchestrator.runtime.monitoring.reading import Source

KIND = find("model_quality")
BINARY = {
    "problem_type": "BinaryClassification", "baseline_prediction": "guess", "baseline_probability": "p",
    "baseline_ground_truth": "label", "prediction_attribute": "0", "probability_attribute": "1",
}  # fmt: skip
MULTI = {
    "problem_type": "MulticlassClassification", "baseline_prediction": "guess", "baseline_ground_truth": "label",
    "prediction_attribute": "0",
}  # fmt: skip
REGRESSION = MULTI | {"problem_type": "Regression"}
Rows = list[tuple[str, ...]]


def people(rows: int, seed: int, apart: float = 2.0) -> Rows:
    """(label, prediction, probability) of a binary problem."""
    random = np.random.default_rng(seed)
    label = random.random(rows) < 0.3
    p = 1 / (1 + np.exp(-(random.standard_normal(rows) + apart * label - apart / 2)))
    return [(str(int(y)), str(int(each > 0.5)), f"{each:.6f}") for y, each in zip(label, p, strict=True)]


def animals(rows: int, seed: int, wrong: float = 0.1) -> Rows:
    random = np.random.default_rng(seed)
    label = random.choice(["ant", "bee", "cät"], rows)
    guess = np.where(random.random(rows) < wrong, "bee", label)
    return [(str(y), str(g)) for y, g in zip(label, guess, strict=True)]


def prices(rows: int, seed: int, noise: float = 3.0) -> Rows:
    random = np.random.default_rng(seed)
    guess = random.normal(50, 10, rows)
    return [(repr(float(g + e)), repr(float(g))) for g, e in zip(guess, random.normal(0, noise, rows), strict=True)]


def saved(rows: Rows, path: Path, header: str = "label,guess,p") -> Path:
    names = header.split(",")[: len(rows[0])]
    path.write_text("\n".join([",".join(names), *(",".join(row) for row in rows)]) + "\n")
    return path


def answer(row: Sequence[str], number: int, kind: str = "text/csv") -> str:
    side = {"observedContentType": kind, "mode": "OUTPUT", "data": ",".join(row[1:]), "encoding": "CSV"}
    return json.dumps({"captureData": {"endpointOutput": side}, "eventMetadata": {"eventId": f"e{number}"}})


def label(text: str, number: int) -> str:
    return json.dumps(
        {"groundTruthData": {"data": text, "encoding": "CSV"}, "eventMetadata": {"eventId": f"e{number}"}}
    )


def window(folder: Path, rows: Rows, *, labelled: float = 1.0, calls: Sequence[str] | None = None) -> Window:
    """Captured calls in two hours, and their labels in the order they came in: another one."""
    for name in ("captured/10", "captured/11", "truth/12"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    lines = calls or [answer(row, number) for number, row in enumerate(rows)]
    half = len(lines) // 2
    (folder / "captured/10/a.jsonl").write_text("\n".join(lines[:half]) + "\n")
    (folder / "captured/11/b.jsonl").write_text("\n".join(lines[half:]) + "\n")
    kept = [label(row[0], number) for number, row in enumerate(rows) if number % 100 < labelled * 100]
    (folder / "truth/12/c.jsonl").write_text("\n".join(reversed(kept)) + "\n")
    return Window(folder / "captured", folder / "truth")


def based(folder: Path, rows: Rows, settings_: dict[str, Any], **files: Any) -> Path:
    """A baseline's documents; ``files`` change them."""
    made = KIND.baseline(Source(saved(rows, folder / "base.csv")), Definition("model_quality", "m", settings=settings_),
                         None)  # fmt: skip
    out = folder / "baseline"
    out.mkdir(exist_ok=True)
    for name, content in made.files.items():
        (out / name).write_text(json.dumps(content))
    return out


def looked(folder: Path, settings_: dict[str, Any], seen: Window, base: Path, **policy: Any) -> Result:
    definition = Definition("model_quality", "m", settings=settings_, policy=policy)
    found: Result = KIND.analyze(seen, base, definition, None)
    json.dumps({name: each for name, each in found.files.items() if name != "report.html"}, allow_nan=False)
    return found


def names(found: Result) -> set[str]:
    return {each["metric_name"] for each in found.violations}


def test_the_documents_have_model_monitors_form(tmp_path: Path) -> None:
    base = based(tmp_path, people(3000, 1), BINARY)
    statistics = json.loads((base / "statistics.json").read_text())
    constraints = json.loads((base / "constraints.json").read_text())
    body = statistics["binary_classification_metrics"]
    assert statistics["version"] == 0.0 and statistics["dataset"]["item_count"] == 3000
    assert set(body["confusion_matrix"]) == {"0", "1"} and set(body["confusion_matrix"]["0"]) == {"0", "1"}
    assert {"value", "standard_deviation"} <= set(body["recall"])
    assert set(body["receiver_operating_characteristic_curve"]) == {"false_positive_rates", "true_positive_rates"}
    rules = constraints["binary_classification_constraints"]
    assert rules["recall"] == {"threshold": body["recall"]["value"], "comparison_operator": "LessThanThreshold"}
    assert rules["false_positive_rate"]["comparison_operator"] == "GreaterThanThreshold"
    assert {"accuracy", "precision", "f0_5", "f1", "f2", "auc", "au_prc", "log_loss", "brier"} <= set(rules)


@pytest.mark.parametrize("settings_, calm, worse, key", [
    (BINARY, people(1000, 2), people(1000, 3, apart=1.3), "auc"),
    (MULTI, animals(1000, 2), animals(1000, 3, wrong=0.3), "weighted_f1"),
    (REGRESSION, prices(1000, 2), prices(1000, 3, noise=4.0), "rmse"),
], ids=["binary", "multiclass", "regression"])  # fmt: skip
def test_a_worse_model_is_found_and_one_as_good_is_not(tmp_path: Path, settings_: dict[str, Any], calm: Rows,
                                                       worse: Rows, key: str) -> None:  # fmt: skip
    first = {"auc": people, "weighted_f1": animals, "rmse": prices}[key](5000, 1)
    base = based(tmp_path, first, settings_)
    quiet = looked(tmp_path, settings_, window(tmp_path / "calm", calm), base)
    assert quiet.violations == [] and quiet.rows == 1000
    found = looked(tmp_path, settings_, window(tmp_path / "worse", worse, labelled=0.8), base)
    assert key in names(found)
    each = next(each for each in found.violations if each["metric_name"] == key)
    assert each["constraint_check_type"] in ("LessThanThreshold", "GreaterThanThreshold")
    assert each["statistic"] == each["observed"]["value"] != each["threshold"] == each["baseline"]["value"]
    low, high = each["observed"]["interval"]
    assert low < each["statistic"] < high and not low < each["threshold"] < high
    assert each["sample_sizes"] == {"baseline": 5000, "observed": 800}
    assert each["p_value"] <= each["adjusted_p_value"] <= 0.01
    assert each["rows"]["count"] > 0 and each["rows"]["examples"]
    example = each["rows"]["examples"][0]
    captured = tmp_path / "worse" / "captured" / example["file"]
    assert example["event_id"] in captured.read_text().splitlines()[example["row"] - 1]
    assert found.metrics["labelled_rows"] == 800 and found.metrics["unlabelled_rows"] == 200
    assert found.metrics[key] == each["statistic"]
    summary = found.files["constraint_violations.json"]["summary"]
    assert summary["status"] == "CompletedWithViolations" and summary["ground_truth"]["labelled"] == 800


def test_a_threshold_that_was_edited_is_a_promise(tmp_path: Path) -> None:
    rows = people(4000, 1)
    base = based(tmp_path, rows, BINARY)
    seen = window(tmp_path / "w", people(400, 2))

    def edited(**thresholds: float) -> Result:
        constraints = json.loads((base / "constraints.json").read_text())
        rules = constraints["binary_classification_constraints"]
        constraints["binary_classification_constraints"] = {
            name: rules[name] | {"threshold": value} for name, value in thresholds.items()
        }
        folder = tmp_path / "edited"
        shutil.copytree(base, folder, dirs_exist_ok=True)
        (folder / "constraints.json").write_text(json.dumps(constraints))
        return looked(tmp_path, BINARY, seen, folder)

    high = edited(accuracy=0.99, f1=0.97, f2=0.97, auc=0.99, brier=0.01, false_positive_rate=0.01)
    assert names(high) == {"accuracy", "f1", "f2", "auc", "brier", "false_positive_rate"}
    assert {each["test"] for each in high.violations} == {"binomial", "normal", "student"}
    assert edited(accuracy=0.6, f1=0.5, f2=0.5, auc=0.7, brier=0.3, false_positive_rate=0.5).violations == []


def test_strict_compares_as_model_monitor_does(tmp_path: Path) -> None:
    base = based(tmp_path, people(4000, 1), BINARY)
    seen = window(tmp_path / "w", people(300, 2))
    assert looked(tmp_path, BINARY, seen, base).violations == []
    strict = looked(tmp_path, BINARY, seen, base, strict=True)
    body, rules = strict.files["statistics.json"]["binary_classification_metrics"], json.loads(
        (base / "constraints.json").read_text())["binary_classification_constraints"]  # fmt: skip
    lower = {name for name, rule in rules.items() if "Less" in rule["comparison_operator"]
             and body[name]["value"] < rule["threshold"]}  # fmt: skip
    assert lower and lower <= names(strict)
    assert all(each["test"] == "threshold" and each["p_value"] is None for each in strict.violations)


def test_probabilities_alone_are_enough(tmp_path: Path) -> None:
    rows = people(2000, 1)
    alone = {name: value for name, value in BINARY.items() if name not in ("baseline_prediction",
                                                                          "prediction_attribute")}  # fmt: skip
    both = based(tmp_path, rows, BINARY)
    direct = (both / "statistics.json").read_text()
    assert json.loads((based(tmp_path, rows, alone) / "statistics.json").read_text()) == json.loads(direct)
    seen = window(tmp_path / "w", people(500, 2))
    first, second = (looked(tmp_path, each, seen, both) for each in (BINARY, alone))
    assert first.files["statistics.json"] == second.files["statistics.json"]
    higher = looked(tmp_path, BINARY | {"probability_threshold": "0.9"}, seen, both)
    assert higher.metrics["recall"] < first.metrics["recall"]
    assert [each["kind"] for each in higher.findings] == ["settings"]


def test_answers_that_hold_no_prediction_are_counted_and_judged(tmp_path: Path) -> None:
    base = based(tmp_path, people(3000, 1), BINARY)
    rows = people(600, 2)
    calls = [answer(row if number % 5 else (row[0], "sorry", "NaN"), number) for number, row in enumerate(rows)]
    found = looked(tmp_path, BINARY, window(tmp_path / "w", rows, calls=calls), base)
    assert names(found) == {"unusable_prediction_rate"}
    (each,) = found.violations
    assert each["statistic"] == pytest.approx(0.2) and each["rows"]["count"] == 120 and each["rows"]["examples"]
    assert {each["kind"]: each["count"] for each in found.findings} == {"unusable_prediction": 60}


def test_empty_windows_complete(tmp_path: Path) -> None:
    base = based(tmp_path, people(1000, 1), BINARY)
    for name in ("captured", "truth"):
        (tmp_path / "none" / name).mkdir(parents=True)
    nothing = Window(tmp_path / "none" / "captured", tmp_path / "none" / "truth")
    found = looked(tmp_path, BINARY, nothing, base)
    assert found.rows == 0 and found.violations == [] and "No labelled rows" in found.files["report.html"]
    unlabelled = window(tmp_path / "w", people(50, 2), labelled=0.0)
    found = looked(tmp_path, BINARY, unlabelled, base)
    assert found.rows == 50 and found.violations == [] and found.metrics["unlabelled_rows"] == 50
    few = looked(tmp_path, BINARY, window(tmp_path / "few", people(12, 2, apart=-3.0)), base)
    reasons = {each["reason"] for each in few.files["constraint_violations.json"]["summary"]["not_tested"]}
    assert few.violations == [] and "fewer than 30 rows" in reasons


@pytest.mark.parametrize("make", [
    lambda: [("1", "1", "0.9")] * 60,
    lambda: [("0", "0", "0.1")] * 60,
    lambda: [("1", "0", "0.5")] * 30 + [("0", "0", "0.5")] * 30,
    lambda: [("1", "1", "1")] * 30 + [("0", "0", "0")] * 30,
    lambda: [("1", "1", "0")] * 30 + [("0", "1", "1")] * 30,
], ids=["positives", "negatives", "constant", "perfect", "reversed"])  # fmt: skip
def test_degenerate_windows_are_judged_as_far_as_they_go(tmp_path: Path, make: Any) -> None:
    base = based(tmp_path, people(1000, 1), BINARY)
    found = looked(tmp_path, BINARY, window(tmp_path / "w", make()), base)
    assert found.rows == 60
    again = based(tmp_path, make(), BINARY)
    looked(tmp_path, BINARY, window(tmp_path / "w2", people(500, 2)), again)
    looked(tmp_path, BINARY, window(tmp_path / "w3", make()), again)


@pytest.mark.parametrize("rows, settings_, words", [
    ([("1", "0.87", "0.87"), ("0", "0.2", "0.2")], BINARY, "probabilities belong to probability_attribute"),
    ([("gut", "1", "0.5")], BINARY, "positive_label"),
    ([("1", "nan", "x")], REGRESSION, "no finite numbers"),
    ([("x", "1", "x")], REGRESSION, "The first label is 'x'"),
])  # fmt: skip
def test_a_baseline_without_a_usable_row_is_an_error(tmp_path: Path, rows: Rows, settings_: dict[str, Any],
                                                     words: str) -> None:  # fmt: skip
    with pytest.raises(InputUnreadable) as caught:
        based(tmp_path, rows, settings_)
    assert words in f"{caught.value.message} {caught.value.hint}"


def test_answers_of_another_form_are_an_error_that_names_the_attribute(tmp_path: Path) -> None:
    base = based(tmp_path, people(500, 1), BINARY)
    with pytest.raises(InputUnreadable, match=r"No labelled row of .* can be judged"):
        looked(tmp_path, BINARY | {"prediction_attribute": "score"}, window(tmp_path / "w", people(50, 2)), base)


def test_settings_are_refused_with_all_that_is_wrong() -> None:
    wrong = {"problem_type": "Clustering", "probability_threshold": 7, "colour": "red", "prediction_attribute": "$["}
    with pytest.raises(InputUnreadable) as caught:
        Settings.of(wrong, captured=True)
    for words in ("problem_type must be one of", "no setting colour", "probability_threshold must be",
                  "prediction_attribute: The attribute", "baseline_ground_truth", "baseline_prediction"):  # fmt: skip
        assert words in caught.value.message
    with pytest.raises(InputUnreadable, match="probability_attribute is for BinaryClassification only"):
        Settings.of(REGRESSION | {"probability_attribute": "1"})


@pytest.mark.parametrize("change, words", [
    ({"threshold": "x"}, "threshold of recall is no number"),
    ({"comparison_operator": "GreaterThanThreshold"}, "comparison_operator of recall must be LessThanThreshold"),
])  # fmt: skip
def test_constraints_are_refused_with_all_that_is_wrong(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    base = based(tmp_path, people(500, 1), BINARY)
    constraints = json.loads((base / "constraints.json").read_text())
    rules = constraints["binary_classification_constraints"]
    rules["recall"] |= change
    rules["beauty"] = {"threshold": 1, "comparison_operator": "LessThanThreshold"}
    (base / "constraints.json").write_text(json.dumps(constraints))
    with pytest.raises(InputUnreadable, match="there is no metric beauty") as caught:
        looked(tmp_path, BINARY, window(tmp_path / "w", people(50, 2)), base)
    assert words in caught.value.message


def test_a_baseline_of_model_monitor_is_read_as_promises(tmp_path: Path) -> None:
    metric = {"value": 0.8, "standard_deviation": "NaN"}
    body = {"confusion_matrix": {"0": {"0": 8, "1": 2}, "1": {"0": 3, "1": 7}}, "auc": metric, "recall": metric,
            "f2": metric, "precision": {"value": "NaN", "standard_deviation": "NaN"}}  # fmt: skip
    rules = {name: {"threshold": 0.8, "comparison_operator": "LessThanThreshold"} for name in ("auc", "recall", "f2")}
    base = tmp_path / "theirs"
    base.mkdir()
    (base / "statistics.json").write_text(
        json.dumps({"version": 0.0, "dataset": {"item_count": 20}, "binary_classification_metrics": body})
    )
    (base / "constraints.json").write_text(json.dumps({"version": 0.0, "binary_classification_constraints": rules}))
    found = looked(tmp_path, BINARY, window(tmp_path / "w", people(800, 2, apart=0.5)), base)
    assert names(found) == {"auc", "recall", "f2"}
    assert {each["test"] for each in found.violations} == {"normal", "binomial"}
    good = looked(tmp_path, BINARY, window(tmp_path / "w2", people(800, 2, apart=4.0)), base)
    assert good.violations == []


@pytest.mark.parametrize("policy, words", [
    ({"alpha": 2}, "alpha must be between"), ({"strict": "yes"}, "strict must be"), ({"ks": 1}, "there is no ks"),
    ({"correction": "x"}, "correction 'x' is none of"), ({"least_rows": 0}, "least_rows must be"),
])  # fmt: skip
def test_policies_are_refused(tmp_path: Path, policy: dict[str, Any], words: str) -> None:
    base = based(tmp_path, people(200, 1), BINARY)
    with pytest.raises(InputUnreadable, match=words):
        looked(tmp_path, BINARY, window(tmp_path / "w", people(50, 2)), base, **policy)


class Page(HTMLParser):
    """Every element of a page that is opened and not closed, and its texts."""

    void = frozenset({"meta", "line", "rect", "circle", "polyline", "polygon", "br"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.texts: list[str] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.add(tag)
        assert not any(name in ("src", "href") or name.startswith("on") for name, _ in attrs)
        if tag not in self.void:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.void:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base = saved(animals(2000, 1), tmp_path / "base.csv")
    rows = [(y.replace("ant", "<b>"), g.replace("ant", "<b>")) for y, g in animals(500, 2, wrong=0.5)]
    seen = window(tmp_path / "w", rows)
    told = ["--kind", "model_quality", "--settings", json.dumps(MULTI)]
    out, found = str(tmp_path / "baseline"), str(tmp_path / "found")
    assert mlops(["monitor", "baseline", str(base), "--out", out, *told]) == 0
    looking = ["monitor", "analyze", str(seen.captured), "--ground-truth", str(seen.ground_truth), "--baseline", out,
               "--out", found, *told]  # fmt: skip
    assert mlops([*looking, "--check"]) == 7
    assert "weighted_f1" in capsys.readouterr().out
    assert mlops(looking) != 0
    assert "would be overwritten" in capsys.readouterr().err
    text = (tmp_path / "found" / "report.html").read_text()
    assert mlops(["monitor", "report", found, "--baseline", out, "--kind", "model_quality", "--replace"]) == 0
    assert (tmp_path / "found" / "report.html").read_text() == text
    page = Page()
    page.feed(text)
    assert page.open == [] and "script" not in page.tags and "svg" in page.tags
    assert "<b>" in page.texts and "b" not in page.tags, "labels are shown as text"


@pytest.mark.parametrize("arguments, words", [
    (["--kind", "beauty"], "There is no monitor 'beauty'"),
    (["--settings", "{}"], "'data_quality' has no --settings"),
    (["--kind", "model_quality", "--part", "output"], "'model_quality' has no --part"),
    (["--kind", "model_quality", "--settings", "{"], "--settings is not JSON"),
    (["--kind", "model_quality", "--ground-truth", "x"], "baseline takes no --ground-truth"),
])  # fmt: skip
def test_options_that_do_not_belong_are_refused(tmp_path: Path, arguments: list[str], words: str,
                                                capsys: pytest.CaptureFixture[str]) -> None:  # fmt: skip
    data = saved(animals(50, 1), tmp_path / "base.csv")
    assert mlops(["monitor", "baseline", str(data), "--out", str(tmp_path / "out"), *arguments]) != 0
    assert words in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_table_that_carries_its_labels_needs_no_ground_truth(tmp_path: Path) -> None:
    base = based(tmp_path, people(2000, 1), BINARY)
    found = looked(tmp_path, BINARY, Window(saved(people(800, 2, apart=1.0), tmp_path / "now.csv")), base)
    assert "auc" in names(found) and found.rows == 800
    captured = window(tmp_path / "w", people(50, 2)).captured
    with pytest.raises(InputUnreadable, match="carry no labels"):
        looked(tmp_path, BINARY, Window(captured), base)


values = st.sampled_from(
    ["0", "1", "-1", "nan", "inf", "", "1e308", "-1e308", "x", "0.5", "1e-320", "ä", '"']
) | st.text(st.characters(exclude_categories=["Cs"]), max_size=5)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(cells=st.lists(st.tuples(values, values, values), min_size=1, max_size=60),
       settings_=st.sampled_from([BINARY, MULTI, REGRESSION]))  # fmt: skip
def test_no_values_make_it_crash(tmp_path_factory: pytest.TempPathFactory, cells: Rows,
                                 settings_: dict[str, Any]) -> None:  # fmt: skip
    folder = tmp_path_factory.mktemp("cells")
    good = {"BinaryClassification": people, "MulticlassClassification": animals, "Regression": prices}
    base = based(folder, good[settings_["problem_type"]](300, 1), settings_)
    calls = [answer(cell, number) for number, cell in enumerate(cells)]
    try:
        found = looked(folder, settings_, window(folder / "w", cells, calls=calls), base)
    except InputUnreadable as error:
        assert "can be judged" in error.message
    else:
        assert found.rows <= len(cells) * 5 * 5
