"""Evaluating templates without any AWS: what the tests of the language share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from orchestrator.local.services.cloudformation.language import template as templates
from orchestrator.local.services.cloudformation.language.frame import Frame, build
from orchestrator.local.services.cloudformation.language.names import pseudo_parameters
from orchestrator.local.services.cloudformation.language.parameters import declarations, merge, settle

ACCOUNT, REGION = "111111111111", "us-east-1"
STACK_ID = f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/probe/0"
SSM = {"/team/name": "vision", "/team/zones": "a,b"}
EXPORTS = {"shared-topic": "arn:aws:sns:us-east-1:111111111111:shared"}


class Made:
    """Resources as if they had been made: ``Topic`` is ``topic-1``, its Arn ``Topic.Arn``."""

    def reference(self, logical: str) -> str:
        return f"{logical.lower()}-1"

    def attribute(self, logical: str, name: str) -> str:
        return f"{logical}.{name}"

    def exported(self, name: str) -> str:
        return EXPORTS[name]


def frame_of(text: str, **given: str) -> Frame:
    """The frame of a template with parameters."""
    template = templates.parse(text)
    declared = declarations(template.parameters)
    entries = [{"ParameterKey": name, "ParameterValue": value} for name, value in given.items()]
    values = settle(declared, merge(declared, entries, None), lambda names: {n: SSM[n] for n in names if n in SSM})
    return build(template, values, pseudo_parameters(ACCOUNT, REGION, STACK_ID, "probe", ["arn:topic"]))


def value_of(expression: str, sections: str = "", **given: str) -> Any:
    """What an expression (YAML) gives in a template with the given other sections (YAML)."""
    body = yaml_template(expression, sections)
    frame = frame_of(body, **given)
    properties: Mapping[str, Any] = frame.active["Probe"].properties
    return frame.evaluate(Made()).value(properties["Value"])


def yaml_template(expression: str, sections: str = "") -> str:
    """A template with two topics and a parameter resource whose value is the expression."""
    indented = "\n".join("        " + line for line in expression.strip().splitlines())
    return f"""{sections}
Resources:
  Topic:
    Type: AWS::SNS::Topic
  Other:
    Type: AWS::SNS::Topic
  Probe:
    Type: AWS::SSM::Parameter
    Properties:
      Type: String
      Value:
{indented}
"""


def as_json(text: str) -> str:
    """The same template in JSON (for templates without short forms)."""
    import json

    return json.dumps(yaml.safe_load(text))
