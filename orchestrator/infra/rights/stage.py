"""What the three roles of every account of a stage may do: act, deploy, read. The hub's own account has them too."""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.infra.rights import jobs
from orchestrator.infra.rights.cloudformation import bounded_roles, rules
from orchestrator.infra.rights.function import OF_STACK_SETS, PIPELINES, STACK_SETS, organisation
from orchestrator.infra.rights.statement import EVERYTHING, Policy, Value, allow, arn_of, here, passed_to, sub


def action(artifacts: Value, key_arn: Value) -> Mapping[str, Policy]:
    """The role that CodePipeline's actions take in the account.

    ``artifacts`` is the name of the hub's artifact bucket, ``key_arn`` its key.
    """
    return {
        "ActionDeploys": (
            allow(
                "Stacks",
                "cloudformation:CreateChangeSet cloudformation:CreateStack cloudformation:DeleteChangeSet"
                " cloudformation:DeleteStack cloudformation:DescribeChangeSet cloudformation:DescribeStackEvents"
                " cloudformation:DescribeStackResources cloudformation:DescribeStacks"
                " cloudformation:ExecuteChangeSet cloudformation:GetTemplate cloudformation:SetStackPolicy"
                " cloudformation:TagResource cloudformation:UntagResource cloudformation:UpdateStack",
                here("cloudformation", f"stack/{PIPELINES}"),
                "Change sets are made, looked at and executed; a deleted project's stacks go.",
            ),
            allow(
                "Templates",
                "cloudformation:ValidateTemplate",
                EVERYTHING,
                "CodePipeline asks before it deploys; the action has no resource level.",
            ),
            allow(
                "GiveStacksTheirRole",
                "iam:PassRole",
                arn_of("DeployRole"),
                "CloudFormation makes the stacks with a role of its own.",
                passed_to("cloudformation"),
            ),
            allow(
                "Jobs",
                "states:DescribeExecution states:DescribeStateMachine states:StartExecution states:StopExecution",
                [here("states", f"stateMachine:{PIPELINES}"), here("states", f"execution:{PIPELINES}:*")],
                "Jobs of a stage are started, waited for and stopped.",
            ),
            allow(
                "Artifacts",
                "s3:GetObject s3:GetObjectVersion s3:PutObject",
                sub("arn:${AWS::Partition}:s3:::${Bucket}/*", Bucket=artifacts),
                "Templates and parameters come from the run's artifacts.",
            ),
            allow(
                "ArtifactBucket",
                "s3:GetBucketLocation s3:ListBucket",
                sub("arn:${AWS::Partition}:s3:::${Bucket}", Bucket=artifacts),
                "CodePipeline looks where the bucket is.",
            ),
            allow(
                "ArtifactKey",
                "kms:Decrypt kms:DescribeKey kms:Encrypt kms:GenerateDataKey",
                key_arn,
                "The artifacts are encrypted.",
            ),
        )
    }


def deploy(hub_account: Value) -> Mapping[str, Policy]:
    """The role with which CloudFormation makes a stage's stacks."""
    return {
        "DeployModels": (
            allow(
                "Models",
                "sagemaker:AddTags sagemaker:CreateEndpoint sagemaker:CreateEndpointConfig sagemaker:CreateModel"
                " sagemaker:DeleteEndpoint sagemaker:DeleteEndpointConfig sagemaker:DeleteModel sagemaker:DeleteTags"
                " sagemaker:DescribeEndpoint sagemaker:DescribeEndpointConfig sagemaker:DescribeModel"
                " sagemaker:ListTags sagemaker:UpdateEndpoint",
                [
                    here("sagemaker", "endpoint/*"),
                    here("sagemaker", "endpoint-config/*"),
                    here("sagemaker", "model/*"),
                ],
                "Stacks of pipelines hold models and endpoints; configs name the endpoints.",
            ),
            allow(
                "KeysOfEndpoints",
                "kms:DescribeKey",
                sub("arn:${AWS::Partition}:kms:${AWS::Region}:*:key/*"),
                "SageMaker looks at the key of an endpoint's volumes, which the config names.",
            ),
            allow(
                "PackagesOfTheHub",
                "sagemaker:CreateModel sagemaker:DescribeModelPackage",
                sub("arn:${AWS::Partition}:sagemaker:${AWS::Region}:${Hub}:model-package/*", Hub=hub_account),
                "A model is made from the package that was registered and approved in the hub.",
            ),
        ),
        "DeployJobs": (
            allow(
                "StateMachines",
                "states:CreateStateMachine states:DeleteStateMachine states:DescribeStateMachine"
                " states:ListTagsForResource states:TagResource states:UntagResource states:UpdateStateMachine",
                here("states", f"stateMachine:{PIPELINES}"),
                "The jobs of a pipeline are state machines.",
            ),
            rules(),
            allow(
                "Alarms",
                "cloudwatch:DeleteAlarms cloudwatch:DescribeAlarms cloudwatch:ListTagsForResource"
                " cloudwatch:PutMetricAlarm cloudwatch:TagResource cloudwatch:UntagResource",
                here("cloudwatch", f"alarm:{PIPELINES}"),
                "Endpoints and monitors have alarms.",
            ),
            allow(
                "Builds",
                "codebuild:BatchGetProjects codebuild:CreateProject codebuild:DeleteProject codebuild:UpdateProject",
                here("codebuild", f"project/{PIPELINES}"),
                "Images are built by projects.",
            ),
            allow(
                "Repositories",
                "ecr:CreateRepository ecr:DeleteLifecyclePolicy ecr:DeleteRepository ecr:DeleteRepositoryPolicy"
                " ecr:DescribeRepositories ecr:GetLifecyclePolicy ecr:GetRepositoryPolicy ecr:ListTagsForResource"
                " ecr:PutImageScanningConfiguration ecr:PutImageTagMutability ecr:PutLifecyclePolicy"
                " ecr:SetRepositoryPolicy ecr:TagResource ecr:UntagResource",
                here("ecr", "repository/*"),
                "An image build may make its repository, which the config names.",
            ),
            allow(
                "KeysOfRepositories",
                "kms:CreateGrant kms:DescribeKey kms:RetireGrant",
                sub("arn:${AWS::Partition}:kms:${AWS::Region}:*:key/*"),
                "A repository may be encrypted with the key that the config names.",
            ),
        ),
        "DeployMonitors": _monitors(),
        "DeployRoles": bounded_roles(("codebuild", "events", "sagemaker", "scheduler", "states"), *jobs.policies()),
    }


def stack_sets() -> Mapping[str, Policy]:
    """What CloudFormation needs in the hub to roll stacks out to the stages by stack sets of the organization.

    In a stage the stacks are made by a role of AWS's own. So this is the right to make anything there, and it is kept
    to templates that the orchestrator wrote.
    """
    ours = {
        "StringLike": {
            "cloudformation:TemplateUrl": sub(
                "https://${BlueprintBucket}.s3.${AWS::Region}.${AWS::URLSuffix}/blueprints/*"
            )
        }
    }
    targets = [
        STACK_SETS,
        sub("arn:${AWS::Partition}:cloudformation:${AWS::Region}:*:stackset-target/*"),
        sub("arn:${AWS::Partition}:cloudformation:${AWS::Region}::type/resource/*"),
    ]
    return {
        "DeployStackSets": (
            allow(
                "MakeStackSets",
                "cloudformation:CreateStackSet cloudformation:GetTemplateSummary",
                EVERYTHING,
                "A stack set has no name to go by before it is made; its template must be one of the orchestrator's.",
                ours,
            ),
            allow(
                "ChangeStackSets",
                "cloudformation:UpdateStackSet",
                targets,
                "A new template or new values reach the stacks; the template must be one of the orchestrator's.",
                ours,
            ),
            allow(
                "RollStackSetsOut",
                "cloudformation:CreateStackInstances cloudformation:DeleteStackInstances"
                " cloudformation:UpdateStackInstances",
                targets,
                "A stack set makes its stack in the stage's account, changes it, and takes it away.",
            ),
            allow(
                "KeepStackSets",
                "cloudformation:DeleteStackSet cloudformation:DescribeStackInstance cloudformation:DescribeStackSet"
                " cloudformation:DescribeStackSetOperation cloudformation:ListStackInstances"
                " cloudformation:ListStackSetOperationResults cloudformation:TagResource"
                " cloudformation:UntagResource",
                STACK_SETS,
                "CloudFormation waits for what it asked of a stack set, and removes it with the project.",
            ),
            allow(
                "ReadTemplates",
                "s3:GetObject",
                sub("${BlueprintBucket.Arn}/blueprints/*"),
                "The template of a stack set's stacks is read with the rights of who asks for it.",
            ),
            *organisation(),
        )
    }


def _monitors() -> Policy:
    kinds = ("DataQuality", "ModelQuality", "ModelBias", "ModelExplainability")
    definitions = [
        f"sagemaker:{verb}{kind}JobDefinition" for verb in ("Create", "Delete", "Describe") for kind in kinds
    ]
    folders = ("data-quality", "model-quality", "model-bias", "model-explainability")
    return (
        allow(
            "Schedules",
            "scheduler:CreateSchedule scheduler:DeleteSchedule scheduler:GetSchedule scheduler:UpdateSchedule",
            here("scheduler", f"schedule/default/{PIPELINES}"),
            "A monitor's analyses start on a schedule.",
        ),
        allow(
            "MonitoringSchedules",
            "sagemaker:AddTags sagemaker:CreateMonitoringSchedule sagemaker:DeleteMonitoringSchedule"
            " sagemaker:DescribeMonitoringSchedule sagemaker:ListTags sagemaker:UpdateMonitoringSchedule",
            here("sagemaker", "monitoring-schedule/*"),
            "Where SageMaker Model Monitor is still to be had, it may be the engine; endpoints give the names.",
        ),
        allow(
            "MonitoringDefinitions",
            " ".join(["sagemaker:AddTags", *definitions, "sagemaker:ListTags"]),
            [here("sagemaker", f"{folder}-job-definition/*") for folder in folders],
            "What such a schedule runs; CloudFormation gives the names.",
        ),
    )


def read() -> Mapping[str, Policy]:
    """The role with which the hub looks at what is really there."""
    return {
        "ReadTheTruth": (
            allow(
                "Stacks",
                "cloudformation:DescribeChangeSet cloudformation:DescribeStackEvents"
                " cloudformation:DescribeStackResources cloudformation:DescribeStacks"
                " cloudformation:ListStackResources",
                [here("cloudformation", f"stack/{PIPELINES}"), here("cloudformation", f"stack/{OF_STACK_SETS}")],
                "Status and approvals tell of a stage's stacks and change sets.",
            ),
            allow(
                "ModelsAndJobs",
                "sagemaker:DescribeEndpoint sagemaker:DescribeEndpointConfig sagemaker:DescribeModel"
                " sagemaker:DescribeModelPackage sagemaker:DescribeProcessingJob sagemaker:DescribeTrainingJob",
                here("sagemaker", "*"),
                "What runs is compared with what was wanted; users choose the names.",
            ),
            allow(
                "Schedules",
                "scheduler:GetSchedule",
                here("scheduler", f"schedule/default/{PIPELINES}"),
                "A monitor's schedule must be there and run.",
            ),
            allow(
                "Alarms",
                "cloudwatch:DescribeAlarms",
                here("cloudwatch", f"alarm:{PIPELINES}"),
                "`mlops monitor list` tells what a monitor has raised.",
            ),
            allow(
                "StateMachines",
                "states:DescribeExecution states:GetExecutionHistory",
                here("states", f"execution:{PIPELINES}:*"),
                "A failure is followed to the job's own words.",
            ),
            allow(
                "JobLogs",
                "logs:DescribeLogStreams logs:FilterLogEvents logs:GetLogEvents",
                [here("logs", "log-group:/aws/sagemaker/*"), here("logs", "log-group:/mlops/*")],
                "`mlops logs` shows what a job wrote.",
            ),
        )
    }
