"""What the orchestrator's function may do in the hub. It makes nothing itself: CloudFormation does, by its own role."""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.infra.rights.statement import (
    EVERYTHING,
    Policy,
    Value,
    allow,
    arn_of,
    here,
    passed_to,
    ref,
    role,
    sub,
)

PIPELINES = "mlops-pipeline-*"
"""Stacks, CodePipelines, state machines and roles of projects: their names begin so, whatever the name prefix."""
OF_STACK_SETS = f"StackSet-{PIPELINES}"
"""Stacks that a project's stack sets make in the stages, and the roles and rules in them that CloudFormation names."""
STACK_SETS: Value = sub(f"arn:${{AWS::Partition}}:cloudformation:${{AWS::Region}}:*:stackset/{PIPELINES}")
"""A project's stack sets; they belong to the management account of the organization, whoever makes them."""


def policies(assets: Value, config: Value) -> Mapping[str, Policy]:
    """The policies by name; ``assets`` and ``config`` are the names of the two buckets.

    Several, because one customer-managed policy holds 6,144 characters.
    """
    return {
        "FunctionOwn": _own(),
        "FunctionBuckets": _buckets(assets, config),
        "FunctionPipelines": _pipelines(),
        "FunctionModels": _models(),
    }


def _own() -> Policy:
    return (
        allow(
            "Log", "logs:CreateLogStream logs:PutLogEvents", arn_of("FunctionLog"), "The function writes its own log."
        ),
        allow("KeepDeadLetters", "sqs:SendMessage", arn_of("DeadLetters"), "Events that failed for good are kept."),
        allow(
            "Trace",
            "xray:PutTelemetryRecords xray:PutTraceSegments",
            EVERYTHING,
            "Lambda sends traces in the function's name; X-Ray has no resource level.",
        ),
        allow("Notify", "sns:Publish", ref("Topic"), "Outcomes of events that nobody waits for are published."),
        allow(
            "UseTheKey",
            "kms:Decrypt kms:GenerateDataKey",
            arn_of("Key"),
            "The topic, the function's environment and the artifacts are encrypted with it.",
        ),
    )


def _buckets(assets: Value, config: Value) -> Policy:
    def in_assets(keys: str) -> Value:
        return sub(f"arn:${{AWS::Partition}}:s3:::${{Bucket}}/{keys}", Bucket=assets)

    return (
        allow(
            "WriteBundlesAndSources",
            "s3:PutObject",
            [in_assets("mlops_provisioned_pipelines/*"), in_assets("sources/*"), in_assets("model_card_exports/*")],
            "Bundles start runs; folders of code beside a config are packed; model cards are exported.",
        ),
        allow(
            "ReadBundlesAndReports",
            "s3:GetObject s3:GetObjectVersion",
            in_assets("*"),
            "Bundles are compared; metric files of model cards may lie anywhere in the bucket.",
        ),
        allow(
            "RemoveBundles",
            "s3:DeleteObject",
            in_assets("mlops_provisioned_pipelines/*"),
            "A deleted project leaves no bundle.",
        ),
        allow(
            "KeepTemplatesOfStackSets",
            "s3:DeleteObject s3:PutObject",
            sub("${BlueprintBucket.Arn}/blueprints/*"),
            "Stack sets take the templates of their stacks from there; those of a deleted project go.",
        ),
        allow(
            "TellAbsentFromForbidden",
            "s3:ListBucket",
            [sub("arn:${AWS::Partition}:s3:::${Bucket}", Bucket=assets), arn_of("BlueprintBucket")],
            "Without it S3 answers 403 for an object that is not there.",
        ),
        allow(
            "ReadConfigsAndAnswer",
            "s3:GetObject s3:GetObjectVersion s3:PutObject",
            sub("arn:${AWS::Partition}:s3:::${Bucket}/*", Bucket=config),
            "A dropped config is read and its outcome written beside it.",
        ),
        allow(
            "ReadConfigsOfConnections",
            "s3:GetObject s3:GetObjectVersion",
            sub("${ArtifactBucket.Arn}/config-*"),
            "A commit that a connection brings arrives as an artifact of the pipeline config-<prefix>.",
        ),
    )


def _pipelines() -> Policy:
    return (
        allow(
            "ProvisionPipelineStacks",
            "cloudformation:CreateStack cloudformation:DeleteStack cloudformation:DescribeChangeSet"
            " cloudformation:DescribeStackEvents cloudformation:DescribeStackResources cloudformation:DescribeStacks"
            " cloudformation:ListStackResources cloudformation:TagResource cloudformation:UpdateStack",
            here("cloudformation", f"stack/{PIPELINES}"),
            "A project is a stack with its CodePipeline.",
        ),
        allow(
            "FindPipelineStacks",
            "cloudformation:DescribeStacks",
            here("cloudformation", "stack/*/*"),
            "A listing of stacks names none of them.",
        ),
        allow(
            "FollowStackSets",
            "cloudformation:ListStackInstances",
            STACK_SETS,
            "Where stack sets deploy, they say which stack stands in a stage.",
        ),
        allow(
            "GiveStacksTheirRole",
            "iam:PassRole",
            arn_of("CloudFormationRole"),
            "CloudFormation makes those stacks with a role of its own.",
            passed_to("cloudformation"),
        ),
        allow(
            "WatchRuns",
            "codepipeline:GetPipeline codepipeline:GetPipelineState"
            " codepipeline:ListActionExecutions codepipeline:ListPipelineExecutions",
            here("codepipeline", PIPELINES),
            "Status is read from the runs.",
        ),
        allow(
            "DoWhatPeopleOrder",
            "codepipeline:PutApprovalResult codepipeline:RetryStageExecution codepipeline:StartPipelineExecution"
            " codepipeline:StopPipelineExecution",
            [here("codepipeline", PIPELINES), here("codepipeline", f"{PIPELINES}/*")],
            "Approve, reject, start, stop and retry by the API.",
        ),
        allow(
            "AnswerJobs",
            "codepipeline:PutJobFailureResult codepipeline:PutJobSuccessResult",
            EVERYTHING,
            "CodePipeline waits for the answers to its jobs; these two actions have no resource level.",
        ),
        allow(
            "ReadAndStopJobs",
            "states:DescribeExecution states:StopExecution",
            here("states", f"execution:{PIPELINES}:*"),
            "Results of a job go to the actions that follow; a stopped run stops its jobs.",
        ),
        allow(
            "ReadCommits",
            "codecommit:GetFile codecommit:GetFolder",
            here("codecommit", "*"),
            "A push to any repository of this account may bring a config; only the named branch is listened to.",
        ),
        allow(
            "CheckTheTruthInStages",
            "sts:AssumeRole",
            [role("${NamePrefix}-read", "*"), role("${NamePrefix}-pipeline-action", "*")],
            "What runs in a stage is looked at, and removed, with that account's own roles; which accounts are stages"
            " is the config's choice, and each of them decides by its trust policy.",
        ),
    )


def _models() -> Policy:
    return (
        allow(
            "ApprovePackages",
            "sagemaker:DescribeModelPackage sagemaker:UpdateModelPackage",
            here("sagemaker", "model-package/*"),
            "An approval in the pipeline approves the model package.",
        ),
        allow(
            "KeepModelCards",
            "sagemaker:CreateModelCard sagemaker:CreateModelCardExportJob sagemaker:DeleteModelCard"
            " sagemaker:DescribeModelCard sagemaker:DescribeModelCardExportJob sagemaker:UpdateModelCard",
            here("sagemaker", "model-card/*"),
            "The API's operations on model cards; users name the cards.",
        ),
        allow(
            "FindModelCards",
            "sagemaker:ListModelCards sagemaker:Search",
            EVERYTHING,
            "Listing and searching have no resource level.",
        ),
        allow(
            "ReadTrainingJobs",
            "sagemaker:DescribeTrainingJob",
            here("sagemaker", "training-job/*"),
            "A model card tells of the job that trained the model.",
        ),
        allow(
            "CheckTheTruthHere",
            "sagemaker:DescribeEndpoint sagemaker:DescribeEndpointConfig sagemaker:DescribeModel",
            [
                here("sagemaker", "endpoint/*"),
                here("sagemaker", "endpoint-config/*"),
                here("sagemaker", "model/*"),
            ],
            "After a deployment the endpoint is compared with what was wanted; configs name their endpoints.",
        ),
        allow(
            "CheckSchedulesHere",
            "scheduler:GetSchedule",
            here("scheduler", f"schedule/default/{PIPELINES}"),
            "After a deployment a monitor's schedule must be there and run.",
        ),
    )


def organisation() -> Policy:
    """What a delegated administrator of stack sets must be able to see; only where the hub rolls out by stack sets."""
    return (
        allow(
            "SeeWhoAdministers",
            "organizations:ListDelegatedAdministrators",
            EVERYTHING,
            "AWS asks it of whoever calls as a delegated administrator; the action has no resource level.",
        ),
    )


def network() -> Policy:
    """What Lambda needs to put the function into subnets; only when subnets are given."""
    return (
        allow(
            "JoinTheNetwork",
            "ec2:AssignPrivateIpAddresses ec2:CreateNetworkInterface ec2:DeleteNetworkInterface"
            " ec2:DescribeNetworkInterfaces ec2:DescribeSubnets ec2:UnassignPrivateIpAddresses",
            EVERYTHING,
            "Lambda makes network interfaces in the function's name before it knows their ids.",
        ),
    )


API_LOGS: Policy = (
    allow(
        "WriteLogs",
        "logs:CreateLogGroup logs:CreateLogStream logs:DescribeLogGroups logs:DescribeLogStreams logs:FilterLogEvents"
        " logs:GetLogEvents logs:PutLogEvents",
        EVERYTHING,
        "API Gateway has one role for the logs of all APIs of an account, checks that it may do this, and names the"
        " groups itself.",
    ),
)
"""What API Gateway's role for its logs may do."""
