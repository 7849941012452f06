"""Install the orchestrator into an AWS, or bring an installation up to date.

The hub gets ``templates/launch/single-account.template.json``, or ``multi-account.template.json`` when a stage lies in
another account; every such account gets ``stage-account.template.json``. Running it again with the same inputs changes
nothing.
"""

from __future__ import annotations

import hashlib
import json
import platform
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from orchestrator.blueprint import default_root
from orchestrator.errors import AwsFailed, BadRequest, Conflict
from orchestrator.model import Stage

HUB_STACK = "mlops-orchestrator"
STAGE_STACK = "mlops-stage-account"
SINGLE_ACCOUNT = "single-account.template.json"
MULTI_ACCOUNT = "multi-account.template.json"
STAGE_ACCOUNT = "stage-account.template.json"
UNITS = ("StageUnits", "DevOrgId", "StagingOrgId", "ProdOrgId")
"""Parameters that make the hub roll out the stages' accounts by a stack set."""
MADE_ANEW = frozenset({"Architecture", "CodeBucket", "CodeKey", "Operators", "Runtime", "StageAccounts", "Stages"})
"""Parameters that every deployment works out by itself."""
NO_UPDATES = "No updates are to be performed"
NEVER_LIVED = frozenset({"CREATE_FAILED", "ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "REVIEW_IN_PROGRESS"})
BEGINS = frozenset({"CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "DELETE_IN_PROGRESS"})
LONGEST_WAIT_SECONDS = 900.0


@dataclass(frozen=True, slots=True)
class Accounts:
    """How to reach the accounts: a boto3 session for each account id; ``endpoint`` is "" on AWS itself."""

    hub: str
    region: str
    sessions: Mapping[str, Any]
    endpoint: str = ""

    def client(self, service: str, account: str) -> Any:
        """A client in one of the accounts. Raises Conflict when there is no session for it."""
        if account not in self.sessions:
            raise Conflict(
                f"No credentials for the account {account}.", hint="Give a session for every stage's account."
            )
        return self.sessions[account].client(service, region_name=self.region, endpoint_url=self.endpoint or None)


@dataclass(frozen=True, slots=True)
class Prepared:
    """What CloudFormation will be asked for: the hub's template and its parameters; the code lies where they say.

    ``others`` are the accounts whose stacks are made from here; none when a stack set rolls them out.
    """

    template: str
    place: Mapping[str, str]
    parameters: Mapping[str, str]
    others: tuple[str, ...]


def install(
    accounts: Accounts, stages: Sequence[Stage], package: bytes, options: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Install or update; returns the outputs of the hub's stack (ApiUrl, AssetsBucket, FunctionName, ...).

    ``package`` is the function's zip, ``options`` overrides parameters of the template (``Runtime`` and
    ``Architecture`` are this machine's when not given). Raises AwsFailed for what AWS refuses, and Conflict with the
    first failed resource when a stack does not come up.
    """
    prepared = prepare(accounts, stages, package, options or {})
    outputs = deploy(accounts, accounts.hub, HUB_STACK, prepared.place, prepared.parameters)
    body = {"TemplateBody": template_text(STAGE_ACCOUNT)}
    wanted = stage_parameters(accounts, prepared, outputs)
    with ThreadPoolExecutor(max(1, len(prepared.others))) as pool:  # each account has a session of its own
        list(pool.map(lambda account: deploy(accounts, account, STAGE_STACK, body, wanted), prepared.others))
    return with_local_url(accounts, outputs)


def prepare(accounts: Accounts, stages: Sequence[Stage], package: bytes, options: Mapping[str, str]) -> Prepared:
    """Look whether there is a way into every account, and put code and template where CloudFormation finds them."""
    own = ("account", "approval", "name", "organizational_unit", "region")
    described = [{member: getattr(stage, member) for member in own if getattr(stage, member) != ""} for stage in stages]
    others = tuple(sorted({stage.account for stage in stages} - {accounts.hub}))
    rolled_out = any(options.get(name) for name in UNITS)
    for account in (accounts.hub, *(() if rolled_out else others)):
        accounts.client("cloudformation", account)  # before anything is done
    template = MULTI_ACCOUNT if others else SINGLE_ACCOUNT
    _check_options(options, template)
    _check_reviews(options, stages)
    bucket, key = _upload(accounts, "lambda", package, "zip")
    parameters: dict[str, str] = {
        "CodeBucket": bucket,
        "CodeKey": key,
        "Runtime": "python{}.{}".format(*sys.version_info),
        "Architecture": "arm64" if platform.machine() in ("aarch64", "arm64") else "x86_64",
        "Stages": json.dumps(described, sort_keys=True, separators=(",", ":")),
        "Operators": operator(accounts),
    }
    if others:
        parameters["StageAccounts"] = ",".join(others)
    bucket, key = _upload(accounts, "templates", template_text(template).encode(), "json")
    suffix = "amazonaws.com.cn" if accounts.region.startswith("cn-") else "amazonaws.com"
    place = {"TemplateURL": f"https://{bucket}.s3.{accounts.region}.{suffix}/{key}"}
    return Prepared(template, place, {**parameters, **options}, () if rolled_out else others)


def remembered(accounts: Accounts) -> dict[str, str]:
    """The parameters of the hub's stack as they are; empty when there is none. Raises AwsFailed."""
    with translated(f"look at {HUB_STACK}"):
        found = describe(accounts.client("cloudformation", accounts.hub), HUB_STACK)
    if found is None or found["StackStatus"] in NEVER_LIVED:
        return {}
    return {one["ParameterKey"]: one["ParameterValue"] for one in found.get("Parameters", [])}


def kept_options(before: Mapping[str, str], accounts: Accounts, template: str) -> dict[str, str]:
    """Of a standing installation's parameters those that a deployment keeps unless it is told otherwise.

    Who deploys comes to the operators; nobody of them goes.
    """
    known = json.loads((default_root() / "templates/launch" / template).read_text())["Parameters"]
    kept = {name: value for name, value in before.items() if name in known and name not in MADE_ANEW}
    if before.get("Operators"):
        kept["Operators"] = ",".join(sorted({*before["Operators"].split(","), operator(accounts)}))
    return kept


def _check_options(options: Mapping[str, str], template: str) -> None:
    known = json.loads((default_root() / "templates/launch" / template).read_text())["Parameters"]
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise BadRequest(
            f"{template} has no parameter {', '.join(unknown)}.", hint=f"It has: {', '.join(sorted(known))}."
        )


def _check_reviews(options: Mapping[str, str], stages: Sequence[Stage]) -> None:
    """Whether the deployment has the stages that need an approval; a function without one of them takes no config."""
    try:
        has = [one["name"] for one in json.loads(options.get("Stages", "[]"))] or [one.name for one in stages]
    except (ValueError, TypeError, KeyError) as error:
        raise BadRequest(f"Stages is not a JSON list of stages: {error!r}.", hint="Give --stages instead.") from error
    wanted = [name.strip() for name in options.get("StagesThatNeedApproval", "").split(",") if name.strip()]
    unknown = [name for name in wanted if name not in has]
    if unknown:
        raise BadRequest(
            f"A review is demanded for stages that the deployment does not have: {', '.join(unknown)}.",
            hint=f"It has: {', '.join(has)}. Name those with --require-approval, or none with --require-approval ''.",
        )


def stage_parameters(accounts: Accounts, prepared: Prepared, outputs: Mapping[str, str]) -> dict[str, str]:
    """The parameters of the stage accounts' stacks, from the hub's outputs."""
    shared = ("NamePrefix", "Operators", "PermissionsBoundaryArn")
    return {
        "HubAccount": accounts.hub,
        "ArtifactBucket": outputs["ArtifactBucket"],
        "ArtifactKeyArn": outputs["ArtifactKeyArn"],
        **{name: prepared.parameters[name] for name in shared if name in prepared.parameters},
    }


def with_local_url(accounts: Accounts, outputs: Mapping[str, str]) -> dict[str, str]:
    """The outputs; the embedded AWS has no names of its own, its APIs answer below its one URL."""
    if not accounts.endpoint:
        return dict(outputs)
    url = f"{accounts.endpoint}/execute-api/{outputs['ApiId']}/{outputs['ApiStage']}/"
    return {**outputs, "ApiUrl": url}


def template_text(name: str) -> str:
    """A launch template, as short as it can be: CloudFormation counts its bytes."""
    document = json.loads((default_root() / "templates/launch" / name).read_text())
    return json.dumps(document, sort_keys=True, separators=(",", ":"))


def operator(accounts: Accounts) -> str:
    """The ARN of who installs, as a policy names it: people and machines that use the command line later.

    A session of a role is known by its role. The embedded AWS is used as root.
    """
    if accounts.endpoint:
        return f"arn:aws:iam::{accounts.hub}:root"
    with translated("who am I"):
        arn = str(accounts.client("sts", accounts.hub).get_caller_identity()["Arn"])
        if ":assumed-role/" not in arn:
            return arn
        name = arn.split("/")[1]
        return str(accounts.client("iam", accounts.hub).get_role(RoleName=name)["Role"]["Arn"])


def _upload(accounts: Accounts, folder: str, data: bytes, ending: str) -> tuple[str, str]:
    """Put something where CloudFormation finds it; its key is its content."""
    s3 = accounts.client("s3", accounts.hub)
    bucket = f"mlops-install-{accounts.hub}-{accounts.region}"
    key = f"{folder}/{hashlib.sha256(data).hexdigest()}.{ending}"
    with translated("install"):
        try:
            s3.head_object(Bucket=bucket, Key=key)
            return bucket, key
        except ClientError:
            _make_bucket(s3, bucket, accounts.region)
        s3.put_object(Bucket=bucket, Key=key, Body=data)
    return bucket, key


def _make_bucket(s3: Any, bucket: str, region: str) -> None:
    place = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
    try:
        s3.create_bucket(Bucket=bucket, **place)
    except ClientError as error:
        if error.response["Error"]["Code"] != "BucketAlreadyOwnedByYou":
            raise
    closed = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
    s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration=dict.fromkeys(closed, True))
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})


def deploy(
    accounts: Accounts, account: str, stack: str, template: Mapping[str, str], parameters: Mapping[str, str]
) -> dict[str, str]:
    """Create or update a stack and wait; its outputs."""
    client = accounts.client("cloudformation", account)
    request = {
        "StackName": stack,
        **template,
        "Parameters": [{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
        "Capabilities": ["CAPABILITY_NAMED_IAM"],
    }
    with translated(f"deploy {stack} in {account}"):
        found = at_rest(client, stack, account)
        if found:
            if not _update(client, request):
                return outputs_of(found)
            stack_id = found["StackId"]
        else:
            stack_id = client.create_stack(**request)["StackId"]
        settled = settle(client, stack_id, account)
    if settled["StackStatus"] not in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
        raise Conflict(
            f"The stack {stack} in account {account} is {settled['StackStatus']}: {first_failure(client, stack_id)}",
            hint="Repair what it names and install again.",
        )
    return outputs_of(settled)


def _update(client: Any, request: Mapping[str, Any]) -> bool:
    try:
        client.update_stack(**request)
    except ClientError as error:  # told by its text: it has no code of its own
        if NO_UPDATES in error.response["Error"]["Message"]:
            return False
        raise
    return True


def describe(client: Any, stack: str) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = client.describe_stacks(StackName=stack)["Stacks"][0]
    except ClientError as error:
        if error.response["Error"]["Code"] == "ValidationError":
            return None
        raise
    return found


def at_rest(client: Any, stack: str, account: str) -> dict[str, Any] | None:
    """The stack when nothing is in progress, or None; what is left of one that never lived is removed."""
    found = describe(client, stack)
    if found is None:
        return None
    if found["StackStatus"] in NEVER_LIVED:
        client.delete_stack(StackName=found["StackId"])
        settle(client, found["StackId"], account)
        return None
    return settle(client, found["StackId"], account)


def settle(client: Any, stack_id: str, account: str) -> dict[str, Any]:
    """Wait until nothing is in progress; the stack then."""
    pause, waited = 0.2, 0.0
    while True:
        found: dict[str, Any] = client.describe_stacks(StackName=stack_id)["Stacks"][0]
        if not found["StackStatus"].endswith("_IN_PROGRESS"):
            return found
        if waited > LONGEST_WAIT_SECONDS:
            raise Conflict(f"The stack {found['StackName']} in account {account} is still {found['StackStatus']}.")
        time.sleep(pause)
        waited, pause = waited + pause, min(5.0, pause * 1.3)


def first_failure(client: Any, stack_id: str) -> str:
    """The first resource that failed in the last operation on a stack, with its reason."""
    failed = []
    for page in client.get_paginator("describe_stack_events").paginate(StackName=stack_id):
        for event in page["StackEvents"]:  # the newest first
            own = event.get("PhysicalResourceId") == stack_id
            if event["ResourceStatus"].endswith("_FAILED") and not own:
                failed.append(event)
            if own and event["ResourceStatus"] in BEGINS:
                return _told(failed)
    return _told(failed)


def _told(failed: Sequence[Mapping[str, Any]]) -> str:
    if not failed:
        return "CloudFormation gives no reason."
    return f"{failed[-1]['LogicalResourceId']}: {failed[-1].get('ResourceStatusReason', 'no reason given')}"


def outputs_of(stack: Mapping[str, Any]) -> dict[str, str]:
    return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}


@contextmanager
def translated(what: str) -> Iterator[None]:
    """ClientError becomes AwsFailed, as everywhere in the product."""
    try:
        yield
    except ClientError as error:
        told = error.response["Error"]
        raise AwsFailed(told["Code"], told["Message"], operation=what) from error
