"""The Lambda API: Python functions from zip archives, run by worker processes."""

from __future__ import annotations

import base64
import json
from typing import ClassVar

from botocore.exceptions import ClientError

from orchestrator.local.service import Call, ServiceError
from orchestrator.local.services.lambda_ import functions
from orchestrator.local.services.lambda_.code import LARGEST_UPLOAD_BYTES, Code
from orchestrator.local.services.lambda_.directory import Parameters, page
from orchestrator.local.services.lambda_.events import EventQueue
from orchestrator.local.services.lambda_.functions import (
    Target,
    configuration,
    not_found,
    target_of,
    version_key,
)
from orchestrator.local.services.lambda_.invocations import Invoker, Stopping
from orchestrator.local.services.lambda_.settings import Settings
from orchestrator.local.services.lambda_.versions import Versions
from orchestrator.local.services.lambda_.workers import Busy, Workers
from orchestrator.local.store import AlreadyExists, Document, Key

LARGEST_EVENT_BYTES = {"RequestResponse": 6 * 1024 * 1024, "Event": 1024 * 1024, "DryRun": 6 * 1024 * 1024}
LOG_TAIL_BYTES = 4096
LONGEST_WAIT_SECONDS = 60.0


class Lambda(Versions, Settings):
    """Functions, their versions and aliases, and their invocation."""

    name: ClassVar[str] = "lambda"

    def register_tasks(self) -> None:
        home = self.world.home / "lambda"
        self.code = Code(home)
        self.workers = Workers(home / "workers")
        self.invoker = Invoker(self.world, self.code, self.workers)
        self.events = EventQueue(self.world, self.invoker)

    def recover(self) -> None:
        self.events.recover()

    def close(self) -> None:
        self.workers.close()
        self.events.close()
        self.invoker.logs.close()

    def CreateFunction(self, call: Call, parameters: Parameters) -> Parameters:
        target = target_of(call, parameters["FunctionName"])
        functions.check(parameters)
        document = functions.new_function(target.key, parameters, self._code(call, parameters["Code"]))
        with self.store.transaction():
            try:
                self.store.create(target.key, document)
            except AlreadyExists:
                text = f"Function already exist: {target.key.name}"
                raise ServiceError("ResourceConflictException", text, 409) from None
            if parameters.get("Publish"):
                return self._publish(target.key, {})
        created: Parameters = document["Configuration"]
        return created

    def _code(self, call: Call, parameters: Parameters) -> Document:
        """Take in an archive from the request or from a bucket."""
        if parameters.get("ImageUri"):
            text = "The embedded AWS runs functions from zip archives only, not from ImageUri"
            raise ServiceError("InvalidParameterValueException", text)
        archive = parameters.get("ZipFile")
        if archive is None:
            archive = self._fetch(call, parameters)
        elif len(archive) > LARGEST_UPLOAD_BYTES:
            text = f"Request must be smaller than {LARGEST_UPLOAD_BYTES} bytes for the CreateFunction operation"
            raise ServiceError("RequestEntityTooLargeException", text, 413)
        return {"CodeSha256": self.code.add(archive), "CodeSize": len(archive)}

    def _fetch(self, call: Call, parameters: Parameters) -> bytes:
        if not parameters.get("S3Bucket") or not parameters.get("S3Key"):
            text = "Please provide a source for function code: ZipFile, or S3Bucket and S3Key"
            raise ServiceError("InvalidParameterValueException", text)
        place = {"Bucket": parameters["S3Bucket"], "Key": parameters["S3Key"]}
        if parameters.get("S3ObjectVersion"):
            place["VersionId"] = parameters["S3ObjectVersion"]
        try:
            body: bytes = self.world.client_with(call.credentials, "s3", call.region).get_object(**place)["Body"].read()
        except ClientError as problem:
            error = problem.response["Error"]
            text = (
                f"Error occurred while GetObject. S3 Error Code: {error['Code']}. S3 Error Message: {error['Message']}"
            )
            raise ServiceError("InvalidParameterValueException", text) from None
        return body

    def UpdateFunctionCode(self, call: Call, parameters: Parameters) -> Parameters:
        key = self._existing(call, parameters)
        code = self._code(call, parameters)
        if parameters.get("DryRun"):
            return {**configuration(self.store, Target(key, ""))[0], **code}
        return self._change(key, parameters, code)

    def UpdateFunctionConfiguration(self, call: Call, parameters: Parameters) -> Parameters:
        key = self._existing(call, parameters)
        functions.check(parameters)
        return self._change(key, parameters, {})

    def _change(self, key: Key, parameters: Parameters, code: Document) -> Parameters:
        with self.store.transaction():
            function = self.store.get(key)
            if function is None:
                raise not_found(key)
            before = function["Configuration"]
            if parameters.get("RevisionId") not in (None, before["RevisionId"]):
                text = "The Revision Id provided does not match the latest Revision Id."
                raise ServiceError("PreconditionFailedException", text, 412)
            if code and "Architectures" in parameters:
                code = {**code, "Architectures": parameters["Architectures"]}
            function["Configuration"] = functions.changed({**before, **code}, {} if code else parameters)
            self.store.put(key, function)
        self._retire_workers()
        if parameters.get("Publish"):
            return self._publish(key, {})
        written: Parameters = function["Configuration"]
        return written

    def GetFunction(self, call: Call, parameters: Parameters) -> Parameters:
        target = self._target(call, parameters)
        found, arn = configuration(self.store, target)
        function = self.store.get(target.key) or {}
        answer: Parameters = {"Configuration": {**found, "FunctionArn": arn}, "Code": {"RepositoryType": "S3"}}
        if function.get("Tags"):
            answer["Tags"] = function["Tags"]
        if "Concurrency" in function:
            answer["Concurrency"] = {"ReservedConcurrentExecutions": function["Concurrency"]}
        return answer

    def GetFunctionConfiguration(self, call: Call, parameters: Parameters) -> Parameters:
        found, arn = configuration(self.store, self._target(call, parameters))
        return {**found, "FunctionArn": arn}

    def ListFunctions(self, call: Call, parameters: Parameters) -> Parameters:
        found = self.store.list(self.name, "Function", call.account, call.region)
        if parameters.get("FunctionVersion") == "ALL":
            found += self.store.list(self.name, "Version", call.account, call.region)
        listed, marker = page([function["Configuration"] for _, function in found], parameters)
        return {"Functions": listed, **marker}

    def DeleteFunction(self, call: Call, parameters: Parameters) -> Parameters:
        target = self._target(call, parameters)
        configuration(self.store, target)
        with self.store.transaction():
            if target.qualifier:
                self.store.delete(version_key(target.key, target.qualifier))
            else:
                for key, _ in self._versions(target.key):
                    self.store.delete(key)
                self.store.delete(target.key)
        self._retire_workers()
        return {}

    def _retire_workers(self) -> None:
        """Workers with code or settings that no function has any more end."""
        kept = [*self.store.list(self.name, "Function"), *self.store.list(self.name, "Version")]
        self.workers.retire({document["Configuration"]["RevisionId"] for _, document in kept})

    def Invoke(self, call: Call, parameters: Parameters) -> Parameters:
        target = target_of(call, parameters["FunctionName"], parameters.get("Qualifier"))
        kind = parameters.get("InvocationType") or "RequestResponse"
        event = checked_event(parameters.get("Payload") or b"{}", kind)
        found, _ = configuration(self.store, target)
        if kind == "DryRun":
            return {"StatusCode": 204}
        if kind == "Event":
            if (self.store.get(target.key) or {}).get("Concurrency") == 0:
                raise throttled()
            self.events.add(target, event, call.request_id)
            return {"StatusCode": 202}
        try:
            worker, found, arn = self.invoker.worker(target, LONGEST_WAIT_SECONDS)
            client = parameters.get("ClientContext")
            sent = json.loads(base64.b64decode(client)) if client else None
            outcome = self.invoker.run(worker, found, arn, event, call.request_id, sent)
        except Busy:
            raise throttled() from None
        except Stopping:
            raise ServiceError("ServiceException", "The embedded AWS is stopping.", 503) from None
        answer: Parameters = {"StatusCode": 200, "Payload": outcome.payload, "ExecutedVersion": outcome.version}
        if outcome.failed:
            answer["FunctionError"] = "Unhandled"
        if parameters.get("LogType") == "Tail":
            answer["LogResult"] = base64.b64encode(outcome.log.encode()[-LOG_TAIL_BYTES:]).decode()
        return answer


def throttled() -> ServiceError:
    """The error when a function may have no more workers."""
    return ServiceError(
        "TooManyRequestsException", "Rate Exceeded.", 429, Reason="ReservedFunctionConcurrentInvocationLimitExceeded"
    )


def checked_event(event: bytes, kind: str) -> bytes:
    """The event itself; raises RequestTooLargeException or InvalidRequestContentException."""
    if len(event) > LARGEST_EVENT_BYTES[kind]:
        limit = LARGEST_EVENT_BYTES[kind]
        text = f"{len(event)} byte payload is too large for the {kind} invocation type (limit {limit} bytes)"
        raise ServiceError("RequestTooLargeException", text, 413)
    try:
        json.loads(event)
    except ValueError as problem:
        text = f"Could not parse request body into json: {problem}"
        raise ServiceError("InvalidRequestContentException", text) from None
    return event
