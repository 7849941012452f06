"""Show what a config would become: the stacks, where, and what would change. Nothing is done."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from orchestrator.cli import config, target
from orchestrator.cli.console import Console, table

if TYPE_CHECKING:
    from orchestrator.model import Plan

SUMMARY = "what would be created or changed, and where"
SENTENCES = {
    "created": "Would create the pipeline {project}.",
    "updated": "Would update {project} and start a run.",
    "unchanged": "{project} is up to date: nothing would change, no run would start.",
}


def register(parser: argparse.ArgumentParser) -> None:
    config.add_argument(parser)


def run(arguments: argparse.Namespace, console: Console) -> int:
    from orchestrator.aws import Aws
    from orchestrator.blueprint import load_catalog
    from orchestrator.flow import plan_config, prepare

    body, catalog = config.read_packed(arguments.config), load_catalog()
    settings = target.settings_for_reading(arguments, console)
    document: dict[str, Any] = {}
    parts: list[str] = []
    if target.in_reach(arguments):
        preview = plan_config(body, Aws(settings), settings, catalog)
        decided, outcome = preview.prepared.plan, preview.deployed.outcome
        document |= {"outcome": outcome, "changes": preview.changes.as_dict()}
        lines = [] if outcome == "created" else preview.changes.lines()
        parts.append("\n  ".join([SENTENCES[outcome].format(project=decided.project), *lines]))
    else:
        decided = prepare(body, settings, catalog).plan
    rows = stack_rows(decided)
    document |= {"project": decided.project, "stages": [stage.name for stage in decided.stages], "stacks": rows}
    parts.append(f"{decided.project}: {target.stages_text(decided.stages)}")
    parts.append(table(rows, ["pipeline", "kind", "stage", "account", "stack", "waits for"]))
    console.data(document, "\n\n".join(parts))
    return 0


def stack_rows(decided: Plan) -> list[dict[str, str]]:
    """One row a stack, in the order in which the pipeline deploys them."""
    return [
        {
            "pipeline": pipeline.name,
            "kind": pipeline.kind,
            "stage": "hub" if pipeline.scope == "hub" else stack.stage.name,
            "account": stack.stage.account,
            "stack": stack.stack_name,
            "waits for": ", ".join(sorted({reference.pipeline for reference in pipeline.overrides.values()})),
        }
        for pipeline in decided.pipelines
        for stack in pipeline.stacks
    ]
