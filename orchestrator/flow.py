"""The whole request on one screen: from a config to a pipeline, and from a pipeline back to what people ask.

    config -> validate -> plan -> render -> admit -> package -> provision

Everything before ``provision`` is pure: a config that is wrong anywhere is refused before the first AWS call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from orchestrator import execute
from orchestrator.admission import admit
from orchestrator.aws import Aws
from orchestrator.blueprint import Catalog
from orchestrator.difference import Changes, changes
from orchestrator.errors import Conflict, NotFound
from orchestrator.model import Bundle, Plan, Receipt, Rendering
from orchestrator.package import package, unpack
from orchestrator.plan import plan
from orchestrator.provision import Deployed, deployed, provision
from orchestrator.remove import Removed, remove
from orchestrator.render import render
from orchestrator.settings import Settings
from orchestrator.validate import validate


@dataclass(frozen=True, slots=True)
class Prepared:
    """Everything decided and written down, nothing done."""

    plan: Plan
    rendering: Rendering
    bundle: Bundle


@dataclass(frozen=True, slots=True)
class Preview:
    """What provisioning would do: ``deployed`` is what stands there now, ``changes`` what becomes of it."""

    prepared: Prepared
    deployed: Deployed
    changes: Changes


def prepare(body: Any, settings: Settings, catalog: Catalog) -> Prepared:
    """Validate, plan, render, admit and package a config; no AWS.

    Raises ConfigInvalid with every problem at once, BlueprintBroken when a template is not valid CloudFormation.
    """
    decided = plan(validate(body, catalog, settings), settings, catalog)
    rendering = render(decided, catalog, settings)
    admit(rendering)
    return Prepared(decided, rendering, package(rendering))


def provision_config(body: Any, aws: Aws, settings: Settings, catalog: Catalog) -> Receipt:
    """Provision a config. Raises ConfigInvalid before anything is done; Conflict and AwsFailed as ``provision``."""
    ready = prepare(body, settings, catalog)
    return provision(ready.plan, ready.rendering, ready.bundle, aws)


def plan_config(body: Any, aws: Aws, settings: Settings, catalog: Catalog) -> Preview:
    """The dry run: what would be provisioned, and what that changes against what is. Raises as ``prepare``."""
    ready = prepare(body, settings, catalog)
    found = deployed(ready.plan, ready.rendering, ready.bundle, aws)
    old = unpack(found.bundle) if found.bundle else {}
    return Preview(ready, found, changes(old, ready.rendering.files))


def delete_project(
    project: str, aws: Aws, *, confirmed: bool, wait: Callable[[float], None] | None = None
) -> Iterator[Removed]:
    """Stop the project's runs, then remove it part by part. Raises as ``remove``; can be repeated."""
    if confirmed:
        with suppress(Conflict, NotFound):  # nothing runs, or an earlier removal took the pipeline already
            execute.stop(aws, project, "The project is being deleted.")
    return remove(aws, project, confirmed=confirmed, **({"wait": wait} if wait else {}))
