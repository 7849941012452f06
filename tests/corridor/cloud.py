"""A small AWS in memory, behind the one door: as strict about requests as botocore's models are.

Every request and every answer is checked against the service's model, so neither the core nor this stand-in can
invent a parameter. Only what the corridor calls is here; anything else is an error of the test.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import botocore.session
from botocore.exceptions import ClientError
from botocore.validate import ParamValidator

from orchestrator.aws import Aws
from orchestrator.model import Stage
from orchestrator.settings import Settings

HUB, DEV, PROD, REGION = "111111111111", "222222222222", "444444444444", "us-east-1"
NOW = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
MODELS = botocore.session.get_session()


def settings(**changes: Any) -> Settings:
    """The settings of a hub with a stage of its own and two elsewhere."""
    members: dict[str, Any] = {
        "account": HUB,
        "region": REGION,
        "assets_bucket": "assets",
        "artifact_bucket": "artifacts",
        "artifact_key_arn": f"arn:aws:kms:{REGION}:{HUB}:key/0",
        "notifications_topic_arn": f"arn:aws:sns:{REGION}:{HUB}:mlops-notifications",
        "function_arn": f"arn:aws:lambda:{REGION}:{HUB}:function:mlops-orchestrator",
        "cloudformation_role_arn": f"arn:aws:iam::{HUB}:role/mlops-orchestrator-cloudformation",
        "stages": (Stage("dev", DEV, REGION), Stage("prod", PROD, REGION, approval=True)),
    }
    return Settings(**{**members, **changes})


def refuse(code: str, message: str = "no", status: int = 400) -> ClientError:
    """An error as a service answers it."""
    return ClientError(
        {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}, "x"
    )


def refusing(code: str, message: str = "no", status: int = 400) -> Callable[..., Any]:
    """An operation that answers with this error."""

    def answer(**_: Any) -> Any:
        raise refuse(code, message, status)

    return answer


class Cloud:
    """The state of the stand-in. ``answers`` maps ``service.operation`` to a function or a fixed answer."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], dict[str, Any]] = {}
        self.stacks: dict[tuple[str, str], dict[str, Any]] = {}
        self.published: list[dict[str, Any]] = []
        self.answers: dict[str, Any] = {}
        self.log: list[tuple[str, str, dict[str, Any]]] = []
        self.before: dict[str, Callable[[], None]] = {}

    def aws(self, **changes: Any) -> Aws:
        """A fresh door to this AWS."""
        return Aws(settings(**changes), Session(self))

    def calls(self, *names: str) -> list[str]:
        """The operations called so far, or how often those named."""
        return [name for _, name, _ in self.log if not names or name in names]

    def perform(self, account: str, service: str, operation: str, parameters: dict[str, Any]) -> Any:
        name = f"{service}.{operation}"
        self.log.append((account, name, parameters))
        if name in self.before:
            self.before.pop(name)()
        if name in self.answers:
            answer = self.answers[name]
            return answer(account=account, **parameters) if callable(answer) else answer
        return getattr(self, f"{service.replace('-', '_')}_{operation}")(account=account, **parameters)

    # ---- S3 ----

    def s3_put_object(self, Bucket: str, Key: str, Body: bytes, account: str, **rest: Any) -> dict[str, Any]:
        held = self.objects.get((Bucket, Key))
        taken = rest.get("IfNoneMatch") == "*" and held
        moved = "IfMatch" in rest and (not held or held["ETag"] != rest["IfMatch"])
        if taken or moved:
            raise refuse("PreconditionFailed", status=412)
        etag = f'"{hashlib.md5(Body).hexdigest()}-{len(self.log)}"'
        self.objects[Bucket, Key] = {"Body": Body, "ETag": etag, "Metadata": rest.get("Metadata", {})}
        return {"ETag": etag}

    def s3_head_object(self, Bucket: str, Key: str, account: str, VersionId: str = "") -> dict[str, Any]:
        if (Bucket, Key) not in self.objects:
            raise refuse("404", "Not Found", 404)
        return {name: value for name, value in self.objects[Bucket, Key].items() if name != "Body"}

    def s3_get_object(self, Bucket: str, Key: str, account: str, VersionId: str = "") -> dict[str, Any]:
        if (Bucket, Key) not in self.objects:
            raise refuse("NoSuchKey", status=404)
        held = self.objects[Bucket, Key]
        return {**held, "Body": io.BytesIO(held["Body"]), "ContentLength": len(held["Body"])}

    def s3_delete_object(self, Bucket: str, Key: str, account: str) -> dict[str, Any]:
        self.objects.pop((Bucket, Key), None)
        return {}

    def s3_list_objects_v2(self, Bucket: str, account: str, Prefix: str = "") -> dict[str, Any]:
        keys = [key for bucket, key in self.objects if bucket == Bucket and key.startswith(Prefix)]
        return {"Contents": [{"Key": key} for key in keys]}

    # ---- CloudFormation ----

    def cloudformation_create_stack(self, StackName: str, account: str, **rest: Any) -> dict[str, Any]:
        held = self.stacks.get((account, StackName))
        if held and held["StackStatus"] != "DELETE_COMPLETE":
            raise refuse("AlreadyExistsException")
        serial = sum(name.endswith("create_stack") for _, name, _ in self.log)
        stack_id = f"arn:aws:cloudformation:{REGION}:{account}:stack/{StackName}/{serial}"
        self.put_stack(StackName, "CREATE_IN_PROGRESS", account, StackId=stack_id, **rest)
        return {"StackId": stack_id}

    def cloudformation_update_stack(self, StackName: str, account: str, **rest: Any) -> dict[str, Any]:
        held = self.stacks[account, StackName]
        if held["StackStatus"].endswith("_IN_PROGRESS"):
            raise refuse("ValidationError", f"Stack is in {held['StackStatus']} state and can not be updated.")
        self.put_stack(StackName, "UPDATE_IN_PROGRESS", account, StackId=held["StackId"], **rest)
        return {"StackId": held["StackId"]}

    def cloudformation_describe_stacks(self, account: str, StackName: str = "") -> dict[str, Any]:
        found = [
            {name: value for name, value in stack.items() if name not in ("TemplateBody", "TemplateURL", "Resources")}
            for (owner, name), stack in self.stacks.items()
            if owner == account and StackName in ("", name, stack["StackId"])
        ]
        if StackName and not StackName.startswith("arn:"):
            found = [stack for stack in found if stack["StackStatus"] != "DELETE_COMPLETE"]
        if StackName and not found:
            raise refuse("ValidationError", f"Stack with id {StackName} does not exist")
        return {"Stacks": found}

    def cloudformation_delete_stack(self, StackName: str, account: str) -> dict[str, Any]:
        for (owner, name), stack in self.stacks.items():
            if owner == account and StackName in (name, stack["StackId"]):
                stack["StackStatus"] = "DELETE_COMPLETE"
        return {}

    def cloudformation_describe_stack_resources(self, StackName: str, account: str) -> dict[str, Any]:
        if (account, StackName) not in self.stacks:
            raise refuse("ValidationError", "does not exist")
        return {"StackResources": self.stacks[account, StackName].get("Resources", [])}

    def put_stack(self, name: str, status: str, account: str = HUB, **members: Any) -> dict[str, Any]:
        """Place a stack as if it had come to be."""
        kept = {
            key: members[key]
            for key in ("Tags", "Parameters", "Outputs", "TemplateBody", "TemplateURL", "Resources")
            if key in members
        }
        stack_id = members.get("StackId", f"arn:aws:cloudformation:{REGION}:{account}:stack/{name}/0")
        stack = {"StackName": name, "StackId": stack_id, "StackStatus": status, "CreationTime": NOW, **kept}
        self.stacks[account, name] = stack
        return stack

    def settle(self) -> None:
        """Let everything that is in progress come to its good end."""
        for stack in self.stacks.values():
            stack["StackStatus"] = stack["StackStatus"].replace("_IN_PROGRESS", "_COMPLETE")

    # ---- the rest ----

    def sns_publish(self, account: str, **message: Any) -> dict[str, Any]:
        self.published.append(message)
        return {"MessageId": "1"}

    def sts_assume_role(self, RoleArn: str, RoleSessionName: str, account: str) -> dict[str, Any]:
        keys = {"AccessKeyId": f"ASIA{RoleArn.split(':')[4]}----", "SecretAccessKey": "secret", "SessionToken": RoleArn}
        return {"Credentials": {**keys, "Expiration": datetime(2100, 1, 1, tzinfo=UTC)}}


class Session:
    """Stands in for ``boto3.Session``: its clients perform on the cloud, in the account of their keys."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud

    def client(self, service: str, **options: Any) -> Client:
        key = options.get("aws_access_key_id", "")
        return Client(self.cloud, key[4:16] if key else HUB, service)


class Client:
    """One client; parameters and answers are checked against botocore's model of the service."""

    def __init__(self, cloud: Cloud, account: str, service: str) -> None:
        self._cloud, self._account, self._service = cloud, account, service
        self._model = MODELS.get_service_model(service)
        self._operations = {botocore.xform_name(name): name for name in self._model.operation_names}

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        model = self._model.operation_model(self._operations[operation])

        def call(**parameters: Any) -> Any:
            check(parameters, model.input_shape)
            answer = self._cloud.perform(self._account, self._service, operation, parameters)
            streams = {name: value for name, value in answer.items() if isinstance(value, io.IOBase)}
            plain = {name: value for name, value in answer.items() if name not in streams}
            check(plain, model.output_shape, answer=True)
            return answer

        return call

    def get_paginator(self, operation: str) -> Pages:
        return Pages(getattr(self, operation))


class Pages:
    """A paginator with one page."""

    def __init__(self, call: Callable[..., Any]) -> None:
        self._call = call

    def paginate(self, **parameters: Any) -> Any:
        yield self._call(**parameters)


def check(value: Any, shape: Any, *, answer: bool = False) -> None:
    """Fail when the value does not fit the shape; answers may leave required members out."""
    if shape is None:
        assert not value
        return
    report = ParamValidator().validate(value, shape)
    errors = report.generate_report().splitlines()
    assert not [line for line in errors if not (answer and "Missing required" in line)], report.generate_report()
    unknown = set(value) - set(shape.members)
    assert not unknown, f"{shape.name} has no {unknown}"


def job_event(job_id: str, parameters: dict[str, Any]) -> dict[str, Any]:
    """A job as CodePipeline hands it to a Lambda function."""
    configuration = {"FunctionName": "mlops-orchestrator", "UserParameters": json.dumps(parameters)}
    return {
        "CodePipeline.job": {
            "id": job_id,
            "accountId": HUB,
            "data": {"actionConfiguration": {"configuration": configuration}},
        }
    }
