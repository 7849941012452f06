"""Stack sets of an organization: ordinary stacks in exactly the accounts that a unit and a list have in common."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from cloudformation_rig import REGION, Cloud, outputs, refusal
from organization import PRINCIPAL, Organization, organize

MANAGEMENT = "555555555555"
INNER = {
    "Parameters": {"Name": {"Type": "String"}, "Bad": {"Type": "String", "Default": "no"}},
    "Conditions": {"IsBad": {"Fn::Equals": [{"Ref": "Bad"}, "yes"]}},
    "Resources": {
        "Queue": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": {"Ref": "Name"}}},
        "Policy": {
            "Type": "AWS::SSM::Parameter",
            "Properties": {"Type": "String", "Name": {"Fn::If": ["IsBad", "aws/no", "/ok"]}, "Value": {"Ref": "Name"}},
        },
    },
    "Outputs": {"Name": {"Value": {"Ref": "Name"}}},
}


@pytest.fixture(scope="module")
def organization(cloud: Cloud) -> Organization:
    return organize(cloud.world.client("organizations", MANAGEMENT, REGION))


@pytest.fixture
def hub(cloud: Cloud, organization: Organization) -> Iterator[Cloud]:
    """The same embedded AWS seen from the delegated administrator."""
    yield Cloud(cloud.home, cloud._embedded, organization.hub)


def outer(name: str, organization: Organization, *accounts: str, inner: Any = INNER, **values: str) -> dict[str, Any]:
    group = {
        "DeploymentTargets": {
            "OrganizationalUnitIds": [organization.unit],
            "AccountFilterType": "INTERSECTION",
            "Accounts": list(accounts),
        },
        "Regions": [REGION],
    }
    properties = {
        "StackSetName": name,
        "PermissionModel": "SERVICE_MANAGED",
        "CallAs": "DELEGATED_ADMIN",
        "AutoDeployment": {"Enabled": False},
        "ManagedExecution": {"Active": True},
        "Capabilities": ["CAPABILITY_NAMED_IAM"],
        "TemplateBody": json.dumps(inner),
        "Parameters": [{"ParameterKey": key, "ParameterValue": value} for key, value in values.items()],
        "OperationPreferences": {"FailureToleranceCount": 0, "MaxConcurrentCount": 1},
        "StackInstancesGroup": [group],
    }
    return {"Resources": {"Set": {"Type": "AWS::CloudFormation::StackSet", "Properties": properties}}}


def instances(hub: Cloud, name: str) -> dict[str, dict[str, Any]]:
    found = hub.cf.list_stack_instances(StackSetName=name, CallAs="DELEGATED_ADMIN")["Summaries"]
    return {each["Account"]: each for each in found}


def stacks_of(hub: Cloud, account: str, name: str) -> list[dict[str, Any]]:
    client = hub.world.client("cloudformation", account, REGION)
    return [each for each in client.describe_stacks()["Stacks"] if name in each["StackName"]]


def test_a_stack_set_makes_changes_and_removes_ordinary_stacks(hub: Cloud, organization: Organization) -> None:
    name, (first, second) = hub.name("set"), organization.members
    asked = (first, organization.outside, organization.management)
    stack = hub.create(outer(name, organization, *asked, Name="one"), f"{name}-outer")
    assert stack["StackStatus"] == "CREATE_COMPLETE", hub.failures(stack)
    assert list(instances(hub, name)) == [first], "an account outside the unit gets nothing, nor does the management's"
    (inner,) = stacks_of(hub, first, name)
    assert inner["StackName"].startswith(f"StackSet-{name}-")
    assert outputs(inner) == {"Name": "one"}
    assert "RoleARN" not in inner
    instance = instances(hub, name)[first]
    assert (instance["StackId"], instance["Status"]) == (inner["StackId"], "CURRENT")
    assert instance["OrganizationalUnitId"] == organization.unit

    stack = hub.update(stack, outer(name, organization, first, second, Name="two"))
    assert stack["StackStatus"] == "UPDATE_COMPLETE", hub.failures(stack)
    (changed,) = stacks_of(hub, first, name)
    assert changed["StackId"] == inner["StackId"]
    assert [outputs(stacks_of(hub, each, name)[0]) for each in (first, second)] == [{"Name": "two"}] * 2

    stack = hub.update(stack, outer(name, organization, second, Name="two"))
    assert stack["StackStatus"] == "UPDATE_COMPLETE", hub.failures(stack)
    assert (stacks_of(hub, first, name), list(instances(hub, name))) == ([], [second])

    assert hub.delete(stack)["StackStatus"] == "DELETE_COMPLETE", hub.failures(stack)
    assert stacks_of(hub, second, name) == []
    with pytest.raises(ClientError) as told:
        instances(hub, name)
    assert refusal(told.value)[0] == "StackSetNotFoundException"


def test_a_stack_that_fails_fails_the_resource_with_its_own_reason(hub: Cloud, organization: Organization) -> None:
    name, (first, second) = hub.name("set"), organization.members
    stack = hub.create(outer(name, organization, first, second, Name="bad", Bad="yes"), f"{name}-outer")
    assert stack["StackStatus"] == "ROLLBACK_COMPLETE"
    reason = hub.reason(stack, "Set", "CREATE_FAILED")
    assert "was unexpectedly stopped or failed" in reason
    assert "ResourceLogicalId:Policy, ResourceType:AWS::SSM::Parameter" in reason
    assert stacks_of(hub, first, name) == stacks_of(hub, second, name) == [], "the second was never begun"


def test_an_update_that_fails_goes_back_in_both_stacks(hub: Cloud, organization: Organization) -> None:
    name, first = hub.name("set"), organization.members[0]
    stack = hub.create(outer(name, organization, first, Name=f"{name}-a"), f"{name}-outer")
    assert stack["StackStatus"] == "CREATE_COMPLETE", hub.failures(stack)
    stack = hub.update(stack, outer(name, organization, first, Name=f"{name}-a", Bad="yes"))
    assert stack["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE", hub.history(stack)
    assert "ResourceLogicalId:Policy" in hub.reason(stack, "Set", "UPDATE_FAILED")
    assert instances(hub, name)[first]["Status"] == "CURRENT"
    (inner,) = stacks_of(hub, first, name)
    assert inner["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    operations = hub.cf.list_stack_set_operations(StackSetName=name, CallAs="DELEGATED_ADMIN")["Summaries"]
    assert [(each["Action"], each["Status"]) for each in operations] == [
        ("UPDATE", "SUCCEEDED"), ("UPDATE", "FAILED"), ("CREATE", "SUCCEEDED"),
    ]  # fmt: skip
    assert hub.delete(stack)["StackStatus"] == "DELETE_COMPLETE"


def test_a_restart_in_the_midst_makes_each_stack_once(cloud: Cloud, organization: Organization) -> None:
    hub = Cloud(cloud.home, cloud._embedded, organization.hub)
    name = hub.name("set")
    body = json.dumps(outer(name, organization, *organization.members, Name="kept"))
    stack = hub.cf.create_stack(StackName=f"{name}-outer", TemplateBody=body)["StackId"]
    time.sleep(0.15)
    cloud.restart()
    hub = Cloud(cloud.home, cloud._embedded, organization.hub)
    settled = hub.wait(stack)
    assert settled["StackStatus"] == "CREATE_COMPLETE", hub.failures(settled)
    assert [len(stacks_of(hub, each, name)) for each in organization.members] == [1, 1]


@pytest.mark.parametrize(
    ("account", "call_as", "says"),
    [
        ("hub", "SELF", "management account or delegated admin"),
        ("outside", "DELEGATED_ADMIN", "not a delegated administrator"),
        ("stranger", "SELF", "is in no organization"),
    ],
)
def test_who_may_not_have_stack_sets(
    hub: Cloud, organization: Organization, account: str, call_as: str, says: str
) -> None:
    numbers = {"hub": organization.hub, "outside": organization.outside, "stranger": "777777777777"}
    client = hub.world.client("cloudformation", numbers[account], REGION)
    with pytest.raises(ClientError, match=says):
        client.list_stack_instances(StackSetName="any", CallAs=call_as)


def test_the_organization_trusts_the_service(hub: Cloud, organization: Organization) -> None:
    assert hub.cf.describe_organizations_access(CallAs="DELEGATED_ADMIN")["Status"] == "ENABLED"
    client = hub.world.client("cloudformation", organization.management, REGION)
    organizations = hub.world.client("organizations", organization.management, REGION)
    organizations.disable_aws_service_access(ServicePrincipal=PRINCIPAL)
    assert client.describe_organizations_access()["Status"] == "DISABLED"
    with pytest.raises(ClientError, match="enable organizations access"):
        hub.cf.list_stack_instances(StackSetName="any", CallAs="DELEGATED_ADMIN")
    client.activate_organizations_access()
    assert client.describe_organizations_access()["Status"] == "ENABLED"


def test_the_management_account_calls_as_itself(hub: Cloud, organization: Organization) -> None:
    client, name = hub.world.client("cloudformation", organization.management, REGION), hub.name("set")
    client.create_stack_set(StackSetName=name, PermissionModel="SERVICE_MANAGED", TemplateBody=json.dumps(INNER),
                            Parameters=[{"ParameterKey": "Name", "ParameterValue": "x"}])  # fmt: skip
    described = hub.cf.describe_stack_set(StackSetName=name, CallAs="DELEGATED_ADMIN")["StackSet"]
    assert f":{organization.management}:stackset/{name}:" in described["StackSetARN"]
    client.delete_stack_set(StackSetName=name)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"PermissionModel": "SELF_MANAGED"}, "self-managed permissions"),
        ({"AutoDeployment": {"Enabled": True, "RetainStacksOnAccountRemoval": False}}, "automatic deployment"),
        ({"AdministrationRoleARN": "arn:aws:iam::111111111111:role/admin"}, "AdministrationRoleARN"),
    ],
)
def test_what_is_not_built_is_refused_by_name(
    hub: Cloud, organization: Organization, change: dict[str, Any], says: str
) -> None:
    template = outer("any", organization, organization.members[0], Name="x")
    template["Resources"]["Set"]["Properties"] |= change
    with pytest.raises(ClientError, match=says):
        hub.cf.create_stack(StackName=hub.name(), TemplateBody=json.dumps(template))


def test_targets_without_a_list_of_accounts_are_refused(hub: Cloud, organization: Organization) -> None:
    template = outer(hub.name("set"), organization, organization.members[0], Name="x")
    group = template["Resources"]["Set"]["Properties"]["StackInstancesGroup"][0]
    group["DeploymentTargets"] = {"OrganizationalUnitIds": [organization.unit]}
    with pytest.raises(ClientError, match="INTERSECTION"):
        hub.cf.create_stack(StackName=hub.name(), TemplateBody=json.dumps(template))
    name = hub.name("set")
    hub.cf.create_stack_set(
        StackSetName=name, PermissionModel="SERVICE_MANAGED", CallAs="DELEGATED_ADMIN", TemplateBody=json.dumps(INNER),
        Parameters=[{"ParameterKey": "Name", "ParameterValue": "x"}],
    )  # fmt: skip
    with pytest.raises(ClientError, match="INTERSECTION"):
        hub.cf.create_stack_instances(StackSetName=name, CallAs="DELEGATED_ADMIN", **group)
