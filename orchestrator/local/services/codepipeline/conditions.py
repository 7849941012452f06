"""Conditions before a stage: what may be declared, and whether an execution meets them.

See https://docs.aws.amazon.com/codepipeline/latest/userguide/stage-conditions.html and, for the rule,
https://docs.aws.amazon.com/codepipeline/latest/userguide/rule-reference-VariableCheck.html. An execution enters
the stage when all rules succeed; when one fails, the result of the condition takes place. Of the rules the embedded
AWS has VariableCheck, of the results SKIP; all else is refused by name.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from orchestrator.local.service import ServiceError
from orchestrator.local.services.codepipeline.scene import FAILED, SUCCEEDED
from orchestrator.local.services.codepipeline.variables import Unresolved, resolve
from orchestrator.local.store import Document

ERRORED = "Errored"
RULE_TYPE = {"category": "Rule", "owner": "AWS", "provider": "VariableCheck", "version": "1"}
KEYS = frozenset({"Variable", "Value", "Operator"})
LARGEST_VALUE = 10000
RULES_PER_CONDITION = 5
KNOWN_MEMBERS = frozenset({"name", "ruleTypeId", "configuration"})

Namespaces = Mapping[str, Mapping[str, str]]
OPERATORS: Mapping[str, Callable[[str, str], bool]] = {
    "EQ": lambda variable, value: variable == value,
    "NE": lambda variable, value: variable != value,
    "CONTAINS": lambda variable, value: value in variable,
    "MATCHES": lambda variable, value: re.fullmatch(value, variable) is not None,
}


# --- what may be declared -------------------------------------------------------------------------------------------


def rules_of(stage: Mapping[str, Any]) -> list[Document]:
    """The rules a stage declares for its entry; a checked stage has one condition at most."""
    return [
        rule
        for condition in stage.get("beforeEntry", {}).get("conditions", [])
        for rule in condition.get("rules", [])
    ]  # fmt: skip


def check_conditions(stage: Mapping[str, Any]) -> None:
    """Refuse what a stage asks before its entry and cannot have; raises InvalidStageDeclarationException."""
    if not stage.get("beforeEntry"):
        return
    for fault in _faults(stage["beforeEntry"]):
        message = f"Stage '{stage['name']}': {fault}"
        raise ServiceError("InvalidStageDeclarationException", message)


def _faults(entry: Mapping[str, Any]) -> Iterator[str]:
    conditions = entry.get("conditions", [])
    if len(conditions) != 1:
        yield f"beforeEntry has {len(conditions)} conditions; there should be 1."
    for condition in conditions:
        result, rules = condition.get("result"), condition.get("rules", [])
        if result != "SKIP":
            yield f"the embedded AWS does not support the result {result} of beforeEntry; SKIP is."
        if not 1 <= len(rules) <= RULES_PER_CONDITION:
            yield f"the condition has {len(rules)} rules; there should be 1 to {RULES_PER_CONDITION}."
        for name, count in Counter(rule["name"] for rule in rules).items():
            if count > 1:
                yield f"rule names must be unique in a condition: {name}"
        for rule in rules:
            yield from (f"rule '{rule['name']}': {fault}" for fault in _rule_faults(rule))


def _rule_faults(rule: Mapping[str, Any]) -> Iterator[str]:
    given = {"version": "1", **rule["ruleTypeId"]}
    if given != RULE_TYPE:
        wanted = "/".join(given.get(key, "") for key in RULE_TYPE)
        yield f"the embedded AWS does not support the rule {wanted}; {'/'.join(RULE_TYPE.values())} is."
        return
    for member in sorted(key for key in rule.keys() - KNOWN_MEMBERS if rule[key]):
        yield f"the embedded AWS does not support {member} of a rule."
    configuration = rule.get("configuration", {})
    for key in sorted(configuration.keys() - KEYS):
        yield f"the configuration contains the unknown key '{key}'."
    for key in sorted(KEYS - configuration.keys()):
        yield f"the configuration is missing the required key '{key}'."
    for key, value in configuration.items():
        if not 1 <= len(value) <= LARGEST_VALUE:
            yield f"'{key}' has {len(value)} characters; there should be 1 to {LARGEST_VALUE}."
    operator = configuration.get("Operator", "EQ")
    if operator not in OPERATORS:
        yield f"the Operator {operator} is none of {', '.join(OPERATORS)}."
    if operator == "MATCHES":
        try:
            re.compile(configuration.get("Value", ""))
        except re.error as error:
            yield f"the Value is no regular expression: {error}."


# --- whether they are met -------------------------------------------------------------------------------------------


def evaluate(stage: Mapping[str, Any], namespaces: Namespaces, now: float, new_id: Callable[[], str]) -> Document:
    """The condition's evaluation: its status, and an execution of each of its rules.

    Succeeded lets the execution in, Failed engages the result, Errored says that a rule could not be evaluated.
    """
    rules = [_run(rule, namespaces, now, new_id()) for rule in rules_of(stage)]
    errors = [rule["error"]["message"] for rule in rules if "error" in rule]
    if errors:
        status, summary = ERRORED, errors[0]
    elif failed := [rule["name"] for rule in rules if rule["status"] == FAILED]:
        status, summary = FAILED, f"The stage is skipped: {', '.join(failed)} is not met."
    else:
        status, summary = SUCCEEDED, ""
    return {"status": status, "summary": summary, "updated": now, "rules": rules}


def _run(rule: Document, namespaces: Namespaces, now: float, identity: str) -> Document:
    execution: Document = {"id": identity, "name": rule["name"], "declaration": rule, "started": now, "updated": now}
    try:
        resolved = resolve(rule["configuration"], namespaces)
        operator = resolved["Operator"]
        met = OPERATORS[operator](resolved["Variable"], resolved["Value"])
    except (Unresolved, re.error) as problem:  # a Value may hold a variable, so an expression is known only now
        error = {"code": "ConfigurationError", "message": f"Rule '{rule['name']}': {problem}"}
        return {**execution, "status": FAILED, "configuration": rule["configuration"], "error": error}
    said = f"'{resolved['Variable']:.200}' {operator} '{resolved['Value']:.200}'"
    summary = f"{said} is {'true' if met else 'false'}"
    status = SUCCEEDED if met else FAILED
    return {**execution, "status": status, "configuration": resolved, "summary": summary}
