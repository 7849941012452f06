"""What surrounds a function: who may call it, how often at once, what becomes of queued events, tags."""

from __future__ import annotations

import json
import re
from typing import Any

from orchestrator.local.service import Call, ServiceError
from orchestrator.local.services.lambda_.directory import Directory, Parameters
from orchestrator.local.services.lambda_.functions import LATEST, configuration, function_arn
from orchestrator.local.store import Document, Key

EVENT_INVOKE = ("MaximumRetryAttempts", "MaximumEventAgeInSeconds", "DestinationConfig")
DESTINATION = re.compile(r"arn:aws[a-z-]*:(sqs|sns|lambda|events):[a-z0-9-]+:\d{12}:.+")


class Settings(Directory):
    """The operations on policies, reserved concurrency, asynchronous invocation and tags."""

    def AddPermission(self, call: Call, parameters: Parameters) -> Parameters:
        target = self._target(call, parameters)
        _, arn = configuration(self.store, target)
        added = statement(arn, parameters)

        def add(function: Document) -> None:
            statements = function["Policies"].setdefault(target.qualifier, [])
            if any(each["Sid"] == added["Sid"] for each in statements):
                text = f"The statement id ({added['Sid']}) provided already exists. Please provide a new statement id, or remove the existing statement."  # noqa: E501
                raise ServiceError("ResourceConflictException", text, 409)
            statements.append(added)

        self.store.update(target.key, add)
        return {"Statement": json.dumps(added)}

    def RemovePermission(self, call: Call, parameters: Parameters) -> Parameters:
        target = self._target(call, parameters)
        configuration(self.store, target)

        def remove(function: Document) -> None:
            statements = function["Policies"].get(target.qualifier, [])
            left = [each for each in statements if each["Sid"] != parameters["StatementId"]]
            if len(left) == len(statements):
                text = f"Statement {parameters['StatementId']} is not found in resource policy."
                raise ServiceError("ResourceNotFoundException", text, 404)
            function["Policies"][target.qualifier] = left

        self.store.update(target.key, remove)
        return {}

    def GetPolicy(self, call: Call, parameters: Parameters) -> Parameters:
        target = self._target(call, parameters)
        found, _ = configuration(self.store, target)
        statements = (self.store.get(target.key) or {})["Policies"].get(target.qualifier)
        if not statements:
            raise ServiceError("ResourceNotFoundException", "The resource you requested does not exist.", 404)
        policy = {"Version": "2012-10-17", "Id": "default", "Statement": statements}
        return {"Policy": json.dumps(policy), "RevisionId": found["RevisionId"]}

    def resource_policy(self, arn: str) -> str:
        """The permissions of a function, or of one of its versions, as a policy."""
        _, _, _, region, account, resource = arn.split(":", 5)
        name, _, qualifier = resource.removeprefix("function:").partition(":")
        function = self.store.get(Key(account, region, self.name, "Function", name))
        statements = function["Policies"].get(qualifier) if function else None
        return json.dumps({"Version": "2012-10-17", "Statement": statements}) if statements else ""

    def PutFunctionConcurrency(self, call: Call, parameters: Parameters) -> Parameters:
        reserved = parameters["ReservedConcurrentExecutions"]
        self.store.patch(self._existing(call, parameters), Concurrency=reserved)
        return {"ReservedConcurrentExecutions": reserved}

    def GetFunctionConcurrency(self, call: Call, parameters: Parameters) -> Parameters:
        function = self.store.get(self._existing(call, parameters)) or {}
        return {"ReservedConcurrentExecutions": function["Concurrency"]} if "Concurrency" in function else {}

    def DeleteFunctionConcurrency(self, call: Call, parameters: Parameters) -> Parameters:
        def remove(function: Document) -> None:
            function.pop("Concurrency", None)

        self.store.update(self._existing(call, parameters), remove)
        return {}

    def PutFunctionEventInvokeConfig(self, call: Call, parameters: Parameters) -> Parameters:
        return self._put_event_invoke(call, parameters, keep=False)

    def UpdateFunctionEventInvokeConfig(self, call: Call, parameters: Parameters) -> Parameters:
        return self._put_event_invoke(call, parameters, keep=True)

    def _put_event_invoke(self, call: Call, parameters: Parameters, *, keep: bool) -> Parameters:
        target = self._target(call, parameters)
        _, arn = configuration(self.store, target)
        for destination in parameters.get("DestinationConfig", {}).values():
            if destination.get("Destination") and not DESTINATION.fullmatch(destination["Destination"]):
                text = (
                    f"The destination ARN {destination['Destination']} is invalid or not supported by the embedded AWS."
                )
                raise ServiceError("InvalidParameterValueException", text)
        name = target.qualifier or LATEST
        given = {field: parameters[field] for field in EVENT_INVOKE if field in parameters}

        def put(function: Document) -> None:
            before = function["EventInvokeConfigs"].get(name, {}) if keep else {}
            whole = {**before, **given, "LastModified": self.world.now()}
            whole["FunctionArn"] = arn if target.qualifier else f"{arn}:{LATEST}"
            function["EventInvokeConfigs"][name] = whole

        written = self.store.update(target.key, put) or {}
        result: Parameters = written["EventInvokeConfigs"][name]
        return result

    def GetFunctionEventInvokeConfig(self, call: Call, parameters: Parameters) -> Parameters:
        target = self._target(call, parameters)
        configuration(self.store, target)
        configs = (self.store.get(target.key) or {})["EventInvokeConfigs"]
        found: Parameters | None = configs.get(target.qualifier or LATEST)
        if found is None:
            text = f"The function {function_arn(target.key)} doesn't have an EventInvokeConfig"
            raise ServiceError("ResourceNotFoundException", text, 404)
        return found

    def DeleteFunctionEventInvokeConfig(self, call: Call, parameters: Parameters) -> Parameters:
        self.GetFunctionEventInvokeConfig(call, parameters)
        target = self._target(call, parameters)

        def remove(function: Document) -> None:
            function["EventInvokeConfigs"].pop(target.qualifier or LATEST)

        self.store.update(target.key, remove)
        return {}

    def TagResource(self, call: Call, parameters: Parameters) -> Parameters:
        key = self._existing(call, {"FunctionName": parameters["Resource"]})
        function = self.store.get(key) or {}
        self.store.patch(key, Tags={**function["Tags"], **parameters["Tags"]})
        return {}

    def UntagResource(self, call: Call, parameters: Parameters) -> Parameters:
        key = self._existing(call, {"FunctionName": parameters["Resource"]})
        function = self.store.get(key) or {}
        left = {name: value for name, value in function["Tags"].items() if name not in parameters["TagKeys"]}
        self.store.patch(key, Tags=left)
        return {}

    def ListTags(self, call: Call, parameters: Parameters) -> Parameters:
        function = self.store.get(self._existing(call, {"FunctionName": parameters["Resource"]})) or {}
        return {"Tags": function["Tags"]}


def statement(arn: str, parameters: Parameters) -> Document:
    """A statement of a function's policy from the parameters of AddPermission."""
    principal = parameters["Principal"]
    if re.fullmatch(r"[\w.-]+\.amazonaws\.com(\.cn)?", principal):
        who: Any = {"Service": principal}
    elif re.fullmatch(r"\d{12}", principal):
        who = {"AWS": f"{arn.split(':lambda:')[0]}:iam::{principal}:root"}
    else:
        who = "*" if principal == "*" else {"AWS": principal}
    made = {
        "Sid": parameters["StatementId"],
        "Effect": "Allow",
        "Principal": who,
        "Action": parameters["Action"],
        "Resource": arn,
    }
    equals = {
        name: parameters[field]
        for name, field in (("AWS:SourceAccount", "SourceAccount"), ("aws:PrincipalOrgID", "PrincipalOrgID"))
        if parameters.get(field)
    }
    condition: Document = {"StringEquals": equals} if equals else {}
    if parameters.get("SourceArn"):
        condition["ArnLike"] = {"AWS:SourceArn": parameters["SourceArn"]}
    return {**made, "Condition": condition} if condition else made
