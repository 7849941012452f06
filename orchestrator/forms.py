"""The two forms of a config, as JSON Schema: all that surrounds the pipelines, and what is common to them.

``validate`` asks these schemas first; ``schema`` publishes them together with those of the kinds.
"""

from __future__ import annotations

from typing import Any

from orchestrator.model import CHANGE_SETS, STACK_SETS
from orchestrator.staged import DEFAULT

MAX_PIPELINES = 1000
MAX_STAGES = 10

MODEL_NAME = {
    "title": "Model name",
    "description": "Names the model, and with it the CodePipeline, its stacks and their resources.",
    "type": "string",
    "pattern": "^[A-Za-z0-9][A-Za-z0-9-]{0,62}$",
    "examples": ["breast-cancer"],
}
PIPELINE_NAME = {
    "title": "Pipeline name",
    "description": "Names the pipeline within the workload; other pipelines refer to it by this name.",
    "type": "string",
    "pattern": "^[a-z][a-z0-9-]{0,30}$",
    "examples": ["training"],
}
STAGE_NAME = {
    "title": "Stage name",
    "description": "Names the stage. Per-stage values are keyed by it; `default` and `hub` are taken.",
    "type": "string",
    "pattern": "^[a-z][a-z0-9-]{0,20}$",
    "not": {"enum": [DEFAULT, "hub"], "description": "The names `default` and `hub` are taken."},
    "examples": ["dev"],
}
STAGE = {
    "title": "Stage",
    "description": "One environment: where it is, and whether a person approves before it is changed.",
    "type": "object",
    "additionalProperties": False,
    "required": ["name", "account"],
    "properties": {
        "name": STAGE_NAME,
        "account": {
            "title": "Account",
            "description": "The AWS account of the stage.",
            "type": "string",
            "pattern": "^[0-9]{12}$",
            "examples": ["222222222222"],
        },
        "region": {
            "title": "Region",
            "description": "The AWS region of the stage. The default is the orchestrator's.",
            "type": "string",
            "pattern": "^[a-z]{2,4}(-[a-z]+){1,3}-[0-9]{1,2}$",
            "examples": ["us-east-1"],
        },
        "approval": {
            "title": "Approval",
            "description": "Whether a person approves the changes first. The default is no for the first stage only.",
            "type": "boolean",
        },
        "organizational_unit": {
            "title": "Organizational unit",
            "description": "The unit (or the root) of the organization that holds the account, directly or deeper."
            " Stack sets need it; nothing else takes it.",
            "type": "string",
            "pattern": "^(ou-[0-9a-z]{4,32}-[a-z0-9]{8,32}|r-[0-9a-z]{4,32})$",
            "examples": ["ou-ab12-34cdefgh"],
        },
    },
}
STAGES = {
    "title": "Stages",
    "description": "The environments, in the order of promotion. The default is the orchestrator's own list.",
    "type": "array",
    "minItems": 1,
    "maxItems": MAX_STAGES,
    "items": STAGE,
}
TAGS = {
    "title": "Tags",
    "description": "Tags of everything that is deployed.",
    "type": "object",
    "maxProperties": 40,
    "propertyNames": {
        "title": "Tag name",
        "pattern": "^(?!aws:)(?!mlops:)[A-Za-z0-9 _.:/=+@-]{1,127}$",
        "type": "string",
        "examples": ["team"],
    },
    "additionalProperties": {
        "title": "Tag value",
        "type": "string",
        "pattern": "^[A-Za-z0-9 _.:/=+@-]{0,255}$",
        "examples": ["risk"],
    },
    "examples": [{"team": "risk"}],
}
DESCRIPTION = {
    "title": "Description",
    "description": "What the workload is for, in a few words.",
    "type": "string",
    "maxLength": 512,
}
REFERENCE = {
    "title": "Reference",
    "description": "The result of an earlier pipeline of this workload.",
    "type": "object",
    "additionalProperties": False,
    "required": ["from"],
    "properties": {"from": PIPELINE_NAME},
    "examples": [{"from": "training"}],
}
SCHEMA_URI = {
    "title": "Schema",
    "description": "Where editors find this schema; nothing else uses it.",
    "type": "string",
    "maxLength": 1024,
}

COMMON: dict[str, Any] = {
    "$schema": SCHEMA_URI,
    "model_name": MODEL_NAME,
    "description": DESCRIPTION,
    "tags": TAGS,
    "stages": STAGES,
}
PIPELINES: dict[str, Any] = {
    "title": "Pipelines",
    "description": "The pipelines of the model. One may refer to the results of those before it.",
    "type": "array",
    "minItems": 1,
    "maxItems": MAX_PIPELINES,
    "items": {
        "title": "Pipeline",
        "type": "object",
        "required": ["name", "pipeline_type"],
        "properties": {"name": PIPELINE_NAME, "pipeline_type": {"title": "Pipeline type", "type": "string"}},
    },
}
DEPLOYMENT = {
    "title": "Deployment",
    "description": "How the stages get their stacks: by change sets in their accounts, or by stack sets of the AWS"
    " organization that holds these.",
    "enum": [CHANGE_SETS, STACK_SETS],
    "default": CHANGE_SETS,
}
WORKLOAD: dict[str, Any] = {
    "title": "Workload",
    "type": "object",
    "additionalProperties": False,
    "required": ["version", "model_name", "pipelines"],
    "properties": {
        **COMMON,
        "version": {"title": "Version", "description": "The version of the form.", "const": 2},
        "deployment": DEPLOYMENT,
        "pipelines": PIPELINES,
    },
}
ONE_PIPELINE: dict[str, Any] = {
    "title": "One pipeline",
    "type": "object",
    "required": ["model_name"],
    "properties": {**COMMON, "version": {"title": "Version", "description": "The version of the form.", "const": 1}},
}
