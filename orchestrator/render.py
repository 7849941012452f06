"""Render: the files of the bundle and the template of the CodePipeline, from a plan. Pure, and byte for byte the same.

Every template is checked against its parameters before anything reaches AWS: a value that CloudFormation would
refuse is refused here, with the pipeline's name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from orchestrator.blueprint import Catalog
from orchestrator.errors import BlueprintBroken, ConfigInvalid, Problem
from orchestrator.model import STACK_SETS, PipelinePlan, Plan, Rendering, StackPlan, Stage
from orchestrator.settings import Settings
from orchestrator.stack_sets import TEMPLATE, parameters_of, template_key, template_url
from orchestrator.summary import summary
from orchestrator.templating import canonical, render_document

FRAME = "pipeline.yaml.j2"
# CodePipeline: CustomData of an approval up to 1000 characters.
LONGEST_CUSTOM_DATA = 1000
# What a review accepts -> the result that says whether it is accepted already, and its value then.
ACCEPTED = {"approve_model_package": ("ApprovalStatus", "Approved")}
CONSOLES = {
    "aws": "console.aws.amazon.com",
    "aws-cn": "console.amazonaws.cn",
    "aws-us-gov": "console.amazonaws-us-gov.com",
}


def render(plan: Plan, catalog: Catalog, settings: Settings) -> Rendering:
    """Write down what was planned.

    Raises ConfigInvalid for a value that the template's parameter does not take, BlueprintBroken for a template
    that does not fit its blueprint.
    """
    files: dict[str, str] = {}
    templates: dict[str, bytes] = {}
    for index, pipeline in enumerate(plan.pipelines):
        template = _template(pipeline, catalog)
        _check_parameters(pipeline, template, f"$.pipelines[{index}]")
        files[pipeline.template_file] = canonical(template, indent=1)
        url = ""
        if pipeline.stack_set_file:
            files[pipeline.stack_set_file] = canonical(_stack_set(template, catalog), indent=1)
            text = canonical(template).encode()
            key = template_key(plan.project, text)
            templates[key], url = text, template_url(settings, key)
        for stack in pipeline.stacks:
            files |= _stack_files(plan, stack, parameters_of(stack, url, settings) if url else stack.parameters)
    files["plan.json"] = canonical(summary(plan), indent=1)
    files["mlops-config.json"] = canonical(plan.source, indent=1)
    frame = canonical(_frame(plan, catalog, settings))
    return Rendering({name: f"{text}\n".encode() for name, text in sorted(files.items())}, frame, templates)


def _template(pipeline: PipelinePlan, catalog: Catalog) -> Any:
    blueprint = catalog.blueprints[pipeline.kind]
    folders = (blueprint.folder, catalog.root / "templates")
    return render_document(folders, blueprint.template_file.name, {"shape": pipeline.shape})


def _stack_set(template: Mapping[str, Any], catalog: Catalog) -> Any:
    """The template of the stack that holds a stack set; it declares what the template of the stacks declares."""
    return render_document((catalog.root / "templates",), TEMPLATE, {"parameters": template.get("Parameters", {})})


def _stack_files(plan: Plan, stack: StackPlan, parameters: Mapping[str, str]) -> dict[str, str]:
    """The configuration file of a CloudFormation action, and the input of the stack's job."""
    configuration: dict[str, Any] = {"Parameters": dict(parameters)}
    if plan.tags:
        configuration["Tags"] = dict(plan.tags)
    files = {stack.parameters_file: canonical(configuration, indent=1)}
    if stack.job_input is not None:
        files[stack.job_input_file] = canonical(stack.job_input, indent=1)
    return files


# ---- parameters ----


def _check_parameters(pipeline: PipelinePlan, template: Mapping[str, Any], path: str) -> None:
    declared: Mapping[str, Mapping[str, Any]] = template.get("Parameters", {})
    problems = []
    for stack in pipeline.stacks:
        told = {*stack.parameters, *pipeline.overrides}
        strange = sorted(told - set(declared))
        silent = sorted(name for name, about in declared.items() if "Default" not in about and name not in told)
        if strange or silent:
            what = f"is told of {strange[0]}, which it lacks" if strange else f"is not told {silent[0]}"
            raise BlueprintBroken(f"{pipeline.kind}: the template for {pipeline.name} {what}")
        problems += [
            Problem(path, f"{name} of {pipeline.name} in {stack.stage.name} {wrong}", value)
            for name, value in stack.parameters.items()
            for wrong in _objections(value, declared[name])
        ]
    if problems:
        raise ConfigInvalid(problems)


def _objections(value: str, about: Mapping[str, Any]) -> Iterator[str]:
    """Why CloudFormation would not take the value; its rules for the attributes of a parameter."""
    allowed = about.get("AllowedValues")
    if allowed is not None and value not in [str(each) for each in allowed]:
        yield f"must be one of {', '.join(str(each) for each in allowed)}"
    pattern = about.get("AllowedPattern", "")
    items = value.split(",") if about["Type"] == "CommaDelimitedList" else [value]
    if pattern and not all(re.fullmatch(pattern, item) for item in items):
        yield f"must match {pattern}"
    if about["Type"] == "Number":
        yield from _number_objections(value, about)


def _number_objections(value: str, about: Mapping[str, Any]) -> Iterator[str]:
    try:
        number = float(value)
    except ValueError:
        yield "must be a number"
        return
    if not about.get("MinValue", number) <= number <= about.get("MaxValue", number):
        yield f"must be between {about.get('MinValue')} and {about.get('MaxValue')}"


# ---- the CodePipeline ----


def _frame(plan: Plan, catalog: Catalog, settings: Settings) -> Any:
    hub = [pipeline for pipeline in plan.pipelines if pipeline.scope == "hub"]
    staged = [pipeline for pipeline in plan.pipelines if pipeline.scope == "stage"]
    stacks = [stack for pipeline in plan.pipelines for stack in pipeline.stacks]
    here = [stack for stack in stacks if stack.stage.account == settings.account]
    acting = {_home(stack, settings) for stack in stacks}
    acting |= {stack.stage.account for stack in stacks if stack.state_machine_arn}
    machines = sorted(stack.state_machine_arn for stack in here if stack.state_machine_arn)
    standing = {stage.name: [(each, _at(each, stage)) for each in staged] for stage in plan.stages}
    names = {
        "project": plan.project,
        "settings": settings,
        "stages": plan.stages,
        "hub_pipelines": hub,
        "stage_pipelines": staged,
        "standing": lambda stage: standing[stage.name],
        "home": lambda stack: _home(stack, settings),
        "action_roles": sorted({settings.role_arn(account, "pipeline-action") for account in acting}),
        "state_machines": machines,
        "executions": [arn.replace(":stateMachine:", ":execution:") + ":*" for arn in machines],
        "overrides": _overrides,
        "accept": _accept,
        "undecided": _undecided,
        "verify": _verify,
        "review_text": _review_text,
        "approval_text": lambda stage: _approval_text(plan, stage, standing[stage.name]),
        "approval_link": lambda stage: _approval_link(plan, stage, standing[stage.name], settings),
        "console": CONSOLES.get(settings.partition, CONSOLES["aws"]),
    }
    return render_document((catalog.root / "templates",), FRAME, names)


def _home(stack: StackPlan, settings: Settings) -> str:
    """The account in which CodePipeline deploys the stack: the hub, where a stack set takes it to the stage."""
    return settings.account if stack.stack_set else stack.stage.account


def _verify(stack: StackPlan) -> dict[str, str]:
    wanted = {"do": "verify", "account": stack.stage.account, "region": stack.stage.region, "stack": stack.stack_name}
    return {**wanted, "stack_set": stack.stack_set} if stack.stack_set else wanted


def _at(pipeline: PipelinePlan, stage: Stage) -> StackPlan:
    return next(stack for stack in pipeline.stacks if stack.stage == stage)


def _overrides(pipeline: PipelinePlan) -> str:
    """The parameters that CodePipeline fills in from the results of earlier pipelines."""
    return canonical(
        {name: f"#{{{reference.pipeline}.{reference.result}}}" for name, reference in pipeline.overrides.items()}
    )


def _accept(pipeline: PipelinePlan) -> dict[str, Any]:
    named = re.findall(r"\{(\w+)\}", pipeline.review) or list(pipeline.results)
    results = {name: f"#{{{pipeline.name}.{name}}}" for name in named if name in pipeline.results}
    return {"do": "accept", "what": pipeline.accept, "results": results}


def _undecided(pipeline: PipelinePlan) -> dict[str, str]:
    """The check that a review is still wanted: what the run found says it is not accepted. Empty: always asked.

    Equality alone tells: a version that was rejected, or that nobody has looked at, is reviewed (again).
    See https://docs.aws.amazon.com/codepipeline/latest/userguide/rule-reference-VariableCheck.html.
    """
    result, accepted = ACCEPTED.get(pipeline.accept, ("", ""))
    if result not in pipeline.results:
        return {}
    return {"Variable": f"#{{{pipeline.name}.{result}}}", "Value": accepted, "Operator": "NE"}


def _review_text(pipeline: PipelinePlan) -> str:
    """What the reviewer reads: ``{Result}`` in the blueprint's message is the result of this run."""
    text = re.sub(
        r"\{(\w+)\}",
        lambda found: f"#{{{pipeline.name}.{found[1]}}}" if found[1] in pipeline.results else found[0],
        pipeline.review,
    )
    return text[:LONGEST_CUSTOM_DATA]


def _approval_text(plan: Plan, stage: Stage, standing: list[tuple[PipelinePlan, StackPlan]]) -> str:
    stacks = ", ".join(stack.stack_name for _, stack in standing)
    text = (
        f"{plan.project}: approve the change to {stage.name} (account {stage.account}, {stage.region}). "
        f"Change set mlops-review of: {stacks}. plan.json in the bundle says what was planned."
    )
    if plan.deployment == STACK_SETS:
        text += " The change sets stand in the hub and show the new values of the stack sets, not the changes inside."
    return text if len(text) <= LONGEST_CUSTOM_DATA else f"{text[: LONGEST_CUSTOM_DATA - 3]}..."


def _approval_link(plan: Plan, stage: Stage, standing: list[tuple[PipelinePlan, StackPlan]], settings: Settings) -> str:
    """The change set in the console of the stage's account; the list of stacks when there are several."""
    console = f"https://{stage.region}.{CONSOLES.get(settings.partition, CONSOLES['aws'])}/cloudformation/home"
    start = f"{console}?region={stage.region}#/stacks"
    if len(standing) == 1:
        return f"{start}/changesets/changes?stackId={standing[0][1].stack_name}&changeSetId=mlops-review"
    return f"{start}?filteringText={plan.project}"
