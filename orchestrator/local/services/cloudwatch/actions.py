"""What alarms do: notify a topic, invoke a function, and always tell EventBridge. Each a persisted task."""

from __future__ import annotations

import json
import logging
import re
import uuid

from botocore.exceptions import ClientError

from orchestrator.local.services.cloudwatch.history import note
from orchestrator.local.services.cloudwatch.messages import event_detail, function_event, notification, subject
from orchestrator.local.store import Document, Key
from orchestrator.local.world import World

TASK = "cloudwatch.action"
LONGEST_SECONDS = 3600.0
PAUSE_SECONDS = 5.0
FUNCTIONS_PRINCIPAL = "lambda.alarms.cloudwatch.amazonaws.com"
KINDS = {
    "sns": re.compile(r"[A-Za-z0-9\-_]+"),
    "lambda": re.compile(r"function:[A-Za-z0-9\-_]+(:[A-Za-z0-9\-_$]+)?"),
}
PASSING_STATUSES = (429, 500, 502, 503, 504)

LOGGER = logging.getLogger(__name__)


def fault(action: str, region: str) -> str:
    """Why an alarm cannot have this action, or ''. A topic may be of another account, but not of another region."""
    parts = action.split(":", 5)
    kind = KINDS.get(parts[2]) if len(parts) == 6 and parts[0] == "arn" else None
    if kind is None or not kind.fullmatch(parts[5]):
        return f"the embedded AWS has no alarm action {action}; it has topics of SNS and functions of Lambda"
    return "" if parts[3] == region else f"the action {action} is not in the alarm's region {region}"


class Actions:
    """Carries out what alarms want to be done."""

    def __init__(self, world: World) -> None:
        self._world = world
        world.tasks.register(TASK, self._step)

    def begin(self, alarm: Key, to: str, told: Document) -> None:
        """Write down that ``to`` (``events`` or an ARN) is to be told of a change. Part of a transaction."""
        key = alarm._replace(type="Action", name=f"{alarm.name}/{uuid.uuid4()}")
        self._world.store.put(key, {"to": to, "told": told})
        self._world.tasks.schedule(TASK, key)

    def _step(self, key: Key) -> float | None:
        action = self._world.store.get(key)
        if action is None:
            return None
        to, told = action["to"], action["told"]
        alarm = key._replace(type="Alarm", name=told["alarm"])
        now = self._world.now()
        try:
            self._tell(key, to, told)
        except ClientError as problem:
            status = problem.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
            if status in PASSING_STATUSES and now < told["new"]["updated"] + LONGEST_SECONDS:
                return PAUSE_SECONDS
            LOGGER.warning("alarm %s could not tell %s: %s", told["alarm"], to, problem)
            self._note(alarm, to, now, f"Failed to execute action {to}", str(problem))
        else:
            self._note(alarm, to, now, f"Successfully executed action {to}", "")
        self._world.store.delete(key)
        return None

    def _note(self, alarm: Key, to: str, now: float, summary: str, error: str) -> None:
        if to != "events":
            state = "Failed" if error else "Succeeded"
            data = {"actionState": state, "notificationResource": to, **({"error": error} if error else {})}
            note(self._world.store, alarm, "Action", now, summary, data)

    def _tell(self, key: Key, to: str, told: Document) -> None:
        if to == "events":
            detail = event_detail(told)
            kind = "CloudWatch Alarm State Change"
            self._world.emit(key.account, key.region, "aws.cloudwatch", kind, detail, [told["arn"]])
            return
        _, _, service, region, account, _ = to.split(":", 5)
        if service == "sns":
            client = self._world.client("sns", account, region, source=told["arn"])
            message = notification(told, key.account, key.region)
            client.publish(TopicArn=to, Message=message, Subject=subject(told, key.region))
            return
        event = json.dumps(function_event(told, key.account, key.region)).encode()
        world = self._world.acting_as(FUNCTIONS_PRINCIPAL)
        client = world.client("lambda", account, region, source=told["arn"])
        client.invoke(FunctionName=to, InvocationType="Event", Payload=event)
