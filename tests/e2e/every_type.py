"""For every pipeline type a config that uses it, the same in a deployment of one account and in one of several.

A new type needs a body here and a line in the table of ``test_every_type.py``; which types a
body uses is read from the body.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from tests.e2e.posted import HUB, PROD
from tests.e2e.watched import MODEL_KEY, SCORED_KEY, TRAIN_KEY

Body = dict[str, Any]
DEPLOYMENTS = {"single": HUB, "multi": PROD}
"""The account of the stage; the orchestrator lives in the hub. More stages are the business of the other tests."""
STAGE, BUCKET = "prod", "types-prod"
ROWS_KEY, PREDICTED_KEY, SOURCE_KEY = "data/watched/rows.csv", "data/watched/predicted.csv", "docker/model.zip"
OWN_IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1"
"""Any image but one that the product chose by itself; this one is known to the embedded AWS."""
OLD_ENDPOINT = "old-endpoint"
HOURLY = "cron(0 * ? * * *)"
XGBOOST = {"framework": "xgboost", "framework_version": "1.7-1", "instance_type": "ml.m5.large"}
OLD_XGBOOST = {"model_framework": "xgboost", "model_framework_version": "1.7-1"}
HYPERPARAMETERS = {"objective": "binary:logistic", "num_round": 8, "eval_metric": "auc", "max_depth": 3}
TUNER = {"objective_metric_name": "validation:auc", "max_jobs": 2, "max_parallel_jobs": 1}
BIAS = {"label_values_or_threshold": [1], "facet_name": "age", "facet_values_or_threshold": [50]}
SHAP = {"num_samples": 8, "seed": 1}


def bodies(deployment: str) -> list[list[Body]]:
    """The bodies in two waves: what is watched must be there before its monitors.

    In several accounts the new monitors are the business of ``test_monitors.py``: each would be a job or two more.
    """
    new_monitors = [_watch()] if deployment == "single" else []
    return [[_workload(), *_old_forms()], [*new_monitors, *_old_monitors()]]


def types_of(deployment: str) -> list[str]:
    """The pipeline types that the bodies use."""
    return [kind for wave in bodies(deployment) for body in wave for kind in types_in(body)]


def types_in(body: Body) -> Iterator[str]:
    """The pipeline types that a body of either form uses."""
    for pipeline in body.get("pipelines", [body]):
        yield pipeline["pipeline_type"]


def _channels() -> Body:
    channel = {"location": ROWS_KEY, "content_type": "text/csv"}
    return {"train": channel, "validation": copy.deepcopy(channel)}


def _workload() -> Body:
    """A model from its data to predictions, every way there is."""
    package = {"model_package": {"from": "registry"}, "instance_type": "ml.m5.large"}
    learned = {**XGBOOST, "hyperparameters": HYPERPARAMETERS, "channels": _channels()}
    eta = {"type": "continuous", "min": 0.1, "max": 0.5}
    return {
        "version": 2,
        "model_name": "types",
        "pipelines": [
            {"name": "training", "pipeline_type": "model_training", **learned, "output_location": "new/trained"},
            {
                "name": "tuning", "pipeline_type": "model_tuning", **learned, "output_location": "new/tuned",
                "ranges": {"eta": eta}, "tuner": TUNER,
            },
            {
                "name": "search", "pipeline_type": "automl_training", "training_data": TRAIN_KEY, "target": "bought",
                "max_candidates": 1, "output_location": "new/searched",
            },
            {
                "name": "image", "pipeline_type": "image_build", "source": SOURCE_KEY, "repository": "types/new",
                "create_repository": True, "tag": "1",
            },
            {
                "name": "registry", "pipeline_type": "model_registration", "model": {"from": "training"},
                "approval": "automatic", "model_package_group_name": "types",
            },
            {
                "name": "endpoint", "pipeline_type": "realtime_inference", **package, "endpoint_name": "new-endpoint",
                "data_capture": {"location": f"{BUCKET}/captured"},
            },
            {
                "name": "scores", "pipeline_type": "batch_inference", **package,
                "input": {"location": f"{BUCKET}/asked/rows.csv"},
                "output": {"location": f"{BUCKET}/scored/new"},
            },
        ],
    }  # fmt: skip


def _watch() -> Body:
    """Every monitor of the endpoint."""
    common = {
        "endpoint": "new-endpoint", "data_capture_location": f"{BUCKET}/captured",
        "output_location": f"{BUCKET}/results", "schedule": HOURLY,
    }  # fmt: skip
    truth = {"ground_truth_location": f"{BUCKET}/labels"}
    binary = {"problem_type": "BinaryClassification", "probability_attribute": "0"}
    train, scored = {"location": TRAIN_KEY}, {"location": SCORED_KEY, "probability": "score", "ground_truth": "bought"}
    return {
        "version": 2,
        "model_name": "new",
        "pipelines": [
            {"name": "data", "pipeline_type": "data_quality_monitor", "baseline": train, **common},
            {
                "name": "quality", "pipeline_type": "model_quality_monitor", "baseline": scored, **binary, **truth,
                **common,
            },
            {
                "name": "bias", "pipeline_type": "model_bias_monitor", "baseline": train, "bias_config": BIAS,
                "predicted_label_config": {"probability_threshold": 0.5}, **binary, **truth, **common,
            },
            {
                "name": "explain", "pipeline_type": "model_explainability_monitor", "baseline": train,
                "problem_type": "BinaryClassification", "shap_config": SHAP, **common,
            },
        ],
    }  # fmt: skip


def _old_forms() -> list[Body]:
    """The old types, but for the monitors, as callers of the old product wrote them."""
    model = {"model_artifact_location": MODEL_KEY, "inference_instance": "ml.m5.large"}
    captured = {"data_capture_location": f"{BUCKET}/captured"}
    asked = {"batch_inference_data": f"{BUCKET}/asked/rows.csv"}
    table = {"training_data": ROWS_KEY, "validation_data": ROWS_KEY, "content_type": "text/csv"}
    learned = {**OLD_XGBOOST, **table, "algo_hyperparamaters": HYPERPARAMETERS}
    forms: list[Body] = [
        {
            "pipeline_type": "byom_realtime_builtin", **OLD_XGBOOST, **model, **captured,
            "endpoint_name": OLD_ENDPOINT,
        },
        {
            "pipeline_type": "byom_realtime_custom", "custom_image_uri": OWN_IMAGE, **model, **captured,
            "endpoint_name": "own-endpoint",
        },
        {
            "pipeline_type": "byom_batch_builtin", **OLD_XGBOOST, **model, **asked,
            "batch_job_output_location": f"{BUCKET}/scored/old",
        },
        {
            "pipeline_type": "byom_batch_custom", "custom_image_uri": OWN_IMAGE, **model, **asked,
            "batch_job_output_location": f"{BUCKET}/scored/own",
        },
        {"pipeline_type": "model_training_builtin", **learned, "job_output_location": "old/trained"},
        {
            "pipeline_type": "model_tuner_builtin", **learned, "job_output_location": "old/tuned",
            "tuner_configs": {**TUNER, "max_jobs": 1}, "hyperparamaters_ranges": {"eta": ["continuous", [0.1, 0.5]]},
        },
        {
            "pipeline_type": "model_autopilot_training", "training_data": TRAIN_KEY, "target_attribute": "bought",
            "job_output_location": "old/searched", "job_max_candidates": "1",
        },
    ]  # fmt: skip
    named = [{"model_name": body["pipeline_type"].replace("_", "-"), **body} for body in forms]
    builder = {
        "pipeline_type": "byom_image_builder", "custom_algorithm_docker": SOURCE_KEY, "image_tag": "old",
        "ecr_repo_name": "mlops-algorithms",
    }  # fmt: skip
    return [*named, builder]


def _old_monitors() -> list[Body]:
    """The four old monitors of the old endpoint."""
    common = {
        "endpoint_name": OLD_ENDPOINT, "instance_type": "ml.m5.large", "instance_volume_size": "20",
        "baseline_data": TRAIN_KEY, "baseline_job_output_location": f"{BUCKET}/baselines",
        "data_capture_location": f"{BUCKET}/captured", "schedule_expression": HOURLY,
        "monitoring_output_location": f"{BUCKET}/results", "monitor_max_runtime_seconds": "1800",
    }  # fmt: skip
    binary = {"problem_type": "BinaryClassification", "monitor_probability_attribute": "0"}
    truth = {"monitor_ground_truth_input": f"{BUCKET}/labels"}
    quality = {
        "baseline_data": PREDICTED_KEY, "baseline_inference_attribute": "prediction",
        "baseline_ground_truth_attribute": "bought", "baseline_probability_attribute": "score",
        "probability_threshold_attribute": "0.5",
    }  # fmt: skip
    bias = {"model_predicted_label_config": {"probability_threshold": 0.5}, "bias_config": BIAS}
    kinds: dict[str, tuple[str, Body]] = {
        "data": ("byom_data_quality_monitor", {}),
        "quality": ("byom_model_quality_monitor", {**binary, **truth, **quality}),
        "bias": ("byom_model_bias_monitor", {**binary, **truth, **bias}),
        "explain": (
            "byom_model_explainability_monitor",
            {"problem_type": "BinaryClassification", "shap_config": SHAP},
        ),
    }
    return [
        {"pipeline_type": kind, "model_name": f"old-{name}", **common, **own} for name, (kind, own) in kinds.items()
    ]
