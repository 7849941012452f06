"""The organization whose accounts service-managed stack sets reach, asked for as AWS's own service asks.

Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/stacksets-orgs-delegated-admin.html
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from botocore.exceptions import ClientError

from orchestrator.local.services.cloudformation.faults import invalid
from orchestrator.local.world import World

PRINCIPAL = "member.org.stacksets.cloudformation.amazonaws.com"
"""For which the organization has to trust the service, and delegate its administration."""
DELEGATED = "DELEGATED_ADMIN"


def management_account(world: World, account: str, region: str, call_as: str) -> str:
    """The account in which the stack sets of a caller live: the management account, whoever made them.

    Raises ValidationError when the caller is not who it says, or the organization does not trust the service.
    """
    management = administered(world, account, region, call_as)
    if not trusted(world, management, region):
        raise invalid("You must enable organizations access to operate a service managed stack set")
    return management


def administered(world: World, account: str, region: str, call_as: str) -> str:
    """The management account of the organization whose stack sets the caller administers. Raises ValidationError."""
    try:
        organization = world.client("organizations", account, region).describe_organization()["Organization"]
    except ClientError as error:
        raise invalid(f"Account {account} is in no organization, so it has no service-managed stack sets") from error
    management = str(organization["MasterAccountId"])
    client = world.client("organizations", management, region)
    if call_as != DELEGATED and management != account:
        raise invalid(
            "You must be the management account or delegated admin account of an organization before operating a"
            " SERVICE_MANAGED stack set"
        )
    if call_as == DELEGATED:
        answer = client.list_delegated_administrators(ServicePrincipal=PRINCIPAL)
        if account not in {each["Id"] for each in answer["DelegatedAdministrators"]}:
            raise invalid(f"Account used is not a delegated administrator: {account}")
    return management


def trusted(world: World, management: str, region: str) -> bool:
    """Whether the organization trusts the service."""
    client = world.client("organizations", management, region)
    enabled = client.list_aws_service_access_for_organization()["EnabledServicePrincipals"]
    return PRINCIPAL in {each["ServicePrincipal"] for each in enabled}


def accounts_of(world: World, management: str, region: str, unit: str) -> set[str]:
    """The accounts of a unit or the root and of the units below; never the management account.

    Raises ValidationError for a unit that the organization has not.
    """
    client = world.client("organizations", management, region)
    try:
        found = set(_below(client, unit))
    except ClientError as error:
        raise invalid(f"The organizational unit {unit} was not found in the organization: {error}") from error
    return found - {management}


def _below(client: Any, parent: str) -> Iterator[str]:
    for page in client.get_paginator("list_accounts_for_parent").paginate(ParentId=parent):
        yield from (account["Id"] for account in page["Accounts"] if account["Status"] == "ACTIVE")
    for page in client.get_paginator("list_organizational_units_for_parent").paginate(ParentId=parent):
        for unit in page["OrganizationalUnits"]:
            yield from _below(client, unit["Id"])
