"""The most that a role made by a pipeline may ever do: a boundary grants nothing, it only limits.

It names no resources, because the roles do; where a statement names some, that is a limit that no config can need to
cross. Actions that change who may do what are absent, but for giving a project's own roles to services.
"""

from __future__ import annotations

from orchestrator.infra.rights.function import OF_STACK_SETS, PIPELINES
from orchestrator.infra.rights.statement import EVERYTHING, Policy, allow, here, passed_to, role

BOUNDARY: Policy = (
    allow(
        "Data",
        "s3:AbortMultipartUpload s3:GetBucketLocation s3:GetBucketVersioning s3:GetObject s3:GetObjectTagging"
        " s3:GetObjectVersion s3:ListBucket s3:ListMultipartUploadParts s3:PutObject s3:PutObjectTagging",
        EVERYTHING,
        "Configs name the buckets of data and models.",
    ),
    allow(
        "Keys",
        "kms:CreateGrant kms:Decrypt kms:DescribeKey kms:Encrypt kms:GenerateDataKey",
        EVERYTHING,
        "Configs name the keys of data and volumes.",
    ),
    allow(
        "Images",
        "ecr:BatchCheckLayerAvailability ecr:BatchGetImage ecr:CompleteLayerUpload ecr:DescribeImages"
        " ecr:DescribeRepositories ecr:GetAuthorizationToken ecr:GetDownloadUrlForLayer ecr:InitiateLayerUpload"
        " ecr:PutImage ecr:UploadLayerPart",
        EVERYTHING,
        "AWS's own images lie in AWS's accounts, and configs name others; builds push to the repository they name.",
    ),
    allow(
        "Builds",
        "codebuild:BatchGetBuilds codebuild:ListBuildsForProject codebuild:StartBuild codebuild:StopBuild",
        here("codebuild", f"project/{PIPELINES}"),
        "State machines start the builds of images and wait for them.",
    ),
    allow(
        "Networks",
        "ec2:CreateNetworkInterface ec2:CreateNetworkInterfacePermission ec2:DeleteNetworkInterface"
        " ec2:DeleteNetworkInterfacePermission ec2:DescribeDhcpOptions ec2:DescribeNetworkInterfaces"
        " ec2:DescribeSecurityGroups ec2:DescribeSubnets ec2:DescribeVpcs",
        EVERYTHING,
        "SageMaker joins the subnets that a config names.",
    ),
    allow(
        "LogsAndMetrics",
        "cloudwatch:PutMetricData logs:CreateLogDelivery logs:CreateLogGroup logs:CreateLogStream"
        " logs:DeleteLogDelivery logs:DescribeLogGroups logs:DescribeLogStreams logs:DescribeResourcePolicies"
        " logs:GetLogDelivery logs:ListLogDeliveries logs:PutLogEvents logs:PutResourcePolicy logs:UpdateLogDelivery",
        EVERYTHING,
        "Jobs and endpoints write logs and metrics; state machines deliver theirs.",
    ),
    allow(
        "Traces",
        "xray:GetSamplingRules xray:GetSamplingTargets xray:PutTelemetryRecords xray:PutTraceSegments",
        EVERYTHING,
        "Executions of state machines are traced.",
    ),
    allow(
        "JobsAndModels",
        "sagemaker:AddTags sagemaker:CreateAutoMLJobV2 sagemaker:CreateHyperParameterTuningJob sagemaker:CreateModel"
        " sagemaker:CreateModelPackage sagemaker:CreateModelPackageGroup sagemaker:CreateProcessingJob"
        " sagemaker:CreateTrainingJob sagemaker:CreateTransformJob sagemaker:DescribeAutoMLJobV2"
        " sagemaker:DescribeEndpoint sagemaker:DescribeEndpointConfig sagemaker:DescribeHyperParameterTuningJob"
        " sagemaker:DescribeModel sagemaker:DescribeModelPackage sagemaker:DescribeModelPackageGroup"
        " sagemaker:DescribeProcessingJob sagemaker:DescribeTrainingJob sagemaker:DescribeTransformJob"
        " sagemaker:InvokeEndpoint sagemaker:ListAutoMLJobs sagemaker:ListHyperParameterTuningJobs"
        " sagemaker:ListModelPackages sagemaker:ListProcessingJobs sagemaker:ListTags sagemaker:ListTrainingJobs"
        " sagemaker:ListTransformJobs sagemaker:PutModelPackageGroupPolicy sagemaker:StopHyperParameterTuningJob"
        " sagemaker:StopProcessingJob sagemaker:StopTrainingJob sagemaker:StopTransformJob"
        " sagemaker:UpdateModelPackage",
        EVERYTHING,
        "State machines start the jobs and wait for them; the old product's names are the users' choice.",
    ),
    allow(
        "StepFunctionsWaitForJobs",
        "events:DescribeRule events:PutRule events:PutTargets",
        [
            here("events", "rule/StepFunctionsGetEventsForSageMaker*"),
            here("events", "rule/StepFunctionsGetEventForCodeBuildStartBuildRule"),
        ],
        "Step Functions learns by these rules, which it makes itself, that a job is over.",
    ),
    allow(
        "PipelinesRun",
        "cloudwatch:DescribeAlarms codepipeline:StartPipelineExecution events:PutEvents lambda:InvokeFunction"
        " lambda:ListFunctions sns:Publish states:DescribeExecution states:DescribeStateMachine states:StartExecution"
        " states:StopExecution",
        EVERYTHING,
        "What a CodePipeline asks of others.",
    ),
    allow(
        "MonitorsRun",
        "scheduler:GetSchedule scheduler:UpdateSchedule states:ListExecutions",
        [here("scheduler", f"schedule/default/{PIPELINES}"), here("states", f"stateMachine:{PIPELINES}")],
        "A schedule runs once there is a baseline; a retraining sees whether another one is cooling down.",
    ),
    allow(
        "PipelinesActInStages",
        "sts:AssumeRole",
        role("${NamePrefix}-pipeline-action", "*"),
        "A CodePipeline acts in a stage's account with that account's role.",
    ),
    allow(
        "GiveRolesToTheirServices",
        "iam:PassRole",
        [role(PIPELINES), role(OF_STACK_SETS)],
        "A state machine gives a job its role, and a schedule that it changes its own.",
        passed_to("sagemaker", "scheduler"),
    ),
)
