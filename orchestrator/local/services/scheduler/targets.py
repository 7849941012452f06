"""What a schedule may start: templated targets, each a function here, and the universal target.

https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-targets-templated.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.local.services.events.arn import Arn, parse_arn
from orchestrator.local.services.scheduler import universal
from orchestrator.local.world import World

COMMON = frozenset({"Arn", "RoleArn", "Input", "DeadLetterConfig", "RetryPolicy"})


@dataclass(frozen=True, slots=True)
class Invocation:
    """One attempt to start a target. ``text`` is the input, its context attributes filled in; may be empty.

    ``identity`` is the execution's id, the same at every attempt.
    """

    world: World
    target: Mapping[str, Any]
    region: str
    account: str
    text: str
    identity: str

    def client(self, service: str, region: str = "") -> Any:
        """A client that acts as the target's role."""
        return self.world.client(service, self.account, region or self.region, self.target["RoleArn"])


@dataclass(frozen=True, slots=True)
class Template:
    """A kind of templated target: the resources it takes, how it starts, and the member of its own parameters."""

    resource: str
    start: Callable[[Invocation, Arn], Any]
    parameters: str = ""
    needed: bool = False


def _function(invocation: Invocation, arn: Arn) -> None:
    client = invocation.client("lambda", arn.region)
    client.invoke(FunctionName=str(arn), InvocationType="Event", Payload=invocation.text.encode())


def _queue(invocation: Invocation, arn: Arn) -> None:
    more = {}
    if arn.resource.endswith(".fifo"):
        group = invocation.target["SqsParameters"]["MessageGroupId"]
        more = {"MessageGroupId": group, "MessageDeduplicationId": invocation.identity}
    url = invocation.world.queue_url(str(arn))
    invocation.client("sqs", arn.region).send_message(QueueUrl=url, MessageBody=invocation.text, **more)


def _topic(invocation: Invocation, arn: Arn) -> None:
    invocation.client("sns", arn.region).publish(TopicArn=str(arn), Message=invocation.text)


def _state_machine(invocation: Invocation, arn: Arn) -> None:
    client = invocation.client("stepfunctions", arn.region)
    client.start_execution(stateMachineArn=str(arn), name=invocation.identity, input=invocation.text)


def _pipeline(invocation: Invocation, arn: Arn) -> None:
    client = invocation.client("codepipeline", arn.region)
    client.start_pipeline_execution(name=arn.resource, clientRequestToken=invocation.identity)


def _bus(invocation: Invocation, arn: Arn) -> None:
    given = invocation.target["EventBridgeParameters"]
    entry = {"Source": given["Source"], "DetailType": given["DetailType"], "Detail": invocation.text}
    answer = invocation.client("events", arn.region).put_events(Entries=[{**entry, "EventBusName": str(arn)}])
    universal.raise_failed(answer["Entries"], "PutEvents")


TEMPLATES = {
    "codepipeline": Template(r"[A-Za-z0-9.@\-_]+", _pipeline),
    "events": Template(r"event-bus/[/.\-_A-Za-z0-9]+", _bus, "EventBridgeParameters", needed=True),
    "lambda": Template(r"function:[A-Za-z0-9\-_]+(:[A-Za-z0-9\-_$]+)?", _function),
    "sns": Template(r"[A-Za-z0-9\-_]+", _topic),
    "sqs": Template(r"[A-Za-z0-9\-_]+(\.fifo)?", _queue, "SqsParameters"),
    "states": Template(r"stateMachine:[A-Za-z0-9\-_]+(:[A-Za-z0-9\-_]+)?", _state_machine),
}


def fault(target: Mapping[str, Any]) -> str:
    """What is wrong with a target, or ''."""
    if target["Arn"].startswith(universal.PREFIXES):
        strange = sorted(target.keys() - COMMON)
        return f"{', '.join(strange)}: a universal target has none." if strange else universal.fault(target)
    try:
        arn = parse_arn(target["Arn"])
    except ValueError:
        return f"Provided Arn is not in correct format: {target['Arn']}."
    kind = TEMPLATES.get(arn.service)
    if kind is None or not re.fullmatch(kind.resource, arn.resource):
        kinds = ", ".join(sorted(TEMPLATES))
        return f"The embedded AWS has no such target: {arn}; it has {kinds} and arn:aws:scheduler:::aws-sdk:..."
    if strange := sorted(target.keys() - COMMON - {kind.parameters}):
        return f"{', '.join(strange)}: not valid for the target {arn}."
    if kind.needed and kind.parameters not in target:
        return f"{kind.parameters} must be given for the target {arn}."
    if arn.resource.endswith(".fifo") and "MessageGroupId" not in target.get("SqsParameters", {}):
        return f"A FIFO queue needs SqsParameters.MessageGroupId: {arn}."
    if arn.service in ("states", "events") and "Input" in target and not _is_object(target["Input"]):
        return f"Input must be a JSON object for the target {arn}."
    return ""


def invoke(invocation: Invocation) -> None:
    """Start the target; raises botocore's ClientError when it refuses."""
    if invocation.target["Arn"].startswith(universal.PREFIXES):
        client = invocation.client(universal.botocore_name(invocation.target["Arn"]))
        universal.call(client, invocation.target["Arn"], invocation.text, invocation.identity)
        return
    arn = parse_arn(invocation.target["Arn"])
    TEMPLATES[arn.service].start(invocation, arn)


def takes_default_event(target: Mapping[str, Any]) -> bool:
    """Whether a target without Input is told of the schedule; a universal one is called without parameters."""
    return not target["Arn"].startswith(universal.PREFIXES)


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False
