"""A small catalog of two made-up kinds, so that these tests speak of the rules and not of the real blueprints."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orchestrator.errors import ConfigInvalid, Problem
from orchestrator.model import Stage, Workload
from orchestrator.settings import Settings

# The comparison with the SageMaker SDK needs the SDK, which is large; it runs where somebody has installed it.
collect_ignore = [] if importlib.util.find_spec("sagemaker") else ["test_image_uris_against_sdk.py"]

STAGES = (
    Stage("dev", "222222222222", "us-east-1"),
    Stage("prod", "444444444444", "us-east-1", approval=True),
)


def settings(**changes: Any) -> Settings:
    given: dict[str, Any] = {
        "account": "111111111111",
        "region": "us-east-1",
        "assets_bucket": "assets",
        "artifact_bucket": "artifacts",
        "artifact_key_arn": "arn:aws:kms:us-east-1:111111111111:key/k",
        "notifications_topic_arn": "arn:aws:sns:us-east-1:111111111111:t",
        "function_arn": "arn:aws:lambda:us-east-1:111111111111:function:mlops-orchestrator",
        "cloudformation_role_arn": "arn:aws:iam::111111111111:role/mlops-cloudformation",
        "stages": STAGES,
    }
    return Settings(**{**given, **changes})


@pytest.fixture(scope="session")
def catalog() -> Any:
    from orchestrator.blueprint import load_catalog

    return load_catalog(Path(__file__).parent / "catalog")


@pytest.fixture
def read(catalog: Any) -> Callable[..., Workload]:
    """Validate a config against the small catalog."""
    from orchestrator.validate import validate

    return lambda body, **changes: validate(body, catalog, settings(**changes))


@pytest.fixture
def problems(catalog: Any) -> Callable[..., dict[str, Problem]]:
    """The problems of a config, by path; that two share a path is a mistake of the test."""
    from orchestrator.validate import validate

    def found(body: object, **changes: Any) -> dict[str, Problem]:
        with pytest.raises(ConfigInvalid) as caught:
            validate(body, catalog, settings(**changes))
        by_path = {problem.path: problem for problem in caught.value.problems}
        assert len(by_path) == len(caught.value.problems), [str(each) for each in caught.value.problems]
        return by_path

    return found
