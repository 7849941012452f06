"""The OpenAPI document of the API, made from the table of routes and the schemas that validate.

``python -m orchestrator.openapi`` writes ``openapi.json``; a test keeps it fresh. Schemas are draft-07, the dialect of
the config's own schema, and the document says so.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from orchestrator import __version__, card_forms, schema
from orchestrator.blueprint import Catalog, load_catalog
from orchestrator.routes import APPROVE, EMPTY, PROJECT, REJECT, ROUTES, STOP, Route

FILE = "openapi.json"
JSON = "application/json"
HERE, THERE = "#/components/schemas/", "#/definitions/"
Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
TIME: Schema = {"type": "string", "format": "date-time"}
ANY: Schema = {"type": "object"}


def _object(required: str = "", /, **properties: Schema) -> Schema:
    return {"type": "object", "required": required.split(), "properties": properties}


def _ref(name: str) -> Schema:
    return {"$ref": f"{HERE}{name}"}


def _maybe(rule: Schema) -> Schema:
    return {"anyOf": [rule, {"type": "null"}]}


# ---- answers ----

RUN = _object("id status", id=TEXT, status=TEXT, started=_maybe(TIME), trigger=TEXT)
REMOVED = _object("what name account region outcome", what=TEXT, name=TEXT, account=TEXT, region=TEXT, outcome=TEXT)
LIST_OF_TEXTS: Schema = {"type": "array", "items": TEXT}
ANSWERS: Mapping[str, Schema] = {
    "Error": {
        **_object(
            "message",
            message={**TEXT, "description": "What kind of error it is."},
            detailedMessage={**TEXT, "description": "What happened; absent when details are switched off."},
            hint={**TEXT, "description": "What to do next."},
            problems={
                "type": "array",
                "description": "Everything that is wrong with a config.",
                "items": _object("path message", path=TEXT, message=TEXT, value={}, allowed=TEXT, fix=TEXT),
            },
            requestId=TEXT,
        ),
        "description": "Every error has this form.",
    },
    "Provisioned": {
        "anyOf": [
            _object(
                "message pipeline_id project outcome bundle_digest",
                message={**TEXT, "description": "What was done, in the words of the first product."},
                pipeline_id={**TEXT, "description": "ARN of the stack that holds the CodePipeline."},
                project={**TEXT, "description": "Names the CodePipeline, and the project in all other routes."},
                outcome={"enum": ["created", "updated", "unchanged"]},
                bundle_digest={**TEXT, "description": "SHA-256 of what was written down."},
            ),
            _object(
                "message outcome",
                message={"description": "The answer of the operation on the model card."},
                outcome={"const": "done"},
                ignored={**LIST_OF_TEXTS, "description": "Names in the request that nobody knows."},
                export_job_arn=TEXT,
                export_job_status=TEXT,
                export_artifact=TEXT,
            ),
        ]
    },
    "PipelineState": {"anyOf": [ANY, TEXT]},
    "Projects": _object(
        "pipelines",
        pipelines={
            "type": "array",
            "items": _object(
                "project state", project=TEXT, model_name=TEXT, state=TEXT, stack_status=TEXT, run=_maybe(RUN)
            ),
        },
    ),
    "Project": _object(
        "project model_name state stack_status stages approvals endpoints",
        project=TEXT,
        model_name=TEXT,
        state=TEXT,
        stack_status=TEXT,
        bundle_digest=TEXT,
        run=_maybe(RUN),
        stages={"type": "array", "items": ANY},
        approvals={"type": "array", "items": ANY},
        failure=_maybe(ANY),
        endpoints={"type": "array", "items": ANY},
    ),
    "Plan": _object(
        "project outcome changes plan",
        project=TEXT,
        outcome={"enum": ["created", "updated", "unchanged"]},
        bundle_digest=TEXT,
        changes=ANY,
        plan=ANY,
    ),
    "Removal": _object(
        "project state removed",
        project=TEXT,
        state={"enum": ["deleted", "deleting"]},
        removed={"type": "array", "items": REMOVED},
    ),
    "Answered": _object("project approval run", project=TEXT, approval=TEXT, run=TEXT),
    "Runs": _object("project runs", project=TEXT, runs=LIST_OF_TEXTS),
    "Health": _object("status version", status={"const": "ok"}, version=TEXT),
    "Any": ANY,
}
REQUESTS: Mapping[str, Schema] = {
    "Approve": APPROVE,
    "Reject": REJECT,
    "Stop": STOP,
    "Empty": EMPTY,
    "PipelineId": _object("pipeline_id", pipeline_id={**TEXT, "minLength": 1, "description": "Stack, by name or ARN."}),
}


# ---- the document ----


def document(catalog: Catalog) -> Schema:
    """The whole document. The same catalog always gives the same document."""
    paths: dict[str, Any] = {}
    for route in ROUTES:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "jsonSchemaDialect": schema.DRAFT,
        "info": {
            "title": "MLOps Orchestrator",
            "version": __version__,
            "description": "Pipelines of models: provision, look, approve, remove. Requests are signed (SigV4).",
        },
        "security": [{"sigv4": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"sigv4": {"type": "apiKey", "name": "Authorization", "in": "header"}},
            "schemas": {**ANSWERS, **REQUESTS, **_configs(catalog)},
        },
    }


def _operation(route: Route) -> Schema:
    operation: Schema = {"operationId": route.name, "summary": route.summary}
    if "{project}" in route.path:
        project = {"type": "string", "pattern": f"^{PROJECT}$"}
        operation["parameters"] = [{"name": "project", "in": "path", "required": True, "schema": project}]
    if route.request:
        content = {JSON: {"schema": _ref(route.request)}}
        operation["requestBody"] = {"required": not route.may_be_empty, "content": content}
    replies = {str(status): _reply(text, name) for status, (text, name) in route.replies.items()}
    errors = {"4XX": "The request cannot be served; the message says why.", "5XX": "We failed, or AWS did."}
    operation["responses"] = {**replies, **{status: _reply(text, "Error") for status, text in errors.items()}}
    return operation


def _reply(text: str, name: str) -> Schema:
    content = {JSON: {"schema": _ref(name)}}
    if name == "PipelineState":
        content["text/plain"] = {"schema": TEXT}
    return {"description": text, "content": content}


def _configs(catalog: Catalog) -> Schema:
    """The published schema of configs and the forms of model cards, under the names of this document."""
    definitions = json.loads(json.dumps(schema.published(catalog)["definitions"]).replace(THERE, HERE))
    types = [info.name for info in catalog.types.values()]
    # A config's schema chooses by condition, for the best messages; here it is said as a choice.
    definitions["workload"]["properties"]["pipelines"]["items"] = {
        "anyOf": [_ref(f"pipeline.{each}") for each in types]
    }
    del definitions["one_pipeline"]
    config = {"anyOf": [_ref("workload"), *(_ref(f"config.{each}") for each in types)]}
    cards = {f"card.{each}": card_forms.form(each) for each in card_forms.OPERATIONS}
    return {
        "Body": {"anyOf": [_ref("Config"), *(_ref(name) for name in cards)]},
        "Config": config,
        **cards,
        **definitions,
    }


def written(catalog: Catalog) -> str:
    """The text of the file."""
    return json.dumps(document(catalog), indent=1, ensure_ascii=False) + "\n"


def main() -> None:
    """Write the document of this checkout."""
    catalog = load_catalog()
    path = Path(catalog.root) / FILE
    path.write_text(written(catalog), encoding="utf-8")
    print(path)


if __name__ == "__main__":
    main()
