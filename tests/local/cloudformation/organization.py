"""An organization with a unit of accounts, as its administrators make it; the hub may be a delegated administrator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

REGION = "us-east-1"
PRINCIPAL = "member.org.stacksets.cloudformation.amazonaws.com"


@dataclass(frozen=True)
class Organization:
    """``hub`` is a member outside the unit and administers stack sets; ``members`` are the accounts of the unit."""

    management: str
    root: str
    unit: str
    hub: str
    members: tuple[str, ...]
    outside: str


def organize(organizations: Any, members: int = 2) -> Organization:
    """Make an organization with ``organizations``, the client of the account that will manage it."""
    organizations.create_organization(FeatureSet="ALL")
    organizations.enable_aws_service_access(ServicePrincipal=PRINCIPAL)
    root = organizations.list_roots()["Roots"][0]["Id"]
    unit = organizations.create_organizational_unit(ParentId=root, Name="stages")["OrganizationalUnit"]["Id"]
    below = organizations.create_organizational_unit(ParentId=unit, Name="below")["OrganizationalUnit"]["Id"]
    names = ["hub", "outside", *(f"member-{number}" for number in range(members))]
    made = [_account(organizations, name) for name in names]
    for number, account in enumerate(made[2:]):  # the first lies deeper than the others
        organizations.move_account(
            AccountId=account, SourceParentId=root, DestinationParentId=below if number == 0 else unit
        )
    organizations.register_delegated_administrator(AccountId=made[0], ServicePrincipal=PRINCIPAL)
    management = organizations.describe_organization()["Organization"]["MasterAccountId"]
    return Organization(management, root, unit, made[0], tuple(made[2:]), made[1])


def _account(organizations: Any, name: str) -> str:
    answer = organizations.create_account(AccountName=name, Email=f"{name}@example.com")
    return str(answer["CreateAccountStatus"]["AccountId"])
