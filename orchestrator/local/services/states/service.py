"""The Step Functions API: durable STANDARD state machines in the JSONPath language."""

from __future__ import annotations

import json
import re
import uuid
from typing import Any, ClassVar

from orchestrator.local.service import Call, Service, ServiceError
from orchestrator.local.services.states import history
from orchestrator.local.services.states.calls import Calls
from orchestrator.local.services.states.definition import check
from orchestrator.local.services.states.executions import Executions
from orchestrator.local.store import AlreadyExists, Key

Parameters = dict[str, Any]

DELETE = "states-delete"
DELETE_POLL_SECONDS = 0.2
NAME = re.compile(r"[^\s<>{}\[\]?*\"#%\\^|~`$&,;:/\x00-\x1f\x7f-\x9f]{1,80}")
ROLE = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:role/.+")
LOG_GROUP = re.compile(r"arn:aws[a-z-]*:logs:[a-z0-9-]+:\d{12}:log-group:[\w./#-]{1,512}(:\*)?")
LARGEST_INPUT_BYTES = 262_144
PAGE = 100
LOGGING_OFF = {"level": "OFF", "includeExecutionData": False}
SHOWN = ("stateMachineArn", "name", "type", "creationDate")


class StepFunctions(Service):
    """State machines, their executions and their histories."""

    name: ClassVar[str] = "stepfunctions"

    def register_tasks(self) -> None:
        self.executions = Executions(self.world)
        self.calls = Calls(self.world, self.executions)
        self.tasks.register(DELETE, self._delete)

    def recover(self) -> None:
        self.calls.recover()

    def close(self) -> None:
        self.calls.close()

    # --- state machines

    def CreateStateMachine(self, call: Call, parameters: Parameters) -> Parameters:
        name = parameters["name"]
        if not NAME.fullmatch(name):
            raise ServiceError("InvalidName", f"Invalid Name: '{name}'")
        if parameters.get("type", "STANDARD") != "STANDARD":
            raise ServiceError("StateMachineTypeNotSupported", "The embedded AWS runs STANDARD state machines only")
        refuse_versions_and_keys(parameters)
        check_role(parameters["roleArn"])
        document = {
            "stateMachineArn": f"arn:{partition(call.region)}:states:{call.region}:{call.account}:stateMachine:{name}",
            "name": name,
            "status": "ACTIVE",
            "type": "STANDARD",
            "definition": checked_definition(parameters["definition"]),
            "roleArn": parameters["roleArn"],
            "loggingConfiguration": checked_logging(parameters.get("loggingConfiguration")),
            "tracingConfiguration": parameters.get("tracingConfiguration", {"enabled": False}),
            "creationDate": self.world.now(),
            "updateDate": self.world.now(),
            "revisionId": str(uuid.uuid4()),
            "tags": {tag["key"]: tag.get("value", "") for tag in parameters.get("tags", [])},
        }
        key = self.key(call, "StateMachine", name)
        with self.store.transaction():
            existing = self.store.get(key)
            if existing is None:
                self.store.create(key, document)
            else:
                document = self._same(existing, document)
        return {"stateMachineArn": document["stateMachineArn"], "creationDate": document["creationDate"]}

    def _same(self, existing: Parameters, wanted: Parameters) -> Parameters:
        """Creating the same again answers the existing one; role and tags are not compared (API reference)."""
        if existing["status"] == "DELETING":
            raise ServiceError(
                "StateMachineDeleting", f"State Machine is being deleted: '{existing['stateMachineArn']}'"
            )
        compared = ("definition", "type", "loggingConfiguration", "tracingConfiguration")
        if any(existing[field] != wanted[field] for field in compared):
            arn = existing["stateMachineArn"]
            raise ServiceError(
                "StateMachineAlreadyExists", f"State Machine Already Exists: '{arn}'", stateMachineArn=arn
            )
        return existing

    def UpdateStateMachine(self, call: Call, parameters: Parameters) -> Parameters:
        key, _ = self._machine(call, parameters["stateMachineArn"])
        refuse_versions_and_keys(parameters)
        changes: Parameters = {}
        if "definition" in parameters:
            changes["definition"] = checked_definition(parameters["definition"])
        if "roleArn" in parameters:
            changes["roleArn"] = check_role(parameters["roleArn"])
        if "loggingConfiguration" in parameters:
            changes["loggingConfiguration"] = checked_logging(parameters["loggingConfiguration"])
        if "tracingConfiguration" in parameters:
            changes["tracingConfiguration"] = parameters["tracingConfiguration"]
        if not changes:
            raise ServiceError(
                "MissingRequiredParameter", "Either the definition, the role ARN or a configuration is needed"
            )
        changes |= {"updateDate": self.world.now(), "revisionId": str(uuid.uuid4())}
        self.store.patch(key, **changes)
        return {"updateDate": changes["updateDate"], "revisionId": changes["revisionId"]}

    def DescribeStateMachine(self, call: Call, parameters: Parameters) -> Parameters:
        _, machine = self._machine(call, parameters["stateMachineArn"])
        return {**machine, "encryptionConfiguration": {"type": "AWS_OWNED_KEY"}}

    def ListStateMachines(self, call: Call, parameters: Parameters) -> Parameters:
        found = self.store.list(self.name, "StateMachine", call.account, call.region)
        shown, token = page([{field: machine[field] for field in SHOWN} for _, machine in found], parameters)
        return {"stateMachines": shown, **token}

    def DeleteStateMachine(self, call: Call, parameters: Parameters) -> Parameters:
        """Ends what runs, then forgets the state machine with its executions; deleting twice is no error."""
        key = self._machine_key(call, parameters["stateMachineArn"])
        with self.store.transaction():
            if self.store.patch(key, status="DELETING") is None:
                return {}
            for execution, document in self._executions(key):
                if document["status"] == "RUNNING":
                    self.executions.change(
                        execution, lambda machine: machine.stop(None, "The state machine was deleted")
                    )
            if self._delete(key) is not None:
                self.tasks.schedule(DELETE, key)
        return {}

    def _delete(self, key: Key) -> float | None:
        """Forget a state machine once its calls are given up and its last events are told."""
        with self.store.transaction():
            executions = self._executions(key)
            calls = self.store.list(self.name, "Call", key.account, key.region, prefix=f"{key.name}:")
            if calls or any(document["outbox"] for _, document in executions):
                return DELETE_POLL_SECONDS
            for execution, _ in executions:
                history.forget(self.store, execution)
                self.store.delete(execution)
            self.store.delete(key)
        return None

    def ValidateStateMachineDefinition(self, _call: Call, parameters: Parameters) -> Parameters:
        problems = check(parameters["definition"])
        most = parameters.get("maxResults") or PAGE
        diagnostics = [
            {"severity": "ERROR", "code": problem.code, "message": problem.message, "location": problem.location}
            for problem in problems[:most]
        ]
        return {"result": "FAIL" if problems else "OK", "diagnostics": diagnostics, "truncated": len(problems) > most}

    # --- executions

    def StartExecution(self, call: Call, parameters: Parameters) -> Parameters:
        machine_key, machine = self._machine(call, parameters["stateMachineArn"])
        if machine["status"] == "DELETING":
            raise ServiceError(
                "StateMachineDeleting", f"State Machine is being deleted: '{machine['stateMachineArn']}'"
            )
        name = parameters.get("name") or str(uuid.uuid4())
        if not NAME.fullmatch(name):
            raise ServiceError("InvalidName", f"Invalid Name: '{name}'")
        text = checked_input(parameters.get("input", "{}"))
        key = machine_key._replace(type="Execution", name=f"{machine_key.name}:{name}")
        try:
            document = self.executions.start(machine, key, name, text)
        except AlreadyExists:
            existing = self.store.get(key) or {}
            if existing.get("status") != "RUNNING" or existing.get("input") != text:
                message = f"Execution Already Exists: '{existing.get('executionArn', name)}'"
                raise ServiceError("ExecutionAlreadyExists", message) from None
            document = existing
        return {"executionArn": document["executionArn"], "startDate": document["startDate"]}

    def StopExecution(self, call: Call, parameters: Parameters) -> Parameters:
        key, _ = self._execution(call, parameters["executionArn"])
        error, cause = parameters.get("error"), parameters.get("cause")
        self.executions.change(key, lambda machine: machine.stop(error, cause))
        document = self.store.get(key) or {}
        return {"stopDate": document.get("stopDate", self.world.now())}

    def DescribeExecution(self, call: Call, parameters: Parameters) -> Parameters:
        _, execution = self._execution(call, parameters["executionArn"])
        described = {
            **execution,
            "inputDetails": {"included": True},
            "redriveCount": 0,
            "redriveStatus": "NOT_REDRIVABLE",
            "redriveStatusReason": "The embedded AWS does not redrive executions",
        }
        if "output" in execution:
            described["outputDetails"] = {"included": True}
        return described

    def ListExecutions(self, call: Call, parameters: Parameters) -> Parameters:
        if "stateMachineArn" not in parameters:
            raise ServiceError("ValidationException", "The embedded AWS lists executions by stateMachineArn only")
        key, _ = self._machine(call, parameters["stateMachineArn"])
        wanted = parameters.get("statusFilter")
        fields = ("executionArn", "stateMachineArn", "name", "status", "startDate", "stopDate")
        found = [
            {field: document[field] for field in fields if field in document}
            for _, document in reversed(self._executions(key))
            if wanted in (None, document["status"])
        ]
        shown, token = page(found, parameters)
        return {"executions": shown, **token}

    def GetExecutionHistory(self, call: Call, parameters: Parameters) -> Parameters:
        key, _ = self._execution(call, parameters["executionArn"])
        events = list(history.read(self.store, key))
        if parameters.get("reverseOrder"):
            events.reverse()
        if not parameters.get("includeExecutionData", True):
            events = [history.without_data(event) for event in events]
        shown, token = page(events, parameters)
        return {"events": shown, **token}

    def DescribeStateMachineForExecution(self, call: Call, parameters: Parameters) -> Parameters:
        _, execution = self._execution(call, parameters["executionArn"])
        return {
            "stateMachineArn": execution["stateMachineArn"],
            "name": execution["stateMachineName"],
            "definition": execution["definition"],
            "roleArn": execution["roleArn"],
            **execution["machine"],
        }

    # --- tags

    def TagResource(self, call: Call, parameters: Parameters) -> Parameters:
        key, machine = self._tagged(call, parameters["resourceArn"])
        tags = {tag["key"]: tag.get("value", "") for tag in parameters["tags"]}
        self.store.patch(key, tags={**machine["tags"], **tags})
        return {}

    def UntagResource(self, call: Call, parameters: Parameters) -> Parameters:
        key, machine = self._tagged(call, parameters["resourceArn"])
        gone = set(parameters["tagKeys"])
        self.store.patch(key, tags={name: value for name, value in machine["tags"].items() if name not in gone})
        return {}

    def ListTagsForResource(self, call: Call, parameters: Parameters) -> Parameters:
        _, machine = self._tagged(call, parameters["resourceArn"])
        return {"tags": [{"key": name, "value": value} for name, value in machine["tags"].items()]}

    # --- looking things up

    def _machine_key(self, call: Call, arn: str) -> Key:
        parts = arn.split(":")
        if len(parts) != 7 or parts[2] != "states" or parts[5] != "stateMachine":
            raise ServiceError("InvalidArn", f"Invalid Arn: 'Not the ARN of a state machine: {arn}'")
        if (parts[4], parts[3]) != (call.account, call.region):
            raise ServiceError("StateMachineDoesNotExist", f"State Machine Does Not Exist: '{arn}'")
        return self.key(call, "StateMachine", parts[6])

    def _machine(self, call: Call, arn: str) -> tuple[Key, Parameters]:
        key = self._machine_key(call, arn)
        machine = self.store.get(key)
        if machine is None:
            raise ServiceError("StateMachineDoesNotExist", f"State Machine Does Not Exist: '{arn}'")
        return key, machine

    def _execution(self, call: Call, arn: str) -> tuple[Key, Parameters]:
        parts = arn.split(":")
        if len(parts) != 8 or parts[2] != "states" or parts[5] != "execution":
            raise ServiceError("InvalidArn", f"Invalid Arn: 'Not the ARN of an execution: {arn}'")
        key = Key(parts[4], parts[3], self.name, "Execution", f"{parts[6]}:{parts[7]}")
        document = self.store.get(key) if (parts[4], parts[3]) == (call.account, call.region) else None
        if document is None:
            raise ServiceError("ExecutionDoesNotExist", f"Execution Does Not Exist: '{arn}'")
        return key, document

    def _executions(self, machine: Key) -> list[tuple[Key, Parameters]]:
        return self.store.list(self.name, "Execution", machine.account, machine.region, prefix=f"{machine.name}:")

    def _tagged(self, call: Call, arn: str) -> tuple[Key, Parameters]:
        try:
            return self._machine(call, arn)
        except ServiceError as problem:
            if problem.code != "StateMachineDoesNotExist":
                raise
            raise ServiceError("ResourceNotFound", f"Resource not found: '{arn}'", resourceName=arn) from None


def partition(region: str) -> str:
    """The ARN partition of a region."""
    return {"cn-": "aws-cn", "us-gov-": "aws-us-gov"}.get(re.match(r"cn-|us-gov-|", region)[0], "aws")  # type: ignore[index]


def refuse_versions_and_keys(parameters: Parameters) -> None:
    """Say what the embedded AWS does not offer for state machines."""
    if parameters.get("publish") or "versionDescription" in parameters:
        raise ServiceError("ValidationException", "The embedded AWS has no versions of state machines ('publish')")
    if parameters.get("encryptionConfiguration", {}).get("type", "AWS_OWNED_KEY") != "AWS_OWNED_KEY":
        message = "Invalid Encryption Configuration: the embedded AWS offers AWS_OWNED_KEY only"
        raise ServiceError("InvalidEncryptionConfiguration", message)


def check_role(arn: str) -> str:
    """The ARN itself; raises InvalidArn when it is not that of a role."""
    if not ROLE.fullmatch(arn):
        raise ServiceError("InvalidArn", f"Invalid Role Arn: '{arn}'")
    return arn


def checked_definition(text: str) -> str:
    """The definition itself; raises InvalidDefinition with everything that is wrong."""
    problems = check(text)
    if problems:
        listed = ", ".join(str(problem) for problem in problems)
        raise ServiceError("InvalidDefinition", f"Invalid State Machine Definition: '{listed}'")
    return text


def checked_input(text: str) -> str:
    """The input itself; raises InvalidExecutionInput when it is no JSON or too large."""
    if len(text.encode()) > LARGEST_INPUT_BYTES:
        raise ServiceError(
            "InvalidExecutionInput", f"Invalid State Machine Execution Input: larger than {LARGEST_INPUT_BYTES}"
        )
    try:
        json.loads(text)
    except ValueError as problem:
        raise ServiceError("InvalidExecutionInput", f"Invalid State Machine Execution Input: '{problem}'") from None
    return text


def checked_logging(settings: Parameters | None) -> Parameters:
    """The logging configuration with its defaults; raises InvalidLoggingConfiguration."""
    settings = {**LOGGING_OFF, **(settings or {})}
    if settings["level"] == "OFF":
        return settings
    destinations = settings.get("destinations", [])
    groups = [each.get("cloudWatchLogsLogGroup", {}).get("logGroupArn", "") for each in destinations]
    if len(groups) != 1 or not LOG_GROUP.fullmatch(groups[0]):
        message = "Invalid Logging Configuration: Must specify exactly one Log Destination, the ARN of a log group."
        raise ServiceError("InvalidLoggingConfiguration", message)
    return settings


def page(items: list[Any], parameters: Parameters) -> tuple[list[Any], Parameters]:
    """One page of a listing and what to answer besides it; a token is the place where the next page begins."""
    token = parameters.get("nextToken", "0")
    if not re.fullmatch(r"\d{1,9}", token):
        raise ServiceError("InvalidToken", f"Invalid Token: '{token}'")
    first = int(token)
    last = first + (parameters.get("maxResults") or PAGE)
    return items[first:last], {"nextToken": str(last)} if last < len(items) else {}
