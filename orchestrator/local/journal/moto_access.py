"""What moto knows of who may do what: principals with their policies, and the policies and keys of resources.

With ``moto_app.py`` the only place that touches moto's objects; ``tests/local/journal/test_moto_access.py`` has a test
for each function. Nothing is made by looking: moto makes a backend whenever one is asked for.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from orchestrator.local.journal.moto_app import backend_dicts, s3

Documents = tuple[tuple[str, str], ...]
"""(where a policy is, its JSON)."""


@dataclass(frozen=True, slots=True)
class Principal:
    """A role or a user. ``trust`` is a role's alone; of the boundary "" is the place where there is none."""

    arn: str
    identity: str
    policies: Documents
    boundary: tuple[str, str] = ("", "")
    trust: str = ""
    tags: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Bucket:
    """``key`` is the KMS key of the bucket's default encryption, '' when it has none of its own."""

    owner: str
    region: str
    policy: str = ""
    key: str = ""


def _backend(service: str, account: str, region: str) -> Any:
    """A backend that is in use, else None."""
    accounts = backend_dicts().get(service)
    if accounts is None or account not in accounts:
        return None
    return dict.get(accounts[account], region)


def _iam(account: str) -> Any:
    accounts = backend_dicts().get("iam")
    if accounts is None or account not in accounts:
        return None
    return next(iter(list(dict.values(accounts[account]))), None)


def role(account: str, name: str) -> Principal | None:
    """The role of this name."""
    iam = _iam(account)
    found = next((one for one in list(iam.roles.values()) if one.name == name), None) if iam else None
    if found is None:
        return None
    boundary = found.permissions_boundary_arn or ""
    return Principal(
        found.arn,
        found.id,
        (*_inline(found), *_attached(found)),
        (boundary, managed_policy(account, boundary)) if boundary else ("", ""),
        found.assume_role_policy_document,
        _tags(found.tags),
    )


def user(account: str, name: str) -> Principal | None:
    """The user of this name, with the policies of its groups."""
    iam = _iam(account)
    found = iam.users.get(name) if iam else None
    if found is None:
        return None
    groups = [group for group in list(iam.groups.values()) if found in group.users]
    policies = [each for holder in (found, *groups) for each in (*_inline(holder), *_attached(holder))]
    return Principal(found.arn, found.id, tuple(policies))


def user_of_key(access_key: str) -> tuple[str, str] | None:
    """(account, name) of the user whose key it is."""
    for account, partitions in list((backend_dicts().get("iam") or {}).items()):
        for backend in list(dict.values(partitions)):
            if access_key in backend.access_keys:
                return str(account), str(backend.access_keys[access_key].user_name)
    return None


def session_of_key(access_key: str, account: str) -> tuple[str, str] | None:
    """(ARN of the role, name of the session) behind a temporary key, as long as moto remembers it."""
    for backend in list(dict.values((backend_dicts().get("sts") or {}).get(account, {}))):
        for one in reversed(list(backend.assumed_roles)):
            if one.access_key_id == access_key:
                return str(one.role_arn), str(one.session_name)
    return None


def _inline(holder: Any) -> Iterable[tuple[str, str]]:
    return ((f"the inline policy {name} of {holder.name}", _text(text)) for name, text in list(holder.policies.items()))


def _attached(holder: Any) -> Iterable[tuple[str, str]]:
    return ((arn, _default_version(policy)) for arn, policy in list(holder.managed_policies.items()))


def _default_version(policy: Any) -> str:
    return _text(next(one.document for one in policy.versions if one.version_id == policy.default_version_id))


def managed_policy(account: str, arn: str) -> str:
    """The default version of a managed policy that an account has or AWS keeps; of one that is not there, nothing."""
    iam = _iam(account)
    policy = iam.managed_policies.get(arn) if iam else None
    return _default_version(policy) if policy is not None else '{"Version": "2012-10-17", "Statement": []}'


def managed_policies(account: str) -> dict[str, int]:
    """The ARNs of an account's managed policies (and of AWS's, where moto has them) with the number of versions."""
    iam = _iam(account)
    return {str(arn): len(policy.versions) for arn, policy in list(iam.managed_policies.items())} if iam else {}


def attached_policies(account: str, kind: str, name: str) -> frozenset[str]:
    """The ARNs of the managed policies of a ``Role``, ``User`` or ``Group``."""
    found = next((one for one in _holders(account, kind) if one.name == name), None)
    return frozenset(found.managed_policies) if found else frozenset()


def is_attached(account: str, arn: str) -> bool:
    """Whether any role, user or group of the account has the managed policy."""
    return any(arn in one.managed_policies for kind in ("Role", "User", "Group") for one in _holders(account, kind))


def _holders(account: str, kind: str) -> list[Any]:
    iam = _iam(account)
    return list({"Role": iam.roles, "User": iam.users, "Group": iam.groups}[kind].values()) if iam else []


def _tags(tags: Any) -> tuple[tuple[str, str], ...]:
    if isinstance(tags, dict):
        values = [(key, value["Value"] if isinstance(value, dict) else value) for key, value in tags.items()]
        return tuple((str(key), str(value)) for key, value in values)
    return tuple((str(tag["Key"]), str(tag["Value"])) for tag in tags or ())


def _text(document: Any) -> str:
    if isinstance(document, bytes):
        return document.decode()
    return document if isinstance(document, str) else json.dumps(document)


# ---- resources ----


def bucket(name: str) -> Bucket | None:
    """A bucket, whoever owns it."""
    partition, account = s3.s3_backends.bucket_accounts.get(name, ("", ""))
    found = s3.s3_backends[account][partition].buckets.get(name) if account else None
    if found is None:
        return None
    rule = (found.encryption or {}).get("Rule", {}).get("ApplyServerSideEncryptionByDefault", {})
    key = rule.get("KMSMasterKeyID", "") if "kms" in str(rule.get("SSEAlgorithm", "")) else ""
    return Bucket(account, found.region_name, _text(found.policy) if found.policy else "", key or "")


def key_of_object(name: str, key: str, version: str = "") -> str:
    """The KMS key an object is encrypted with, '' for AWS's own or an object that is not there."""
    partition, account = s3.s3_backends.bucket_accounts.get(name, ("", ""))
    found = s3.s3_backends[account][partition].buckets.get(name) if account else None
    if found is None:
        return ""
    versions = [one for one in found.keys.getlist(key, default=[]) if version in ("", str(one.version_id))]
    encrypted = versions and "kms" in str(getattr(versions[-1], "encryption", "") or "")
    return str(versions[-1].kms_key_id or "") if encrypted else ""


def has_object(name: str, key: str) -> bool:
    """Whether the bucket has the object now."""
    partition, account = s3.s3_backends.bucket_accounts.get(name, ("", ""))
    found = s3.s3_backends[account][partition].buckets.get(name) if account else None
    return found is not None and key in found.keys


def kms_key(account: str, region: str, name: str) -> tuple[str, str] | None:
    """(ARN, policy) of a key by its id, alias or ARN."""
    if name.startswith("arn:"):
        _, _, _, region, account, name = name.split(":", 5)
        name = name.removeprefix("key/")
    backend = _backend("kms", account, region)
    if backend is None:
        return None
    for key in list(backend.keys.values()):
        if name == key.id or name in key.aliases:
            return str(key.arn), _text(key.policy)
    return None


KEY_ID_CHARACTERS = 36


def key_of_ciphertext(blob: bytes) -> str:
    """The id of the key that encrypted something: moto writes it in front."""
    return blob[:KEY_ID_CHARACTERS].decode("ascii", "replace")


def topic(arn: str) -> tuple[str, str] | None:
    """(policy, KMS key or '') of a topic."""
    account, region = arn.split(":")[4], arn.split(":")[3]
    backend = _backend("sns", account, region)
    found = backend.topics.get(arn) if backend else None
    return (_text(found.policy), str(found.kms_master_key_id or "")) if found is not None else None


def queue(arn: str) -> tuple[str, str] | None:
    """(policy or '', KMS key or '') of a queue."""
    _, _, _, region, account, name = arn.split(":", 5)
    backend = _backend("sqs", account, region)
    found = backend.queues.get(name) if backend else None
    if found is None:
        return None
    return _text(found.policy) if found.policy else "", str(getattr(found, "kms_master_key_id", "") or "")


def repository(arn: str) -> str:
    """The policy of an image repository, '' when it has none."""
    _, _, _, region, account, name = arn.split(":", 5)
    backend = _backend("ecr", account, region)
    found = backend.repositories.get(name.removeprefix("repository/")) if backend else None
    return str(found.policy or "") if found is not None else ""


def secret(account: str, region: str, name: str) -> tuple[str, str] | None:
    """(ARN, policy or '') of a secret by its name or ARN."""
    if name.startswith("arn:"):
        _, _, _, region, account, _ = name.split(":", 5)
    backend = _backend("secretsmanager", account, region)
    for one in list(dict.values(backend.secrets)) if backend else []:
        if name in (one.arn, one.name) or (name.startswith("arn:") and one.arn.startswith(f"{name}-")):
            return str(one.arn), str(getattr(one, "policy", None) or "")
    return None


def organization_of(account: str) -> str:
    """The id of the organization that an account belongs to, '' for none."""
    found = backend_dicts().get("organizations")
    if found is None:
        return ""
    for accounts in list(found.values()):
        for backend in list(dict.values(accounts)):
            if backend.org is not None and any(member.id == account for member in backend.accounts):
                return str(backend.org.id)
    return ""
