"""What gets in, what does not, and in which words it is told."""

from __future__ import annotations

import http.client
import json

import pytest
from botocore.exceptions import ClientError

SIGNED = {"Authorization": "AWS4-HMAC-SHA256 Credential=111111111111/20260101/us-east-1/s3/aws4_request, Signature=x"}


def ask(aws, method, path, body=None, headers=None):
    connection = http.client.HTTPConnection("127.0.0.1", int(aws.endpoint.rpartition(":")[2]), timeout=5)
    connection.request(method, path, body, headers or {})
    response = connection.getresponse()
    content = response.read()
    connection.close()
    return response, content


def test_health(aws):
    response, body = ask(aws, "GET", "/_local/health")
    assert response.status == 200 and json.loads(body) == {"status": "ready"}


def test_nothing_else_is_local(aws):
    response, body = ask(aws, "GET", "/_local/reset")
    assert response.status == 404 and json.loads(body)["__type"] == "NotFound"


@pytest.mark.parametrize("path", ["/moto-api/reset", "/moto-api/data.json", "/moto-api/", "/", "/bucket/key"])
def test_unsigned_requests_are_refused(aws, path):
    response, body = ask(aws, "POST", path)
    assert response.status == 403 and b"12 digits" in body


def test_the_control_paths_of_moto_are_closed_to_signed_requests_too(aws):
    aws.client("s3").create_bucket(Bucket="kept")
    ask(aws, "POST", "/moto-api/reset", headers=SIGNED)
    ask(aws, "POST", "/%6Doto-api/reset", headers=SIGNED)
    ask(aws, "POST", "//moto-api/reset", headers=SIGNED)
    assert len(aws.client("s3").list_buckets()["Buckets"]) == 1


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Host": "evil.example"},
        {"Host": "127.0.0.1.evil.example:80"},
        {"Host": ""},
        {"Sec-Fetch-Site": "cross-site"},
        {"Origin": "http://[bad"},
    ],
)
def test_web_pages_and_rebound_names_are_refused(aws, headers):
    response, body = ask(aws, "GET", "/", headers={**SIGNED, **headers})
    assert response.status == 403 and b"AccessDenied" in body
    assert not any(name.lower().startswith("access-control") for name, _ in response.getheaders())


@pytest.mark.parametrize("headers", [{"Host": "localhost:1"}, {"Host": "[::1]"}, {"Origin": "http://localhost:3000"}])
def test_this_machine_gets_in(aws, headers):
    response, _ = ask(aws, "GET", "/", headers={**SIGNED, **headers})
    assert response.status == 200
    assert not any(name.lower().startswith("access-control") for name, _ in response.getheaders())


def test_an_unknown_service_is_refused_by_name(aws):
    with pytest.raises(ClientError, match="no service 'route53'") as caught:
        aws.client("route53").list_hosted_zones()
    assert caught.value.response["Error"]["Code"] == "UnsupportedOperation"


@pytest.mark.parametrize(
    ("service", "operation", "parameters"),
    [
        ("kms", "describe_custom_key_stores", {}),
        ("logs", "list_anomalies", {}),
        ("iam", "get_organizations_access_report", {"JobId": "1" * 36}),
        ("sns", "get_sms_sandbox_account_status", {}),
        ("apigateway", "get_sdk_types", {}),
        ("s3", "get_bucket_request_payment", {"Bucket": "bucket"}),
        ("s3", "put_bucket_metrics_configuration", {"Bucket": "b-1", "Id": "i", "MetricsConfiguration": {"Id": "i"}}),
        ("dynamodb", "export_table_to_point_in_time", {"TableArn": "arn:aws:dynamodb:a:b:table/t", "S3Bucket": "b"}),
    ],
)
def test_an_operation_that_moto_lacks_is_refused_by_name(aws, service, operation, parameters):
    with pytest.raises(ClientError, match="does not support") as caught:
        getattr(aws.client(service), operation)(**parameters)
    assert caught.value.response["Error"]["Code"] == "UnsupportedOperation"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 501
    assert caught.value.response["ResponseMetadata"]["RetryAttempts"] == 0


def test_a_signature_in_the_url_is_for_s3_alone(aws):
    aws.client("s3").create_bucket(Bucket="bucket")
    aws.client("s3").put_object(Bucket="bucket", Key="a b", Body=b"content")
    url = aws.client("s3").generate_presigned_url("get_object", Params={"Bucket": "bucket", "Key": "a b"})
    assert ask(aws, "GET", url.removeprefix(aws.endpoint))[1] == b"content"
    url = aws.client("sts").generate_presigned_url("get_caller_identity")
    assert ask(aws, "GET", url.removeprefix(aws.endpoint))[0].status == 501


def test_an_unknown_region_is_refused(aws):
    with pytest.raises(ClientError, match="no region 'mars-north-1'"):
        aws.client("sqs", region="mars-north-1").list_queues()


def test_notifications_that_cannot_be_delivered_are_refused(aws):
    topic = aws.client("sns").create_topic(Name="t")["TopicArn"]
    with pytest.raises(ClientError, match="does not deliver notifications by 'https'"):
        aws.client("sns").subscribe(TopicArn=topic, Protocol="https", Endpoint="https://example.com")


def test_the_request_log_names_and_does_not_tell(aws):
    aws.client("ssm").put_parameter(Name="/secret", Value="do-not-log-me", Type="String")
    aws.client("s3").create_bucket(Bucket="bucket")
    aws.client("s3").generate_presigned_url("get_object", Params={"Bucket": "bucket", "Key": "k"})
    text = (aws.home / "requests.log").read_text()
    assert "111111111111 us-east-1 ssm PutParameter 200" in text
    assert "111111111111 us-east-1 s3 PUT /bucket 200" in text
    assert "do-not-log-me" not in text


def test_services_of_ours_and_their_controls(tmp_path):
    from orchestrator.local.embedded import EmbeddedAws
    from orchestrator.local.service import Service, ServiceError

    class Lamps(Service):
        name = "codepipeline"

        def control(self, path, method, body):
            if path != "switch":
                raise ServiceError("NotFound", "no such switch", 404)
            return {"method": method, "body": body}

        def ListPipelines(self, call, parameters):
            raise RuntimeError("a defect")

    Lamps.__module__ = "orchestrator.local.services.lamps.service"
    running = EmbeddedAws(tmp_path / "home", services=[Lamps])
    running.start()
    try:
        response, body = ask(running, "POST", "/_local/lamps/switch", json.dumps({"on": True}))
        assert response.status == 200 and json.loads(body) == {"method": "POST", "body": {"on": True}}
        assert ask(running, "POST", "/_local/lamps/other")[0].status == 404
        assert ask(running, "POST", "/_local/lamps/switch", "no json")[0].status == 400
        assert ask(running, "POST", "/_local/lamps/switch", "[1]")[0].status == 400
        client = running.world.client("codepipeline", "111111111111", "us-east-1", patience=5)
        with pytest.raises(ClientError, match="a defect") as caught:
            client.list_pipelines()
        assert caught.value.response["Error"]["Code"] == "InternalFailure"
    finally:
        running.stop()
