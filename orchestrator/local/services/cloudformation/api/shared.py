"""What every operation of the API has at hand, and how requests are read."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar
from urllib.parse import parse_qs, unquote, urlsplit

from botocore.exceptions import ClientError

from orchestrator.local.service import Call, Service
from orchestrator.local.services.cloudformation.engine.documents import Documents
from orchestrator.local.services.cloudformation.engine.frames import Frames, parsed
from orchestrator.local.services.cloudformation.engine.machine import Machine
from orchestrator.local.services.cloudformation.engine.records import Goal
from orchestrator.local.services.cloudformation.faults import invalid, unsupported
from orchestrator.local.services.cloudformation.language.parameters import (
    Value,
    declarations,
    merge,
    settle,
)
from orchestrator.local.services.cloudformation.language.source import MAX_BODY_BYTES, MAX_OBJECT_BYTES
from orchestrator.local.world import World

Parameters = dict[str, Any]
STACK_NAME = re.compile(r"[a-zA-Z][-a-zA-Z0-9]{0,127}")
SSM_BATCH = 10
PAGE = 100
CLOUDFORMATION_PRINCIPAL = "cloudformation.amazonaws.com"


class Shared(Service):
    """The base of the operation classes: one service object holds them all."""

    name: ClassVar[str] = "cloudformation"

    def __init__(self, world: World) -> None:
        self.documents = Documents(world)
        self.frames = Frames()
        self.machine = Machine(self.documents, self.frames)
        super().__init__(world)

    def register_tasks(self) -> None:
        self.machine.register()

    def template_text(self, call: Call, parameters: Parameters, previous: str = "") -> str:
        """The template of a request: in it, in S3, or the stack's present one.

        Raises ValidationError when there is none or more than one, or when it is too long.
        """
        body, url = parameters.get("TemplateBody"), parameters.get("TemplateURL")
        if parameters.get("UsePreviousTemplate"):
            if body or url:
                raise invalid("You cannot specify both usePreviousTemplate and Template Body/Template URL.")
            return previous
        if body and url:
            raise invalid("You must specify only one of Template URL or Template Body.")
        if url:
            return self._template_from_s3(call, url)
        if not body:
            raise invalid("Either Template URL or Template Body must be specified.")
        if len(body.encode()) > MAX_BODY_BYTES:
            raise invalid(
                "1 validation error detected: Value at 'templateBody' failed to satisfy constraint: Member must have"
                f" length less than or equal to {MAX_BODY_BYTES}"
            )
        return str(body)

    def _template_from_s3(self, call: Call, url: str) -> str:
        place = s3_place(url, urlsplit(self.world.endpoint).netloc)
        try:
            answer = self.world.client_with(call.credentials, "s3", call.region).get_object(**place)
        except ClientError as error:
            raise invalid(f"S3 error: {error.response.get('Error', {}).get('Message', error)}") from error
        text: bytes = answer["Body"].read(MAX_OBJECT_BYTES + 1)
        if len(text) > MAX_OBJECT_BYTES:
            raise invalid(f"Template may not exceed {MAX_OBJECT_BYTES} bytes in size.")
        return text.decode("utf-8", "replace")

    def settled_parameters(
        self, call: Call, body: str, given: list[Mapping[str, Any]], previous: Mapping[str, Value] | None
    ) -> dict[str, Value]:
        """The parameters of a request, checked; SSM parameters are looked up in the caller's account."""
        declared = declarations(parsed(body).parameters)

        def fetch(names: list[str]) -> dict[str, str]:
            client = self.world.client_with(call.credentials, "ssm", call.region)
            found = {}
            for start in range(0, len(names), SSM_BATCH):
                answer = client.get_parameters(Names=names[start : start + SSM_BATCH], WithDecryption=False)
                found.update({each["Name"]: each["Value"] for each in answer["Parameters"]})
            return found

        return settle(declared, merge(declared, given, previous), fetch)

    def goal(self, call: Call, parameters: Parameters, previous: Goal | None) -> tuple[Goal, str]:
        """What a create or update request wants, and the text of its template."""
        body = self.template_text(call, parameters, self.documents.template(previous.template) if previous else "")
        given = parameters.get("Parameters") or []
        values = self.settled_parameters(call, body, given, previous.values if previous else None)
        goal = Goal(
            template=self.documents.keep_template(body),
            description=parsed(body).description,
            tags=_given(parameters, "Tags", previous.tags if previous else []),
            notifications=_given(parameters, "NotificationARNs", previous.notifications if previous else []),
            capabilities=parameters.get("Capabilities") or [],
            role=parameters.get("RoleARN") or (previous.role if previous else ""),
        )
        goal.set_values(values)
        check_tags(goal.tags)
        if parameters.get("RoleARN"):
            self.check_role(call, goal.role)
        return goal, body

    def check_role(self, call: Call, role: str) -> None:
        """Raise ValidationError when CloudFormation could not assume the role in the caller's account."""
        parts = role.split(":", 5)
        if len(parts) != 6 or parts[2] != "iam" or not parts[5].startswith("role/"):
            raise invalid(f"Role {role} is invalid or cannot be assumed")
        if parts[4] != call.account:
            raise invalid(f"Cross-account pass role is not allowed: {role}")
        try:
            answer = self.world.client("iam", call.account, call.region).get_role(RoleName=parts[5].rpartition("/")[2])
        except ClientError as error:
            raise invalid(f"Role {role} is invalid or cannot be assumed") from error
        trust = answer["Role"]["AssumeRolePolicyDocument"]
        if CLOUDFORMATION_PRINCIPAL not in json.dumps(trust):
            raise invalid(f"Role {role} is invalid or cannot be assumed: it does not trust {CLOUDFORMATION_PRINCIPAL}")


def _given(parameters: Parameters, name: str, previous: list[Any]) -> list[Any]:
    """What the request says; what was before when it says nothing."""
    value = parameters.get(name)
    return list(previous if value is None else value)


def s3_place(url: str, endpoint: str) -> dict[str, str]:
    """Bucket, key and version of an S3 URL, virtual-hosted or path style, of AWS or of this endpoint."""
    parts = urlsplit(url)
    host, path = parts.netloc, unquote(parts.path.lstrip("/"))
    virtual = re.fullmatch(r"(.+?)\.s3([.-][a-z0-9-]+)?(\.dualstack)?(\.[a-z0-9-]+)?\.amazonaws\.com(\.cn)?", host)
    if parts.scheme == "s3":
        bucket, key = host, path
    elif virtual:
        bucket, key = virtual.group(1), path
    elif host in (endpoint, endpoint.replace("127.0.0.1", "localhost")) or re.fullmatch(
        r"s3([.-][a-z0-9-]+)*\.amazonaws\.com(\.cn)?", host
    ):
        bucket, _, key = path.partition("/")
    else:
        raise invalid(f"TemplateURL must be a supported URL: {url}")
    if parts.scheme not in ("http", "https", "s3") or not bucket or not key:
        raise invalid(f"TemplateURL must be a supported URL: {url}")
    version = parse_qs(parts.query).get("versionId")
    return {"Bucket": bucket, "Key": key, **({"VersionId": version[0]} if version else {})}


def only(parameters: Parameters, *names: str) -> None:
    """Refuse, by name, the parameters of a request that nothing here honours."""
    for name, value in parameters.items():
        if name not in names and value not in (None, False, [], {}, ""):
            raise unsupported(f"the parameter {name}")


def check_name(name: str) -> None:
    """Raise ValidationError when a stack cannot be called so."""
    if not STACK_NAME.fullmatch(name):
        raise invalid(
            f"1 validation error detected: Value '{name}' at 'stackName' failed to satisfy constraint: Member must"
            " satisfy regular expression pattern: [a-zA-Z][-a-zA-Z0-9]*"
        )


def check_tags(tags: Sequence[Mapping[str, str]]) -> None:
    """Raise ValidationError for tags CloudFormation refuses."""
    keys = [tag["Key"] for tag in tags]
    if len(set(keys)) != len(keys):
        raise invalid("Duplicate tag keys found. Please note that Tag keys are case insensitive.")
    if len(keys) > 50:
        raise invalid("1 validation error detected: Value at 'tags' failed to satisfy constraint: at most 50 members")
    for key in keys:
        if key.lower().startswith("aws:"):
            raise invalid("aws: prefixed tag key names are not allowed for external use.")


def page(items: Sequence[Any], token: str | None, size: int) -> tuple[list[Any], str | None]:
    """One page of a list, and the token of the next."""
    start = offset(token, 0)
    end = start + size
    return list(items[start:end]), token_at(end) if end < len(items) else None


def token_at(place: int) -> str:
    """The token of a place in a list."""
    return base64.urlsafe_b64encode(str(place).encode()).decode()


def offset(token: str | None, otherwise: int) -> int:
    """The place that a token names; raises ValidationError for one that names none."""
    try:
        return int(base64.urlsafe_b64decode(token.encode()).decode()) if token else otherwise
    except ValueError as error:
        raise invalid("NextToken is not valid") from error


def paged(member: str, items: Sequence[Any], parameters: Parameters, size: int = PAGE) -> dict[str, Any]:
    """An answer with one page of items under ``member``."""
    shown, following = page(items, parameters.get("NextToken"), size)
    return {member: shown, "NextToken": following} if following else {member: shown}
