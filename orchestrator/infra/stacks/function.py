"""The orchestrator's function with its role and log, and who may invoke it."""

from __future__ import annotations

from typing import Any

from aws_cdk import Stack
from aws_cdk import aws_events as events
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs

from orchestrator.infra.rights import cloudformation, function
from orchestrator.infra.rights.statement import Value, here, trust_of_service
from orchestrator.infra.stacks.buckets import ASSETS, CONFIG
from orchestrator.infra.stacks.elements import (
    NOTHING,
    accepted,
    chosen,
    condition,
    found,
    given,
    kept,
    list_given,
    only_if,
    ref,
    role,
    text,
)
from orchestrator.infra.stacks.images import REPOSITORY_ARN

NAME = "${NamePrefix}-orchestrator"
ARN: Value = {"Fn::Sub": f"arn:${{AWS::Partition}}:lambda:${{AWS::Region}}:${{AWS::AccountId}}:function:{NAME}"}
QUEUE: Value = {"Fn::GetAtt": ["DeadLetters", "Arn"]}


def add(stack: Stack, stages: Value, call_as: Value = None) -> None:
    """The function; ``stages`` is what a config that names none gets.

    ``call_as`` is how it asks for stack sets of the organization, None where there are none.
    """
    condition(stack, "HasSubnets", list_given("SubnetIds"))
    condition(stack, "HasReservedConcurrency", {"Fn::Not": [{"Fn::Equals": [{"Ref": "ReservedConcurrency"}, "0"]}]})
    log = logs.CfnLogGroup(
        stack,
        "FunctionLog",
        log_group_name=text({"Fn::Sub": f"/aws/lambda/{NAME}"}),
        kms_key_id=text({"Fn::GetAtt": ["Key", "Arn"]}),
    )
    log.add_property_override("RetentionInDays", {"Ref": "LogRetentionDays"})
    kept(log)
    role(
        stack,
        "FunctionRole",
        NAME,
        "What the orchestrator's function may do.",
        trust_of_service("lambda", says_source=False),
        function.policies(ASSETS, CONFIG),
        {
            "FunctionNetwork": ("HasSubnets", function.network()),
            **({"FunctionOrganisation": ("RollsOut", function.organisation())} if call_as else {}),
        },
    )
    accepted(found(stack, "FunctionNetwork"), "Lambda names network interfaces only after it made them.", "CKV_AWS_111")
    role(
        stack,
        "CloudFormationRole",
        f"{NAME}-cloudformation",
        "CloudFormation makes the CodePipelines of projects with this role.",
        trust_of_service("cloudformation", says_source=False),
        cloudformation.policies(),
    )
    _function(stack, {**_environment(stages), **({"STACK_SETS_CALL_AS": call_as} if call_as else {})})
    lambda_.CfnEventInvokeConfig(
        stack,
        "FunctionAsync",
        function_name=ref("Function"),
        qualifier="$LATEST",
        maximum_retry_attempts=2,
        maximum_event_age_in_seconds=3600,
    )
    _invokers(stack)


def _function(stack: Stack, environment: dict[str, Any]) -> None:
    made = lambda_.CfnFunction(
        stack,
        "Function",
        function_name=text({"Fn::Sub": NAME}),
        description="Turns a config into a pipeline, and answers the pipeline's questions.",
        runtime=ref("Runtime"),
        architectures=[ref("Architecture")],
        handler="orchestrator.handler.handler",
        code=lambda_.CfnFunction.CodeProperty(s3_bucket=ref("CodeBucket"), s3_key=ref("CodeKey")),
        role=text({"Fn::GetAtt": ["FunctionRole", "Arn"]}),
        memory_size=1024,
        timeout=120,
        dead_letter_config=lambda_.CfnFunction.DeadLetterConfigProperty(target_arn=text(QUEUE)),
        logging_config=lambda_.CfnFunction.LoggingConfigProperty(log_format="Text", log_group=ref("FunctionLog")),
        tracing_config=lambda_.CfnFunction.TracingConfigProperty(mode="Active"),
        kms_key_arn=text({"Fn::GetAtt": ["Key", "Arn"]}),
    )
    reserved = chosen("HasReservedConcurrency", {"Ref": "ReservedConcurrency"})
    made.add_property_override("ReservedConcurrentExecutions", reserved)
    network = {"SubnetIds": {"Ref": "SubnetIds"}, "SecurityGroupIds": {"Ref": "SecurityGroupIds"}}
    made.add_property_override("VpcConfig", chosen("HasSubnets", network, NOTHING))
    made.add_property_override("Environment", {"Variables": environment})


def _environment(stages: Value) -> dict[str, Any]:
    """What ``orchestrator.settings`` reads. The region is Lambda's own variable."""
    return {
        "MLOPS_ACCOUNT": {"Ref": "AWS::AccountId"},
        "AWS_PARTITION": {"Ref": "AWS::Partition"},
        "NAME_PREFIX": {"Ref": "NamePrefix"},
        "ASSETS_BUCKET": ASSETS,
        "ARTIFACT_BUCKET": {"Ref": "ArtifactBucket"},
        "ARTIFACT_KEY_ARN": {"Fn::GetAtt": ["Key", "Arn"]},
        "BLUEPRINT_BUCKET": {"Ref": "BlueprintBucket"},
        "MLOPS_NOTIFICATIONS_SNS_TOPIC": {"Ref": "Topic"},
        "MLOPS_FUNCTION_ARN": ARN,
        "CFN_ROLE_ARN": {"Fn::GetAtt": ["CloudFormationRole", "Arn"]},
        "ECR_REPO_ARN": REPOSITORY_ARN,
        "STAGES": stages,
        "STAGES_THAT_NEED_APPROVAL": {"Fn::Join": [",", {"Ref": "StagesThatNeedApproval"}]},
        "USE_MODEL_REGISTRY": {"Ref": "UseModelRegistry"},
        "ALLOW_DETAILED_ERROR_MESSAGE": {"Ref": "AllowDetailedErrorMessage"},
        "MONITORING_ENGINE": {"Ref": "MonitoringEngine"},
    }


def _invokers(stack: Stack) -> None:
    """Permissions for the bucket and the rules, and the rules: a push to CodeCommit, a config in a user's bucket."""
    bucket = lambda_.CfnPermission(
        stack,
        "ConfigBucketInvokes",
        function_name=text({"Fn::GetAtt": ["Function", "Arn"]}),
        action="lambda:InvokeFunction",
        principal="s3.amazonaws.com",
        source_account=ref("AWS::AccountId"),
        source_arn=text(
            {"Fn::Sub": "arn:${AWS::Partition}:s3:::${NamePrefix}-config-${AWS::AccountId}-${AWS::Region}"}
        ),
    )
    only_if(bucket, "MakesConfigBucket")
    _rules_invoke(stack, "ProjectsInvoke", here("events", f"rule/{function.PIPELINES}"))
    _rules_invoke(stack, "CommitsInvoke", {"Fn::GetAtt": ["CommitRule", "Arn"]})
    only_if(_rules_invoke(stack, "ConfigsInvoke", {"Fn::GetAtt": ["ConfigRule", "Arn"]}), "HasOwnConfigBucket")
    _rule(
        stack,
        "CommitRule",
        "${NamePrefix}-commits",
        "A push to the branch that is provisioned.",
        {
            "source": ["aws.codecommit"],
            "detail-type": ["CodeCommit Repository State Change"],
            "detail": {
                "event": ["referenceCreated", "referenceUpdated"],
                "referenceType": ["branch"],
                "referenceName": [{"Ref": "RepositoryBranch"}],
            },
        },
    )
    condition(stack, "HasOwnConfigBucket", given("ConfigS3Bucket"))
    dropped = _rule(
        stack,
        "ConfigRule",
        "${NamePrefix}-configs",
        "A config in the bucket that is not ours.",
        {
            "source": ["aws.s3"],
            "detail-type": ["Object Created"],
            "detail": {
                "bucket": {"name": [{"Ref": "ConfigS3Bucket"}]},
                # The first product went by the beginning of the key; our answers, which begin so too, are no configs.
                "object": {"key": [{"suffix": "mlops-config.json"}, {"prefix": "mlops-config.json"}]},
            },
        },
    )
    only_if(dropped, "HasOwnConfigBucket")


def _rules_invoke(stack: Stack, name: str, source: Value) -> lambda_.CfnPermission:
    return lambda_.CfnPermission(
        stack,
        name,
        function_name=text({"Fn::GetAtt": ["Function", "Arn"]}),
        action="lambda:InvokeFunction",
        principal="events.amazonaws.com",
        source_arn=text(source),
    )


def _rule(stack: Stack, name: str, rule_name: str, description: str, pattern: dict[str, Any]) -> events.CfnRule:
    return events.CfnRule(
        stack,
        name,
        name=text({"Fn::Sub": rule_name}),
        description=description,
        event_pattern=pattern,
        targets=[
            events.CfnRule.TargetProperty(
                id="orchestrator",
                arn=text({"Fn::GetAtt": ["Function", "Arn"]}),
                dead_letter_config=events.CfnRule.DeadLetterConfigProperty(arn=text(QUEUE)),
            )
        ],
    )
