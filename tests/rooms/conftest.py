"""A deployment, the real catalog, and workloads to plan."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from orchestrator.blueprint import Catalog, load_catalog
from orchestrator.model import Rendering, Stage
from orchestrator.plan import plan
from orchestrator.render import render
from orchestrator.settings import Settings
from orchestrator.validate import validate

HUB = "111111111111"


@pytest.fixture(scope="session")
def catalog() -> Catalog:
    return load_catalog()


@pytest.fixture(scope="session")
def settings() -> Settings:
    return Settings(
        account=HUB,
        region="us-east-1",
        assets_bucket="assets",
        artifact_bucket="artifacts",
        artifact_key_arn=f"arn:aws:kms:us-east-1:{HUB}:key/0f1e2d3c",
        notifications_topic_arn=f"arn:aws:sns:us-east-1:{HUB}:topic",
        function_arn=f"arn:aws:lambda:us-east-1:{HUB}:function:mlops-orchestrator",
        cloudformation_role_arn=f"arn:aws:iam::{HUB}:role/mlops-orchestrator-cloudformation",
        stages=(
            Stage("dev", "222222222222", "us-east-1"),
            Stage("staging", "333333333333", "us-east-1", approval=True),
            Stage("prod", "444444444444", "us-east-1", approval=True),
        ),
    )


@pytest.fixture
def flow_config() -> dict[str, Any]:
    """Training, registry and endpoint of one model, in the deployment's three stages."""
    return {
        "version": 2,
        "model_name": "churn",
        "tags": {"team": "x"},
        "pipelines": [
            {
                "name": "training",
                "pipeline_type": "model_training",
                "framework": "xgboost",
                "framework_version": "1.7-1",
                "hyperparameters": {"eta": 0.2, "num_round": 60},
                "channels": {"train": {"location": "data/train.csv"}},
            },
            {"name": "registry", "pipeline_type": "model_registration", "model": {"from": "training"}},
            {
                "name": "endpoint",
                "pipeline_type": "realtime_inference",
                "model_package": {"from": "registry"},
                "instance_type": {"dev": "ml.m5.large", "default": "ml.m5.xlarge"},
            },
        ],
    }


@pytest.fixture
def rendered(catalog: Catalog, settings: Settings) -> Callable[[Any], Rendering]:
    """From a config as written to its rendering."""
    return lambda body: render(plan(validate(body, catalog, settings), settings, catalog), catalog, settings)
