"""Firing: the persisted task of each schedule, and the persisted invocation of its target for each time.

A time that has come is written down as a firing, named after the schedule and the time, in the transaction that sets
the schedule's next time: it fires once. The firing is then delivered at least once, as on AWS: after a crash in the
middle of a request it is made again with the same execution id, and a target that knows the id already is content.

What was due while the embedded AWS was down fires when it is up again, but only for the latest time: AWS would have
fired each, and nobody wants a week of hourly jobs at once.
"""

from __future__ import annotations

import hashlib
import json
import logging
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError

from orchestrator.local.services.events.arn import parse_arn
from orchestrator.local.services.events.router import PASSING_CODES, PASSING_STATUSES
from orchestrator.local.services.scheduler.targets import Invocation, invoke, takes_default_event
from orchestrator.local.services.scheduler.timing import Plan, parse
from orchestrator.local.store import Document, Key
from orchestrator.local.world import World

TICK = "scheduler.schedule"
FIRE = "scheduler.firing"
DEFAULT_ATTEMPTS = 185
DEFAULT_AGE_SECONDS = 86_400
LONGEST_PAUSE_SECONDS = 30.0
KNOWN_ALREADY = ("AlreadyExist", "ResourceInUse", "ResourceAlreadyExists")
"""In codes of errors by which a target says that it was started under this id before."""

LOGGER = logging.getLogger(__name__)


def plan_of(schedule: Document) -> Plan:
    """When a schedule fires."""
    expression = parse(schedule["expression"], schedule["timezone"])
    return Plan(expression, schedule["anchor"], schedule["start"], schedule["end"])


def schedule_arn(key: Key) -> str:
    """The ARN of a schedule, whose key is named ``<group>/<name>``."""
    partition = "aws-cn" if key.region.startswith("cn-") else "aws"
    partition = "aws-us-gov" if key.region.startswith("us-gov-") else partition
    return f"arn:{partition}:scheduler:{key.region}:{key.account}:schedule/{key.name}"


class Firings:
    """Keeps the schedules' times and starts their targets."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._store = world.store
        world.tasks.register(TICK, self._tick, by_clock=True)
        world.tasks.register(FIRE, self._fire, by_clock=True)

    def wind(self, key: Key, schedule: Document) -> None:
        """Write the schedule and set its task to its next time. Part of a transaction."""
        self._store.put(key, schedule)
        if schedule["next"] is not None and schedule["state"] == "ENABLED":
            self._world.tasks.schedule(TICK, key, max(0.0, schedule["next"] - self._world.now()))

    def _tick(self, key: Key) -> float | None:
        now = self._world.now()
        with self._store.transaction():
            schedule = self._store.get(key)
            if schedule is None or schedule["state"] != "ENABLED" or schedule["next"] is None:
                return None
            if schedule["next"] <= now:
                plan = plan_of(schedule)
                self._begin(key, schedule, plan.latest(schedule["next"], now))
                schedule["next"] = plan.after(now)
                self._store.put(key, schedule)
            return None if schedule["next"] is None else max(0.0, schedule["next"] - now)

    def _begin(self, key: Key, schedule: Document, due: float) -> None:
        identity = hashlib.sha256(f"{schedule_arn(key)} {schedule['made']} {due:.0f}".encode()).hexdigest()
        firing = {
            "schedule": key.name,
            "made": schedule["made"],
            "due": due,
            "identity": identity[:16],
            "target": schedule["target"],
            "attempts": 0,
        }
        name = key._replace(type="Firing", name=f"{key.name}/{due:.0f}")
        minutes = schedule["window"].get("MaximumWindowInMinutes", 0)
        self._store.put(name, firing)
        self._world.tasks.schedule(FIRE, name, minutes * 60 * int(identity[16:20], 16) / 0x10000)

    def _fire(self, key: Key) -> float | None:
        firing = self._store.get(key)
        if firing is None:
            return None
        again = "began" in firing
        if not again:
            firing = self._store.patch(key, began=self._world.now()) or firing
        try:
            self._invoke(key, firing)
        except ClientError as problem:
            code = problem.response["Error"]["Code"]
            if not (again and any(word in code for word in KNOWN_ALREADY)):
                delay = self._failed(key, firing, problem)
                if delay is not None:
                    return delay
        self._end(key, firing)
        return None

    def _invoke(self, key: Key, firing: Document) -> None:
        try:
            invoke(self._invocation(key, firing))
        except (ParamValidationError, ValueError) as problem:  # what the target's API cannot take is its refusal too
            told: Any = {"Error": {"Code": "ValidationException", "Message": str(problem)}}
            raise ClientError(told, "Invoke") from None
        except BotoCoreError as problem:  # no connection: the embedded AWS is stopping
            told = {"Error": {"Code": "Unavailable", "Message": str(problem)}}
            told["ResponseMetadata"] = {"HTTPStatusCode": 503}
            raise ClientError(told, "Invoke") from None

    def _invocation(self, key: Key, firing: Document) -> Invocation:
        text = _text(key, firing)
        return Invocation(self._world, firing["target"], key.region, key.account, text, firing["identity"])

    def _failed(self, key: Key, firing: Document, problem: ClientError) -> float | None:
        """The seconds until the next attempt, or None when there is none: then it is in the dead-letter queue."""
        firing["attempts"] += 1
        why = self._exhausted(firing, problem)
        if not why:
            self._store.put(key, firing)
            return min(LONGEST_PAUSE_SECONDS, 0.5 * float(2 ** min(10, firing["attempts"])))
        LOGGER.warning("schedule %s could not start %s: %s", firing["schedule"], firing["target"]["Arn"], problem)
        self._bury(key, firing, problem, why)
        return None

    def _exhausted(self, firing: Document, problem: ClientError) -> str:
        status = problem.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        if status not in PASSING_STATUSES and problem.response["Error"]["Code"] not in PASSING_CODES:
            return "NonRetryableError"
        policy = firing["target"].get("RetryPolicy", {})
        if firing["attempts"] > policy.get("MaximumRetryAttempts", DEFAULT_ATTEMPTS):
            return "MaximumRetryAttempts"
        age = self._world.now() - firing["began"]
        longest = policy.get("MaximumEventAgeInSeconds", DEFAULT_AGE_SECONDS)
        return "MaximumEventAgeInSeconds" if age > longest else ""

    def _bury(self, key: Key, firing: Document, problem: ClientError, why: str) -> None:
        """Send the input to the dead-letter queue, if there is one."""
        queue = firing["target"].get("DeadLetterConfig", {}).get("Arn")
        if not queue:
            return
        attributes = {
            "SCHEDULE_ARN": _arn(key, firing),
            "TARGET_ARN": firing["target"]["Arn"],
            "SCHEDULED_TIME": _moment(firing["due"]),
            "EXECUTION_ID": firing["identity"],
            "ERROR_CODE": problem.response["Error"]["Code"],
            "ERROR_MESSAGE": problem.response["Error"]["Message"],
            "EXHAUSTED_RETRY_CONDITION": why,
            "RETRY_ATTEMPTS": str(firing["attempts"] - 1),
        }
        arn = parse_arn(queue)
        try:
            client = self._world.client("sqs", arn.account, arn.region, firing["target"]["RoleArn"])
            client.send_message(
                QueueUrl=self._world.queue_url(str(arn)),
                MessageBody=_text(key, firing) or "{}",
                MessageAttributes={
                    name: {"DataType": "String", "StringValue": value or "-"} for name, value in attributes.items()
                },
            )
        except ClientError as second:
            LOGGER.error("a firing of %s is lost, the queue %s failed: %s", firing["schedule"], queue, second)

    def _end(self, key: Key, firing: Document) -> None:
        """The firing is over; a schedule that was asked to goes with its last one."""
        with self._store.transaction():
            self._store.delete(key)
            name = key._replace(type="Schedule", name=firing["schedule"])
            schedule = self._store.get(name)
            over = schedule is not None and schedule["next"] is None and schedule["after"] == "DELETE"
            if over and schedule is not None and schedule["made"] == firing["made"]:
                self._store.delete(name)


def _arn(key: Key, firing: Document) -> str:
    return schedule_arn(key._replace(name=firing["schedule"]))


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _text(key: Key, firing: Document) -> str:
    """The input with its context attributes, or what a target without input is told.

    https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-schedule-context-attributes.html
    """
    arn, moment = _arn(key, firing), _moment(firing["due"])
    target = firing["target"]
    if "Input" not in target:
        event = {
            "version": "0",
            "id": firing["identity"],
            "detail-type": "Scheduled Event",
            "source": "aws.scheduler",
            "account": key.account,
            "time": moment,
            "region": key.region,
            "resources": [arn],
            "detail": "{}",
        }
        return json.dumps(event) if takes_default_event(target) else ""
    text = str(target["Input"])
    attributes = {
        "schedule-arn": arn,
        "scheduled-time": moment,
        "execution-id": firing["identity"],
        "attempt-number": str(firing["attempts"] + 1),
    }
    for name, value in attributes.items():
        text = text.replace(f"<aws.scheduler.{name}>", value)
    return text
