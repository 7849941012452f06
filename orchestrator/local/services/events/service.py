"""The EventBridge API: what is not here is refused by name."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime

from orchestrator.local.service import Call, ServiceError
from orchestrator.local.services.events.arn import parse_arn
from orchestrator.local.services.events.buses import BusOperations
from orchestrator.local.services.events.rules import RuleOperations
from orchestrator.local.store import Document


class Events(BusOperations, RuleOperations):
    """Buses, rules, targets, and the events themselves."""

    def PutEvents(self, call: Call, parameters: Document) -> Document:
        if "EndpointId" in parameters:
            raise ServiceError("ValidationException", "The embedded AWS does not support global endpoints.")
        with self.store.transaction():
            entries = [self._put_event(call, entry) for entry in parameters["Entries"]]
        return {"FailedEntryCount": sum("ErrorCode" in entry for entry in entries), "Entries": entries}

    def _put_event(self, call: Call, entry: Document) -> Document:
        if fault := _fault(entry):
            return fault
        account, region, bus = call.account, call.region, entry.get("EventBusName", "default")
        if bus.startswith("arn:"):
            arn = parse_arn(bus)
            account, region, bus = arn.account, arn.region, arn.resource.removeprefix("event-bus/")
        moment = datetime.fromtimestamp(entry.get("Time", self.world.now()), UTC)
        event = {
            "version": "0",
            "id": str(uuid.uuid4()),
            "detail-type": entry["DetailType"],
            "source": entry["Source"],
            "account": call.account,
            "time": moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "region": call.region,
            "resources": entry.get("Resources", []),
            "detail": json.loads(entry["Detail"]),
        }
        self.router.route(account, region, bus, event)
        return {"EventId": event["id"]}


def _fault(entry: Document) -> Document | None:
    for member in ("Source", "DetailType", "Detail"):
        if not entry.get(member):
            message = f"Parameter {member} is not valid. Reason: {member} is a required argument."
            return {"ErrorCode": "InvalidArgument", "ErrorMessage": message}
    try:
        detail = json.loads(entry["Detail"])
    except ValueError:
        detail = None
    if not isinstance(detail, dict):
        return {"ErrorCode": "MalformedDetail", "ErrorMessage": "Detail is malformed."}
    return None
