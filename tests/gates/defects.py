"""Seeded defects: mistakes that people make in templates, put into ours one at a time. The gates must see them.

A defect is caught when a gate says something of the changed template that it does not say of the original.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.gates.findings import Finding
from tests.gates.subjects import Subject

Node = dict[str, Any]
HUB = "launch-multi-account"
ENDPOINT, TRAINING, PIPELINE = (
    "realtime_inference-every_option-multi-endpoint-template",
    "model_training-every_option-multi-training-template",
    "realtime_inference-every_option-multi-pipeline",
)


@dataclass(frozen=True, slots=True)
class Defect:
    """One mistake: ``change`` makes it in a template of its own."""

    name: str
    subject: str
    change: Callable[[Node], None]

    def seeded(self, subjects: Mapping[str, Subject]) -> Subject:
        """The template with the mistake. Raises KeyError or StopIteration when its place is gone."""
        template = copy.deepcopy(dict(subjects[self.subject].template))
        self.change(template)
        return Subject(f"defect-{self.name.replace(' ', '-')}", template)


def resource(template: Node, kind: str, name: str = "") -> Node:
    """The first resource of a type (whose logical id holds the name)."""
    found: Node = next(
        each for key, each in template["Resources"].items() if each["Type"] == kind and name.lower() in key.lower()
    )
    return found


def properties(kind: str, name: str = "") -> Callable[[Node], Node]:
    return lambda template: resource(template, kind, name)["Properties"]


def put(where: Callable[[Node], Node], value: Any, *path: Any) -> Callable[[Node], None]:
    """Set what stands at a path."""

    def change(template: Node) -> None:
        node = where(template)
        for step in path[:-1]:
            node = node[step]
        node[path[-1]] = value

    return change


def drop(where: Callable[[Node], Node], *path: Any) -> Callable[[Node], None]:
    """Remove what stands at a path."""

    def change(template: Node) -> None:
        node = where(template)
        for step in path[:-1]:
            node = node[step]
        del node[path[-1]]

    return change


def statement(where: Callable[[Node], Node], **members: Any) -> Callable[[Node], None]:
    """Add a statement to the first policy there is."""

    def change(template: Node) -> None:
        where(template)["PolicyDocument"]["Statement"].append({"Effect": "Allow", **members})

    return change


def every(where: Callable[[Node], Node], edit: Callable[[Node], None]) -> Callable[[Node], None]:
    return lambda template: edit(where(template))


def stages(template: Node) -> list[Node]:
    found: list[Node] = resource(template, "AWS::CodePipeline::Pipeline")["Properties"]["Stages"]
    return found


def action(provider: str) -> Callable[[Node], Node]:
    """The first action of a provider."""

    def find(template: Node) -> Node:
        return next(
            each
            for stage in stages(template)
            for each in stage["Actions"]
            if each["ActionTypeId"]["Provider"] == provider
        )

    return find


def guarded(template: Node) -> Node:
    """The first stage after the source."""
    return stages(template)[1]


ROLE = properties("AWS::IAM::Role")
POLICY = properties("AWS::IAM::ManagedPolicy")
BUCKET = properties("AWS::S3::Bucket")
FUNCTION = properties("AWS::Lambda::Function")
CONFIGURATION = properties("AWS::SageMaker::EndpointConfig")
PIPE = properties("AWS::CodePipeline::Pipeline")
DYNAMIC = "{{resolve:secretsmanager:x}}"


def unauthorized(template: Node) -> None:
    """Methods of the API that ask for no signature, wherever it is described."""
    for each in template["Resources"].values():
        if each["Type"].startswith("AWS::ApiGateway::"):
            text = json.dumps(each["Properties"])
            each["Properties"] = json.loads(re.sub(r'"(AWS_IAM|awsSigv4|sigv4)"', '"NONE"', text))


def variant(template: Node) -> Node:
    found: Node = CONFIGURATION(template)["ProductionVariants"][0]
    return found


def rule(provider: str, **configuration: str) -> Node:
    kind = {"Category": "Rule", "Owner": "AWS", "Provider": provider, "Version": "1"}
    return {"Name": "Gate", "RuleTypeId": kind, "Configuration": configuration}


DEFECTS: Sequence[Defect] = (
    # ---- permissions ----
    Defect("all actions on all resources", HUB, statement(POLICY, Action="*", Resource="*")),
    Defect("all actions of a service", HUB, statement(POLICY, Action="s3:*", Resource="arn:aws:s3:::x/*")),
    Defect("a part of an action", ENDPOINT, statement(POLICY, Action="s3:Get*", Resource="arn:aws:s3:::x/*")),
    Defect("a limitable action on everything", ENDPOINT, statement(POLICY, Action="s3:GetObject", Resource="*")),
    Defect(
        "any bucket's objects", ENDPOINT, statement(POLICY, Action="s3:GetObject", Resource="arn:aws:s3:::models-*/*")
    ),
    Defect(
        "any project's endpoints",
        ENDPOINT,
        statement(
            POLICY,
            Action="sagemaker:InvokeEndpoint",
            Resource={"Fn::Sub": "arn:aws:sagemaker:${AWS::Region}:${AWS::AccountId}:endpoint/*"},
        ),
    ),
    Defect(
        "any role of a deployment",
        HUB,
        statement(
            properties("AWS::IAM::ManagedPolicy", "DeployRoles"),
            Action="iam:UpdateAssumeRolePolicy",
            Resource={"Fn::Sub": "arn:aws:iam::${AWS::AccountId}:role/${NamePrefix}-*"},
        ),
    ),
    Defect(
        "rights inside of a role",
        ENDPOINT,
        put(
            ROLE,
            [
                {
                    "PolicyName": "more",
                    "PolicyDocument": {
                        "Version": "2012-10-17",
                        "Statement": [{"Effect": "Allow", "Action": "s3:ListAllMyBuckets", "Resource": "*"}],
                    },
                }
            ],
            "Policies",
        ),
    ),
    Defect(
        "an action that does not exist", ENDPOINT, statement(POLICY, Action="s3:GetObjekt", Resource="arn:aws:s3:::x")
    ),
    Defect(
        "a role passed to any service", HUB, statement(POLICY, Action="iam:PassRole", Resource="arn:aws:iam::1:role/a")
    ),
    Defect(
        "any role passed",
        HUB,
        statement(
            POLICY,
            Action="iam:PassRole",
            Resource={"Fn::Sub": "arn:aws:iam::${AWS::AccountId}:role/*"},
            Condition={"StringEquals": {"iam:PassedToService": "lambda.amazonaws.com"}},
        ),
    ),
    Defect("an administrator", HUB, put(ROLE, ["arn:aws:iam::aws:policy/AdministratorAccess"], "ManagedPolicyArns")),
    Defect(
        "a service trusted for anyone", ENDPOINT, drop(ROLE, "AssumeRolePolicyDocument", "Statement", 0, "Condition")
    ),
    Defect(
        "a role for everybody",
        ENDPOINT,
        put(ROLE, {"AWS": "*"}, "AssumeRolePolicyDocument", "Statement", 0, "Principal"),
    ),
    Defect(
        "a role for another account",
        ENDPOINT,
        put(
            ROLE,
            [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "arn:aws:iam::999999999999:root"}}],
            "AssumeRolePolicyDocument",
            "Statement",
        ),
    ),
    Defect("no permissions boundary", ENDPOINT, drop(ROLE, "PermissionsBoundary")),
    Defect("a misspelt effect", ENDPOINT, put(POLICY, "Alow", "PolicyDocument", "Statement", 0, "Effect")),
    Defect("an old policy language", ENDPOINT, put(POLICY, "2012-10-7", "PolicyDocument", "Version")),
    Defect(
        "a parameter of any text in a policy",
        ENDPOINT,
        lambda template: (
            template["Parameters"].update(Wide={"Type": "String"}),
            statement(POLICY, Action="s3:GetObject", Resource={"Fn::Sub": "arn:aws:s3:::${Wide}/*"})(template),
        )[1],
    ),
    Defect(
        "a bucket open to all",
        HUB,
        statement(
            properties("AWS::S3::BucketPolicy"), Principal="*", Action="s3:GetObject", Resource="arn:aws:s3:::x/*"
        ),
    ),
    Defect(
        "a bucket open to an account",
        HUB,
        statement(
            properties("AWS::S3::BucketPolicy"),
            Principal={"AWS": "arn:aws:iam::999999999999:root"},
            Action="s3:GetObject",
            Resource="arn:aws:s3:::x/*",
        ),
    ),
    Defect(
        "a topic for any service's caller",
        HUB,
        statement(
            properties("AWS::SNS::TopicPolicy"),
            Principal={"Service": "events.amazonaws.com"},
            Action="sns:Publish",
            Resource={"Ref": "Topic"},
        ),
    ),
    Defect("a function that anyone calls", HUB, put(properties("AWS::Lambda::Permission"), "*", "Principal")),
    # ---- data ----
    Defect("a bucket without encryption", HUB, drop(BUCKET, "BucketEncryption")),
    Defect("a public bucket", HUB, drop(BUCKET, "PublicAccessBlockConfiguration")),
    Defect("a bucket for the world to read", HUB, put(BUCKET, "PublicRead", "AccessControl")),
    Defect("a bucket without versions", HUB, drop(BUCKET, "VersioningConfiguration")),
    Defect("a key that is never rotated", HUB, put(properties("AWS::KMS::Key"), False, "EnableKeyRotation")),
    Defect("a topic in clear", HUB, drop(properties("AWS::SNS::Topic"), "KmsMasterKeyId")),
    Defect("a queue in clear", HUB, drop(properties("AWS::SQS::Queue"), "KmsMasterKeyId")),
    Defect(
        "a repository whose tags move", HUB, put(properties("AWS::ECR::Repository"), "MUTABLE", "ImageTagMutability")
    ),
    Defect(
        "a repository that is not scanned", HUB, drop(properties("AWS::ECR::Repository"), "ImageScanningConfiguration")
    ),
    Defect("a log for ever", HUB, drop(properties("AWS::Logs::LogGroup"), "RetentionInDays")),
    Defect("an impossible retention", HUB, put(properties("AWS::Logs::LogGroup"), 91, "RetentionInDays")),
    Defect("a log in clear", HUB, drop(properties("AWS::Logs::LogGroup", "Job"), "KmsKeyId")),
    Defect(
        "a secret in the template",
        HUB,
        lambda template: FUNCTION(template)["Environment"]["Variables"].update(
            AWS_KEY="AKIAIOSFODNN7EXAMPLE", SECRET="wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
        ),
    ),
    # ---- the function and its API ----
    Defect("a runtime of yesterday", HUB, put(FUNCTION, "python3.8", "Runtime")),
    Defect("a function of an hour", HUB, put(FUNCTION, 3600, "Timeout")),
    Defect("an API without authorization", HUB, unauthorized),
    Defect("a bodyless function", HUB, drop(FUNCTION, "Code")),
    Defect("an unknown property", HUB, put(FUNCTION, "x", "Memory")),
    # ---- the pipeline ----
    Defect("a pipeline of the first type", PIPELINE, put(PIPE, "V1", "PipelineType")),
    Defect("an unknown provider", PIPELINE, put(action("CloudFormation"), "CloudFormtion", "ActionTypeId", "Provider")),
    Defect("an unknown key of an action", PIPELINE, put(action("CloudFormation"), "x", "Configuration", "StackNam")),
    Defect("a missing key of an action", PIPELINE, drop(action("CloudFormation"), "Configuration", "StackName")),
    Defect(
        "an artifact that nobody makes",
        PIPELINE,
        put(action("CloudFormation"), [{"Name": "Nothing"}], "InputArtifacts"),
    ),
    Defect(
        "two actions of a name",
        PIPELINE,
        lambda template: guarded(template)["Actions"].append(guarded(template)["Actions"][0]),
    ),
    Defect("the source at the end", PIPELINE, lambda template: stages(template).reverse()),
    Defect("artifacts without a key", PIPELINE, drop(PIPE, "ArtifactStore", "EncryptionKey")),
    Defect("an unknown execution mode", PIPELINE, put(PIPE, "SERIAL", "ExecutionMode")),
    Defect(
        "an unknown rule",
        PIPELINE,
        put(guarded, {"Conditions": [{"Result": "FAIL", "Rules": [rule("AlarmCheck")]}]}, "BeforeEntry"),
    ),
    Defect(
        "a skip by alarm",
        PIPELINE,
        put(
            guarded,
            {"Conditions": [{"Result": "SKIP", "Rules": [rule("CloudWatchAlarm", AlarmName="a")]}]},
            "BeforeEntry",
        ),
    ),
    Defect(
        "an entry that rolls back",
        PIPELINE,
        put(
            guarded,
            {"Conditions": [{"Result": "ROLLBACK", "Rules": [rule("VariableCheck", Variable="x")]}]},
            "BeforeEntry",
        ),
    ),
    Defect(
        "a success that retries",
        PIPELINE,
        put(
            guarded,
            {"Conditions": [{"Result": "RETRY", "Rules": [rule("CloudWatchAlarm", AlarmName="a")]}]},
            "OnSuccess",
        ),
    ),
    Defect(
        "a rule's unknown key",
        PIPELINE,
        put(
            guarded, {"Conditions": [{"Result": "FAIL", "Rules": [rule("DeploymentWindow", Cronn="x")]}]}, "BeforeEntry"
        ),
    ),
    Defect("a variable with a path", PIPELINE, put(PIPE, [{"Name": "Key", "DefaultValue": "a/b.zip"}], "Variables")),
    Defect(
        "a trigger of no source",
        PIPELINE,
        put(
            PIPE,
            [{"ProviderType": "CodeStarSourceConnection", "GitConfiguration": {"SourceActionName": "Git"}}],
            "Triggers",
        ),
    ),
    # ---- the endpoint ----
    Defect(
        "serverless with instances",
        ENDPOINT,
        put(variant, {"MaxConcurrency": 1, "MemorySizeInMB": 1024}, "ServerlessConfig"),
    ),
    Defect(
        "an odd serverless memory",
        ENDPOINT,
        put(
            CONFIGURATION,
            [{"VariantName": "A", "ModelName": "m", "ServerlessConfig": {"MaxConcurrency": 1, "MemorySizeInMB": 1500}}],
            "ProductionVariants",
        ),
    ),
    Defect("no weight at all", ENDPOINT, put(variant, 0, "InitialVariantWeight")),
    Defect("an unknown instance type", ENDPOINT, put(variant, "ml.g7.huge", "InstanceType")),
    Defect("a negative count", ENDPOINT, put(variant, -1, "InitialInstanceCount")),
    Defect(
        "a secret that is resolved",
        ENDPOINT,
        put(properties("AWS::SageMaker::Endpoint"), [{"Key": "k", "Value": DYNAMIC}], "Tags"),
    ),
    Defect(
        "a tag that CloudFormation refuses",
        ENDPOINT,
        put(properties("AWS::SageMaker::Endpoint"), [{"Key": "k" * 200, "Value": "v"}], "Tags"),
    ),
    # ---- the language ----
    Defect("a reference to nothing", ENDPOINT, put(variant, {"Ref": "Nothing"}, "ModelName")),
    Defect("an attribute that is none", ENDPOINT, put(variant, {"Fn::GetAtt": ["Model", "Nam"]}, "ModelName")),
    Defect(
        "an unknown type",
        ENDPOINT,
        lambda template: resource(template, "AWS::SageMaker::Endpoint").update(Type="AWS::SageMaker::Endpont"),
    ),
    Defect(
        "a circle", ENDPOINT, lambda template: resource(template, "AWS::SageMaker::Model").update(DependsOn="Endpoint")
    ),
    Defect(
        "a condition that is none",
        ENDPOINT,
        lambda template: resource(template, "AWS::SageMaker::Endpoint").update(Condition="Nope"),
    ),
    Defect("a parameter without a type", ENDPOINT, lambda template: template["Parameters"].update(X={"Default": "a"})),
    Defect(
        "a default that is not allowed",
        ENDPOINT,
        lambda template: template["Parameters"].update(X={"Type": "String", "Default": "z", "AllowedValues": ["a"]}),
    ),
)


def caught(base: Sequence[Finding], seeded: Sequence[Finding], subject: str, defect: str) -> set[str]:
    """The tools that say of the defect what they do not say of its original."""
    before = {(each.tool, each.rule, each.place, each.message) for each in base if each.subject == subject}
    return {
        each.tool
        for each in seeded
        if each.subject == defect and (each.tool, each.rule, each.place, each.message) not in before
    }
