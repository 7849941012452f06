"""How operations find the function they are about, and how lists are paged."""

from __future__ import annotations

import re
from typing import Any

from orchestrator.local.service import Call, Service, ServiceError
from orchestrator.local.services.lambda_.functions import Target, not_found, target_of
from orchestrator.local.store import Key

Parameters = dict[str, Any]

PAGE = 50


class Directory(Service):
    """Looks functions up for operations on them, which an account may do with its own functions only."""

    def _target(self, call: Call, parameters: Parameters) -> Target:
        target = target_of(call, parameters["FunctionName"], parameters.get("Qualifier"))
        if (target.key.account, target.key.region) != (call.account, call.region):
            raise not_found(target.key, target.qualifier)
        return target

    def _existing(self, call: Call, parameters: Parameters) -> Key:
        """The key of a function that is there; raises ResourceNotFoundException."""
        key = self._target(call, parameters).key
        if self.store.get(key) is None:
            raise not_found(key)
        return key


def page(items: list[Any], parameters: Parameters) -> tuple[list[Any], Parameters]:
    """One page of a listing; a marker is the place where the next page begins."""
    marker = parameters.get("Marker") or "0"
    if not re.fullmatch(r"\d{1,9}", marker):
        raise ServiceError("InvalidParameterValueException", f"Invalid Marker: {marker}")
    last = int(marker) + (parameters.get("MaxItems") or PAGE)
    return items[int(marker) : last], {"NextMarker": str(last)} if last < len(items) else {}
