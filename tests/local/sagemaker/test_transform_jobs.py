"""Batch transform through the API: a real model over real files, and every way in which that can go wrong."""

from __future__ import annotations

import gzip
import json
from typing import Any

import numpy as np
import pytest
from botocore.exceptions import ClientError
from sagemaker_rig import BUCKET, DATA, ROWS, SKLEARN, VLLM, Workshop, archive, csv, small_booster, wait_for

SCRIPT = {"SAGEMAKER_PROGRAM": "inference.py", "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code"}
GROUP = "/aws/sagemaker/TransformJobs"


def request(name: str = "batch", uri: str = f"s3://{BUCKET}/in/", **changes: Any) -> dict[str, Any]:
    source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": uri}}
    base: dict[str, Any] = {
        "TransformJobName": name,
        "ModelName": "model",
        "TransformInput": {"DataSource": source, "ContentType": "text/csv", "SplitType": "Line"},
        "TransformOutput": {"S3OutputPath": f"s3://{BUCKET}/out", "Accept": "text/csv", "AssembleWith": "Line"},
        "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
    }
    for member, change in changes.items():
        base[member] = {**base[member], **change} if isinstance(base.get(member), dict) else change
    return base


def finished(workshop: Workshop, name: str = "batch") -> dict[str, Any]:
    def done() -> Any:
        job = workshop.sagemaker.describe_transform_job(TransformJobName=name)
        return job if job["TransformJobStatus"] in ("Completed", "Failed", "Stopped") else None

    return dict(wait_for(done))


def transformed(workshop: Workshop, **changes: Any) -> dict[str, Any]:
    workshop.sagemaker.create_transform_job(**request(**changes))
    return finished(workshop)


def scripted(workshop: Workshop, text: str) -> None:
    data = workshop.put("models/scripted.tar.gz", archive(code_in_inference__py=text))
    workshop.model(Image=SKLEARN, ModelDataUrl=data, Environment=SCRIPT)


def reference(rows: Any) -> Any:
    import xgboost

    return small_booster().predict(xgboost.DMatrix(np.asarray(rows, dtype=np.float32)))


def numbers(data: bytes) -> list[float]:
    return [float(line) for line in data.split()]


def test_every_file_of_a_prefix_is_predicted_and_all_of_it_can_be_seen(workshop: Workshop) -> None:
    workshop.model()
    workshop.put("in/a.csv", csv(DATA.data[:200]))
    workshop.put("in/deep/b.csv", csv(DATA.data[200:]) + "\n")
    workshop.put("input-of-others/c.csv", "1")
    job = transformed(workshop, Tags=[{"Key": "team", "Value": "x"}])
    assert job["TransformJobStatus"] == "Completed", job.get("FailureReason")
    assert job["TransformEndTime"] >= job["TransformStartTime"] >= job["CreationTime"]
    assert workshop.keys("out") == ["out/a.csv.out", "out/deep/b.csv.out"]
    assert numbers(workshop.read("out/a.csv.out")) == pytest.approx(reference(DATA.data[:200]), abs=1e-6)
    assert numbers(workshop.read("out/deep/b.csv.out")) == pytest.approx(reference(DATA.data[200:]), abs=1e-6)
    assert workshop.sagemaker.list_tags(ResourceArn=job["TransformJobArn"])["Tags"] == [{"Key": "team", "Value": "x"}]
    assert sorted(line for line in workshop.messages(GROUP) if "done" in line) == ["a.csv: done", "deep/b.csv: done"]
    (summary,) = workshop.sagemaker.list_transform_jobs(NameContains="BAT")["TransformJobSummaries"]
    assert summary["TransformJobStatus"] == "Completed"


COUNTS = """
import json
def model_fn(model_dir): return "model"
def input_fn(body, content_type): return body
def predict_fn(body, model): return str(len(body.splitlines()))
def output_fn(answer, accept): return answer, "text/csv"
"""


@pytest.mark.parametrize(("changes", "answers"), [
    ({}, b"5\n"),
    ({"BatchStrategy": "SingleRecord"}, b"1\n" * 5),
    ({"BatchStrategy": "SingleRecord", "TransformOutput": {"AssembleWith": "None"}}, b"11111"),
    ({"TransformInput": {"SplitType": "None"}}, b"5\n"),
])  # fmt: skip
def test_records_are_sent_together_or_alone(changes: dict[str, Any], answers: bytes, workshop: Workshop) -> None:
    scripted(workshop, COUNTS)
    workshop.put("in/a.csv", "1\n2\n3\n4\n5\n")
    assert transformed(workshop, **changes)["TransformJobStatus"] == "Completed"
    assert workshop.read("out/a.csv.out") == answers


def test_a_request_is_never_larger_than_the_payload(workshop: Workshop) -> None:
    scripted(workshop, COUNTS)
    workshop.put("in/a.csv", "\n".join(["x" * 400_000] * 5))
    assert transformed(workshop, MaxPayloadInMB=1)["TransformJobStatus"] == "Completed"
    assert workshop.read("out/a.csv.out") == b"2\n2\n1\n"


def test_packed_input_is_unpacked(workshop: Workshop) -> None:
    scripted(workshop, COUNTS)
    workshop.put("in/a.csv.gz", gzip.compress(b"1\n2\n"))
    assert transformed(workshop, TransformInput={"CompressionType": "Gzip"})["TransformJobStatus"] == "Completed"
    assert workshop.read("out/a.csv.gz.out") == b"2\n"


def test_columns_can_be_left_out_and_joined_again(workshop: Workshop) -> None:
    workshop.model()
    rows = np.column_stack([np.arange(5), DATA.data[:5]])
    workshop.put("in/a.csv", csv(rows))
    processing = {"InputFilter": "$[1:]", "JoinSource": "Input", "OutputFilter": "$[0,-1]"}
    job = transformed(workshop, DataProcessing=processing)
    assert job["TransformJobStatus"] == "Completed", job.get("FailureReason")
    found = [line.split(",") for line in workshop.read("out/a.csv.out").decode().split()]
    assert [float(first) for first, _ in found] == [0, 1, 2, 3, 4]
    assert [float(last) for _, last in found] == pytest.approx(reference(DATA.data[:5]), abs=1e-6)


LENGTHS = """
import json
def model_fn(model_dir): return "model"
def input_fn(body, content_type): return [json.loads(line) for line in body.splitlines()]
def predict_fn(records, model): return [{"length": len(record)} for record in records]
def output_fn(answers, accept): return "\\n".join(map(json.dumps, answers)), accept
"""


def test_json_lines_are_joined_by_name(workshop: Workshop) -> None:
    scripted(workshop, LENGTHS)
    workshop.put("in/a.jsonl", '{"id": 1, "text": "four"}\n{"id": 2, "text": "words"}\n')
    job = transformed(
        workshop,
        TransformInput={"ContentType": "application/jsonlines"},
        TransformOutput={"Accept": "application/jsonlines"},
        DataProcessing={"InputFilter": "$.text", "JoinSource": "Input"},
    )
    assert job["TransformJobStatus"] == "Completed", job.get("FailureReason")
    assert [json.loads(line) for line in workshop.read("out/a.jsonl.out").splitlines()] == [
        {"id": 1, "text": "four", "SageMakerOutput": {"length": 4}},
        {"id": 2, "text": "words", "SageMakerOutput": {"length": 5}},
    ]


def test_a_bad_file_fails_the_job_and_the_good_ones_are_kept(workshop: Workshop) -> None:
    workshop.model()
    workshop.put("in/a.csv", csv(ROWS[:3]))
    workshop.put("in/b.csv", "1,2,3\n")
    workshop.put("in/c.csv", csv(ROWS[3:5]))
    job = transformed(workshop)
    assert job["TransformJobStatus"] == "Failed"
    assert job["FailureReason"].startswith("ClientError: b.csv: the model answered 400: Unable to evaluate payload")
    assert workshop.keys("out") == ["out/a.csv.out", "out/c.csv.out"]
    assert any("b.csv: the model answered 400" in line for line in workshop.messages(GROUP))


def test_a_model_that_does_not_load_fails_the_job_with_its_reason(workshop: Workshop) -> None:
    scripted(workshop, "raise ValueError('from the wrong year')")
    workshop.put("in/a.csv", "1")
    job = transformed(workshop)
    assert job["TransformJobStatus"] == "Failed"
    assert "ValueError: from the wrong year" in job["FailureReason"]
    assert workshop.keys("out") == []


FLAKY = """
import os
def model_fn(model_dir): return model_dir
def input_fn(body, content_type): return body
def predict_fn(body, folder):
    mark = os.path.join(folder, "asked")
    if not os.path.exists(mark):
        open(mark, "w").close()
        raise RuntimeError("not yet")
    return body
def output_fn(answer, accept): return answer, "text/csv"
"""


def test_what_may_pass_is_tried_again(workshop: Workshop) -> None:
    scripted(workshop, FLAKY)
    workshop.put("in/a.csv", "1")
    assert transformed(workshop)["TransformJobStatus"] == "Completed"
    assert workshop.read("out/a.csv.out") == b"1\n"


SLOW = """
import time
def model_fn(model_dir): return "model"
def input_fn(body, content_type): return body
def predict_fn(body, model):
    time.sleep(0.3)
    return body
def output_fn(answer, accept): return answer, "text/csv"
"""


def test_a_stopped_job_leaves_no_output(workshop: Workshop) -> None:
    scripted(workshop, SLOW)
    workshop.put("in/a.csv", "1\n" * 100)
    workshop.sagemaker.create_transform_job(**request(BatchStrategy="SingleRecord"))
    wait_for(lambda: "TransformStartTime" in workshop.sagemaker.describe_transform_job(TransformJobName="batch"))
    workshop.sagemaker.stop_transform_job(TransformJobName="batch")
    assert finished(workshop)["TransformJobStatus"] == "Stopped"
    assert workshop.keys("out") == []
    with pytest.raises(ClientError, match="the transform job is in status Stopped"):
        workshop.sagemaker.stop_transform_job(TransformJobName="batch")


def test_a_restart_in_the_middle_loses_nothing(workshop: Workshop, aws: Any) -> None:
    scripted(workshop, SLOW)
    workshop.put("in/a.csv", "1\n2\n3\n4\n")
    workshop.put("in/b.csv", "5\n6\n")
    workshop.sagemaker.create_transform_job(**request(BatchStrategy="SingleRecord"))
    wait_for(lambda: "TransformStartTime" in workshop.sagemaker.describe_transform_job(TransformJobName="batch"))
    aws.restart()
    job = finished(workshop)
    assert job["TransformJobStatus"] == "Completed", job.get("FailureReason")
    assert workshop.read("out/a.csv.out") == b"1\n2\n3\n4\n"
    assert workshop.read("out/b.csv.out") == b"5\n6\n"


def test_events_tell_how_it_began_and_ended(workshop: Workshop) -> None:
    workshop.listen("SageMaker Transform Job State Change")
    scripted(workshop, COUNTS)
    workshop.put("in/a.csv", "1")
    transformed(workshop)
    steps = sorted(
        (event["detail"] for event in workshop.told(2)), key=lambda detail: detail.get("TransformEndTime", 0)
    )
    assert [step["TransformJobStatus"] for step in steps] == ["InProgress", "Completed"]


@pytest.mark.parametrize(("changes", "code", "words"), [
    ({"ModelName": "nobody"}, "ValidationException", "Could not find model"),
    ({"uri": f"s3://{BUCKET}/nothing/"}, "ValidationException", "No S3 objects found under S3 URL"),
    ({"TransformInput": {"SplitType": "RecordIO"}}, "UnsupportedOperation", "SplitType RecordIO"),
    ({"DataProcessing": {"InputFilter": "$..a"}}, "ValidationException", "InputFilter"),
    ({"DataProcessing": {"InputFilter": "$[0]"}, "TransformInput": {"SplitType": "None"}}, "UnsupportedOperation",
     "DataProcessing without SplitType Line"),
    ({"TransformResources": {"InstanceCount": 2}}, "UnsupportedOperation", "several instances"),
    ({"DataCaptureConfig": {"DestinationS3Uri": "s3://x/y"}}, "UnsupportedOperation", "DataCaptureConfig"),
])  # fmt: skip
def test_what_cannot_be_is_refused_and_nothing_is_made(
    changes: dict[str, Any], code: str, words: str, workshop: Workshop
) -> None:
    workshop.model()
    workshop.put("in/a.csv", "1")
    with pytest.raises(ClientError, match=words) as refusal:
        workshop.sagemaker.create_transform_job(**request(**changes))
    assert refusal.value.response["Error"]["Code"] == code
    assert workshop.sagemaker.list_transform_jobs()["TransformJobSummaries"] == []


def test_an_image_that_cannot_run_here_is_said_so(workshop: Workshop) -> None:
    workshop.model(Image=VLLM)
    workshop.put("in/a.csv", "1")
    with pytest.raises(ClientError, match="cannot transform on this machine: it needs a GPU"):
        workshop.sagemaker.create_transform_job(**request())
