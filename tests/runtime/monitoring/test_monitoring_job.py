"""What a monitor's job is told, which hours it looks at, what it sends and how it asks an endpoint."""

from __future__ import annotations

import io
import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.runtime.monitoring import definition, emission, own_calls, window
from orchestrator.runtime.monitoring.__main__ import main
from orchestrator.runtime.monitoring.asking import AnswerUnreadable, Endpoint
from orchestrator.runtime.monitoring.clients import region_of
from orchestrator.runtime.monitoring.failures import InputMissing, InputUnreadable

WHOLE = {
    "version": 1,
    "monitor": "data_quality",
    "name": "churn-data",
    "endpoint": "churn",
    "capture": {"location": "s3://captures/some/prefix/"},
    "window_hours": 2,
}


def test_a_definition_needs_little_and_has_defaults() -> None:
    monitor = definition.checked(WHOLE)
    assert monitor.told.monitor == "data_quality" and monitor.told.name == "churn-data"
    assert monitor.capture == definition.Place("captures", "some/prefix")
    assert (monitor.variant, monitor.ground_truth, monitor.namespace) == ("", None, "")
    assert (monitor.format, monitor.header, monitor.delay_hours) == ("auto", True, 0)
    more = definition.checked({**WHOLE, "ground_truth": {"location": "truths"}, "metrics": {"namespace": "A/b"},
                               "columns": ["a"], "settings": {"ignore": []}})  # fmt: skip
    assert more.ground_truth == definition.Place("truths", "")
    assert (more.namespace, more.told.columns, more.told.settings) == ("A/b", ("a",), {"ignore": []})


def test_all_that_is_wrong_with_a_definition_is_said_at_once() -> None:
    wrong = {
        "version": 1, "monitor": "mood", "endpoint": 7, "capture": {"location": "UPPER/x", "variants": []},
        "window_hours": True, "columns": ["a", 1], "metrics": {"namespace": "AWS/SageMaker"}, "extra": 1,
        "baseline": {"format": "xlsx", "header": "yes"}, "ground_truth": {},
    }  # fmt: skip
    with pytest.raises(InputUnreadable) as refusal:
        definition.checked(wrong)
    for words in (
        "monitor must be one of", "name is missing", "endpoint must be", "capture.location must be bucket/prefix",
        "capture.variants is not known", "window_hours must be a whole number from 1 to 744, not true",
        "columns must be a list of texts", "metrics.namespace must be", "extra is not known",
        "baseline.format must be one of auto", "baseline.header must be true or false",
        "ground_truth.location is missing",
    ):  # fmt: skip
        assert words in refusal.value.message


@pytest.mark.parametrize(("document", "words"), [
    ([], "must be a JSON object, not list"),
    ({"version": 2}, "version 2; this image reads version 1"),
])  # fmt: skip
def test_another_version_and_another_form_are_refused(document: Any, words: str) -> None:
    with pytest.raises(InputUnreadable, match=words):
        definition.checked(document)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(member=st.sampled_from(definition.MEMBERS), value=json_values)
def test_whatever_a_member_is_the_definition_is_taken_or_refused(member: str, value: Any) -> None:
    with suppress(InputUnreadable):
        definition.checked({**WHOLE, member: value})


@pytest.mark.parametrize(("until", "count", "delay", "captured", "labels"), [
    ("2026-11-21T10:20:00Z", 1, 0, ["2026/11/21/09"], ["2026/11/21/09"]),
    ("2026-11-21T10:00:00Z", 2, 0, ["2026/11/21/08", "2026/11/21/09"], ["2026/11/21/08", "2026/11/21/09"]),
    ("2026-01-01T00:59:59+02:00", 1, 0, ["2025/12/31/21"], ["2025/12/31/21"]),
    ("2026-11-21T10:00:00", 1, 2, ["2026/11/21/07"], ["2026/11/21/07", "2026/11/21/08", "2026/11/21/09"]),
])  # fmt: skip
def test_a_window_is_whole_hours_of_utc(
    until: str, count: int, delay: int, captured: list[str], labels: list[str]
) -> None:
    hours = window.hours(window.moment(until), count, delay)
    assert list(hours.captured()) == captured
    assert list(hours.labels()) == labels
    assert hours.folder == f"{hours.end:%Y/%m/%d/%H}"


@given(st.datetimes(min_value=datetime(2000, 1, 1), max_value=datetime(2100, 1, 1)), st.integers(1, 50))
def test_windows_one_after_the_other_leave_no_hour_out_and_take_none_twice(at: datetime, count: int) -> None:
    at = at.replace(tzinfo=UTC)
    first, second = window.hours(at, count), window.hours(at + timedelta(hours=count), count)
    assert first.end == second.begin and len(list(first.captured())) == count


def test_a_time_that_is_none_is_refused() -> None:
    with pytest.raises(InputUnreadable, match="--until 'soon' is no time"):
        window.moment("soon")


def test_numbers_that_cloudwatch_does_not_take_are_left_out() -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    values = {"a": 1, "nan": float("nan"), "inf": float("inf"), "huge": 1e200, "small": 0.0}
    points = emission.data(values, {"Endpoint": "e"}, at)
    assert [(point["MetricName"], point["Value"]) for point in points] == [("a", 1.0), ("small", 0.0)]
    assert points[0]["Dimensions"] == [{"Name": "Endpoint", "Value": "e"}] and points[0]["Timestamp"] == at


class Recorder:
    """Stands for a client: it notes what it is asked, and answers each request as it is told."""

    def __init__(self, answer: Any = None) -> None:
        self.requests: list[dict[str, Any]] = []
        self._answer = answer

    def put_metric_data(self, **request: Any) -> None:
        self.requests.append(request)

    def invoke_endpoint(self, **request: Any) -> dict[str, Any]:
        self.requests.append(request)
        return {"Body": io.BytesIO(self._answer(request["Body"]).encode())}


@given(st.integers(0, 2500))
def test_metrics_go_in_batches(count: int) -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    cloudwatch = Recorder()
    emission.put(cloudwatch, "N/s", emission.data({f"m{n}": float(n) for n in range(count)}, {}, at))
    sizes = [len(request["MetricData"]) for request in cloudwatch.requests]
    assert sum(sizes) == count and all(0 < size <= 1000 for size in sizes)


def sums(body: bytes) -> str:
    return "\n".join(str(sum(float(cell or 0) for cell in line.split(","))) for line in body.decode().splitlines())


def test_csv_rows_are_asked_about_in_batches() -> None:
    runtime = Recorder(sums)
    rows = [[n, 0.5, None, float("nan")] for n in range(25_000)]
    assert Endpoint(runtime, "e", {})(rows) == [[n + 0.5] for n in range(25_000)]
    assert len(runtime.requests) == 3
    assert runtime.requests[0]["ContentType"] == runtime.requests[0]["Accept"] == "text/csv"
    assert runtime.requests[0]["Body"].splitlines()[1] == b"1,0.5,,"


def test_our_own_calls_are_marked_and_left_out_of_the_window(tmp_path: Path) -> None:
    runtime = Recorder(sums)
    Endpoint(runtime, "e", {})([[1, 2]])
    (mark,) = {request["InferenceId"] for request in runtime.requests}
    ours, theirs = ({"eventMetadata": {"eventId": "1", "inferenceId": each}} for each in (mark, "order-7"))
    broken = f"{own_calls.MARK} in a line that is no call"
    both, only = tmp_path / "hour/both.jsonl", tmp_path / "hour/only.jsonl"
    both.parent.mkdir()
    both.write_text("\n".join([json.dumps(ours), json.dumps(theirs), broken]))
    only.write_text(json.dumps(ours) + "\n")
    assert own_calls.leave_out(tmp_path) == 1
    assert not only.exists() and both.read_text() == f"{json.dumps(theirs)}\n{broken}"
    assert own_calls.leave_out(tmp_path) == 1


def instances(body: bytes) -> str:
    return json.dumps(
        {"predictions": [{"label": "a", "scores": [sum(row), 1]} for row in json.loads(body)["instances"]]}
    )


def lines(body: bytes) -> str:
    return "\n".join(json.dumps({"score": sum(json.loads(line)["xs"])}) for line in body.splitlines())


@pytest.mark.parametrize(("settings", "answer", "scores"), [
    ({"content_type": "application/json", "model_scores": "scores"}, instances, [[3.0, 1.0], [7.0, 1.0]]),
    ({"content_type": "application/json", "model_scores": "predictions[*].scores"}, instances,
     [[3.0, 1.0], [7.0, 1.0]]),
    ({"content_type": "application/jsonlines", "features_attribute": "xs"}, lines, [[3.0], [7.0]]),
    ({"content_type": "application/jsonlines", "features_attribute": "xs", "model_scores": "score"}, lines,
     [[3.0], [7.0]]),
    ({"accept_type": "application/json"}, lambda _body: "[3, 7]", [[3.0], [7.0]]),
    ({"accept_type": "application/json", "model_scores": "1"}, lambda _body: "[[0, 3], [0, 7]]", [[3.0], [7.0]]),
    ({"model_scores": "1"}, lambda _body: "a,3\nb,7\n", [[3.0], [7.0]]),
])  # fmt: skip
def test_requests_and_answers_of_other_forms(settings: dict[str, Any], answer: Any, scores: Any) -> None:
    assert Endpoint(Recorder(answer), "e", settings)([[1, 2], [3, 4]]) == scores


@pytest.mark.parametrize(("settings", "answer", "words"), [
    ({}, "1\n2\n3", "answered 2 rows with 3"),
    ({}, "a\nb", "holds no scores"),
    ({"accept_type": "application/json"}, "<html>", "holds no scores"),
    ({"accept_type": "application/json", "model_scores": "missing"}, '[{"a": 1}, {"a": 2}]', "holds no scores"),
])  # fmt: skip
def test_an_answer_that_is_no_scores_is_refused(settings: dict[str, Any], answer: str, words: str) -> None:
    with pytest.raises(AnswerUnreadable, match=words):
        Endpoint(Recorder(lambda _body: answer), "e", settings)([[1, 2], [3, 4]])


def test_a_content_type_that_is_not_spoken_is_refused() -> None:
    with pytest.raises(InputUnreadable, match="content_type must be one of"):
        Endpoint(Recorder(), "e", {"content_type": "image/png"})


@pytest.mark.parametrize(("environment", "region"), [
    ({"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "us-east-1"}, "eu-west-1"),
    ({"AWS_DEFAULT_REGION": "us-east-1"}, "us-east-1"),
    ({"PROCESSING_JOB_ARN": "arn:aws:sagemaker:eu-north-1:222222222222:processing-job/j"}, "eu-north-1"),
    ({}, None),
])  # fmt: skip
def test_the_region_is_the_job_s(environment: dict[str, str], region: str | None) -> None:
    assert region_of(environment) == region


def place(tmp_path: Path, document: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A job's root with a definition."""
    monkeypatch.setenv("SAGEMAKER_BASE_DIR", str(tmp_path))
    folder = tmp_path / "processing/input/definition"
    folder.mkdir(parents=True)
    (folder / "definition.json").write_text(json.dumps(document))
    return tmp_path


def test_a_baseline_job_writes_the_documents_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = place(tmp_path, {**WHOLE, "settings": {"ignore": ["churned"]}}, monkeypatch)
    data = root / "processing/input/data"
    data.mkdir()
    (data / "train.csv").write_text("churned,age,city\n" + "1,30,Riga\n0,40,Lyon\n" * 50)
    assert main(["job", "--task", "baseline"]) == 0
    output = root / "processing/output"
    assert sorted(path.name for path in output.iterdir()) == ["constraints.json", "statistics.json"]
    names = [each["name"] for each in json.loads((output / "statistics.json").read_text())["features"]]
    assert names == ["age", "city"]
    assert (root / "output/message").read_text() == "Completed: baseline of 100 rows."


@pytest.mark.parametrize(("document", "arguments", "words"), [
    ({"version": 9}, ["--task", "baseline"], "version 9"),
    (WHOLE, ["--task", "baseline"], "processing/input/data"),
    (WHOLE, ["--task", "analyze"], "--until is missing"),
    (WHOLE, ["--task", "analyze", "--until", "2026-11-21T10:00:00Z"], "processing/input/baseline"),
])  # fmt: skip
def test_a_job_that_cannot_work_says_why_and_fails(
    document: Any, arguments: list[str], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = place(tmp_path, document, monkeypatch)
    assert main(["job", *arguments]) == 2
    message = (root / "output/message").read_text()
    assert message.startswith("Failed: ") and words in message


def test_a_definition_that_is_not_there_is_missed(tmp_path: Path) -> None:
    with pytest.raises(InputMissing, match="There is no"):
        definition.read(tmp_path / "definition.json")
