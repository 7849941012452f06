"""What a new bundle changes, told before it is provisioned."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from orchestrator.difference import changes
from orchestrator.model import Rendering

Render = Callable[[Any], Rendering]


@pytest.fixture
def changed(flow_config: Any, rendered: Render) -> Callable[[Callable[[Any], object]], Any]:
    """The changes that an edit of the flow's config makes."""

    def compare(edit: Callable[[Any], object]) -> Any:
        new = copy.deepcopy(flow_config)
        edit(new)
        return changes(rendered(flow_config).files, rendered(new).files)

    return compare


def kinds(found: Any) -> dict[str, str]:
    return {f"{stack.pipeline}/{stack.stage}": stack.kind for stack in found.stacks}


def test_the_same_changes_nothing(changed: Any) -> None:
    found = changed(lambda config: None)
    assert found.nothing
    assert found.lines() == []
    assert set(kinds(found).values()) == {"unchanged"}


def test_an_instance_type_touches_the_endpoint_of_its_stage_only(changed: Any) -> None:
    found = changed(lambda config: config["pipelines"][2]["instance_type"].update(dev="ml.c5.xlarge"))
    assert [name for name, kind in kinds(found).items() if kind != "unchanged"] == ["endpoint/dev"]
    (stack,) = [stack for stack in found.stacks if stack.kind == "changed"]
    assert stack.parameters == {"InstanceType": ("ml.m5.large", "ml.c5.xlarge")}
    assert stack.resources == ("Endpoint", "EndpointConfig")
    assert found.lines() == [
        "endpoint in dev: InstanceType ml.m5.large -> ml.c5.xlarge",
        "endpoint in dev: changes Endpoint, EndpointConfig; nothing else of the stack.",
    ]


def test_another_hyperparameter_trains_again_and_the_rest_follows(changed: Any) -> None:
    found = changed(lambda config: config["pipelines"][0]["hyperparameters"].update(eta=0.5))
    assert kinds(found) == {
        "training/hub": "changed",
        "registry/hub": "follows",
        "endpoint/dev": "follows",
        "endpoint/staging": "follows",
        "endpoint/prod": "follows",
    }
    training, registry, endpoint = found.stacks[:3]
    assert training.runs
    assert training.job_input["Request.HyperParameters.eta"] == ("0.2", "0.5")
    assert training.resources == ()
    assert registry.because_of == ("training",)
    assert "Model" in endpoint.following


def test_an_environment_changes_the_template_and_what_is_replaced_with_it(changed: Any) -> None:
    found = changed(lambda config: config["pipelines"][2].update(environment={"A": "1"}))
    stack = found.stacks[2]
    assert stack.resources == ("Endpoint", "EndpointConfig", "Model")
    assert stack.parameters == {}


def test_a_condition_is_looked_through(changed: Any) -> None:
    found = changed(lambda config: config["pipelines"][2].update(volume_size=50))
    assert found.stacks[2].resources == ("Endpoint", "EndpointConfig")


def test_a_tag_touches_everything(changed: Any) -> None:
    found = changed(lambda config: config["tags"].update(team="y"))
    assert "tag team" in found.stacks[2].parameters
    assert found.stacks[2].resources == ("Endpoint", "EndpointConfig", "ExecutionPolicy", "ExecutionRole", "Model")


def test_stages_and_pipelines_come_and_go(flow_config: Any, rendered: Render) -> None:
    fewer = {**flow_config, "pipelines": flow_config["pipelines"][:2]}
    more, less = rendered(flow_config).files, rendered(fewer).files
    grown, shrunk = changes(less, more), changes(more, less)
    assert grown.structure
    assert kinds(grown)["endpoint/dev"] == "added"
    assert kinds(shrunk)["endpoint/prod"] == "removed"
    assert any("stays until it is deleted" in line for line in shrunk.lines())


def test_the_first_time_everything_is_added(flow_config: Any, rendered: Render) -> None:
    found = changes({}, rendered(flow_config).files)
    assert set(kinds(found).values()) == {"added"}
    assert not found.structure
    assert json.loads(json.dumps(found.as_dict()))["stacks"][0]["change"] == "added"
