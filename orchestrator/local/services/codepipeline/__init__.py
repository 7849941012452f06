"""CodePipeline V2: executions that really run, as documents and persisted tasks."""

from orchestrator.local.services.codepipeline.service import CodePipeline

SERVICE = CodePipeline
