"""The plan as a document for people and programs; ``plan.json`` of the bundle."""

from __future__ import annotations

from typing import Any

from orchestrator.model import STACK_SETS, PipelinePlan, Plan, StackPlan, Stage


def summary(plan: Plan) -> dict[str, Any]:
    """What is made where, with which values, and what waits for what; JSON."""
    by_stack_sets = {"deployment": plan.deployment} if plan.deployment == STACK_SETS else {}
    return {
        "project": plan.project,
        "model": plan.model_name,
        "description": plan.description,
        **by_stack_sets,
        "stages": [_stage_summary(stage) for stage in plan.stages],
        "pipelines": [_pipeline_summary(pipeline) for pipeline in plan.pipelines],
        "tags": dict(plan.tags),
    }


def _stage_summary(stage: Stage) -> dict[str, Any]:
    unit = {"organizational_unit": stage.organizational_unit} if stage.organizational_unit else {}
    return {"name": stage.name, "account": stage.account, "region": stage.region, "approval": stage.approval, **unit}


def _pipeline_summary(pipeline: PipelinePlan) -> dict[str, Any]:
    return {
        "name": pipeline.name,
        "kind": pipeline.kind,
        "template": pipeline.template_file,
        "approval": pipeline.review,
        "after": sorted({reference.pipeline for reference in pipeline.overrides.values()}),
        "filled_in_by_the_run": {
            name: f"{reference.pipeline}.{reference.result}" for name, reference in sorted(pipeline.overrides.items())
        },
        "results": sorted(pipeline.results),
        "stacks": [_stack_summary(stack) for stack in pipeline.stacks],
    }


def _stack_summary(stack: StackPlan) -> dict[str, Any]:
    found: dict[str, Any] = {
        "stack": stack.stack_name,
        "stage": stack.stage.name,
        "account": stack.stage.account,
        "region": stack.stage.region,
        "parameters_file": stack.parameters_file,
    }
    if stack.job_input is not None:
        found |= {"job": stack.state_machine_arn, "job_input_file": stack.job_input_file}
    if stack.stack_set:
        found["stack_set"] = stack.stack_set
    return found
