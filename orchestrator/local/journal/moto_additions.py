"""What moto's own classes lack, added to them when moto has loaded them: they run under the journal like the rest.

``tests/local/journal/test_moto_additions.py`` has a test for each.
"""

from __future__ import annotations

import sys
from typing import Any

DONE = "_added_by_the_embedded_aws"
DELEGATED_TOO = ("member.org.stacksets.cloudformation.amazonaws.com",)
"""Services whose administration an organization may delegate, besides those that moto knows.
https://docs.aws.amazon.com/organizations/latest/userguide/services-that-can-integrate-cloudformation.html
"""


def add() -> None:
    """Add to the modules of moto that are loaded by now; doing it again changes nothing."""
    iam, logs = sys.modules.get("moto.iam.models"), sys.modules.get("moto.logs.responses")
    if iam is not None and not hasattr(iam, DONE):
        _attach_once(iam.ManagedPolicy)
        setattr(iam, DONE, True)
    if logs is not None and not hasattr(logs, DONE):
        logs.LogsResponse.associate_kms_key = _associate_kms_key
        logs.LogsResponse.disassociate_kms_key = _disassociate_kms_key
        setattr(logs, DONE, True)
    organizations = sys.modules.get("moto.organizations.models")
    if organizations is not None and not hasattr(organizations, DONE):
        organizations.FakeDelegatedAdministrator.SUPPORTED_SERVICES.extend(DELEGATED_TOO)
        setattr(organizations, DONE, True)


def _attach_once(managed_policy: Any) -> None:
    """A policy that is attached again is attached once: moto would count it twice."""
    moto_attach_to = managed_policy.attach_to

    def attach_to(policy: Any, holder: Any) -> None:
        if policy.arn not in holder.managed_policies:
            moto_attach_to(policy, holder)

    managed_policy.attach_to = attach_to


def _associate_kms_key(response: Any) -> str:
    """https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_AssociateKmsKey.html."""
    _log_group(response).kms_key_id = response._get_param("kmsKeyId")
    return ""


def _disassociate_kms_key(response: Any) -> str:
    _log_group(response).kms_key_id = None
    return ""


def _log_group(response: Any) -> Any:
    """The log group that the request names; results of queries have no key here."""
    name = response._get_param("logGroupName")
    if not name:
        _, found, name = str(response._get_param("resourceIdentifier") or "").partition(":log-group:")
        if not found:
            raise NotImplementedError
    groups = response.logs_backend.groups
    if name.removesuffix(":*") not in groups:
        raise sys.modules["moto.logs.exceptions"].ResourceNotFoundException
    return groups[name.removesuffix(":*")]
