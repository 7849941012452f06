"""The GPU examples on the embedded AWS: their stacks are made, and their endpoints answer.

No GPU is here; a small program stands for the images (``images.json``), as a user may register one. What is tested
is that CloudFormation and SageMaker take every property: machine image, time-outs, routing, unpacked model data.
"""

from __future__ import annotations

import io
import json
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from walking import EXAMPLES, REGION, Example

from orchestrator.local.embedded import EmbeddedAws

SERVER = """
import os
from http.server import BaseHTTPRequestHandler, HTTPServer

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(os.environ.get("HF_MODEL_ID", "none").encode())

    def log_message(self, *arguments):
        pass

HTTPServer(("127.0.0.1", int(os.environ["SAGEMAKER_BIND_TO_PORT"])), Handler).serve_forever()
"""
ANYTHING = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
Client = Callable[[str, str], Any]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    home = tmp_path_factory.mktemp("aws")
    (home / "serve.py").write_text(SERVER)
    (home / "images.json").write_text(json.dumps({"*": {"serve": [sys.executable, str(home / "serve.py")]}}))
    embedded = EmbeddedAws(home)
    embedded.start()
    try:
        yield lambda service, account: embedded.world.client(service, account, REGION)
    finally:
        embedded.stop()


def put_model(s3: Any, url: str) -> None:
    bucket, _, key = url.removeprefix("s3://").partition("/")
    s3.create_bucket(Bucket=bucket)
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as packed:
        member = tarfile.TarInfo("config.json")
        member.size = 2
        packed.addfile(member, io.BytesIO(b"{}"))
    name, body = (f"{key}config.json", b"{}") if key.endswith("/") else (key, archive.getvalue())
    s3.put_object(Bucket=bucket, Key=name, Body=body)


@pytest.mark.parametrize("example", [each for each in EXAMPLES if each.name.startswith("gpu_")], ids=str)
def test_a_gpu_example_deploys_and_answers(example: Example, client: Client) -> None:
    (pipeline,) = example.plan.pipelines
    stack = pipeline.stacks[-1]
    account = stack.stage.account
    put_model(client("s3", "111111111111"), stack.parameters["ModelDataUrl"])
    for name in ("mlops-boundary", "mlops-images", "mlops-job"):
        client("iam", account).create_policy(PolicyName=name, PolicyDocument=json.dumps(ANYTHING))
    cloudformation = client("cloudformation", account)
    cloudformation.create_stack(
        StackName=stack.stack_name,
        TemplateBody=example.rendering.files[pipeline.template_file].decode(),
        Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in stack.parameters.items()],
        Capabilities=["CAPABILITY_NAMED_IAM"],
    )
    deadline = time.monotonic() + 60
    status = "CREATE_IN_PROGRESS"
    while status.endswith("_IN_PROGRESS") and time.monotonic() < deadline:
        time.sleep(0.1)
        status = cloudformation.describe_stacks(StackName=stack.stack_name)["Stacks"][0]["StackStatus"]
    reasons = [
        event.get("ResourceStatusReason")
        for event in cloudformation.describe_stack_events(StackName=stack.stack_name)["StackEvents"]
    ]
    assert status == "CREATE_COMPLETE", reasons

    name = stack.parameters["EndpointName"]
    endpoint = client("sagemaker", account).describe_endpoint(EndpointName=name)
    config = client("sagemaker", account).describe_endpoint_config(EndpointConfigName=endpoint["EndpointConfigName"])
    (variant,) = config["ProductionVariants"]
    assert variant["InferenceAmiVersion"] == stack.parameters["InferenceAmi"]
    assert variant["RoutingConfig"] == {"RoutingStrategy": "LEAST_OUTSTANDING_REQUESTS"}
    assert str(variant["ModelDataDownloadTimeoutInSeconds"]) == stack.parameters["ModelDownloadTimeout"]
    assert str(variant["ContainerStartupHealthCheckTimeoutInSeconds"]) == stack.parameters["ContainerStartupTimeout"]
    answer = client("sagemaker-runtime", account).invoke_endpoint(EndpointName=name, Body=b"hello")
    expected = {"gpu_llm": b"/opt/ml/model", "gpu_pytorch": b"none"}
    assert answer["Body"].read() == expected[example.name]
