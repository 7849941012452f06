"""What the product uses of AWS, read from its own files: resource types, API operations, integrations, actions."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import botocore.session
from botocore import xform_name

from tests.blueprints.walking import EXAMPLES, FRAMES, ROOT, templates
from tests.corridor.launch import LAUNCH, resources

INTEGRATION = re.compile(r"arn:[^:]*:states:::([A-Za-z0-9:.-]+)")
UNIVERSAL = re.compile(r"arn:[^:]*:scheduler:::aws-sdk:([a-z0-9]+):([A-Za-z0-9]+)")
MODELS = botocore.session.get_session()


@dataclass(frozen=True, order=True, slots=True)
class Use:
    """One thing of AWS: ``group`` is a heading of the page, ``by`` the part of the product that uses it."""

    group: str
    name: str
    by: str = ""


def uses() -> dict[tuple[str, str], list[str]]:
    """(group, name) -> the parts of the product that use it."""
    found: dict[tuple[str, str], set[str]] = {}
    for use in [*_of_templates(), *_of_code()]:
        found.setdefault((use.group, use.name), set()).add(use.by)
    return {key: sorted(found[key]) for key in sorted(found)}


def _of_templates() -> Iterator[Use]:
    for example in EXAMPLES:
        for template in [*templates(example.rendering).values(), json.loads(example.rendering.pipeline_template)]:
            yield from _of_template(template, example.blueprint.kind)
    for frame in sorted(FRAMES.glob("*.json")):
        yield from _of_template(json.loads(frame.read_text()), "the CodePipeline")
    for file in sorted(LAUNCH.iterdir()):
        yield from _of_template({"Resources": resources(file.name)}, "the installation")


def _of_template(template: Any, by: str) -> Iterator[Use]:
    for resource in template["Resources"].values():
        yield Use("Resource types", resource["Type"], by)
        if resource["Type"] == "AWS::CodePipeline::Pipeline":
            yield from _of_pipeline(resource["Properties"], by)
    text = json.dumps(template)
    plain = re.sub(r"\$\{AWS::\w+\}", "aws", text)
    for match in INTEGRATION.finditer(plain):
        yield Use("Step Functions integrations", match[1], by)
    for service, action in UNIVERSAL.findall(plain):
        yield Use("Scheduler targets", f"{service}:{action}", by)


def _of_pipeline(properties: Any, by: str) -> Iterator[Use]:
    for node in _dictionaries(properties):
        if "ActionTypeId" in node:
            kind = node["ActionTypeId"]
            mode = node.get("Configuration", {}).get("ActionMode")
            yield Use("CodePipeline actions", f"{kind['Category']} {kind['Provider']}{f' {mode}' if mode else ''}", by)
        if "RuleTypeId" in node:
            yield Use("CodePipeline actions", f"Rule {node['RuleTypeId']['Provider']}", by)


def _dictionaries(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        yield node
    for inside in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from _dictionaries(inside)


PARTS = {
    "the Lambda": ("orchestrator", "*.py"),
    "the command line": ("orchestrator/cli", "**/*.py"),
    "the installer": ("orchestrator/infra", "*.py"),
    "the monitors": ("orchestrator/runtime/monitoring", "**/*.py"),
}


def _of_code() -> Iterator[Use]:
    for part, (folder, glob) in PARTS.items():
        for file in sorted((ROOT / folder).glob(glob)):
            for service, operation in calls(file):
                yield Use("API operations", f"{service}:{operation}", part)


def calls(file: Path) -> set[tuple[str, str]]:
    """The operations a file may call: its words that are operations of the services it names.

    A name is a text (``aws.call("s3", "put_object")``) or a method (``client.put_object``); a file that names no
    service calls none.
    """
    tree = ast.parse(file.read_text())
    texts = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    methods = {
        node.func.attr for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    }
    beside = {
        (first.value, second.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        for first, second in pairwise(node.args)
        if isinstance(first, ast.Constant) and isinstance(second, ast.Constant)
    }
    services = texts & set(MODELS.get_available_services())
    found = set()
    for word in texts | {method for method in methods if "_" in method}:  # publish, invoke: too common as a method
        owners = {service for service in services if word in operations(service)}
        named = {service for service in owners if (service, word) in beside}
        found |= {(service, operations(service)[word]) for service in named or owners}
    return found


@cache
def operations(service: str) -> dict[str, str]:
    """The methods of a client of the service and the operations behind them."""
    return {xform_name(name): name for name in MODELS.get_service_model(service).operation_names}
