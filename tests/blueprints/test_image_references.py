"""An image that a pipeline builds, in the pipelines that serve with it."""

from __future__ import annotations

from typing import Any

import pytest
from walking import CATALOG, SETTINGS

from orchestrator.errors import ConfigInvalid
from orchestrator.plan import plan
from orchestrator.validate import examine

IMAGE = {
    "name": "image",
    "pipeline_type": "image_build",
    "source": "images/churn.zip",
    "repository": "mlops-algorithms",
    "tag": "1",
}
TRAINING = {
    "name": "training",
    "pipeline_type": "model_training",
    "framework": "xgboost",
    "framework_version": "1.7-1",
    "channels": {"train": {"location": "data/train.csv"}},
}


def overrides(*pipelines: dict[str, Any]) -> dict[str, str]:
    """What fills in the parameters of the last pipeline."""
    body = {"version": 2, "model_name": "churn", "pipelines": list(pipelines)}
    workload, _ = examine(body, CATALOG, SETTINGS)
    last = plan(workload, SETTINGS, CATALOG).pipelines[-1]
    return {parameter: f"{found.pipeline}.{found.result}" for parameter, found in last.overrides.items()}


@pytest.mark.parametrize("reverse", [False, True])
def test_an_image_that_is_named_wins_over_the_one_of_the_training(reverse: bool) -> None:
    keys = [("model", {"from": "training"}), ("image", {"from": "image"})]
    registry = {"name": "registry", "pipeline_type": "model_registration", **dict(keys[::-1] if reverse else keys)}
    found = overrides(IMAGE, TRAINING, registry)
    assert found["ImageUri"] == "image.ImageUri"
    assert found["ImageRepositoryArn"] == "image.ImageRepositoryArn"
    assert found["ModelDataUrl"] == "training.ModelDataUrl"


def test_a_registered_model_has_its_image_already() -> None:
    registry = {
        "name": "registry",
        "pipeline_type": "model_registration",
        "model": "models/m.tar.gz",
        "image": {"from": "image"},
    }
    scores = {
        "name": "scores",
        "pipeline_type": "batch_inference",
        "model_package": {"from": "registry"},
        "image": {"from": "image"},
        "instance_type": "ml.m5.large",
        "input": {"location": "data/in/"},
        "output": {"location": "data/out"},
    }
    with pytest.raises(ConfigInvalid) as error:
        overrides(IMAGE, registry, scores)
    assert "has its image already" in error.value.problems[0].allowed


def test_a_pipeline_without_an_image_is_not_one() -> None:
    registry = {
        "name": "registry",
        "pipeline_type": "model_registration",
        "model": "models/m.tar.gz",
        "image": {"from": "training"},
    }
    with pytest.raises(ConfigInvalid) as error:
        overrides(IMAGE, TRAINING, registry)
    assert error.value.problems[0].path == "$.pipelines[2].image.from"
