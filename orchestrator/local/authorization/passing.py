"""Roles that a request hands on to a service: each needs ``iam:PassRole`` with ``iam:PassedToService``.

https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_use_passrole.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from orchestrator.local.authorization.asked import Asked, Values

ROLE = re.compile(r"arn:aws[\w-]*:iam::\d{12}:role/.+")
MEMBERS = frozenset(
    {"credentials", "executionrolearn", "role", "rolearn", "servicerole", "snapshotrolearn", "taskrolearn"}
)
"""Names of members (in lower case) that hold a role for the service; where else an ARN of a role stands it is a
value like any other, as in the configuration of an action of a pipeline."""
TO = {
    "apigateway": "apigateway.amazonaws.com",
    "cloudformation": "cloudformation.amazonaws.com",
    "codebuild": "codebuild.amazonaws.com",
    "codepipeline": "codepipeline.amazonaws.com",
    "events": "events.amazonaws.com",
    "lambda": "lambda.amazonaws.com",
    "logs": "logs.amazonaws.com",
    "s3": "s3.amazonaws.com",
    "sagemaker": "sagemaker.amazonaws.com",
    "scheduler": "scheduler.amazonaws.com",
    "sns": "sns.amazonaws.com",
    "states": "states.amazonaws.com",
}
HANDING_ON = ("Create", "Execute", "Put", "Start", "Update", "Set", "Import")
NOT_INTO = frozenset({"Environment", "HyperParameters", "Variables", "stages", "tags", "Tags"})
"""Members that are not looked into: the role of an action of a pipeline is taken by the pipeline's own role."""


def passed(prefix: str, operation: str, parameters: Mapping[str, Any]) -> list[Asked]:
    """The roles a request hands on, each asked for once."""
    service = TO.get(prefix)
    if service is None or not operation.startswith(HANDING_ON):
        return []
    context: Values = {"iam:passedtoservice": (service,)}
    return [Asked("iam:PassRole", role, context) for role in dict.fromkeys(_roles(parameters))]


def _roles(value: Any, name: str = "") -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if key not in NOT_INTO:
                yield from _roles(inner, str(key))
    elif isinstance(value, list):
        for inner in value:
            yield from _roles(inner, name)
    elif isinstance(value, str) and name.lower() in MEMBERS and ROLE.fullmatch(value):
        yield value
