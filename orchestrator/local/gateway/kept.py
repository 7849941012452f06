"""The services that only have to remember: moto behind the journal, and what moto gets wrong put right around it."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable
from urllib.parse import parse_qs, unquote
from xml.etree import ElementTree

from orchestrator.local.gateway import iam_rules
from orchestrator.local.gateway.accounts import Scope
from orchestrator.local.gateway.permission import parameters_of, with_session
from orchestrator.local.journal.moto_app import Answer
from orchestrator.local.journal.mutations import operation_name
from orchestrator.local.messages import Request, Response
from orchestrator.local.protocol.interface import UNSUPPORTED
from orchestrator.local.service import ServiceError

SERVICES = frozenset(
    {
        "apigateway",
        "dynamodb",
        "ecr",
        "iam",
        "kms",
        "logs",
        "organizations",
        "s3",
        "secretsmanager",
        "sns",
        "sqs",
        "ssm",
        "sts",
    }
)
"""By signing name."""

REFUSED = {
    ("dynamodb", "ExportTableToPointInTime"): "it would run in the background, where no restart finds it again",
    ("dynamodb", "ImportTable"): "it would run in the background, where no restart finds it again",
    ("ecr", "StartImageScan"): "nothing is scanned",
    ("ssm", "SendCommand"): "there are no instances",
}
"""Operations that moto answers without doing what they promise."""

DELIVERED_PROTOCOLS = frozenset({"sqs", "email", "email-json", "sms"})
"""What a topic may be subscribed with. Mails and text messages go nowhere; queues are really filled."""

S3_QUESTIONS = frozenset(
    {
        *("accelerate", "acl", "attributes", "cors", "delete", "encryption", "inventory", "legal-hold", "lifecycle"),
        *("location", "logging", "notification", "object-lock", "ownershipControls", "policy", "policyStatus"),
        *("publicAccessBlock", "replication", "retention", "tagging", "uploads", "versioning", "versions", "website"),
        *("AWSAccessKeyId", "Expires", "Signature", "bucket-region", "continuation-token", "delimiter"),
        *("encoding-type", "fetch-owner", "id", "key-marker", "list-type", "marker", "max-buckets", "max-keys"),
        *("max-parts", "max-uploads", "part-number-marker", "partNumber", "prefix", "start-after", "upload-id-marker"),
        *("uploadId", "version-id-marker", "versionId", "x-id"),
    }
)
"""Every name a query string to S3 may have. moto ignores those it does not know, so that
``PUT /bucket?metrics`` would be taken for CreateBucket."""

CLOSED = ("/moto-api", "/latest/meta-data", "/latest/api", "/favicon.ico")
"""Paths by which moto itself is controlled: one of them forgets everything."""

POLLING_SECONDS = 0.1

Perform = Callable[[Request, str], Answer]


class Kept:
    """Answers requests to the services moto keeps."""

    def __init__(self, perform: Perform, tells_eventbridge: Callable[[str], bool]) -> None:
        self._perform = perform
        self._tells_eventbridge = tells_eventbridge
        self._stopping = threading.Event()

    def stop(self) -> None:
        """Let waiting receivers go."""
        self._stopping.set()

    def answer(self, request: Request, scope: Scope, account: str) -> Answer:
        """moto's answer; raises ServiceError for what is not supported here."""
        if unquote(request.raw_path).startswith(CLOSED):
            raise ServiceError("NotFound", f"There is nothing at {request.raw_path:.200}", 404)
        if scope.service != "s3" and "authorization" not in request.fields:
            raise ServiceError(UNSUPPORTED, "The embedded AWS reads signatures in the URL only for S3.", 501)
        name = operation_name(request)
        if (scope.service, name) in REFUSED:
            reason = REFUSED[scope.service, name]
            raise ServiceError(UNSUPPORTED, f"The embedded AWS does not support {scope.service} {name}: {reason}.", 501)
        match scope.service:
            case "s3":
                _check_s3_question(request)
                return self._bucket_or_object(request, account)
            case "iam" if name in iam_rules.RULES:
                iam_rules.check(account, name, parameters_of(request, "iam", name))
            case "sns" if name == "Subscribe":
                _check_subscription(request)
            case "sts" if name == "GetCallerIdentity" and scope.access_key == account:
                return _as_root(self._ask(request, account, "sts", name), account)
            case "sts":
                return with_session(self._ask(request, account, "sts", name), request, name)
            case "sqs":
                return self._queue(request, account, name)
        return self._ask(request, account, scope.service, name)

    def _bucket_or_object(self, request: Request, account: str) -> Answer:
        """S3. moto's account of a bucket's notifications leaves EventBridge out; it is put in here."""
        answer = self._ask(request, account, "s3", "")
        asked = request.method == "GET" and any(name == "notification" for name, _ in request.query)
        if not asked or answer.response.status != 200 or not self._tells_eventbridge(_bucket(request)):
            return answer
        configuration = ElementTree.fromstring(answer.response.body)  # noqa: S314  written by moto, not by a stranger
        namespace = configuration.tag.partition("}")[0] + "}" if configuration.tag.startswith("{") else ""
        ElementTree.SubElement(configuration, f"{namespace}EventBridgeConfiguration")
        return Answer(Response(200, answer.response.headers, ElementTree.tostring(configuration)))

    def _ask(self, request: Request, account: str, service: str, name: str) -> Answer:
        what = name or f"{request.method} {request.raw_path:.200}"
        refusal = ServiceError(UNSUPPORTED, f"The embedded AWS does not support {service} {what}.", 501)
        try:
            answer = self._perform(request, account)
        except NotImplementedError:
            raise refusal from None
        told = request.method != "HEAD"  # whose answer has no body to tell an error with: the status says it
        if told and answer.response.status >= 400 and _is_page(answer.response):
            raise refusal
        return answer

    def _queue(self, request: Request, account: str, name: str) -> Answer:
        """SQS. Waiting for a message happens here: a logged request stands still in time and would wait for ever."""
        if not name or "x-amz-target" not in request.fields:
            raise ServiceError(UNSUPPORTED, "The embedded AWS speaks only the JSON protocol of SQS.", 501)
        if name != "ReceiveMessage":
            return self._ask(request, account, "sqs", name)
        try:
            parameters = dict(json.loads(request.body))
            wait = float(parameters.pop("WaitTimeSeconds", -1))
        except (ValueError, TypeError):
            raise ServiceError("SerializationException", "The body is not a JSON object.") from None
        if wait > 20:
            raise ServiceError("InvalidParameterValue", f"Value {wait:g} for WaitTimeSeconds is not between 0 and 20.")
        deadline = time.monotonic() + (wait if wait >= 0 else self._usual_wait(request, account, parameters))
        once = _with_body(request, {**parameters, "WaitTimeSeconds": 0})
        while True:
            answer = self._ask(once, account, "sqs", name)
            over = time.monotonic() + POLLING_SECONDS > deadline
            if answer.response.status != 200 or b'"Messages"' in answer.response.body or over:
                return answer
            if self._stopping.wait(POLLING_SECONDS):
                return answer

    def _usual_wait(self, request: Request, account: str, parameters: dict[str, object]) -> float:
        """The queue's own ReceiveMessageWaitTimeSeconds."""
        name = "ReceiveMessageWaitTimeSeconds"
        question = _with_body(request, {"QueueUrl": parameters.get("QueueUrl", ""), "AttributeNames": [name]})
        headers = tuple(
            (key, "AmazonSQS.GetQueueAttributes" if key.lower() == "x-amz-target" else value)
            for key, value in question.headers
        )
        answer = self._ask(Request("POST", request.target, headers, question.body), account, "sqs", name)
        if answer.response.status != 200:
            return 0.0
        return float(json.loads(answer.response.body).get("Attributes", {}).get(name, 0))


def _with_body(request: Request, parameters: dict[str, object]) -> Request:
    return Request(request.method, request.target, request.headers, json.dumps(parameters).encode())


def _as_root(answer: Answer, account: str) -> Answer:
    """The identity of an account's own key, which moto does not know and makes up."""
    body = re.sub(
        rb"<Arn>arn:([\w-]+):sts::(\d+):user/moto</Arn>", rb"<Arn>arn:\1:iam::\2:root</Arn>", answer.response.body
    )
    body = re.sub(rb"<UserId>[^<]*</UserId>", f"<UserId>{account}</UserId>".encode(), body)
    return Answer(Response(answer.response.status, answer.response.headers, body))


def _bucket(request: Request) -> str:
    return unquote(request.raw_path.lstrip("/").partition("/")[0])


def _check_s3_question(request: Request) -> None:
    for name, _ in request.query:
        if name not in S3_QUESTIONS and not name.lower().startswith(("x-amz-", "response-")):
            message = f"The embedded AWS does not support ?{name:.60} of S3 ({request.method} {request.raw_path:.200})."
            raise ServiceError(UNSUPPORTED, message, 501)


def _check_subscription(request: Request) -> None:
    protocol = parse_qs(request.body.decode("utf-8", "replace")).get("Protocol", [""])[0]
    if protocol not in DELIVERED_PROTOCOLS:
        supported = ", ".join(sorted(DELIVERED_PROTOCOLS))
        message = f"The embedded AWS does not deliver notifications by {protocol!r:.40}, only by {supported}."
        raise ServiceError("InvalidParameter", message, 400)


def _is_page(response: Response) -> bool:
    return any(name.lower() == "content-type" and "text/html" in value for name, value in response.headers)
