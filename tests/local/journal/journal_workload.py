"""Something of everything that moto keeps: changes, and a picture of the state that two starts can compare."""

from __future__ import annotations

import json
from typing import Any

POLICY = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]})
TRUST = json.dumps({"Version": "2012-10-17", "Statement": []})
LARGE_BODY = bytes(range(256)) * 400


def change_everything(client: Any) -> None:
    """Make something in each service, in two accounts, with ids, keys and times that the service chooses."""
    for account in ("orchestrator", "dev"):
        _storage(lambda name, account=account: client(name, account=account), account)
        _identity(lambda name, account=account: client(name, account=account))
        _messages(lambda name, account=account: client(name, account=account))
        _others(lambda name, account=account: client(name, account=account))


def _storage(client: Any, account: str) -> None:
    s3 = client("s3")
    bucket = f"bucket-{account}"
    s3.create_bucket(Bucket=bucket)
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    for body in (b"one", b"two", LARGE_BODY):
        s3.put_object(Bucket=bucket, Key="a/b c?.txt", Body=body, Metadata={"some_key": "v"})
    upload = s3.create_multipart_upload(Bucket=bucket, Key="parts")["UploadId"]
    part = s3.upload_part(Bucket=bucket, Key="parts", UploadId=upload, PartNumber=1, Body=LARGE_BODY)
    s3.complete_multipart_upload(
        Bucket=bucket,
        Key="parts",
        UploadId=upload,
        MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]},
    )
    s3.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": "parts"})
    s3.put_object(Bucket=bucket, Key="gone", Body=b"x")
    s3.delete_object(Bucket=bucket, Key="gone")
    dynamodb = client("dynamodb")
    dynamodb.create_table(
        TableName="t",
        KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "k", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    dynamodb.put_item(TableName="t", Item={"k": {"S": "1"}, "v": {"N": "2"}})


def _identity(client: Any) -> None:
    iam = client("iam")
    role = iam.create_role(RoleName="r", AssumeRolePolicyDocument=TRUST)["Role"]
    iam.put_role_policy(RoleName="r", PolicyName="p", PolicyDocument=POLICY)
    policy = iam.create_policy(PolicyName="managed", PolicyDocument=POLICY)["Policy"]
    iam.attach_role_policy(RoleName="r", PolicyArn=policy["Arn"])
    iam.create_user(UserName="u")
    iam.create_access_key(UserName="u")
    client("sts").assume_role(RoleArn=role["Arn"], RoleSessionName="session")
    key = client("kms").create_key(Description="k")["KeyMetadata"]["KeyId"]
    client("kms").create_alias(AliasName="alias/k", TargetKeyId=key)
    client("secretsmanager").create_secret(Name="s", SecretString="secret")


def _messages(client: Any) -> None:
    sns, sqs = client("sns"), client("sqs")
    topic = sns.create_topic(Name="t")["TopicArn"]
    queue = sqs.create_queue(QueueName="q", Attributes={"VisibilityTimeout": "600"})["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    sns.subscribe(TopicArn=topic, Protocol="email", Endpoint="a@example.com")
    sns.publish(TopicArn=topic, Message="hello", Subject="s")
    sqs.send_message(QueueUrl=queue, MessageBody="direct")
    first = sqs.receive_message(QueueUrl=queue)["Messages"][0]
    sqs.delete_message(QueueUrl=queue, ReceiptHandle=first["ReceiptHandle"])
    sqs.receive_message(QueueUrl=queue)


def _others(client: Any) -> None:
    client("ssm").put_parameter(Name="/p", Value="1", Type="String")
    client("ssm").put_parameter(Name="/p", Value="2", Type="String", Overwrite=True)
    client("ecr").create_repository(repositoryName="repository")
    logs = client("logs")
    logs.create_log_group(logGroupName="g")
    logs.create_log_stream(logGroupName="g", logStreamName="s")
    logs.put_log_events(
        logGroupName="g", logStreamName="s", logEvents=[{"timestamp": 1700000000000, "message": "hello"}]
    )
    gateway = client("apigateway")
    api = gateway.create_rest_api(name="api")["id"]
    root = gateway.get_resources(restApiId=api)["items"][0]["id"]
    gateway.put_method(restApiId=api, resourceId=root, httpMethod="GET", authorizationType="NONE")
    gateway.put_integration(restApiId=api, resourceId=root, httpMethod="GET", type="MOCK")
    gateway.create_deployment(restApiId=api, stageName="prod")


def picture(client: Any) -> dict[str, Any]:
    """What the services answer about it all, without what differs from request to request."""
    return {
        account: _account(lambda name, a=account: client(name, account=a), account)
        for account in ("orchestrator", "dev")
    }


def _account(client: Any, account: str) -> dict[str, Any]:
    s3, bucket = client("s3"), f"bucket-{account}"
    queue = client("sqs").get_queue_url(QueueName="q")["QueueUrl"]
    gateway = client("apigateway")
    api = gateway.get_rest_apis()["items"][0]["id"]
    key = client("kms").describe_key(KeyId="alias/k")["KeyMetadata"]
    answers = {
        "buckets": s3.list_buckets(),
        "versions": s3.list_object_versions(Bucket=bucket),
        "object": s3.get_object(Bucket=bucket, Key="a/b c?.txt")["Metadata"],
        "bodies": [s3.get_object(Bucket=bucket, Key=key)["Body"].read() for key in ("a/b c?.txt", "parts", "copy")],
        "table": client("dynamodb").describe_table(TableName="t"),
        "items": client("dynamodb").scan(TableName="t"),
        "account": client("iam").get_account_authorization_details(),
        "keys": client("iam").list_access_keys(UserName="u"),
        "kms": key,
        "secret": client("secretsmanager").get_secret_value(SecretId="s"),
        "topics": client("sns").list_subscriptions(),
        "queue": client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["All"]),
        "parameter": client("ssm").get_parameter_history(Name="/p"),
        "repository": client("ecr").describe_repositories(),
        "events": client("logs").get_log_events(logGroupName="g", logStreamName="s"),
        "streams": client("logs").describe_log_streams(logGroupName="g"),
        "stage": gateway.get_stage(restApiId=api, stageName="prod"),
        "api": gateway.get_rest_apis(),
    }
    for answer in answers.values():
        if isinstance(answer, dict):
            answer.pop("ResponseMetadata", None)
    return answers
