"""Templates as CloudFormation would evaluate them, with the embedded AWS's own template language."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator.local.services.cloudformation.language import frame, parameters, template
from orchestrator.local.services.cloudformation.language.names import pseudo_parameters
from orchestrator.model import PipelinePlan
from tests.blueprints.walking import ACCOUNT, REGION, Example

MODEL_DATA = "s3://models/job/output/model.tar.gz"
RESULTS = {
    "ModelDataUrl": MODEL_DATA,
    "ModelDataPrefix": "s3://models",
    "ModelPackageArn": f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:model-package/churn/1",
    "ImageUri": f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/xgboost:1",
    "ImageRepositoryArn": f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/xgboost",
    "InferenceProgram": "-",
    "TrainingJobName": "job-1",
}
"""What a run would fill in, by parameter."""


class Names:
    """Resources that were never made: their names and ARNs."""

    def reference(self, logical: str) -> str:
        return (
            f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:kind/{logical}" if logical == "JobDefinition" else f"{logical}-ref"
        )

    def attribute(self, logical: str, name: str) -> str:
        if logical.endswith("Role"):
            return f"arn:aws:iam::{ACCOUNT}:role/{logical}"
        return f"{logical}.{name}"

    def exported(self, name: str) -> str:
        raise AssertionError(name)


def resolved(body: str, values: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Logical id -> evaluated properties of every resource that would be made."""
    parsed = template.parse(body)
    declared = parameters.declarations(parsed.parameters)
    given = [{"ParameterKey": key, "ParameterValue": value} for key, value in values.items()]
    settled = parameters.settle(declared, parameters.merge(declared, given, None), lambda names: {})
    built = frame.build(parsed, settled, pseudo_parameters(ACCOUNT, REGION, "id", "stack", []))
    evaluator = built.evaluate(Names())
    return {name: evaluator.value(resource.properties) for name, resource in built.active.items()}


def stack_of(
    example: Example, pipeline: PipelinePlan, filled_in: Mapping[str, str] | None = None, stage: int = 0
) -> dict[str, dict[str, Any]]:
    """The resources of a pipeline of an example in one stage; ``filled_in`` replaces results of other pipelines."""
    results = {name: {**RESULTS, **(filled_in or {})}[name] for name in pipeline.overrides}
    values = {**results, **pipeline.stacks[stage].parameters}
    return resolved(example.rendering.files[pipeline.template_file].decode(), values)
