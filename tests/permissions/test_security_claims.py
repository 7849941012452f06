"""What ``docs/security.md`` says about logs and encryption, asked of every template."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.blueprints.walking import EXAMPLES, templates
from tests.corridor.launch import MULTI, SINGLE, STAGE, resources

HUBS = (SINGLE, MULTI)


def of_type(among: dict[str, Any], kind: str) -> dict[str, dict[str, Any]]:
    return {name: each["Properties"] for name, each in among.items() if each["Type"] == kind}


def machines() -> Iterator[tuple[str, dict[str, Any]]]:
    for example in EXAMPLES:
        for file, template in templates(example.rendering).items():
            for name, properties in of_type(template["Resources"], "AWS::StepFunctions::StateMachine").items():
                yield f"{example}/{file}/{name}", properties


@pytest.mark.parametrize("hub", HUBS)
def test_the_api_logs_no_bodies(hub: str) -> None:
    (stage,) = of_type(resources(hub), "AWS::ApiGateway::Stage").values()
    assert [settings["DataTraceEnabled"] for settings in stage["MethodSettings"]] == [False]
    told = json.loads(stage["AccessLogSetting"]["Format"])
    assert "$context.requestId" in told.values()
    assert [value for value in told.values() if any(word in value for word in ("body", "path.", "querystring"))] == []


def test_state_machines_log_no_data() -> None:
    found = dict(machines())
    assert len(found) > 20
    wrong = [
        where for where, each in found.items() if each["LoggingConfiguration"]["IncludeExecutionData"] is not False
    ]
    assert wrong == []


@pytest.mark.parametrize("hub", HUBS)
def test_nothing_is_reached_without_tls_or_stored_in_clear(hub: str) -> None:
    among = resources(hub)
    buckets = of_type(among, "AWS::S3::Bucket")
    policies = of_type(among, "AWS::S3::BucketPolicy") | of_type(among, "AWS::SNS::TopicPolicy")
    policies |= of_type(among, "AWS::SQS::QueuePolicy")
    assert len(buckets) >= 5
    assert {each["Bucket"]["Ref"] for each in policies.values() if "Bucket" in each} == set(buckets)
    for name, policy in policies.items():
        (tls,) = [each for each in policy["PolicyDocument"]["Statement"] if each["Sid"] == "OnlyTls"]
        assert (tls["Effect"], tls["Principal"]) == ("Deny", {"AWS": "*"}), name
        assert tls["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}, name
    assert all(bucket["BucketEncryption"] for bucket in buckets.values())
    assert all(bucket["VersioningConfiguration"]["Status"] == "Enabled" for bucket in buckets.values())
    assert all(key["EnableKeyRotation"] is True for key in of_type(among, "AWS::KMS::Key").values())


def test_no_role_of_the_launch_templates_is_an_administrator() -> None:
    for name in (*HUBS, STAGE):
        attached = [each.get("ManagedPolicyArns", []) for each in of_type(resources(name), "AWS::IAM::Role").values()]
        assert "arn:" not in json.dumps(attached), "only policies of the template itself, which the page shows"
