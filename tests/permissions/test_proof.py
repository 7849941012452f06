"""What is granted is what is needed, both ways: nothing is missing, and nothing is there without a reason.

What is needed is derived (``needs.py``); what is granted stands in the launch templates and the renderings.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from tests.blueprints.resolving import resolved, stack_of
from tests.blueprints.walking import EXAMPLES, FRAME_STAGES, Example, frame_of, templates
from tests.corridor.launch import MULTI, SINGLE, STAGE, allowed, resources
from tests.permissions import needs

HUBS = {"single": resources(SINGLE), "multi": resources(MULTI)}
STAGE_ACCOUNT = resources(STAGE)

Reasons = dict[str, str]
"""A pattern of actions -> why they are granted though no call of ours and no handler needs them."""


def explained(superfluous: set[str], reasons: Reasons) -> tuple[list[str], list[str]]:
    """(what no reason explains, reasons that explain nothing)."""
    left = sorted(one for one in superfluous if not any(re.fullmatch(pattern, one) for pattern in reasons))
    idle = [pattern for pattern in reasons if not any(re.fullmatch(pattern, one) for one in superfluous)]
    return left, idle


# ---- the function ----

FUNCTION_REASONS: Reasons = {
    r"logs:(CreateLogStream|PutLogEvents)": "Lambda writes the function's log with its role",
    r"sqs:SendMessage": "Lambda puts failed events into the dead-letter queue with the function's role",
    r"xray:.*": "Lambda sends traces with the function's role",
    r"ec2:.*": "Lambda joins the VPC with the function's role",
    r"kms:(Decrypt|GenerateDataKey)": "the topic and the buckets are encrypted with the deployment's key",
    r"iam:PassRole": "a stack is made with CloudFormation's role",
    r"cloudformation:TagResource": "stacks are made with tags",
    r"s3:GetObjectVersion": "a config is read as the version that the event tells of",
}


ORGANISATION_REASONS: Reasons = {
    r"organizations:ListDelegatedAdministrators": "AWS asks it of a delegated administrator of stack sets",
}


@pytest.mark.parametrize("hub", sorted(HUBS))
def test_the_function_may_make_each_of_its_calls_and_nothing_else(hub: str) -> None:
    among = HUBS[hub]
    needed = needs.of_our_calls("the Lambda")
    granted = allowed(among["FunctionRole"], among)
    in_stages = allowed(among["ReadRole"], among) | allowed(among["ActionRole"], among)
    assert len(needed) > 25
    assert needed - granted - in_stages - {"sts:GetCallerIdentity"} == set()
    reasons = FUNCTION_REASONS | (ORGANISATION_REASONS if hub == "multi" else {})
    assert explained(granted - needed, reasons) == ([], [])


READING_REASONS: Reasons = {
    r"logs:.*|states:GetExecutionHistory": "`mlops logs` and `mlops status` look at the jobs of a stage",
}


def test_the_reading_role_reads_what_we_read() -> None:
    granted = allowed(STAGE_ACCOUNT["ReadRole"], STAGE_ACCOUNT)
    assert {one for one in granted if not re.match(r"\w+:(Describe|List|Get|Filter|BatchGet)", one)} == set()
    needed = needs.of_our_calls("the Lambda") | needs.of_our_calls("the command line")
    assert explained(granted - needed, READING_REASONS) == ([], [])


# ---- CloudFormation ----

DEPLOYING_REASONS: Reasons = {
    r"sagemaker:DescribeModelPackage": "a model of a package of another account is made by looking at it",
}


def types_of(bodies: Iterator[Any]) -> set[str]:
    return {resource["Type"] for body in bodies for resource in body["Resources"].values()}


def frames() -> Iterator[Any]:
    yield from (json.loads(frame_of(stages)) for stages in FRAME_STAGES.values())
    yield from (json.loads(example.rendering.pipeline_template) for example in EXAMPLES)


def stacks() -> Iterator[Any]:
    for example in EXAMPLES:
        yield from templates(example.rendering).values()


DEPLOYERS = [
    *((f"the hub's ({name})", among, "CloudFormationRole", frames) for name, among in HUBS.items()),
    ("a stage's", STAGE_ACCOUNT, "DeployRole", stacks),
]


@pytest.mark.parametrize("name, among, role, bodies", DEPLOYERS, ids=[deployer[0] for deployer in DEPLOYERS])
def test_cloudformation_may_do_nothing_that_its_resources_do_not_need(
    name: str, among: Any, role: str, bodies: Any
) -> None:
    kinds = types_of(bodies())
    needed = {action for kind in kinds for action in needs.of_resource_type(kind)}
    left, _ = explained(allowed(among[role], among) - needed, DEPLOYING_REASONS)
    assert left == [], f"nothing in {sorted(kinds)} needs them"


STACK_SET_REASONS: Reasons = {
    r"organizations:ListDelegatedAdministrators": "AWS asks it of a delegated administrator of stack sets",
    r"s3:GetObject": "a template is read with the rights of who asks for the stack set",
}


def test_cloudformation_may_roll_stack_sets_out_of_the_hub_and_nothing_else() -> None:
    among = HUBS["multi"]
    needed = needs.of_resource_type("AWS::CloudFormation::StackSet") - {"iam:PassRole", "cloudformation:ListStackSets"}
    granted = allowed(among["DeployRole"], among)
    more = granted - allowed(STAGE_ACCOUNT["DeployRole"], STAGE_ACCOUNT)
    assert needed - granted == set()
    assert explained(more - needed, STACK_SET_REASONS) == ([], [])


# ---- the roles that our templates make ----


SHARED = {
    resource["Properties"]["ManagedPolicyName"]["Fn::Sub"].replace("${NamePrefix}", "mlops"): resource
    for resource in STAGE_ACCOUNT.values()
    if resource["Type"] == "AWS::IAM::ManagedPolicy" and "ManagedPolicyName" in resource["Properties"]
}
"""Policies of the launch templates that roles of projects have beside their own, by name."""


def own_statements(properties: dict[str, Any], made: Mapping[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """The statements of the policies that stand in the same template as the role."""
    assert "Policies" not in properties
    own = [made[arn.removesuffix("-ref")] for arn in properties["ManagedPolicyArns"] if arn.endswith("-ref")]
    return [statement for policy in own for statement in policy["PolicyDocument"]["Statement"]]


def granted_to(properties: dict[str, Any], made: Mapping[str, dict[str, Any]]) -> set[str]:
    """All that a role of a rendered template may do."""
    found = {action for statement in own_statements(properties, made) for action in listed(statement["Action"])}
    for arn in properties["ManagedPolicyArns"]:
        if not arn.endswith("-ref"):
            found |= allowed(SHARED[arn.rpartition("/")[2]], {})
    return found


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


MACHINE_REASONS: Reasons = {
    r"logs:.*": "Step Functions delivers the log of executions",
    r"xray:.*": "Step Functions traces executions",
    r"sagemaker:List\w+Jobs": "one policy lets every state machine look for finished jobs of any kind",
    r"iam:PassRole": "jobs run with roles of their own",
    r"sagemaker:AddTags": "jobs are made with tags",
    r"sagemaker:ListTags": "Step Functions looks for the tag of its own jobs",
    r"kms:.*": "what is encrypted with the config's key",
    r"s3:.*": "SageMaker looks at data and models with the role of who registers or starts",
    r"ecr:.*": "SageMaker looks at the image with the role of who registers",
}


def machines() -> Iterator[tuple[str, dict[str, Any], set[str]]]:
    """(where, state machine, what its role may do) of every stack of every example."""
    for example in EXAMPLES:
        for pipeline in example.plan.pipelines:
            for number in range(len(pipeline.stacks)):
                made = stack_of(example, pipeline, stage=number)
                for name, properties in made.items():
                    if "Definition" in properties and "RoleArn" in properties:
                        role = made[properties["RoleArn"].rpartition("/")[2]]
                        yield f"{example}/{pipeline.name}/{number}/{name}", properties, granted_to(role, made)


MACHINES = {where: (machine, granted) for where, machine, granted in machines()}


@pytest.mark.parametrize("where", MACHINES)
def test_a_state_machine_may_do_what_its_tasks_do(where: str) -> None:
    machine, granted = MACHINES[where]
    tasks = list(needs.integrations(machine["Definition"]))
    needed = {action for task in tasks for action in needs.of_integration(task)}
    assert tasks
    assert needed - granted == set()
    left, _ = explained(granted - needed, MACHINE_REASONS)
    assert left == []


PIPELINE_NEEDS = {
    "S3": {"s3:GetBucketVersioning", "s3:GetObject", "s3:GetObjectTagging", "s3:GetObjectVersion"},
    "StepFunctions": {"states:DescribeExecution", "states:DescribeStateMachine", "states:StartExecution"},
    "Lambda": {"lambda:InvokeFunction"},
    "Manual": {"sns:Publish"},
    "CloudFormation": set(),
    "CodeBuild": {"codebuild:BatchGetBuilds", "codebuild:StartBuild"},
}
"""By provider of an action that runs with the pipeline's own role.

https://docs.aws.amazon.com/codepipeline/latest/userguide/how-to-custom-role.html"""
ALWAYS = {
    "kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey", "s3:GetBucketLocation", "s3:GetObject",
    "s3:GetObjectVersion", "s3:ListBucket", "s3:PutObject", "sts:AssumeRole",
}  # fmt: skip
"""Artifacts in an encrypted bucket, and actions with roles of their own."""
OF_THE_FRAME = {"lambda:InvokeFunction", "sns:Publish"}
"""On the deployment's own function and topic alone: the frame's role is the same whether or not a pipeline has
approvals and actions that ask the orchestrator."""


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_a_pipelines_role_may_do_what_its_actions_do(example: Example) -> None:
    made = resolved(example.rendering.pipeline_template, example.plan.pipeline_parameters)
    for pipeline in (properties for properties in made.values() if "Stages" in properties):
        providers = {
            action["ActionTypeId"]["Provider"]
            for stage in pipeline["Stages"]
            for action in stage["Actions"]
            if "RoleArn" not in action or action["ActionTypeId"]["Provider"] == "S3"
        }
        everything = {action["ActionTypeId"]["Provider"] for stage in pipeline["Stages"] for action in stage["Actions"]}
        granted = granted_to(made[pipeline["RoleArn"].rpartition("/")[2]], made)
        needed = ALWAYS | {action for provider in providers for action in PIPELINE_NEEDS[provider]}
        used = ALWAYS | {action for provider in everything for action in PIPELINE_NEEDS[provider]}
        assert needed - granted == set()
        assert granted - used <= OF_THE_FRAME


def test_a_reason_that_explains_nothing_is_told() -> None:
    assert explained({"a:B", "c:D"}, {r"a:.*": "yes", r"e:.*": "no"}) == (["c:D"], [r"e:.*"])
