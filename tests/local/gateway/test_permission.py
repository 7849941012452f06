"""IAM in front of the services: who may do what is refused in AWS's words, on both sides of accounts."""

from __future__ import annotations

import io
import json
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from orchestrator.local.authorization.denials import FILE
from tests.local.conftest import Aws

HUB, DEV = "111111111111", "222222222222"
KEY_ADMIN = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{HUB}:root"}, "Action": "kms:*", "Resource": "*"}


@pytest.fixture(scope="module")
def enforcing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aws]:
    running = Aws(tmp_path_factory.mktemp("permission") / "home", authorization="enforce")
    yield running
    running.stop()


def document(*statements: dict[str, Any]) -> str:
    filled = [{"Effect": "Allow", **statement} for statement in statements]
    return json.dumps({"Version": "2012-10-17", "Statement": filled})


class Somebody:
    """A role of an account, in a session."""

    def __init__(self, aws: Aws, account: str, name: str, *statements: dict[str, Any], **settings: Any) -> None:
        self.aws, self.account, self.name = aws, account, name
        trust = document({"Principal": {"AWS": HUB}, "Action": "sts:AssumeRole"})
        iam = aws.client("iam", account)
        self.arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust, **settings)["Role"]["Arn"]
        self.may(*statements)
        self.keys = self.session()

    def may(self, *statements: dict[str, Any]) -> None:
        policy = document(*statements)
        self.aws.client("iam", self.account).put_role_policy(RoleName=self.name, PolicyName="p", PolicyDocument=policy)

    def session(self, **more: Any) -> dict[str, str]:
        sts = self.aws.client("sts", HUB)
        answer = sts.assume_role(RoleArn=self.arn, RoleSessionName="me", **more)["Credentials"]
        names = {"aws_access_key_id": "AccessKeyId", "aws_secret_access_key": "SecretAccessKey"}
        return {name: answer[key] for name, key in names.items()} | {"aws_session_token": answer["SessionToken"]}

    def client(self, service: str, **keys: str) -> Any:
        made = boto3.Session(**(keys or self.keys), region_name="us-east-1")
        return made.client(service, endpoint_url=self.aws.endpoint)


def refused(call: Any, **parameters: Any) -> tuple[str, str]:
    """(code, message) of the refusal."""
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def test_a_role_may_do_what_its_policies_say(enforcing: Aws) -> None:
    enforcing.client("s3").create_bucket(Bucket="first")
    reader = Somebody(enforcing, HUB, "reader", {"Action": "s3:ListBucket", "Resource": "arn:aws:s3:::first"})
    reader.client("s3").list_objects_v2(Bucket="first")
    code, message = refused(reader.client("s3").put_object, Bucket="first", Key="k", Body=b"1")
    assert code == "AccessDenied"
    assert message == (
        "User: arn:aws:sts::111111111111:assumed-role/reader/me is not authorized to perform: s3:PutObject on resource:"
        " arn:aws:s3:::first/k because no identity-based policy allows the s3:PutObject action"
    )
    reader.may({"Action": "s3:*", "Resource": "*"}, {"Effect": "Deny", "Action": "s3:PutObject", "Resource": "*"})
    assert "with an explicit deny in an identity-based policy" in refused(
        reader.client("s3").put_object, Bucket="first", Key="k", Body=b"1"
    )[1]  # fmt: skip


@pytest.mark.parametrize(
    "service, operation, parameters, code",
    [
        ("sagemaker", "list_endpoints", {}, "AccessDeniedException"),
        ("lambda", "list_functions", {}, "AccessDeniedException"),
        ("cloudformation", "describe_stacks", {}, "AccessDenied"),
        ("iam", "list_roles", {}, "AccessDenied"),
        ("sqs", "list_queues", {}, "AccessDenied"),
        ("sns", "list_topics", {}, "AuthorizationError"),
        ("dynamodb", "list_tables", {}, "AccessDeniedException"),
        ("cloudwatch", "put_metric_data", {"Namespace": "N", "MetricData": []}, "AccessDenied"),
        ("apigateway", "get_rest_apis", {}, "AccessDeniedException"),
        ("codepipeline", "list_pipelines", {}, "AccessDeniedException"),
    ],
)
def test_every_service_refuses_in_its_own_form(
    enforcing: Aws, nobody: Somebody, service: str, operation: str, parameters: Any, code: str
) -> None:
    found, message = refused(getattr(nobody.client(service), operation), **parameters)
    assert (found, "is not authorized to perform: " in message) == (code, True)


@pytest.fixture(scope="module")
def nobody(enforcing: Aws) -> Somebody:
    return Somebody(enforcing, HUB, "nobody", {"Action": "sts:GetCallerIdentity", "Resource": "*"})


def test_everyone_may_ask_who_he_is(nobody: Somebody) -> None:
    assert nobody.client("sts").get_caller_identity()["Arn"].endswith("assumed-role/nobody/me")


def test_a_user_may_do_what_its_groups_may(enforcing: Aws) -> None:
    iam = enforcing.client("iam")
    iam.create_user(UserName="ann")
    iam.create_group(GroupName="g")
    iam.put_group_policy(GroupName="g", PolicyName="p", PolicyDocument=document({"Action": "sqs:*", "Resource": "*"}))
    key = iam.create_access_key(UserName="ann")["AccessKey"]
    ann = Somebody(enforcing, HUB, "unused", {"Action": "s3:ListAllMyBuckets", "Resource": "*"})
    client = ann.client("sqs", aws_access_key_id=key["AccessKeyId"], aws_secret_access_key=key["SecretAccessKey"])
    assert "User: arn:aws:iam::111111111111:user/ann is not" in refused(client.list_queues)[1]
    iam.add_user_to_group(GroupName="g", UserName="ann")
    client.list_queues()


def test_across_accounts_bucket_key_and_role_must_all_allow(enforcing: Aws) -> None:
    kms, s3 = enforcing.client("kms"), enforcing.client("s3")
    key = kms.create_key(Policy=document(KEY_ADMIN))["KeyMetadata"]["Arn"]
    s3.create_bucket(Bucket="sealed")
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}}
    s3.put_bucket_encryption(Bucket="sealed", ServerSideEncryptionConfiguration={"Rules": [rule]})
    s3.put_object(Bucket="sealed", Key="k", Body=b"1")
    theirs = Somebody(enforcing, DEV, "theirs", {"Action": ["s3:GetObject"], "Resource": "arn:aws:s3:::sealed/*"})

    def denied() -> str:
        return refused(theirs.client("s3").get_object, Bucket="sealed", Key="k")[1].partition("on resource: ")[2]

    assert denied() == "arn:aws:s3:::sealed/k because no resource-based policy allows the s3:GetObject action"
    s3.put_bucket_policy(Bucket="sealed", Policy=document(
        {"Principal": {"AWS": DEV}, "Action": "s3:GetObject", "Resource": "arn:aws:s3:::sealed/*"}
    ))  # fmt: skip
    assert denied() == f"{key} because no identity-based policy allows the kms:Decrypt action"
    theirs.may(
        {"Action": "s3:GetObject", "Resource": "arn:aws:s3:::sealed/*"},
        {"Action": "kms:Decrypt", "Resource": key,
         "Condition": {"StringEquals": {"kms:ViaService": "s3.us-east-1.amazonaws.com"}}},
    )  # fmt: skip
    assert denied() == f"{key} because no resource-based policy allows the kms:Decrypt action"
    user = {"Effect": "Allow", "Principal": {"AWS": DEV}, "Action": "kms:Decrypt", "Resource": "*"}
    kms.put_key_policy(KeyId=key, PolicyName="default", Policy=document(KEY_ADMIN, user))
    assert theirs.client("s3").get_object(Bucket="sealed", Key="k")["Body"].read() == b"1"


def test_root_is_master_at_home_only(enforcing: Aws) -> None:
    enforcing.client("s3").create_bucket(Bucket="home")
    enforcing.client("s3").put_object(Bucket="home", Key="k", Body=b"1")
    assert refused(enforcing.client("s3", DEV).get_object, Bucket="home", Key="k")[0] == "AccessDenied"
    lock = document({"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "arn:aws:s3:::home"})
    enforcing.client("s3").put_bucket_policy(Bucket="home", Policy=lock)
    assert refused(enforcing.client("s3").list_objects_v2, Bucket="home")[0] == "AccessDenied"
    enforcing.client("s3").delete_bucket_policy(Bucket="home")  # nobody locks himself out
    enforcing.client("s3").list_objects_v2(Bucket="home")


def test_whether_an_object_is_there_is_told_to_who_may_list(enforcing: Aws) -> None:
    enforcing.client("s3").create_bucket(Bucket="quiet")
    some = {"Action": "s3:GetObject", "Resource": "arn:aws:s3:::quiet/*"}
    reader = Somebody(enforcing, HUB, "quiet-reader", some)
    assert "s3:ListBucket" in refused(reader.client("s3").get_object, Bucket="quiet", Key="none")[1]
    reader.may(some, {"Action": "s3:ListBucket", "Resource": "arn:aws:s3:::quiet"})
    assert refused(reader.client("s3").get_object, Bucket="quiet", Key="none")[0] == "NoSuchKey"


def test_a_role_is_taken_only_with_both_sides_consent(enforcing: Aws) -> None:
    iam = enforcing.client("iam", DEV)
    condition = {"StringEquals": {"sts:ExternalId": "42"}}
    trust = document({"Principal": {"AWS": HUB}, "Action": "sts:AssumeRole", "Condition": condition})
    arn = iam.create_role(RoleName="guarded", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    taker = Somebody(enforcing, HUB, "taker", {"Action": "sts:AssumeRole", "Resource": "arn:aws:iam::*:role/x"})
    asking = {"RoleArn": arn, "RoleSessionName": "me"}
    assert "no identity-based policy" in refused(taker.client("sts").assume_role, **asking, ExternalId="42")[1]
    taker.may({"Action": "sts:AssumeRole", "Resource": arn})
    assert "no resource-based policy" in refused(taker.client("sts").assume_role, **asking)[1]
    taker.client("sts").assume_role(**asking, ExternalId="42")
    assert refused(taker.client("sts").assume_role, RoleArn=f"{arn}x", RoleSessionName="me")[0] == "AccessDenied"


def test_session_policies_and_boundaries_narrow(enforcing: Aws) -> None:
    only_queues = document({"Action": "sqs:*", "Resource": "*"})
    boundary = enforcing.client("iam").create_policy(PolicyName="b", PolicyDocument=only_queues)["Policy"]["Arn"]
    everything = {"Action": "*", "Resource": "*"}
    bound = Somebody(enforcing, HUB, "bound", everything, PermissionsBoundary=boundary)
    bound.client("sqs").list_queues()
    assert "no permissions boundary allows" in refused(bound.client("s3").list_buckets)[1]
    free = Somebody(enforcing, HUB, "free", everything)
    narrowed = free.session(Policy=only_queues)
    free.client("sqs", **narrowed).list_queues()
    assert "no session policy allows" in refused(free.client("s3", **narrowed).list_buckets)[1]


def test_handing_a_role_on_needs_the_right_to(enforcing: Aws) -> None:
    trust = document({"Principal": {"Service": "states.amazonaws.com"}, "Action": "sts:AssumeRole"})
    enforcing.client("iam").create_role(RoleName="machine", AssumeRolePolicyDocument=trust)
    role = f"arn:aws:iam::{HUB}:role/machine"
    maker = {"Action": "states:CreateStateMachine", "Resource": "*"}
    somebody = Somebody(enforcing, HUB, "maker", maker)
    wish = {
        "name": "m",
        "roleArn": role,
        "definition": json.dumps({"StartAt": "E", "States": {"E": {"Type": "Succeed"}}}),
    }
    assert (
        f"iam:PassRole on resource: {role}" in refused(somebody.client("stepfunctions").create_state_machine, **wish)[1]
    )
    given = {"Action": "iam:PassRole", "Resource": role}
    other = {"StringEquals": {"iam:PassedToService": "lambda.amazonaws.com"}}
    somebody.may(maker, {**given, "Condition": other})
    assert "iam:PassRole" in refused(somebody.client("stepfunctions").create_state_machine, **wish)[1]
    right = {"StringEquals": {"iam:PassedToService": "states.amazonaws.com"}}
    somebody.may(maker, {**given, "Condition": right})
    somebody.client("stepfunctions").create_state_machine(**wish)


def test_a_key_of_a_role_that_was_made_anew_is_worth_nothing(enforcing: Aws) -> None:
    everything = {"Action": "*", "Resource": "*"}
    first = Somebody(enforcing, HUB, "reborn", everything)
    first.client("sqs").list_queues()
    enforcing.client("iam").delete_role_policy(RoleName="reborn", PolicyName="p")
    enforcing.client("iam").delete_role(RoleName="reborn")
    Somebody(enforcing, HUB, "reborn", everything)
    assert refused(first.client("sqs").list_queues)[0] == "AccessDenied"


def test_a_session_is_known_without_its_token_as_long_as_it_is_young(enforcing: Aws) -> None:
    role = Somebody(enforcing, HUB, "young", {"Action": "sqs:*", "Resource": "*"})
    keys = {name: value for name, value in role.keys.items() if name != "aws_session_token"}
    role.client("sqs", **keys).list_queues()
    other = {**role.keys, "aws_access_key_id": f"ASIA{'A' * 16}"}
    assert refused(role.client("sqs", **other).list_queues)[0] == "InvalidClientTokenId"


def test_a_service_needs_the_consent_of_what_it_calls(enforcing: Aws) -> None:
    """A bucket that tells a topic: the topic's policy lets S3 in for the bucket."""
    sns, sqs, s3 = enforcing.client("sns"), enforcing.client("sqs"), enforcing.client("s3")
    topic = sns.create_topic(Name="told")["TopicArn"]
    queue = sqs.create_queue(QueueName="told")["QueueUrl"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=f"arn:aws:sqs:us-east-1:{HUB}:told")
    s3.create_bucket(Bucket="telling")
    allowing = {
        "Principal": {"Service": "s3.amazonaws.com"}, "Action": "sns:Publish", "Resource": topic,
        "Condition": {"ArnLike": {"aws:SourceArn": "arn:aws:s3:::telling"}},
    }  # fmt: skip
    sns.set_topic_attributes(TopicArn=topic, AttributeName="Policy", AttributeValue=document(allowing))
    wish = {"TopicConfigurations": [{"TopicArn": topic, "Events": ["s3:ObjectCreated:*"]}]}
    s3.put_bucket_notification_configuration(Bucket="telling", NotificationConfiguration=wish)
    s3.put_object(Bucket="telling", Key="heard", Body=b"1")

    def heard() -> str:
        texts = []
        while messages := sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=2, MaxNumberOfMessages=10).get(
            "Messages"
        ):
            for message in messages:
                sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
                texts.append(message["Body"])
            if any("heard" in text for text in texts):
                break
        return "".join(texts)

    assert "heard" in heard()


def test_a_function_logs_as_far_as_its_role_may(enforcing: Aws) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("app.py", "def handler(event, context):\n    print('said', event)\n")
    iam, functions, logs = enforcing.client("iam"), enforcing.client("lambda"), enforcing.client("logs")
    trust = document({"Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"})
    role = iam.create_role(RoleName="speaker", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    group = f"arn:aws:logs:us-east-1:{HUB}:log-group:/aws/lambda/kept:*"
    rights = {"Action": ["logs:CreateLogStream", "logs:PutLogEvents"], "Resource": group}
    iam.put_role_policy(RoleName="speaker", PolicyName="p", PolicyDocument=document(rights))
    logs.create_log_group(logGroupName="/aws/lambda/kept")
    for name in ("kept", "lost"):
        code = {"ZipFile": buffer.getvalue()}
        functions.create_function(FunctionName=name, Runtime="python3.12", Role=role, Handler="app.handler", Code=code)
        functions.invoke(FunctionName=name)
    deadline = time.monotonic() + 10
    while not (found := logs.filter_log_events(logGroupName="/aws/lambda/kept", filterPattern="said")["events"]):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert len(found) == 1
    assert [one["logGroupName"] for one in logs.describe_log_groups()["logGroups"]] == ["/aws/lambda/kept"]


def test_denials_are_kept_in_a_file(enforcing: Aws, nobody: Somebody) -> None:
    refused(nobody.client("sagemaker").describe_endpoint, EndpointName="e")
    last = json.loads((enforcing.home / FILE).read_text().splitlines()[-1])
    assert last["mode"] == "enforce"
    assert last["operation"] == "sagemaker:DescribeEndpoint"
    assert (
        "sagemaker:DescribeEndpoint on resource: arn:aws:sagemaker:us-east-1:111111111111:endpoint/e" in last["message"]
    )


def test_report_answers_and_notes_and_off_does_not_look(tmp_path: Path) -> None:
    for mode, noted in (("report", True), ("off", False)):
        aws = Aws(tmp_path / mode, authorization=mode)
        try:
            Somebody(aws, HUB, "nobody", {"Action": "s3:*", "Resource": "*"}).client("sqs").list_queues()
            assert (aws.home / FILE).exists() is noted
        finally:
            aws.stop()
