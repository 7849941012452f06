"""Plan: every decision about a valid config, and nothing done. Pure: the same config gives the same plan.

Here a pipeline becomes stacks: their names, accounts and parameter values, the input of their jobs, and which
values only a run of the CodePipeline can fill in. ``render`` writes down what was decided here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from types import MappingProxyType
from typing import Any

from orchestrator.blueprint import Blueprint, Catalog
from orchestrator.derived import LONGEST_STACK_NAME, Derived, given, shorten, text_of
from orchestrator.errors import ConfigInvalid, Problem
from orchestrator.expressions import evaluate
from orchestrator.floor import demands
from orchestrator.model import (
    SEPARATE,
    STACK_SETS,
    PipelinePlan,
    PipelineSpec,
    Plan,
    Reference,
    StackPlan,
    Stage,
    Workload,
)
from orchestrator.settings import Settings
from orchestrator.stack_sets import FILE, LONGEST_NAME
from orchestrator.staged import at_stage
from orchestrator.templating import canonical, inert

FRAME = "pipeline.yaml.j2"
HUB = "hub"
BUNDLES = "mlops_provisioned_pipelines"
# CodePipeline: names up to 100 characters; CloudFormation: parameter values up to 4096 bytes.
LONGEST_PIPELINE_NAME = 100
LARGEST_PARAMETER = 4096


def plan(workload: Workload, settings: Settings, catalog: Catalog) -> Plan:
    """Decide everything about a valid config.

    Raises ConfigInvalid for what only shows when all values are known (stages that would need different templates,
    a value too long for CloudFormation, two stacks of one name), BlueprintBroken for a mistake of a blueprint, and
    what a derived value raises (an unknown image, say).
    """
    project = _project(workload, catalog)
    planned: dict[str, PipelinePlan] = {}
    for index, spec in enumerate(workload.pipelines):
        planned[spec.name] = _Planning(workload, settings, catalog, project, index, planned).pipeline()
    pipelines = tuple(planned.values())
    pipeline_stack = project if _bare(workload, catalog) else f"{project}{SEPARATE}"
    problems = list(_names_twice(workload, pipelines, pipeline_stack, settings))
    if problems:
        raise ConfigInvalid(problems)
    frame = _frame_digest(workload, pipelines, catalog)
    reviewed = any(demands(stage.name, stage.account, settings) for stage in workload.stages)
    # Where a review is demanded, no bundle may start a pipeline that was made before the review was.
    folder = project if workload.form == 1 and not reviewed else f"{project}/{frame}"
    bundle_key = f"{BUNDLES}/{folder}/template.zip"
    return Plan(
        project=project,
        model_name=workload.model_name,
        stages=workload.stages,
        pipelines=pipelines,
        pipeline_stack=pipeline_stack,
        bundle_key=bundle_key,
        pipeline_parameters={
            "PipelineName": project,
            "BundleKey": bundle_key,
            "AssetsBucket": settings.assets_bucket,
            "ArtifactBucket": settings.artifact_bucket,
            "ArtifactKeyArn": settings.artifact_key_arn,
            "NotificationsTopicArn": settings.notifications_topic_arn,
            "FunctionArn": settings.function_arn,
            "NamePrefix": settings.name_prefix,
        },
        tags=workload.tags,
        description=workload.description,
        source=workload.source,
        deployment=workload.deployment,
    )


def _project(workload: Workload, catalog: Catalog) -> str:
    """The name of the CodePipeline, with which the names of all stacks begin."""
    model = workload.model_name.strip()
    if workload.form == 2:
        last = "workload"
    else:
        pipeline_type = workload.pipelines[0].pipeline_type
        last = catalog.types[pipeline_type].postfix or pipeline_type.replace("_", "-")
    return shorten(f"mlops-pipeline-{model}-{last}".lower(), LONGEST_PIPELINE_NAME)


def _bare(workload: Workload, catalog: Catalog) -> bool:
    """Whether the CodePipeline's stack has the project's own name."""
    return workload.form == 1 and catalog.types[workload.pipelines[0].pipeline_type].bare_stack


def _names_twice(
    workload: Workload, pipelines: tuple[PipelinePlan, ...], pipeline_stack: str, settings: Settings
) -> Iterator[Problem]:
    """Stacks of one account that would have one name: their parts are joined by dashes, which they may hold too."""
    owners = {(settings.account, settings.region, pipeline_stack): "the CodePipeline"}
    for index, pipeline in enumerate(pipelines):
        for stack in pipeline.stacks:
            account = settings.account if stack.stack_set else stack.stage.account
            owner = owners.setdefault((account, stack.stage.region, stack.stack_name), pipeline.name)
            if owner != pipeline.name:
                text = f"The stack {stack.stack_name} is that of `{owner}` already."
                path = "$" if workload.form == 1 else f"$.pipelines[{index}].name"
                yield Problem(path, text, pipeline.name, fix="Give one of them, or the stage, another name.")


def _frame_digest(workload: Workload, pipelines: tuple[PipelinePlan, ...], catalog: Catalog) -> str:
    """Twelve hex digits of all that shapes the CodePipeline itself, and of nothing else.

    Bundles of another shape lie under another key, so they never start a pipeline that was not made for them.
    """
    source = (catalog.root / "templates" / FRAME).read_bytes()
    stages = [asdict(replace(each, organizational_unit="")) for each in workload.stages]
    shaping = canonical([stages, [_without_values(each) for each in pipelines]])
    return hashlib.sha256(source + shaping.encode()).hexdigest()[:12]


def _without_values(pipeline: PipelinePlan) -> dict[str, Any]:
    stacks = [
        {**asdict(stack), "stage": stack.stage.name, "parameters": None, "job_input": stack.job_input is not None}
        for stack in pipeline.stacks
    ]
    return {**asdict(pipeline), "shape": None, "stacks": stacks}


@dataclass(frozen=True)
class _Standing:
    """One pipeline in one stage: where it stands, what it is called, what its expressions may name."""

    stage: Stage
    stack_name: str
    names: Mapping[str, Any]


class _Planning:
    """Plans one pipeline of a workload."""

    def __init__(
        self,
        workload: Workload,
        settings: Settings,
        catalog: Catalog,
        project: str,
        index: int,
        earlier: Mapping[str, PipelinePlan],
    ) -> None:
        self.workload = workload
        self.settings = settings
        self.catalog = catalog
        self.project = project
        self.earlier = earlier
        self.spec: PipelineSpec = workload.pipelines[index]
        self.blueprint: Blueprint = catalog.blueprints[self.spec.kind]
        self.stage_names = tuple(stage.name for stage in workload.stages)
        self.path = "$" if workload.form == 1 else f"$.pipelines[{index}]"

    def pipeline(self) -> PipelinePlan:
        standings = [self._standing(stage) for stage in self._stages()]
        shapes = [self._evaluated(self.blueprint.shape, standing) for standing in standings]
        self._require_one_shape(shapes)
        stacks = tuple(self._stack(standing) for standing in standings)
        review = self.blueprint.review
        wanted = review is not None and bool(evaluate(review.when, standings[0].names))
        return PipelinePlan(
            name=self.spec.name,
            kind=self.blueprint.kind,
            scope=self.blueprint.scope,
            template_file=self._template_file(),
            shape=shapes[0],
            stacks=stacks,
            overrides=self._overrides(stacks),
            results=tuple(self.blueprint.results),
            review=review.message if review and wanted else "",
            accept=review.accept if review and wanted else "",
            verify=self.blueprint.verify,
            stack_set_file=f"{self.spec.name}/{FILE}" if self._by_stack_sets else "",
        )

    @property
    def _by_stack_sets(self) -> bool:
        """Whether stack sets of the organization make this pipeline's stacks; those of the hub never do."""
        return self.workload.deployment == STACK_SETS and self.blueprint.scope == "stage"

    # ---- where it stands ----

    def _stages(self) -> tuple[Stage, ...]:
        if self.blueprint.scope == "stage":
            return self.workload.stages
        return (Stage(HUB, self.settings.account, self.settings.region),)

    def _standing(self, stage: Stage) -> _Standing:
        stack = self._stack_name(stage)
        # A stage may have no value of its own (null): then the key is missing there.
        config = given(at_stage(self.spec.config, self.blueprint.schema, self.stage_names, stage.name))
        values: dict[str, Any] = {}
        names: dict[str, Any] = {
            "config": config,
            "references": {key: reference.pipeline for key, reference in self.spec.references.items()},
            "known": self._known(stage),
            "stage": stage,
            "settings": self.settings,
            "workload": self._workload_names(),
            "pipeline": {"name": self.spec.name, "kind": self.spec.kind, "type": self.spec.pipeline_type},
            "values": values,
        }
        folders = (self.blueprint.folder, self.catalog.root / "templates")
        names["derived"] = Derived(self.settings, stage, stack, folders, MappingProxyType(names))
        for name, expression in self.blueprint.values.items():
            values[name] = given(evaluate(expression, names))
        return _Standing(stage, stack, names)

    def _workload_names(self) -> Mapping[str, Any]:
        others = {stage.account for stage in self.workload.stages} - {self.settings.account}
        return {
            "model_name": self.workload.model_name,
            "project": self.project,
            "tags": dict(self.workload.tags),
            "other_accounts": sorted(others),
            "deployment": self.workload.deployment,
        }

    def _stack_name(self, stage: Stage) -> str:
        parts = [self.project]
        if self.workload.form == 2 or _bare(self.workload, self.catalog):
            parts.append(self.spec.name)
        if self.blueprint.scope == "stage" and (self.workload.form == 2 or len(self.workload.stages) > 1):
            parts.append(stage.name)
        return shorten("-".join(parts), LONGEST_NAME if self._by_stack_sets else LONGEST_STACK_NAME)

    # ---- what it is told ----

    def _evaluated(self, expressions: Mapping[str, str], standing: _Standing) -> dict[str, Any]:
        return {name: given(evaluate(expression, standing.names)) for name, expression in expressions.items()}

    def _stack(self, standing: _Standing) -> StackPlan:
        stage, name = standing.stage, standing.stack_name
        parameters = self._parameters(standing)
        file = self._parameters_file(stage)
        stack_set = name if self._by_stack_sets else ""
        job = self.blueprint.job
        if job is None:
            return StackPlan(stage, name, parameters, file, stack_set=stack_set)
        machine = text_of(evaluate(job.state_machine, standing.names))
        place = f"{self.settings.partition}:states:{stage.region}:{stage.account}"
        return StackPlan(
            stage=stage,
            stack_name=name,
            parameters=parameters,
            parameters_file=file,
            job_input=given(self._evaluated(job.input, standing)),
            job_input_file=f"{file.removesuffix('.json')}.input.json",
            state_machine_arn=f"arn:{place}:stateMachine:{machine}",
            stack_set=stack_set,
        )

    def _parameters(self, standing: _Standing) -> dict[str, str]:
        found = self._evaluated(self.blueprint.parameters, standing)
        parameters = {key: text_of(inert(value)) for key, value in found.items() if value is not None}
        parameters = {**self._known_results(standing.names["known"], parameters), **parameters}
        problems = list(self._too_long(parameters, standing.stage))
        if problems:
            raise ConfigInvalid(problems)
        return parameters

    def _known(self, stage: Stage) -> dict[str, Mapping[str, str]]:
        """By key, the results of a reference to a pipeline of the same stage: the values of its own parameters."""
        known: dict[str, Mapping[str, str]] = {}
        for key, reference in self.spec.references.items():
            pipeline = self.earlier[reference.pipeline]
            stack = next((each for each in pipeline.stacks if each.stage == stage), None)
            if pipeline.scope == "stage" and stack is not None:
                wanted = {target.result for target in self.blueprint.references[key]}
                known[key] = {name: stack.parameters[name] for name in wanted if name in stack.parameters}
        return known

    def _known_results(self, results: Mapping[str, Mapping[str, str]], said: Mapping[str, str]) -> dict[str, str]:
        """What these results fill in, where the config does not say it itself. Raises ConfigInvalid when one lacks."""
        known: dict[str, str] = {}
        for key, reference in self.spec.references.items():
            if self.earlier[reference.pipeline].scope == "hub":
                continue
            for target in self.blueprint.references[key]:
                if target.parameter in said:
                    continue
                if target.result not in results.get(key, {}):
                    raise ConfigInvalid([self._no_such_result(key, reference.pipeline, target.result)])
                known[target.parameter] = results[key][target.result]
        return known

    def _no_such_result(self, key: str, pipeline: str, result: str) -> Problem:
        return Problem(
            f"{self.path}.{key}.from",
            f"pipeline {pipeline} has no {result} here",
            pipeline,
            fix="Name a pipeline of the same stages that has it.",
        )

    def _too_long(self, parameters: Mapping[str, str], stage: Stage) -> Iterator[Problem]:
        for name, value in parameters.items():
            if len(value.encode()) > LARGEST_PARAMETER:
                yield Problem(
                    self.path,
                    f"{name} in {stage.name} has {len(value.encode())} bytes, more than CloudFormation takes",
                    allowed=f"at most {LARGEST_PARAMETER} bytes",
                )

    def _overrides(self, stacks: tuple[StackPlan, ...]) -> dict[str, Reference]:
        """Parameter -> result that fills it in during a run; what the config says itself comes first.

        Of two references that fill in the same, the one counts that stands later in the blueprint.
        """
        said = {name for stack in stacks for name in stack.parameters}
        return {
            target.parameter: Reference(reference.pipeline, target.result)
            for key, targets in self.blueprint.references.items()
            if (reference := self.spec.references.get(key))
            for target in targets
            if target.parameter not in said
        }

    def _require_one_shape(self, shapes: list[dict[str, Any]]) -> None:
        different = sorted({key for shape in shapes for key in shape if shape[key] != shapes[0][key]})
        if different:
            raise ConfigInvalid(
                [
                    Problem(
                        self.path,
                        f"the stages differ in {key.replace('_', ' ')}, but one template serves them all",
                        allowed="the same in every stage",
                    )
                    for key in different
                ]
            )

    # ---- its files in the bundle ----

    def _template_file(self) -> str:
        if self.workload.form == 2:
            return f"{self.spec.name}/template.yaml"
        return self.catalog.types[self.spec.pipeline_type].template or f"{self.spec.kind}.yaml"

    def _parameters_file(self, stage: Stage) -> str:
        if self.workload.form == 2:
            return f"{self.spec.name}/{stage.name}.json"
        if self.blueprint.scope == "stage" and len(self.workload.stages) > 1:
            return f"{stage.name}_template_params.json"
        return "template_params.json"
