"""Types that act, in a table: roles, functions, rules, APIs, state machines."""

from __future__ import annotations

import json
from typing import Any
from urllib.request import Request, urlopen

import pytest
from cloudformation_cases import QUEUE, Case, absent, tag_map, tags, walk
from cloudformation_rig import HUB, Cloud, exists, outputs

HTTP = {"type": "http", "httpMethod": "GET", "uri": "https://example.com"}
API_BODY = {
    "openapi": "3.0.1",
    "info": {"title": "it", "version": "1"},
    "paths": {"/hello": {"get": {"responses": {}, "x-amazon-apigateway-integration": HTTP}}},
}
API = {"Type": "AWS::ApiGateway::RestApi", "Properties": {"Body": API_BODY}}


def trust(service: str) -> dict[str, Any]:
    entry = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    return {"Version": "2012-10-17", "Statement": [entry]}


LAMBDA_ROLE = {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": trust("lambda.amazonaws.com")}}

INLINE = "def handler(event, context):\n    return {'says': %r}\n"


def function(**more: Any) -> dict[str, Any]:
    properties = {
        "Runtime": "python3.11",
        "Handler": "index.handler",
        "Role": {"Fn::GetAtt": ["Role", "Arn"]},
        "Code": {"ZipFile": INLINE % "one"},
    }
    return {**properties, **more}


FUNCTION = {"Type": "AWS::Lambda::Function", "Properties": function()}

STATES_ROLE = {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": trust("states.amazonaws.com")}}

PASS = {"StartAt": "P", "States": {"P": {"Type": "Pass", "Result": "${Word}", "End": True}}}

DEPLOYMENT = {"Type": "AWS::ApiGateway::Deployment", "Properties": {"RestApiId": {"Ref": "Api"}}}


def role_says(cloud: Cloud, physical: str, stack: str) -> Any:
    iam = cloud.client("iam")
    role = iam.get_role(RoleName=physical)["Role"]
    return [
        role["Description"],
        role["MaxSessionDuration"],
        role["AssumeRolePolicyDocument"]["Statement"][0]["Principal"]["Service"],
        sorted(iam.list_role_policies(RoleName=physical)["PolicyNames"]),
        [each["PolicyName"] for each in iam.list_attached_role_policies(RoleName=physical)["AttachedPolicies"]],
        tag_map(role.get("Tags", [])),
    ]


def policy(*actions: str) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": list(actions), "Resource": "*"}]}


def managed_policy_says(cloud: Cloud, physical: str, stack: str) -> Any:
    iam = cloud.client("iam")
    version = iam.get_policy(PolicyArn=physical)["Policy"]["DefaultVersionId"]
    document = iam.get_policy_version(PolicyArn=physical, VersionId=version)["PolicyVersion"]["Document"]
    holders = iam.list_entities_for_policy(PolicyArn=physical)["PolicyRoles"]
    return [document["Statement"][0]["Action"], len(holders)]


def inline_policy_says(cloud: Cloud, physical: str, stack: str) -> Any:
    iam, found = cloud.client("iam"), []
    for role in iam.list_roles()["Roles"]:
        if role["RoleName"].startswith(stack):
            found += iam.list_role_policies(RoleName=role["RoleName"])["PolicyNames"]
    return found


def rule_says(cloud: Cloud, physical: str, stack: str) -> Any:
    events = cloud.client("events")
    rule = events.describe_rule(Name=physical)
    found = events.list_targets_by_rule(Rule=physical)["Targets"]
    return [json.loads(rule["EventPattern"]), rule["State"], sorted(target["Id"] for target in found)]


def function_says(cloud: Cloud, physical: str, stack: str) -> Any:
    client = cloud.client("lambda")
    found = client.get_function_configuration(FunctionName=physical)
    answer = json.loads(client.invoke(FunctionName=physical)["Payload"].read())
    return [answer["says"], found["MemorySize"], found.get("Environment", {}).get("Variables", {})]


def permission_says(cloud: Cloud, physical: str, stack: str) -> Any:
    client = cloud.client("lambda")
    for found in client.list_functions()["Functions"]:
        if found["FunctionName"].startswith(f"{stack}-"):
            if not exists(client.get_policy, FunctionName=found["FunctionName"]):
                return []
            statements = json.loads(client.get_policy(FunctionName=found["FunctionName"])["Policy"])["Statement"]
            return [each["Principal"]["Service"] for each in statements]
    return []


def invoke_config_says(cloud: Cloud, physical: str, stack: str) -> Any:
    client = cloud.client("lambda")
    name = next(
        f["FunctionName"] for f in client.list_functions()["Functions"] if f["FunctionName"].startswith(f"{stack}-")
    )
    return client.get_function_event_invoke_config(FunctionName=name)["MaximumRetryAttempts"]


def api_says(cloud: Cloud, physical: str, stack: str) -> Any:
    client = cloud.client("apigateway")
    return [
        client.get_rest_api(restApiId=physical)["name"],
        sorted(each["path"] for each in client.get_resources(restApiId=physical)["items"]),
    ]


def api_of(cloud: Cloud, stack: str) -> str:
    return cloud.physical(stack, "Api")


def stage_says(cloud: Cloud, physical: str, stack: str) -> Any:
    stage = cloud.client("apigateway").get_stage(restApiId=api_of(cloud, stack), stageName=physical)
    return [stage["variables"], stage.get("description", ""), stage["tracingEnabled"]]


def machine_says(cloud: Cloud, physical: str, stack: str) -> Any:
    found = cloud.client("stepfunctions").describe_state_machine(stateMachineArn=physical)
    return [json.loads(found["definition"])["States"]["P"]["Result"], found["loggingConfiguration"]["level"]]


BUILD_ROLE = {
    "Type": "AWS::IAM::Role",
    "Properties": {
        "AssumeRolePolicyDocument": {
            "Version": "2012-10-17",
            "Statement": [
                {"Effect": "Allow", "Principal": {"Service": "codebuild.amazonaws.com"}, "Action": "sts:AssumeRole"}
            ],
        }
    },
}
PROJECT = {
    "ServiceRole": {"Fn::GetAtt": ["Role", "Arn"]},
    "Artifacts": {"Type": "NO_ARTIFACTS"},
    "Environment": {
        "Type": "LINUX_CONTAINER",
        "Image": "aws/codebuild/standard:7.0",
        "ComputeType": "BUILD_GENERAL1_SMALL",
    },
    "Source": {"Type": "NO_SOURCE", "BuildSpec": "version: 0.2\nphases: {build: {commands: ['true']}}\n"},
}


def project_says(cloud: Cloud, physical: str, stack: str) -> Any:
    (found,) = cloud.client("codebuild").batch_get_projects(names=[physical])["projects"]
    logs = found.get("logsConfig", {}).get("cloudWatchLogs", {}).get("status")
    return [found.get("description", ""), found["timeoutInMinutes"], logs, found["source"]["buildspec"]]


CASES = [
    Case(
        "AWS::IAM::Role",
        {
            "AssumeRolePolicyDocument": trust("lambda.amazonaws.com"),
            "Description": "one",
            "Policies": [
                {"PolicyName": "a", "PolicyDocument": policy("s3:*")},
                {"PolicyName": "b", "PolicyDocument": policy("s3:*")},
            ],
            "Tags": tags(a="1"),
        },
        {
            "AssumeRolePolicyDocument": trust("states.amazonaws.com"),
            "MaxSessionDuration": 7200,
            "Policies": [
                {"PolicyName": "b", "PolicyDocument": policy("s3:*")},
                {"PolicyName": "c", "PolicyDocument": policy("s3:*")},
            ],
            "ManagedPolicyArns": [{"Ref": "Policy"}],
        },
        role_says,
        ["one", 3600, "lambda.amazonaws.com", ["a", "b"], [], {"a": "1"}],
        ["", 7200, "states.amazonaws.com", ["b", "c"], ["more"], {}],
        absent("iam", "get_role", "RoleName"),
        {
            "Policy": {
                "Type": "AWS::IAM::ManagedPolicy",
                "Properties": {"ManagedPolicyName": "more", "PolicyDocument": policy("s3:*")},
            }
        },
    ),
    Case(
        "AWS::IAM::ManagedPolicy",
        {"PolicyDocument": policy("s3:GetObject"), "Roles": [{"Ref": "Role"}]},
        {"PolicyDocument": policy("s3:PutObject")},
        managed_policy_says,
        [["s3:GetObject"], 1],
        [["s3:PutObject"], 0],
        absent("iam", "get_policy", "PolicyArn"),
        {"Role": LAMBDA_ROLE},
    ),
    Case(
        "AWS::IAM::Policy",
        {"PolicyName": "first", "PolicyDocument": policy("s3:*"), "Roles": [{"Ref": "Role"}]},
        {"PolicyName": "second", "PolicyDocument": policy("s3:*"), "Roles": [{"Ref": "Role"}]},
        inline_policy_says,
        ["first"],
        ["second"],
        lambda cloud, physical, stack: inline_policy_says(cloud, physical, stack) == [],
        {"Role": LAMBDA_ROLE},
    ),
    Case(
        "AWS::IAM::RolePolicy",
        {"PolicyName": "one", "RoleName": {"Ref": "Role"}, "PolicyDocument": policy("s3:GetObject")},
        {"PolicyName": "one", "RoleName": {"Ref": "Role"}, "PolicyDocument": policy("s3:PutObject")},
        lambda cloud, physical, stack: cloud.client("iam").get_role_policy(
            PolicyName=physical.split("|")[0], RoleName=physical.split("|")[1]
        )["PolicyDocument"]["Statement"][0]["Action"],
        ["s3:GetObject"],
        ["s3:PutObject"],
        lambda cloud, physical, stack: inline_policy_says(cloud, physical, stack) == [],
        {"Role": LAMBDA_ROLE},
    ),
    Case(
        "AWS::Events::Rule",
        {
            "EventPattern": {"source": ["a"]},
            "Targets": [{"Id": name, "Arn": {"Fn::GetAtt": ["Queue", "Arn"]}} for name in ("one", "two")],
        },
        {
            "EventPattern": {"source": ["b"]},
            "State": "DISABLED",
            "Targets": [{"Id": name, "Arn": {"Fn::GetAtt": ["Queue", "Arn"]}} for name in ("two", "three")],
        },
        rule_says,
        [{"source": ["a"]}, "ENABLED", ["one", "two"]],
        [{"source": ["b"]}, "DISABLED", ["three", "two"]],
        absent("events", "describe_rule", "Name"),
        {"Queue": QUEUE},
    ),
    Case(
        "AWS::Lambda::Function",
        function(Environment={"Variables": {"NUMBER": 5}}),
        function(MemorySize=256, Code={"ZipFile": INLINE % "two"}),
        function_says,
        ["one", 128, {"NUMBER": "5"}],
        ["two", 256, {}],
        absent("lambda", "get_function", "FunctionName"),
        {"Role": LAMBDA_ROLE},
    ),
    Case(
        "AWS::Lambda::Permission",
        {"FunctionName": {"Ref": "Function"}, "Action": "lambda:InvokeFunction", "Principal": "s3.amazonaws.com"},
        {"FunctionName": {"Ref": "Function"}, "Action": "lambda:InvokeFunction", "Principal": "sns.amazonaws.com"},
        permission_says,
        ["s3.amazonaws.com"],
        ["sns.amazonaws.com"],
        lambda cloud, physical, stack: permission_says(cloud, physical, stack) == [],
        {"Role": LAMBDA_ROLE, "Function": FUNCTION},
    ),
    Case(
        "AWS::Lambda::EventInvokeConfig",
        {"FunctionName": {"Ref": "Function"}, "Qualifier": "$LATEST", "MaximumRetryAttempts": 0},
        {"FunctionName": {"Ref": "Function"}, "Qualifier": "$LATEST", "MaximumRetryAttempts": 1},
        invoke_config_says,
        0,
        1,
        lambda cloud, physical, stack: True,
        {"Role": LAMBDA_ROLE, "Function": FUNCTION},
    ),
    Case(
        "AWS::ApiGateway::RestApi",
        {"Name": "first", "Body": API_BODY},
        {"Name": "second", "Body": {**API_BODY, "paths": {"/other": API_BODY["paths"]["/hello"]}}},  # type: ignore[index]
        api_says,
        ["first", ["/", "/hello"]],
        ["second", ["/", "/other"]],
        absent("apigateway", "get_rest_api", "restApiId"),
    ),
    Case(
        "AWS::ApiGateway::Stage",
        {
            "RestApiId": {"Ref": "Api"},
            "DeploymentId": {"Ref": "D"},
            "StageName": "s",
            "Variables": {"a": "1", "b": "2"},
        },
        {
            "RestApiId": {"Ref": "Api"},
            "DeploymentId": {"Ref": "D"},
            "StageName": "s",
            "Variables": {"a": "3"},
            "Description": "x",
            "TracingEnabled": True,
        },
        stage_says,
        [{"a": "1", "b": "2"}, "", False],
        [{"a": "3"}, "x", True],
        lambda cloud, physical, stack: True,
        {"Api": API, "D": DEPLOYMENT},
    ),
    Case(
        "AWS::ApiGateway::Account",
        {"CloudWatchRoleArn": f"arn:aws:iam::{HUB}:role/one"},
        {"CloudWatchRoleArn": f"arn:aws:iam::{HUB}:role/two"},
        lambda cloud, physical, stack: cloud.client("apigateway").get_account()["cloudwatchRoleArn"].rpartition("/")[2],
        "one",
        "two",
        lambda cloud, physical, stack: True,
    ),
    Case(
        "AWS::CodeBuild::Project",
        {**PROJECT, "Description": "first", "TimeoutInMinutes": "20"},
        {**PROJECT, "TimeoutInMinutes": 30, "LogsConfig": {"CloudWatchLogs": {"Status": "DISABLED"}}},
        project_says,
        ["first", 20, None, "version: 0.2\nphases: {build: {commands: ['true']}}\n"],
        ["", 30, "DISABLED", "version: 0.2\nphases: {build: {commands: ['true']}}\n"],
        lambda cloud, physical, stack: (
            cloud.client("codebuild").batch_get_projects(names=[physical])["projectsNotFound"] == [physical]
        ),
        {"Role": BUILD_ROLE},
    ),
    Case(
        "AWS::StepFunctions::StateMachine",
        {"RoleArn": {"Fn::GetAtt": ["Role", "Arn"]}, "Definition": PASS, "DefinitionSubstitutions": {"Word": "one"}},
        {
            "RoleArn": {"Fn::GetAtt": ["Role", "Arn"]},
            "DefinitionString": json.dumps(PASS),
            "DefinitionSubstitutions": {"Word": {"Ref": "AWS::Region"}},
            "LoggingConfiguration": {
                "Level": "ERROR",
                "IncludeExecutionData": False,
                "Destinations": [{"CloudWatchLogsLogGroup": {"LogGroupArn": {"Fn::GetAtt": ["Logs", "Arn"]}}}],
            },
        },
        machine_says,
        ["one", "OFF"],
        ["us-east-1", "ERROR"],
        absent("stepfunctions", "describe_state_machine", "stateMachineArn"),
        {"Role": STATES_ROLE, "Logs": {"Type": "AWS::Logs::LogGroup"}},
    ),
]


@pytest.mark.parametrize("case", CASES, ids=[case.type for case in CASES])
def test_made_changed_and_removed(cloud: Cloud, case: Case) -> None:
    walk(cloud, case)


def test_versions_and_aliases_of_functions(cloud: Cloud) -> None:
    template = {
        "Resources": {
            "Role": LAMBDA_ROLE,
            "Function": FUNCTION,
            "Version": {"Type": "AWS::Lambda::Version", "Properties": {"FunctionName": {"Ref": "Function"}}},
            "Alias": {
                "Type": "AWS::Lambda::Alias",
                "Properties": {
                    "FunctionName": {"Ref": "Function"},
                    "FunctionVersion": {"Fn::GetAtt": ["Version", "Version"]},
                    "Name": "live",
                },
            },
        },
        "Outputs": {"Alias": {"Value": {"Ref": "Alias"}}, "Version": {"Value": {"Fn::GetAtt": ["Version", "Version"]}}},
    }
    stack = cloud.create(template, Capabilities=["CAPABILITY_IAM"])
    assert stack["StackStatus"] == "CREATE_COMPLETE", cloud.failures(stack)
    assert outputs(stack)["Version"] == "1"
    alias = outputs(stack)["Alias"]
    answer = json.loads(cloud.client("lambda").invoke(FunctionName=alias)["Payload"].read())
    assert answer == {"says": "one"}
    assert cloud.delete(stack)["StackStatus"] == "DELETE_COMPLETE"


def test_an_api_answers_through_its_stage(cloud: Cloud) -> None:
    integration = {
        "type": "aws_proxy",
        "httpMethod": "POST",
        "uri": {
            "Fn::Sub": "arn:aws:apigateway:${AWS::Region}:lambda:path/2015-03-31/functions/${Function.Arn}/invocations"
        },
    }
    body = {**API_BODY, "paths": {"/hello": {"get": {"responses": {}, "x-amazon-apigateway-integration": integration}}}}
    code = "import json\ndef handler(event, context):\n    return {'statusCode': 200, 'body': event['path']}\n"
    template = {
        "Resources": {
            "Role": LAMBDA_ROLE,
            "Function": {"Type": "AWS::Lambda::Function", "Properties": function(Code={"ZipFile": code})},
            "Api": {"Type": "AWS::ApiGateway::RestApi", "Properties": {"Body": body}},
            "Allow": {
                "Type": "AWS::Lambda::Permission",
                "Properties": {
                    "FunctionName": {"Ref": "Function"},
                    "Action": "lambda:InvokeFunction",
                    "Principal": "apigateway.amazonaws.com",
                },
            },
            "D": DEPLOYMENT,
            "Stage": {
                "Type": "AWS::ApiGateway::Stage",
                "Properties": {"RestApiId": {"Ref": "Api"}, "DeploymentId": {"Ref": "D"}, "StageName": "live"},
            },
        },
    }
    stack = cloud.create(template, Capabilities=["CAPABILITY_IAM"])
    assert stack["StackStatus"] == "CREATE_COMPLETE", cloud.failures(stack)
    url = f"{cloud.world.endpoint}/execute-api/{cloud.physical(stack, 'Api')}/live/hello"
    with urlopen(Request(url)) as answer:
        assert answer.read() == b"/hello"


def test_a_state_machine_runs(cloud: Cloud) -> None:
    case = next(case for case in CASES if case.type.endswith("StateMachine"))
    stack = cloud.create(case.template(case.before), Capabilities=["CAPABILITY_IAM"])
    states = cloud.client("stepfunctions")
    arn = states.start_execution(stateMachineArn=cloud.physical(stack, "It"))["executionArn"]
    while (found := states.describe_execution(executionArn=arn))["status"] == "RUNNING":
        pass
    assert json.loads(found["output"]) == "one"
