"""CloudWatch Logs groups."""

from __future__ import annotations

import contextlib
import json
from typing import Any

from botocore.exceptions import ClientError

from orchestrator.local.services.events.target import Delivery, Target


class LogGroup(Target):
    """Each event is a log event, in a stream named after the rule."""

    service = "logs"
    resource = r"log-group:[A-Za-z0-9\-_/.#]+(:\*)?"

    def send(self, delivery: Delivery) -> None:
        group = delivery.arn.resource.removeprefix("log-group:").removesuffix(":*")
        stream = delivery.rule_arn.rpartition("/")[2]
        message, timestamp = _entry(delivery)
        logs = delivery.client("logs")
        with contextlib.suppress(logs.exceptions.ResourceAlreadyExistsException):
            logs.create_log_stream(logGroupName=group, logStreamName=stream)
        logs.put_log_events(
            logGroupName=group, logStreamName=stream, logEvents=[{"timestamp": timestamp, "message": message}]
        )


def _entry(delivery: Delivery) -> tuple[str, int]:
    """A template for a log group gives ``{"timestamp": ..., "message": ...}``; else the body is the message."""
    timestamp: Any = int(delivery.world.now() * 1000)
    if "InputTransformer" in delivery.target:
        given = json.loads(delivery.body)
        if isinstance(given, dict) and given.keys() == {"timestamp", "message"}:
            return str(given["message"]), int(given["timestamp"])
        raise ClientError(
            {"Error": {"Code": "InvalidParameterException", "Message": "timestamp and message are needed"}},
            "PutLogEvents",
        )
    return delivery.body, timestamp


TARGET = LogGroup
