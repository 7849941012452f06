"""Giving values to expressions: references, conditions and the intrinsic functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from orchestrator.local.services.cloudformation.faults import invalid
from orchestrator.local.services.cloudformation.language.names import NO_VALUE

LATER = "{{changeSet:KNOWN_AFTER_APPLY}}"
"""Stands in a planned value for a part that only the operation itself will know, in CloudFormation's own words."""


class Lookup(Protocol):
    """Where an evaluator finds what is not in the template."""

    def reference(self, logical: str) -> Any:
        """What ``Ref`` of a resource gives."""

    def attribute(self, logical: str, name: str) -> Any:
        """What ``Fn::GetAtt`` gives."""

    def exported(self, name: str) -> str:
        """The value of another stack's export."""


class Nothing:
    """A lookup for places where only parameters, mappings and conditions may be used."""

    def __init__(self, section: str) -> None:
        self._section = section

    def reference(self, logical: str) -> Any:
        raise invalid(
            f"Template format error: Unresolved dependencies [{logical}]. Cannot reference resources in the"
            f" {self._section} block of the template"
        )

    def attribute(self, logical: str, name: str) -> Any:
        return self.reference(f"{logical}.{name}")

    def exported(self, name: str) -> str:
        raise invalid(f"Template error: the export {name} cannot be imported in the {self._section} block")


Function = Callable[["Evaluator", Any], Any]
FUNCTIONS: dict[str, Function] = {}
EXTENSIONS: set[str] = set()


def function(name: str, *, extension: bool = False) -> Callable[[Function], Function]:
    """Register an intrinsic function; an ``extension`` needs the AWS::LanguageExtensions transform."""

    def register(implementation: Function) -> Function:
        FUNCTIONS[name] = implementation
        if extension:
            EXTENSIONS.add(name)
        return implementation

    return register


class Evaluator:
    """Values in one template with given parameters.

    ``names`` holds parameters and pseudo parameters. Errors are ValidationErrors with CloudFormation's sentences;
    while an operation runs they become the failing resource's reason.
    """

    def __init__(
        self,
        *,
        names: Mapping[str, Any],
        mappings: Mapping[str, Mapping[str, Any]],
        conditions: Mapping[str, Any],
        lookup: Lookup,
    ) -> None:
        self.names = names
        self.mappings = mappings
        self.conditions = conditions
        self.lookup = lookup
        self._decided: dict[str, bool] = {}
        self._deciding: list[str] = []

    def with_lookup(self, lookup: Lookup) -> Evaluator:
        """The same names and decided conditions, with resources found elsewhere."""
        other = Evaluator(names=self.names, mappings=self.mappings, conditions=self.conditions, lookup=lookup)
        other._decided = self._decided
        return other

    def value(self, node: Any) -> Any:
        """The node with every function in it evaluated; members that are ``AWS::NoValue`` are dropped."""
        if isinstance(node, list):
            return [value for value in map(self.value, node) if value is not NO_VALUE]
        if not isinstance(node, dict):
            return node
        called = call_of(node)
        if called:
            return FUNCTIONS[called](self, node[called])
        values = ((key, self.value(member)) for key, member in node.items())
        return {key: value for key, value in values if value is not NO_VALUE}

    def name(self, name: str) -> Any:
        """What ``Ref`` gives: a parameter's value, a pseudo parameter's, or a resource's."""
        return self.names[name] if name in self.names else self.lookup.reference(name)

    def condition(self, name: str) -> bool:
        """Whether a condition of the template holds."""
        if name not in self._decided:
            if name not in self.conditions:
                raise invalid(f"Template error: unresolved condition dependency {name} in the template")
            if name in self._deciding:
                circle = self._deciding[self._deciding.index(name) :]
                raise invalid(f"Template error: Found circular condition dependency: {', '.join(circle)}")
            self._deciding.append(name)
            evaluator = self.with_lookup(Nothing("Conditions"))
            evaluator._deciding = self._deciding
            self._decided[name] = evaluator.truth(self.conditions[name])
            self._deciding.pop()
        return self._decided[name]

    def truth(self, node: Any) -> bool:
        """The node as a condition."""
        if isinstance(node, dict) and set(node) == {"Condition"}:
            return self.condition(str(node["Condition"]))
        value = self.value(node)
        if isinstance(value, bool):
            return value
        if isinstance(value, str) and value.lower() in ("true", "false"):
            return value.lower() == "true"
        raise invalid("Template error: a condition must be one of the condition functions or a boolean")


def call_of(node: Mapping[str, Any]) -> str:
    """The name of the function this node calls, or "" when it is plain data.

    Raises ValidationError for a function that does not exist: text like ``Fn::Jion`` must not become a property.
    """
    if len(node) != 1:
        for key in node:
            if key.startswith("Fn::"):
                raise invalid(f"Template error: {key} must be the only member of its object")
        return ""
    (key,) = node
    if key in FUNCTIONS:
        return key
    if key.startswith("Fn::"):
        raise invalid(f"Template error: {key} is not an intrinsic function that can be used here")
    return ""


def text(value: Any) -> str:
    """A scalar as CloudFormation writes it into strings; lists are joined with commas."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ",".join(map(text, value))
    if isinstance(value, dict) or value is NO_VALUE:
        raise invalid("Template error: a function that makes a string was given something that is not one")
    return str(value)


def later(*values: Any) -> bool:
    """Whether one of the values holds a part that is not known yet."""
    return any(LATER in value if isinstance(value, str) else _holds_later(value) for value in values)


def _holds_later(value: Any) -> bool:
    if isinstance(value, list):
        return later(*value)
    return later(*value.values()) if isinstance(value, dict) else False
