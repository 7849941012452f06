"""Every statement that the launch templates and the blueprints give to a role or resource, with its reason."""

from __future__ import annotations

import importlib
import inspect
import json
import pkgutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import yaml

from orchestrator.infra import rights
from orchestrator.infra.rights.statement import Statement
from orchestrator.local.services.cloudformation.language.template import parse
from tests.blueprints.walking import EXAMPLES, FRAME_STAGES, ROOT, frame_of
from tests.corridor.launch import LAUNCH, template

REASONS = Path(__file__).parent / "reasons.yaml"
PIPELINE, LAUNCHED, INTEGRATION = "pipeline", "launch", "continuous_integration"
INTEGRATION_ROLES = ROOT / "templates/ci/roles.template.yaml"
Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Owner:
    """Who holds statements: a role, a boundary, or a resource with a policy of its own.

    ``within`` is ``launch``, ``continuous_integration``, ``pipeline`` or the kind of a blueprint.
    """

    within: str
    name: str


@dataclass(slots=True)
class Held:
    """What an owner holds, of all templates and renderings together."""

    owner: Owner
    kind: str
    description: str = ""
    trust: list[Document] = field(default_factory=list)
    statements: list[Document] = field(default_factory=list)
    templates: list[str] = field(default_factory=list)
    shared: list[str] = field(default_factory=list)
    """The policies of the launch templates that the owner has beside its own, by name."""

    def sids(self) -> dict[str, list[Document]]:
        """By Sid, the different forms that a statement has."""
        found: dict[str, list[Document]] = {}
        for statement in self.statements:
            forms = found.setdefault(str(statement.get("Sid", "")), [])
            if statement not in forms:
                forms.append(statement)
        return found


def flattened(node: Any) -> Iterator[Document]:
    """The statements of a policy document, of a list of them, or anywhere inside of something else."""
    if isinstance(node, dict):
        if "Effect" in node and "Action" in node:
            yield node
        else:
            for inside in node.values():
                yield from flattened(inside)
    elif isinstance(node, list):
        for inside in node:
            yield from flattened(inside)
    elif isinstance(node, str) and node.lstrip().startswith("{") and '"Effect"' in node:
        yield from flattened(json.loads(node))


def everything() -> list[Held]:
    """Every owner: of the launch templates, of continuous integration, of the pipeline, of the blueprints."""
    found: dict[Owner, Held] = {}
    for file in sorted(LAUNCH.glob("*.template.json")):
        _add(found, LAUNCHED, template(file.name)["Resources"], file.name.partition("-account")[0])
    _add(found, INTEGRATION, parse(INTEGRATION_ROLES.read_text()).resources)
    for stages in FRAME_STAGES.values():
        _add(found, PIPELINE, json.loads(frame_of(stages))["Resources"])
    for example in EXAMPLES:
        _add(found, PIPELINE, json.loads(example.rendering.pipeline_template)["Resources"])
        for pipeline in example.plan.pipelines:
            _add(found, pipeline.kind, json.loads(example.rendering.files[pipeline.template_file])["Resources"])
            for stack in pipeline.stacks:
                for name, value in (stack.job_input or {}).items():
                    _hold(found, Owner(pipeline.kind, name), "what the state machine sets", list(flattened(value)))
    order = {LAUNCHED: 0, INTEGRATION: 1, PIPELINE: 2}
    return sorted(found.values(), key=lambda held: (order.get(held.owner.within, 3), held.owner.within))


def _add(found: dict[Owner, Held], within: str, resources: Document, where: str = "") -> None:
    attached = {name for resource in resources.values() for name in _attached(resource)}
    for name, resource in resources.items():
        properties = resource.get("Properties", {})
        if name in attached or resource["Type"] == "AWS::CloudFormation::StackSet":
            continue  # a role's policies stand with the role, and a stack set's template is one of ours
        held = list(flattened({key: value for key, value in properties.items() if key != "AssumeRolePolicyDocument"}))
        for policy in _attached(resource):
            held += flattened(resources[policy])
        trust = list(flattened(properties.get("AssumeRolePolicyDocument", {})))
        made = _hold(found, Owner(within, name), resource["Type"], held, trust)
        if made:
            made.description = made.description or str(properties.get("Description", ""))
            if where and where not in made.templates:
                made.templates.append(where)
            made.shared += [name for name in _shared(resource) if name not in made.shared]


def _attached(resource: Document) -> list[str]:
    """The managed policies of the same template that a role has."""
    return [one["Ref"] for one in _policies(resource) if "Ref" in one]


def _shared(resource: Document) -> list[str]:
    """Those of the launch templates: their names, which begin with the parameter NamePrefix."""
    return [one["Fn::Sub"].partition(":policy/")[2] for one in _policies(resource) if "Fn::Sub" in one]


def _policies(resource: Document) -> list[Document]:
    given = resource.get("Properties", {}).get("ManagedPolicyArns", [])
    return [one["Fn::If"][1] if "Fn::If" in one else one for one in given]


def _hold(
    found: dict[Owner, Held], owner: Owner, kind: str, statements: list[Document], trust: list[Document] | None = None
) -> Held | None:
    if not statements and not trust:
        return None
    held = found.setdefault(owner, Held(owner, kind))
    held.statements += [one for one in statements if one not in held.statements]
    held.trust += [one for one in trust or [] if one not in held.trust]
    return held


# ---- reasons ----


@cache
def written() -> dict[str, Any]:
    """``reasons.yaml``."""
    document: dict[str, Any] = yaml.safe_load(REASONS.read_text())
    return document


@cache
def said() -> tuple[Statement, ...]:
    """Every statement that a module of ``orchestrator.infra.rights`` can make; names of resources are stand-ins."""
    modules = [
        importlib.import_module(f"{rights.__name__}.{one.name}") for one in pkgutil.iter_modules(rights.__path__)
    ]
    return tuple(statement for module in modules for thing in _made(module) for statement in _statements(thing))


def _made(module: ModuleType) -> Iterator[Any]:
    for name, thing in vars(module).items():
        if name.startswith("_") or inspect.isclass(thing):
            continue
        if not inspect.isfunction(thing):
            yield thing
        elif thing.__module__ == module.__name__ and module.__name__ != Statement.__module__:
            yield thing(*(_stand_in(each) for each in inspect.signature(thing).parameters.values()))


def _stand_in(parameter: inspect.Parameter) -> Any:
    kind = str(parameter.annotation)
    return ("x",) if kind.startswith("tuple") else ["x"] if kind.startswith("list") else "x"


def _statements(thing: Any) -> Iterator[Statement]:
    if isinstance(thing, Statement):
        yield thing
    elif isinstance(thing, tuple):
        for each in thing:
            yield from _statements(each)
    elif isinstance(thing, Mapping):
        yield from _statements(tuple(thing.values()))


def actions(statement: Document) -> tuple[str, ...]:
    """The actions of a statement."""
    given = statement["Action"]
    return (given,) if isinstance(given, str) else tuple(given)


def reasons_of_launch(statement: Document) -> set[str]:
    """The reasons of a statement of a launch template: one, if all is well."""
    same = [
        one
        for one in said()
        if (one.sid, one.effect, set(one.actions))
        == (statement.get("Sid"), statement["Effect"], set(actions(statement)))
    ]
    for members in (("Resource", "Condition"), ("Resource",)):
        if len({one.reason for one in same}) > 1:
            alike = [one for one in same if all(one.document().get(m) == statement.get(m) for m in members)]
            same = alike or same
    return {one.reason for one in same}


Key = tuple[str, ...]
"""Where a reason stands in ``reasons.yaml``."""


def keys_of(owner: Owner, sid: str) -> list[Key]:
    """Where the reason of a blueprint's statement may stand; the first that is there counts."""
    own = (owner.within,) if owner.within in (PIPELINE, INTEGRATION) else ("blueprints", owner.within)
    return [(*own, owner.name, sid), ("everywhere", sid)]


def look_up(key: Key) -> str:
    """The reason at a key, or ""."""
    found: Any = written()
    for part in key:
        found = found.get(part, {}) if isinstance(found, dict) else {}
    return found if isinstance(found, str) else ""


def reason(owner: Owner, statement: Document) -> str:
    """Why a statement is there; "" when nobody says so, or more than one reason could be meant."""
    if owner.within == LAUNCHED:
        found = reasons_of_launch(statement)
        return found.pop() if len(found) == 1 else ""
    return next((text for key in keys_of(owner, str(statement.get("Sid", ""))) if (text := look_up(key))), "")
