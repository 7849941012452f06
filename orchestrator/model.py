"""The values that walk through the corridor. All are frozen: a room takes one and gives the next.

config -> Workload -> Plan -> Rendering -> Bundle -> Receipt; Status is read back from AWS.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

Scope = Literal["hub", "stage"]
Deployment = Literal["change_set", "stackset"]
"""How the stages' stacks come about: by change sets in their accounts, or by stack sets of the organization."""
CHANGE_SETS: Final = "change_set"
STACK_SETS: Final = "stackset"
SEPARATE = "-codepipeline"
"""Ends the name of a CodePipeline's stack, so that a stack of its pipelines may have the project's own name; some types
(``bare_stack``) do without."""


@dataclass(frozen=True, slots=True)
class Stage:
    """One environment: where it is and whether a person approves before it is changed.

    ``organizational_unit`` is the unit (or the root) of the organization that holds the account; stack sets ask for it.
    """

    name: str
    account: str
    region: str
    approval: bool = False
    organizational_unit: str = ""


@dataclass(frozen=True, slots=True)
class Reference:
    """``{"from": "<pipeline>"}`` in a config: this value is a result of another pipeline of the workload."""

    pipeline: str
    result: str


@dataclass(frozen=True, slots=True)
class PipelineSpec:
    """One pipeline of a workload after validation: known keys only, old names replaced, defaults filled in.

    ``config`` holds plain JSON values; a value that is a reference is absent from it and stands in
    ``references`` under its key. A value may be a per-stage object where the schema allows one.
    """

    name: str
    pipeline_type: str
    kind: str
    config: Mapping[str, Any]
    references: Mapping[str, Reference] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Workload:
    """A valid config. ``form`` is 1 for the one-pipeline form and 2 for the workload form."""

    form: Literal[1, 2]
    model_name: str
    stages: tuple[Stage, ...]
    pipelines: tuple[PipelineSpec, ...]
    description: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    source: Mapping[str, Any] = field(default_factory=dict)
    deployment: Deployment = CHANGE_SETS


@dataclass(frozen=True, slots=True)
class StackPlan:
    """One CloudFormation stack to be: where, its name, its parameter values and its job's input.

    Where ``stack_set`` has a name, the stack of that name stands in the hub and holds a stack set of the same name,
    which makes the pipeline's own stack in the stage's account.
    """

    stage: Stage
    stack_name: str
    parameters: Mapping[str, str]
    parameters_file: str
    job_input: Mapping[str, Any] | None = None
    job_input_file: str = ""
    state_machine_arn: str = ""
    stack_set: str = ""


@dataclass(frozen=True, slots=True)
class PipelinePlan:
    """One pipeline of the plan: the template it renders and the stacks it becomes.

    ``overrides`` maps a template parameter to the result of an earlier pipeline that CodePipeline fills in
    at run time. ``shape`` is what the template's Jinja may look at. ``stack_set_file`` is the template of the stacks
    that hold stack sets, where stack sets deploy the pipeline.
    """

    name: str
    kind: str
    scope: Scope
    template_file: str
    shape: Mapping[str, Any]
    stacks: tuple[StackPlan, ...]
    overrides: Mapping[str, Reference] = field(default_factory=dict)
    results: tuple[str, ...] = ()
    review: str = ""
    accept: str = ""
    verify: bool = False
    stack_set_file: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """Every decision made, nothing done. ``project`` names the CodePipeline and prefixes every stack."""

    project: str
    model_name: str
    stages: tuple[Stage, ...]
    pipelines: tuple[PipelinePlan, ...]
    pipeline_stack: str
    bundle_key: str
    pipeline_parameters: Mapping[str, str]
    tags: Mapping[str, str] = field(default_factory=dict)
    description: str = ""
    source: Mapping[str, Any] = field(default_factory=dict)
    deployment: Deployment = CHANGE_SETS


@dataclass(frozen=True, slots=True)
class Rendering:
    """The files of the bundle (path -> bytes) and the template of the CodePipeline stack (canonical JSON).

    ``templates`` are what stack sets take from the blueprint bucket: key -> bytes; a key is of its content.
    """

    files: Mapping[str, bytes]
    pipeline_template: str
    templates: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Bundle:
    """The reproducible zip of a rendering; ``digest`` is the SHA-256 (hex) of its bytes."""

    digest: str
    data: bytes


Outcome = Literal["created", "updated", "unchanged"]


@dataclass(frozen=True, slots=True)
class Receipt:
    """What provisioning did. ``pipeline_id`` is the ARN of the CodePipeline stack."""

    outcome: Outcome
    project: str
    pipeline_id: str
    bundle_digest: str
    message: str
