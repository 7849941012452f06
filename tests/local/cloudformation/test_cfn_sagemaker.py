"""SageMaker and CodePipeline through stacks: real endpoints, packages and pipelines."""

from __future__ import annotations

import io
import json
import tarfile
import time
from typing import Any

import pytest
from cloudformation_rig import HUB, Cloud, exists, outputs

IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3"
ECHO = """
def model_fn(model_dir):
    return open(model_dir + "/name").read()
def input_fn(body, content_type):
    return body if isinstance(body, str) else body.decode()
def predict_fn(body, model):
    return f"{model}:{body}"
def output_fn(answer, accept):
    return answer, "text/plain"
"""


@pytest.fixture(scope="module")
def data(cloud: Cloud) -> str:
    """The folder of three models: one, two, and one that cannot be loaded."""
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket="models")
    for name, code in (("one", ECHO), ("two", ECHO), ("broken", "raise RuntimeError('no such weights')")):
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w:gz") as members:
            for path, text in (("name", name), ("code/inference.py", code)):
                member = tarfile.TarInfo(path)
                member.size = len(text)
                members.addfile(member, io.BytesIO(text.encode()))
        s3.put_object(Bucket="models", Key=f"{name}.tar.gz", Body=packed.getvalue())
    return "s3://models"


SERVING = """
Parameters: {Data: {Type: String}, Name: {Type: String}, Image: {Type: String}, Count: {Type: Number, Default: 1}}
Resources:
  Role:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument:
        Version: "2012-10-17"
        Statement: [{Effect: Allow, Principal: {Service: sagemaker.amazonaws.com}, Action: sts:AssumeRole}]
  Model:
    Type: AWS::SageMaker::Model
    Properties:
      ExecutionRoleArn: !GetAtt Role.Arn
      PrimaryContainer:
        Image: !Ref Image
        ModelDataUrl: !Ref Data
        Environment: {SAGEMAKER_PROGRAM: inference.py, SAGEMAKER_SUBMIT_DIRECTORY: /opt/ml/model/code}
  Config:
    Type: AWS::SageMaker::EndpointConfig
    Properties:
      ProductionVariants:
        - VariantName: AllTraffic
          ModelName: !GetAtt Model.ModelName
          InstanceType: ml.m5.large
          InitialInstanceCount: !Ref Count
          InitialVariantWeight: 1
  Endpoint:
    Type: AWS::SageMaker::Endpoint
    Properties: {EndpointName: !Ref Name, EndpointConfigName: !GetAtt Config.EndpointConfigName}
Outputs:
  Name: {Value: !GetAtt Endpoint.EndpointName}
  Arn: {Value: !Ref Endpoint}
  Config: {Value: !GetAtt Config.EndpointConfigName}
"""


def say(cloud: Cloud, endpoint: str) -> str:
    runtime = cloud.client("sagemaker-runtime")
    answer = runtime.invoke_endpoint(EndpointName=endpoint, Body="hi", ContentType="text/plain")
    return str(answer["Body"].read().decode())


def test_an_endpoint_comes_changes_falls_back_and_goes(cloud: Cloud, data: str) -> None:
    given = {"Data": f"{data}/one.tar.gz", "Name": "echo", "Image": IMAGE}
    stack = cloud.create(SERVING, parameters=given, Capabilities=["CAPABILITY_IAM"], tags={"team": "x"})
    assert stack["StackStatus"] == "CREATE_COMPLETE", cloud.failures(stack)
    assert outputs(stack)["Arn"] == f"arn:aws:sagemaker:us-east-1:{HUB}:endpoint/echo"
    assert say(cloud, "echo") == "one:hi"
    sagemaker = cloud.client("sagemaker")
    assert sagemaker.list_tags(ResourceArn=outputs(stack)["Arn"])["Tags"] == [{"Key": "team", "Value": "x"}]
    first, model = outputs(stack)["Config"], cloud.physical(stack, "Model")

    change_set = cloud.change_set(
        stack["StackName"], parameters={**given, "Data": f"{data}/two.tar.gz"}, Capabilities=["CAPABILITY_IAM"]
    )
    told = {each["ResourceChange"]["LogicalResourceId"]: each["ResourceChange"] for each in change_set["Changes"]}
    assert {name: change["Replacement"] for name, change in told.items()} == {
        "Model": "True",
        "Config": "Conditional",
        "Endpoint": "False",
    }
    cloud.cf.execute_change_set(ChangeSetName=change_set["ChangeSetId"])
    stack = cloud.wait(stack["StackId"])
    assert stack["StackStatus"] == "UPDATE_COMPLETE", cloud.failures(stack)
    assert say(cloud, "echo") == "two:hi"
    assert outputs(stack)["Config"] != first
    assert not exists(sagemaker.describe_endpoint_config, EndpointConfigName=first)
    assert not exists(sagemaker.describe_model, ModelName=model.rpartition("/")[2])

    broken = {**given, "Data": f"{data}/broken.tar.gz"}
    stack = cloud.update(stack, parameters=broken, Capabilities=["CAPABILITY_IAM"])
    assert stack["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert "no such weights" in cloud.reason(stack, "Endpoint", "UPDATE_FAILED")
    assert say(cloud, "echo") == "two:hi"
    assert len(sagemaker.list_models()["Models"]) == len(sagemaker.list_endpoint_configs()["EndpointConfigs"]) == 1

    assert cloud.delete(stack)["StackStatus"] == "DELETE_COMPLETE"
    assert sagemaker.list_endpoints()["Endpoints"] == sagemaker.list_models()["Models"] == []


def test_an_endpoint_that_does_not_come_up_fails_with_its_reason(cloud: Cloud, data: str) -> None:
    given = {"Data": f"{data}/broken.tar.gz", "Name": "never", "Image": IMAGE}
    stack = cloud.create(SERVING, parameters=given, Capabilities=["CAPABILITY_IAM"])
    assert stack["StackStatus"] == "ROLLBACK_COMPLETE"
    assert "no such weights" in cloud.reason(stack, "Endpoint", "CREATE_FAILED")
    sagemaker = cloud.client("sagemaker")
    assert sagemaker.list_endpoints()["Endpoints"] == sagemaker.list_models()["Models"] == []


def test_model_packages_and_their_group(cloud: Cloud, data: str) -> None:
    def template(approval: str, label: str = "one", policy: bool = True) -> dict[str, Any]:
        container = {"Image": IMAGE, "ModelDataUrl": f"{data}/{label}.tar.gz"}
        allowed = {
            "Effect": "Allow",
            "Principal": {"AWS": "arn:aws:iam::222222222222:root"},
            "Action": ["sagemaker:DescribeModelPackageGroup"],
            "Resource": f"arn:aws:sagemaker:us-east-1:{HUB}:model-package-group/group",
        }
        group: dict[str, Any] = {"ModelPackageGroupName": "group", "ModelPackageGroupDescription": "of echoes"}
        if policy:
            group["ModelPackageGroupPolicy"] = {"Version": "2012-10-17", "Statement": [{"Sid": "a", **allowed}]}
        return {
            "Resources": {
                "Group": {"Type": "AWS::SageMaker::ModelPackageGroup", "Properties": group},
                "Package": {
                    "Type": "AWS::SageMaker::ModelPackage",
                    "Properties": {
                        "ModelPackageGroupName": {"Fn::Select": [1, {"Fn::Split": ["/", {"Ref": "Group"}]}]},
                        "ModelApprovalStatus": approval,
                        "InferenceSpecification": {
                            "Containers": [container],
                            "SupportedContentTypes": ["text/plain"],
                            "SupportedResponseMIMETypes": ["text/plain"],
                        },
                    },
                },
            },
            "Outputs": {"Status": {"Value": {"Fn::GetAtt": ["Package", "ModelPackageStatus"]}}},
        }

    stack = cloud.create(template("PendingManualApproval"), tags={"team": "x"})
    assert stack["StackStatus"] == "CREATE_COMPLETE", cloud.failures(stack)
    assert outputs(stack) == {"Status": "Completed"}
    arn = cloud.physical(stack, "Package")
    assert arn.endswith("model-package/group/1")
    sagemaker = cloud.client("sagemaker")
    assert "222222222222" in sagemaker.get_model_package_group_policy(ModelPackageGroupName="group")["ResourcePolicy"]
    stack = cloud.update(stack, template("Approved", policy=False))
    assert sagemaker.describe_model_package(ModelPackageName=arn)["ModelApprovalStatus"] == "Approved"
    assert not exists(sagemaker.get_model_package_group_policy, ModelPackageGroupName="group")
    stack = cloud.update(stack, template("Approved", "two", policy=False))
    assert cloud.physical(stack, "Package").endswith("model-package/group/2")
    assert not exists(sagemaker.describe_model_package, ModelPackageName=arn)
    assert cloud.delete(stack)["StackStatus"] == "DELETE_COMPLETE"


def pipeline(commands: dict[str, Any], **more: Any) -> dict[str, Any]:
    source = {
        "Name": "Source",
        "ActionTypeId": {"Category": "Source", "Owner": "AWS", "Provider": "S3", "Version": 1},
        "Configuration": {"S3Bucket": "pipes", "S3ObjectKey": "bundle.zip", "PollForSourceChanges": False},
        "OutputArtifacts": [{"Name": "Bundle"}],
        "RunOrder": "1",
    }
    approve = {
        "Name": "Approve",
        "ActionTypeId": {"Category": "Approval", "Owner": "AWS", "Provider": "Manual", "Version": "1"},
        "Configuration": commands,
    }
    stages = [{"Name": "Source", "Actions": [source]}, {"Name": "Review", "Actions": [approve]}]
    properties = {
        "Name": "flow",
        "PipelineType": "V2",
        "ExecutionMode": "QUEUED",
        "RoleArn": {"Fn::GetAtt": ["Role", "Arn"]},
        "ArtifactStore": {"Type": "S3", "Location": "pipes"},
        "Stages": stages,
        **more,
    }
    trust = {"Effect": "Allow", "Principal": {"Service": "codepipeline.amazonaws.com"}, "Action": "sts:AssumeRole"}
    role = {"AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": [trust]}}
    return {
        "Resources": {
            "Role": {"Type": "AWS::IAM::Role", "Properties": role},
            "Flow": {"Type": "AWS::CodePipeline::Pipeline", "Properties": properties},
        },
        "Outputs": {"Version": {"Value": {"Fn::GetAtt": ["Flow", "Version"]}}},
    }


def test_a_pipeline_in_the_spelling_of_its_api(cloud: Cloud) -> None:
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket="pipes")
    s3.put_bucket_versioning(Bucket="pipes", VersioningConfiguration={"Status": "Enabled"})
    s3.put_object(Bucket="pipes", Key="bundle.zip", Body=b"PK\x05\x06" + bytes(18))
    stack = cloud.create(pipeline({"CustomData": "one"}), Capabilities=["CAPABILITY_IAM"], tags={"team": "x"})
    assert stack["StackStatus"] == "CREATE_COMPLETE", cloud.failures(stack)
    client = cloud.client("codepipeline")
    declared = client.get_pipeline(name="flow")["pipeline"]
    source = declared["stages"][0]["actions"][0]
    assert source["configuration"]["PollForSourceChanges"] == "false"
    assert (source["runOrder"], source["actionTypeId"]["version"]) == (1, "1")
    assert (declared["pipelineType"], declared["executionMode"]) == ("V2", "QUEUED")
    arn = client.get_pipeline(name="flow")["metadata"]["pipelineArn"]
    assert client.list_tags_for_resource(resourceArn=arn)["tags"] == [{"key": "team", "value": "x"}]

    runs = len(client.list_pipeline_executions(pipelineName="flow")["pipelineExecutionSummaries"])
    restarting = pipeline({"CustomData": "two"}, RestartExecutionOnUpdate=True)
    stack = cloud.update(stack, restarting, Capabilities=["CAPABILITY_IAM"])
    assert (stack["StackStatus"], outputs(stack)) == ("UPDATE_COMPLETE", {"Version": "2"})
    again = client.list_pipeline_executions(pipelineName="flow")["pipelineExecutionSummaries"]
    assert len(again) == runs + 1
    blocked = [{"StageName": "Review", "Reason": "not today"}]
    stopping = pipeline({"CustomData": "two"}, DisableInboundStageTransitions=blocked)
    cloud.update(stack, stopping, Capabilities=["CAPABILITY_IAM"])
    state = client.get_pipeline_state(name="flow")["stageStates"][1]["inboundTransitionState"]
    assert (state["enabled"], state["disabledReason"]) == (False, "not today")
    cloud.update(stack, pipeline({"CustomData": "two"}), Capabilities=["CAPABILITY_IAM"])
    assert client.get_pipeline_state(name="flow")["stageStates"][1]["inboundTransitionState"]["enabled"]
    assert cloud.delete(stack)["StackStatus"] == "DELETE_COMPLETE"
    assert not exists(client.get_pipeline, name="flow")


def test_a_stack_goes_on_after_a_restart_while_its_endpoint_comes_up(cloud: Cloud, data: str) -> None:
    given = {"Data": f"{data}/one.tar.gz", "Name": "restarted", "Image": IMAGE}
    request = [{"ParameterKey": key, "ParameterValue": value} for key, value in given.items()]
    stack_id = cloud.cf.create_stack(
        StackName=cloud.name(), TemplateBody=SERVING, Parameters=request, Capabilities=["CAPABILITY_IAM"]
    )["StackId"]
    deadline = time.monotonic() + 30
    while "Endpoint CREATE_IN_PROGRESS" not in cloud.history(stack_id) and time.monotonic() < deadline:
        time.sleep(0.02)
    cloud.restart()
    stack = cloud.wait(stack_id)
    assert stack["StackStatus"] == "CREATE_COMPLETE", cloud.failures(stack)
    assert say(cloud, "restarted") == "one:hi"
    assert len(cloud.client("sagemaker").list_endpoints()["Endpoints"]) == 1
    assert json.dumps(cloud.history(stack_id)).count("Endpoint CREATE_COMPLETE") == 1
    cloud.delete(stack)


BAD = """  Bad:
    Type: AWS::SNS::Topic
    DependsOn: Config
    Properties: {TopicName: not a name!}
Outputs:"""


def test_an_endpoint_on_its_way_is_given_up_when_something_else_fails(cloud: Cloud, data: str) -> None:
    given = {"Data": f"{data}/one.tar.gz", "Name": "halfway", "Image": IMAGE}
    capabilities = ["CAPABILITY_IAM"]
    failing = SERVING.replace("Outputs:", BAD)
    stack = cloud.create(failing, parameters=given, Capabilities=capabilities)
    assert stack["StackStatus"] == "ROLLBACK_COMPLETE"
    assert cloud.reason(stack, "Endpoint", "CREATE_FAILED") == "Resource creation cancelled"
    sagemaker = cloud.client("sagemaker")
    assert sagemaker.list_endpoints()["Endpoints"] == sagemaker.list_models()["Models"] == []

    stack = cloud.create(SERVING, parameters=given, Capabilities=capabilities)
    config = outputs(stack)["Config"]
    stack = cloud.update(stack, failing, parameters={**given, "Data": f"{data}/two.tar.gz"}, Capabilities=capabilities)
    assert stack["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE", cloud.failures(stack)
    assert say(cloud, "halfway") == "one:hi"
    assert sagemaker.describe_endpoint(EndpointName="halfway")["EndpointConfigName"] == config
    assert len(sagemaker.list_endpoint_configs()["EndpointConfigs"]) == 1
    assert cloud.delete(stack)["StackStatus"] == "DELETE_COMPLETE"
