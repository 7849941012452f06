"""What jobs, endpoints and state machines of every project may do alike: granted once in each account.

Here stands what has no resource level, and what names nothing of a project. The roles of projects have these policies
beside their own; the boundary holds for both.
"""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.infra.rights.statement import EVERYTHING, Policy, allow, here, sub

NAMESPACES = ["/aws/sagemaker/*", "aws/sagemaker/*", "AWS/SageMaker*", "MLOps/Monitoring"]


def policies() -> Mapping[str, Policy]:
    """By the end of the policy's name; the name begins with the parameter NamePrefix."""
    return {"job": _job(), "images": _images(), "network": _network(), "state-machine": _state_machine()}


def _job() -> Policy:
    return (
        allow(
            "Log",
            "logs:CreateLogGroup logs:CreateLogStream logs:DescribeLogStreams logs:PutLogEvents",
            here("logs", "log-group:/aws/sagemaker/*"),
            "Containers of SageMaker write what they print.",
        ),
        allow(
            "Measure",
            "cloudwatch:PutMetricData",
            EVERYTHING,
            "Metrics in SageMaker's namespaces and the monitors' own; the action is limited by its condition, it has no"
            " resource level.",
            {"StringLike": {"cloudwatch:namespace": NAMESPACES}},
        ),
    )


def _images() -> Policy:
    return (
        allow(
            "SignInToRegistries",
            "ecr:GetAuthorizationToken",
            EVERYTHING,
            "ECR hands out the token that a pull or push needs; the action has no resource level.",
        ),
    )


def _network() -> Policy:
    return (
        allow(
            "JoinTheNetwork",
            "ec2:CreateNetworkInterface ec2:CreateNetworkInterfacePermission ec2:DeleteNetworkInterface"
            " ec2:DeleteNetworkInterfacePermission",
            [
                here("ec2", "network-interface/*"),
                sub("arn:${AWS::Partition}:ec2:${AWS::Region}:*:subnet/*"),
                sub("arn:${AWS::Partition}:ec2:${AWS::Region}:*:security-group/*"),
            ],
            "SageMaker puts containers into the subnets that a config names.",
        ),
        allow(
            "SeeTheNetwork",
            "ec2:DescribeDhcpOptions ec2:DescribeNetworkInterfaces ec2:DescribeSecurityGroups ec2:DescribeSubnets"
            " ec2:DescribeVpcs",
            EVERYTHING,
            "It looks at those subnets first; the actions have no resource level.",
        ),
    )


def _state_machine() -> Policy:
    return (
        allow(
            "FindFinishedJobs",
            "sagemaker:ListAutoMLJobs sagemaker:ListHyperParameterTuningJobs sagemaker:ListProcessingJobs"
            " sagemaker:ListTrainingJobs sagemaker:ListTransformJobs",
            EVERYTHING,
            "A job that was asked for the same is found, not run again; a listing has no resource level.",
        ),
        allow(
            "DeliverLogs",
            "logs:CreateLogDelivery logs:DeleteLogDelivery logs:DescribeLogGroups logs:DescribeResourcePolicies"
            " logs:GetLogDelivery logs:ListLogDeliveries logs:PutResourcePolicy logs:UpdateLogDelivery",
            EVERYTHING,
            "State machines have their log delivered to the account's group; the actions have no resource level.",
        ),
        allow(
            "Trace",
            "xray:GetSamplingRules xray:GetSamplingTargets xray:PutTelemetryRecords xray:PutTraceSegments",
            EVERYTHING,
            "Executions are traced; X-Ray has no resource level.",
        ),
    )
