"""Asynchronous invocation: events wait in a durable queue, are tried again, and end at a destination.

An event that a dead process was working on is run again: on AWS too a function may see an event more than once.
"""

from __future__ import annotations

import json
import logging
import threading
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from orchestrator.local.service import ServiceError
from orchestrator.local.services.lambda_.functions import LATEST, Target, function_arn
from orchestrator.local.services.lambda_.invocations import Invoker, Outcome, Stopping
from orchestrator.local.services.lambda_.workers import Busy
from orchestrator.local.store import Document, Key
from orchestrator.local.world import World

LOGGER = logging.getLogger(__name__)

EVENT = "lambda-event"
RETRIES = 2
OLDEST_SECONDS = 21_600
RETRY_SECONDS = (1.0, 2.0)
"""AWS waits one minute before the second attempt and two before the third; here minutes are seconds."""
BUSY_SECONDS = 0.1
LONGEST_BUSY_SECONDS = 2.0
WORKING_SECONDS = 5.0


class EventQueue:
    """Events that nobody waits for."""

    def __init__(self, world: World, invoker: Invoker) -> None:
        self._world = world
        self._store = world.store
        self._invoker = invoker
        self._at_work: dict[Key, threading.Thread] = {}
        self._lock = threading.Lock()
        world.tasks.register(EVENT, self._step)

    def add(self, target: Target, event: bytes, request_id: str) -> None:
        """Queue an event; it is on disk when this returns."""
        key = target.key._replace(type="Event", name=f"{target.key.name}/{request_id}")
        document = {
            "function": list(target.key),
            "qualifier": target.qualifier,
            "event": event.decode(),
            "requestId": request_id,
            "queued": self._world.now(),
            "attempts": 0,
            "waits": 0,
        }
        with self._store.transaction():
            self._store.put(key, document)
            self._world.tasks.schedule(EVENT, key)

    def recover(self) -> None:
        """Take up again what a dead process was working on."""
        for key, _ in self._store.list("lambda", "Event"):
            self._world.tasks.schedule(EVENT, key)

    def close(self) -> None:
        """Wait for those who were told that their worker is gone."""
        with self._lock:
            threads = list(self._at_work.values())
        for thread in threads:
            thread.join(timeout=5)

    def _step(self, key: Key) -> float | None:
        with self._lock:
            if key in self._at_work:
                return WORKING_SECONDS
        document = self._store.get(key)
        if document is None:
            return None
        target = Target(Key(*document["function"]), document["qualifier"])
        if "outcome" in document:
            self._end(key, document, target)
            return None
        if self._world.now() - document["queued"] > self._settings(target).get(
            "MaximumEventAgeInSeconds", OLDEST_SECONDS
        ):
            self._settle(key, {**document, "condition": "EventAgeExceeded"}, None)
            return 0.0
        try:
            worker, found, arn = self._invoker.worker(target, wait=0.0)
        except Busy:
            waits: int = document["waits"] + 1
            self._store.patch(key, waits=waits)
            return min(LONGEST_BUSY_SECONDS, BUSY_SECONDS * waits)
        except ServiceError as problem:  # function or version are gone: so is the event
            LOGGER.info("event %s is dropped: %s", key.name, problem)
            self._store.delete(key)
            return None
        run = (worker, found, arn, document["event"].encode(), document["requestId"], None)
        thread = threading.Thread(target=self._work, args=(key, document, target, run), daemon=True)
        with self._lock:
            self._at_work[key] = thread
        thread.start()
        return WORKING_SECONDS

    def _work(self, key: Key, document: Document, target: Target, run: tuple[Any, ...]) -> None:
        """In a thread of its own, so that slow functions take no thread from the tasks of other services."""
        delay = 0.0
        try:
            outcome = self._invoker.run(*run)
            attempts = document["attempts"] + 1
            document = {**document, "attempts": attempts}
            if outcome.failed and attempts <= self._settings(target).get("MaximumRetryAttempts", RETRIES):
                self._store.patch(key, attempts=attempts, waits=0)
                delay = RETRY_SECONDS[min(attempts, len(RETRY_SECONDS)) - 1]
            else:
                condition = "RetriesExhausted" if outcome.failed else "Success"
                self._settle(key, {**document, "condition": condition}, outcome)
        except Stopping:
            return  # the event is still there, and so is its task
        finally:
            with self._lock:
                self._at_work.pop(key)
        self._world.tasks.schedule(EVENT, key, delay)

    def _settle(self, key: Key, document: Document, outcome: Outcome | None) -> None:
        """Write down how the event ended; what is then told to destinations survives a crash."""
        ended: Document = {"payload": None, "failed": True, "version": LATEST}
        if outcome:
            ended = {"payload": outcome.payload.decode(), "failed": outcome.failed, "version": outcome.version}
        if self._store.get(key) is not None:
            self._store.put(key, {**document, "outcome": ended, "ended": self._world.now()})

    def _end(self, key: Key, document: Document, target: Target) -> None:
        """Tell the destination, then forget the event."""
        failed = document["outcome"]["failed"]
        destinations = self._settings(target).get("DestinationConfig", {})
        arn = destinations.get("OnFailure" if failed else "OnSuccess", {}).get("Destination")
        function = self._store.get(target.key) or {}
        configuration = function.get("Configuration", {})
        try:
            if arn:
                self._deliver(target.key, configuration, arn, record(document, target))
            if failed and (dead := configuration.get("DeadLetterConfig", {}).get("TargetArn")):
                self._bury(target.key, configuration, dead, document)
        except ClientError as problem:
            LOGGER.warning("the end of event %s could not be told: %s", key.name, problem)
        self._store.delete(key)

    def _settings(self, target: Target) -> Document:
        function = self._store.get(target.key) or {}
        settings: Document = function.get("EventInvokeConfigs", {}).get(target.qualifier or LATEST, {})
        return settings

    def _deliver(self, key: Key, configuration: Document, arn: str, message: Document) -> None:
        service, region, _, name = arn.split(":", 5)[2:6]
        role, text = configuration["Role"], json.dumps(message)
        if service == "sqs":
            client = self._world.client("sqs", key.account, region, role)
            client.send_message(QueueUrl=self._world.queue_url(arn), MessageBody=text)
        elif service == "sns":
            self._world.client("sns", key.account, region, role).publish(TopicArn=arn, Message=text)
        elif service == "lambda":
            client = self._world.client("lambda", key.account, region, role)
            client.invoke(FunctionName=arn, InvocationType="Event", Payload=text)
        else:
            kind = f"Lambda Function Invocation Result - {message['requestContext']['condition']}"
            entry = {"Source": "lambda", "DetailType": kind, "Detail": text, "EventBusName": name.partition("/")[2]}
            self._world.client("events", key.account, region, role).put_events(Entries=[entry])

    def _bury(self, key: Key, configuration: Document, arn: str, document: Document) -> None:
        """Send the event itself to the dead-letter queue or topic."""
        service, region = arn.split(":", 5)[2:4]
        payload = json.loads(document["outcome"]["payload"] or "{}")
        values = {
            "RequestID": document["requestId"],
            "ErrorCode": "200",
            "ErrorMessage": str(payload.get("errorMessage") or document["condition"])[:1024],
        }
        attributes = {name: {"DataType": "String", "StringValue": value} for name, value in values.items()}
        client = self._world.client(service, key.account, region, configuration["Role"])
        if service == "sqs":
            url = self._world.queue_url(arn)
            client.send_message(QueueUrl=url, MessageBody=document["event"], MessageAttributes=attributes)
        else:
            client.publish(TopicArn=arn, Message=document["event"], MessageAttributes=attributes)


def record(document: Document, target: Target) -> Document:
    """What a destination is told (Developer Guide, "Asynchronous invocation record")."""
    outcome = document["outcome"]
    moment = datetime.fromtimestamp(document["ended"], UTC).isoformat(timespec="milliseconds")
    told: Document = {
        "version": "1.0",
        "timestamp": moment.replace("+00:00", "Z"),
        "requestContext": {
            "requestId": document["requestId"],
            "functionArn": f"{function_arn(target.key)}:{target.qualifier or LATEST}",
            "condition": document["condition"],
            "approximateInvokeCount": document["attempts"],
        },
        "requestPayload": json.loads(document["event"]),
    }
    if outcome["payload"] is not None:
        told["responseContext"] = {"statusCode": 200, "executedVersion": outcome["version"]}
        if outcome["failed"]:
            told["responseContext"]["functionError"] = "Unhandled"
        told["responsePayload"] = json.loads(outcome["payload"])
    return told
