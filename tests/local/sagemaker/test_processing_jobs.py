"""Processing jobs through the API: real inputs, a real process, real outputs, and what can go wrong with each."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from botocore.exceptions import ClientError
from sagemaker_rig import BUCKET, SKLEARN, VLLM, Workshop, wait_for
from test_sagemaker_kill import Server, server  # noqa: F401  (the fixture)

CODE, IN, OUT = "/opt/ml/processing/input/code", "/opt/ml/processing/input/data", "/opt/ml/processing/output"
GROUP = "/aws/sagemaker/ProcessingJobs"
DETAIL_TYPE = "SageMaker Processing Job State Change"
COPIES = """
import os, pathlib, sys
out = pathlib.Path("/opt/ml/processing/output")
for path in sorted(pathlib.Path("/opt/ml/processing/input/data").rglob("*.csv")):
    (out / path.name).write_text(path.read_text().upper())
(out / "deep").mkdir()
(out / "deep/words").write_text(" ".join(sys.argv[1:]) + " " + os.environ["GREETING"])
pathlib.Path("/opt/ml/output/message").write_text("copied")
print("done as", os.environ["PROCESSING_JOB_ARN"])
"""


def given(name: str, uri: str, path: str, **members: Any) -> dict[str, Any]:
    source = {"S3Uri": uri, "LocalPath": path, "S3DataType": "S3Prefix", "S3InputMode": "File", **members}
    return {"InputName": name, "S3Input": source}


def output(uri: str = f"s3://{BUCKET}/out", path: str = OUT, mode: str = "EndOfJob") -> dict[str, Any]:
    return {"OutputName": "made", "S3Output": {"S3Uri": uri, "LocalPath": path, "S3UploadMode": mode}}


def request(workshop: Workshop, text: str = COPIES, name: str = "job", **changes: Any) -> dict[str, Any]:
    code = workshop.put(f"code/{name}/run.py", text)
    workshop.put("in/a.csv", "one,two")
    return {
        "ProcessingJobName": name,
        "RoleArn": workshop.role,
        "AppSpecification": {
            "ImageUri": SKLEARN,
            "ContainerEntrypoint": ["python3", f"{CODE}/run.py"],
            "ContainerArguments": ["--fast"],
        },
        "ProcessingInputs": [given("code", code, CODE), given("data", f"s3://{BUCKET}/in", IN)],
        "ProcessingOutputConfig": {"Outputs": [output()]},
        "ProcessingResources": {
            "ClusterConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 10}
        },
        "Environment": {"GREETING": "hello"},
        **changes,
    }


def finished(workshop: Workshop, name: str = "job") -> dict[str, Any]:
    def done() -> Any:
        job = workshop.sagemaker.describe_processing_job(ProcessingJobName=name)
        return job if job["ProcessingJobStatus"] in ("Completed", "Failed", "Stopped") else None

    return dict(wait_for(done))


def processed(workshop: Workshop, text: str = COPIES, **changes: Any) -> dict[str, Any]:
    workshop.sagemaker.create_processing_job(**request(workshop, text, **changes))
    return finished(workshop)


def begun(workshop: Workshop, name: str = "job") -> None:
    wait_for(lambda: "working" in " ".join(workshop.messages(GROUP)))
    assert workshop.sagemaker.describe_processing_job(ProcessingJobName=name)["ProcessingJobStatus"] == "InProgress"


def test_a_job_reads_works_writes_and_says_so(workshop: Workshop) -> None:
    job = processed(workshop, Tags=[{"Key": "team", "Value": "x"}])
    assert job["ProcessingJobStatus"] == "Completed", job.get("FailureReason")
    assert job["ExitMessage"] == "copied" and "FailureReason" not in job
    assert job["ProcessingEndTime"] >= job["ProcessingStartTime"] >= job["CreationTime"]
    assert job["StoppingCondition"] == {"MaxRuntimeInSeconds": 86400}
    assert workshop.keys("out") == ["out/a.csv", "out/deep/words"]
    assert workshop.read("out/a.csv") == b"ONE,TWO" and workshop.read("out/deep/words") == b"--fast hello"
    assert f"done as {job['ProcessingJobArn']}" in workshop.messages(GROUP)
    tags = workshop.sagemaker.list_tags(ResourceArn=job["ProcessingJobArn"])["Tags"]
    assert tags == [{"Key": "team", "Value": "x"}]
    (summary,) = workshop.sagemaker.list_processing_jobs(NameContains="JO")["ProcessingJobSummaries"]
    assert (summary["ProcessingJobStatus"], summary["ExitMessage"]) == ("Completed", "copied")
    with pytest.raises(ClientError, match="a processing job with this name already exists") as refusal:
        workshop.sagemaker.create_processing_job(**request(workshop))
    assert refusal.value.response["Error"]["Code"] == "ResourceInUse"
    workshop.sagemaker.delete_processing_job(ProcessingJobName="job")
    with pytest.raises(ClientError, match="Could not find processing job"):
        workshop.sagemaker.describe_processing_job(ProcessingJobName="job")


TELLS = """
import json, boto3
with open("/opt/ml/config/processingjobconfig.json") as file: told = json.load(file)
with open("/opt/ml/config/resourceconfig.json") as file: hosts = json.load(file)["hosts"]
identity = boto3.client("sts").get_caller_identity()["Arn"]
found = {"name": told["ProcessingJobName"], "image": told["AppSpecification"]["ImageUri"], "hosts": hosts,
         "as": identity, "unknown": sorted(set(told) & {"prepared", "CreationTime", "ProcessingJobStatus"})}
open("/opt/ml/processing/output/told.json", "w").write(json.dumps(found))
"""


def test_a_job_is_told_what_it_is_and_works_as_its_role(workshop: Workshop) -> None:
    key = workshop.client("kms").create_key()["KeyMetadata"]["Arn"]
    job = processed(workshop, TELLS, ProcessingOutputConfig={"Outputs": [output()], "KmsKeyId": key})
    assert job["ProcessingJobStatus"] == "Completed", job.get("FailureReason")
    told = json.loads(workshop.read("out/told.json"))
    assert told.pop("as").startswith("arn:aws:sts::222222222222:assumed-role/sagemaker-role/")
    assert told == {"name": "job", "image": SKLEARN, "hosts": ["algo-1"], "unknown": []}
    assert workshop.s3.head_object(Bucket=BUCKET, Key="out/told.json")["SSEKMSKeyId"] == key


def test_a_manifest_names_the_objects(workshop: Workshop) -> None:
    workshop.put("parts/x.csv", "x")
    workshop.put("parts/deep/y.csv", "y")
    workshop.put("parts/z.csv", "z")
    manifest = workshop.put("manifest.json", json.dumps([{"prefix": f"s3://{BUCKET}/parts/"}, "x.csv", "deep/y.csv"]))
    base = request(workshop)
    inputs = [base["ProcessingInputs"][0], given("data", manifest, IN, S3DataType="ManifestFile")]
    workshop.sagemaker.create_processing_job(**{**base, "ProcessingInputs": inputs})
    assert finished(workshop)["ProcessingJobStatus"] == "Completed"
    assert workshop.keys("out") == ["out/deep/words", "out/x.csv", "out/y.csv"]


@pytest.mark.parametrize(("text", "reason"), [
    ("raise ValueError('no such luck')", "AlgorithmError: ValueError: no such luck, exit code: 1"),
    ("open('/opt/ml/output/message', 'w').write('because'); exit(3)", "AlgorithmError: because, exit code: 3"),
    ("open('/opt/ml/output/message', 'wb').write(bytes([255]))", "ClientError: /opt/ml/output/message is not text"),
])  # fmt: skip
def test_a_job_that_fails_says_why_and_keeps_nothing(text: str, reason: str, workshop: Workshop) -> None:
    job = processed(workshop, f"open('/opt/ml/processing/output/half', 'w').write('x')\n{text}")
    assert job["ProcessingJobStatus"] == "Failed"
    assert job["FailureReason"].startswith(reason)
    assert workshop.keys("out") == []


def test_input_that_is_not_there_fails_the_job(workshop: Workshop) -> None:
    inputs = [given("data", f"s3://{BUCKET}/nothing/", IN)]
    job = processed(workshop, ProcessingInputs=inputs)
    assert job["ProcessingJobStatus"] == "Failed"
    assert job["FailureReason"].startswith(f"ClientError: Data download failed: s3://{BUCKET}/nothing/")


WORKS = "import time\nprint('working', flush=True)\nopen('/opt/ml/processing/output/x', 'w').write('x')\ntime.sleep(60)"


def test_a_stopped_job_ends_and_keeps_nothing(workshop: Workshop) -> None:
    workshop.sagemaker.create_processing_job(**request(workshop, WORKS))
    begun(workshop)
    workshop.sagemaker.stop_processing_job(ProcessingJobName="job")
    assert finished(workshop)["ProcessingJobStatus"] == "Stopped"
    assert workshop.keys("out") == []
    with pytest.raises(ClientError, match="the processing job is in status Stopped"):
        workshop.sagemaker.stop_processing_job(ProcessingJobName="job")


def test_a_job_ends_when_its_time_is_up(workshop: Workshop) -> None:
    assert processed(workshop, WORKS, StoppingCondition={"MaxRuntimeInSeconds": 1})["ProcessingJobStatus"] == "Stopped"


def test_a_registered_command_stands_for_an_image(workshop: Workshop) -> None:
    (workshop.aws.home / "images.json").write_text(
        json.dumps({"*/own:*": {"process": ["sh", "-c", 'echo "$0" > "$SAGEMAKER_BASE_DIR/processing/output/said"']}})
    )
    image = "222222222222.dkr.ecr.us-east-1.amazonaws.com/own:1"
    job = processed(workshop, AppSpecification={"ImageUri": image, "ContainerArguments": ["hello"]})
    assert job["ProcessingJobStatus"] == "Completed", job.get("FailureReason")
    assert workshop.read("out/said") == b"hello\n"


def test_events_tell_how_it_began_and_ended(workshop: Workshop) -> None:
    workshop.listen(DETAIL_TYPE)
    processed(workshop)
    steps = sorted(
        (event["detail"] for event in workshop.told(2)), key=lambda detail: detail.get("ProcessingEndTime", 0)
    )
    assert [step["ProcessingJobStatus"] for step in steps] == ["InProgress", "Completed"]
    assert steps[1]["ExitMessage"] == "copied" and steps[1]["ProcessingJobName"] == "job"


CLUSTER = {"InstanceType": "ml.m5.large", "InstanceCount": 2, "VolumeSizeInGB": 10}
ATHENA = {"Catalog": "c", "Database": "d", "QueryString": "q", "OutputS3Uri": "s3://b/x", "OutputFormat": "PARQUET"}
DATASET = {"LocalPath": IN, "AthenaDatasetDefinition": ATHENA}
FEATURES = {"OutputName": "made", "FeatureStoreOutput": {"FeatureGroupName": "f"}}


@pytest.mark.parametrize(("changes", "code", "words"), [
    ({"ExperimentConfig": {"ExperimentName": "e"}}, "UnsupportedOperation", "ExperimentConfig"),
    ({"ProcessingResources": {"ClusterConfig": CLUSTER}}, "UnsupportedOperation", "several instances"),
    ({"ProcessingInputs": [{"InputName": "d", "DatasetDefinition": DATASET}]}, "UnsupportedOperation",
     "DatasetDefinition"),
    ({"ProcessingInputs": [given("d", "s3://b/x", IN, S3InputMode="Pipe")]}, "UnsupportedOperation",
     "S3InputMode Pipe"),
    ({"ProcessingInputs": [given("d", "https://b/x", IN)]}, "UnsupportedOperation", "https://b/x"),
    ({"ProcessingInputs": [given("d", "s3://b/x", "/tmp/x")]}, "ValidationException", "must begin with /opt/ml/"),
    ({"ProcessingInputs": [given("d", "s3://b/x", IN), given("d", "s3://b/y", CODE)]}, "ValidationException",
     "d is given twice"),
    ({"ProcessingInputs": [given("d", "s3://b/x", OUT + "/in")]}, "UnsupportedOperation", "folder of the input d"),
    ({"ProcessingOutputConfig": {"Outputs": [output(mode="Continuous")]}}, "UnsupportedOperation",
     "S3UploadMode Continuous"),
    ({"ProcessingOutputConfig": {"Outputs": [FEATURES]}}, "UnsupportedOperation", "FeatureStoreOutput"),
    ({"AppSpecification": {"ImageUri": VLLM}}, "ValidationException", "cannot process on this machine: it needs a GPU"),
    ({"AppSpecification": {"ImageUri": SKLEARN}}, "ValidationException", "ContainerEntrypoint must name a program"),
    ({"RoleArn": "arn:aws:iam::222222222222:role/nobody"}, "ValidationException", "Could not assume role"),
    ({"RoleArn": "arn:aws:iam::333333333333:role/other"}, "ValidationException", "Cross-account pass role"),
])  # fmt: skip
def test_what_cannot_be_is_refused_and_nothing_is_made(
    changes: dict[str, Any], code: str, words: str, workshop: Workshop
) -> None:
    with pytest.raises(ClientError, match=words) as refusal:
        workshop.sagemaker.create_processing_job(**request(workshop, **changes))
    assert refusal.value.response["Error"]["Code"] == code
    assert workshop.sagemaker.list_processing_jobs()["ProcessingJobSummaries"] == []


COUNTS = """
import time
print('working', flush=True)
time.sleep(1.5)
open("/opt/ml/processing/output/x", "w").write("x")
"""


@pytest.mark.parametrize("seconds", [0.1, 0.9])
def test_a_job_ends_once_whenever_the_server_is_killed(seconds: float, server: Server) -> None:  # noqa: F811
    workshop = Workshop(server)
    workshop.sagemaker.create_processing_job(**request(workshop, COUNTS))
    for _ in range(2):
        time.sleep(seconds)
        server.kill()
        server.start()
    job = finished(workshop)
    assert job["ProcessingJobStatus"] == "Completed", job.get("FailureReason")
    assert workshop.keys("out") == ["out/x"]
    assert workshop.messages(GROUP).count("working") == 1
