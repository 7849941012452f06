"""Endpoints through the API: processes that answer, updates that fall back, variants, capture, restarts."""

from __future__ import annotations

import collections
import json
import os
import signal
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
import xgboost
from botocore.exceptions import ClientError
from sagemaker_rig import (
    BUCKET,
    DATA,
    ROWS,
    SKLEARN,
    VLLM,
    XGBOOST,
    Workshop,
    archive,
    csv,
    small_booster,
    variant,
    wait_for,
)

from orchestrator.runtime.process import is_held, read_json

ECHO = """
def model_fn(model_dir):
    return open(model_dir + "/name").read()
def input_fn(body, content_type):
    if body == "slow": import time; time.sleep(0.5)
    if body == "die": import os; os._exit(9)
    return body
def predict_fn(body, model):
    return f"{model}:{body}"
def output_fn(answer, accept):
    return answer, "text/plain"
"""
SCRIPT = {"SAGEMAKER_PROGRAM": "inference.py", "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code"}


def echo(workshop: Workshop, name: str) -> str:
    """A model that answers its own name; quick to start."""
    data = workshop.put(f"models/{name}.tar.gz", archive(name=name, code_in_inference__py=ECHO))
    return workshop.model(name, Image=SKLEARN, ModelDataUrl=data, Environment=SCRIPT)


def say(workshop: Workshop, word: str, **parameters: Any) -> str:
    answer = workshop.invoke(name="endpoint", **{"Body": word, **parameters})
    return str(answer["Body"].read().decode())


def processes(workshop: Workshop) -> list[int]:
    """The model processes of every endpoint."""
    return [
        (read_json(path) or {})["pid"]
        for path in sorted((workshop.aws.world.home / "jobs").rglob("process.json"))
        if is_held(path.with_name("process.lock"))
    ]


def test_an_endpoint_answers_what_the_model_answers_in_process(workshop: Workshop) -> None:
    booster = small_booster()
    workshop.model(booster=booster)
    workshop.config()
    endpoint = workshop.endpoint()
    assert endpoint["EndpointStatus"] == "InService", endpoint.get("FailureReason")
    (shown,) = endpoint["ProductionVariants"]
    assert shown["DeployedImages"][0]["SpecifiedImage"] == XGBOOST
    assert (shown["CurrentWeight"], shown["CurrentInstanceCount"]) == (1.0, 1)
    expected = booster.predict(xgboost.DMatrix(ROWS))
    assert np.array_equal(np.array(workshop.predictions(ROWS), dtype=np.float32), expected)
    answer = workshop.invoke(Accept="application/json")
    assert answer["ContentType"] == "application/json"
    assert answer["InvokedProductionVariant"] == "AllTraffic"
    assert [score["score"] for score in json.loads(answer["Body"].read())["predictions"]] == expected[:3].tolist()


def test_a_model_error_carries_what_the_container_said(workshop: Workshop) -> None:
    workshop.model()
    workshop.config()
    workshop.endpoint()
    with pytest.raises(ClientError, match=r"Received client error \(415\) from primary with message") as refusal:
        workshop.invoke(Body="a,b,c")
    answer = refusal.value.response
    assert answer["Error"]["Code"] == "ModelError"
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 424
    assert answer["OriginalStatusCode"] == 415
    assert answer["OriginalMessage"].startswith("Loading csv data failed")


def test_invoking_what_is_not_there(workshop: Workshop) -> None:
    with pytest.raises(ClientError, match=r"Endpoint ghost of account \d+ not found") as refusal:
        workshop.invoke(name="ghost")
    assert refusal.value.response["Error"]["Code"] == "ValidationError"
    with pytest.raises(ClientError, match="does not support sagemaker-runtime InvokeEndpointAsync"):
        workshop.client("sagemaker-runtime").invoke_endpoint_async(EndpointName="ghost", InputLocation="s3://a/b")


@pytest.mark.parametrize("files, reason", [
    ({"xgboost_dash_model": "no model at all"}, "Model at xgboost-model cannot be loaded"),
    ({}, "the model archive holds no model file"),
])  # fmt: skip
def test_a_model_that_does_not_load_fails_the_endpoint(files: dict[str, str], reason: str, workshop: Workshop) -> None:
    workshop.model(Image=XGBOOST, ModelDataUrl=workshop.put("models/bad.tar.gz", archive(**files)))
    workshop.config()
    endpoint = workshop.endpoint()
    assert endpoint["EndpointStatus"] == "Failed"
    assert "variant AllTraffic did not pass the ping health check" in endpoint["FailureReason"]
    assert reason in endpoint["FailureReason"]
    assert any("The model does not load" in line for line in workshop.messages("/aws/sagemaker/Endpoints/endpoint"))
    with pytest.raises(ClientError, match="its status is Failed; delete it"):
        workshop.sagemaker.update_endpoint(EndpointName="endpoint", EndpointConfigName="config")
    workshop.sagemaker.delete_endpoint(EndpointName="endpoint")
    wait_for(lambda: workshop.sagemaker.list_endpoints()["Endpoints"] == [])


def test_when_one_variant_fails_the_others_end_too(workshop: Workshop) -> None:
    echo(workshop, "good")
    workshop.model("bad", Image=XGBOOST, ModelDataUrl=workshop.put("models/bad.tar.gz", archive()))
    workshop.config(models={"Good": "good", "Bad": "bad"})
    endpoint = workshop.endpoint()
    assert "production variant Bad did not pass" in endpoint["FailureReason"]
    wait_for(lambda: processes(workshop) == [])


def test_an_update_takes_over_only_when_it_answers(workshop: Workshop) -> None:
    for name in ("one", "two"):
        echo(workshop, name)
        workshop.config(name, {"AllTraffic": name})
    workshop.endpoint(config="one")
    before = processes(workshop)
    assert say(workshop, "x") == "one:x"
    workshop.sagemaker.update_endpoint(EndpointName="endpoint", EndpointConfigName="two")
    updating = workshop.sagemaker.describe_endpoint(EndpointName="endpoint")
    assert updating["EndpointStatus"] == "Updating"
    assert updating["EndpointConfigName"] == "one"
    assert updating["PendingDeploymentSummary"]["EndpointConfigName"] == "two"
    assert say(workshop, "x") == "one:x", "the old one answers until the new one can"
    with pytest.raises(ClientError, match="Cannot update in-progress endpoint"):
        workshop.sagemaker.delete_endpoint(EndpointName="endpoint")
    settled = workshop.settled()
    assert (settled["EndpointStatus"], settled["EndpointConfigName"]) == ("InService", "two")
    assert say(workshop, "x") == "two:x"
    wait_for(lambda: len(processes(workshop)) == 1)
    assert processes(workshop) != before


def test_a_failed_update_leaves_the_old_release_answering(workshop: Workshop) -> None:
    echo(workshop, "good")
    bad = workshop.put("models/bad.tar.gz", archive(code_in_inference__py="raise RuntimeError('half a release')"))
    workshop.model("bad", Image=SKLEARN, ModelDataUrl=bad, Environment=SCRIPT)
    workshop.config("good", {"AllTraffic": "good"})
    workshop.config("bad", {"AllTraffic": "bad"})
    workshop.endpoint(config="good")
    before = processes(workshop)
    workshop.sagemaker.update_endpoint(EndpointName="endpoint", EndpointConfigName="bad")
    settled = workshop.settled()
    assert (settled["EndpointStatus"], settled["EndpointConfigName"]) == ("InService", "good")
    assert "RuntimeError: half a release" in settled["FailureReason"]
    assert say(workshop, "x") == "good:x"
    assert processes(workshop) == before
    workshop.config("again", {"AllTraffic": "good"})
    workshop.sagemaker.update_endpoint(EndpointName="endpoint", EndpointConfigName="again")
    assert "FailureReason" not in workshop.settled()


def test_variants_share_traffic_by_weight_and_can_be_asked_by_name(workshop: Workshop) -> None:
    for name in ("blue", "green"):
        echo(workshop, name)
    variants = [variant("Blue", "blue", InitialVariantWeight=1.0), variant("Green", "green", InitialVariantWeight=3.0)]
    workshop.config(ProductionVariants=variants)
    workshop.endpoint()
    answers = collections.Counter(say(workshop, "x") for _ in range(80))
    assert set(answers) == {"blue:x", "green:x"}
    assert answers["green:x"] > answers["blue:x"]
    assert {say(workshop, "x", TargetVariant="Blue") for _ in range(5)} == {"blue:x"}
    with pytest.raises(ClientError, match="Could not find variant Red"):
        say(workshop, "x", TargetVariant="Red")
    workshop.sagemaker.update_endpoint_weights_and_capacities(
        EndpointName="endpoint",
        DesiredWeightsAndCapacities=[
            {"VariantName": "Blue", "DesiredWeight": 0.0},
            {"VariantName": "Green", "DesiredInstanceCount": 3},
        ],
    )
    shown = {v["VariantName"]: v for v in workshop.settled()["ProductionVariants"]}
    assert shown["Blue"]["CurrentWeight"] == 0.0
    assert shown["Green"]["CurrentInstanceCount"] == shown["Green"]["DesiredInstanceCount"] == 3
    assert {say(workshop, "x") for _ in range(20)} == {"green:x"}
    workshop.sagemaker.update_endpoint(
        EndpointName="endpoint", EndpointConfigName="config", RetainAllVariantProperties=True
    )
    kept = {v["VariantName"]: v for v in workshop.settled()["ProductionVariants"]}
    assert (kept["Blue"]["CurrentWeight"], kept["Green"]["CurrentInstanceCount"]) == (0.0, 3)


def test_a_crashed_process_is_started_again_and_told(workshop: Workshop) -> None:
    echo(workshop, "model")
    workshop.config()
    workshop.endpoint()
    with pytest.raises(ClientError) as refusal:
        say(workshop, "die")
    assert refusal.value.response["OriginalStatusCode"] == 0
    assert say(workshop, "x") == "model:x", "the next caller waits for the new process"
    wait_for(lambda: any("ended with exit code 9" in line for line in
                         workshop.messages("/aws/sagemaker/Endpoints/endpoint")))  # fmt: skip


CAPTURE = {
    "EnableCapture": True,
    "InitialSamplingPercentage": 100,
    "DestinationS3Uri": f"s3://{BUCKET}/capture",
    "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
    "CaptureContentTypeHeader": {"CsvContentTypes": ["text/csv"]},
}


def test_traffic_is_captured_as_json_lines(workshop: Workshop) -> None:
    echo(workshop, "model")
    workshop.config(DataCaptureConfig=CAPTURE)
    assert workshop.endpoint()["DataCaptureConfig"]["CaptureStatus"] == "Started"
    for number in range(3):
        say(workshop, f"1,{number}", InferenceId=f"id-{number}", CustomAttributes="shop=3")
    (key,) = wait_for(lambda: workshop.keys("capture/"))
    say(workshop, "last,words")
    workshop.sagemaker.delete_endpoint(EndpointName="endpoint")
    wait_for(lambda: workshop.sagemaker.list_endpoints()["Endpoints"] == [])
    (late,) = set(workshop.keys("capture/")) - {key}
    assert b"last,words" in workshop.read(late)
    assert key.startswith("capture/endpoint/AllTraffic/20")
    lines = [json.loads(line) for line in workshop.read(key).splitlines()]
    assert [line["captureData"]["endpointInput"]["data"] for line in lines] == ["1,0", "1,1", "1,2"]
    assert lines[0]["captureData"]["endpointInput"] == {
        "observedContentType": "text/csv", "mode": "INPUT", "data": "1,0", "encoding": "CSV",
    }  # fmt: skip
    output = lines[0]["captureData"]["endpointOutput"]
    assert (output["mode"], output["encoding"], output["data"]) == ("OUTPUT", "BASE64", "bW9kZWw6MSww")
    metadata = lines[1]["eventMetadata"]
    assert (metadata["inferenceId"], metadata["customAttributes"]) == ("id-1", ["shop=3"])
    assert lines[0]["eventVersion"] == "0"
    assert len({line["eventMetadata"]["eventId"] for line in lines}) == 3


def test_capture_is_on_unless_it_is_switched_off(workshop: Workshop) -> None:
    echo(workshop, "model")
    json_too = {"CsvContentTypes": ["text/csv"], "JsonContentTypes": ["application/json"]}
    unsaid = {name: value for name, value in CAPTURE.items() if name != "EnableCapture"}
    workshop.config(DataCaptureConfig={**unsaid, "CaptureContentTypeHeader": json_too})
    assert workshop.endpoint()["DataCaptureConfig"]["EnableCapture"] is True
    say(workshop, '{"a": 1}', ContentType="application/json")
    (key,) = wait_for(lambda: workshop.keys("capture/"))
    side = json.loads(workshop.read(key))["captureData"]["endpointInput"]
    assert (side["encoding"], side["data"]) == ("JSON", '{"a": 1}')


def test_sampling_at_zero_captures_nothing(workshop: Workshop) -> None:
    echo(workshop, "model")
    workshop.config(DataCaptureConfig={**CAPTURE, "InitialSamplingPercentage": 0})
    workshop.endpoint()
    say(workshop, "x")
    assert not list((workshop.aws.world.home / "jobs").rglob("*.jsonl"))


def measured(workshop: Workshop, name: str, statistic: str = "Sum") -> float:
    now = datetime.now(UTC)
    points = workshop.client("cloudwatch").get_metric_statistics(
        Namespace="AWS/SageMaker", MetricName=name, StartTime=now - timedelta(minutes=10),
        EndTime=now + timedelta(minutes=10), Period=3600, Statistics=[statistic],
        Dimensions=[{"Name": "EndpointName", "Value": "endpoint"}, {"Name": "VariantName", "Value": "AllTraffic"}],
    )["Datapoints"]  # fmt: skip
    return sum(float(point[statistic]) for point in points)


def test_invocations_are_counted_and_written_each_minute_or_at_a_stop(workshop: Workshop, aws: Any) -> None:
    workshop.model()
    workshop.config()
    workshop.endpoint()
    for _ in range(5):
        workshop.invoke()
    with pytest.raises(ClientError, match="Received client error"):
        workshop.invoke(Body="not,numbers")
    aws.restart()
    assert measured(workshop, "Invocations") == measured(workshop, "ModelLatency", "SampleCount") == 6
    assert (measured(workshop, "Invocation4XXErrors"), measured(workshop, "Invocation5XXErrors")) == (1, 0)
    assert measured(workshop, "InvocationModelErrors") == 1
    assert 100 < measured(workshop, "ModelLatency", "Maximum") < 60e6
    workshop.invoke()
    aws.world.walk.advance(61)
    assert measured(workshop, "Invocations") == 7


def test_an_image_that_cannot_run_is_rehearsed_and_says_so(workshop: Workshop) -> None:
    workshop.put("llm/config.json", "{}")
    source = {"S3Uri": f"s3://{BUCKET}/llm/", "S3DataType": "S3Prefix", "CompressionType": "None"}
    workshop.model(Image=VLLM, ModelDataSource={"S3DataSource": source}, Environment={"SM_VLLM_MODEL": "/opt/ml/model"})
    gpu = variant(
        "AllTraffic", "model", InferenceAmiVersion="al2023-ami-sagemaker-inference-gpu-4-1",
        RoutingConfig={"RoutingStrategy": "LEAST_OUTSTANDING_REQUESTS"}, ModelDataDownloadTimeoutInSeconds=1200,
        ContainerStartupHealthCheckTimeoutInSeconds=1200,
    )  # fmt: skip
    workshop.config(ProductionVariants=[{**gpu, "InstanceType": "ml.g6e.xlarge"}])
    endpoint = workshop.endpoint()
    assert endpoint["EndpointStatus"] == "InService", endpoint.get("FailureReason")
    assert endpoint["ProductionVariants"][0]["RoutingConfig"] == {"RoutingStrategy": "LEAST_OUTSTANDING_REQUESTS"}
    tags = {tag["Key"]: tag["Value"] for tag in
            workshop.sagemaker.list_tags(ResourceArn=endpoint["EndpointArn"])["Tags"]}  # fmt: skip
    assert "cannot run here: it needs a GPU" in tags["mlops:rehearsal"]
    with pytest.raises(ClientError, match="The endpoint is a rehearsal") as refusal:
        say(workshop, "hello")
    assert refusal.value.response["OriginalStatusCode"] == 501


def test_a_rehearsal_finds_a_path_that_is_not_in_the_model_data(workshop: Workshop) -> None:
    workshop.put("llm/config.json", "{}")
    source = {"S3Uri": f"s3://{BUCKET}/llm/", "S3DataType": "S3Prefix", "CompressionType": "None"}
    workshop.model(
        Image=VLLM, ModelDataSource={"S3DataSource": source}, Environment={"SM_VLLM_MODEL": "/opt/ml/model/llama"}
    )
    workshop.config()
    assert "SM_VLLM_MODEL names /opt/ml/model/llama" in workshop.endpoint()["FailureReason"]


def test_a_registered_command_stands_for_its_image(workshop: Workshop) -> None:
    program = """
import http.server, os
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self): self.send_response(200); self.end_headers()
    def do_POST(self):
        body = b"own"
        self.send_response(200); self.send_header("Content-Length", "3"); self.end_headers(); self.wfile.write(body)
    def log_message(self, *arguments): pass
http.server.HTTPServer(("127.0.0.1", int(os.environ["SAGEMAKER_BIND_TO_PORT"])), Answer).serve_forever()
"""
    images = {"*/team/own:*": {"serve": [sys.executable, "-c", program]}}
    (workshop.aws.world.home / "images.json").write_text(json.dumps(images))
    workshop.model(Image="222222222222.dkr.ecr.us-east-1.amazonaws.com/team/own:1")
    workshop.config()
    workshop.endpoint()
    assert say(workshop, "x") == "own"


def test_an_endpoint_tells_its_state_in_capitals(workshop: Workshop) -> None:
    queue = workshop.client("sqs").create_queue(QueueName="told")["QueueUrl"]
    rule = {"detail-type": ["SageMaker Endpoint State Change"], "detail": {"EndpointStatus": ["IN_SERVICE"]}}
    events = workshop.client("events")
    events.put_rule(Name="endpoints", EventPattern=json.dumps(rule))
    target = f"arn:aws:sqs:us-east-1:{workshop.aws.account('dev')}:told"
    events.put_targets(Rule="endpoints", Targets=[{"Id": "queue", "Arn": target}])
    echo(workshop, "model")
    workshop.config()
    arn = workshop.endpoint()["EndpointArn"]
    (message,) = wait_for(lambda: workshop.client("sqs").receive_message(QueueUrl=queue).get("Messages"))
    assert json.loads(message["Body"])["resources"] == [arn]


def test_a_wrong_images_file_is_named(workshop: Workshop) -> None:
    (workshop.aws.world.home / "images.json").write_text("[]")
    echo(workshop, "model")
    workshop.config()
    assert "images.json must be" in workshop.endpoint()["FailureReason"]


def test_a_restart_brings_the_processes_back(workshop: Workshop, aws: Any) -> None:
    echo(workshop, "model")
    workshop.config()
    workshop.endpoint()
    before = processes(workshop)
    aws.restart()
    assert say(workshop, "x") == "model:x", "the caller waits while it comes back"
    assert len(processes(workshop)) == 1
    assert processes(workshop) != before
    for pid in before:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def test_deleting_the_last_traces(workshop: Workshop) -> None:
    echo(workshop, "model")
    workshop.config()
    workshop.endpoint()
    workshop.sagemaker.delete_endpoint_config(EndpointConfigName="config")
    workshop.sagemaker.delete_model(ModelName="model")
    assert say(workshop, "x") == "model:x", "a running endpoint needs neither"
    workshop.sagemaker.delete_endpoint(EndpointName="endpoint")
    wait_for(lambda: workshop.sagemaker.list_endpoints()["Endpoints"] == [])
    assert processes(workshop) == []
    assert not (workshop.aws.world.home / "jobs" / workshop.aws.account("dev") / "us-east-1/endpoint/endpoint").exists()
    with pytest.raises(
        ClientError, match='Could not find endpoint "arn:aws:sagemaker:us-east-1:222222222222:endpoint/'
    ):
        workshop.sagemaker.describe_endpoint(EndpointName="endpoint")


@pytest.mark.parametrize("members, code, words", [
    ({"ProductionVariants": [variant("A", "ghost")]}, "ValidationException", 'Could not find model "arn:'),
    ({"ProductionVariants": [variant("A", "model"), variant("A", "model")]}, "ValidationException", "must be unique"),
    ({"ProductionVariants": [variant("A", "model", InitialVariantWeight=0.0)]}, "ValidationException", "all be zero"),
    ({"ProductionVariants": [{"VariantName": "A", "ModelName": "model",
                              "ServerlessConfig": {"MemorySizeInMB": 1024, "MaxConcurrency": 1}}]},
     "UnsupportedOperation", "serverless inference"),
    ({"AsyncInferenceConfig": {"OutputConfig": {"S3OutputPath": "s3://a/b"}}}, "UnsupportedOperation",
     "AsyncInferenceConfig"),
])  # fmt: skip
def test_configs_that_cannot_be_are_refused(members: dict[str, Any], code: str, words: str, workshop: Workshop) -> None:
    workshop.model()
    with pytest.raises(ClientError, match=words) as refusal:
        workshop.config(**members)
    assert refusal.value.response["Error"]["Code"] == code


@pytest.mark.parametrize("container, words", [
    ({"Image": XGBOOST, "ModelDataUrl": f"s3://{BUCKET}/no/model.tar.gz"}, "Could not find model data at s3://"),
    ({"Image": XGBOOST, "Mode": "MultiModel"}, "multi-model endpoints"),
    ({"ModelDataUrl": "s3://a/b"}, "must have an Image or a ModelPackageName"),
    ({"Image": VLLM, "ModelDataSource": {"S3DataSource": {
        "S3Uri": "s3://a/b", "S3DataType": "S3Prefix", "CompressionType": "None"}}}, "must end with a slash"),
])  # fmt: skip
def test_models_that_cannot_be_are_refused(container: dict[str, Any], words: str, workshop: Workshop) -> None:
    with pytest.raises(ClientError, match=words):
        workshop.model(**container)
    assert workshop.sagemaker.list_models()["Models"] == []


def test_invoking_is_quick_enough_to_be_asked_often(workshop: Workshop) -> None:
    workshop.model()
    workshop.config()
    workshop.endpoint()
    runtime = workshop.client("sagemaker-runtime")
    for row in ROWS[:100]:
        runtime.invoke_endpoint(EndpointName="endpoint", Body=csv([row]), ContentType="text/csv")["Body"].read()
    accuracy = np.mean((np.array(workshop.predictions(ROWS)) > 0.5) == DATA.target)
    assert accuracy > 0.95
