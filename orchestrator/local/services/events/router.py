"""From an event to its targets: rules are matched at once, deliveries are persisted tasks with retries."""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from botocore.exceptions import ClientError, ParamValidationError

from orchestrator.local.services.events import dead_letters
from orchestrator.local.services.events.arn import Arn, parse_arn, rule_arn
from orchestrator.local.services.events.pattern import matches, parse
from orchestrator.local.services.events.target import Delivery, Target
from orchestrator.local.services.events.transform import Occasion, render
from orchestrator.local.store import Document, Key
from orchestrator.local.world import World

DELIVERY_TASK = "events.delivery"
DEFAULT_ATTEMPTS = 185
DEFAULT_AGE_SECONDS = 86_400
LONGEST_PAUSE_SECONDS = 30.0
MOST_HOPS = 5
PASSING_STATUSES = (429, 500, 502, 503, 504)
PASSING_CODES = (
    "ConcurrentPipelineExecutionsLimitExceededException",
    "ExecutionLimitExceeded",
    "RequestLimitExceeded",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
)
LOGGER = logging.getLogger(__name__)


class Router:
    """Matches events with rules and delivers them, at least once."""

    def __init__(self, world: World, targets: Mapping[str, Target]) -> None:
        self.world = world
        self.store = world.store
        self.targets = targets
        world.tasks.register(DELIVERY_TASK, self._deliver)

    def route(self, account: str, region: str, bus: str, event: Document, hops: int = 0) -> None:
        """Queue the event for the targets of every enabled rule that matches it. May be part of a transaction."""
        if not self.has_bus(account, region, bus):
            LOGGER.warning("event %s was put on the bus %s of %s, which does not exist", event["id"], bus, account)
            return
        with self.store.transaction():
            for key, rule in self.store.list("events", "Rule", account, region, f"{bus}/"):
                if (
                    rule["bus"] == bus
                    and rule["state"] == "ENABLED"
                    and rule.get("pattern")
                    and matches(_parsed(rule["pattern"]), event)
                ):
                    self.queue(key, rule, event, hops)

    def has_bus(self, account: str, region: str, bus: str) -> bool:
        """Whether there is such a bus; every account has the default one."""
        return bus == "default" or self.store.get(Key(account, region, "events", "EventBus", bus)) is not None

    def queue(self, key: Key, rule: Document, event: Document, hops: int = 0) -> None:
        """Persist one delivery for each target of a rule."""
        for target in rule["targets"].values():
            delivery_key = key._replace(type="Delivery", name=f"{event['id']}/{key.name}/{target['Id']}")
            delivery = {
                "event": event,
                "target": target,
                "ruleArn": rule_arn(key.region, key.account, rule["bus"], rule["name"]),
                "ruleName": rule["name"],
                "received": self.world.now(),
                "attempts": 0,
                "hops": hops,
            }
            self.store.put(delivery_key, delivery)
            self.world.tasks.schedule(DELIVERY_TASK, delivery_key)

    def _deliver(self, key: Key) -> float | None:
        document = self.store.get(key)
        if document is None:
            return None
        target = document["target"]
        arn = parse_arn(target["Arn"])
        delivery = self._delivery(key, document, arn)
        try:
            _send(self.targets[arn.service], delivery)
        except ClientError as problem:
            document["attempts"] += 1
            exhausted = self._exhausted(document) if _may_pass(problem) else ""
            if _may_pass(problem) and not exhausted:
                self.store.put(key, document)
                return min(LONGEST_PAUSE_SECONDS, 0.5 * float(2 ** min(10, document["attempts"])))
            LOGGER.warning("event %s could not be delivered to %s: %s", document["event"]["id"], arn, problem)
            self._bury(delivery, document, problem, exhausted)
        self.store.delete(key)
        return None

    def _delivery(self, key: Key, document: Document, arn: Arn) -> Delivery:
        ingested = datetime.fromtimestamp(document["received"], UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        occasion = Occasion(document["event"], document["ruleArn"], document["ruleName"], ingested)
        identity = "/".join((key.account, key.region, key.name))
        return Delivery(
            world=self.world,
            arn=arn,
            target=document["target"],
            rule_arn=document["ruleArn"],
            event=document["event"],
            body=render(document["target"], occasion),
            token=f"{document['event']['id']}-{hashlib.sha256(identity.encode()).hexdigest()[:12]}",
            forward=lambda bus, event: self._forward(bus, event, document["hops"] + 1),
        )

    def _forward(self, bus: Arn, event: Document, hops: int) -> None:
        if hops > MOST_HOPS:
            LOGGER.error("event %s went from bus to bus %d times; dropped at %s", event["id"], hops, bus)
            return
        self.route(bus.account, bus.region, bus.resource.removeprefix("event-bus/"), event, hops)

    def _exhausted(self, document: Document) -> str:
        """The limit by which an event is not tried again, or ''."""
        policy = document["target"].get("RetryPolicy", {})
        if document["attempts"] > policy.get("MaximumRetryAttempts", DEFAULT_ATTEMPTS):
            return "MaximumRetryAttempts"
        age = self.world.now() - document["received"]
        return "MaximumEventAgeInSeconds" if age > policy.get("MaximumEventAgeInSeconds", DEFAULT_AGE_SECONDS) else ""

    def _bury(self, delivery: Delivery, document: Document, problem: ClientError, exhausted: str) -> None:
        """Send the event, as it was before any transformation, to the target's dead-letter queue if it has one."""
        queue = document["target"].get("DeadLetterConfig", {}).get("Arn")
        if not queue:
            return
        arn, retries = parse_arn(queue), document["attempts"] - 1
        told = dead_letters.attributes(delivery.rule_arn, str(delivery.arn), problem, exhausted, retries)
        client = self.world.client("sqs", arn.account, arn.region, source=delivery.rule_arn)
        try:
            client.send_message(
                QueueUrl=self.world.queue_url(str(arn)),
                MessageBody=json.dumps(delivery.event),
                MessageAttributes={name: {"DataType": "String", "StringValue": value} for name, value in told.items()},
            )
        except ClientError as second:
            LOGGER.error("event %s is lost, the dead-letter queue %s failed: %s", delivery.event["id"], queue, second)


def _may_pass(problem: ClientError) -> bool:
    """Whether another attempt may succeed: missing rights and things that are gone are not tried again."""
    status = problem.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    return status in PASSING_STATUSES or problem.response["Error"]["Code"] in PASSING_CODES


def _send(kind: Target, delivery: Delivery) -> None:
    """Hand the event over; input that is no valid request is the target's refusal too."""
    try:
        kind.send(delivery)
    except ParamValidationError as problem:
        refusal: Any = {"Error": {"Code": "ValidationException", "Message": str(problem)}}
        raise ClientError(refusal, "SendEvent") from None


def check_target(target: Mapping[str, Any], targets: Mapping[str, Target], region: str) -> str:
    """What is wrong with a target's ARN, role and parameters, or ''; ``region`` is the rule's."""
    try:
        arn = parse_arn(target["Arn"])
    except ValueError:
        return f"Parameter {target['Arn']} is not valid. Reason: Provided Arn is not in correct format."
    kind = targets.get(arn.service)
    if kind is None or not re.fullmatch(kind.resource, arn.resource):
        return (
            f"Parameter {target['Arn']} is not valid. Reason: the embedded AWS has no such kind of target; "
            f"it has {', '.join(sorted(targets))}."
        )
    if kind.needs_role and not target.get("RoleArn"):
        return f"RoleArn is required for target {target['Id']}."
    known = {"Id", "Arn", "RoleArn", "Input", "InputPath", "InputTransformer", "DeadLetterConfig", "RetryPolicy"}
    if strange := sorted(target.keys() - known - kind.parameters):
        return f"Parameter(s) {', '.join(strange)} not valid for target {target['Id']}."
    queue = target.get("DeadLetterConfig", {}).get("Arn")
    if queue and (reason := dead_letters.fault(queue, region)):
        return f"Parameter {queue} is not valid. Reason: {reason}."
    fault = kind.fault(arn, target)
    return f"Target {target['Id']} is not valid: {fault}." if fault else ""


@lru_cache(1024)
def _parsed(pattern: str) -> dict[str, Any]:
    return parse(pattern)
