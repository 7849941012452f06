"""What the jobs of all projects share in an account: their policies and their log.

One encrypted log group for all: Step Functions writes each log group into the account's few resource policies of
CloudWatch Logs, so groups of every project would use them up.
https://docs.aws.amazon.com/step-functions/latest/dg/cw-logs.html
"""

from __future__ import annotations

from aws_cdk import Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs

from orchestrator.infra.rights import jobs
from orchestrator.infra.rights.statement import Value, document
from orchestrator.infra.stacks.elements import kept, text

LOG = "/mlops/${NamePrefix}-jobs"
DAYS_KEPT = 90
PURPOSES = {
    "job": "What jobs and endpoints of every project may do.",
    "images": "Signing in to image registries, for whoever pulls or pushes.",
    "network": "What jobs and endpoints need in a VPC.",
    "state-machine": "What state machines of every project may do.",
}


def add(stack: Stack, key_arn: Value) -> None:
    """JobLog and one managed policy for each purpose; ``key_arn`` encrypts the log."""
    log = logs.CfnLogGroup(
        stack,
        "JobLog",
        log_group_name=text({"Fn::Sub": LOG}),
        kms_key_id=text(key_arn),
        retention_in_days=DAYS_KEPT,
    )
    kept(log)
    for name, policy in jobs.policies().items():
        iam.CfnManagedPolicy(
            stack,
            f"Shared{name.title().replace('-', '')}",
            managed_policy_name=text({"Fn::Sub": f"${{NamePrefix}}-{name}"}),
            description=PURPOSES[name],
            policy_document=document(policy),
        )
