"""The routes of the API: for each its method, path, request, answers, and what it does.

One table for the handler, which serves it, and for ``openapi``, which writes it down; so what is documented is what
answers. Request bodies are checked against the schema given here, configs by ``validate``.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from orchestrator import __version__, answers, execute, flow
from orchestrator.aws import Aws
from orchestrator.blueprint import Catalog
from orchestrator.errors import BadRequest, ConfigInvalid, NotFound
from orchestrator.explain import problems_of
from orchestrator.guard import hostile, oversized
from orchestrator.settings import Settings
from orchestrator.status import as_json, old_pipeline_state, project_status, projects
from orchestrator.summary import summary

PROJECT = r"mlops-pipeline-[a-z0-9-]{1,113}"
LONGEST_REMOVAL_SECONDS = 18.0
"""Of one request; API Gateway cuts it after 29 seconds."""


@dataclass(frozen=True, slots=True)
class Request:
    """What a route works with. ``body`` is the parsed document, None where the route takes none."""

    settings: Settings
    aws: Aws
    catalog: Catalog
    body: Any = None
    project: str = ""


@dataclass(frozen=True, slots=True)
class Reply:
    """Status and document; ``text`` instead of a document for the one answer of old that is none."""

    status: int
    document: Mapping[str, Any] | None = None
    text: str = ""


@dataclass(frozen=True, slots=True)
class Route:
    """One method of one path. ``request`` and ``replies`` name schemas of the OpenAPI document.

    ``request_schema`` is asked before the work begins; a request that ``may_be_empty`` may have no body at all.
    """

    method: str
    path: str
    name: str
    summary: str
    work: Callable[[Request], Reply]
    replies: Mapping[int, tuple[str, str]]
    request: str = ""
    request_schema: Mapping[str, Any] | None = None
    may_be_empty: bool = False
    old: bool = False

    def match(self, path: str) -> str | None:
        """The project that a path names, "" when the route has none, None when the path is another's."""
        found = re.fullmatch(self.path.replace("{project}", "(?P<project>[^/]+)"), path)
        return None if found is None else found.groupdict().get("project", "")


# ---- what the routes do ----


def provisioned(body: Any, settings: Settings, aws: Aws, catalog: Catalog) -> dict[str, Any]:
    """Do what a config or an operation on a model card asks for; the receipt as a document."""
    from orchestrator import cards  # not needed by every event: a cold start does without

    if cards.is_operation(body):
        return {"outcome": "done", **cards.perform(body, aws)}
    return asdict(flow.provision_config(body, aws, settings, catalog))


def _provision(request: Request) -> Reply:
    receipt = provisioned(request.body, request.settings, request.aws, request.catalog)
    if "pipeline_id" not in receipt:
        return Reply(200, receipt)
    message = answers.old_message(
        receipt["message"], receipt["outcome"], receipt["pipeline_id"], request.body, request.catalog
    )
    order = ("message", "pipeline_id", "project", "outcome", "bundle_digest")
    return Reply(200, {key: {**receipt, "message": message}[key] for key in order})


def _old_status(request: Request) -> Reply:
    pipeline_id = request.body.get("pipeline_id") if isinstance(request.body, dict) else None
    if not isinstance(pipeline_id, str) or not pipeline_id:
        raise BadRequest(answers.MISSING.format("pipeline_id"))
    state = old_pipeline_state(request.aws, pipeline_id)
    return Reply(200, state) if isinstance(state, dict) else Reply(200, text=state)


def _list(request: Request) -> Reply:
    return Reply(200, {"pipelines": [as_json(project) for project in projects(request.aws)]})


def _get(request: Request) -> Reply:
    return Reply(200, project_status(request.aws, request.project).as_dict())


def _plan(request: Request) -> Reply:
    preview = flow.plan_config(request.body, request.aws, request.settings, request.catalog)
    return Reply(
        200,
        {
            "project": preview.prepared.plan.project,
            "outcome": preview.deployed.outcome,
            "bundle_digest": preview.prepared.bundle.digest,
            "changes": preview.changes.as_dict(),
            "plan": summary(preview.prepared.plan),
        },
    )


class _OutOfTime(Exception):
    """The removal goes on at the next request."""


def _delete(request: Request) -> Reply:
    """Remove as much as the time of a request allows; what was begun goes on, and the next request sees it."""
    deadline = time.monotonic() + LONGEST_REMOVAL_SECONDS

    def wait(seconds: float) -> None:
        if time.monotonic() + seconds > deadline:
            raise _OutOfTime
        time.sleep(seconds)

    removed: list[dict[str, Any]] = []
    try:
        for part in flow.delete_project(request.project, request.aws, confirmed=True, wait=wait):
            removed.append(asdict(part))
    except _OutOfTime:
        return Reply(202, {"project": request.project, "state": "deleting", "removed": removed})
    return Reply(200, {"project": request.project, "state": "deleted", "removed": removed})


def _approve(request: Request) -> Reply:
    body = request.body or {}
    answered = execute.approve(request.aws, request.project, body.get("approval", ""), body.get("comment", ""))
    return Reply(200, {"project": request.project, "approval": answered.name, "run": answered.run})


def _reject(request: Request) -> Reply:
    answered = execute.reject(
        request.aws, request.project, request.body.get("approval", ""), request.body.get("reason", "")
    )
    return Reply(200, {"project": request.project, "approval": answered.name, "run": answered.run})


def _start(request: Request) -> Reply:
    return Reply(202, {"project": request.project, "runs": [execute.start(request.aws, request.project)]})


def _stop(request: Request) -> Reply:
    stopped = execute.stop(request.aws, request.project, (request.body or {}).get("reason", ""))
    return Reply(202, {"project": request.project, "runs": [run.id for run in stopped]})


def _retry(request: Request) -> Reply:
    return Reply(202, {"project": request.project, "runs": [execute.retry(request.aws, request.project)]})


def _schema(request: Request) -> Reply:
    from orchestrator import schema

    return Reply(200, schema.published(request.catalog))


def _health(_: Request) -> Reply:
    return Reply(200, {"status": "ok", "version": __version__})


# ---- the table ----

TEXT: dict[str, Any] = {"type": "string", "maxLength": 512}
APPROVAL = {
    "title": "Approval",
    "description": "Which approval is meant, by its name or its stage's; needed when several wait.",
    "type": "string",
    "maxLength": 100,
}
APPROVE: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "properties": {"approval": APPROVAL, "comment": {**TEXT, "description": "For whoever reads the run later."}},
}
REJECT: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["reason"],
    "properties": {"approval": APPROVAL, "reason": {**TEXT, "minLength": 1, "description": "Why; shown in the run."}},
}
STOP: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "properties": {"reason": {**TEXT, "description": "Why; shown in the run."}},
}
EMPTY: dict[str, Any] = {"type": "object", "additionalProperties": False, "properties": {}}
_NO_ARGUMENTS: dict[str, Any] = {"request_schema": EMPTY, "request": "Empty", "may_be_empty": True}

ROUTES: tuple[Route, ...] = (
    Route(
        "POST",
        "/provisionpipeline",
        "provision",
        "Provision a config, or operate on a model card.",
        _provision,
        {200: ("What was provisioned, or what the model card's operation answered.", "Provisioned")},
        request="Body",
        old=True,
    ),
    Route(
        "POST",
        "/pipelinestatus",
        "old_status",
        "The state of a pipeline, as CodePipeline tells it.",
        _old_status,
        {200: ("GetPipelineState of the pipeline; a sentence while there is none.", "PipelineState")},
        request="PipelineId",
        old=True,
    ),
    Route(
        "GET",
        "/pipelines",
        "list_pipelines",
        "Every project with its state.",
        _list,
        {200: ("The projects, by name.", "Projects")},
    ),
    Route(
        "GET",
        "/pipelines/{project}",
        "get_pipeline",
        "All that is true about a project: run, stages, approvals that wait, failure, endpoints.",
        _get,
        {200: ("The project.", "Project")},
    ),
    Route(
        "DELETE",
        "/pipelines/{project}",
        "delete_pipeline",
        "Remove a project: its stages' stacks, its pipeline, its bundles. Data and models stay.",
        _delete,
        {
            200: ("Everything is gone.", "Removal"),
            202: ("The removal goes on; repeat the request until it answers 200 or 404.", "Removal"),
        },
    ),
    Route(
        "POST",
        "/plan",
        "plan",
        "What a config would become and what that changes. Nothing is done.",
        _plan,
        {200: ("The plan.", "Plan")},
        request="Config",
    ),
    Route(
        "POST",
        "/pipelines/{project}/approve",
        "approve",
        "Approve what waits.",
        _approve,
        {200: ("What was answered.", "Answered")},
        request="Approve",
        request_schema=APPROVE,
        may_be_empty=True,
    ),
    Route(
        "POST",
        "/pipelines/{project}/reject",
        "reject",
        "Reject what waits.",
        _reject,
        {200: ("What was answered.", "Answered")},
        request="Reject",
        request_schema=REJECT,
    ),
    Route(
        "POST",
        "/pipelines/{project}/start",
        "start",
        "Start a run of what is provisioned.",
        _start,
        {202: ("The run.", "Runs")},
        **_NO_ARGUMENTS,
    ),
    Route(
        "POST",
        "/pipelines/{project}/stop",
        "stop",
        "Stop the runs that go on, and their jobs.",
        _stop,
        {202: ("The runs that stop.", "Runs")},
        request="Stop",
        request_schema=STOP,
        may_be_empty=True,
    ),
    Route(
        "POST",
        "/pipelines/{project}/retry",
        "retry",
        "Run the failed actions of the latest run again.",
        _retry,
        {202: ("The run.", "Runs")},
        **_NO_ARGUMENTS,
    ),
    Route("GET", "/schema", "schema", "The JSON Schema of configs.", _schema, {200: ("The schema, draft-07.", "Any")}),
    Route("GET", "/health", "health", "Whether the API answers, and its version.", _health, {200: ("Yes.", "Health")}),
)

PROVISION = ROUTES[0]
OLD_PATHS = frozenset(route.path for route in ROUTES if route.old)


def find(method: str, path: str) -> tuple[Route, str] | None:
    """The route of a request and the project it names, or None. Raises NotFound for what cannot be a project."""
    for route in ROUTES:
        project = route.match(path) if route.method == method else None
        if project is None:
            continue
        if project and not re.fullmatch(PROJECT, project):
            raise NotFound("There is no project of this name.", hint="GET /pipelines lists the projects.")
        return route, project
    return None


def methods(path: str) -> tuple[str, ...]:
    """The methods a path has, in the order of the table."""
    return tuple(route.method for route in ROUTES if route.match(path) is not None)


def check(route: Route, body: Any) -> None:
    """Raise BadRequest, or ConfigInvalid with every problem, for a body the route does not take."""
    problems = [too_large] if (too_large := oversized(body)) else list(hostile(body))
    if problems and route.request_schema is None and route.name != "old_status":
        return  # ``validate`` says it, together with everything else
    if problems:
        raise ConfigInvalid(problems)
    if route.request_schema is not None:
        from jsonschema import Draft7Validator

        errors = Draft7Validator(route.request_schema).iter_errors(body)
        found = [problem for error in errors for problem in problems_of(error, route.request_schema, _written)]
        if found:
            raise BadRequest(f"The request is not understood: {found[0]}")


def _written(way: tuple[str | int, ...]) -> str:
    return "$" + "".join(f".{step}" for step in way)
