"""The CodePipeline API: what is not here is refused by name."""

from __future__ import annotations

from orchestrator.local.services.codepipeline.executions import ExecutionOperations
from orchestrator.local.services.codepipeline.pipelines import PipelineOperations
from orchestrator.local.services.codepipeline.results import ResultOperations


class CodePipeline(PipelineOperations, ExecutionOperations, ResultOperations):
    """Pipelines of type V1 and V2, their executions, and the results of their actions."""
