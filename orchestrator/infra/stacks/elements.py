"""The elements that stacks are made of: parameters, conditions, outputs, roles with their policies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from aws_cdk import CfnCondition, CfnOutput, CfnParameter, CfnResource, Stack, Token
from aws_cdk import aws_iam as iam

from orchestrator.infra.rights.statement import Policy, Value, document
from orchestrator.infra.stacks.parameters import Groups

NOTHING: Value = {"Ref": "AWS::NoValue"}


def text(value: Value) -> str:
    """A function of CloudFormation where CDK wants text."""
    return Token.as_string(value)


def ref(name: str) -> str:
    """``Ref`` where CDK wants text."""
    return Token.as_string({"Ref": name})


def chosen(condition: str, then: Value, otherwise: Value = NOTHING) -> Value:
    """``Fn::If``; nothing at all where no other value is given."""
    return {"Fn::If": [condition, then, otherwise]}


def declare(stack: Stack, groups: Groups) -> None:
    """Declare the parameters, and how the console groups them."""
    for parameter in (one for group in groups.values() for one in group):
        CfnParameter(
            stack,
            parameter.name,
            type=parameter.kind,
            description=parameter.description,
            default=parameter.default,
            allowed_pattern=parameter.pattern or None,
            allowed_values=list(parameter.choices) or None,
            max_length=parameter.longest or None,
        )
    shown = [
        {"Label": {"default": label}, "Parameters": [parameter.name for parameter in group]}
        for label, group in groups.items()
    ]
    stack.template_options.metadata = {"AWS::CloudFormation::Interface": {"ParameterGroups": shown}}


def condition(stack: Stack, name: str, expression: Mapping[str, Any]) -> None:
    """A condition from its expression."""
    CfnCondition(stack, name, expression=Token.as_any(dict(expression)))


def given(name: str) -> dict[str, Any]:
    """The expression: the parameter is not empty."""
    return {"Fn::Not": [{"Fn::Equals": [{"Ref": name}, ""]}]}


def list_given(name: str) -> dict[str, Any]:
    """The expression: the list is not empty."""
    return {"Fn::Not": [{"Fn::Equals": [{"Fn::Join": ["", {"Ref": name}]}, ""]}]}


def is_yes(name: str) -> dict[str, Any]:
    """The expression: the parameter is Yes."""
    return {"Fn::Equals": [{"Ref": name}, "Yes"]}


def only_if(resource: CfnResource, condition: str) -> None:
    """Make the resource depend on a condition."""
    resource.add_override("Condition", condition)


def kept(resource: CfnResource) -> None:
    """Deleting the stack leaves the resource and what it holds, unless the stack never came up."""
    resource.add_override("DeletionPolicy", "RetainExceptOnCreate")
    resource.add_override("UpdateReplacePolicy", "Retain")


def found(stack: Stack, name: str) -> CfnResource:
    """A resource that was made before."""
    return cast(CfnResource, stack.node.find_child(name))


def accepted(resource: CfnResource, reason: str, *checks: str) -> None:
    """Checks of checkov that do not apply here, with the reason."""
    resource.add_metadata("checkov", {"skip": [{"id": check, "comment": reason} for check in checks]})


def output(stack: Stack, name: str, description: str, value: Value, condition: str = "") -> None:
    """An output; it may bear the name of a resource."""
    made = CfnOutput(stack, f"Output{name}", description=description, value=text(value))
    made.override_logical_id(name)
    if condition:
        made.condition = cast(CfnCondition, stack.node.find_child(condition))


def role(
    stack: Stack,
    name: str,
    role_name: str,
    description: str,
    trust: Mapping[str, Any],
    policies: Mapping[str, Policy],
    conditional: Mapping[str, tuple[str, Policy]] | None = None,
) -> iam.CfnRole:
    """A role with its policies; ``conditional`` ones (name -> condition, policy) come only when theirs holds."""
    for one, policy in policies.items():
        _policy(stack, one, description, policy)
    arns: list[Value] = [{"Ref": one} for one in policies]
    for one, (when, policy) in (conditional or {}).items():
        extra = _policy(stack, one, description, policy)
        only_if(extra, when)
        arns.append(chosen(when, {"Ref": one}))
    made = iam.CfnRole(
        stack,
        name,
        role_name=text({"Fn::Sub": role_name}),
        description=description,
        assume_role_policy_document=dict(trust),
        permissions_boundary=text(chosen("HasPermissionsBoundary", {"Ref": "PermissionsBoundaryArn"})),
    )
    made.add_property_override("ManagedPolicyArns", arns)
    return made


def _policy(stack: Stack, name: str, description: str, policy: Policy) -> iam.CfnManagedPolicy:
    return iam.CfnManagedPolicy(stack, name, description=description, policy_document=document(policy))
