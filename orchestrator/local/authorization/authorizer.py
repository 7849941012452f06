"""Stands in front of every service: asks what a request needs, looks the policies up, and lets it through or not."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from orchestrator.local.authorization import s3_asked
from orchestrator.local.authorization.asked import PREFIXES, Asked, Values, asked
from orchestrator.local.authorization.caller import ROOT, Grants
from orchestrator.local.authorization.caller import service as service_caller
from orchestrator.local.authorization.decision import Decision, Question, decide
from orchestrator.local.authorization.denials import Denials
from orchestrator.local.authorization.identity import Identity
from orchestrator.local.authorization.kinds import Place
from orchestrator.local.authorization.knowledge import Knowledge
from orchestrator.local.authorization.passing import passed
from orchestrator.local.authorization.policy import Malformed, Policy
from orchestrator.local.journal import moto_access
from orchestrator.local.messages import Request

ENFORCE, REPORT, OFF = "enforce", "report", "off"
MODES = (ENFORCE, REPORT, OFF)
"""Requests that IAM does not allow are refused; answered and noted in ``denied.log``; answered."""
OWNERS_POLICY_ACTIONS = frozenset({"s3:DeleteBucketPolicy", "s3:GetBucketPolicy", "s3:PutBucketPolicy"})
"""What the root of a bucket's owner may do whatever the bucket's policy denies: nobody can lock himself out.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/example-bucket-policies.html"""


@dataclass(frozen=True, slots=True)
class Answered:
    """A question with everything that decided it: enough to decide it again under other policies."""

    question: Question
    grants: Grants
    resource_policy: Policy | None
    decision: Decision
    operation: str = ""


@dataclass(slots=True)
class Authorizer:
    """``mode`` is one of MODES. ``hear`` is told of every decision, for those who want to know (tests)."""

    mode: str
    knowledge: Knowledge
    denials: Denials
    hear: Callable[[Answered], None] | None = field(default=None)

    def refusal(
        self, identity: Identity, place: Place, service: str, operation: str, parameters: Mapping[str, Any]
    ) -> str:
        """Why IAM does not let the caller do it, in AWS's words; '' when it does (or this is not enforced)."""
        if self.mode == OFF or identity.own_doing:
            return ""
        prefix = PREFIXES.get(service, service)
        needed = [*asked(place, service, operation, parameters), *passed(prefix, operation, parameters)]
        return self._first_denied(identity, place, f"{prefix}:{operation}", [*needed, *_implied(place, prefix, needed)])

    def refusal_of_s3(self, identity: Identity, place: Place, request: Request) -> str:
        """The same for a request to S3, whose operations are told from the request itself."""
        if self.mode == OFF or identity.own_doing:
            return ""
        found = s3_asked.asked_of_s3(request, place.partition)
        operation = found[0].action if found else ""
        return self._first_denied(identity, place, operation, [*found, *_implied_by_s3(place, request)])

    def refusal_of_api(self, identity: Identity, place: Place, request: Request) -> str:
        """The same for API Gateway, whose actions are HTTP's methods on paths.

        https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonapigatewaymanagement.html
        """
        if self.mode == OFF or identity.own_doing:
            return ""
        resource = f"arn:{place.partition}:apigateway:{place.region}::{request.raw_path}"
        action = f"apigateway:{request.method}"
        return self._first_denied(identity, place, action, [Asked(action, resource)])

    def refusal_of_log_key(self, place: Place, log_group: str, key: str) -> str:
        """Why CloudWatch Logs may not encrypt a log group (its ARN) with a key: the key's policy must let it.

        https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html
        """
        if self.mode == OFF:
            return ""
        logs = Identity(service_caller(f"logs.{place.region}.amazonaws.com", place.account))
        context: Values = {"kms:encryptioncontext:aws:logs:arn": (log_group,)}
        needed = [Asked(action, key, context) for action in ("kms:GenerateDataKey", "kms:Decrypt")]
        return self._first_denied(logs, place, "logs:AssociateKmsKey", needed)

    def refusal_of_variables(self, identity: Identity, place: Place, function: str, key: str) -> str:
        """Why a caller may not see the variables of a function (its ARN) that are encrypted with a key."""
        if self.mode == OFF or identity.own_doing:
            return ""
        context: Values = {"kms:encryptioncontext:aws:lambda:functionarn": (function,)}
        needed = [_with_key(place, key, "kms:Decrypt", "lambda", context, place.account)]
        return self._first_denied(identity, place, "lambda:GetFunctionConfiguration", needed)

    def _first_denied(self, identity: Identity, place: Place, operation: str, needed: list[Asked]) -> str:
        grants = self._granted(identity)
        for one in needed:
            answered = self.answer(identity, grants, place, one, operation)
            if self.hear is not None:
                self.hear(answered)
            if not answered.decision.allowed:
                message = message_of(answered)
                self.denials.write(self.mode, operation, message, answered.decision.doubts)
                if self.mode == ENFORCE:
                    return message
        return ""

    def _granted(self, identity: Identity) -> Grants:
        try:
            return self.knowledge.grants(identity)
        except Malformed:  # IAM refuses such policies; a caller whose policies cannot be read has none
            return Grants()

    def answer(self, identity: Identity, grants: Grants, place: Place, one: Asked, operation: str = "") -> Answered:
        """The decision on one question, with what it was decided from."""
        exact = self.knowledge.exact(one, place)
        owner = self.knowledge.owner(exact.resource, place)
        context = self.knowledge.context(identity, exact, place, owner)
        question = Question(identity.caller, exact.action, exact.resource, context, owner)
        policy: Policy | None = None
        try:
            policy = self.knowledge.resource_policy(exact.resource, owner)
        except Malformed as problem:
            decision = Decision(False, f"because {problem}")
        else:
            decision = decide(question, grants, policy)
        caller = identity.caller
        if exact.action in OWNERS_POLICY_ACTIONS and caller.kind == ROOT and caller.account == owner:
            decision = Decision(True)
        return Answered(question, grants, policy, decision, operation)


def message_of(answered: Answered) -> str:
    """A denial in AWS's words.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html
    """
    question = answered.question
    where = f" on resource: {question.resource}" if question.resource != "*" else ""
    reason = f" {answered.decision.reason}" if answered.decision.reason else ""
    return f"{question.caller.described} is not authorized to perform: {question.action}{where}{reason}"


def _implied(place: Place, prefix: str, needed: list[Asked]) -> Iterator[Asked]:
    """What the service does with keys on the caller's behalf: an encrypted topic or queue needs its key.

    https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html
    """
    if prefix not in ("sns", "sqs"):
        return
    for one in needed:
        found = {"sns:Publish": moto_access.topic, "sqs:SendMessage": moto_access.queue}.get(one.action)
        about = found(one.resource) if found and one.resource.count(":") == 5 else None
        if about and about[1] and not about[1].startswith("alias/aws/"):
            for action in ("kms:GenerateDataKey", "kms:Decrypt"):
                yield _with_key(place, about[1], action, prefix, {}, one.resource.split(":")[4])


def _implied_by_s3(place: Place, request: Request) -> Iterator[Asked]:
    """The keys of encrypted objects, and the right to know that an object is not there.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html
    https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
    """
    bucket, key = s3_asked.place_of(request)
    about = moto_access.bucket(bucket) if key else None
    if about is None:
        return
    if s3_asked.looks_at_object(request) and not moto_access.has_object(bucket, key):
        yield Asked("s3:ListBucket", f"arn:{place.partition}:s3:::{bucket}")
    version = dict(request.query).get("versionId", "")
    used: list[tuple[str, str]] = []
    if s3_asked.reads_object(request):
        used.append(("kms:Decrypt", moto_access.key_of_object(bucket, key, version)))
    if s3_asked.writes_object(request):
        used.append(("kms:GenerateDataKey", s3_asked.wanted_key(request, about.key)))
        if "uploadId" in dict(request.query):
            used.append(("kms:Decrypt", s3_asked.wanted_key(request, about.key)))
        source = s3_asked.source_of(request)
        if source[0]:
            used.append(("kms:Decrypt", moto_access.key_of_object(*source)))
    for action, name in used:
        if name and not name.startswith("alias/aws/"):
            context: Values = {"kms:encryptioncontext:aws:s3:arn": (f"arn:{place.partition}:s3:::{bucket}/{key}",)}
            yield _with_key(place, name, action, "s3", context, about.owner)


def _with_key(place: Place, name: str, action: str, service: str, context: Values, owner: str) -> Asked:
    """The use of a key by a service for the caller. A name that is not an ARN is one of the resource's account."""
    arn = name if name.startswith("arn:") else f"arn:{place.partition}:kms:{place.region}:{owner}:key/{name}"
    via = f"{service}.{place.region}.amazonaws.com"
    return Asked(action, arn, {**context, "kms:viaservice": (via,), "aws:viaawsservice": ("true",)})
