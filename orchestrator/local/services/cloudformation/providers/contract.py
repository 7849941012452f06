"""What a provider of a resource type does, and the small pieces that most providers are made of.

An effect can happen without its answer being seen (the process dies, the connection breaks). So a provider never
remembers anything: it is told the physical name, chosen and stored beforehand, and whether the effect may have
happened already (``again``), and then looks for what is there before it makes anything.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from botocore.exceptions import ClientError

from orchestrator.local.services.cloudformation.language.names import partition
from orchestrator.local.services.cloudformation.schema.table import resource_type

MARK = "aws:cloudformation:request-token"
"""Tag by which a provider knows again what it made, where there is no name."""
NOT_FOUND_WORDS = ("NotFound", "NoSuch", "NonExistent", "DoesNotExist")


@dataclass(frozen=True, slots=True)
class Naming:
    """How a type's physical name comes about: the property that may give it, and the limits of a generated one."""

    property: str
    limit: int
    lower: bool = False
    ending: str = ""


@dataclass(frozen=True, slots=True)
class Request:
    """One thing asked of a provider.

    ``properties`` are evaluated and in the schema's types; ``before`` those in force (empty on creation). ``name``
    is the physical name: the template's, or a generated one; ``token`` belongs to this attempt and is the same
    after a restart. ``client`` gives clients of AWS services that act as the stack's role.
    """

    type: str
    logical: str
    name: str
    token: str
    account: str
    region: str
    stack_id: str
    client: Callable[[str], Any]
    properties: Mapping[str, Any] = field(default_factory=dict)
    before: Mapping[str, Any] = field(default_factory=dict)
    physical_id: str = ""
    attributes: Mapping[str, Any] = field(default_factory=dict)
    noted: tuple[str, ...] = ()
    again: bool = False
    capabilities: tuple[str, ...] = ()
    role: str = ""

    @property
    def partition(self) -> str:
        """The partition of the stack's region."""
        return partition(self.region)

    def arn(self, service: str, resource: str, *, region: str | None = None, account: str | None = None) -> str:
        """An ARN in the stack's account and region; pass "" for services whose ARNs have none."""
        place = self.region if region is None else region
        owner = self.account if account is None else account
        return f"arn:{self.partition}:{service}:{place}:{owner}:{resource}"

    def changed(self, *names: str) -> bool:
        """Whether one of the properties differs from what is in force."""
        return any(self.properties.get(name) != self.before.get(name) for name in names)


class Provider(ABC):
    """Makes, changes and removes physical resources of one type.

    Every method may be called again after it has already done its work. API errors and ResourceFailed become the
    reason of the failed resource.
    """

    type: str
    service: str
    naming: Naming | None = None
    """Types without a naming get a generated name, of which they may make nothing."""
    supported: ClassVar[frozenset[str] | None] = None
    """The properties that something is done with (None: all); others that the type has are refused in templates."""
    updates_always: ClassVar[bool] = False
    """Whether an update of the stack reaches the resource even when its properties stay the same."""

    def api(self, request: Request) -> Any:
        """A client of the type's own service."""
        return request.client(self.service)

    def naming_for(self, properties: Mapping[str, Any]) -> Naming | None:
        """The naming for these properties, where it depends on them."""
        del properties
        return self.naming

    def problems(self, properties: Mapping[str, Any]) -> Iterable[str]:
        """What else is wrong with properties as written, beyond the schema; sentences."""
        del properties
        return ()

    def find(self, request: Request) -> str | None:
        """The physical id of what is there under the request's name (or bears its token), or None.

        Types that stay as they are when they are made twice need not look.
        """
        del request
        return None

    @abstractmethod
    def make(self, request: Request) -> str:
        """Make the thing with one call; returns its physical id."""

    def settle(self, request: Request) -> None:
        """Bring everything that ``make`` leaves out to what the properties say; on updates too, by default."""
        del request

    def update(self, request: Request) -> None:
        """Change the thing in place from ``before`` to ``properties``."""
        self.settle(request)

    def replaces(self, before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
        """Whether a change needs a new thing although the schema's create-only properties are the same."""
        del before, after
        return False

    def ready(self, request: Request) -> bool:
        """Whether the thing is in use; raises ResourceFailed when it never will be."""
        del request
        return True

    def attributes(self, request: Request) -> dict[str, Any]:
        """What ``Fn::GetAtt`` gives, besides the properties themselves."""
        del request
        return {}

    @abstractmethod
    def delete(self, request: Request) -> None:
        """Remove the thing; nothing happens when it is gone already."""

    def gone(self, request: Request) -> bool:
        """Whether the removal is over; raises ResourceFailed when it failed."""
        del request
        return True

    def note(self, request: Request) -> list[str]:
        """What to remember from before ``make``, for things that bear neither a name nor a mark: it comes back as
        ``request.noted``."""
        del request
        return []

    def refused(self) -> frozenset[str]:
        """The properties that the type has and the embedded AWS cannot honour."""
        kind = resource_type(self.type)
        return kind.writable - self.supported if kind and self.supported is not None else frozenset()


def absent(error: ClientError) -> bool:
    """Whether an API error says that the thing is not there."""
    code = str(error.response.get("Error", {}).get("Code", ""))
    return code in ("404", "NotFound") or any(word in code for word in NOT_FOUND_WORDS)


def found(call: Callable[[], Any]) -> Any:
    """What the call answers, or None when it says that the thing is not there."""
    try:
        return call()
    except ClientError as error:
        if absent(error):
            return None
        raise


def if_there(call: Callable[..., Any], **parameters: Any) -> None:
    """Make the call; it is fine when the thing is not there."""
    found(lambda: call(**parameters))


def document(value: Any) -> str:
    """A policy or another JSON document as text, whether the template wrote it as an object or as text."""
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))


def picked(properties: Mapping[str, Any], *names: str, **renamed: str) -> dict[str, Any]:
    """The named properties that are set; ``parameter=property`` gives one another name."""
    chosen = {name: properties[name] for name in names if name in properties}
    return chosen | {name: properties[prop] for name, prop in renamed.items() if prop in properties}


def lower_camel(value: Any) -> Any:
    """The same structure with every key in lowerCamelCase, as the JSON services take it."""
    if isinstance(value, list):
        return [lower_camel(item) for item in value]
    if isinstance(value, dict):
        return {key[:1].lower() + key[1:]: lower_camel(member) for key, member in value.items()}
    return value


def tag_map(tags: Any) -> dict[str, str]:
    """Tags of a template (a list or a map) as a map."""
    if isinstance(tags, Mapping):
        return dict(tags)
    return {tag["Key"]: tag["Value"] for tag in tags or ()}


def tag_list(tags: Any, key: str = "Key", value: str = "Value") -> list[dict[str, str]]:
    """Tags of a template as a list in the service's spelling."""
    return [{key: name, value: text} for name, text in tag_map(tags).items()]


def tags_to_remove(request: Request, member: str = "Tags") -> list[str]:
    """The keys in force that the properties no longer have."""
    after = tag_map(request.properties.get(member))
    return [key for key in tag_map(request.before.get(member)) if key not in after]
