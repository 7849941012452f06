"""Make the table of resource types from the provider schemas that cfn-lint carries.

Run ``python -m orchestrator.local.services.cloudformation.schema.extract`` after a new cfn-lint, look at the
difference, and commit it. Only this script needs cfn-lint; the embedded AWS reads the table.
"""

from __future__ import annotations

import importlib
import json
import re
from pathlib import Path
from typing import Any

import botocore.session

FOLDER = Path(__file__).parent / "types"
REGION = "us-east-1"
TYPES = (
    "AWS::ApiGateway::Account",
    "AWS::ApiGateway::Deployment",
    "AWS::ApiGateway::RestApi",
    "AWS::ApiGateway::Stage",
    "AWS::CloudFormation::Stack",
    "AWS::CloudFormation::StackSet",
    "AWS::CloudWatch::Alarm",
    "AWS::CodeBuild::Project",
    "AWS::CodePipeline::Pipeline",
    "AWS::ECR::Repository",
    "AWS::Events::Rule",
    "AWS::IAM::ManagedPolicy",
    "AWS::IAM::Policy",
    "AWS::IAM::Role",
    "AWS::IAM::RolePolicy",
    "AWS::KMS::Alias",
    "AWS::KMS::Key",
    "AWS::Lambda::Alias",
    "AWS::Lambda::EventInvokeConfig",
    "AWS::Lambda::Function",
    "AWS::Lambda::Permission",
    "AWS::Lambda::Version",
    "AWS::Logs::LogGroup",
    "AWS::S3::Bucket",
    "AWS::S3::BucketPolicy",
    "AWS::SNS::Subscription",
    "AWS::SNS::Topic",
    "AWS::SNS::TopicPolicy",
    "AWS::SQS::Queue",
    "AWS::SQS::QueuePolicy",
    "AWS::SSM::Parameter",
    "AWS::Scheduler::Schedule",
    "AWS::Scheduler::ScheduleGroup",
    "AWS::SecretsManager::Secret",
    "AWS::StepFunctions::StateMachine",
)
KEPT_KEYWORDS = frozenset(
    {
        "$ref",
        "additionalProperties",
        "allOf",
        "anyOf",
        "enum",
        "items",
        "maxItems",
        "maxLength",
        "maximum",
        "minItems",
        "minLength",
        "minimum",
        "oneOf",
        "pattern",
        "patternProperties",
        "properties",
        "required",
        "type",
    }
)


def main(folder: Path = FOLDER) -> None:
    """Write one file for each service; each line is one type, so that differences read well."""
    manager = importlib.import_module("cfnlint.schema.manager").PROVIDER_SCHEMA_MANAGER
    tables: dict[str, dict[str, Any]] = {}
    for name in sorted({*TYPES, *_sagemaker_types(manager)}):
        entry = _entry(manager.get_resource_schema(REGION, name))
        tables.setdefault(name.split("::")[1].lower(), {})[name] = entry
    folder.mkdir(exist_ok=True)
    for service, table in tables.items():
        lines = (f"{json.dumps(name)}: {json.dumps(entry, sort_keys=True)}" for name, entry in table.items())
        (folder / f"{service}.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


def _sagemaker_types(manager: Any) -> list[str]:
    """SageMaker's property names are its API's parameter names, so every type with create and delete calls works."""
    operations = set(botocore.session.get_session().get_service_model("sagemaker").operation_names)
    names = (name for name in manager.get_resource_types(REGION) if name.startswith("AWS::SageMaker::"))
    return [name for name in names if {f"{verb}{name.split('::')[2]}" for verb in ("Create", "Delete")} <= operations]


def _entry(found: Any) -> dict[str, Any]:
    schema = found.schema
    tagging = schema.get("tagging") or {}
    definitions = schema.get("definitions") or {}
    entry = {
        "properties": {name: _trimmed(member) for name, member in schema["properties"].items()},
        "definitions": {name: _trimmed(member) for name, member in definitions.items()},
        "required": sorted(schema.get("required", [])),
        "identifier": [_path(path) for path in schema["primaryIdentifier"]],
        "createOnly": sorted(map(_path, schema.get("createOnlyProperties", []))),
        "readOnly": sorted(map(_path, schema.get("readOnlyProperties", []))),
        "attributes": sorted(found.get_atts),
        "tags": _path(tagging.get("tagProperty", "/properties/Tags")) if tagging.get("taggable", True) else "",
    }
    _drop_unused(entry)
    if entry["tags"] not in entry["properties"]:
        entry["tags"] = ""
    return {key: value for key, value in entry.items() if value}


def _path(pointer: str) -> str:
    return pointer.removeprefix("/properties/")


def _trimmed(node: Any) -> Any:
    """Only what is checked: no descriptions, no patterns that Python reads differently."""
    if isinstance(node, list):
        return [_trimmed(member) for member in node]
    if not isinstance(node, dict):
        return node
    kept: dict[str, Any] = {}
    for keyword, value in node.items():
        if keyword == "pattern" and not _readable(value):
            continue
        if keyword == "properties":
            kept[keyword] = {name: _trimmed(member) for name, member in value.items()}
        elif keyword == "patternProperties":
            kept[keyword] = {name if _readable(name) else ".*": _trimmed(member) for name, member in value.items()}
        elif keyword in KEPT_KEYWORDS:
            kept[keyword] = _trimmed(value)
    for keyword in ("allOf", "anyOf", "oneOf"):
        if not all(kept.get(keyword, [])):  # an alternative that asks for nothing we check
            del kept[keyword]
    return kept


def _readable(pattern: str) -> bool:
    try:
        re.compile(pattern)
    except re.error:
        return False
    return r"\p" not in pattern


def _drop_unused(entry: dict[str, Any]) -> None:
    """Definitions that nothing points to any more."""
    used: set[str] = set()
    waiting = [entry["properties"]]
    while waiting:
        for name in re.findall(r"#/definitions/([^\"]+)", json.dumps(waiting.pop())):
            if name not in used:
                used.add(name)
                waiting.append(entry["definitions"].get(name))
    entry["definitions"] = {name: member for name, member in entry["definitions"].items() if name in used}


if __name__ == "__main__":
    main()
