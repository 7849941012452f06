"""The templates of the product: the launch templates deploy, and every blueprint's rendering is accepted."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from botocore.exceptions import ClientError
from cloudformation_rig import HUB, Cloud, outputs

ROOT = Path(__file__).parents[3]
LAUNCH = ROOT / "templates" / "launch"
NAMED = ["CAPABILITY_NAMED_IAM"]
FROM_OTHER_PIPELINES = {
    "ImageRepositoryArn": f"arn:aws:ecr:us-east-1:{HUB}:repository/image",
    "ImageUri": f"{HUB}.dkr.ecr.us-east-1.amazonaws.com/image:1",
    "ModelDataPrefix": "s3://assets/models",
    "ModelDataUrl": "s3://assets/models/model.tar.gz",
    "ModelPackageArn": f"arn:aws:sagemaker:us-east-1:{HUB}:model-package/group/1",
    "TrainingJobName": "job",
}
"""What a run hands from one pipeline to the next, so that no parameter file has it."""
NOT_PARAMETER_FILES = (".input.json", "plan.json", "mlops-config.json")


def renderings() -> list[Path]:
    return sorted((ROOT / "blueprints").glob("*/expected/**/*.yaml"))


def parameter_files(template: Path) -> list[Path]:
    return [path for path in sorted(template.parent.glob("*.json")) if not path.name.endswith(NOT_PARAMETER_FILES)]


def given(template: dict[str, Any], file: Path) -> dict[str, str]:
    parameters: dict[str, str] = json.loads(file.read_text())["Parameters"]
    declared = template["Parameters"]
    if "StackSetName" not in declared:  # the file may be for the stack around a stack set, which asks for more
        parameters = {name: value for name, value in parameters.items() if not name.startswith("StackSet")}
    absent = [name for name, entry in declared.items() if "Default" not in entry and name not in parameters]
    return {**parameters, **{name: FROM_OTHER_PIPELINES[name] for name in absent}}


@pytest.fixture(scope="module")
def launched(cloud: Cloud) -> Cloud:
    """An account with the policies that the launch templates make for all projects."""
    account = Cloud(cloud.home, cloud._embedded, account="333333333333")
    template = json.loads((LAUNCH / "stage-account.template.json").read_text())
    prefix = template["Parameters"]["NamePrefix"]["Default"]
    anything = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}
    for resource in template["Resources"].values():
        name = resource.get("Properties", {}).get("ManagedPolicyName")
        if name:
            account.client("iam").create_policy(
                PolicyName=name["Fn::Sub"].replace("${NamePrefix}", prefix),
                PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [anything]}),
            )
    return account


@pytest.mark.parametrize("path", renderings(), ids=lambda path: str(path.relative_to(ROOT / "blueprints")))
def test_a_rendering_is_accepted_with_every_parameter_file(launched: Cloud, path: Path) -> None:
    body = path.read_text()
    template = yaml.safe_load(body)
    files = parameter_files(path)
    assert files
    only_planned = "AWS::SageMaker::" in body or "AWS::CloudFormation::StackSet" in body
    for file in files:
        parameters = given(template, file)
        name = launched.name("rendering")
        if "AWS::SageMaker::MonitoringSchedule" in body:  # SageMaker Model Monitor is AWS's alone
            with pytest.raises(ClientError, match="cannot make a AWS::SageMaker::"):
                launched.change_set(name, body, ChangeSetType="CREATE", parameters=parameters, Capabilities=NAMED)
            continue
        change_set = launched.change_set(name, body, ChangeSetType="CREATE", parameters=parameters, Capabilities=NAMED)
        assert change_set["Status"] == "CREATE_COMPLETE", change_set.get("StatusReason")
        assert {change["ResourceChange"]["Action"] for change in change_set["Changes"]} == {"Add"}
        if not only_planned:  # models and endpoints want their data, stack sets an organization
            launched.cf.execute_change_set(ChangeSetName=change_set["ChangeSetId"])
            stack = launched.wait(change_set["StackId"])
            assert stack["StackStatus"] == "CREATE_COMPLETE", launched.failures(stack)
            with pytest.raises(ClientError, match="No updates are to be performed"):
                launched.update(stack, body, parameters=parameters, Capabilities=NAMED)
        assert launched.delete(launched.stack(name))["StackStatus"] == "DELETE_COMPLETE"


def test_the_launch_templates_deploy_stay_and_go(cloud: Cloud) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as members:
        members.writestr("orchestrator/__init__.py", "")
        members.writestr("orchestrator/handler.py", "def handler(event, context):\n    return {'statusCode': 200}\n")
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket="code")
    s3.put_object(Bucket="code", Key="zip", Body=packed.getvalue())
    hub_parameters = {"CodeBucket": "code", "CodeKey": "zip", "StageAccounts": "222222222222"}
    s3.put_object(Bucket="code", Key="hub", Body=(LAUNCH / "multi-account.template.json").read_bytes())
    hub_template = "https://code.s3.us-east-1.amazonaws.com/hub"
    hub = cloud.create(hub_template, "mlops-hub", Capabilities=NAMED, parameters=hub_parameters)
    assert hub["StackStatus"] == "CREATE_COMPLETE", cloud.failures(hub)
    made = outputs(hub)
    stage_parameters = {
        "HubAccount": HUB,
        "ArtifactBucket": made["ArtifactBucket"],
        "ArtifactKeyArn": made["ArtifactKeyArn"],
    }
    stage_template = (LAUNCH / "stage-account.template.json").read_text()
    place = Cloud(cloud.home, cloud._embedded, account="222222222222")
    stage = place.create(stage_template, "mlops-stage", Capabilities=NAMED, parameters=stage_parameters)
    assert stage["StackStatus"] == "CREATE_COMPLETE", place.failures(stage)
    with pytest.raises(ClientError, match="No updates are to be performed"):
        cloud.update(hub, hub_template, Capabilities=NAMED, parameters=hub_parameters)
    wider = {**hub_parameters, "StageAccounts": "222222222222,333333333333"}
    hub = cloud.update(hub, hub_template, Capabilities=NAMED, parameters=wider)
    assert hub["StackStatus"] == "UPDATE_COMPLETE", cloud.failures(hub)
    assert "333333333333" in s3.get_bucket_policy(Bucket=made["AssetsBucket"])["Policy"]
    hub = cloud.delete(hub)
    assert hub["StackStatus"] == "DELETE_COMPLETE", cloud.failures(hub)
    assert cloud.resources(hub)["AssetsBucket"] == "DELETE_SKIPPED"
