"""The ledger itself: what is used is found, what ran is seen, and a fall is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.local.embedded import EmbeddedAws
from tests.blueprints.walking import ROOT
from tests.fidelity import evidence, ledger, used

TEMPLATE = """
Resources:
  Topic: {Type: AWS::SNS::Topic}
  Group: {Type: AWS::Logs::LogGroup, Properties: {RetentionInDays: 1}}
"""


def test_what_the_product_uses_is_found() -> None:
    found = used.uses()
    for use in (
        ("Resource types", "AWS::SageMaker::Endpoint"),
        ("API operations", "codepipeline:PutJobSuccessResult"),
        ("API operations", "sagemaker:DescribeEndpoint"),
        ("Step Functions integrations", "sagemaker:createTrainingJob.sync"),
        ("CodePipeline actions", "Approval Manual"),
        ("CodePipeline actions", "Rule VariableCheck"),
    ):
        assert found[use], use
    assert ("API operations", "sagemaker:StartPipelineExecution") not in found


def test_every_use_is_on_the_page() -> None:
    page = ledger.written(ledger.PAGE.read_text())
    assert set(used.uses()) - set(page) == set(), "run the whole suite, then python -m tests.fidelity.ledger --write"


def test_what_ran_is_seen(tmp_path: Path) -> None:
    aws = EmbeddedAws(tmp_path / "home")
    aws.start()
    try:
        client = aws.world.client("cloudformation", "111111111111", "us-east-1")
        client.create_stack(StackName="s", TemplateBody=TEMPLATE)
        client.get_waiter("stack_create_complete").wait(StackName="s", WaiterConfig={"Delay": 1})
        aws.world.client("s3", "111111111111", "us-east-1").create_bucket(Bucket="b-for-evidence")
        with pytest.raises(Exception, match="NoSuchKey"):
            aws.world.client("s3", "111111111111", "us-east-1").get_object(Bucket="b-for-evidence", Key="k")
    finally:
        aws.stop()
    found = evidence.collect(tmp_path)
    assert {"AWS::SNS::Topic", "AWS::Logs::LogGroup"} <= set(found["Resource types"])
    assert {"cloudformation:CreateStack", "s3:CreateBucket", "sns:CreateTopic"} <= set(found["API operations"])
    assert "s3:GetObject" not in found["API operations"]
    levels = {row.name: row.level for row in ledger.rows(found)}
    assert levels["AWS::SNS::Topic"] == "executed"
    assert levels["AWS::Logs::LogGroup"] == "kept"
    assert levels["AWS::SageMaker::Endpoint"] == "schema"


def test_a_fall_and_a_newcomer_are_told() -> None:
    rows = [
        ledger.Row("Resource types", "A", "kept", ()),
        ledger.Row("Resource types", "B", "executed", ()),
        ledger.Row("Resource types", "C", "schema", ()),
    ]
    before = {("Resource types", "A"): "executed", ("Resource types", "B"): "schema"}
    assert ledger.falls(before, rows) == [
        "Resource types: A fell from executed to kept",
        "Resource types: C is used and not on the page (now: schema)",
    ]


def test_a_page_says_what_it_was_written_from() -> None:
    rows = ledger.rows({"Resource types": ["AWS::SageMaker::Endpoint"]})
    assert ledger.falls(ledger.written(ledger.page(rows)), rows) == []
    assert str(ROOT) not in ledger.page(rows)
