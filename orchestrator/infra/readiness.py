"""Whether a machine and its AWS accounts are ready for a deployment: each thing that is looked at, and what to do.

Nothing here changes anything. What may not be looked at is said to be skipped, never to be fine.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

from orchestrator.infra.installation import HUB_STACK, Accounts, describe
from orchestrator.model import Stage

OK, MISSING, WARNING, SKIPPED = "ok", "missing", "warning", "skipped"
STACK_SETS = "member.org.stacksets.cloudformation.amazonaws.com"
EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired"})
UNKNOWN_KEY = frozenset({"InvalidClientTokenId", "UnrecognizedClientException", "SignatureDoesNotMatch"})
QUOTAS = (
    ("lambda", "L-B99A9384", "concurrent executions of Lambda functions", 20),
    ("cloudformation", "L-0485CB21", "CloudFormation stacks", 100),
    ("iam", "L-FE177D64", "IAM roles", 200),
    ("iam", "L-E95E4862", "IAM policies of your own", 300),
)
"""Service, code, what it counts, and the least that leaves room; https://docs.aws.amazon.com/general/latest/gr/"""
LETTERS = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
"""Attributes of a queue: messages that wait, and those that somebody is reading."""
SIGN_IN = (
    "Run `aws configure sso` (or `aws configure`) once, then give --profile NAME; or export AWS_ACCESS_KEY_ID,"
    " AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN."
)


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at: ``found`` is a sentence, ``fix`` the next thing to do where one is needed."""

    name: str
    state: str
    found: str
    fix: str = ""

    def as_dict(self) -> dict[str, str]:
        """The check as JSON."""
        return asdict(self)


def ready(checks: Sequence[Check]) -> bool:
    """Whether nothing is missing."""
    return all(check.state != MISSING for check in checks)


def machine() -> Iterator[Check]:
    """What is needed on this machine, and what is not."""
    node = shutil.which("node")
    found = "The templates are ready made; only `make synth` uses Node" + (f" ({node})." if node else ".")
    yield Check("Node", OK, found)
    yield Check("CDK bootstrap", OK, "Not needed: the templates use no CDK toolkit stack.")
    yield Check("Docker", OK, "Not needed: the function's zip is made from wheels.")


def credentials(session: Any, region: str, endpoint: str = "") -> tuple[Check, str]:
    """Whether AWS knows who we are; the check and the account's id, "" when it does not."""
    try:
        client = session.client("sts", region_name=region or "us-east-1", endpoint_url=endpoint or None)
        caller = client.get_caller_identity()
    except NoCredentialsError:
        return Check("Credentials", MISSING, "There are no AWS credentials on this machine.", SIGN_IN), ""
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code in EXPIRED:
            return Check("Credentials", MISSING, "The credentials have expired.", "Sign in again: `aws sso login`."), ""
        if code in UNKNOWN_KEY:
            return Check("Credentials", MISSING, f"AWS does not know the access key ({code}).", SIGN_IN), ""
        return Check("Credentials", MISSING, f"AWS refused: {code}.", SIGN_IN), ""
    except BotoCoreError as error:  # an unfinished profile, or no way to AWS
        return Check(
            "Credentials", MISSING, f"AWS was not reached: {error}", f"Check the network and proxy. {SIGN_IN}"
        ), ""
    return Check("Credentials", OK, f"{caller['Arn']} in account {caller['Account']}."), str(caller["Account"])


def region_of(session: Any, region: str) -> Check:
    """Whether a region is chosen, and SageMaker is there."""
    if not region:
        return Check("Region", MISSING, "No region is chosen.", "Give --region, or run `aws configure set region`.")
    known = session.get_available_regions("sagemaker", partition_name=session.get_partition_for_region(region))
    if region not in known:
        return Check(
            "Region", WARNING, f"{region} is not a region of SageMaker that this boto3 knows.", "Update boto3."
        )
    return Check("Region", OK, f"{region}.")


def hub(accounts: Accounts) -> Iterator[Check]:
    """What is there in the hub's account."""
    yield _looked("Installation", lambda: _installation(accounts))
    yield _looked("Dead letters", lambda: _dead_letters(accounts))
    yield _looked("API Gateway's role for logs", lambda: _log_role(accounts))
    for service, code, what, least in QUOTAS:
        yield _looked(f"Quota of {what}", partial(_quota, accounts, service, code, what, least))


def _looked(name: str, look: Callable[[], Check]) -> Check:
    """The check, or that it could not be made."""
    try:
        return look()
    except ClientError as error:
        return Check(name, SKIPPED, f"Not looked at: AWS answers {error.response['Error']['Code']}.")
    except BotoCoreError as error:
        return Check(name, SKIPPED, f"Not looked at: {error}")


def _installation(accounts: Accounts) -> Check:
    found = describe(accounts.client("cloudformation", accounts.hub), HUB_STACK)
    if found is None:
        return Check("Installation", OK, "None yet.")
    status = found["StackStatus"]
    if status.endswith("_FAILED"):
        return Check(
            "Installation", MISSING, f"The stack {HUB_STACK} is {status}.", "Look at its events in CloudFormation."
        )
    return Check("Installation", OK, f"The stack {HUB_STACK} is {status}.")


def _dead_letters(accounts: Accounts) -> Check:
    """How many events and calls lie in the hub's queue because nobody took them."""
    found = describe(accounts.client("cloudformation", accounts.hub), HUB_STACK)
    given = {each["ParameterKey"]: each["ParameterValue"] for each in (found or {}).get("Parameters", [])}
    if "NamePrefix" not in given:
        return Check("Dead letters", OK, "None: nothing is installed.")
    sqs, name = accounts.client("sqs", accounts.hub), f"{given['NamePrefix']}-orchestrator-dead-letters"
    url = sqs.get_queue_url(QueueName=name)["QueueUrl"]
    counted = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=list(LETTERS))["Attributes"]
    number = sum(int(counted[each]) for each in LETTERS)
    if not number:
        return Check("Dead letters", OK, f"None in {name}.")
    fix = (
        f"Read why (ERROR_MESSAGE): aws sqs receive-message --queue-url {url} --message-attribute-names All"
        " --max-number-of-messages 10. Put it right, send again what is still wanted, then:"
        f" aws sqs purge-queue --queue-url {url}"
    )
    return Check("Dead letters", WARNING, f"{number} in {name}: events or calls that nobody took.", fix)


def log_role(accounts: Accounts) -> str:
    """The role that API Gateway has for logs in this account and region, or ""."""
    return str(accounts.client("apigateway", accounts.hub).get_account().get("cloudwatchRoleArn") or "")


def _log_role(accounts: Accounts) -> Check:
    found = log_role(accounts)
    return Check(
        "API Gateway's role for logs", OK, f"{found} stays." if found else "None yet; the deployment sets one."
    )


def _quota(accounts: Accounts, service: str, code: str, what: str, least: int) -> Check:
    answer = accounts.client("service-quotas", accounts.hub).get_service_quota(ServiceCode=service, QuotaCode=code)
    value = int(answer["Quota"]["Value"])
    if value < least:
        ask = "aws service-quotas request-service-quota-increase"
        fix = f"Ask for more: {ask} --service-code {service} --quota-code {code} --desired-value {least}"
        return Check(f"Quota of {what}", WARNING, f"{value}; at least {least} leave room.", fix)
    return Check(f"Quota of {what}", OK, f"{value}.")


def stages(accounts: Accounts, wanted: Sequence[Stage], ways: Mapping[str, str]) -> Iterator[Check]:
    """Whether every stage's account can be reached; ``ways`` says by what, for each account."""
    for stage in wanted:
        name = f"Stage {stage.name}"
        if stage.region != accounts.region:
            yield Check(
                name, MISSING, f"{stage.region} is not the hub's region.", f"All stages must be in {accounts.region}."
            )
        elif stage.account == accounts.hub:
            yield Check(name, OK, "In the hub's own account.")
        elif stage.account not in accounts.sessions:
            fix = f"Give --profiles {stage.name}=PROFILE, --stage-role ROLE, or --units OU with AWS Organizations."
            yield Check(name, MISSING, f"No way into the account {stage.account}.", fix)
        else:
            yield _reached(accounts, stage, name, ways.get(stage.account, "credentials"))


def _reached(accounts: Accounts, stage: Stage, name: str, way: str) -> Check:
    try:
        caller = accounts.client("sts", stage.account).get_caller_identity()
    except (ClientError, BotoCoreError) as error:
        return Check(name, MISSING, f"The account {stage.account} is not reached by {way}: {error}", SIGN_IN)
    if caller["Account"] != stage.account:
        found = f"{way} leads to the account {caller['Account']}, not {stage.account}."
        return Check(name, MISSING, found, "Give the profile of that account.")
    return Check(name, OK, f"{stage.account} by {way}.")


def organisation(accounts: Accounts, *, delegated: bool) -> Iterator[Check]:
    """Whether stack sets of AWS Organizations can be made from here."""
    yield _looked("Organization", lambda: _organisation(accounts, delegated))
    yield _looked("Trusted access of StackSets", lambda: _trusted(accounts, delegated))


def _organisation(accounts: Accounts, delegated: bool) -> Check:
    client = accounts.client("organizations", accounts.hub)
    try:
        master = client.describe_organization()["Organization"]["MasterAccountId"]
    except ClientError as error:
        if error.response["Error"]["Code"] != "AWSOrganizationsNotInUseException":
            raise
        fix = "Leave out --units and give --profiles or --stage-role."
        return Check("Organization", MISSING, "The account is in no organization.", fix)
    if not delegated and master != accounts.hub:
        found = f"The management account is {master}, not {accounts.hub}."
        return Check("Organization", MISSING, found, "Deploy there, or as a delegated administrator.")
    if not delegated:
        return Check("Organization", OK, f"{accounts.hub} is the management account.")
    admins = client.list_delegated_administrators(ServicePrincipal=STACK_SETS)["DelegatedAdministrators"]
    if accounts.hub not in {each["Id"] for each in admins}:
        fix = (
            f"In the management account {master}: aws organizations register-delegated-administrator"
            f" --service-principal {STACK_SETS} --account-id {accounts.hub}"
        )
        return Check("Organization", MISSING, f"{accounts.hub} is no delegated administrator of StackSets.", fix)
    return Check("Organization", OK, f"{accounts.hub} is a delegated administrator of StackSets.")


def _trusted(accounts: Accounts, delegated: bool) -> Check:
    call_as = "DELEGATED_ADMIN" if delegated else "SELF"
    answer = accounts.client("cloudformation", accounts.hub).describe_organizations_access(CallAs=call_as)
    if answer["Status"] != "ENABLED":
        fix = "In the management account: aws cloudformation activate-organizations-access"
        return Check("Trusted access of StackSets", MISSING, f"It is {answer['Status']}.", fix)
    return Check("Trusted access of StackSets", OK, "Enabled.")


def own_buckets(accounts: Accounts, options: Mapping[str, str]) -> Iterator[Check]:
    """Whether the buckets that the user brings can do what is asked of them."""
    for parameter, versions in (("ExistingS3Bucket", True), ("ConfigS3Bucket", False)):
        bucket = options.get(parameter, "")
        if bucket:
            yield _looked(parameter, partial(_bucket, accounts, bucket, parameter, versions))


def _bucket(accounts: Accounts, bucket: str, parameter: str, versions: bool) -> Check:
    s3 = accounts.client("s3", accounts.hub)
    try:
        s3.head_bucket(Bucket=bucket)
    except ClientError as error:
        if error.response["Error"]["Code"] in ("404", "NoSuchBucket"):
            return Check(parameter, MISSING, f"There is no bucket {bucket}.", "Name one that exists, or leave it out.")
        raise
    lacks = []
    if "EventBridgeConfiguration" not in s3.get_bucket_notification_configuration(Bucket=bucket):
        lacks.append(
            f"aws s3api put-bucket-notification-configuration --bucket {bucket}"
            " --notification-configuration '{\"EventBridgeConfiguration\": {}}' (keep what it already sends)"
        )
    if versions and s3.get_bucket_versioning(Bucket=bucket).get("Status") != "Enabled":
        lacks.append(f"aws s3api put-bucket-versioning --bucket {bucket} --versioning-configuration Status=Enabled")
    if lacks:
        return Check(parameter, MISSING, f"{bucket} does not send its events, or has no versions.", "; ".join(lacks))
    return Check(parameter, OK, f"{bucket}.")
