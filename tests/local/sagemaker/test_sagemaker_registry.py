"""The model registry: versions, approval, events, and other accounts under the group's policy."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError
from sagemaker_rig import XGBOOST, Workshop, archive, small_booster, wait_for


def group(workshop: Workshop, name: str = "churn", **members: Any) -> str:
    answer = workshop.sagemaker.create_model_package_group(ModelPackageGroupName=name, **members)
    return str(answer["ModelPackageGroupArn"])


def register(workshop: Workshop, **members: Any) -> str:
    booster = bytes(small_booster().save_raw("ubj"))
    data = workshop.put("models/registered.tar.gz", archive(xgboost_dash_model=booster))
    specification = {
        "Containers": [{"Image": XGBOOST, "ModelDataUrl": data, "Environment": {"A": "registered"}}],
        "SupportedContentTypes": ["text/csv"],
        "SupportedResponseMIMETypes": ["text/csv"],
    }
    request = {"ModelPackageGroupName": "churn", "InferenceSpecification": specification, **members}
    return str(workshop.sagemaker.create_model_package(**request)["ModelPackageArn"])


def approve(workshop: Workshop, arn: str, status: str = "Approved") -> None:
    workshop.sagemaker.update_model_package(
        ModelPackageArn=arn, ModelApprovalStatus=status, ApprovalDescription="looked at"
    )


def test_versions_count_up_and_wait_for_approval(workshop: Workshop) -> None:
    arn = group(workshop, ModelPackageGroupDescription="Who leaves")
    assert arn == "arn:aws:sagemaker:us-east-1:222222222222:model-package-group/churn"
    metrics = {"ModelQuality": {"Statistics": {"ContentType": "application/json", "S3Uri": "s3://a/b.json"}}}
    made_by = {"GeneratedBy": "arn:aws:sagemaker:us-east-1:222222222222:training-job/j"}
    noted = {"commit": "abc"}
    first = register(workshop, ModelMetrics=metrics, CustomerMetadataProperties=noted, MetadataProperties=made_by)
    assert first == "arn:aws:sagemaker:us-east-1:222222222222:model-package/churn/1"
    assert register(workshop).endswith("/churn/2")
    package = workshop.sagemaker.describe_model_package(ModelPackageName=first)
    assert (package["ModelPackageVersion"], package["ModelApprovalStatus"]) == (1, "PendingManualApproval")
    assert package["ModelPackageStatus"] == "Completed"
    assert package["ModelMetrics"] == metrics
    assert package["MetadataProperties"]["GeneratedBy"].endswith("training-job/j")
    approve(workshop, first)
    workshop.sagemaker.update_model_package(
        ModelPackageArn=first,
        CustomerMetadataProperties={"reviewer": "ada"},
        CustomerMetadataPropertiesToRemove=["commit"],
    )
    package = workshop.sagemaker.describe_model_package(ModelPackageName="churn/1")
    assert (package["ModelApprovalStatus"], package["ApprovalDescription"]) == ("Approved", "looked at")
    assert package["CustomerMetadataProperties"] == {"reviewer": "ada"}


def test_lists_filter_by_group_approval_and_kind(workshop: Workshop) -> None:
    group(workshop)
    group(workshop, "other")
    approve(workshop, register(workshop))
    register(workshop)
    register(workshop, ModelPackageGroupName="other")

    def versions(**filters: Any) -> list[str]:
        answer = workshop.sagemaker.list_model_packages(**filters)
        return [item["ModelPackageArn"].partition("model-package/")[2] for item in answer["ModelPackageSummaryList"]]

    assert versions(ModelPackageGroupName="churn") == ["churn/1", "churn/2"]
    assert versions(ModelPackageGroupName="churn", ModelApprovalStatus="Approved") == ["churn/1"]
    assert versions(ModelPackageGroupName="churn", SortOrder="Descending", MaxResults=1) == ["churn/2"]
    assert versions() == []
    assert versions(ModelPackageType="Versioned", NameContains="oth") == ["other/1"]
    names = [item["ModelPackageGroupName"] for item in
             workshop.sagemaker.list_model_package_groups()["ModelPackageGroupSummaryList"]]  # fmt: skip
    assert names == ["churn", "other"]


def test_deleting_and_never_counting_twice(workshop: Workshop) -> None:
    group(workshop)
    first = register(workshop)
    with pytest.raises(ClientError, match="still has model packages") as refusal:
        workshop.sagemaker.delete_model_package_group(ModelPackageGroupName="churn")
    assert refusal.value.response["Error"]["Code"] == "ConflictException"
    workshop.sagemaker.delete_model_package(ModelPackageName=first)
    with pytest.raises(ClientError, match=r"ModelPackage arn:.* does not exist"):
        workshop.sagemaker.describe_model_package(ModelPackageName=first)
    second = register(workshop)
    assert second.endswith("/churn/2")
    workshop.sagemaker.delete_model_package(ModelPackageName=second)
    workshop.sagemaker.delete_model_package_group(ModelPackageGroupName="churn")
    with pytest.raises(ClientError, match="does not exist"):
        workshop.sagemaker.describe_model_package_group(ModelPackageGroupName="churn")


def test_the_same_token_registers_once(workshop: Workshop) -> None:
    group(workshop)
    assert register(workshop, ClientToken="one-try") == register(workshop, ClientToken="one-try")
    assert register(workshop).endswith("/2")


@pytest.mark.parametrize("members, words", [
    ({"ModelPackageGroupName": "ghost"}, "ModelPackageGroup arn:.*ghost does not exist"),
    ({"Tags": [{"Key": "a", "Value": "b"}]}, "tag its model package group"),
    ({"ModelPackageName": "both"}, "Exactly one of"),
    ({"SourceAlgorithmSpecification": {"SourceAlgorithms": [{"AlgorithmName": "a"}]}}, "SourceAlgorithmSpecification"),
])  # fmt: skip
def test_packages_that_cannot_be_are_refused(members: dict[str, Any], words: str, workshop: Workshop) -> None:
    group(workshop)
    with pytest.raises(ClientError, match=words):
        register(workshop, **members)


def test_only_an_approved_version_becomes_a_model(workshop: Workshop) -> None:
    group(workshop)
    arn = register(workshop)
    with pytest.raises(ClientError, match="is PendingManualApproval; only a model package"):
        workshop.model(ModelPackageName=arn)
    approve(workshop, arn, "Rejected")
    with pytest.raises(ClientError, match="is Rejected"):
        workshop.model(ModelPackageName=arn)
    approve(workshop, arn)
    workshop.model(ModelPackageName=arn, Environment={"B": "own"})
    shown = workshop.sagemaker.describe_model(ModelName="model")
    assert shown["PrimaryContainer"]["ModelPackageName"] == arn
    workshop.config()
    assert workshop.endpoint()["EndpointStatus"] == "InService"
    assert len(workshop.predictions()) == 3


def policy(*actions: str, principal: str = "arn:aws:iam::444444444444:root") -> str:
    resources = ["arn:aws:sagemaker:us-east-1:222222222222:model-package/churn/*",
                 "arn:aws:sagemaker:us-east-1:222222222222:model-package-group/churn"]  # fmt: skip
    statement = {"Effect": "Allow", "Principal": {"AWS": principal}, "Action": list(actions), "Resource": resources}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def test_another_account_needs_the_groups_policy(workshop: Workshop, aws: Any) -> None:
    group(workshop)
    arn = register(workshop)
    approve(workshop, arn)
    other = Workshop(aws, "prod")
    with pytest.raises(ClientError, match="no resource-based policy allows the sagemaker:CreateModel") as refusal:
        other.model(ModelPackageName=arn)
    assert refusal.value.response["Error"]["Code"] == "AccessDeniedException"
    workshop.sagemaker.put_model_package_group_policy(
        ModelPackageGroupName="churn", ResourcePolicy=policy("sagemaker:CreateModel", "sagemaker:Describe*")
    )
    assert other.sagemaker.describe_model_package(ModelPackageName=arn)["ModelPackageVersion"] == 1
    other.model(ModelPackageName=arn)
    with pytest.raises(ClientError, match="sagemaker:UpdateModelPackage"):
        approve(other, arn, "Rejected")
    staging = aws.client("sagemaker", account="staging")
    with pytest.raises(ClientError, match="not authorized"):
        staging.describe_model_package(ModelPackageName=arn)
    workshop.sagemaker.delete_model_package_group_policy(ModelPackageGroupName="churn")
    with pytest.raises(ClientError, match="Cannot find resource policy"):
        workshop.sagemaker.get_model_package_group_policy(ModelPackageGroupName="churn")


def test_approval_is_told(workshop: Workshop) -> None:
    queue = workshop.client("sqs").create_queue(QueueName="told")["QueueUrl"]
    rule = {"source": ["aws.sagemaker"], "detail-type": ["SageMaker Model Package State Change"],
            "detail": {"ModelApprovalStatus": ["Approved"]}}  # fmt: skip
    events = workshop.client("events")
    events.put_rule(Name="approvals", EventPattern=json.dumps(rule))
    target = f"arn:aws:sqs:us-east-1:{workshop.aws.account('dev')}:told"
    events.put_targets(Rule="approvals", Targets=[{"Id": "queue", "Arn": target}])
    group(workshop)
    arn = register(workshop)
    approve(workshop, arn)
    (message,) = wait_for(lambda: workshop.client("sqs").receive_message(QueueUrl=queue).get("Messages"))
    event = json.loads(message["Body"])
    assert event["resources"] == [arn]
    assert event["detail"]["ModelPackageGroupName"] == "churn"


def test_batch_describe_tells_found_from_missing(workshop: Workshop) -> None:
    group(workshop)
    arn = register(workshop)
    ghost = arn.replace("/1", "/9")
    answer = workshop.sagemaker.batch_describe_model_package(ModelPackageArnList=[arn, ghost])
    assert list(answer["ModelPackageSummaries"]) == [arn]
    assert list(answer["BatchDescribeModelPackageErrorMap"]) == [ghost]


def test_tags_of_every_resource(workshop: Workshop) -> None:
    arn = group(workshop, Tags=[{"Key": "team", "Value": "x"}])
    workshop.sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "team", "Value": "y"}, {"Key": "cost", "Value": "1"}])
    tags = workshop.sagemaker.list_tags(ResourceArn=arn)["Tags"]
    assert tags == [{"Key": "team", "Value": "y"}, {"Key": "cost", "Value": "1"}]
    workshop.sagemaker.delete_tags(ResourceArn=arn, TagKeys=["team"])
    assert workshop.sagemaker.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "cost", "Value": "1"}]
    with pytest.raises(ClientError, match="does not exist"):
        workshop.sagemaker.list_tags(ResourceArn=arn + "x")
    many = [{"Key": str(number), "Value": ""} for number in range(50)]
    with pytest.raises(ClientError, match="at most 50 tags"):
        workshop.sagemaker.add_tags(ResourceArn=arn, Tags=many)


@pytest.mark.parametrize("operation, parameters", [
    ("create_feature_group", {"FeatureGroupName": "f", "RecordIdentifierFeatureName": "id",
                              "EventTimeFeatureName": "at", "FeatureDefinitions": [
                                  {"FeatureName": "id", "FeatureType": "String"}]}),
    ("list_compilation_jobs", {}),
    ("create_pipeline", {"PipelineName": "p", "ClientRequestToken": "x" * 32,
                         "RoleArn": "arn:aws:iam::222222222222:role/r"}),
])  # fmt: skip
def test_what_does_not_run_is_refused_by_name(operation: str, parameters: dict[str, Any], workshop: Workshop) -> None:
    with pytest.raises(ClientError, match="does not support sagemaker") as refusal:
        getattr(workshop.sagemaker, operation)(**parameters)
    assert refusal.value.response["Error"]["Code"] == "UnsupportedOperation"
