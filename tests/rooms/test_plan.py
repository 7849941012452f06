"""Every decision, from small workloads written by hand and from configs."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from orchestrator.blueprint import Catalog, load_catalog
from orchestrator.errors import BlueprintBroken, ConfigInvalid
from orchestrator.model import PipelineSpec, Plan, Reference, Stage, Workload
from orchestrator.plan import plan
from orchestrator.render import render
from orchestrator.settings import Settings
from orchestrator.summary import summary
from orchestrator.validate import validate

ENDPOINT = {
    "model_data": "models/m.tar.gz",
    "framework": "xgboost",
    "framework_version": "1.7-1",
    "instance_type": "ml.m5.large",
}
TRAINING = {"framework": "xgboost", "framework_version": "1.7-1", "channels": {"train": {"location": "data/a.csv"}}}


def workload(
    settings: Settings, *specs: PipelineSpec, form: Any = 2, stages: tuple[Stage, ...] | None = None
) -> Workload:
    return Workload(form, "Churn", stages or settings.stages, specs, tags={"team": "x"})


def endpoint(name: str = "endpoint", kind: str = "realtime_inference", **config: Any) -> PipelineSpec:
    return PipelineSpec(name, kind, "realtime_inference", {**ENDPOINT, **config})


def training(kind: str = "model_training") -> PipelineSpec:
    return PipelineSpec("training", kind, "model_training", TRAINING)


# ---- names ----


def test_names_of_a_workload(settings: Settings, catalog: Catalog) -> None:
    found = plan(workload(settings, training(), endpoint()), settings, catalog)
    assert found.project == "mlops-pipeline-churn-workload"
    assert found.pipeline_stack == "mlops-pipeline-churn-workload-codepipeline"
    assert found.bundle_key.startswith("mlops_provisioned_pipelines/mlops-pipeline-churn-workload/")
    assert len(found.bundle_key.split("/")[2]) == 12
    (hub,) = found.pipelines[0].stacks
    assert (hub.stack_name, hub.stage.name, hub.stage.account) == (f"{found.project}-training", "hub", settings.account)
    assert (hub.parameters_file, hub.job_input_file) == ("training/hub.json", "training/hub.input.json")
    assert hub.state_machine_arn.endswith(f":stateMachine:{found.project}-training")
    assert [stack.stack_name for stack in found.pipelines[1].stacks] == [
        f"{found.project}-endpoint-{stage}" for stage in ("dev", "staging", "prod")
    ]
    assert [stack.parameters["EndpointName"] for stack in found.pipelines[1].stacks] == [
        "churn-endpoint-dev",
        "churn-endpoint-staging",
        "churn-endpoint-prod",
    ]


def test_names_of_one_pipeline(settings: Settings, catalog: Catalog) -> None:
    old = plan(workload(settings, endpoint("x", "byom_realtime_builtin"), form=1), settings, catalog)
    assert old.project == "mlops-pipeline-churn-byompipelinerealtimebuiltin"
    assert old.bundle_key == f"mlops_provisioned_pipelines/{old.project}/template.zip"
    assert old.pipelines[0].template_file == "byom_realtime_inference_pipeline.yaml"
    assert [(stack.stack_name, stack.parameters_file) for stack in old.pipelines[0].stacks] == [
        (f"{old.project}-{stage}", f"{stage}_template_params.json") for stage in ("dev", "staging", "prod")
    ]
    single = plan(workload(settings, endpoint("x"), form=1, stages=settings.stages[:1]), settings, catalog)
    assert single.project == "mlops-pipeline-churn-realtime-inference"
    assert [(stack.stack_name, stack.parameters_file) for stack in single.pipelines[0].stacks] == [
        (single.project, "template_params.json")
    ]
    hub = plan(workload(settings, training("model_training_builtin"), form=1), settings, catalog)
    (stack,) = hub.pipelines[0].stacks
    assert hub.project == stack.stack_name == "mlops-pipeline-churn-modeltraining"
    assert (stack.parameters_file, stack.job_input_file) == ("template_params.json", "template_params.input.json")


def test_two_stacks_of_one_name_are_refused(flow_config: Any, settings: Settings, catalog: Catalog) -> None:
    """Names are joined by dashes, which they may hold: the second stack would take the place of the first."""

    def refused(*names: str, stages: list[dict[str, str]] | None = None) -> list[str]:
        body = copy.deepcopy(flow_config)
        for pipeline, name in zip(body["pipelines"], names, strict=True):
            pipeline["name"] = name
        body["pipelines"][1]["model"]["from"], body["pipelines"][2]["model_package"]["from"] = names[:2]
        body["pipelines"][2]["instance_type"] = "ml.m5.large"
        if stages:
            body["stages"] = stages
        with pytest.raises(ConfigInvalid) as caught:
            plan(validate(body, catalog, settings), settings, catalog)
        return [f"{problem.path} {problem.message} {problem.fix}" for problem in caught.value.problems]

    here = [{"name": "prod", "account": settings.account}]
    assert refused("endpoint-prod", "registry", "endpoint", stages=here) == [
        "$.pipelines[2].name The stack mlops-pipeline-churn-workload-endpoint-prod is that of `endpoint-prod` already."
        " Give one of them, or the stage, another name."
    ]
    (found,) = refused("codepipeline", "registry", "endpoint")  # the CodePipeline's own stack
    assert "$.pipelines[0].name" in found and "`the CodePipeline`" in found
    apart = copy.deepcopy(flow_config)
    apart["pipelines"][0]["name"] = apart["pipelines"][1]["model"]["from"] = "endpoint-prod"
    plan(validate(apart, catalog, settings), settings, catalog)  # in accounts of their own they may be called the same


def test_long_names_are_cut_and_stay_distinct(settings: Settings, catalog: Catalog) -> None:
    long = replace(workload(settings, training(), endpoint()), model_name="m" * 200)
    found = plan(long, settings, catalog)
    assert len(found.project) <= 100
    for pipeline in found.pipelines:
        for stack in pipeline.stacks:
            assert len(stack.stack_name) <= 128
            assert len(stack.state_machine_arn.rpartition(":")[2]) <= 80
    assert found.project != plan(replace(long, model_name="m" * 201), settings, catalog).project


# ---- values ----


def test_values_are_taken_for_their_stage(settings: Settings, catalog: Catalog) -> None:
    spec = endpoint(
        instance_type={"dev": "ml.m5.large", "default": "ml.c5.xlarge"},
        instance_count={"prod": 4, "default": 1},
        data_capture={"location": {"dev": "dev-b/x", "default": "s3://b-b/y/"}, "percentage": 20},
    )
    stacks = plan(workload(settings, spec), settings, catalog).pipelines[0].stacks
    assert [stack.parameters["InstanceType"] for stack in stacks] == ["ml.m5.large", "ml.c5.xlarge", "ml.c5.xlarge"]
    assert [stack.parameters["InstanceCount"] for stack in stacks] == ["1", "1", "4"]
    assert [stack.parameters["DataCaptureLocation"] for stack in stacks] == ["dev-b/x", "b-b/y", "b-b/y"]


def test_a_gpu_brings_its_settings(settings: Settings, catalog: Catalog) -> None:
    spec = endpoint(
        framework="djl-lmi",
        framework_version="0.38.0",
        model_data="s3://weights/llm/",
        instance_type={"dev": "ml.g6e.xlarge", "default": "ml.g6e.12xlarge"},
    )
    pipeline = plan(workload(settings, spec), settings, catalog).pipelines[0]
    for stack in pipeline.stacks:
        assert stack.parameters["InferenceAmi"] == "al2023-ami-sagemaker-inference-gpu-4-1"
        assert stack.parameters["RoutingStrategy"] == "LEAST_OUTSTANDING_REQUESTS"
        assert stack.parameters["ContainerStartupTimeout"] == stack.parameters["ModelDownloadTimeout"] == "1800"
        assert stack.parameters["ModelDataUrl"] == "s3://weights/llm/"
    assert pipeline.shape["uncompressed"] is True
    cpu = plan(workload(settings, endpoint()), settings, catalog).pipelines[0]
    assert not {"InferenceAmi", "RoutingStrategy", "ContainerStartupTimeout"} & set(cpu.stacks[0].parameters)


def test_the_volume_is_encrypted_where_the_instance_has_one(settings: Settings, catalog: Catalog) -> None:
    key = "arn:aws:kms:us-east-1:222222222222:key/0f1e2d3c"
    spec = endpoint(kms_key_arn=key, instance_type={"dev": "ml.m5.large", "default": "ml.m5d.large"})
    stacks = plan(workload(settings, spec), settings, catalog).pipelines[0].stacks
    assert [stack.parameters.get("EncryptVolume") for stack in stacks] == ["true", None, None]
    assert {stack.parameters["KmsKeyArn"] for stack in stacks} == {key}


def test_references_become_overrides(flow_config: Any, settings: Settings, catalog: Catalog) -> None:
    found = plan(validate(flow_config, catalog, settings), settings, catalog)
    _, registry, served = found.pipelines
    assert registry.overrides["ModelDataUrl"] == Reference("training", "ModelDataUrl")
    assert registry.overrides["ImageUri"] == Reference("training", "Image")
    assert served.overrides["ModelPackageArn"] == Reference("registry", "ModelPackageArn")
    assert not {"ModelPackageArn", "ModelDataPrefix"} & set(served.stacks[0].parameters)


def test_what_the_config_says_wins_over_a_result(flow_config: Any, settings: Settings, catalog: Catalog) -> None:
    image = "111111111111.dkr.ecr.us-east-1.amazonaws.com/own:1"
    flow_config["pipelines"][1]["image"] = image
    registry = plan(validate(flow_config, catalog, settings), settings, catalog).pipelines[1]
    assert registry.stacks[0].parameters["ImageUri"] == image
    assert not {"ImageUri", "ImageRepositoryArn"} & set(registry.overrides)


def test_training_can_be_deployed_without_a_registry(flow_config: Any, settings: Settings, catalog: Catalog) -> None:
    del flow_config["pipelines"][1]
    flow_config["pipelines"][1] = {
        "name": "endpoint",
        "pipeline_type": "realtime_inference",
        "model_data": {"from": "training"},
        "instance_type": "ml.m5.large",
    }
    found = plan(validate(flow_config, catalog, settings), settings, catalog)
    assert set(found.pipelines[1].overrides) == {"ModelDataUrl", "ModelDataPrefix", "ImageUri", "ImageRepositoryArn"}
    assert render(found, catalog, settings)


# ---- jobs ----


def job_name(settings: Settings, catalog: Catalog, **config: Any) -> str:
    spec = replace(training(), config={**TRAINING, **config})
    (stack,) = plan(workload(settings, spec), settings, catalog).pipelines[0].stacks
    assert stack.job_input is not None
    name: str = stack.job_input["JobName"]
    return name


def test_the_name_of_a_job_holds_all_it_is_asked_for(settings: Settings, catalog: Catalog) -> None:
    first = job_name(settings, catalog)
    assert first == job_name(settings, catalog)
    others = [
        job_name(settings, catalog, hyperparameters={"eta": 0.1}),
        job_name(settings, catalog, data_version="2"),
        job_name(settings, catalog, instance_type="ml.m5.4xlarge"),
        job_name(settings, catalog, framework_version="1.5-1"),
        job_name(settings, catalog, source_dir="sources/x.tar.gz", entry_point="train.py"),
        job_name(settings, catalog, channels={"train": {"location": "data/b.csv"}}),
    ]
    assert len({first, *others}) == 7
    assert all(len(name) <= 54 for name in [first, job_name(settings, catalog, job_name="j" * 63)])


def test_script_mode_tells_the_container_its_program(settings: Settings, catalog: Catalog) -> None:
    spec = replace(
        training(),
        config={
            **TRAINING,
            "source_dir": "sources/x.tar.gz",
            "entry_point": "train.py",
            "framework": "sklearn",
            "framework_version": "1.2-1",
        },
    )
    (stack,) = plan(workload(settings, spec), settings, catalog).pipelines[0].stacks
    assert stack.job_input is not None
    assert stack.job_input["Request"]["HyperParameters"] == {
        "sagemaker_program": "train.py",
        "sagemaker_submit_directory": "s3://assets/sources/x.tar.gz",
        "sagemaker_container_log_level": "20",
        "sagemaker_region": "us-east-1",
    }
    assert "arn:aws:s3:::assets/sources/x.tar.gz*" in stack.parameters["ReadableObjects"].split(",")
    assert stack.job_input["InferenceProgram"] == "inference.py"


# ---- what is refused ----


def test_stages_cannot_differ_in_shape(tmp_path: Path, settings: Settings, catalog: Catalog) -> None:
    blueprint = catalog.blueprints["realtime_inference"]
    split = replace(blueprint, shape={"big": "stage.name == 'prod'"})
    other = replace(catalog, blueprints={**catalog.blueprints, "realtime_inference": split})
    with pytest.raises(ConfigInvalid) as refused:
        plan(workload(settings, endpoint()), settings, other)
    assert refused.value.problems[0].path == "$.pipelines[0]"


def test_a_value_too_long_for_cloudformation_is_refused(settings: Settings, catalog: Catalog) -> None:
    many = {f"c{index}": {"location": f"data/{'x' * 300}/{index}"} for index in range(20)}
    spec = replace(training(), config={**TRAINING, "channels": many})
    with pytest.raises(ConfigInvalid, match="1 problem"):
        plan(workload(settings, spec), settings, catalog)


def test_a_reference_within_a_stage_is_known_at_once(settings: Settings, catalog: Catalog) -> None:
    """What another pipeline of the same stage was told is no secret of the run."""
    served = catalog.blueprints["realtime_inference"]
    watcher = replace(
        served,
        parameters={"NamePrefix": "settings.name_prefix"},
        values={},
        shape={},
        references={"model_package": served.references["model_package"][:0]},
    )
    from orchestrator.blueprint import ReferenceTarget

    watcher = replace(watcher, references={"model_package": (ReferenceTarget("EndpointName", "Watched"),)})
    both = replace(catalog, blueprints={**catalog.blueprints, "watcher": watcher})
    spec = PipelineSpec(
        "watch", "realtime_inference", "watcher", {}, {"model_package": Reference("endpoint", "EndpointName")}
    )
    found = plan(workload(settings, endpoint(), spec), settings, both)
    assert [stack.parameters["Watched"] for stack in found.pipelines[1].stacks] == [
        "churn-endpoint-dev",
        "churn-endpoint-staging",
        "churn-endpoint-prod",
    ]
    assert found.pipelines[1].overrides == {}


def test_a_broken_blueprint_is_named(settings: Settings, catalog: Catalog) -> None:
    broken = replace(catalog.blueprints["realtime_inference"], values={"x": "nothing_of_that_name"})
    with pytest.raises(BlueprintBroken, match="nothing_of_that_name"):
        plan(
            workload(settings, endpoint()),
            settings,
            replace(catalog, blueprints={**catalog.blueprints, "realtime_inference": broken}),
        )


# ---- the frame's place ----


def bundle_key(body: Any, settings: Settings, catalog: Catalog) -> str:
    return plan(validate(body, catalog, settings), settings, catalog).bundle_key


def test_the_bundle_moves_only_with_the_shape_of_the_pipeline(
    flow_config: Any, settings: Settings, catalog: Catalog
) -> None:
    first = bundle_key(flow_config, settings, catalog)
    value = copy.deepcopy(flow_config)
    value["pipelines"][0]["hyperparameters"]["eta"] = 0.5
    value["pipelines"][2]["instance_type"] = "ml.c5.xlarge"
    value["tags"] = {"team": "y"}
    assert bundle_key(value, settings, catalog) == first
    approval = copy.deepcopy(flow_config)
    approval["pipelines"][1]["approval"] = "automatic"
    fewer = {**flow_config, "pipelines": flow_config["pipelines"][:2]}
    assert len({first, bundle_key(approval, settings, catalog), bundle_key(fewer, settings, catalog)}) == 3


def test_the_summary_tells_what_waits_for_what(flow_config: Any, settings: Settings, catalog: Catalog) -> None:
    found: Plan = plan(validate(flow_config, catalog, settings), settings, catalog)
    told = summary(found)
    assert [each["after"] for each in told["pipelines"]] == [[], ["training"], ["registry"]]
    assert [stack["account"] for stack in told["pipelines"][2]["stacks"]] == [each.account for each in settings.stages]
    assert told["tags"] == {"team": "x"}


def test_the_catalog_is_read_from_anywhere(tmp_path: Path, settings: Settings) -> None:
    assert plan(workload(settings, endpoint()), settings, load_catalog()).pipelines
