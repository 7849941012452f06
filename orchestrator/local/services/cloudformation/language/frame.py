"""A template with its parameters: conditions decided, loops unrolled, references checked, resources in order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from orchestrator.local.services.cloudformation.faults import invalid
from orchestrator.local.services.cloudformation.language import template as templates
from orchestrator.local.services.cloudformation.language.evaluation import Evaluator, Lookup, Nothing, text
from orchestrator.local.services.cloudformation.language.loops import unroll
from orchestrator.local.services.cloudformation.language.names import PSEUDO_PARAMETERS
from orchestrator.local.services.cloudformation.language.parameters import Value, as_python, declarations
from orchestrator.local.services.cloudformation.language.references import (
    Reference,
    circle,
    extensions_used,
    import_arguments,
    references,
)
from orchestrator.local.services.cloudformation.language.template import Resource, Template


@dataclass(frozen=True, slots=True)
class Frame:
    """What a stack operation works from.

    ``resources`` are those the template declares, ``active`` those whose condition holds; ``dependencies`` are
    among the active ones. The evaluator finds resources through the lookup given to ``evaluate``.
    """

    template: Template
    values: Mapping[str, Value]
    resources: Mapping[str, Resource]
    active: Mapping[str, Resource]
    dependencies: Mapping[str, frozenset[str]]
    outputs: Mapping[str, Any]
    _evaluator: Evaluator

    def evaluate(self, lookup: Lookup) -> Evaluator:
        """An evaluator of this template whose resources are found through the lookup."""
        return self._evaluator.with_lookup(lookup)

    def imports(self) -> list[str]:
        """The exports of other stacks that this one uses; their names may not depend on resources."""
        evaluator = self._evaluator.with_lookup(Nothing("Fn::ImportValue"))
        nodes = [[entry.properties, entry.metadata] for entry in self.active.values()]
        used = import_arguments([nodes, list(self.outputs.values())], evaluator.condition)
        return sorted({text(evaluator.value(argument)) for argument in used})

    def references_of(self, node: Any) -> set[Reference]:
        """What the expression refers to, in the branches that are taken."""
        return set(references(node, self._evaluator.condition))


def build(template: Template, values: Mapping[str, Value], pseudo: Mapping[str, Any]) -> Frame:
    """Put a template and the values of its parameters together.

    Raises ValidationError for everything that can be known before a resource is touched: references to nothing,
    conditions that do not exist or go in circles, rules that do not hold, circular dependencies.
    """
    _check_extensions(template)
    declared = declarations(template.parameters)
    names = {**pseudo, **{name: as_python(declared[name], value) for name, value in values.items()}}
    evaluator = Evaluator(
        names=names, mappings=template.mappings, conditions=template.conditions, lookup=Nothing("Conditions")
    )
    if template.extended:
        template = _unrolled(template, evaluator)
        evaluator = Evaluator(
            names=names, mappings=template.mappings, conditions=template.conditions, lookup=Nothing("Conditions")
        )
    resources = {name: templates.resource(name, entry) for name, entry in template.resources.items()}
    for name, entry in template.outputs.items():
        templates.check_output(name, entry)
    _check_names(template, resources, evaluator)
    for name in template.conditions:
        evaluator.condition(name)
    _check_rules(template, evaluator.with_lookup(Nothing("Rules")))
    active = {
        name: entry for name, entry in resources.items() if not entry.condition or evaluator.condition(entry.condition)
    }
    outputs = {
        name: entry
        for name, entry in template.outputs.items()
        if "Condition" not in entry or evaluator.condition(entry["Condition"])
    }
    _check_active(active, outputs, evaluator)
    dependencies = {name: _needs(entry, active, evaluator) for name, entry in active.items()}
    stuck = circle({name: set(needs) for name, needs in dependencies.items()})
    if stuck:
        raise invalid(f"Circular dependency between resources: [{', '.join(stuck)}]")
    return Frame(template, values, resources, active, dependencies, outputs, evaluator)


def check_static(template: Template) -> dict[str, Resource]:
    """Check what can be checked without values, and give the resources; loops are looked at when they have values.

    Raises ValidationError as ``build`` does.
    """
    _check_extensions(template)
    declared = declarations(template.parameters)
    plain = {name: entry for name, entry in template.resources.items() if not name.startswith(templates.FOR_EACH)}
    resources = {name: templates.resource(name, entry) for name, entry in plain.items()}
    if not template.extended:
        names: dict[str, Any] = dict.fromkeys([*declared, *PSEUDO_PARAMETERS])
        lookup = Nothing("Conditions")
        evaluator = Evaluator(names=names, mappings=template.mappings, conditions=template.conditions, lookup=lookup)
        for name, entry in template.outputs.items():
            templates.check_output(name, entry)
        _check_names(template, resources, evaluator)
    return resources


def _check_extensions(template: Template) -> None:
    if template.extended:
        return
    for section in (template.conditions, template.resources, template.outputs):
        for used in extensions_used(section):
            raise invalid(f"Template error: {used} needs Transform: {templates.LANGUAGE_EXTENSIONS}")


def _unrolled(template: Template, evaluator: Evaluator) -> Template:
    """Loops written out; policies of resources may be expressions under this transform."""
    conditions = unroll(template.conditions, evaluator)
    evaluator = Evaluator(
        names=evaluator.names, mappings=evaluator.mappings, conditions=conditions, lookup=Nothing("Resources")
    )
    resources = unroll(template.resources, evaluator)
    for entry in resources.values():
        for policy in ("DeletionPolicy", "UpdateReplacePolicy"):
            if isinstance(entry, dict) and isinstance(entry.get(policy), dict):
                entry[policy] = evaluator.value(entry[policy])
    return replace(template, conditions=conditions, resources=resources, outputs=unroll(template.outputs, evaluator))


def _check_names(template: Template, resources: Mapping[str, Resource], evaluator: Evaluator) -> None:
    """Every name used anywhere, taken or not, must be declared."""
    clash = sorted(resources.keys() & template.parameters.keys())
    if clash:
        raise invalid(f"Template format error: Resource name [{clash[0]}] is also the name of a parameter")
    for name, entry in resources.items():
        unknown = {dependency for dependency in entry.depends_on if dependency not in resources}
        _check_condition(template, entry.condition, f"resource {name}")
        unknown |= _undeclared((entry.properties, entry.metadata), template, resources, evaluator)
        if unknown:
            raise _unresolved(unknown, "Resources")
    for name, entry in template.outputs.items():
        _check_condition(template, entry.get("Condition", ""), f"output {name}")
        unknown = _undeclared(entry, template, resources, evaluator)
        if unknown:
            raise _unresolved(unknown, "Outputs")
    for section, expressions in (("Conditions", template.conditions), ("Rules", template.rules)):
        unknown = _undeclared(list(expressions.values()), template, {}, evaluator)
        if unknown:
            raise invalid(
                f"Template format error: Unresolved dependencies [{', '.join(sorted(unknown))}]. Cannot reference"
                f" resources in the {section} block of the template"
            )


def _undeclared(node: Any, template: Template, resources: Mapping[str, Resource], evaluator: Evaluator) -> set[str]:
    unknown = set()
    for part in node if isinstance(node, (tuple, list)) else [node]:
        for reference in references(part):
            if reference.kind == "condition":
                _check_condition(template, reference.name, "an expression")
            elif reference.kind == "attribute":
                if reference.name not in resources:
                    raise invalid(
                        "Template error: instance of Fn::GetAtt references undefined resource " + reference.name
                    )
            elif reference.name not in evaluator.names and reference.name not in resources:
                unknown.add(reference.name)
    return unknown


def _check_condition(template: Template, name: str, where: str) -> None:
    if name and name not in template.conditions:
        raise invalid(f"Template format error: Unresolved condition dependency {name} in {where} of the template")


def _unresolved(names: set[str], block: str) -> Exception:
    return invalid(
        f"Template format error: Unresolved resource dependencies [{', '.join(sorted(names))}] in the {block} block of"
        " the template"
    )


def _check_active(active: Mapping[str, Resource], outputs: Mapping[str, Any], evaluator: Evaluator) -> None:
    """A resource whose condition does not hold must not be referred to by what is there."""
    blocks: list[tuple[str, Any]] = [("Resources", entry.properties) for entry in active.values()]
    blocks += [("Outputs", entry) for entry in outputs.values()]
    for block, node in blocks:
        names = {used.name for used in references(node, evaluator.condition) if used.kind != "condition"}
        absent = {name for name in names if name not in active and name not in evaluator.names}
        if absent:
            raise _unresolved(absent, block)


def _needs(entry: Resource, active: Mapping[str, Resource], evaluator: Evaluator) -> frozenset[str]:
    found = references(entry.properties, evaluator.condition)
    used = {reference.name for reference in found if reference.kind != "condition"}
    return frozenset((used | set(entry.depends_on)) & active.keys())


def _check_rules(template: Template, evaluator: Evaluator) -> None:
    for name, rule in template.rules.items():
        if "RuleCondition" in rule and not evaluator.truth(rule["RuleCondition"]):
            continue
        for assertion in rule["Assertions"]:
            if not evaluator.truth(assertion["Assert"]):
                reason = assertion.get("AssertDescription", "an assertion does not hold")
                raise invalid(f"Template validation error: Rule {name} failed: {reason}")
