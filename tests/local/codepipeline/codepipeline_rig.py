"""A project to run pipelines in: buckets, a source archive, and shortcuts to make, watch and steer pipelines."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

from tests.local.waiting import until

ACCOUNT, REGION = "111111111111", "us-east-1"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/pipeline"
OVER = ("Succeeded", "Failed", "Stopped", "Superseded", "Cancelled")


def archive(**files: Any) -> bytes:
    """A zip archive; dots in names are written as double underscores, and what is not text becomes JSON."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as opened:
        for name, content in files.items():
            text = content if isinstance(content, str) else json.dumps(content)
            opened.writestr(zipfile.ZipInfo(name.replace("__", ".")), text)
    return buffer.getvalue()


def action(category: str, provider: str, name: str, **more: Any) -> dict[str, Any]:
    """A declared action; members that are not given are left out."""
    type_id = {"category": category, "owner": "AWS", "provider": provider, "version": "1"}
    return {"name": name, "actionTypeId": type_id, **more}


def source(**configuration: str) -> dict[str, Any]:
    """The usual source stage."""
    wanted = {"S3Bucket": "source", "S3ObjectKey": "bundle.zip", "PollForSourceChanges": "false", **configuration}
    made = {"outputArtifacts": [{"name": "Bundle"}], "namespace": "source"}
    return {"name": "Source", "actions": [action("Source", "S3", "Take", configuration=wanted, **made)]}


def approval(name: str = "Ask", **configuration: str) -> dict[str, Any]:
    """A stage with one manual approval."""
    return {"name": name, "actions": [action("Approval", "Manual", "Approve", configuration=configuration)]}


def add_role(aws: Any, name: str, account: str = "orchestrator", **principal: str) -> str:
    """A role; by default one that CodePipeline may take."""
    principal = principal or {"Service": "codepipeline.amazonaws.com"}
    statement = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    role = aws.client("iam", account).create_role(RoleName=name, AssumeRolePolicyDocument=policy)
    return str(role["Role"]["Arn"])


class Project:
    """One pipeline named ``p`` in the orchestrator's account."""

    def __init__(self, aws: Any) -> None:
        self.aws = aws
        self.s3, self.codepipeline = aws.client("s3"), aws.client("codepipeline")
        for bucket in ("source", "artifacts"):
            self.s3.create_bucket(Bucket=bucket)
        self.version("Enabled")
        add_role(aws, "pipeline")

    def upload(self, **files: Any) -> str:
        """Put a new bundle; returns its version."""
        answer = self.s3.put_object(Bucket="source", Key="bundle.zip", Body=archive(**files))
        return str(answer.get("VersionId", ""))

    def version(self, status: str) -> None:
        """Switch the versioning of the source bucket."""
        self.s3.put_bucket_versioning(Bucket="source", VersioningConfiguration={"Status": status})

    def declare(self, *stages: dict[str, Any], **more: Any) -> dict[str, Any]:
        """The pipeline's declaration; without a source stage it gets the usual one."""
        whole = list(stages) if stages and stages[0]["name"] == "Source" else [source(), *stages]
        return {
            "name": "p",
            "roleArn": ROLE,
            "pipelineType": "V2",
            "executionMode": "QUEUED",
            "artifactStore": {"type": "S3", "location": "artifacts"},
            "stages": whole,
            **more,
        }

    def create(self, *stages: dict[str, Any], **more: Any) -> str:
        """Make the pipeline; returns the id of its first execution."""
        self.codepipeline.create_pipeline(pipeline=self.declare(*stages, **more))
        return str(self.executions()[0]["pipelineExecutionId"])

    def start(self, **more: Any) -> str:
        return str(self.codepipeline.start_pipeline_execution(name="p", **more)["pipelineExecutionId"])

    def executions(self, **more: Any) -> list[Any]:
        answer = self.codepipeline.list_pipeline_executions(pipelineName="p", **more)
        return list(answer["pipelineExecutionSummaries"])

    def execution(self, identity: str) -> Any:
        answer = self.codepipeline.get_pipeline_execution(pipelineName="p", pipelineExecutionId=identity)
        return answer["pipelineExecution"]

    def over(self, identity: str) -> str:
        """Wait for the execution to end; returns its status."""
        return str(until(lambda: (status := self.execution(identity)["status"]) in OVER and status))

    def succeed(self, identity: str) -> None:
        """Wait for the execution to end well; says what failed where it does not."""
        status = self.over(identity)
        results = {each["actionName"]: each["output"]["executionResult"] for each in self.actions(identity)}
        assert status == "Succeeded", results

    def actions(self, identity: str = "", name: str = "") -> list[Any]:
        """Action executions, oldest first."""
        more = {"filter": {"pipelineExecutionId": identity}} if identity else {}
        found = self.codepipeline.list_action_executions(pipelineName="p", **more)["actionExecutionDetails"]
        return [each for each in reversed(found) if name in ("", each["actionName"])]

    def error(self, identity: str, name: str) -> Any:
        """Why an action has failed."""
        return self.actions(identity, name)[-1]["output"]["executionResult"]["errorDetails"]

    def state(self, stage: str) -> Any:
        state = self.codepipeline.get_pipeline_state(name="p")
        return next(each for each in state["stageStates"] if each["stageName"] == stage)

    def latest(self, stage: str, name: str) -> Any:
        """The latest execution of an action in the pipeline's state."""
        states = self.state(stage)["actionStates"]
        return next(each for each in states if each["actionName"] == name).get("latestExecution", {})

    def token(self, stage: str = "Ask", name: str = "Approve") -> str:
        """Wait for an approval to be asked for; returns its token."""
        return str(until(lambda: self.latest(stage, name).get("token")))

    def answer(self, status: str, token: str, stage: str = "Ask", summary: str = "because") -> None:
        self.codepipeline.put_approval_result(
            pipelineName="p",
            stageName=stage,
            actionName="Approve",
            token=token,
            result={"status": status, "summary": summary},
        )

    def approve(self, stage: str = "Ask") -> None:
        self.answer("Approved", self.token(stage), stage)
