"""What a request asks permission for: the action's name, the ARNs of what its parameters name, the keys it carries."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from orchestrator.local.authorization.asked import FREE, PREFIXES, RENAMED, asked
from orchestrator.local.authorization.kinds import KINDS, Place, any_of_kind
from orchestrator.local.authorization.passing import passed
from orchestrator.local.authorization.s3_asked import asked_of_s3
from orchestrator.local.embedded import find_services
from orchestrator.local.gateway.kept import SERVICES
from orchestrator.local.gateway.permission import MODELS
from orchestrator.local.messages import Request
from orchestrator.local.protocol.models import service_model
from tests.permissions.authorization_reference import EXTRA, TABLE, reference, text

HERE = Place("111111111111", "us-east-1")
ROLE = "arn:aws:iam::111111111111:role/r"
PACKAGE = "arn:aws:sagemaker:us-east-1:222222222222:model-package/g/1"


def of(service: str, operation: str, **parameters: Any) -> list[tuple[str, str]]:
    return [(one.action, one.resource) for one in asked(HERE, service, operation, parameters)]


def arn(part: str, service: str = "", region: str = "us-east-1") -> str:
    return f"arn:aws:{service}:{region}:111111111111:{part}"


# One request a row; wrapped, each would take seven lines.
# ruff: noqa: E501
@pytest.mark.parametrize(
    "service, operation, parameters, expected",
    [
        (
            "sagemaker",
            "CreateEndpoint",
            {"EndpointName": "e", "EndpointConfigName": "c"},
            [
                ("sagemaker:CreateEndpoint", arn("endpoint/e", "sagemaker")),
                ("sagemaker:CreateEndpoint", arn("endpoint-config/c", "sagemaker")),
            ],
        ),
        (
            "sagemaker",
            "CreateTrainingJob",
            {"TrainingJobName": "j", "Tags": [{"Key": "a", "Value": "b"}]},
            [
                ("sagemaker:CreateTrainingJob", arn("training-job/j", "sagemaker")),
                ("sagemaker:AddTags", arn("training-job/j", "sagemaker")),
            ],
        ),
        ("sagemaker", "ListTrainingJobs", {"NameContains": "j"}, [("sagemaker:ListTrainingJobs", "*")]),
        ("sagemaker", "AddTags", {"ResourceArn": PACKAGE, "Tags": []}, [("sagemaker:AddTags", PACKAGE)]),
        ("sagemaker", "DescribeModelPackage", {"ModelPackageName": PACKAGE}, [("sagemaker:DescribeModelPackage", PACKAGE)]),
        (
            "sagemaker",
            "CreateModel",
            {"ModelName": "m", "Containers": [{"ModelPackageName": PACKAGE}]},
            [("sagemaker:CreateModel", arn("model/m", "sagemaker")), ("sagemaker:CreateModel", PACKAGE)],
        ),
        (
            "sagemaker",
            "CreateModelPackage",
            {"ModelPackageGroupName": "g"},
            [("sagemaker:CreateModelPackage", arn("model-package/g/*", "sagemaker"))],
        ),
        ("sagemaker-runtime", "InvokeEndpoint", {"EndpointName": "e"}, [("sagemaker:InvokeEndpoint", arn("endpoint/e", "sagemaker"))]),
        ("cloudformation", "DescribeStacks", {}, [("cloudformation:DescribeStacks", arn("stack/*/*", "cloudformation"))]),
        ("cloudformation", "CreateStack", {"StackName": "s"}, [("cloudformation:CreateStack", arn("stack/s/*", "cloudformation"))]),
        (
            "codepipeline",
            "CreatePipeline",
            {"pipeline": {"name": "p"}, "tags": [{"key": "k", "value": "v"}]},
            [("codepipeline:CreatePipeline", arn("p", "codepipeline")), ("codepipeline:TagResource", arn("p", "codepipeline"))],
        ),
        (
            "codepipeline",
            "PutApprovalResult",
            {"pipelineName": "p", "stageName": "S", "actionName": "A"},
            [("codepipeline:PutApprovalResult", arn("p/S/A", "codepipeline"))],
        ),
        ("codepipeline", "PutJobSuccessResult", {"jobId": "j"}, [("codepipeline:PutJobSuccessResult", "*")]),
        (
            "stepfunctions",
            "StartExecution",
            {"stateMachineArn": arn("stateMachine:m", "states")},
            [("states:StartExecution", arn("stateMachine:m", "states"))],
        ),
        ("lambda", "Invoke", {"FunctionName": "f"}, [("lambda:InvokeFunction", arn("function:f", "lambda"))]),
        ("events", "PutRule", {"Name": "r"}, [("events:PutRule", arn("rule/r", "events"))]),
        ("events", "PutTargets", {"Rule": "r", "EventBusName": "b"}, [("events:PutTargets", arn("rule/b/r", "events"))]),
        ("events", "PutEvents", {"Entries": [{}, {"EventBusName": "b"}]}, [
            ("events:PutEvents", arn("event-bus/default", "events")),
            ("events:PutEvents", arn("event-bus/b", "events")),
        ]),
        (
            "logs",
            "PutLogEvents",
            {"logGroupName": "g", "logStreamName": "s"},
            [("logs:PutLogEvents", arn("log-group:g:log-stream:s", "logs"))],
        ),
        ("logs", "CreateLogGroup", {"logGroupName": "g", "tags": {"a": "b"}}, [
            ("logs:CreateLogGroup", arn("log-group:g:log-stream:", "logs")),
            ("logs:TagResource", arn("log-group:g", "logs")),
        ]),
        ("monitoring", "PutMetricData", {"Namespace": "N"}, [("cloudwatch:PutMetricData", "*")]),
        ("monitoring", "PutMetricAlarm", {"AlarmName": "a"}, [("cloudwatch:PutMetricAlarm", arn("alarm:a", "cloudwatch"))]),
        ("iam", "CreateRole", {"RoleName": "r"}, [("iam:CreateRole", ROLE)]),
        ("sts", "AssumeRole", {"RoleArn": ROLE}, [("sts:AssumeRole", ROLE)]),
        ("sts", "GetCallerIdentity", {}, []),
        ("ecr", "GetAuthorizationToken", {}, [("ecr:GetAuthorizationToken", "*")]),
        ("ecr", "BatchGetImage", {"repositoryName": "a/b"}, [("ecr:BatchGetImage", arn("repository/a/b", "ecr"))]),
        ("ssm", "GetParameters", {"Names": ["/a/b", "c"]}, [
            ("ssm:GetParameters", arn("parameter/a/b", "ssm")),
            ("ssm:GetParameters", arn("parameter/c", "ssm")),
        ]),
        ("sns", "PublishBatch", {"TopicArn": arn("t", "sns")}, [("sns:Publish", arn("t", "sns"))]),
        ("scheduler", "CreateSchedule", {"Name": "s"}, [("scheduler:CreateSchedule", arn("schedule/default/s", "scheduler"))]),
        ("codebuild", "StartBuild", {"projectName": "p"}, [("codebuild:StartBuild", arn("project/p", "codebuild"))]),
        ("codebuild", "BatchGetBuilds", {"ids": ["p:1", "p:2"]}, [("codebuild:BatchGetBuilds", arn("project/p", "codebuild"))]),
        ("dynamodb", "TransactWriteItems", {"TransactItems": [{"Put": {"TableName": "t"}}]}, [
            ("dynamodb:PutItem", arn("table/t", "dynamodb")),
        ]),
    ],
)  # fmt: skip
def test_requests(service: str, operation: str, parameters: Any, expected: list[tuple[str, str]]) -> None:
    found = of(service, operation, **parameters)
    assert found == [(action, resource.replace(":iam:us-east-1:", ":iam::")) for action, resource in expected]


@pytest.mark.parametrize(
    "method, target, headers, expected",
    [
        ("GET", "/", {}, [("s3:ListAllMyBuckets", "*")]),
        ("GET", "/b?list-type=2&prefix=x", {}, [("s3:ListBucket", "arn:aws:s3:::b")]),
        ("HEAD", "/b", {}, [("s3:ListBucket", "arn:aws:s3:::b")]),
        ("PUT", "/b", {}, [("s3:CreateBucket", "arn:aws:s3:::b")]),
        ("PUT", "/b?encryption", {}, [("s3:PutEncryptionConfiguration", "arn:aws:s3:::b")]),
        ("DELETE", "/b?policy", {}, [("s3:DeleteBucketPolicy", "arn:aws:s3:::b")]),
        ("DELETE", "/b?tagging", {}, [("s3:PutBucketTagging", "arn:aws:s3:::b")]),
        ("GET", "/b/k%20k", {}, [("s3:GetObject", "arn:aws:s3:::b/k k")]),
        ("HEAD", "/b/k?versionId=1", {}, [("s3:GetObjectVersion", "arn:aws:s3:::b/k")]),
        ("GET", "/b/k?tagging", {}, [("s3:GetObjectTagging", "arn:aws:s3:::b/k")]),
        ("DELETE", "/b/k", {}, [("s3:DeleteObject", "arn:aws:s3:::b/k")]),
        ("DELETE", "/b/k?uploadId=1", {}, [("s3:AbortMultipartUpload", "arn:aws:s3:::b/k")]),
        ("POST", "/b/k?uploads", {}, [("s3:PutObject", "arn:aws:s3:::b/k")]),
        ("PUT", "/b/k?partNumber=1&uploadId=1", {}, [("s3:PutObject", "arn:aws:s3:::b/k")]),
        (
            "PUT",
            "/b/k",
            {"x-amz-copy-source": "/c/from%20here?versionId=7", "x-amz-tagging": "a=b"},
            [
                ("s3:PutObject", "arn:aws:s3:::b/k"),
                ("s3:PutObjectTagging", "arn:aws:s3:::b/k"),
                ("s3:GetObjectVersion", "arn:aws:s3:::c/from here"),
            ],
        ),
    ],
)
def test_requests_to_s3(method: str, target: str, headers: dict[str, str], expected: list[tuple[str, str]]) -> None:
    request = Request(method, target, tuple(headers.items()))
    assert [(one.action, one.resource) for one in asked_of_s3(request)] == expected


def test_a_listing_says_what_prefix_it_is_of() -> None:
    (one,) = asked_of_s3(Request("GET", "/b?list-type=2&prefix=x%2Fy", ()))
    assert one.context == {"s3:prefix": ("x/y",)}


def test_a_write_says_under_which_condition_it_is_one() -> None:
    headers = (("if-none-match", "*"),)
    (one,) = asked_of_s3(Request("PUT", "/bucket/key", headers))
    assert one.context == {"s3:if-none-match": ("*",)}
    (one,) = asked_of_s3(Request("GET", "/bucket/key", headers))
    assert one.context == {}  # there it is a question of the browser's cache


def test_many_objects_are_each_asked_for() -> None:
    body = b"<Delete><Object><Key>a</Key></Object><Object><Key>b</Key><VersionId>1</VersionId></Object></Delete>"
    found = asked_of_s3(Request("POST", "/b?delete", (), body))
    assert [(one.action, one.resource) for one in found] == [
        ("s3:DeleteObject", "arn:aws:s3:::b/a"),
        ("s3:DeleteObjectVersion", "arn:aws:s3:::b/b"),
    ]


def test_a_role_that_is_handed_on_is_asked_for_with_the_service_it_goes_to() -> None:
    def to(prefix: str, operation: str, **parameters: Any) -> list[tuple[str, tuple[str, ...]]]:
        return [(one.resource, one.context["iam:passedtoservice"]) for one in passed(prefix, operation, parameters)]

    assert to("sagemaker", "CreateTrainingJob", RoleArn=ROLE) == [(ROLE, ("sagemaker.amazonaws.com",))]
    assert to("cloudformation", "CreateChangeSet", RoleARN=ROLE) == [(ROLE, ("cloudformation.amazonaws.com",))]
    assert to("lambda", "CreateFunction", Role=ROLE) == [(ROLE, ("lambda.amazonaws.com",))]
    assert to("scheduler", "CreateSchedule", Target={"RoleArn": ROLE}) == [(ROLE, ("scheduler.amazonaws.com",))]
    assert to("events", "PutTargets", Targets=[{"RoleArn": ROLE}]) == [(ROLE, ("events.amazonaws.com",))]
    assert to("codebuild", "CreateProject", serviceRole=ROLE) == [(ROLE, ("codebuild.amazonaws.com",))]
    stages = [{"actions": [{"roleArn": f"{ROLE}-of-an-action"}]}]
    found = to("codepipeline", "CreatePipeline", pipeline={"name": "p", "roleArn": ROLE, "stages": stages})
    assert found == [(ROLE, ("codepipeline.amazonaws.com",))]
    assert to("sagemaker", "CreateTrainingJob", Environment={"RoleArn": ROLE}) == []
    assert to("sagemaker", "DescribeModel", RoleArn=ROLE) == []


def test_conditions_of_requests() -> None:
    (metric,) = asked(HERE, "monitoring", "PutMetricData", {"Namespace": "MLOps/Monitoring"})
    assert metric.context == {"cloudwatch:namespace": ("MLOps/Monitoring",)}
    role = asked(
        HERE, "iam", "CreateRole", {"RoleName": "r", "PermissionsBoundary": "b", "Tags": [{"Key": "k", "Value": "v"}]}
    )
    assert [one.action for one in role] == ["iam:CreateRole", "iam:TagRole"]
    assert role[0].context == {
        "iam:permissionsboundary": ("b",), "aws:requesttag/k": ("v",), "aws:tagkeys": ("k",),
    }  # fmt: skip
    (assumed,) = asked(HERE, "sts", "AssumeRole", {"RoleArn": ROLE, "ExternalId": "x", "RoleSessionName": "s"})
    assert assumed.context == {"sts:externalid": ("x",), "sts:rolesessionname": ("s",)}


# ---- the tables ----


def test_the_table_of_actions_is_the_references() -> None:
    assert TABLE.read_text() == text(), "run `python tests/permissions/authorization_reference.py`"


def services() -> list[str]:
    return sorted({MODELS.get(name, name) for name in SERVICES} | {service.name for service in find_services()})


NO_ACTION_OF_THEIR_NAME = {  # newer than the reference, or operations that IAM knows by the operations they stand for
    "dynamodb": {"BatchExecuteStatement", "CancelBulkOperation", "DescribeBulkOperation", "ExecuteStatement",
                 "ExecuteTransaction", "ListBulkOperations", "StartBulkPutItems", "TransactGetItems",
                 "TransactWriteItems"},
    "kms": {"Decapsulate", "Encapsulate", "ReEncrypt"},
}  # fmt: skip


@pytest.mark.parametrize("name", services())
def test_every_operation_that_is_built_is_an_action_of_iam(name: str) -> None:
    """An operation of another name than its action would ask for something that no policy can allow."""
    prefix = PREFIXES.get(name, name)
    if prefix in EXTRA:
        return
    known = reference()[prefix]["Actions"]
    built = {kind.name: kind for kind in find_services()}.get(name)
    operations = [one for one in service_model(name).operation_names if built is None or hasattr(built, one)]
    strange = {
        one for one in operations if RENAMED.get((prefix, one), one).lower() not in known and (prefix, one) not in FREE
    }
    if built is not None:
        assert strange == set()
    else:
        assert strange <= NO_ACTION_OF_THEIR_NAME.get(prefix, strange)


@pytest.mark.parametrize("prefix", sorted(KINDS))
def test_arns_have_the_form_of_the_reference(prefix: str) -> None:
    for kind in KINDS[prefix]:
        formats = reference()[prefix]["Resources"][kind]["ARNFormats"]
        patterns = [re.sub(r"\$\{\w+\}", "[^:]*", form) for form in formats]
        made = any_of_kind(HERE, prefix, kind)
        assert any(re.fullmatch(pattern, made) for pattern in patterns), (made, formats)


def test_the_table_is_small_enough_to_read() -> None:
    document = json.loads(TABLE.read_text())
    assert set(document) == set(KINDS)
