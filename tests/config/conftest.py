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
def deployed() -> Callable[..., Settings]:
    """Makes the settings of a deployment with two stages."""
    return settings


@pytest.fixture(scope="session")
def catalog() -> Any:
    from orchestrator.blueprint import load_catalog

    return load_catalog(Path(__file__).parent / "catalog")


@pytest.fixture
def check(catalog: Any) -> Callable[..., tuple[Workload, tuple[Problem, ...]]]:
    """The workload and the warnings of a config."""
    from orchestrator.validate import examine

    return lambda body, **changes: examine(body, catalog, settings(**changes))


@pytest.fixture
def read(check: Callable[..., Any]) -> Callable[..., Workload]:
    """The workload of a config."""
    return lambda body, **changes: check(body, **changes)[0]


@pytest.fixture
def problems(check: Callable[..., Any]) -> Callable[..., tuple[Problem, ...]]:
    """The problems of a config that is wrong."""

    def found(body: object, **changes: Any) -> tuple[Problem, ...]:
        with pytest.raises(ConfigInvalid) as caught:
            check(body, **changes)
        return caught.value.problems

    return found


@pytest.fixture
def told(problems: Callable[..., Any]) -> Callable[..., dict[str, str]]:
    """What is told about each path of a wrong config: the message, what is allowed and the fix."""

    def texts(body: object, **changes: Any) -> dict[str, str]:
        found: dict[str, str] = {}
        for problem in problems(body, **changes):
            text = f"{problem.message} {problem.allowed} {problem.fix}"
            found[problem.path] = f"{found.get(problem.path, '')} {text}".strip()
        return found

    return texts
