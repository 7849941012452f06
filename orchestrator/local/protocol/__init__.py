"""The wire protocols of AWS, driven by botocore's service models: json, query and rest-json.

``protocols_of(model)`` gives those of a service, the one that boto3 speaks with it first. Each turns a request into
the operation's parameters (validated, unknown members refused) and a result or an error into a response.
"""

from __future__ import annotations

from botocore.model import ServiceModel

from orchestrator.local.protocol.interface import Protocol
from orchestrator.local.protocol.json_rpc import JsonRpc
from orchestrator.local.protocol.query import Query
from orchestrator.local.protocol.rest_json import RestJson

__all__ = ["Protocol", "protocol_of", "protocols_of"]

PROTOCOLS: dict[str, type[Protocol]] = {"json": JsonRpc, "query": Query, "rest-json": RestJson}


def protocol_of(model: ServiceModel) -> Protocol:
    """The protocol boto3 uses for this service; raises ValueError for one that is not built here."""
    name = model.resolved_protocol
    if name not in PROTOCOLS:
        raise ValueError(f"{model.service_name} speaks {name}; built are {', '.join(PROTOCOLS)}")
    return PROTOCOLS[name](model)


def protocols_of(model: ServiceModel) -> list[Protocol]:
    """Every protocol of this service that is built here: older clients may speak another than boto3 does."""
    first = protocol_of(model)
    others = [name for name in model.metadata.get("protocols", ()) if name != model.resolved_protocol]
    return [first, *(PROTOCOLS[name](model) for name in others if name in PROTOCOLS)]
