"""What the small pipeline may do that brings configs from GitHub, GitLab or Bitbucket to the function."""

from __future__ import annotations

from orchestrator.infra.rights.statement import Policy, allow, arn_of, ref, sub

POLICY: Policy = (
    allow(
        "UseTheConnection",
        "codeconnections:UseConnection codestar-connections:UseConnection",
        ref("ConnectionArn"),
        "The source action reads the repository through it; older connections have the older action.",
    ),
    allow(
        "KeepArtifacts",
        "s3:GetObject s3:GetObjectVersion s3:PutObject",
        sub("${ArtifactBucket.Arn}/config-*"),
        "The commit is handed on as an artifact.",
    ),
    allow(
        "SeeTheBucket",
        "s3:GetBucketLocation s3:GetBucketVersioning s3:ListBucket",
        arn_of("ArtifactBucket"),
        "CodePipeline looks at the bucket of its artifacts.",
    ),
    allow(
        "UseTheKey",
        "kms:Decrypt kms:DescribeKey kms:Encrypt kms:GenerateDataKey",
        arn_of("Key"),
        "The artifacts are encrypted.",
    ),
    allow("AskTheOrchestrator", "lambda:InvokeFunction", arn_of("Function"), "The function provisions the config."),
)
