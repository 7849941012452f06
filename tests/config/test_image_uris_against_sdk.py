"""The whole image table against the SageMaker SDK: every framework, scope, version, Python, processor and region.

Collected only where ``sagemaker-core`` is installed (an environment of its own; it is large)::

    python -m venv /tmp/sdk && /tmp/sdk/bin/pip install sagemaker-core pytest
    PYTHONPATH=. /tmp/sdk/bin/python -m pytest tests/config/test_image_uris_against_sdk.py

Run as a program, it writes the committed sample ``image_uris_sdk.json``, which is always tested.
"""

from __future__ import annotations

import functools
import json
import logging
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sagemaker.core import image_uris as sdk

from orchestrator import images

SAMPLE = Path(__file__).with_name("image_uris_sdk.json")
INSTANCES = {
    "cpu": "ml.m5.xlarge",
    "gpu": "ml.g5.xlarge",
    "inf": "ml.inf1.xlarge",
    "inf2": "ml.inf2.xlarge",
    "trn": "ml.trn1.2xlarge",
    "p4d": "ml.p4d.24xlarge",
}
# The SDK's own data has no container version for the Trainium processor of these.
UNANSWERED = {("huggingface-neuronx", "training"): KeyError}

logging.disable(logging.CRITICAL)
sdk.config_for_framework = functools.lru_cache(None)(sdk.config_for_framework)
sdk.utils._botocore_resolver = functools.lru_cache(None)(sdk.utils._botocore_resolver)


def combinations() -> Iterator[dict[str, Any]]:
    table = images._table()
    for framework, groups in table["frameworks"].items():
        for group in groups:
            versions = {**group["versions"], **{a: group["versions"][v] for a, v in group["aliases"].items()}}
            for scope in group["scopes"]:
                for version, by_python in versions.items():
                    for python, entry in by_python.items():
                        for processor in entry["tags"]:
                            for region in table["registries"][entry["registry"]]:
                                yield {
                                    "framework": framework,
                                    "full": group["aliases"].get(version, version),
                                    "version": version,
                                    "scope": scope,
                                    "python": python,
                                    "processor": processor,
                                    "region": region,
                                }


def instance_type(case: dict[str, Any]) -> str | None:
    if case["scope"] == "inference_graviton":
        return "ml.c6g.xlarge"
    if case["framework"] in ("huggingface-neuronx", "pytorch-neuron"):
        return None  # the SDK refuses Trainium for them by the framework's name
    return INSTANCES.get(case["processor"])


def asked_of_sdk(case: dict[str, Any]) -> str:
    framework, version, more = case["framework"], case["version"], {}
    if "-pytorch" in case["full"] or "-tensorflow" in case["full"]:
        version, more["base_framework_version"] = case["full"].split("-", 1)
        if framework.startswith("huggingface-neuron"):
            more["inference_tool"] = framework.removeprefix("huggingface-")
        elif framework != "huggingface":
            more["training_compiler_config"] = True
        framework = "huggingface"
    return str(
        sdk.retrieve(
            framework,
            case["region"],
            version=version,
            py_version=case["python"] or None,
            instance_type=instance_type(case),
            image_scope=case["scope"],
            **more,
        )
    )


def asked_of_us(case: dict[str, Any]) -> str:
    return images.image_uri(
        case["framework"],
        case["version"],
        case["region"],
        scope="inference" if case["scope"] == "inference_graviton" else case["scope"],
        instance_type=instance_type(case),
        py_version=case["python"] or None,
    )


def test_every_combination_gives_the_same_uri() -> None:
    compared, different = 0, []
    for case in combinations():
        try:
            expected = asked_of_sdk(case)
        except Exception as error:
            assert isinstance(error, UNANSWERED[case["framework"], case["scope"]]), case
            continue
        compared += 1
        if asked_of_us(case) != expected:
            different.append((case, expected))
    assert not different
    assert compared > 50_000


def main() -> None:
    cases = [case for case in combinations() if (case["framework"], case["scope"]) not in UNANSWERED]
    chosen = random.Random(7).sample(cases, 400)
    rows = [{**case, "instance_type": instance_type(case), "uri": asked_of_sdk(case)} for case in chosen]
    lines = ",\n".join(json.dumps(row) for row in sorted(rows, key=json.dumps))
    SAMPLE.write_text(f"[\n{lines}\n]\n")


if __name__ == "__main__":
    main()
