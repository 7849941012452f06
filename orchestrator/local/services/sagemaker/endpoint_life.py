"""What happens to an endpoint after it was created, updated or deleted: one persisted step after another."""

from __future__ import annotations

import logging
import shutil
import threading
import time
from typing import Any

from orchestrator.local.services.sagemaker import storage
from orchestrator.local.services.sagemaker.capture import Capture
from orchestrator.local.services.sagemaker.endpoints import Endpoints
from orchestrator.local.services.sagemaker.fleet import DoesNotStart, Fleet, endpoint_folder
from orchestrator.local.services.sagemaker.logs import LogShipper
from orchestrator.local.services.sagemaker.plane import ENDPOINT, NAME
from orchestrator.local.store import Document, Key

LOGGER = logging.getLogger(__name__)
BUSY_SECONDS = 0.1
IDLE_SECONDS = 2.0
CLOSING_SECONDS = 5.0
GROUP = "/aws/sagemaker/Endpoints/"


class EndpointLife:
    """The step of endpoints' tasks. An endpoint that serves is looked after for as long as it is there."""

    def __init__(self, plane: Endpoints, logs: LogShipper, capture: Capture) -> None:
        self._plane = plane
        self._world = plane.world
        self._logs = logs
        self._capture = capture
        self._changed = threading.Condition()
        self._under_way = 0
        self._closing = False

    def step(self, key: Key) -> float | None:
        """Bring the endpoint one step further; while we close, leave it as it is."""
        with self._changed:
            if self._closing:
                return IDLE_SECONDS
            self._under_way += 1
        try:
            return self._advance_or_keep(key)
        finally:
            with self._changed:
                self._under_way -= 1
                self._changed.notify_all()

    def close(self) -> None:
        """Start nothing any more, and end the processes of every endpoint; the next start brings them back."""
        deadline = time.monotonic() + CLOSING_SECONDS
        with self._changed:
            self._closing = True
            self._changed.wait_for(lambda: not self._under_way, CLOSING_SECONDS)
        fleets = [
            self._fleet(key, document, number)
            for key, document in self._world.store.list(NAME, ENDPOINT.type)
            for number in document["deployments"]
        ]
        while [fleet for fleet in fleets if not fleet.stop()] and time.monotonic() < deadline:
            time.sleep(0.05)

    def _advance_or_keep(self, key: Key) -> float | None:
        document = self._world.store.get(key)
        if document is None:
            return None
        if document["EndpointStatus"] == "Deleting":
            return self._delete(key, document)
        for number in document["retiring"]:
            self._retire(key, document, number)
        if document["target"]:
            self._advance(key, document)
            return BUSY_SECONDS
        if "resized" in document:
            self._change(key, _resized)
            return BUSY_SECONDS
        if document["EndpointStatus"] == "Failed":
            fleet = self._fleet(key, document, document["serving"])
            return None if fleet.stop() else BUSY_SECONDS
        self._keep(key, document)
        return BUSY_SECONDS if document["retiring"] else IDLE_SECONDS

    def _fleet(self, key: Key, document: Document, number: str) -> Fleet:
        """The processes of one of the endpoint's deployments."""
        return Fleet(self._world, key, number, document["deployments"][number])

    def _advance(self, key: Key, document: Document) -> None:
        """Bring up the target; when all of it answers it takes over, when it fails the old one stays."""
        number = document["target"]
        fleet = self._fleet(key, document, number)
        if document["EndpointStatus"] == "RollingBack":
            self._change(key, lambda doc: _rolled_back(doc, number))
            return
        try:
            fleet.begin()
            ready = fleet.ready()
        except DoesNotStart as error:
            self._ship(key, fleet)
            reason = str(error)[:1024]
            if document["serving"]:
                self._change(key, lambda doc: {**doc, "EndpointStatus": "RollingBack", "FailureReason": reason})
            else:
                self._change(key, lambda doc: _failed(doc, number, reason))
            return
        if ready:
            rehearsed = "; ".join(fleet.rehearsals())
            self._change(key, lambda doc: _taken_over(doc, number, rehearsed))
        else:
            self._ship(key, fleet)

    def _keep(self, key: Key, document: Document) -> None:
        fleet = self._fleet(key, document, document["serving"])
        troubles = fleet.keep()
        if troubles != document.get("troubles", {}):
            self._world.store.patch(key, troubles=troubles)
        self._ship(key, fleet)

    def _retire(self, key: Key, document: Document, number: str) -> None:
        fleet = self._fleet(key, document, number)
        if not fleet.stop():
            return
        self._ship(key, fleet, final=True)
        fleet.remove()
        self._world.store.update(key, lambda doc: _forgotten(doc, number))

    def _delete(self, key: Key, document: Document) -> float | None:
        fleets = [self._fleet(key, document, number) for number in document["deployments"]]
        if [fleet for fleet in fleets if not fleet.stop()]:
            return BUSY_SECONDS
        for fleet in fleets:
            self._ship(key, fleet, final=True)
        try:
            self._capture.flush(key)
        except storage.NotThere as error:
            LOGGER.warning("captured data of endpoint %s is lost with it: %s", key.name, error)
        shutil.rmtree(endpoint_folder(self._world, key), ignore_errors=True)
        self._world.store.delete(key)
        return None

    def _ship(self, key: Key, fleet: Fleet, *, final: bool = False) -> None:
        for stream, path in fleet.logs():
            self._logs.ship(key.account, key.region, GROUP + key.name, stream, path, final=final)

    def _change(self, key: Key, change: Any) -> None:
        """Write the change and note the event, both or neither."""
        with self._world.store.transaction():
            document = self._world.store.update(key, lambda doc: {**change(doc), "LastModifiedTime": self._plane.now()})
            if document:
                self._plane.tell_of(key, document)


def _taken_over(document: Document, number: str, rehearsed: str) -> Document:
    deployment = document["deployments"][number]
    old = [document["serving"]] if document["serving"] else []
    variants = {
        variant["VariantName"]: {"weight": variant["InitialVariantWeight"], "count": variant["InitialInstanceCount"]}
        for variant in deployment["variants"]
    }
    return {
        **document,
        "EndpointStatus": "InService",
        "EndpointConfigName": deployment["config"],
        "serving": number,
        "target": "",
        "retiring": [*document["retiring"], *old],
        "variants": variants,
        "rehearsal": rehearsed,
        "troubles": {},
    }


def _rolled_back(document: Document, number: str) -> Document:
    return {**document, "EndpointStatus": "InService", "target": "", "retiring": [*document["retiring"], number]}


def _failed(document: Document, number: str, reason: str) -> Document:
    """It never served; the deployment stays to be shown, its processes end."""
    return {**document, "EndpointStatus": "Failed", "FailureReason": reason, "serving": number, "target": ""}


def _forgotten(document: Document, number: str) -> Document:
    return {
        **document,
        "retiring": [other for other in document["retiring"] if other != number],
        "deployments": {other: kept for other, kept in document["deployments"].items() if other != number},
    }


def _resized(document: Document) -> Document:
    return {
        **{key: value for key, value in document.items() if key != "resized"},
        "EndpointStatus": "InService",
        "variants": document["resized"],
    }
