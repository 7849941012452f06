"""cfn-lint rules for SageMaker endpoints: combinations that only the service refuses.

https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ProductionVariant.html
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cfnlint.rules import CloudFormationLintRule, RuleMatch

SERVERLESS_MEMORY = (1024, 2048, 3072, 4096, 5120, 6144)


class EndpointContracts(CloudFormationLintRule):
    """What the variants of an endpoint configuration must be."""

    id = "E9802"
    shortdesc = "An endpoint configuration that SageMaker would refuse"
    description = "Serverless and instances exclude each other; memory sizes; weights"
    tags = ("sagemaker",)

    def match(self, cfn: Any) -> list[RuleMatch]:
        """The findings of a template."""
        found = []
        for name, resource in cfn.get_resources("AWS::SageMaker::EndpointConfig").items():
            variants = resource.get("Properties", {}).get("ProductionVariants", [])
            path = ["Resources", name, "Properties", "ProductionVariants"]
            if isinstance(variants, list):
                found += [RuleMatch([*path, *place], message) for place, message in _variants(variants)]
        return found


def _variants(variants: list[Any]) -> Iterator[tuple[list[Any], str]]:
    for number, variant in enumerate(variants):
        serverless = variant.get("ServerlessConfig")
        if serverless is None:
            continue
        if {"InstanceType", "InitialInstanceCount"} & set(variant):
            yield [number], "a serverless variant has no instances"
        memory = serverless.get("MemorySizeInMB")
        if isinstance(memory, int) and memory not in SERVERLESS_MEMORY:
            yield [number, "ServerlessConfig"], f"MemorySizeInMB {memory} is none of {SERVERLESS_MEMORY}"
    if len({"ServerlessConfig" in variant for variant in variants}) > 1:
        yield [], "serverless variants and variants with instances cannot be mixed"
    weights = [variant.get("InitialVariantWeight") for variant in variants]
    if weights and all(isinstance(weight, int | float) for weight in weights) and sum(weights) == 0:
        yield [], "all weights are zero: no variant would get a request"
