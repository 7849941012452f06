"""What CloudFormation is asked for: template, parameters, tags and capabilities, from artifacts and configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from orchestrator.local.services.codepipeline.action import ActionFailed
from orchestrator.local.services.codepipeline.work import parse_json
from orchestrator.local.store import Document

if TYPE_CHECKING:
    from orchestrator.local.services.codepipeline.work import Work

LONGEST_BODY = 51_200
"""Bytes of a template in a request; a longer one must lie in S3."""


def stack_request(work: Work) -> Document:
    """The members that CreateStack, UpdateStack and CreateChangeSet share."""
    configuration = work.configuration
    parameters: dict[str, Any] = {}
    tags: Mapping[str, Any] = {}
    request: Document = {"StackName": configuration["StackName"], **_template(work)}
    if reference := configuration.get("TemplateConfiguration"):
        file = _object(parse_json(work.read_reference(reference), reference), reference)
        parameters = dict(_object(file.get("Parameters", {}), f"{reference}: Parameters"))
        tags = _object(file.get("Tags", {}), f"{reference}: Tags")
        if unknown := sorted(file.keys() - {"Parameters", "Tags", "StackPolicy"}):
            raise _wrong(f"{reference} has the unknown member(s) {', '.join(unknown)}.")
        if file.get("StackPolicy"):
            raise _wrong(f"{reference}: the embedded AWS does not support StackPolicy.")
    if overrides := configuration.get("ParameterOverrides"):
        parameters |= _object(parse_json(overrides, "ParameterOverrides"), "ParameterOverrides")
    request["Parameters"] = [
        {"ParameterKey": name, "ParameterValue": _value(work, name, value)} for name, value in parameters.items()
    ]
    request["Tags"] = [{"Key": name, "Value": _text(f"tag {name}", value)} for name, value in tags.items()]
    request["Capabilities"] = [
        each.strip() for each in configuration.get("Capabilities", "").split(",") if each.strip()
    ]
    if role := configuration.get("RoleArn"):
        request["RoleARN"] = role
    return request


def _template(work: Work) -> Document:
    """The template itself, or where a copy of it lies when it is too long for a request."""
    reference = work.configuration["TemplatePath"]
    body = work.read_reference(reference)
    if len(body.encode()) <= LONGEST_BODY:
        return {"TemplateBody": body}
    location = work.inputs[reference.partition("::")[0]]
    key = f"{location['key']}.{work.id}.template"
    work.client("s3").put_object(Bucket=location["bucket"], Key=key, Body=body.encode())
    return {"TemplateURL": f"https://{location['bucket']}.s3.{work.region}.amazonaws.com/{key}"}


def _value(work: Work, name: str, value: Any) -> str:
    """A parameter's value; overrides may fetch it from an input artifact.

    .../UserGuide/continuous-delivery-codepipeline-parameter-override-functions.html
    """
    match value:
        case {"Fn::GetParam": [str(artifact), str(path), str(key)], **rest} if not rest:
            file = _object(parse_json(work.read_file(artifact, path), f"{artifact}::{path}"), f"{artifact}::{path}")
            if key not in file:
                raise _wrong(f"Parameter {name}: {artifact}::{path} has no member {key!r}.")
            return _text(name, file[key])
        case {"Fn::GetArtifactAtt": [str(artifact), str(attribute)], **rest} if not rest:
            return _artifact_attribute(work, name, artifact, attribute)
    return _text(name, value)


def _artifact_attribute(work: Work, name: str, artifact: str, attribute: str) -> str:
    location = work.inputs.get(artifact)
    if location is None:
        raise _wrong(f"Parameter {name}: {artifact!r} is not an input artifact of this action.")
    attributes = {
        "BucketName": location["bucket"],
        "ObjectKey": location["key"],
        "URL": f"https://s3.{work.region}.amazonaws.com/{location['bucket']}/{location['key']}",
    }
    if attribute not in attributes:
        raise _wrong(f"Parameter {name}: an artifact has {', '.join(attributes)}, but no {attribute!r}.")
    return str(attributes[attribute])


def _text(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str | int | float):
        raise _wrong(f"The value of {name} must be a string, not {value!r:.100}.")
    return str(value)


def _object(value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _wrong(f"{what} must be a JSON object.")
    return value


def _wrong(message: str) -> ActionFailed:
    return ActionFailed(message, "ConfigurationError")
