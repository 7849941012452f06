"""Dynamic references: ``{{resolve:ssm:...}}`` and ``{{resolve:secretsmanager:...}}``, looked up at the last moment.

What is stored and compared is the reference, as on AWS: a new secret value alone changes no stack.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError

from orchestrator.local.services.cloudformation.faults import ResourceFailed

REFERENCE = re.compile(r"\{\{resolve:([a-z-]+):([^{}]+)\}\}")
Clients = Callable[[str], Any]


def resolved(node: Any, client: Clients) -> Any:
    """The node with every dynamic reference replaced; raises ResourceFailed when one leads nowhere."""
    if isinstance(node, str):
        return REFERENCE.sub(lambda match: _value(match.group(1), match.group(2), client), node)
    if isinstance(node, list):
        return [resolved(item, client) for item in node]
    if isinstance(node, dict):
        return {key: resolved(member, client) for key, member in node.items()}
    return node


def _value(service: str, reference: str, client: Clients) -> str:
    try:
        if service in ("ssm", "ssm-secure"):
            return _parameter(reference, client)
        if service == "secretsmanager":
            return _secret(reference, client)
    except (ClientError, KeyError, ValueError) as error:
        raise ResourceFailed(f"Could not resolve {{{{resolve:{service}:{reference}}}}}: {error}", "NotFound") from error
    raise ResourceFailed(f"Dynamic references to {service} are not supported", "InvalidRequest")


def _parameter(reference: str, client: Clients) -> str:
    """``name`` or ``name:version``."""
    answer = client("ssm").get_parameter(Name=reference, WithDecryption=True)
    return str(answer["Parameter"]["Value"])


def _secret(reference: str, client: Clients) -> str:
    """``secret-id:SecretString:json-key:version-stage:version-id``; the id may be an ARN with colons of its own."""
    secret, _, rest = reference.partition(":SecretString")
    key, stage, version, *_ = [*rest.removeprefix(":").split(":"), "", "", ""]
    choice = {"VersionStage": stage, "VersionId": version}
    given = {name: value for name, value in choice.items() if value}
    text = str(client("secretsmanager").get_secret_value(SecretId=secret, **given)["SecretString"])
    return str(json.loads(text)[key]) if key else text
